"""The one transformer that V, H1, H2 and H2L share, with the key names of the published checkpoints."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Weights of multi-head self-attention: queries, keys and values in one projection without bias."""

    def __init__(self, dim: int, heads: int, dim_head: int):
        super().__init__()
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, dim))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between; the third place was a dropout in the published code."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, dim))


class _Normed(nn.Module):
    def __init__(self, dim: int, fn: nn.Module):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn


class _Residual(nn.Module):
    def __init__(self, fn: nn.Module):
        super().__init__()
        self.fn = fn


class Transformer(nn.Module):
    """``depth`` blocks of attention and feed-forward, each added to its input.

    norm_attention: apply the LayerNorm before attention. The published two-image and hybrid networks have its
    weights but skip it, against Eq. 4.2 (docs/method.md), and so does this one for them.
    Scores are scaled by dim^-0.5, not dim_head^-0.5, as published.
    """

    layers: Any  # nn.ModuleList of pairs; torch gives its members no type

    def __init__(self, dim: int, depth: int, heads: int, dim_head: int, hidden: int, *, norm_attention: bool):
        super().__init__()
        self.heads = heads
        self.scale = dim**-0.5
        self.norm_attention = norm_attention
        self.layers = nn.ModuleList(
            nn.ModuleList([
                _Residual(_Normed(dim, Attention(dim, heads, dim_head))),
                _Residual(_Normed(dim, FeedForward(dim, hidden))),
            ]) for _ in range(depth))

    def project(self, x: Tensor, layer: int = 0) -> Tensor:
        """Queries, keys and values of tokens (B, n, dim) → (B, n, 3 * heads * dim_head). Each token on its own, so
        those of the first layer can be computed before it is known which tokens meet."""
        normed = self.layers[layer][0].fn
        return normed.fn.to_qkv(normed.norm(x) if self.norm_attention else x)

    def forward(self, x: Tensor, qkv: Tensor | None = None, *, keep: bool = False) -> tuple[Tensor, list[Tensor]]:
        """(B, n, dim) → the same shape, and the attention of each layer (B, heads, n, n) if ``keep``, rows summing
        to 1 over the tokens that are looked at. qkv: ``project(x)`` where it is there already."""
        kept = []
        for number in range(len(self.layers)):
            if number or qkv is None:
                qkv = self.project(x, number)
            q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=2))
            if keep:
                attention = (q @ k.transpose(2, 3) * self.scale).softmax(3)
                mixed = attention @ v
                kept.append(attention)
            else:
                mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
            x = self.finish(x, mixed.transpose(1, 2).flatten(2), number)
        return x, kept

    def finish(self, x: Tensor, mixed: Tensor, layer: int) -> Tensor:
        """What is left of a layer after attention: tokens (B, n, dim) and the values of all heads that each mixed
        (B, n, heads * dim_head) → (B, n, dim)."""
        attend, feed = self.layers[layer]
        x = x + attend.fn.fn.to_out(mixed)
        return x + feed.fn.fn.net(feed.fn.norm(x))


def random_token(*shape: int) -> nn.Parameter:
    """A learned token or position, normally distributed at the start, as published."""
    return nn.Parameter(torch.randn(*shape))
