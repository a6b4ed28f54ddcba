#!/usr/bin/env python3
"""Live comparison of heads for classes, spans and choices with transformers.

    python tests/parity/heads_parity.py --qkv build/qkv [--seed 1]

Models of random shape with each class that transformers has for it must give the same logits, hidden states, loss and
gradients in qkv; `qkv verify` compares. Prints "N passed, N failed"; exits 1 on failure.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models_parity import ROOT, Tally, randomise, verify  # noqa: E402

SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
NO_DROPOUT = ("dropout", "pdrop", "dropout_prob", "dropout_rate")


def decoder(rng, **more):
    heads = rng.choice([2, 4])
    return SPECIAL | {"vocab_size": rng.randint(50, 120), "hidden_size": heads * rng.choice([8, 12]), "num_hidden_layers": 2,
                      "num_attention_heads": heads, "num_key_value_heads": 2, "intermediate_size": rng.choice([20, 36]),
                      "max_position_embeddings": 64} | more


def gpt(rng, **more):
    heads = rng.choice([2, 4])
    return SPECIAL | {"vocab_size": rng.randint(50, 120), "n_embd": heads * 8, "n_head": heads, "n_layer": 2,
                      "n_positions": 64} | more


def bart(rng, **more):
    heads = rng.choice([1, 2])
    return {"vocab_size": rng.randint(50, 120), "d_model": heads * rng.choice([8, 12]), "encoder_layers": rng.randint(1, 2),
            "decoder_layers": rng.randint(1, 2), "encoder_attention_heads": heads, "decoder_attention_heads": heads,
            "encoder_ffn_dim": 20, "decoder_ffn_dim": 28, "max_position_embeddings": 48, "bos_token_id": 0,
            "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2} | more


def t5(rng, **more):
    return {"vocab_size": rng.randint(50, 120), "d_model": rng.choice([12, 24]), "d_kv": rng.choice([4, 6]), "d_ff": 20,
            "num_layers": 2, "num_decoder_layers": rng.randint(1, 2), "num_heads": 2, "pad_token_id": 0, "eos_token_id": 1,
            "decoder_start_token_id": 0} | more


def xlnet(rng, **more):
    return SPECIAL | {"vocab_size": rng.randint(50, 120), "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24} | more


# Family: its sizes and the classes compared.
CLASSES = {
    "GPT2": (gpt, ["SequenceClassification", "TokenClassification"]),
    "GPTNeo": (lambda rng: {**SPECIAL, "vocab_size": 77, "hidden_size": 16, "num_layers": 2, "num_heads": 2,
                            "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64},
               ["SequenceClassification", "TokenClassification"]),
    "GPTNeoX": (lambda rng: decoder(rng, hidden_size=32, num_attention_heads=4), ["SequenceClassification", "TokenClassification"]),
    "GPTJ": (lambda rng: gpt(rng, rotary_dim=4), ["SequenceClassification"]),
    "OpenAIGPT": (gpt, ["SequenceClassification"]),
    "OPT": (lambda rng: decoder(rng, ffn_dim=20, word_embed_proj_dim=12), ["SequenceClassification"]),
    "Bloom": (lambda rng: {**SPECIAL, "vocab_size": 91, "hidden_size": 16, "n_layer": 2, "n_head": 2},
              ["SequenceClassification", "TokenClassification"]),
    "Falcon": (lambda rng: {**SPECIAL, "vocab_size": 91, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
               ["SequenceClassification", "TokenClassification"]),
    "CTRL": (lambda rng: gpt(rng, dff=20), ["SequenceClassification"]),
    **{name: (decoder, ["SequenceClassification", "TokenClassification"])
       for name in ("Llama", "Mistral", "Mixtral", "Qwen2", "Qwen3", "Phi")},
    "Gemma2": (lambda rng: decoder(rng, head_dim=8), ["SequenceClassification", "TokenClassification"]),
    "Glm": (lambda rng: decoder(rng, head_dim=8), ["SequenceClassification", "TokenClassification"]),
    "Bart": (bart, ["SequenceClassification", "QuestionAnswering"]),
    "MBart": (bart, ["SequenceClassification", "QuestionAnswering"]),
    "T5": (t5, ["SequenceClassification", "TokenClassification", "QuestionAnswering"]),
    "MT5": (t5, ["SequenceClassification", "TokenClassification", "QuestionAnswering"]),
    "XLNet": (xlnet, ["SequenceClassification", "TokenClassification", "QuestionAnsweringSimple", "MultipleChoice"]),
}


def inputs_for(config, head, rng):
    """Rows of differing length, padded on the right (XLNet: left); encoder-decoders' end in an end token."""
    length = rng.randint(7, 14)
    lengths = [length, rng.randint(3, length), rng.randint(3, length), rng.randint(3, length)]
    mask = torch.tensor([[int(i < n) for i in range(length)] for n in lengths])
    if config.model_type == "xlnet":
        mask = mask.flip(1)
    ids = torch.where(mask == 1, torch.randint(3, config.vocab_size, mask.shape), config.pad_token_id)
    if config.is_encoder_decoder:
        ids[torch.arange(4), torch.tensor(lengths) - 1] = config.eos_token_id
    inputs = {"input_ids": ids, "attention_mask": mask}
    if head == "MultipleChoice":
        return {name: one.view(2, 2, length) for name, one in inputs.items()} | {"labels": torch.randint(2, (2,))}
    if head.startswith("QuestionAnswering"):
        return inputs | {name: torch.randint(3, (4,)) for name in ("start_positions", "end_positions")}
    if head == "TokenClassification":
        return inputs | {"labels": torch.where(mask == 1, torch.randint(config.num_labels, mask.shape), -100)}
    return inputs | {"labels": torch.randint(config.num_labels, (4,))}


