#!/usr/bin/env python3
"""Live comparison of qkv's models with transformers.

    python tests/parity/models_parity.py --qkv build/qkv [--seed 1] [--configurations 4] [FAMILY ...]

Two ways round, for every family: models of random shape made by transformers must give the same logits, hidden states,
attention patterns, loss, gradients and continuations in qkv (f32, bf16 and f16 files, whole and in shards); and models
trained by `qkv train` must load in transformers and give the same there, tokenizer included. `qkv verify` compares.
Prints "N passed, N failed"; exits 1 on failure.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ("logits", "loss", "hidden_states.", "attentions.", "global_attentions.", "encoder_", "decoder_hidden_states.",
           "decoder_attentions.", "cross_attentions.", "grad.", "gen.")
WORDS = "the a small old river ship king runs sees tall green house and over under quickly naïve Zürich 17 é sleeps".split()
CHECKPOINTS = (("f32", torch.float32, "5GB"), ("f32 in shards", torch.float32, "20KB"), ("bf16", torch.bfloat16, "5GB"),
               ("f16 in shards", torch.float16, "20KB"))
CONTINUATIONS = {"greedy": {"num_beams": 1}, "penalised": {"num_beams": 1, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
                 "beam": {"num_beams": 4, "length_penalty": 0.8, "early_stopping": True},
                 "patient": {"num_beams": 3, "length_penalty": 1.5, "early_stopping": False}}


class Tally:
    passed = failed = 0

    def add(self, what, passed, detail=""):
        self.passed += passed
        self.failed += not passed
        print(f"{'pass' if passed else 'FAIL'} {what}{'' if passed else ': ' + detail}", flush=True)


def gpt2(rng):
    heads = rng.choice([1, 2, 3, 4])
    return transformers.GPT2Config(
        vocab_size=rng.randint(50, 150), n_positions=rng.randint(24, 64), n_layer=rng.randint(1, 3), n_head=heads,
        n_embd=heads * rng.choice([4, 8, 12]), n_inner=rng.choice([None, 20, 36]),
        activation_function=rng.choice(["gelu_new", "gelu", "relu"]), layer_norm_epsilon=rng.choice([1e-5, 1e-3]),
        scale_attn_by_inverse_layer_idx=rng.random() < 0.3, tie_word_embeddings=rng.random() < 0.7,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


def llama(rng):
    kv_heads = rng.choice([1, 2])
    heads = kv_heads * rng.choice([1, 2, 3])
    head_dim = rng.choice([4, 8, 16])
    scaling = rng.choice([{"rope_type": "default"}, {"rope_type": "linear", "factor": 2.0},
                          {"rope_type": "dynamic", "factor": 2.0}])
    return transformers.LlamaConfig(
        vocab_size=rng.randint(50, 150), max_position_embeddings=64, num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim,
        hidden_size=heads * rng.choice([6, 8, 12]), intermediate_size=rng.choice([24, 50]),
        attention_bias=rng.random() < 0.5, mlp_bias=rng.random() < 0.5, rms_norm_eps=rng.choice([1e-6, 1e-5]),
        rope_parameters={"rope_theta": rng.choice([1e4, 5e5]), **scaling}, tie_word_embeddings=rng.random() < 0.5)


def bert(rng):
    heads = rng.choice([1, 2, 4])
    return transformers.BertConfig(
        vocab_size=rng.randint(50, 150), max_position_embeddings=rng.randint(24, 64), num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=heads, hidden_size=heads * rng.choice([4, 8, 12]), intermediate_size=rng.choice([20, 64]),
        type_vocab_size=rng.choice([1, 2, 3]), hidden_act=rng.choice(["gelu", "relu", "gelu_new"]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def deberta_v2(rng):
    heads = rng.choice([1, 2, 4])
    positions = rng.randint(24, 64)
    absolute = rng.random() < 0.3
    return transformers.DebertaV2Config(
        vocab_size=rng.randint(50, 150), max_position_embeddings=positions, num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=heads, hidden_size=heads * rng.choice([4, 8, 12]), intermediate_size=rng.choice([20, 64]),
        relative_attention=True, pos_att_type=rng.choice([["c2p"], ["p2c"], ["p2c", "c2p"]]), share_att_key=rng.random() < 0.5,
        position_buckets=rng.choice([-1, 4, 8]), norm_rel_ebd=rng.choice(["none", "layer_norm"]),
        conv_kernel_size=rng.choice([0, 0, 3, 5]), conv_act="gelu", position_biased_input=absolute,
        type_vocab_size=rng.choice([0, 2]), legacy=rng.random() < 0.5, layer_norm_eps=rng.choice([1e-7, 1e-5]),
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def xlnet(rng):
    heads = rng.choice([1, 2, 4])
    return transformers.XLNetConfig(
        vocab_size=rng.randint(50, 150), n_layer=rng.randint(1, 3), n_head=heads, d_model=heads * rng.choice([4, 8, 12]),
        d_inner=rng.choice([20, 64]), ff_activation=rng.choice(["gelu", "relu"]), mem_len=rng.choice([None, 4, 9, 64]),
        clamp_len=rng.choice([-1, 5]), layer_norm_eps=rng.choice([1e-12, 1e-5]), dropout=0.0)


def mamba(rng):
    return transformers.MambaConfig(
        vocab_size=rng.randint(50, 150), hidden_size=rng.choice([12, 24]), state_size=rng.choice([4, 8]),
        num_hidden_layers=rng.randint(1, 3), conv_kernel=rng.choice([3, 4]), expand=2, time_step_rank=rng.choice([2, 4]),
        use_bias=rng.random() < 0.3, use_conv_bias=rng.random() < 0.7, residual_in_fp32=False)


def longformer(rng):
    heads = rng.choice([1, 2, 4])
    layers = rng.randint(1, 3)
    return transformers.LongformerConfig(
        vocab_size=rng.randint(50, 150), max_position_embeddings=rng.randint(48, 64), num_hidden_layers=layers,
        num_attention_heads=heads, hidden_size=heads * rng.choice([4, 8, 12]), intermediate_size=rng.choice([20, 64]),
        attention_window=[rng.choice([4, 8, 16]) for _ in range(layers)], type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def t5(rng, kind="T5", **special):
    heads = rng.choice([1, 2, 4])
    layers = rng.randint(1, 3)  # transformers' cache has no room for a decoder of more layers than its encoder
    return getattr(transformers, f"{kind}Config")(
        vocab_size=rng.randint(50, 150), d_model=rng.choice([12, 24]), d_kv=rng.choice([4, 6, 8]), d_ff=rng.choice([20, 40]),
        num_layers=layers, num_decoder_layers=rng.randint(1, layers), num_heads=heads, dropout_rate=0.0,
        relative_attention_num_buckets=rng.choice([8, 16]), relative_attention_max_distance=rng.choice([12, 40]),
        layer_norm_epsilon=rng.choice([1e-6, 1e-5]), decoder_start_token_id=0, **special)


def t5_plain(rng):
    return t5(rng, feed_forward_proj=rng.choice(["relu", "gated-gelu", "gated-silu"]))


def mt5(rng):
    return t5(rng, "MT5", feed_forward_proj="gated-gelu")


def switch_transformers(rng):
    config = t5(rng, "SwitchTransformers", num_experts=rng.choice([2, 4]), expert_capacity=rng.choice([3, 64]),
                num_sparse_encoder_layers=1, num_sparse_decoder_layers=1, router_jitter_noise=0.0)
    # Where every layer is sparse, transformers forgets the routers' losses.
    config.num_layers = config.num_decoder_layers = config.encoder_sparse_step = config.decoder_sparse_step = rng.choice([2, 3])
    return config


def bart(rng, kind="Bart", **special):
    heads = rng.choice([1, 2, 4])
    width = heads * rng.choice([4, 8, 12])
    return getattr(transformers, f"{kind}Config")(**(dict(
        vocab_size=rng.randint(50, 150), max_position_embeddings=rng.randint(32, 64), d_model=width,
        encoder_layers=rng.randint(1, 3), decoder_layers=rng.randint(1, 3), encoder_attention_heads=heads,
        decoder_attention_heads=rng.choice([1, heads]), encoder_ffn_dim=rng.choice([20, 48]), decoder_ffn_dim=rng.choice([20, 48]),
        activation_function=rng.choice(["gelu", "relu", "swish"]), scale_embedding=rng.random() < 0.5, dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, decoder_start_token_id=2, forced_eos_token_id=2) | special))


FAMILIES = {
    "gpt2": (gpt2, AutoModelForCausalLM),
    "llama": (llama, AutoModelForCausalLM),
    "bert": (bert, AutoModelForMaskedLM),
    "deberta-v2": (deberta_v2, AutoModelForMaskedLM),
    "longformer": (longformer, AutoModelForMaskedLM),
    "mamba": (mamba, AutoModelForCausalLM),
    "xlnet": (xlnet, AutoModelForCausalLM),
    "t5": (t5_plain, AutoModelForSeq2SeqLM),
    "mt5": (mt5, AutoModelForSeq2SeqLM),
    "switch_transformers": (switch_transformers, AutoModelForSeq2SeqLM),
    "bart": (bart, AutoModelForSeq2SeqLM),
    "mbart": (lambda rng: bart(rng, "MBart"), AutoModelForSeq2SeqLM),
    "pegasus": (lambda rng: bart(rng, "Pegasus"), AutoModelForSeq2SeqLM),
    "marian": (lambda rng: bart(rng, "Marian"), AutoModelForSeq2SeqLM),
}


def randomise(model):
    """Values that matter for every weight, bias and norm, so that one left out or turned round shows."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" in name and model.config.model_type in ("marian", "pegasus"):
                continue  # sines and cosines, not weights
            norm = "norm" in name.lower() or ".ln_" in name
            weight.copy_(torch.randn_like(weight) * (0.2 if weight.dim() < 2 else 0.5 / weight.shape[-1] ** 0.25)
                         + (1.0 if norm and name.endswith("weight") else 0.0))


