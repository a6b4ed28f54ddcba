"""Reading a prompt and greedy writing with Hugging Face's models, random weights, with a KV cache: GPT-2 124M as it is, or
a Llama of the sizes given. --static takes a cache of a fixed size, for which steps are compiled, on a GPU to CUDA graphs."""
import argparse

import torch
import transformers

from serve import on_device, seconds, serve


def make_model(a):
    if a.family == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config())
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=a.vocab, max_position_embeddings=a.context, num_hidden_layers=a.layers, num_attention_heads=a.heads,
        num_key_value_heads=a.kv_heads or a.heads, hidden_size=a.width, intermediate_size=a.feed_forward,
        tie_word_embeddings=not a.untied))


def main():
    parser = argparse.ArgumentParser()
    for name in ("prompt", "tokens", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--family", choices=["gpt2", "llama"], default="gpt2")
    for name in ("vocab", "context", "layers", "heads", "width", "kv-heads", "feed-forward"):
        parser.add_argument("--" + name, type=int, default=0, help="of a Llama")
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    device = on_device(a.device)
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    model = make_model(a).eval().to(device)
    if a.dtype == "bf16":
        model = model.to(torch.bfloat16)
    long = torch.randint(0, model.config.vocab_size, (a.batch, a.prompt), device=device)
    short = torch.randint(0, model.config.vocab_size, (a.batch, 8), device=device)
    how = {}
    if a.static:
        compiled = transformers.CompileConfig(mode="reduce-overhead")
        compiled._compile_all_devices = True  # else a CPU is left out
        # One size of cache for all calls, else each is compiled anew.
        how = {"cache_implementation": "static", "max_cache_len": 8 + a.tokens, "compile_config": compiled}

    def write(count):
        model.generate(short, attention_mask=torch.ones_like(short), do_sample=False, max_new_tokens=count,
                       min_new_tokens=count, pad_token_id=0, eos_token_id=None, **how)

    def rates(count):
        prefill, decode = [], []
        for _ in range(count):
            prefill.append(a.batch * a.prompt / seconds(lambda: model(long, logits_to_keep=1, use_cache=True)))
            # The first token comes from the prompt, the others from a step each.
            first = seconds(lambda: write(1))
            decode.append(a.batch * (a.tokens - 1) / (seconds(lambda: write(a.tokens)) - first))
        return {"prefill": prefill, "decode": decode}

    for _ in range(2 if a.static else 1):
        rates(1)
    serve(rates, {"torch": torch.__version__, "transformers": transformers.__version__})


if __name__ == "__main__":
    main()
