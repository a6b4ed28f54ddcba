"""Files of weights against PyTorch and transformers: what torch.save writes is read to the bit, in both its formats and
in shards, and what `qkv convert` writes loads in transformers as the model that it was.

    scripts/with-python tests/parity/checkpoints_parity.py --qkv build/qkv [--seed 1]
"""
import argparse
import json
import random
import subprocess
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool]


def random_tensor(rng):
    """A tensor of any type: dense, transposed, a part of another, a single number or nothing."""
    shape = [rng.randint(1, 7) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.1 and shape:
        shape[0] = 0
    dtype = rng.choice(DTYPES)
    x = torch.randint(-100, 100, shape)
    x = x > 0 if dtype == torch.bool else (x / 7).to(dtype) if dtype.is_floating_point else x.to(dtype)
    kind = rng.randint(0, 3)
    if kind == 1 and x.dim() >= 2:
        x = x.transpose(0, x.dim() - 1)
    if kind == 2 and x.dim() >= 1 and x.shape[0] > 2:
        x = x[1:-1]
    if kind == 3 and x.dim() >= 2 and x.shape[-1] > 2:
        x = x[..., ::2]
    return x


def random_state(rng):
    state = OrderedDict((f"block.{i}.w{rng.randint(0, 99)}.{i}", random_tensor(rng)) for i in range(rng.randint(1, 30)))
    first = next(iter(state))
    state["shared"] = state[first]
    return state


def same(a, b):
    """Equal to the bit, whatever order the names have."""
    def bits(x):
        return x.contiguous().reshape(-1).view(torch.uint8) if x.numel() else x.reshape(-1).to(torch.uint8)
    return set(a) == set(b) and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(bits(a[k]), bits(b[k])) for k in a)


class Comparison:
    def __init__(self, qkv):
        self.qkv, self.passed, self.failed = qkv, 0, 0

    def check(self, name, good):
        self.passed += good
        self.failed += not good
        if not good:
            print(f"  {name}: differs")

    def convert(self, *arguments):
        done = subprocess.run([self.qkv, "convert", *map(str, arguments), "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"  {arguments}: {done.stderr}")
        return done.returncode == 0


def files_of_tensors(comparison, folder, rng):
    for trial in range(20):
        state = random_state(rng)
        source = folder / f"state{trial}"
        source.mkdir()
        (source / "config.json").write_text("{}")
        legacy = trial % 2 == 1
        torch.save(state, source / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
        name = f"state {trial}{' (legacy)' if legacy else ''}"
        comparison.convert(source, folder / f"safe{trial}")
        comparison.check(f"{name} read", same(state, load_file(folder / f"safe{trial}" / "model.safetensors")))
        comparison.convert(folder / f"safe{trial}", folder / f"bin{trial}", "--to", "bin")
        for weights_only in [True, False]:
            written = torch.load(folder / f"bin{trial}" / "pytorch_model.bin", weights_only=weights_only)
            comparison.check(f"{name} written", same(state, written))
        mapped = torch.load(folder / f"bin{trial}" / "pytorch_model.bin", mmap=True)
        comparison.check(f"{name} mapped", same(state, mapped))


def save_as_bin(model, folder, shards):
    """As transformers 4 did; 5 writes safetensors alone."""
    state = model.state_dict()
    folder.mkdir()
    model.config.save_pretrained(folder)
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    names = list(state)
    weight_map = {}
    for i in range(shards):
        file = f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
        part = {name: state[name].clone() for name in names[i::shards]}
        weight_map.update({name: file for name in part})
        torch.save(part, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def models(comparison, folder, seed):
    small = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 37, "max_position_embeddings": 40}
    for kind, config in [("BertForPreTraining", transformers.BertConfig(**small)),
                         ("GPT2LMHeadModel", transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4)),
                         ("AlbertForMaskedLM", transformers.AlbertConfig(**small)),
                         ("LlamaForCausalLM", transformers.LlamaConfig(**small))]:
        torch.manual_seed(seed)
        model = getattr(transformers, kind)(config).eval()
        ids = torch.randint(0, 99, (2, 9))
        with torch.no_grad():
            expected = model(ids)[0]
        for shards in [1, 3]:
            source = folder / f"{kind}{shards}"
            save_as_bin(model, source, shards)
            for to in ["safetensors", "bin"]:
                target = folder / f"{kind}{shards}-{to}"
                comparison.convert(source, target, "--to", to, *(["--max-shard-size", "20KB"] if shards > 1 else []))
                with torch.no_grad():
                    loaded = getattr(transformers, kind).from_pretrained(target).eval()
                    comparison.check(f"{kind}, {shards} files to {to}", torch.equal(loaded(ids)[0], expected))
            half = folder / f"{kind}{shards}-half"
            comparison.convert(source, half, "--dtype", "bf16")
            loaded = getattr(transformers, kind).from_pretrained(half, dtype="auto")
            comparison.check(f"{kind}, {shards} files to bf16", loaded.dtype == torch.bfloat16 and all(
                torch.equal(p, q.bfloat16()) for p, q in zip(loaded.parameters(), model.parameters())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default="build/qkv")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    comparison = Comparison(options.qkv)
    with tempfile.TemporaryDirectory() as folder:
        files_of_tensors(comparison, Path(folder), random.Random(options.seed))
        models(comparison, Path(folder), options.seed)
    print(f"{comparison.passed} passed, {comparison.failed} failed")
    return 1 if comparison.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