def inputs_for(model, rng):
    """Rows of differing length, padded on the right; labels as the task has them."""
    c = model.config
    length = rng.randint(8, 20)
    lengths = [length, rng.randint(3, length), rng.randint(3, length)]
    mask = torch.tensor([[int(i < n) for i in range(length)] for n in lengths])
    ids = torch.randint(3, c.vocab_size, mask.shape) * mask
    labels = torch.where(mask == 1, ids, -100)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if c.is_encoder_decoder:
        targets = torch.randint(3, c.vocab_size, (3, rng.randint(3, 9)))
        start = torch.full((3, 1), c.decoder_start_token_id)
        return inputs | {"labels": targets, "decoder_input_ids": torch.cat([start, targets[:, :-1]], 1)}
    if not model.can_generate() or c.model_type == "bert":
        if getattr(c, "type_vocab_size", 0) > 0:
            inputs["token_type_ids"] = torch.randint(0, c.type_vocab_size, mask.shape) * mask
        labels[torch.rand(mask.shape) < 0.5] = -100
        labels[:, 0] = ids[:, 0]
    if c.model_type == "longformer":
        inputs["global_attention_mask"] = (torch.rand(mask.shape) < 0.15).long() * mask
        inputs["global_attention_mask"][0, 0] = 1
    return inputs | {"labels": labels}


