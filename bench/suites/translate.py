"""Writing by encoder-decoders against CTranslate2: the shapes of t5-small and opus-mt-en-de with random weights."""
import dataclasses
import itertools
import json
import pathlib
import random
import statistics
import tempfile

from contestants import Peer, Program, THREADS, Unavailable, take_turns

PACKAGES = ("ctranslate2", "transformers")
GOAL = 1.2
SOURCE, TOKENS = 24, 32
T5 = ("T5ForConditionalGeneration", dict(
    vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_decoder_layers=6, num_heads=8,
    feed_forward_proj="relu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0))
MARIAN = ("MarianMTModel", dict(
    vocab_size=58101, d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8,
    encoder_ffn_dim=2048, decoder_ffn_dim=2048, max_position_embeddings=512, activation_function="swish", scale_embedding=True,
    pad_token_id=58100, eos_token_id=0, bos_token_id=0, decoder_start_token_id=58100, forced_eos_token_id=None))


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    model: tuple
    beams: int
    batch: int
    dtype: str


def cases(quick):
    return [Case(f"{name}, {'greedy' if beams == 1 else f'{beams} beams'}, batch {batch}, {dtype}", model, beams, batch, dtype)
            for (name, model), dtype, beams, batch in itertools.product((("T5-small", T5), ("Marian", MARIAN)), ("f32", "int8"),
                                                                        (1, 4), (1, 16))]


def run(case, qkv, rounds):
    repeat = 3
    name, sizes = case.model
    with tempfile.TemporaryDirectory() as folder:
        models, sources = pathlib.Path(folder, "models"), pathlib.Path(folder, "sources.json")
        drawn = random.Random(1)
        sources.write_text(json.dumps([[drawn.randrange(3, sizes["vocab_size"] - 1) for _ in range(SOURCE)]
                                       for _ in range(case.batch)]), encoding="utf-8")
        options = ["--tokens", TOKENS, "--beams", case.beams, "--threads", THREADS]
        peer = Peer("CTranslate2", "ct2_translate.py", [name, json.dumps(sizes), models, sources, "--dtype",
                                                       {"f32": "float32", "int8": "int8"}[case.dtype], *options], repeat)
        try:
            ours = Program("qkv", [qkv, "bench", "translate", models / "hf", "--sources", sources, "--repeat", repeat, *options,
                                   *(["--int8"] if case.dtype == "int8" else [])])
            results = take_turns([ours, peer], rounds)
        finally:
            peer.close()
    written = case.batch * TOKENS
    samples = {name: [written / s for turn in turns for s in turn["result"]["seconds"]] for name, turns in results.items()}
    rates = {name: statistics.median(values) for name, values in samples.items()}
    texts = [turns[0]["result"]["ids"] for turns in results.values()]
    if any(len(text) != TOKENS for one in texts for text in one):
        raise Unavailable("a row has fewer tokens than asked for")
    mine = rates.pop("qkv")
    return [{"case": case.name, "unit": "tokens/s", "qkv": mine, "peers": rates, "goal": GOAL,
             "ratio": mine / max(rates.values()), "samples": samples, "threads": THREADS, "packages": PACKAGES,
             "equal_rows": sum(a == b for a, b in zip(*texts)) / case.batch}]
