"""One module a suite; each has cases(quick) and run(case, context) -> rows."""
