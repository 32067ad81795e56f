"""Where training starts: discriminant directions of the views, so that an untrained transformer does no harm.

With little data, a transformer trained from random weights learns its training people. Instead our networks start
as the identity on centred patches; attention starts by looking at what is alike, each head in some directions; and
H2L's two outputs start as one linear discriminant map of the patches, fitted to tell people apart whatever is drawn
over them. Training then moves on from a model that already ranks well.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.crossimage.networks import H2L, TOKEN_LENGTH
from demo.crossimage.views import ViewSet

#: Size of random tokens and positions, and of the blocks' last layers, over those of the published initialisation.
_SMALL_TOKENS, _SMALL_LAYERS = 0.16, 0.1
#: Length of the rows of the first queries and keys: how sharply patches look for their like.
_SHARPNESS = 1.75
#: Share of the mean variance that is added to every direction of the within-person scatter.
_RIDGE = 1.0


@torch.no_grad()
def initialise(network, views: ViewSet) -> None:
    """Set a network of our mode up for training on ``views``."""
    patches = views.patches.float()
    network.patch_mean.copy_(patches.mean((0, 1)))
    network.project.weight.copy_(torch.eye(*network.project.weight.shape))
    network.project.bias.zero_()
    for attend, _ in network.transformer.layers:
        queries, keys, _ = attend.fn.fn.to_qkv.weight.chunk(3)
        torch.nn.init.orthogonal_(queries, _SHARPNESS)
        keys.copy_(queries)
    if isinstance(network, H2L):
        _quiet(network)
        _discriminant_outputs(network, TOKEN_LENGTH * F.normalize(patches - network.patch_mean, dim=2), views.person)


def _quiet(network: H2L) -> None:
    """Tokens and blocks that hardly change the patches at first. H1 and H2 read CLS, which has to hear of them."""
    for token in (network.cls_token, network.sep, network.pos_embedding):
        token.mul_(_SMALL_TOKENS)
    for attend, feed in network.transformer.layers:
        for last in (attend.fn.fn.to_out[0], feed.fn.fn.net[3]):
            last.weight.mul_(_SMALL_LAYERS)
            last.bias.zero_()


def _discriminant_outputs(network: H2L, tokens: Tensor, person: Tensor) -> None:
    """``squeeze``: the principal directions of a patch. ``fc1`` = ``fc2``: linear discriminant analysis."""
    flat = tokens.flatten(0, 1)
    directions = torch.linalg.eigh(flat.T @ flat)[1].flip(1)[:, :network.sizes.squeeze]
    network.squeeze.weight.copy_(F.pad(directions.T, (0, network.sizes.dim - len(directions))))
    network.squeeze.bias.zero_()
    faces = (tokens @ directions).flatten(1)
    people, member = person.unique(return_inverse=True)
    count = torch.bincount(member, minlength=len(people))[:, None]
    means = torch.zeros(len(people), faces.shape[1]).index_add_(0, member, faces) / count
    centre = faces.mean(0)
    apart = faces - means[member]
    within = apart.T @ apart / len(faces)
    within.diagonal().add_(_RIDGE * within.diagonal().mean())
    variance, axes = torch.linalg.eigh(within)
    whiten = axes / variance.sqrt()
    between = (means - centre) @ whiten
    chosen = torch.linalg.eigh(between.T @ between)[1].flip(1)[:, :network.sizes.output]
    weight = (whiten @ chosen).T
    for layer in (network.fc1, network.fc2):
        layer.weight.copy_(weight)
        layer.bias.copy_(-weight @ centre)
