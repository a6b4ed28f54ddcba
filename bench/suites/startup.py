"""How long `qkv --version` and `qkv --help` take from start to exit."""
import dataclasses
import statistics
import subprocess
import time

PACKAGES = ()
LIMIT_MS = 30


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    option: str


def cases(quick):
    return [Case(f"qkv {option}", option) for option in ("--version", "--help")]


def run(case, qkv, rounds):
    times = []
    for _ in range(10 * rounds):
        start = time.perf_counter()
        subprocess.run([qkv, case.option], stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - start) * 1e3)
    median = statistics.median(times)
    return [{"case": case.name, "unit": "ms", "qkv": median, "samples": {"qkv": times}, "threads": 1, "packages": PACKAGES,
             "note": f"{'goal' if median <= LIMIT_MS else 'missed'}: at most {LIMIT_MS} ms"}]
