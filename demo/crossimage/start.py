"""Where training starts: discriminant directions of the views, so that an untrained transformer does no harm.

With little data, a transformer trained from random weights learns its training people. Instead our networks start
as the identity on centred patches; attention starts by looking at what is alike, each head in some directions; and
H2L's two outputs start as one linear discriminant map of the patches, fitted to tell people apart whatever is drawn
over them. H1's CLS starts as such a map of the mean patch, and H2's as the difference of two. Training then moves on
from a model that already ranks well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.crossimage.networks import H2, H2L, OneImage
from demo.crossimage.views import ViewSet
from demo.errors import BadSetting

#: Size of random tokens and positions, and of the blocks' last layers, over those of the published initialisation.
_SMALL_TOKENS, _SMALL_LAYERS = 0.16, 0.1
#: Length of the rows of the first queries and keys: how sharply patches look for their like.
_SHARPNESS = 1.75
#: H2: how far apart the positions of the two faces are, how hard CLS looks for them, and its constant half.
_PLACE, _LOOK, _CONSTANT = 8.0, 6.0, 1.5
#: H2: distance in log odds between the same and different people, and how many views are asked.
_SPREAD, _ASKED = 4.0, 512
#: Share of the mean variance that is added to every direction of the within-person scatter.
_RIDGE = 1.0
#: Views that the start is fitted to at the most, spread over all, and how many are looked at together.
_LOOKED_AT, _CHUNK = 30_000, 1024


@torch.no_grad()
def initialise(network, views: ViewSet) -> None:
    """Set a network of our mode up for training on ``views``, which are on its device."""
    rows = torch.linspace(0, len(views) - 1, min(len(views), _LOOKED_AT), device=views.person.device).long()
    plain = rows[views.plain[rows]]
    _centre(network, views.patches, plain)
    directions = _directions(network, views.patches, rows)
    network.project.weight.copy_(F.pad(directions.T, (0, 0, 0, network.sizes.dim - directions.shape[1])))
    network.project.bias.zero_()
    for attend, _ in network.transformer.layers:
        queries, keys, _ = attend.fn.fn.to_qkv.weight.chunk(3)
        torch.nn.init.orthogonal_(queries, _SHARPNESS)
        keys.copy_(queries)
    _quiet(network)
    fit = {H2L: _discriminant_outputs, OneImage: _discriminant_pooling, H2: _discriminant_difference}[type(network)]
    fit(network, views, rows)
    if isinstance(network, H2):
        _even_classes(network, views)


def _centre(network, patches: Tensor, rows: Tensor) -> None:
    """``patch_mean``: of all patches, or at each place."""
    mean = torch.stack([patches[some].float().sum(0) for some in rows.split(_CHUNK)]).sum(0) / len(rows)
    network.patch_mean.copy_(mean if network.sizes.placed else mean.mean(0))


def _directions(network, patches: Tensor, rows: Tensor) -> Tensor:
    """(C, dim at the most) principal directions of the centred unit patches, strongest first."""
    moment = torch.zeros(patches.shape[2], patches.shape[2], device=patches.device)
    for some in rows.split(_CHUNK):
        flat = F.normalize(patches[some].float() - network.patch_mean, dim=2).flatten(0, 1)
        moment += flat.T @ flat
    return torch.linalg.eigh(moment)[1].flip(1)[:, :network.sizes.dim]


def _faces(network, views: ViewSet, rows: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
    """What ``look`` makes of the tokens (B, P, dim) of the views at ``rows``, in parts."""
    return torch.cat([look(network.tokens(views.patches[some].float())) for some in rows.split(_CHUNK)])


def _quiet(network: H2L | OneImage | H2) -> None:
    """Tokens and blocks that hardly change the patches at first."""
    for token in (network.cls_token, network.pos_embedding, *([] if isinstance(network, OneImage) else [network.sep])):
        token.mul_(_SMALL_TOKENS)
    for attend, feed in network.transformer.layers:
        for last in (attend.fn.fn.to_out[0], feed.fn.fn.net[3]):
            last.weight.mul_(_SMALL_LAYERS)
            last.bias.zero_()


def _discriminant_outputs(network: H2L, views: ViewSet, rows: Tensor) -> None:
    """``squeeze``: the leading directions of a token. Every output: linear discriminant analysis."""
    kept = network.sizes.squeeze
    network.squeeze.weight.copy_(torch.eye(kept, network.sizes.dim))
    network.squeeze.bias.zero_()
    faces = _faces(network, views, rows, lambda tokens: tokens[..., :kept].flatten(1))
    weight, centre = discriminant(faces, views.person[rows], network.sizes.output)
    for layer in (network.fc1, network.fc2):
        layer.weight.copy_(weight)
        layer.bias.copy_(-weight @ centre)


def _discriminant_pooling(network: OneImage, views: ViewSet, rows: Tensor) -> None:
    """In the last block, CLS looks at all patches alike and hears the discriminant directions of their mean."""
    attend = network.transformer.layers[-1][0].fn
    queries, _, values = attend.fn.to_qkv.weight.chunk(3)
    queries.mul_(_SMALL_LAYERS)
    values.copy_(torch.eye(*values.shape))
    pooled = _faces(network, views, rows, lambda tokens: F.layer_norm(tokens, (network.sizes.dim,)).mean(1))
    weight, centre = discriminant(pooled[:, :len(values)], views.person[rows], network.sizes.dim)
    out = attend.fn.to_out[0]
    out.weight.copy_(F.pad(weight, (0, out.in_features - weight.shape[1])))
    out.bias.copy_(-weight @ centre)


def _discriminant_difference(network: H2, views: ViewSet, rows: Tensor) -> None:
    """In the last block, half of CLS's heads look at face 1 and half at face 2, told apart by their positions. What
    they hear, the discriminant directions of each mean patch, is subtracted: the more alike the faces, the more of the
    normalised CLS is left to its own constant half, which is what the two classes are read from."""
    sizes = network.sizes
    half, heads = sizes.dim // 2, sizes.heads
    if heads % 2:
        raise BadSetting("H2 begins with half of its heads on either face: give it an even number of heads.")
    device = network.cls_token.device
    constant = torch.ones(sizes.dim - half, device=device)
    constant[1::2] = -1
    network.cls_token[..., half:] = _CONSTANT * constant
    place = F.normalize(torch.randn(sizes.dim), dim=0).to(device)
    network.pos_embedding[:, 1:sizes.patches + 1] += _PLACE * place
    network.pos_embedding[:, sizes.patches + 2:] -= _PLACE * place

    attend = network.transformer.layers[-1][0].fn
    queries, keys, values = attend.fn.to_qkv.weight.chunk(3)
    cls = F.layer_norm((network.cls_token + network.pos_embedding[:, :1])[0, 0], (sizes.dim,))
    sign = torch.where(torch.arange(heads, device=device) < heads // 2, 1.0, -1.0)
    for layer in (queries, keys):
        layer.mul_(_SMALL_LAYERS)
    queries.view(heads, -1, sizes.dim)[:, 0] = sign[:, None] * _LOOK * cls / cls.square().sum()
    keys.view(heads, -1, sizes.dim)[:, 0] = place

    pooled = _faces(network, views, rows, lambda tokens: F.layer_norm(tokens + _PLACE * place, (sizes.dim,)).mean(1))
    weight, _ = discriminant(pooled, views.person[rows], len(values) // 2)
    weight -= torch.outer(weight @ place, place)  # where a face stands is no difference between people
    values.copy_(weight.repeat(2, 1))
    out = attend.fn.to_out[0]
    out.weight.zero_()
    kept = min(half, len(weight))
    for first, sign_of_face in ((0, 1.0), (len(weight), -1.0)):
        out.weight[:kept, first:first + kept] = sign_of_face * torch.eye(kept, device=device)
    network.fc.weight.copy_(F.pad(constant * torch.tensor([[-1.0], [1.0]], device=device), (half, 0)))
    network.fc.bias.zero_()


def _even_classes(network: H2, views: ViewSet) -> None:
    """Scale the two classes so that two views of a photo and views of different people are _SPREAD apart in log odds,
    with "same" and "different" equally likely half-way: distances are probabilities, and must not saturate."""
    first = torch.arange(len(views) - 1, device=views.photo.device)
    first = first[views.photo[first] == views.photo[first + 1]][:_ASKED]
    other = first.roll(len(first) // 2)
    shown = [views.patches[rows].float() for rows in (first, first + 1, other + 1)]
    same, different = (float(network.logit(shown[0], second).mean()) for second in shown[1:])
    scale = _SPREAD / (same - different)
    network.fc.weight.mul_(scale)
    network.fc.bias.copy_(torch.tensor([0.5, -0.5], device=network.fc.bias.device) * scale * (same + different) / 2)


def discriminant(faces: Tensor, person: Tensor, count: int, *, ridge: float = _RIDGE) -> tuple[Tensor, Tensor]:
    """Linear discriminant analysis of (N, F) faces: the ``count`` directions that tell people apart best against the
    scatter within a person, (count, F), strongest first, and the mean (F,). Rows beyond F are zero. ridge: share of the
    mean variance that is added to every direction of that scatter."""
    people, member = person.unique(return_inverse=True)
    each = member.bincount(minlength=len(people))[:, None]
    means = torch.zeros(len(people), faces.shape[1], device=faces.device).index_add_(0, member, faces) / each
    centre = faces.mean(0)
    apart = faces - means[member]
    within = apart.T @ apart / len(faces)
    within.diagonal().add_(ridge * within.diagonal().mean())
    variance, axes = torch.linalg.eigh(within)
    whiten = axes / variance.sqrt()
    between = (means - centre) @ whiten
    chosen = torch.linalg.eigh(between.T @ between)[1].flip(1)[:, :count]
    weight = (whiten @ chosen).T
    return F.pad(weight, (0, 0, 0, count - len(weight))), centre