def continuations(model, rng):
    """Tensors and settings of continuations that weights changed by 1e-5 leave the same, so that they are no toss-ups."""
    tensors, settings = {}, {}
    nudged = type(model)(model.config).eval()
    nudged.load_state_dict({name: w * (1 + 1e-5 * torch.randn_like(w)) if w.is_floating_point() else w
                            for name, w in model.state_dict().items()})
    for name, special in CONTINUATIONS.items():
        setting = {"do_sample": False, "max_new_tokens": 10, "eos_token_id": 2, **special}
        for _ in range(8):
            prompt = torch.randint(3, model.config.vocab_size, (2, rng.randint(2, 8)))
            call = dict(input_ids=prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0,
                        return_dict_in_generate=True, output_scores=True, **setting)
            result, other = model.generate(**call), nudged.generate(**call)
            if torch.equal(result.sequences, other.sequences):
                tensors |= {f"gen.{name}.input_ids": prompt, f"gen.{name}.sequences": result.sequences}
                if setting["num_beams"] > 1:
                    tensors[f"gen.{name}.sequences_scores"] = result.sequences_scores
                settings[name] = setting
                break
    return tensors, settings


def write_golden(directory, auto, rng):
    """What transformers makes of the checkpoint in `directory`, for qkv verify; returns how many results."""
    model = auto.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    inputs = inputs_for(model, rng)
    routers = {"output_router_logits": True} if hasattr(model.config, "router_z_loss_coef") else {}
    result = model(**inputs, output_hidden_states=True, output_attentions=True, **routers)
    result.loss.backward()
    tensors = dict(inputs) | {"loss": result.loss, "logits": result.logits}
    for kind in ["hidden_states", "attentions", "global_attentions", "encoder_hidden_states", "encoder_attentions",
                 "decoder_hidden_states", "decoder_attentions", "cross_attentions"]:
        tensors |= {f"{kind}.{i}": one for i, one in enumerate(getattr(result, kind, None) or ())}
    outputs = sorted(set(tensors) - set(inputs))
    tensors |= {f"grad.{name}": torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}
    settings = {}
    if model.can_generate() and model.config.model_type != "bert":
        with torch.no_grad():
            generated, settings = continuations(model, rng)
        tensors |= generated
    save_file({name: t.detach().clone().contiguous() for name, t in tensors.items()}, directory / "golden.safetensors")
    (directory / "golden.json").write_text(json.dumps({
        "name": directory.name, "runs": [{"prefix": "", "flags": {}, "inputs": sorted(inputs), "outputs": outputs}],
        "generation": settings}), encoding="utf-8")


