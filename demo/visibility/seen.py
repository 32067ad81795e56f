"""What is seen on one face, in words: the estimate of whatever was learned for the backbone at hand."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from demo.backbones import Backbone, Features
from demo.errors import BadWeights, WeightsMissing
from demo.visibility.estimate import Visibility
from demo.visibility.store import read_visibility, shipped_visibility

#: What is worn → how a sentence begins that says how much of the face it hides.
_COVERS = {"mask": "A face mask covers", "sunglasses": "Sunglasses cover"}
#: The same as it is drawn.
_DRAWN = {"mask": "a drawn mask", "sunglasses": "drawn sunglasses"}
_READ: WeakKeyDictionary[Backbone, Visibility] = WeakKeyDictionary()


@dataclass(frozen=True)
class Seen:
    """What covers a face. wears: a word of WORN, or None. area: covered share of the aligned face, 0 to 1."""

    wears: str | None
    area: float

    @property
    def sentence(self) -> str:
        """How much what is worn hides; "" where nothing is worn."""
        return "" if self.wears is None else f"{_COVERS[self.wears]} about {100 * self.area:.0f} % of this face."

    @property
    def drawn(self) -> str:
        """What is worn as a drawing of it, in running text; "" where nothing is worn."""
        return "" if self.wears is None else _DRAWN[self.wears]

    def as_json(self) -> dict:
        return {"wears": self.wears, "covered": round(self.area, 3)}


def seen_on(features: Features, backbone: Backbone) -> Seen | None:
    """What covers one face (features of it alone); None where nothing was learned for these weights."""
    if backbone not in _READ:
        try:
            _READ[backbone] = read_visibility(shipped_visibility(backbone.name, backbone.info.folder), backbone)
        except (WeightsMissing, BadWeights):
            return None
    return Seen(*_READ[backbone].of(features).summary())
