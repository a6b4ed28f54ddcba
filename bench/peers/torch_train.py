"""Training steps in PyTorch: a GPT or a Llama written as PyTorch does it best (fused attention, fused AdamW, fused loss),
or Hugging Face's BERT with its masked language model head. Random tokens, AdamW, gradients clipped to norm 1, the loss read
after every step. --device is torch's: cpu or cuda. bfloat16 means autocast over f32 weights."""
import argparse
import contextlib

import torch
from torch import nn
from torch.nn import functional as F

from serve import on_device, seconds, serve
from torch_llama import Llama


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """GPT-2's architecture; the output matrix is the token embedding."""

    def __init__(self, vocab, context, layers, heads, width):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)

    def forward(self, ids, labels):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


class MaskedBert(nn.Module):
    def __init__(self, vocab, context, layers, heads, width):
        from transformers import BertConfig, BertForMaskedLM
        super().__init__()
        self.model = BertForMaskedLM(BertConfig(
            vocab_size=vocab, max_position_embeddings=context, num_hidden_layers=layers, num_attention_heads=heads,
            hidden_size=width, intermediate_size=4 * width, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))

    def forward(self, ids, labels):
        return self.model(input_ids=ids, labels=labels).loss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", choices=["gpt2", "bert", "llama"], default="gpt2")
    for name in ("vocab", "context", "layers", "heads", "width", "batch", "length", "threads", "warmup"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--kv-heads", type=int, default=0)
    parser.add_argument("--feed-forward", type=int, default=0)
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    device = on_device(a.device)
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    sizes = (a.vocab, a.context, a.layers, a.heads, a.width)
    if a.family == "llama":
        model = Llama(*sizes, a.kv_heads, a.feed_forward, a.untied)
    else:
        model = (Gpt if a.family == "gpt2" else MaskedBert)(*sizes)
    model.to(device)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=3e-4, betas=(0.9, 0.99), fused=True)
    run = torch.compile(model) if a.compile else model
    ids = torch.randint(0, a.vocab, (a.batch, a.length))
    labels = torch.randint(0, a.vocab, (a.batch, a.length))
    if a.family == "bert":
        labels[torch.rand(labels.shape) >= 0.15] = -100
    ids, labels = ids.to(device), labels.to(device)
    precision = (lambda: torch.autocast(device.type, torch.bfloat16)) if a.dtype == "bf16" else contextlib.nullcontext

    def step():
        with precision():
            loss = run(ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    first = seconds(step)
    for _ in range(a.warmup):
        step()
    serve(lambda count: {"step_seconds": [seconds(step) for _ in range(count)], "loss": step()},
          {"torch": torch.__version__, "first_step_seconds": first, "parameters": sum(p.numel() for p in model.parameters())})


if __name__ == "__main__":
    main()
