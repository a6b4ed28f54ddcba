"""GGUF against its own tools. Blocks are taken apart as the `gguf` package does, to the bit; its reader reads what
`qkv convert` and `qkv quantize` write; and llama.cpp loads those files, cuts text into the same tokens and goes on with the
same ones (where bench/llama_cpp has built it), and gives the logits that transformers gives and the types that `qkv
quantize` gives (where llama-cpp-python is installed).

    scripts/with-python tests/parity/gguf_parity.py --qkv build/qkv [--seed 1]

Neither is needed, since both compile llama.cpp; what was skipped without them is said at the end, with how to get it.
"""
import argparse
import base64
import ctypes
import json
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
BLOCKS = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K,
          Type.IQ4_NL]


class Comparison:
    def __init__(self, qkv):
        self.qkv, self.passed, self.failed = qkv, 0, 0
        self.skipped = []

    def check(self, name, good, detail=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"  {name}: differs {detail}")

    def run(self, *arguments):
        done = subprocess.run([self.qkv, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"  qkv {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout if done.returncode == 0 else None


def random_blocks(rng, kind, rows, columns):
    """Any bytes at all, but halves that are finite numbers of a usual size."""
    length, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows, columns // length, size), dtype=np.uint8)
    halves = {Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
              Type.Q4_1: [0, 2], Type.Q5_1: [0, 2]}.get(kind, [0])
    for at in halves:
        half = rng.normal(0, 0.01, data.shape[:2]).astype(np.float16)
        data[:, :, at:at + 2] = half[..., None].view(np.uint8)
    return data.reshape(rows, -1)


def blocks(comparison, folder, rng):
    """A Llama whose matrices are random blocks, converted to safetensors."""
    width, hidden, vocab = 256, 512, 40
    for kind in BLOCKS:
        path = folder / f"{kind.name}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for add, value in [(writer.add_context_length, 32), (writer.add_embedding_length, width),
                           (writer.add_block_count, 1), (writer.add_feed_forward_length, hidden),
                           (writer.add_head_count, 4), (writer.add_head_count_kv, 4),
                           (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 10000.0)]:
            add(value)
        stored = {}
        shapes = {"token_embd": (vocab, width), "output": (vocab, width), "blk.0.attn_q": (width, width),
                  "blk.0.attn_k": (width, width), "blk.0.attn_v": (width, width), "blk.0.attn_output": (width, width),
                  "blk.0.ffn_gate": (hidden, width), "blk.0.ffn_up": (hidden, width), "blk.0.ffn_down": (width, hidden)}
        for name, (rows, columns) in shapes.items():
            stored[name] = random_blocks(rng, kind, rows, columns)
            writer.add_tensor(name + ".weight", stored[name], raw_dtype=kind)
        for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"]:
            writer.add_tensor(name + ".weight", np.ones(width, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if comparison.run("convert", path, folder / kind.name, "--quiet") is None:
            comparison.check(kind.name, False)
            continue
        read = load_file(folder / kind.name / "model.safetensors")
        for ours, theirs in [("model.embed_tokens", "token_embd"), ("lm_head", "output"),
                             ("model.layers.0.self_attn.v_proj", "blk.0.attn_v"),
                             ("model.layers.0.mlp.up_proj", "blk.0.ffn_up"),
                             ("model.layers.0.mlp.down_proj", "blk.0.ffn_down")]:
            want = gguf.quants.dequantize(stored[theirs], kind)
            got = read[ours + ".weight"].numpy()
            comparison.check(f"{kind.name} {theirs}", np.array_equal(got, want), np.abs(got - want).max())


def tiny(kind, vocab):
    """A small model with random weights whose rows fill blocks of 256."""
    torch.manual_seed(1)
    common = dict(vocab_size=vocab, hidden_size=256, num_hidden_layers=3, num_attention_heads=4, intermediate_size=512,
                  max_position_embeddings=256, initializer_range=0.06)
    configs = {
        "gpt2": lambda: transformers.GPT2Config(vocab_size=vocab, n_embd=256, n_layer=3, n_head=4, n_positions=256,
                                                initializer_range=0.06),
        "llama": lambda: transformers.LlamaConfig(**common, num_key_value_heads=2),
        "llama3": lambda: transformers.LlamaConfig(
            **common, num_key_value_heads=2, rope_parameters={
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
        "llama_yarn": lambda: transformers.LlamaConfig(
            **common, num_key_value_heads=2, rope_parameters={
                "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "attention_factor": 1.5,
                "original_max_position_embeddings": 64}),
        "mistral": lambda: transformers.MistralConfig(**common, num_key_value_heads=2, sliding_window=128),
        "qwen2": lambda: transformers.Qwen2Config(**common, num_key_value_heads=2),
        "qwen3": lambda: transformers.Qwen3Config(**common, num_key_value_heads=2, head_dim=64),
        "gemma2": lambda: transformers.Gemma2Config(**common, num_key_value_heads=2, head_dim=64,
                                                    query_pre_attn_scalar=64, sliding_window=16),
        "phi": lambda: transformers.PhiConfig(**common),
        "gpt_neox": lambda: transformers.GPTNeoXConfig(**common),
        "falcon": lambda: transformers.FalconConfig(vocab_size=vocab, hidden_size=256, num_hidden_layers=3,
                                                    num_attention_heads=4, multi_query=True, parallel_attn=True,
                                                    bias=False, initializer_range=0.06),
        "bloom": lambda: transformers.BloomConfig(vocab_size=vocab, hidden_size=256, n_layer=3, n_head=4,
                                                  initializer_range=0.06),
    }
    model = transformers.AutoModelForCausalLM.from_config(configs[kind](), dtype=torch.float32)
    with torch.no_grad():  # biases and norms that are not trivial
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
    return model.eval()


# And the tokenizer that each is given.
KINDS = {"gpt2": "gpt2", "llama": "llama", "llama3": "llama3", "llama_yarn": "llama", "qwen3": "gpt2", "mistral": "llama",
         "qwen2": "gpt2", "gemma2": "llama", "phi": "gpt2", "gpt_neox": "gpt2", "falcon": "gpt2", "bloom": "gpt2"}


def reader(comparison, path, source):
    """What we wrote, as the format's own package reads it."""
    read = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in read.fields.items()}
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tokens = fields["tokenizer.ggml.tokens"]
    comparison.check(f"{path.name} tokens", all(tokens[i] == t for t, i in tokenizer.get_vocab().items()))
    state = load_file(source / "model.safetensors")
    total = sum(int(np.prod(t.shape)) for t in read.tensors if t.name != "rope_freqs.weight")
    wanted = sum(t.numel() for name, t in state.items() if not name.endswith((".attn.bias", ".masked_bias")))
    comparison.check(f"{path.name} numbers", total == wanted, f"{total} {wanted}")


def quiet_llama(llama_cpp, path):
    return llama_cpp.Llama(str(path), n_ctx=64, n_threads=1, logits_all=True, verbose=False, n_gpu_layers=0)


def llama_logits(llama, ids):
    llama.reset()
    llama.eval(ids)
    return np.array(llama.scores[:len(ids)])


def built_llama_cpp():
    """llama.cpp's program that completes texts, where bench/llama_cpp has built it."""
    cache = os.environ.get("QKV_BENCH_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qkv-bench"
    found = sorted(Path(cache).glob("llama.cpp-*/bin/llama-completion"))
    return found[-1] if found else None


def completed(program, path, text, count):
    """The tokens of a text and of what llama.cpp goes on with, each the likeliest, all computed in f32. They are read from
    the file that it keeps for another time: its standard output may lack the last ones, and some tokens have no text."""
    kept = path.parent / "completed"
    kept.unlink(missing_ok=True)
    command = [program, "-m", path, "-p", text, "-n", count, "--temp", 0, "-c", 128, "-t", 1, "--no-warmup", "-no-cnv",
               "--no-escape", "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--prompt-cache", kept, "--prompt-cache-all"]
    done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if done.returncode != 0 or not kept.exists():
        return done.stderr.decode(errors="replace")[-2000:]
    content = kept.read_bytes()
    (length,) = struct.unpack_from("<I", content, 8)
    return list(struct.unpack_from(f"<{length}i", content, 12))


def completions(comparison, program, kind, path, texts):
    """llama.cpp reads and goes on with what we wrote as we do."""
    for text in texts:
        said = comparison.run("generate", path, "--prompt", text, "--greedy", "-n", 24, "--json", "--quiet")
        said = json.loads(said or '{"prompt_ids": [], "ids": []}')
        ours, theirs = said["prompt_ids"] + said["ids"], completed(program, path, text, 24)
        comparison.check(f"{kind}: llama.cpp's completion of {text!r}", theirs == ours, f"{theirs} {ours}")


def models(comparison, folder, llama_cpp, program):
    texts = ["Hello, world! It is 12345 o'clock.", "The naïve café\n\n  serves tea."]
    for kind, words in KINDS.items():
        source = folder / kind
        tokenizer_files = GOLDEN / "tokenizers" / words
        described = json.loads((tokenizer_files / "tokenizer.json").read_text())
        vocab = max([*described["model"]["vocab"].values(), *(t["id"] for t in described["added_tokens"])]) + 65
        model = tiny(kind, vocab)
        model.save_pretrained(source)
        for file in tokenizer_files.iterdir():
            if file.name != "cases.jsonl":
                shutil.copy(file, source)
        path = folder / f"{kind}.gguf"
        if comparison.run("convert", source, path, "--quiet") is None:
            comparison.check(kind, False)
            continue
        reader(comparison, path, source)
        ids = [json.loads(comparison.run("tokenize", source, text, "--json"))["ids"] for text in texts]
        with torch.no_grad():
            want = [model(torch.tensor([row])).logits[0].numpy() for row in ids]
        if program is not None:
            completions(comparison, program, kind, path, texts)
        if llama_cpp is None:
            continue
        llama = quiet_llama(llama_cpp, path)
        for text, row, logits in zip(texts, ids, want):
            got = llama_logits(llama, row)
            error = np.abs(got - logits).max() / np.abs(logits).max()
            comparison.check(f"{kind}: llama.cpp's logits", error < 5e-3, f"{error:.1e}")
            theirs = llama.tokenize(text.encode(), add_bos=row[0] == llama.token_bos(), special=False)
            comparison.check(f"{kind}: llama.cpp's tokens of {text!r}", theirs == row, f"{theirs} {row}")
        del llama
        for mix in ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k", "iq4_nl", "f16",
                    "bf16"]:
            if kind not in ("gpt2", "llama") and mix not in ("q8_0", "q4_k_m"):
                continue
            small = folder / f"{kind}-{mix}.gguf"
            back = folder / f"{kind}-{mix}-back"
            if comparison.run("quantize", source, "--type", mix, "--out", small, "--quiet") is None or \
                    comparison.run("convert", small, back, "--quiet") is None:
                comparison.check(f"{kind} {mix}", False)
                continue
            with torch.no_grad():
                taken_apart = transformers.AutoModelForCausalLM.from_pretrained(back).eval()
                want_small = taken_apart(torch.tensor([ids[0]])).logits[0].numpy()
            got = llama_logits(quiet_llama(llama_cpp, small), ids[0])
            # llama.cpp rounds activations to 8 bits beside quantised weights, which random weights hardly dampen.
            error = np.sqrt(np.mean((got - want_small) ** 2) / np.mean(want_small ** 2))
            comparison.check(f"{kind} {mix}: llama.cpp's logits", error < 0.06, f"{error:.1e}")


def tiny_t5(kind, vocab):
    torch.manual_seed(1)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(
        vocab_size=vocab, d_model=256, d_kv=32, d_ff=512, num_layers=3, num_decoder_layers=2, num_heads=4,
        feed_forward_proj="relu" if kind == "t5 1.0" else "gated-gelu", tie_word_embeddings=kind == "t5 1.0",
        decoder_start_token_id=0, dropout_rate=0.0))
    with torch.no_grad():
        if kind != "t5 1.0":
            model.lm_head.weight = torch.nn.Parameter(torch.randn(vocab, 256) * 0.1)
        for p in model.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
    return model.eval()


def converted_t5(path, model, tokenizer):
    """A file as llama.cpp's convert_hf_to_gguf.py writes T5's: its keys, its tensors' names, its tokenizer."""
    config, json_of = model.config, json.loads(tokenizer.backend_tokenizer.to_str())
    writer = gguf.GGUFWriter(path, "t5")
    for add, value in [
            (writer.add_context_length, 512), (writer.add_embedding_length, config.d_model),
            (writer.add_feed_forward_length, config.d_ff), (writer.add_block_count, config.num_layers),
            (writer.add_decoder_block_count, config.num_decoder_layers), (writer.add_head_count, config.num_heads),
            (writer.add_key_length, config.d_kv), (writer.add_value_length, config.d_kv),
            (writer.add_layer_norm_eps, config.layer_norm_epsilon),
            (writer.add_relative_attn_buckets_count, config.relative_attention_num_buckets),
            (writer.add_layer_norm_rms_eps, config.layer_norm_epsilon),
            (writer.add_decoder_start_token_id, config.decoder_start_token_id)]:
        add(value)
    pieces = json_of["model"]["vocab"]
    added = {token["id"]: token["content"] for token in json_of["added_tokens"] if token["id"] >= len(pieces)}
    tokens, scores, types = [], [], []
    for i in range(config.vocab_size):
        token, score = pieces[i] if i < len(pieces) else (added.get(i, f"[PAD{i}]"), -1000.0 if i in added else -10000.0)
        tokens.append(token)
        scores.append(score)
        types.append({0: 3, 1: 3, 2: 2}.get(i, 1) if i < len(pieces) else 4 if i in added else 5)
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    steps = json_of["normalizer"]
    for step in steps.get("normalizers", [steps]):
        if step["type"] == "Precompiled":
            writer.add_precompiled_charsmap(base64.b64decode(step["precompiled_charsmap"]))
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(2)
    writer.add_pad_token_id(0)
    names = t5_names(config)
    for name, value in model.state_dict().items():
        if "embed_tokens" not in name and not (name == "lm_head.weight" and config.scale_decoder_outputs):
            writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def t5_names(config):
    return gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, max(config.num_layers, config.num_decoder_layers))


def encoder_decoders(comparison, folder):
    """T5 both ways, against the package's names and transformers' logits and tokens."""
    texts = ["Hello, world! It is 12345 o'clock.", "The naïve café\n\n  serves <extra_id_3> tea. ", " ﬁne 中 x"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(GOLDEN / "tokenizers" / "t5")
    for kind in ["t5 1.0", "t5 1.1"]:
        source = folder / kind
        model = tiny_t5(kind, len(tokenizer) + 5)
        model.save_pretrained(source)
        for file in (GOLDEN / "tokenizers" / "t5").iterdir():
            if file.name != "cases.jsonl":
                shutil.copy(file, source)
        state = load_file(source / "model.safetensors")
        ids = [tokenizer(text)["input_ids"] for text in texts]
        target = torch.tensor([[0, 5, 17, 30, 8]])
        with torch.no_grad():
            want = [model(torch.tensor([row]), decoder_input_ids=target).logits for row in ids]
        ours, theirs = folder / f"{kind}.gguf", folder / f"{kind} theirs.gguf"
        converted_t5(theirs, model, tokenizer)
        comparison.run("convert", source, ours, "--quiet")
        if ours.exists():
            read = {t.name: t for t in gguf.GGUFReader(ours).tensors}
            names = t5_names(model.config)
            named = {names.get_name(name, try_suffixes=(".weight",)): value for name, value in state.items()}
            comparison.check(f"{kind}: names", set(read) == set(named), set(read) ^ set(named))
            for name, value in named.items():
                comparison.check(f"{kind}: {name}", name in read and np.array_equal(read[name].data, value.numpy()))
        for path in [ours, theirs]:
            back = folder / (path.stem + " back")
            if comparison.run("convert", path, back, "--quiet") is None:
                comparison.check(path.name, False)
                continue
            again = transformers.AutoModelForSeq2SeqLM.from_pretrained(back).eval()
            words = transformers.AutoTokenizer.from_pretrained(back)
            for text, row, logits in zip(texts, ids, want):
                with torch.no_grad():
                    got = again(torch.tensor([row]), decoder_input_ids=target).logits
                error = ((got - logits).abs().max() / logits.abs().max()).item()
                comparison.check(f"{path.name}: logits", error < 1e-5, f"{error:.1e}")
                tokens = json.loads(comparison.run("tokenize", path, text, "--json"))["ids"]
                comparison.check(f"{path.name}: tokens of {text!r}", tokens == row, f"{tokens} {row}")
                comparison.check(f"{path.name}: transformers' tokens of {text!r}", words(text)["input_ids"] == row)


def bert_names(config):
    """The package's names of BERT's tensors; the pooler and the head are the two layers of llama.cpp's ranking."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config.num_hidden_layers)
    heads = {"pooler.dense": gguf.MODEL_TENSOR.CLS, "classifier": gguf.MODEL_TENSOR.CLS_OUT}

    def name_of(theirs):
        stem, end = theirs.removeprefix("bert.").rsplit(".", 1)
        if stem in heads:
            return f"{gguf.TENSOR_NAMES[heads[stem]]}.{end}"
        return names.get_name(f"{stem}.{end}", try_suffixes=(".weight", ".bias"))

    return name_of


def classifiers(comparison, folder):
    """BERT with a classifier both ways, against the package's names and transformers' logits."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(GOLDEN / "tokenizers" / "bert_uncased")
    ids = torch.tensor([tokenizer("Hello, world! It is 12345 o'clock.")["input_ids"]])
    for labels in [["no", "perhaps", "yes"], ["good"]]:
        torch.manual_seed(1)
        model = transformers.BertForSequenceClassification(transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
            initializer_range=0.2, id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)}))
        name = f"{len(labels)} classes"
        source, ours, theirs = folder / name, folder / f"{name}.gguf", folder / f"{name} theirs.gguf"
        model.eval().save_pretrained(source)
        tokenizer.save_pretrained(source)
        with torch.no_grad():
            want = model(ids).logits
        name_of = bert_names(model.config)
        named = {name_of(key): value for key, value in model.state_dict().items() if not key.endswith("position_ids")}
        writer = gguf.GGUFWriter(theirs, "bert")
        for add, value in [
                (writer.add_context_length, 512), (writer.add_embedding_length, 64), (writer.add_block_count, 2),
                (writer.add_feed_forward_length, 128), (writer.add_head_count, 4), (writer.add_layer_norm_eps, 1e-12),
                (writer.add_causal_attention, False), (writer.add_pooling_type, gguf.PoolingType.RANK),
                (writer.add_classifier_output_labels, labels)]:
            add(value)
        for key, value in named.items():
            writer.add_tensor(key, value.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        comparison.run("convert", source, ours, "--quiet")
        if ours.exists():
            read = gguf.GGUFReader(ours)
            tensors = {t.name: t.data for t in read.tensors}
            comparison.check(f"{name}: names", set(tensors) == set(named), set(tensors) ^ set(named))
            for key, value in named.items():
                comparison.check(f"{name}: {key}", key in tensors and np.array_equal(tensors[key], value.numpy()))
            for key, value in [("classifier.output_labels", labels), ("pooling_type", int(gguf.PoolingType.RANK))]:
                said = read.fields[f"bert.{key}"].contents()
                comparison.check(f"{name}: {key}", said == value, f"{said} {value}")
        for path in [ours, theirs]:
            back = folder / (path.stem + " back")
            if comparison.run("convert", path, back, "--quiet") is None:
                comparison.check(path.name, False)
                continue
            again = transformers.AutoModelForSequenceClassification.from_pretrained(back).eval()
            with torch.no_grad():
                error = ((again(ids).logits - want).abs().max() / want.abs().max()).item()
            comparison.check(f"{path.name}: logits", error < 1e-5, f"{error:.1e}")
            said = [again.config.id2label[i] for i in range(len(labels))]
            comparison.check(f"{path.name}: labels", said == labels, f"{said} {labels}")


def directories(comparison, folder):
    """What `qkv quantize --out DIRECTORY` writes, as transformers loads it: the numbers that qkv takes out of the blocks."""
    for kind in ["gpt2", "llama", "qwen2", "qwen3", "t5 1.0", "t5 1.1"]:
        small, back = folder / f"{kind} small", folder / f"{kind} small back"
        if comparison.run("quantize", folder / kind, "--type", "q4_k_m", "--out", small, "--quiet") is None or \
                comparison.run("convert", small, back, "--quiet") is None:
            comparison.check(f"{kind} as a directory", False)
            continue
        auto = transformers.AutoModelForSeq2SeqLM if kind.startswith("t5") else transformers.AutoModelForCausalLM
        config = transformers.AutoConfig.from_pretrained(small)
        loaded = auto.from_pretrained(small, config=config, gguf_file="model.gguf", dtype=torch.float32).eval()
        want = auto.from_pretrained(back).eval()
        words = transformers.AutoTokenizer.from_pretrained(small)
        text = "Hello, world! It is 12345 o'clock."
        ids = words(text)["input_ids"]
        before = transformers.AutoTokenizer.from_pretrained(folder / kind)(text)["input_ids"]
        comparison.check(f"{kind} as a directory: tokens", ids == before, f"{ids} {before}")
        inputs = dict(input_ids=torch.tensor([ids]))
        if kind.startswith("t5"):
            inputs["decoder_input_ids"] = torch.tensor([[0, 5, 17, 30]])
        with torch.no_grad():
            got, expected = loaded(**inputs).logits, want(**inputs).logits
        error = ((got - expected).abs().max() / expected.abs().max()).item()
        comparison.check(f"{kind} as a directory: logits", error < 1e-4, f"{error:.1e}")


MIXES = {"q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k_m": 12, "q4_k_s": 14, "q4_k_m": 15,
         "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18, "iq4_nl": 25, "f16": 1, "bf16": 32}


def mixes(comparison, folder, llama_cpp):
    """Which tensor gets which type: as llama.cpp's own quantiser gives them."""
    common = dict(vocab_size=300, num_hidden_layers=17, num_attention_heads=4, max_position_embeddings=64)
    wide = dict(common, hidden_size=256, intermediate_size=512)
    cases = {"llama": transformers.LlamaConfig(**wide, num_key_value_heads=2),
             "llama tied": transformers.LlamaConfig(**wide, num_key_value_heads=1, tie_word_embeddings=True),
             "llama of odd widths": transformers.LlamaConfig(**common, hidden_size=96, intermediate_size=160),
             "gpt2": transformers.GPT2Config(vocab_size=300, n_embd=256, n_layer=17, n_head=4, n_positions=64),
             "falcon": transformers.FalconConfig(vocab_size=300, hidden_size=256, num_hidden_layers=17,
                                                 num_attention_heads=4)}
    for name, config in cases.items():
        source, plain = folder / f"mix-{name}", folder / f"mix-{name}.gguf"
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(source)
        comparison.run("convert", source, plain, "--quiet")
        for mix, number in MIXES.items():
            ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
            comparison.run("quantize", source, "--type", mix, "--out", ours, "--force", "--quiet")
            parameters = llama_cpp.llama_model_quantize_default_params()
            parameters.ftype, parameters.nthread = number, 1
            done = llama_cpp.llama_model_quantize(str(plain).encode(), str(theirs).encode(), ctypes.byref(parameters))
            types = [{t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors} for path in (ours, theirs)]
            different = {k: (types[0][k], t) for k, t in types[1].items() if types[0].get(k) != t}
            comparison.check(f"{name} {mix}: types", done == 0 and not different, different)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        import llama_cpp
    except ImportError:
        llama_cpp = None
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    comparison = Comparison(options.qkv)
    program = built_llama_cpp()
    if program is None:
        comparison.skipped.append("llama.cpp's completions of our files (to have it: bench/llama_cpp)")
    if llama_cpp is None:
        comparison.skipped.append("llama.cpp's logits and types of tensors "
                                  "(to have it: .venv/bin/pip install llama-cpp-python==0.3.36)")
    with tempfile.TemporaryDirectory() as folder:
        blocks(comparison, Path(folder), np.random.default_rng(options.seed))
        models(comparison, Path(folder), llama_cpp, program)
        encoder_decoders(comparison, Path(folder))
        classifiers(comparison, Path(folder))
        directories(comparison, Path(folder))
        if llama_cpp is not None:
            mixes(comparison, Path(folder), llama_cpp)
    for what in comparison.skipped:
        print(f"SKIPPED: {what}")
    print(f"{comparison.passed} passed, {comparison.failed} failed")


if __name__ == "__main__":
    main()
