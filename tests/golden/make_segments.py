#!/usr/bin/env python3
"""Makes tests/golden/segments.json: log probabilities of texts that models with memories read segment by segment.

    pip install torch transformers==4.36.2 safetensors
    python tests/golden/make_segments.py

XLNet is asked for each token from those before it: the permutation is the text's own order.
"""
import json
import pathlib

import torch
import transformers

MODELS = pathlib.Path(__file__).resolve().parent / "models"
CASES = {"transfo_xl": ("TransfoXLLMHeadModel", 7), "transfo_xl_plain": ("TransfoXLLMHeadModel", 5),
         "xlnet": ("XLNetLMHeadModel", 6)}


def transfo_xl(model, ids, mems):
    out = model(input_ids=ids, mems=mems)
    return out.prediction_scores, out.mems


def xlnet(model, ids, mems):
    length = ids.shape[1]
    place = torch.arange(length)
    hidden = (place[None, :] >= place[:, None]).float()[None]
    out = model(input_ids=ids, mems=mems, use_mems=True, perm_mask=hidden, target_mapping=torch.eye(length)[None])
    return out.logits.log_softmax(-1), out.mems


@torch.no_grad()
def score(model, ids, segment):
    """The log probability of every token but the first, of one text."""
    asks = "XLNet" in type(model).__name__
    scores, mems = [], None
    for begin in range(0, len(ids), segment):
        step, mems = (xlnet if asks else transfo_xl)(model, torch.tensor([ids[begin:begin + segment]]), mems)
        scores.append(step[0])
    scores = torch.cat(scores)
    return [scores[t if asks else t - 1, ids[t]].item() for t in range(1, len(ids))]


def main():
    result = {}
    for name, (architecture, segment) in CASES.items():
        model = getattr(transformers, architecture).from_pretrained(MODELS / name).eval()
        gen = torch.Generator().manual_seed(3)
        texts = [torch.randint(5, 101, (length,), generator=gen).tolist() for length in (31, 2, 17, 2 * segment)]
        result[name] = {"segment": segment, "texts": [{"ids": ids, "log_probabilities": score(model, ids, segment)} for ids in texts]}
    (MODELS.parent / "segments.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
