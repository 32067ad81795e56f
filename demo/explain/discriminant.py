"""What each patch adds to the likeness of two faces by the linear discriminant."""

from __future__ import annotations

from demo.crossimage.networks import Linear
from demo.drawing import FaceMaps
from demo.explain.base import Explanation, Importance
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.methods import CrossMethod
from demo.methods.discriminant import Discriminant


class DiscriminantExplanation(Explanation):
    """The addends of the cosine, one of each patch of either face (``Linear.contributions``); exact, as the map is
    linear."""

    word = "discriminant-patches"
    title = "What each patch adds"
    called = "likeness by the discriminant"
    note = "Linear discriminant: each patch's part of the likeness."
    hint = ("How much each patch adds to the likeness of the {first} and the {second}; the patches of a face sum to "
            "the whole likeness, and a patch that speaks against it is below 0.")
    method = Discriminant.word
    view = "correlation"
    extra = True
    stored = "discriminant_patches"

    def compute(self, pair: Pair) -> Maps:
        method = pair.method(self.method)
        assert isinstance(method, CrossMethod)
        model = method.model
        assert isinstance(model.network, Linear)
        first, second = (model.patches(face) for face in pair.features)
        one, other = (model.network.contributions(a, b)[0].cpu().numpy() for a, b in ((first, second), (second, first)))
        return Maps(FaceMaps(self.title, one, other, model.grid), "likeness")

    def importances(self, pair: Pair) -> list[Importance]:
        return [Importance(self.title, self.method, self.compute(pair).maps.query)]
