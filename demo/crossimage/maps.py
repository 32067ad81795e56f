"""What a cross-image model looks at: arrays over the patches of both faces. ``demo.drawing.maps`` draws them.

Every map lies on the face that it speaks of: ``first`` on the first face of the pair, ``second`` on the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features, Grid
from demo.crossimage.model import CrossImageModel, PairOutput, pair_outputs
from demo.errors import BadSetting

#: On the first face, and on the second.
Both = tuple[np.ndarray, np.ndarray]
_ALONE = "This model encodes each face alone, so no attention crosses from one to the other: choose H2 or H2L."


@dataclass(frozen=True)
class CrossAttention:
    """Attention between the two faces of one pair, float64, for L layers and H heads.

    forward: (L, H, P, P), rows patches of the first face, columns those of the second that they look at.
    backward: (L, H, P, P), rows patches of the second face, columns those of the first. Every row sums to 1.
    """

    forward: np.ndarray
    backward: np.ndarray

    def choose(self, layer: int | None = None, head: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """forward and backward (P, P) of one layer and head; None averages over all. BadSetting where there is none."""
        for name, number, count in (("layer", layer, self.forward.shape[0]), ("head", head, self.forward.shape[1])):
            if number is not None and not 0 <= number < count:
                raise BadSetting(f"There is no {name} {number}; choose one from 0 to {count - 1}.")
        layers = slice(None) if layer is None else slice(layer, layer + 1)
        heads = slice(None) if head is None else slice(head, head + 1)
        return self.forward[layers, heads].mean((0, 1)), self.backward[layers, heads].mean((0, 1))


@dataclass(frozen=True)
class PairMaps:
    """Everything a model shows of one pair of faces, in the order of the faces that its distance takes; means over
    both where that is a mean over both.

    attention: between the faces. rolled: rollout, rows as in ``CrossAttention`` without layers and heads.
    relevance, correlation: (P,) on the first face and (P,) on the second, each summing to 1. grid: of the P patches.
    """

    attention: CrossAttention
    rolled: tuple[np.ndarray, np.ndarray]
    relevance: tuple[np.ndarray, np.ndarray]
    correlation: tuple[np.ndarray, np.ndarray]
    grid: Grid


def pair_maps(model: CrossImageModel, first: Features, second: Features) -> PairMaps:
    """All maps of one pair (features of one face each), from one pass of the model's orders through the network.

    Raises BadSetting for a model in which the faces do not meet.
    """
    one, other = model.patches(first[:1]), model.patches(second[:1])
    if model.both_orders:
        one, other = torch.cat([one, other]), torch.cat([other, one])
    output, gradients = _passed(model, one, other)
    on_first, on_second = cross_correlation(output.z1, output.z2)
    orders = range(len(one))
    return PairMaps(
        CrossAttention(*_mean(*(_crossing(output, pair) for pair in orders))),
        _mean(*(rollout(output, pair=pair) for pair in orders)),
        _mean(*(_relevance(output, gradients, pair) for pair in orders)),
        _mean(*zip(on_first, on_second, strict=True)),
        output.grid,
    )


def _mean(there: Both, back: Both | None = None) -> Both:
    """(on the first face, on the second) once, or twice, the second time with the faces swapped → their means."""
    return (there[0], there[1]) if back is None else ((there[0] + back[1]) / 2, (there[1] + back[0]) / 2)


def received(rows: np.ndarray) -> np.ndarray:
    """(P, P) attention, rows summing to 1 → (P,) how much each column's patch is looked at, on average; sums to 1."""
    return rows.mean(0)


def cross_attention(output: PairOutput, *, pair: int = 0, reverse: PairOutput | None = None) -> CrossAttention:
    """The attention that crosses from face to face, rows renormalised over the other face's patches.

    CLS, SEP and the face's own patches are left out. reverse: the output for the same pair with the faces in the
    other order; the maps are then means over both orders. Raises BadSetting for a
    model in which the faces do not meet.
    """
    return CrossAttention(*_mean(_crossing(output, pair), None if reverse is None else _crossing(reverse, pair)))


def _crossing(output: PairOutput, pair: int) -> tuple[np.ndarray, np.ndarray]:
    """first → second and second → first, as the faces stand in this output."""
    if not output.attention:
        raise BadSetting(_ALONE)
    first, second = _places(output.z1.shape[1])
    layers = torch.stack([layer[pair].double().cpu() for layer in output.attention])
    return _rows(layers[..., first, second]), _rows(layers[..., second, first])


