"""Inference from one GGUF file, beside llama.cpp: writing alone and eight together, reading a prompt of 512 tokens, and a
whole program from its start to the first token, with the memory that it takes. Writing is held against the memory too:
its weights are read once a token."""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys

from contestants import BENCH, DEVICE, Command, Peer, Program, THREADS, Unavailable, take_turns

PACKAGES = ("torch",)
PROMPT, TOKENS, STREAMS, STREAMS_PROMPT = 512, 64, 8, 128
TYPES = ("bf16", "q8_0", "q4_0", "q4_k_m")
MODELS = {"gpt2": "GPT-2 124M", "llama-1.1b": "Llama 1.1B"}
GOALS = {
    "gpt2": {"writing": (1.3, 1.5, 1.5, 1.5), "prompt": (1.3, 2.2, 1.8, 1.8)},
    "llama-1.1b": {"writing": (1.15, 1.4, 1.4, 1.4), "prompt": (1.3, 2.5, 2.0, 2.0)},
}
STREAMS_GOAL, START_GOAL, MEMORY_GOAL = 1.5, 2, 1
BANDWIDTH_GOALS = {"llama-1.1b": 80}  # percent


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    model: str
    dtype: str
    repeat: int


def cases(quick):
    return [Case(f"{name}, {dtype.upper()}", model, dtype, 2 if quick else 3) for model, name in MODELS.items() for dtype in TYPES]


def llama_cpp():
    """The folder of llama.cpp's programs, built on first use."""
    if DEVICE != "cpu":
        raise Unavailable("llama.cpp is built for the CPU alone")
    built = subprocess.run([str(BENCH / "llama_cpp")], stdout=subprocess.PIPE, text=True,
                           env=os.environ | {"PYTHON": sys.executable}, check=False)
    if built.returncode != 0:
        raise Unavailable("llama.cpp could not be built (see above)")
    return pathlib.Path(built.stdout.strip())


def file_of(model, dtype, folder, qkv):
    """A GGUF file of random weights: bf16, or made of that by `qkv quantize`."""
    path = folder / f"{model}-random-{dtype}.gguf"
    if path.exists():
        return path
    if dtype in ("bf16", "f32"):
        subprocess.run([sys.executable, str(BENCH / "peers/gguf_random.py"), model, dtype, str(path)], check=True)
    else:
        plain = file_of(model, "bf16", folder, qkv)
        subprocess.run([qkv, "quantize", str(plain), "--type", dtype, "--out", str(path), "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def last_line(text):
    return json.loads(text.strip().splitlines()[-1])


def bytes_of_a_token(path, qkv):
    """What writing a token reads: the weights that it is multiplied by."""
    plan = subprocess.run([qkv, "plan", path, "--no-measuring", "--json", "--context", "1"], stdout=subprocess.PIPE, check=True)
    return json.loads(plan.stdout)["token"]["bytes"]


def first_token(path, folder, qkv):
    return [Command("qkv", [qkv, "generate", path, "--prompt", "a", "--max-new-tokens", 1, "--greedy", "--threads", THREADS]),
            Command("llama.cpp", [folder / "bin/llama-completion", "-m", path, "-p", "a", "-n", 1, "-c", 512, "-t", THREADS,
                                  "--temp", 0, "-no-cnv", "--no-warmup", "--no-perf"])]


def run(case, qkv, rounds):
    folder = llama_cpp()
    path = file_of(case.model, case.dtype, folder.parent, qkv)
    common = {"threads": THREADS, "packages": PACKAGES}
    rows = []

    def row(what, unit, taken, goal, more_is_better=True):
        medians = {name: statistics.median(values) for name, values in taken.items()}
        mine, peer = medians["qkv"], medians["llama.cpp"]
        rows.append({"case": f"{case.name}: {what}", "unit": unit, "qkv": mine, "peers": {"llama.cpp": peer}, "samples": taken,
                     "ratio": mine / peer if more_is_better else peer / mine, "goal": goal, **common})

    bench = [qkv, "bench", "generate", "--model", path, "--repeat", case.repeat, "--threads", THREADS]
    memory = Peer("memory", "torch_limits.py", ["read", "--threads", THREADS], 3)
    alone = take_turns([memory, Program("qkv", [*bench, "--prompt", PROMPT, "--tokens", TOKENS]),
                        Program("llama.cpp", [folder / "bin/llama-bench", "-m", path, "-t", THREADS, "-p", PROMPT, "-n", TOKENS,
                                              "-r", case.repeat, "-o", "json"])], rounds)
    memory.close()
    reading = [rate for turn in alone.pop("memory") for rate in turn["result"]["rates"]]

    def rates(name, turn, what):
        if name == "qkv":
            return turn["result"][{"writing": "decode_samples", "prompt": "prefill_samples"}[what]]
        key = {"writing": "n_gen", "prompt": "n_prompt"}[what]
        return next(one["samples_ts"] for one in turn["result"] if one[key] > 0)

    for what, title in (("writing", "writing"), ("prompt", f"prompt of {PROMPT}")):
        goal = dict(zip(TYPES, GOALS[case.model][what]))[case.dtype]
        row(title, "tokens/s", {name: [rate for turn in turns for rate in rates(name, turn, what)] for name, turns in alone.items()},
            goal)
    def share_of_reading():
        read = bytes_of_a_token(path, qkv) / 1e9 / statistics.median(reading) * 100
        shares = {name: [rate * read for turn in turns for rate in rates(name, turn, "writing")] for name, turns in alone.items()}
        medians = {name: statistics.median(values) for name, values in shares.items()}
        goal = BANDWIDTH_GOALS.get(case.model)
        verdict = f" ({'goal' if medians['qkv'] >= goal else 'missed'}: {goal} %)" if goal else ""
        rows.append({"case": f"{case.name}: writing, part of the bandwidth", "unit": "%", "qkv": medians["qkv"],
                     "peers": {"llama.cpp": medians["llama.cpp"]}, "samples": shares | {"GB/s": reading},
                     "note": f"of {statistics.median(reading):.0f} GB/s{verdict}", **common})

    share_of_reading()
    together = take_turns([Program("qkv", [*bench, "--batch", STREAMS, "--prompt", STREAMS_PROMPT, "--tokens", TOKENS]),
                           Program("llama.cpp", [folder / "bin/llama-batched-bench", "-m", path, "-t", THREADS, "-c", 4096,
                                                 "-npp", STREAMS_PROMPT, "-ntg", TOKENS, "-npl", STREAMS, "--output-format", "jsonl"],
                                   parse=last_line)], rounds)
    row(f"{STREAMS} texts together", "tokens/s",
        {name: [rate for turn in turns for rate in (turn["result"]["decode_samples"] if name == "qkv" else [turn["result"]["speed_tg"]])]
         for name, turns in together.items()}, STREAMS_GOAL)
    starts = take_turns(first_token(path, folder, qkv), 2 * rounds)
    row("start to first token", "s", {name: [turn["seconds"] for turn in turns] for name, turns in starts.items()}, START_GOAL,
        more_is_better=False)
    row("start to first token, memory", "MiB", {name: [turn["peak_bytes"] / 2**20 for turn in turns] for name, turns in starts.items()},
        MEMORY_GOAL, more_is_better=False)
    return rows
