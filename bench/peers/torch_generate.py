"""Reading a prompt and greedy writing with Hugging Face's GPT-2 (124M, random weights), batch 1, with its KV cache."""
import argparse

import torch
import transformers

from serve import on_device, seconds, serve


def main():
    parser = argparse.ArgumentParser()
    for name in ("prompt", "tokens", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    device = on_device(a.device)
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval().to(device)
    if a.dtype == "bf16":
        model = model.to(torch.bfloat16)
    long = torch.randint(0, 50257, (1, a.prompt), device=device)
    short = torch.randint(0, 50257, (1, 8), device=device)

    def write(count):
        model.generate(short, attention_mask=torch.ones_like(short), do_sample=False, max_new_tokens=count,
                       min_new_tokens=count, pad_token_id=0, eos_token_id=None)

    def rates(count):
        prefill, decode = [], []
        for _ in range(count):
            prefill.append(a.prompt / seconds(lambda: model(long, logits_to_keep=1, use_cache=True)))
            # The first token comes from the prompt, the others from a step each.
            first = seconds(lambda: write(1))
            decode.append((a.tokens - 1) / (seconds(lambda: write(a.tokens)) - first))
        return {"prefill": prefill, "decode": decode}

    rates(1)
    serve(rates, {"torch": torch.__version__, "transformers": transformers.__version__})


if __name__ == "__main__":
    main()
