"""Writes a Llama model with random weights as GGUF, with a tokenizer of bytes and words, for servers that are measured.
Usage: gguf_llama.py TYPE FILE, where TYPE is q8_0, bf16 or f32. The shape is SmolLM2 135M's.
"""
import os
import sys

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD, VOCAB, CONTEXT = 30, 576, 9, 3, 1536, 49152, 2048


def tokens():
    """GPT-2's characters for bytes, one end of text, and words that nothing but the model writes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    # Readers expect at least one merge.
    names = ["<|endoftext|>"] + [characters[byte] for byte in range(256)] + ["aa"]
    return names + [f"\u0120t{i}" for i in range(VOCAB - len(names))]


def main():
    kind, path = sys.argv[1:]
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path + ".new", "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    names = tokens()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(names)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (VOCAB - 1))
    writer.add_token_merges(["a a"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)

    def matrix(name, rows, columns):
        values = random.standard_normal((rows, columns), dtype=np.float32) * 0.05
        if kind == "f32":
            writer.add_tensor(name + ".weight", values)
            return
        block = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "bf16": gguf.GGMLQuantizationType.BF16}[kind]
        writer.add_tensor(name + ".weight", gguf.quants.quantize(values, block), raw_dtype=block)

    def norm(name):
        writer.add_tensor(name + ".weight", np.ones(WIDTH, dtype=np.float32))

    matrix("token_embd", VOCAB, WIDTH)
    norm("output_norm")
    for i in range(LAYERS):
        norm(f"blk.{i}.attn_norm")
        matrix(f"blk.{i}.attn_q", WIDTH, WIDTH)
        matrix(f"blk.{i}.attn_k", WIDTH * KV_HEADS // HEADS, WIDTH)
        matrix(f"blk.{i}.attn_v", WIDTH * KV_HEADS // HEADS, WIDTH)
        matrix(f"blk.{i}.attn_output", WIDTH, WIDTH)
        norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.ffn_gate", FEED_FORWARD, WIDTH)
        matrix(f"blk.{i}.ffn_up", FEED_FORWARD, WIDTH)
        matrix(f"blk.{i}.ffn_down", WIDTH, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
