"""Rows of results: kept as JSON with every sample, shown as tables between markers of docs/performance.md."""
import json
import pathlib
import re

from contestants import DEVICE

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/results" / ("" if DEVICE == "cpu" else "cuda")
PAGE = ROOT / "docs/performance.md"


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def verdict(row):
    if row.get("note") or row.get("ratio") is None:
        return row.get("note", "-")
    if row.get("goal") is None:
        return f"{row['ratio']:.2f}"
    return f"**{row['ratio']:.2f}** ({'goal' if row['ratio'] >= row['goal'] else 'missed'}: {row['goal']:g})"


def table(rows):
    """Markdown: case, unit, qkv, each peer, the ratio to the best peer."""
    peers = list(dict.fromkeys(name for row in rows for name in row.get("peers", {})))
    head = ["case", "unit", "qkv", *peers, "qkv / best peer"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in rows:
        figures = [number(row.get("peers", {}).get(peer)) for peer in peers]
        lines.append("| " + " | ".join([row["case"], row["unit"], number(row.get("qkv")), *figures, verdict(row)]) + " |")
    return "\n".join(lines)


def save(suite, machine, rows):
    """Adds the rows to the suite's file, in place of earlier ones of the same case; returns all rows in the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{suite}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    order = {row["case"]: i for i, row in enumerate(kept)}
    for row in rows:
        if row["case"] in order:
            kept[order[row["case"]]] = row | {"machine": machine}
        else:
            kept.append(row | {"machine": machine})
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps({"suite": suite, "rows": kept}, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return kept


def update_page(suite, rows):
    """Puts the table between <!-- bench SUITE --> and <!-- end SUITE -->, and the machine under it."""
    if not PAGE.exists():
        return
    machines = {f"{m['processor']} ({', '.join(m['instructions'])}), {m['cores']} cores, {m['threads']} thread"
                f"{'s' if m['threads'] > 1 else ''}; " + ", ".join(f"{p} {m[p]}" for p in row["packages"] if m.get(p))
                for row in rows for m in [row["machine"] | {"threads": row["threads"]}]}
    text = PAGE.read_text(encoding="utf-8")
    block = "\n\n".join([table(rows), *sorted(machines)])
    text, count = re.subn(rf"(<!-- bench {suite} -->\n).*?(<!-- end {suite} -->)",
                          lambda found: f"{found[1]}\n{block}\n\n{found[2]}", text, flags=re.S)
    if count != 1:
        raise SystemExit(f"{PAGE}: expected one pair of markers for '{suite}'")
    PAGE.write_text(text, encoding="utf-8")
