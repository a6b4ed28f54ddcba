"""BERT-base's blocks on random tokens: f32 and dynamic int8 against ONNX Runtime, f32 and bf16 against PyTorch. On a GPU
bf16 against PyTorch, eager and compiled with its recorded graphs."""
import dataclasses
import statistics

from contestants import DEVICE, Peer, Program, THREADS, take_turns

PACKAGES = ("torch", "transformers", "onnxruntime")
LENGTH = 128
# At least so many times the speed of the peer.
GOALS = {("f32", 1): ("onnx", 1.15), ("f32", 8): ("onnx", 1.15), ("bf16", 1): ("torch", 1.4), ("bf16", 8): ("torch", 1.25),
         ("int8", 1): ("onnx", 1.25), ("int8", 8): ("onnx", 1.25)}
NAMES = {"onnx": "ONNX Runtime", "torch": "PyTorch", "torch-compiled": "torch.compile"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    dtype: str
    batch: int
    engines: tuple
    goal: float | None


def cases(quick):
    del quick
    if DEVICE != "cpu":
        return [Case(f"BERT-base {batch} x {LENGTH}, bf16", "bf16", batch, ("torch", "torch-compiled"), None)
                for batch in (1, 8, 64)]
    return [Case(f"BERT-base {batch} x {LENGTH}, {'dynamic ' if dtype == 'int8' else ''}{dtype}", dtype, batch,
                 ("onnx", "torch") if dtype == "f32" else (GOALS[dtype, batch][0],), GOALS[dtype, batch][1])
            for dtype in ("f32", "bf16", "int8") for batch in (1, 8)]


def run(case, qkv, rounds):
    count = 100 if DEVICE != "cpu" else 10 if case.batch == 1 else 4
    kind = ["--int8"] if case.dtype == "int8" else ["--dtype", case.dtype]
    shape = ["--batch", case.batch, "--length", LENGTH, "--threads", THREADS]
    ours = Program("qkv", [qkv, "bench", "encode", "--family", "bert", "--vocab", 30522, "--context", 512, "--repeat", count,
                           *kind, *shape])
    contestants = [ours]
    try:
        for engine in case.engines:
            contestants.append(Peer(NAMES[engine], "encoder.py", [engine, case.dtype, *shape], count))
        results = take_turns(contestants, rounds)
    finally:
        for one in contestants:
            one.close()
    samples = {name: [1000 * s for turn in turns for s in turn["result"]["samples"]] for name, turns in results.items()}
    medians = {name: statistics.median(values) for name, values in samples.items()}
    mine = medians.pop("qkv")
    # On the CPU goals are of the first engine, on a GPU nobody's.
    fastest = medians[NAMES[case.engines[0]]] if case.goal else min(medians.values())
    return [{"case": case.name, "unit": "ms (less is better)", "qkv": mine, "peers": medians, "samples": samples,
             "ratio": fastest / mine, "goal": case.goal, "threads": THREADS, "packages": PACKAGES}]
