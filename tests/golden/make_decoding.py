#!/usr/bin/env python3
"""Makes tests/golden/decoding: searches that transformers 5 no longer has, as version 4 did them.

    pip install torch transformers==4.36.2 safetensors
    python tests/golden/make_decoding.py

Prompts are such that weights changed by 1e-5 give the same tokens, so that sequences are to be matched exactly.
"""
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

GOLDEN = pathlib.Path(__file__).resolve().parent
MODELS = {"gpt2": ("gpt2", "GPT2LMHeadModel"), "t5": ("t5_v10", "T5ForConditionalGeneration")}
SETTINGS = {
    "groups": dict(num_beams=6, num_beam_groups=3, diversity_penalty=0.7, max_new_tokens=10, num_return_sequences=6,
                   early_stopping=True),
    "groups_of_one": dict(num_beams=3, num_beam_groups=3, diversity_penalty=2.5, max_new_tokens=12, num_return_sequences=3,
                          length_penalty=0.6, repetition_penalty=1.2, early_stopping=True),
    "groups_eos": dict(num_beams=4, num_beam_groups=2, diversity_penalty=1.0, max_new_tokens=14, num_return_sequences=2,
                       no_repeat_ngram_size=2, early_stopping=False),
    "contrastive": dict(penalty_alpha=0.6, top_k=4, max_new_tokens=16),
    "contrastive_penalised": dict(penalty_alpha=0.9, top_k=8, max_new_tokens=12, repetition_penalty=1.4),
}


def shaken(model, gen):
    other = type(model)(model.config).eval()
    other.load_state_dict({name: w * (1 + 1e-5 * torch.randn(w.shape, generator=gen)) if w.is_floating_point() else w
                           for name, w in model.state_dict().items()})
    other.tie_weights()
    return other


def record(model, name, setting, gen):
    other = shaken(model, gen)
    for _ in range(20):
        prompt = torch.randint(3, model.config.vocab_size, (2, 5), generator=gen)
        call = dict(setting, do_sample=False, eos_token_id=2)
        fixed = dict(attention_mask=torch.ones_like(prompt), pad_token_id=0)
        if name.endswith("eos"):  # a token that does come up ends the text
            free = model.generate(prompt, **fixed, **{**call, "eos_token_id": None, "num_return_sequences": 1})
            call["eos_token_id"] = int(free[0, -8])
        first, second = (m.generate(prompt, **fixed, **call, return_dict_in_generate=True, output_scores=True)
                         for m in (model, other))
        if torch.equal(first.sequences, second.sequences):
            tensors = {f"gen.{name}.input_ids": prompt, f"gen.{name}.sequences": first.sequences}
            if "num_beams" in setting:
                tensors[f"gen.{name}.sequences_scores"] = first.sequences_scores
            return tensors, call
    raise RuntimeError(f"no stable prompt for {name}")


def main():
    assert transformers.__version__.startswith("4."), "these searches are version 4's"
    for folder, (source, architecture) in MODELS.items():
        out = GOLDEN / "decoding" / folder
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for file in ("config.json", "generation_config.json", "model.safetensors"):
            shutil.copy(GOLDEN / "models" / source / file, out / file)
        model = getattr(transformers, architecture).from_pretrained(out).eval()
        gen = torch.Generator().manual_seed(11)
        tensors, calls = {}, {}
        for name, setting in SETTINGS.items():
            found, calls[name] = record(model, name, setting, gen)
            tensors |= found
        save_file({name: t.contiguous() for name, t in tensors.items()}, out / "golden.safetensors")
        (out / "golden.json").write_text(json.dumps(
            {"name": folder, "transformers": transformers.__version__, "runs": [], "generation": calls}, indent=1) + "\n")


if __name__ == "__main__":
    main()