def _places(patches: int) -> tuple[slice, slice]:
    """Where the patches of both faces stand in [CLS, first, SEP, second]."""
    return slice(1, patches + 1), slice(patches + 2, 2 * patches + 2)


def _rows(block: Tensor) -> np.ndarray:
    """(..., P, P) with every row scaled to sum to 1; a row of zeros becomes uniform."""
    total = block.sum(-1, keepdim=True)
    return torch.where(total > 0, block / total.clamp(min=1e-300), 1 / block.shape[-1]).numpy()


def rollout(output: PairOutput, *, pair: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Attention rollout (Abnar & Zuidema 2020): attention of all layers, skip connections included, multiplied up.

    An extra, not in the papers. Returns forward and backward (P, P) as in ``CrossAttention``.
    """
    if not output.attention:
        _crossing(output, pair)
    total = torch.eye(output.attention[0].shape[-1], dtype=torch.float64)
    for layer in output.attention:
        mixed = (layer[pair].double().cpu().mean(0) + torch.eye(len(total), dtype=torch.float64)) / 2
        total = mixed @ total
    first, second = _places(output.z1.shape[1])
    return _rows(total[first, second]), _rows(total[second, first])


def relevance(model: CrossImageModel, first: Features, second: Features) -> tuple[np.ndarray, np.ndarray]:
    """Which patches the similarity rests on: gradient-weighted attention (Chefer et al. 2021, generic relevance).

    An extra, not in the papers. first, second: features of one face each. Per layer R += E_heads[max(0, dS/dA * A)] R
    from R = 1, S the similarity; a patch's relevance is its mean over all tokens. Returns (P,) on each face,
    each divided by its sum.
    """
    return _relevance(*_passed(model, model.patches(first[:1]), model.patches(second[:1])), 0)


def _passed(model: CrossImageModel, first: Tensor, second: Tensor) -> tuple[PairOutput, tuple[Tensor, ...]]:
    """(B, P, C) patches of both faces → the model's output, and of each layer the gradient of the similarity with
    respect to its attention (B, heads, T, T)."""
    if not model.sees_pairs:
        raise BadSetting(_ALONE)
    network = model.network
    with torch.enable_grad():
        # A copy: what came from inference mode cannot take part in a gradient.
        a, b = (face.clone().requires_grad_() for face in (first, second))
        x, attention = network.attend(network.place(network.tokens(a), False),
                                      network.place(network.tokens(b), True), keep=True)
        similarity, f1, f2 = pair_outputs(network, x)
        gradients = torch.autograd.grad(similarity.sum(), attention)
    f1, f2 = (None if part is None else part.detach() for part in (f1, f2))
    z1, z2 = (part.detach() for part in network.split(x))
    return PairOutput(similarity.detach(), [layer.detach() for layer in attention], f1, f2, z1, z2,
                      model.grid), gradients


def _relevance(output: PairOutput, gradients: Sequence[Tensor], pair: int) -> tuple[np.ndarray, np.ndarray]:
    total = start = torch.eye(output.attention[0].shape[-1], dtype=torch.float64)
    for weights, gradient in zip(output.attention, gradients, strict=True):
        total = total + (weights[pair] * gradient[pair]).clamp(min=0).mean(0).double().cpu() @ total
    looked_at = (total - start).mean(0)
    one, other = _places(output.z1.shape[1])
    return _rows(looked_at[one]), _rows(looked_at[other])


def cross_correlation(first: Tensor, second: Tensor, *, authors_drawing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Cross-correlation maps (Face-ViT, Fig 5.8's study): cosine of each patch with the mean of the other face.

    first, second: (B, P, C) patches of both faces: z1 and z2 of a PairOutput for V, H1, H2 and H2L, the backbone's
    patches for C. Negative cosines count as 0; each map is divided by its sum. Returns float64 (B, P) on each face.
    authors_drawing: swap the two, as the published scripts do, which draw each face's map on the other.
    """
    first, second = first.double(), second.double()
    maps = []
    for own, other in ((first, second), (second, first)):
        mean = F.normalize(other.mean(1), dim=1)
        maps.append(_rows(torch.einsum("bpc,bc->bp", F.normalize(own, dim=2), mean).clamp(min=0).cpu()))
    return (maps[1], maps[0]) if authors_drawing else (maps[0], maps[1])