def check(tally, qkv, family, head, rng, folder):
    torch.manual_seed(rng.getrandbits(31))
    sizes, _ = CLASSES[family]
    # transformers' BART reads back three classes, whatever was saved.
    labels = 2 if head.startswith("Question") else 3 if "Bart" in family else rng.randint(2, 5)
    config = getattr(transformers, family + "Config")(**sizes(rng), num_labels=labels)
    for key, value in vars(config).items():
        if key.endswith(NO_DROPOUT) and isinstance(value, float):
            setattr(config, key, 0.0)
    config.classifier_dropout = 0.0
    made = getattr(transformers, f"{family}For{head}")(config)
    randomise(made)
    made.save_pretrained(folder)
    model = type(made).from_pretrained(folder, attn_implementation="eager").eval()
    inputs = inputs_for(model.config, head, rng)
    result = model(**inputs, output_hidden_states=True)
    result.loss.backward()
    tensors = dict(inputs)
    for name in ("loss", "logits", "start_logits", "end_logits"):
        if getattr(result, name, None) is not None:
            tensors[name] = getattr(result, name)
    for kind in ("hidden_states", "encoder_hidden_states", "decoder_hidden_states"):
        tensors |= {f"{kind}.{i}": one for i, one in enumerate(getattr(result, kind, None) or ())}
    outputs = sorted(set(tensors) - set(inputs))
    saved = load_file(folder / "model.safetensors")  # Mixtral's experts have other names there
    tensors |= {f"grad.{name}": torch.zeros_like(p) if p.grad is None else p.grad
                for name, p in model.named_parameters() if name in saved}
    save_file({name: t.detach().clone().contiguous() for name, t in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(
        {"name": folder.name, "runs": [{"prefix": "", "flags": {}, "inputs": sorted(inputs), "outputs": outputs}]}))
    verify(tally, qkv, folder, f"{family}For{head}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build/qkv"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only families whose name contains this")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tally = Tally()
    for family, (_, heads) in CLASSES.items():
        for head in heads if options.only in family else []:
            with tempfile.TemporaryDirectory() as folder:
                check(tally, options.qkv, family, head, random.Random(f"{family} {head} {options.seed}"), pathlib.Path(folder))
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
