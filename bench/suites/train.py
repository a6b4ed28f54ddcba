"""Training steps against PyTorch, eager and compiled. On a GPU other sizes, and the part of its peak that each uses."""
import dataclasses
import statistics

from card_sizes import BERT, GPT2, GPT_SMALL, LLAMA, words
from contestants import DEVICE, Peer, Program, THREADS, Unavailable, take_turns

PACKAGES = ("torch", "transformers")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    sizes: dict
    dtype: str
    steps: int  # a round
    goal: float | None
    memory_goal: float | None = 1.0
    peak_goal: float | None = None  # percent of a card's peak


def card_cases(quick):
    """Several batches where the best is looked for; steps a round, goal in percent of the peak."""
    table = [*(("GPT-2 124M", GPT2, batch, 1024, 10, 55) for batch in (16, 32, 64)),
             *(("Llama 1.1B", LLAMA, batch, 2048, 5, 60) for batch in (4, 8)),
             *(("BERT-base", BERT, batch, length, 10, None) for batch, length in ((256, 128), (64, 512))),
             ("GPT 10.7M", GPT_SMALL, 64, 256, 50, 50)]
    return [Case(f"{name}, {batch} x {length}, bf16", sizes | dict(batch=batch, length=length), "bf16",
                 max(2, steps // (2 if quick else 1)), None, None, goal)
            for name, sizes, batch, length, steps, goal in table]


def cases(quick):
    if DEVICE != "cpu":
        return card_cases(quick)
    small = dict(vocab=65, layers=4, heads=4, width=128, context=64, batch=12, length=64)
    middle = dict(vocab=65, layers=6, heads=6, width=384, context=256, batch=8, length=256)
    gpt2 = dict(vocab=50257, layers=12, heads=12, width=768, context=1024, batch=4)
    bert = dict(family="bert", vocab=30522, layers=12, heads=12, width=768, context=512, batch=8, length=128)
    table = [("GPT 0.8M, 12 x 64", small, 60, 1.5, 2.0), ("GPT 10.7M, 8 x 256", middle, 5, 1.2, 1.4),
             ("GPT-2 124M, 4 x 64", gpt2 | dict(length=64), 4, 1.7, 1.8),
             ("GPT-2 124M, 4 x 256", gpt2 | dict(length=256), 2, 1.6, 1.6), ("BERT-base, 8 x 128", bert, 2, 1.5, 1.5)]
    return [Case(f"{name}, {dtype}", sizes, dtype, max(1, steps // (2 if quick else 1)), goal)
            for name, sizes, steps, f32, bf16 in table for dtype, goal in (("f32", f32), ("bf16", bf16))]


def options(case):
    return words(case.sizes) + ["--dtype", case.dtype, "--threads", THREADS]


def parts_of_the_peak(case, rates, ours):
    """A row where qkv knows the card's peak. Its own arithmetic is counted for all: a peer may do more for a token."""
    if "mfu" not in ours:
        return []
    percent = 100 * ours["mfu"] / ours["tokens_per_second"]
    parts = {name: rate * percent for name, rate in rates.items()}
    mine, goal = parts.pop("qkv"), case.peak_goal
    row = {"case": case.name + ": part of the peak", "unit": "%", "qkv": mine, "peers": parts,
           "ratio": mine / max(parts.values()) if parts else None}
    if goal:
        row["note"] = f"{'goal' if mine >= goal else 'missed'}: {goal} %"
    return [row]


def run(case, qkv, rounds):
    peers, notes = [], []
    for name, extra in (("PyTorch", []), ("torch.compile", ["--compile"])):
        try:
            peers.append(Peer(name, "torch_train.py", options(case) + ["--warmup", 2] + extra, case.steps))
        except Unavailable as why:
            notes.append(str(why))
    ours = Program("qkv", [qkv, "bench", "train", *options(case), "--repeat", case.steps])
    try:
        results = take_turns([ours, *peers], rounds)
    finally:
        for peer in peers:
            peer.close()
    tokens = case.sizes["batch"] * case.sizes["length"]
    samples = {name: [tokens / s for one in turns for s in one["result"]["step_seconds"]] for name, turns in results.items()}
    rates = {name: statistics.median(values) for name, values in samples.items()}
    peaks = {name: max(one["peak_bytes"] for one in turns) / 2**20 for name, turns in results.items()}
    parts = parts_of_the_peak(case, rates, results["qkv"][-1]["result"])
    mine, my_peak = rates.pop("qkv"), peaks.pop("qkv")
    common = {"threads": THREADS, "packages": PACKAGES, "command": [str(w) for w in ours.command[1:]],
              "losses": {name: turns[-1]["result"]["loss"] for name, turns in results.items()}}
    speed = {"case": case.name, "unit": "tokens/s", "qkv": mine, "peers": rates, "goal": case.goal,
             "ratio": mine / max(rates.values()) if rates else None, "samples": samples,
             "first_step_seconds": {peer.name: peer.about["first_step_seconds"] for peer in peers}, **common}
    memory = {"case": case.name + ": peak memory", "unit": "MiB", "qkv": my_peak, "peers": peaks, "goal": case.memory_goal,
              "ratio": min(peaks.values()) / my_peak if peaks else None, **common}
    if notes:
        speed["note"] = "; ".join(notes)
    return [speed, *({**row, **common} for row in parts), memory]
