"""Llama's architecture as PyTorch does it best: fused attention with shared keys and values, fused norms."""
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads, kv_heads, feed_forward):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 2 * feed_forward, bias=False), nn.Linear(feed_forward, width, bias=False)

    def forward(self, x, cosine, sine):
        rows, length, width = x.shape
        all_heads = self.qkv(self.norm1(x)).view(rows, length, self.heads + 2 * self.kv_heads, self.size).transpose(1, 2)
        q, k, v = all_heads.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        q, k = turned(q, cosine, sine), turned(k, cosine, sine)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        gate, up = self.up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


def turned(x, cosine, sine):
    """Rotary positions, the halves of a head together."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), dim=-1).to(x.dtype)


class Llama(nn.Module):
    def __init__(self, vocab, context, layers, heads, width, kv_heads, feed_forward, untied):
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, heads, kv_heads or heads, feed_forward) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.head = nn.Linear(width, vocab, bias=False)
        if not untied:
            self.head.weight = self.tokens.weight
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
        size = width // heads
        angles = torch.arange(context)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def forward(self, ids, labels):
        length = ids.shape[1]
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x, self.cosine[:length], self.sine[:length])
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), labels.flatten())
