"""Adversarial alterations of a query: one line in ATTACKS each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from demo.attack.pgd import PGD, label, perturb
from demo.backbones import Backbone
from demo.errors import BadSetting
from demo.faces import Alteration, Face, Kind, align, perturbed
from demo.gallery import Gallery


@dataclass(frozen=True)
class Attack(Kind):
    """An alteration made against the backbone. towards: the embedding is to come near to the reference, or to get away.

    reference: (the clean face's embedding (1, D), the gallery or None) → embedding (D,) or (1, D).
    """

    reference: Callable[[Tensor, Gallery | None], Tensor] = field(repr=False, kw_only=True)
    towards: bool = field(kw_only=True)


def own(embedding: Tensor, gallery: Gallery | None) -> Tensor:
    """The face itself, which it shall no longer be like."""
    return embedding


def nearest_stranger(embedding: Tensor, gallery: Gallery | None) -> Tensor:
    """The gallery photo that is nearest by cosine among those of other people than the best match.

    Raises BadSetting without a gallery of at least two people.
    """
    if gallery is None or gallery.persons < 2:
        raise BadSetting("Impersonation needs a gallery of at least two people: choose another gallery.")
    row = gallery.nearest_other(embedding)
    assert row is not None
    return gallery.unit([row])[0]


_NOTE = (f"White-box PGD on the chosen backbone did it, changing each pixel value by at most {PGD().eps} of 255; it is "
         "not TALFW. Only the image embedding was attacked, not the re-ranking.")
#: Every attack by name.
ATTACKS = {
    "dodge": Attack("Adversarial: dodge", reference=own, towards=False,
                    note=f"The photo was made to be unlike itself. {_NOTE}"),
    "impersonate": Attack("Adversarial: impersonate", reference=nearest_stranger, towards=True,
                          note=f"The photo was made to be like the nearest stranger in the gallery. {_NOTE}"),
}


def adversarial(photo: np.ndarray, face: Face, kind: str, backbone: Backbone, gallery: Gallery | None = None, *,
                seed: int = 0, pgd: PGD | None = None) -> Alteration:
    """Alter a uint8 (H, W, 3) photo against a backbone; kind: a word of ATTACKS. seed: of the random start.

    The face of the result is where it was: ``relocated`` finds it as a matcher would. Raises BadSetting for a negative
    seed, and see ``nearest_stranger``.
    """
    if seed < 0:
        raise BadSetting(f"The seed is {seed}, and must be 0 or more.")
    attack = ATTACKS[kind]
    clean = backbone.extract(align(photo, face, backbone)).embedding
    altered = perturb(photo, face, backbone, attack.reference(clean, gallery), towards=attack.towards, pgd=pgd,
                      seed=seed)
    return perturbed(altered, face, kind, seed=seed, note=label(backbone))
