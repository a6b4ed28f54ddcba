"""Writes a model with random weights as GGUF, with a tokenizer of bytes and words, for programs that are measured.
Usage: gguf_random.py SHAPE TYPE FILE, where SHAPE is gpt2, llama-135m (SmolLM2's) or llama-1.1b (TinyLlama's), and TYPE
of the matrices f32, bf16 or q8_0.
"""
import os
import sys

import gguf
import numpy as np

SHAPES = {
    "gpt2": {"layers": 12, "width": 768, "heads": 12, "feed_forward": 3072, "vocab": 50257, "context": 1024},
    "llama-135m": {"layers": 30, "width": 576, "heads": 9, "kv_heads": 3, "feed_forward": 1536, "vocab": 49152, "context": 2048},
    "llama-1.1b": {"layers": 22, "width": 2048, "heads": 32, "kv_heads": 4, "feed_forward": 5632, "vocab": 32000, "context": 2048},
}
FILE_TYPES = {"f32": gguf.LlamaFileType.ALL_F32, "bf16": gguf.LlamaFileType.MOSTLY_BF16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}


def tokens(vocab):
    """GPT-2's characters for bytes, one end of text, and words that nothing but the model writes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    # Readers expect at least one merge.
    names = ["<|endoftext|>"] + [characters[byte] for byte in range(256)] + ["aa"]
    return names + [f"\u0120t{i}" for i in range(vocab - len(names))]


class Model:
    def __init__(self, family, shape, kind, path):
        self.shape, self.kind = shape, kind
        self.random = np.random.default_rng(1)
        self.writer = gguf.GGUFWriter(path, family)
        self.writer.add_file_type(FILE_TYPES[kind])
        self.writer.add_context_length(shape["context"])
        self.writer.add_embedding_length(shape["width"])
        self.writer.add_feed_forward_length(shape["feed_forward"])
        self.writer.add_block_count(shape["layers"])
        self.writer.add_head_count(shape["heads"])
        self.writer.add_vocab_size(shape["vocab"])
        self.writer.add_tokenizer_model("gpt2")
        self.writer.add_tokenizer_pre("gpt-2")
        self.writer.add_token_list(tokens(shape["vocab"]))
        self.writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (shape["vocab"] - 1))
        self.writer.add_token_merges(["a a"])
        self.writer.add_bos_token_id(0)
        self.writer.add_eos_token_id(0)
        self.writer.add_add_bos_token(False)

    def matrix(self, name, rows, columns, plain=False):
        values = self.random.standard_normal((rows, columns), dtype=np.float32) * 0.03
        if self.kind == "f32" or plain:
            self.writer.add_tensor(name + ".weight", values)
            return
        block = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "bf16": gguf.GGMLQuantizationType.BF16}[self.kind]
        self.writer.add_tensor(name + ".weight", gguf.quants.quantize(values, block), raw_dtype=block)

    def vector(self, name, size, value):
        self.writer.add_tensor(name, np.full(size, value, dtype=np.float32))

    def write(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def llama(shape, kind, path):
    model = Model("llama", shape, kind, path)
    width, head = shape["width"], shape["width"] // shape["heads"]
    model.writer.add_head_count_kv(shape["kv_heads"])
    model.writer.add_rope_dimension_count(head)
    model.writer.add_rope_freq_base(10000.0)
    model.writer.add_layer_norm_rms_eps(1e-5)
    model.matrix("token_embd", shape["vocab"], width)
    model.vector("output_norm.weight", width, 1)
    for i in range(shape["layers"]):
        model.vector(f"blk.{i}.attn_norm.weight", width, 1)
        model.matrix(f"blk.{i}.attn_q", width, width)
        model.matrix(f"blk.{i}.attn_k", head * shape["kv_heads"], width)
        model.matrix(f"blk.{i}.attn_v", head * shape["kv_heads"], width)
        model.matrix(f"blk.{i}.attn_output", width, width)
        model.vector(f"blk.{i}.ffn_norm.weight", width, 1)
        model.matrix(f"blk.{i}.ffn_gate", shape["feed_forward"], width)
        model.matrix(f"blk.{i}.ffn_up", shape["feed_forward"], width)
        model.matrix(f"blk.{i}.ffn_down", width, shape["feed_forward"])
    model.write()


def gpt2(shape, kind, path):
    model = Model("gpt2", shape, kind, path)
    width = shape["width"]
    model.writer.add_layer_norm_eps(1e-5)

    def norm(name):
        model.vector(name + ".weight", width, 1)
        model.vector(name + ".bias", width, 0)

    def linear(name, rows, columns):
        model.matrix(name, rows, columns)
        model.vector(name + ".bias", rows, 0)

    model.matrix("token_embd", shape["vocab"], width)
    model.matrix("position_embd", shape["context"], width, plain=True)
    norm("output_norm")
    for i in range(shape["layers"]):
        norm(f"blk.{i}.attn_norm")
        linear(f"blk.{i}.attn_qkv", 3 * width, width)
        linear(f"blk.{i}.attn_output", width, width)
        norm(f"blk.{i}.ffn_norm")
        linear(f"blk.{i}.ffn_up", 4 * width, width)
        linear(f"blk.{i}.ffn_down", width, 4 * width)
    model.write()


def main():
    shape, kind, path = sys.argv[1:]
    (gpt2 if shape == "gpt2" else llama)(SHAPES[shape], kind, path + ".new")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