def verify(tally, qkv, directory, what):
    """Runs qkv verify; every result of the golden file must be among those compared."""
    done = subprocess.run([qkv, "verify", "--json", str(directory)], capture_output=True, text=True, check=False)
    if not done.stdout:
        tally.add(what, False, done.stderr.strip())
        return
    compared = json.loads(done.stdout)[str(directory)]
    for name, one in compared.items():
        if not one["passed"]:
            tally.add(f"{what} {name}", False, f"error {one['error']} above {one['tolerance']}")
    with safe_open(directory / "golden.safetensors", "pt") as golden:
        expected = {name for name in golden.keys() if name.startswith(RESULTS) and not name.endswith(("input_ids", "mask"))}
    tally.add(f"{what}: every result compared", expected <= set(compared), f"left out: {sorted(expected - set(compared))}")
    agreed = sum(one["passed"] for one in compared.values())
    tally.passed += agreed
    print(f"{what}: {agreed} of {len(compared)} agree", flush=True)


def check_random(tally, qkv, family, count, seed, folder):
    make, auto = FAMILIES[family]
    for number in range(count):
        rng = random.Random(f"{family} {seed} {number}")
        torch.manual_seed(rng.getrandbits(31))
        config = make(rng)
        config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 0
        model = auto.from_config(config)
        randomise(model)
        # Tables of sines in a half-precision file are rounded there; qkv computes them.
        kinds = CHECKPOINTS[:2] if family in ("marian", "pegasus") else CHECKPOINTS
        name, dtype, shard = kinds[number % len(kinds)]
        directory = folder / f"{family}-{number}"
        model.to(dtype).save_pretrained(directory, max_shard_size=shard)
        write_golden(directory, auto, rng)
        verify(tally, qkv, directory, f"{family}, random shape {number}, {name}")


def corpus(seed):
    rng = random.Random(seed)
    return "\n".join(" ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 12))).capitalize() + "." for _ in range(1500))


def check_trained(tally, qkv, family, seed, folder):
    auto = FAMILIES[family][1]
    text, directory = folder / "text.txt", folder / f"{family}-trained"
    text.write_text(corpus(seed), encoding="utf-8")
    done = subprocess.run([qkv, "train", str(text), "--out", str(directory), "--family", family, "--layers", "2", "--heads",
                           "2", "--width", "32", "--context", "48", "--vocab-size", "300", "--steps", "40", "--batch", "4",
                           "--warmup-steps", "5", "--lr", "3e-3", "--eval-every", "0", "--dtype", "f32"],
                          capture_output=True, text=True, check=False)
    tally.add(f"{family}: qkv train", done.returncode == 0, done.stderr[-400:])
    if done.returncode != 0:
        return
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for line in ["The old king sees", "Zürich 17 naïve\n\nships ", "unseen: 😀 \t words"]:
        shown = subprocess.run([qkv, "tokenize", str(directory), "--json", "--", line], capture_output=True, text=True, check=False)
        ours = json.loads(shown.stdout)["ids"] if shown.returncode == 0 else shown.stderr
        theirs = tokenizer(line).input_ids
        tally.add(f"{family}: trained tokenizer, {line!r}", ours == theirs, f"qkv {ours}, transformers {theirs}")
    rng = random.Random(seed)
    torch.manual_seed(seed)
    write_golden(directory, auto, rng)
    verify(tally, qkv, directory, f"{family}, trained by qkv")
    # Written back by transformers, the same model.
    copy = folder / f"{family}-saved-again"
    auto.from_pretrained(directory).save_pretrained(copy)
    write_golden(copy, auto, rng)
    verify(tally, qkv, copy, f"{family}, trained by qkv and saved by transformers")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--qkv", default=str(ROOT / "build/qkv"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--configurations", type=int, default=8, help="random shapes a family")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tally = Tally()
    for family in options.families or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            check_random(tally, options.qkv, family, options.configurations, options.seed, pathlib.Path(folder))
            check_trained(tally, options.qkv, family, options.seed, pathlib.Path(folder))
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
