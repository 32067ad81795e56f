"""Pairs of faces through an H2L of one layer, with all that one face settles alone computed beforehand.

A patch attends to its own face, to both special tokens and to the other face. The first two are the same in every
pair, so their mean and the logarithm of their weight (a softmax's denominator) are kept; a pair adds what the patches
of the other face contribute. The output of the special tokens, which an H2L does not use, is never computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from demo.crossimage.networks import H2L, TwoImages


@dataclass(frozen=True)
class Alone:
    """Faces in their place of the pair, after what the layer makes of each without its partner.

    held: (B, P, dim + 4 * heads * dim_head) tokens with positions, then queries, keys, values and the mean of the
    values that are attended to, each of all heads. weight: (B, heads, P) logarithm of the sum of e^score there.
    """

    held: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, index) -> Alone:
        """The faces at ``index`` (a slice or rows)."""
        return Alone(self.held[index], self.weight[index])

    def expand(self, count: int) -> Alone:
        """One face ``count`` times; others as they are."""
        return Alone(self.held.expand(count, -1, -1), self.weight.expand(count, -1, -1)) if len(self) == 1 else self


def applies_to(network: object) -> bool:
    """Whether pairs may go through ``network`` this way."""
    return isinstance(network, H2L) and network.sizes.depth == 1


def alone(network: TwoImages, tokens: Tensor, second: bool) -> Alone:
    """``network.tokens(patches)`` of B faces (B, P, dim) as the first or the second of their pairs."""
    half = network.place(tokens, second)
    special = network.transformer.project(network.special(not second)).expand(len(tokens), -1, -1)
    q, k, v = _heads(network, torch.cat([half.qkv, special], 1))
    mean, weight = attend(q[:, :, 1:-1], k, v, network.transformer.scale)
    return Alone(torch.cat([half.x[:, 1:], half.qkv[:, 1:], mean.transpose(1, 2).flatten(2)], 2), weight.contiguous())


def outputs(network: H2L, first: Alone, second: Alone) -> tuple[Tensor, Tensor]:
    """f1, f2 (B, O) of pairs. Either may hold one face for all pairs."""
    pairs = max(len(first), len(second))
    first, second = first.expand(pairs), second.expand(pairs)
    return network.outputs_of(_meet(network, first, second), _meet(network, second, first))


def _meet(network: H2L, one: Alone, other: Alone) -> Tensor:
    """(B, P, dim): the patches of ``one`` after the layer in which they meet those of ``other``."""
    transformer, sizes = network.transformer, network.sizes
    inner = sizes.heads * sizes.dim_head
    x, qkv, own = one.held.split([sizes.dim, 3 * inner, inner], 2)
    _, theirs, _ = other.held.split([sizes.dim, 3 * inner, inner], 2)
    q, k, v = _heads(network, qkv)[0], *_heads(network, theirs)[1:]
    mean, weight = attend(q, k, v, transformer.scale)
    share = torch.sigmoid(weight - one.weight).transpose(1, 2).unsqueeze(3)
    mixed = torch.lerp(own.unflatten(2, (sizes.heads, -1)), mean.transpose(1, 2), share).flatten(2)
    return transformer.finish(x, mixed, 0)


def _heads(network: TwoImages, qkv: Tensor) -> list[Tensor]:
    """(B, n, 3 * heads * dim_head) → queries, keys and values (B, heads, n, dim_head)."""
    return [part.unflatten(2, (network.sizes.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=2)]


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """softmax(q k^T * scale) v (B, heads, n, dim_head) and the logarithm of the softmax's denominators (B, heads, n).

    torch's public function keeps the denominators to itself; on a processor the one that it calls is called here.
    """
    if q.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, scale=scale)
    return attend_openly(q, k, v, scale)


def attend_openly(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """``attend`` by its formula, for every device."""
    scores = (q * scale) @ k.transpose(2, 3)
    top = scores.amax(3, keepdim=True)
    scores = (scores - top).exp()
    total = scores.sum(3, keepdim=True)
    return scores @ v / total, (top + total.log())[..., 0]
