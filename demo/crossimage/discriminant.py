"""Model L, in closed form: the linear discriminant of what each row of patches adds to a backbone's embedding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from demo.backbones import Backbone, Grid, grid_name
from demo.crossimage.networks import Linear, Sizes
from demo.crossimage.start import discriminant
from demo.crossimage.views import ViewSet
from demo.errors import BadSetting

#: Its name among the models.
NAME = "L"
#: Share of the mean variance that is added to every direction of the within-person scatter; chosen on people held out.
RIDGE = 0.1
#: Views that are looked at together.
_CHUNK = 512


def checked_head(backbone: Backbone, grid: Grid | None = None) -> tuple[Tensor, Tensor]:
    """``Backbone.head``; BadSetting where there is none, or for another grid than the first, which it is of."""
    head = backbone.head()
    if head is None:
        raise BadSetting(f"The {backbone.name} backbone does not end in layers that are linear in its patches, so they "
                         "have no linear discriminant: choose another backbone.")
    if grid not in (None, backbone.info.grids[0]):
        raise BadSetting(f"The linear discriminant works on the {grid_name(backbone.info.grids[0])} patches that the "
                         "backbone's embedding is made of: leave the grid out.")
    return head


@torch.no_grad()
def fit_linear(views: ViewSet, backbone: Backbone, *, output: int) -> Linear:
    """Model L on views of the backbone's first grid, on their device.

    A row of patches is what the backbone's own last layers, which are linear (``Backbone.head``), make of it; masked
    and bare photos of a person lie close in the ``output`` directions that tell people apart best against the scatter
    within a person. BadSetting for a backbone without such layers, and for fewer than four people.
    """
    head = checked_head(backbone)
    if len((views.person // 2).unique()) < 4:
        raise BadSetting("A linear discriminant needs at least four people.")
    place, weight = (one.to(views.patches.device) for one in head)
    network = Linear(Sizes(dim=len(weight), output=output, patches=len(place), channels=place.shape[1], faithful=False,
                           placed=True, rows=backbone.info.grids[0][0])).to(views.patches.device)

    def looked(rows: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([look(views.patches[some].float()) for some in rows.split(_CHUNK)])

    plain = views.plain.nonzero()[:, 0]
    total = torch.stack([views.patches[some].float().sum(0) for some in plain.split(_CHUNK)]).sum(0)
    network.patch_mean.copy_(total / len(plain))
    network.place.copy_(place)
    network.project.weight.copy_(weight)
    faces = looked(torch.arange(len(views), device=plain.device), lambda found: network.rows(network.parts(found)))
    chosen, centre = discriminant(faces, views.person, output, ridge=RIDGE)
    network.fc.weight.copy_(chosen)
    network.fc.bias.copy_(-chosen @ centre)
    return network.eval()
