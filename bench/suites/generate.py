"""GPT-2 124M, batch 1: reading a prompt of 512 tokens and greedy writing, against transformers and llama.cpp. On a GPU a
Llama too, one text and many together, against transformers as it is and with a static cache and compiled steps."""
import dataclasses
import statistics

from card_sizes import LLAMA, words
from contestants import DEVICE, Peer, Program, THREADS, Unavailable, take_turns
from suites import quantised

PACKAGES = ("torch", "transformers")
PROMPT, TOKENS = 512, 64
# Of decoding: at least this much of llama.cpp and of transformers; of reading: of the best of both.
GOALS = {"f32": {"decode": {"llama.cpp": 1.1, "transformers": 3.0}, "prefill": 1.3},
         "bf16": {"decode": {"llama.cpp": 1.2}, "prefill": 1.3}}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    dtype: str
    repeat: int
    sizes: dict = dataclasses.field(default_factory=dict)  # of another model than GPT-2
    batch: int = 1
    tokens: int = TOKENS


def cases(quick):
    if DEVICE != "cpu":
        return [Case("GPT-2 124M, bf16", "bf16", 3), *(
            Case(f"Llama 1.1B, bf16, {batch} text{'s' if batch > 1 else ''}", "bf16", 2 if quick else 3, LLAMA, batch, 256)
            for batch in (1, 64))]
    return [Case(f"GPT-2 124M, {dtype}", dtype, 2 if quick else 3) for dtype in ("f32", "bf16")]


def llama_bench(case, qkv):
    """llama-bench on a random model, both made on first use."""
    folder = quantised.llama_cpp()
    model = quantised.file_of("gpt2", case.dtype, folder.parent, qkv)
    return Program("llama.cpp", [folder / "bin/llama-bench", "-m", model, "-t", THREADS, "-p", PROMPT, "-n", TOKENS,
                                 "-r", case.repeat, "-o", "json"])


def samples(name, result):
    """(prefill, decode) rates of one turn."""
    if name == "qkv":
        return result["prefill_samples"], result["decode_samples"]
    if name == "llama.cpp":
        return tuple(next(one["samples_ts"] for one in result if one[key] > 0) for key in ("n_prompt", "n_gen"))
    return result["prefill"], result["decode"]


def run(case, qkv, rounds):
    options = [*words(case.sizes), "--dtype", case.dtype, "--prompt", PROMPT, "--tokens", case.tokens, "--threads", THREADS,
               "--batch", case.batch]
    ours = Program("qkv", [qkv, "bench", "generate", *options, "--repeat", case.repeat])
    contestants, notes = [ours], []
    transformers = lambda name, *how: Peer(name, "torch_generate.py", [*options, *how], case.repeat)  # noqa: E731
    makers = [lambda: llama_bench(case, qkv), lambda: transformers("transformers")]
    if DEVICE != "cpu":
        makers[0] = lambda: transformers("transformers, compiled", "--static")
    for make in makers:
        try:
            contestants.append(make())
        except Unavailable as why:
            notes.append(str(why))
    try:
        results = take_turns(contestants, rounds)
    finally:
        for one in contestants:
            one.close()
    rows = []
    for place, what in enumerate(("prefill", "decode")):
        taken = {name: [rate for turn in turns for rate in samples(name, turn["result"])[place]]
                 for name, turns in results.items()}
        rates = {name: statistics.median(values) for name, values in taken.items()}
        mine = rates.pop("qkv")
        goal = GOALS[case.dtype][what] if DEVICE == "cpu" else None
        common = {"unit": "tokens/s", "qkv": mine, "samples": taken, "threads": THREADS, "packages": PACKAGES,
                  "peak_mib": {name: max(t["peak_bytes"] for t in turns) / 2**20 for name, turns in results.items()}}
        if notes:
            common["note"] = "; ".join(notes)
        if goal is None or what == "prefill":
            title = f"prompt of {PROMPT}" if what == "prefill" else "writing"
            rows.append({"case": f"{case.name}: {title}", "peers": rates, "goal": goal,
                         "ratio": mine / max(rates.values()) if rates else None, **common})
            continue
        for peer, value in goal.items():
            if peer in rates:
                rows.append({"case": f"{case.name}: writing, beside {peer}", "peers": {peer: rates[peer]}, "goal": value,
                             "ratio": mine / rates[peer], **common})
    return rows
