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
TURNS = 4  # of writing in a round: memory changes its speed
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


def bytes_of_a_token(path, dtype, qkv):
    """What writing a token reads, the weights that it is multiplied by: as qkv packs them, and as they lie in the file.
    These differ for bf16 alone, of which qkv keeps 12 bits a number."""
    plan = subprocess.run([qkv, "plan", path, "--no-measuring", "--json", "--context", "1"], stdout=subprocess.PIPE, check=True)
    token = json.loads(plan.stdout)["token"]
    return {"qkv": token["bytes"], "llama.cpp": token["flops"] if dtype == "bf16" else token["bytes"]}


def by_speed(reading):
    """[(GB/s, turns)] of the lower and the higher speed that memory had, in the turns that began and ended with it."""
    speeds = [statistics.median(rates) for rates in reading]
    between = 1.3 * min(speeds)
    found = []
    for holds in (lambda speed: speed <= between, lambda speed: speed > between):
        turns = [i for i, (before, after) in enumerate(zip(speeds, speeds[1:])) if holds(before) and holds(after)]
        if turns:
            found.append((statistics.median(speeds[i] for i in turns), turns))
    return found


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
    llama_bench = [folder / "bin/llama-bench", "-m", path, "-t", THREADS, "-r", case.repeat, "-o", "json"]

    def rates(name, turn, samples):
        return turn["result"][samples] if name == "qkv" else turn["result"][0]["samples_ts"]

    def goal_of(what):
        return dict(zip(TYPES, GOALS[case.model][what]))[case.dtype]

    memory = Peer("memory", "torch_limits.py", ["read", "--threads", THREADS], 3)
    writing = take_turns([memory, Program("qkv", [*bench, "--prompt", 8, "--tokens", TOKENS]),
                          Program("llama.cpp", [*llama_bench, "-p", 0, "-n", TOKENS])], TURNS * rounds)
    memory.close()
    reading = [turn["result"]["rates"] for turn in writing.pop("memory")]

    def rates_of(places):
        return {name: [rate for i in places for rate in rates(name, turns[i], "decode_samples")] for name, turns in writing.items()}

    every = range(TURNS * rounds)
    row("writing", "tokens/s", rates_of(every), goal_of("writing"))
    speeds = by_speed(reading)
    if len(speeds) > 1:
        for speed, places in speeds:
            row(f"writing, memory at {speed:.0f} GB/s", "tokens/s", rates_of(places), goal_of("writing"))

    def share_of_reading():
        read = bytes_of_a_token(path, case.dtype, qkv)
        speed = statistics.median(rate for rates in reading for rate in rates)
        shares = {name: [rate * read[name] / 1e7 / speed for rate in rates] for name, rates in rates_of(every).items()}
        medians = {name: statistics.median(values) for name, values in shares.items()}
        goal = BANDWIDTH_GOALS.get(case.model)
        verdict = f" ({'goal' if medians['qkv'] >= goal else 'missed'}: {goal} %)" if goal else ""
        rows.append({"case": f"{case.name}: writing, part of the bandwidth", "unit": "%", "qkv": medians["qkv"],
                     "peers": {"llama.cpp": medians["llama.cpp"]}, "samples": shares | {"GB/s": reading},
                     "note": f"of {speed:.0f} GB/s{verdict}", **common})

    share_of_reading()
    prompts = take_turns([Program("qkv", [*bench, "--prompt", PROMPT, "--tokens", 2]),
                          Program("llama.cpp", [*llama_bench, "-p", PROMPT, "-n", 0])], rounds)
    row(f"prompt of {PROMPT}", "tokens/s",
        {name: [rate for turn in turns for rate in rates(name, turn, "prefill_samples")] for name, turns in prompts.items()}, goal_of("prompt"))
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
