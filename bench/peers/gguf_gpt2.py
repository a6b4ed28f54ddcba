"""Writes GPT-2 124M with random weights as GGUF, for llama.cpp. Usage: gguf_gpt2.py GGUF_PY f32|bf16 FILE, where GGUF_PY is
the folder of the `gguf` package."""
import os
import sys

import numpy as np

LAYERS, HEADS, WIDTH, CONTEXT, VOCAB = 12, 12, 768, 1024, 50257


def main():
    folder, dtype, path = sys.argv[1:]
    sys.path.insert(0, folder)
    import gguf
    random = np.random.default_rng(1)
    temporary = path + ".new"
    writer = gguf.GGUFWriter(temporary, "gpt2")
    half = dtype == "bf16"
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if half else gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")

    def add(name, *shape):
        values = random.standard_normal(shape, dtype=np.float32) * 0.02
        if half and len(shape) > 1 and not name.startswith("position"):
            bits = gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16)
            writer.add_tensor(name, bits, raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(name, values)

    def with_bias(name, *shape):
        add(name + ".weight", *shape)
        add(name + ".bias", shape[0])

    add("token_embd.weight", VOCAB, WIDTH)
    add("position_embd.weight", CONTEXT, WIDTH)
    with_bias("output_norm", WIDTH)
    for i in range(LAYERS):
        with_bias(f"blk.{i}.attn_norm", WIDTH)
        with_bias(f"blk.{i}.attn_qkv", 3 * WIDTH, WIDTH)
        with_bias(f"blk.{i}.attn_output", WIDTH, WIDTH)
        with_bias(f"blk.{i}.ffn_norm", WIDTH)
        with_bias(f"blk.{i}.ffn_up", 4 * WIDTH, WIDTH)
        with_bias(f"blk.{i}.ffn_down", WIDTH, 4 * WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
