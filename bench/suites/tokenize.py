"""Encoding on one thread, by BPE, WordPiece and Unigram, against the libraries that do it; training a BPE."""
import dataclasses
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from contestants import Peer, Program, THREADS, Unavailable, environment, take_turns

PACKAGES = ("tokenizers", "tiktoken", "sentencepiece")
# Ties between segmentations are decided by rounding, over so long a text that some fall otherwise.
TIES = 1e-4
VOCAB_SIZE = 20000
BOOKS = ("moby_dick_2701-0", "pride_and_prejudice_1342-0", "grimms_fairy_tales_2591-0", "frankenstein_84-0", "alice_11-0")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    run: object
    vocabulary: tuple = ()
    libraries: tuple = ()
    goal: float | None = None  # MB/s, of the first encoding


def shared(*parts):
    if "QKV_SHARED" not in os.environ:
        raise Unavailable("not run: QKV_SHARED names no folder with texts and vocabularies")
    path = pathlib.Path(os.environ["QKV_SHARED"], "data", *parts)
    if not path.exists():
        raise Unavailable(f"not run: {path.name} is not in QKV_SHARED")
    return path


def write_books(folder):
    target = pathlib.Path(folder, "books.txt")
    target.write_bytes(b"\n".join(shared("gutenberg", book + ".txt").read_bytes() for book in BOOKS))
    return target


class BpeTraining:
    """`qkv tokenizer train`, timed as a whole: start, reading, training, writing."""
    name, about = "qkv", {}

    def __init__(self, qkv, text, folder):
        self.out = pathlib.Path(folder, "qkv")
        self.command = [qkv, "tokenizer", "train", "--vocab-size", str(VOCAB_SIZE), "--out", str(self.out), "--threads",
                        str(THREADS), str(text)]

    def measure(self):
        start = time.perf_counter()
        subprocess.run(self.command, check=True, capture_output=True, env=environment(THREADS))
        taken = time.perf_counter() - start
        merges = json.loads((self.out / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
        return {"result": {"seconds": [taken], "merges": hashlib.sha256(json.dumps(merges).encode()).hexdigest()}}

    def close(self):
        pass


def encode(case, qkv, rounds):
    vocabulary = shared("vocab", *case.vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        text = write_books(folder)
        contestants = [Program("qkv", [qkv, "tokenize", vocabulary, "--bench", text, "--repeat", 3], threads=1)]
        contestants += [Peer(library, "encode_text.py", [library, vocabulary, text], 1, threads=1)
                        for library in case.libraries]
        try:
            results = take_turns(contestants, rounds)
        finally:
            for one in contestants:
                one.close()
    counts = {name: turns[0]["result"]["tokens"] for name, turns in results.items()}
    rows = []
    # qkv remembers words between calls; the first encoding after loading has none to remember and is the one to judge by.
    for what, ours, goal in (("first time", "first_mb_per_s", case.goal), ("again", "median_mb_per_s", None)):
        samples = {name: [turn["result"][ours] for turn in turns] if name == "qkv" else
                   [rate for turn in turns for rate in turn["result"]["rates"]] for name, turns in results.items()}
        rates = {name: statistics.median(values) for name, values in samples.items()}
        mine = rates.pop("qkv")
        row = {"case": f"{case.name}, {what}", "unit": "MB/s", "qkv": mine, "peers": rates,
               "ratio": mine / max(rates.values()), "samples": samples, "tokens": counts, "threads": 1,
               "packages": PACKAGES}
        if max(counts.values()) - min(counts.values()) > TIES * min(counts.values()):
            row["note"] = f"the numbers of tokens differ: {counts}"
        elif goal:
            row["note"] = f"{row['ratio']:.2f} ({'goal' if mine >= goal else 'missed'}: {goal} MB/s)"
        rows.append(row)
    return rows


def train(case, qkv, rounds):
    with tempfile.TemporaryDirectory() as folder:
        text = write_books(folder)
        contestants = [BpeTraining(qkv, text, folder), Peer("tokenizers", "bpe_train.py", [VOCAB_SIZE, text], 1)]
        try:
            results = take_turns(contestants, rounds)
        finally:
            for one in contestants:
                one.close()
    samples = {name: [s for turn in turns for s in turn["result"]["seconds"]] for name, turns in results.items()}
    times = {name: statistics.median(values) for name, values in samples.items()}
    mine = times.pop("qkv")
    row = {"case": case.name, "unit": "s", "qkv": mine, "peers": times, "goal": 2, "ratio": min(times.values()) / mine,
           "samples": samples, "threads": THREADS, "packages": PACKAGES}
    if len({turn["result"]["merges"] for turns in results.values() for turn in turns}) > 1:
        row["note"] = "the merges differ"
    return [row]


def cases(quick):
    text = "encoding 3.2 MB of books"
    return [Case(f"GPT-2 BPE, {text}", encode, ("gpt2",), ("tiktoken", "tokenizers"), 30),
            Case(f"BERT WordPiece, {text}", encode, ("bert-base-uncased", "vocab.txt"), ("tokenizers",), 20),
            Case(f"ALBERT Unigram, {text}", encode, ("sentencepiece", "albert_30k-clean_unigram.model"), ("sentencepiece",), 10),
            Case(f"Mistral BPE, {text}", encode, ("sentencepiece", "mistral_v1_bpe32000.model"), ("sentencepiece",), None),
            Case(f"training a BPE of {VOCAB_SIZE:,}", train)]


def run(case, qkv, rounds):
    return case.run(case, qkv, rounds)
