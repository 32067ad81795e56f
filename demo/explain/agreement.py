"""Where two faces agree: how much nearer each patch of the first brings them than it would bring a stranger."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from demo.backbones import Features
from demo.drawing import FaceMaps
from demo.explain.base import Condition, Explanation, Importance
from demo.explain.covers import Covered, covered, version_weights
from demo.explain.effects import effects
from demo.explain.pair import Pair
from demo.explain.results import Maps, Signed
from demo.methods import METHODS, Method

#: Gallery faces, evenly spread, of which the nearest third is left out, as somebody may be the person in question.
CANDIDATES = 12
#: Fewer are no sample of strangers.
FEWEST = 3
#: What the maps mean, for participants of the study.
LEGEND = ("Each photo again, lit by a computer: bright parts spoke for one person when it compared, dark parts for two "
          "people.")


class Agreement(Explanation):
    """The contribution of each patch of the first face: mean fall of the distance that it brings, over versions of the
    photo in which half of the patches, or one, are black, minus the mean fall of a typical stranger's distance.

    The contributions sum to a typical stranger's distance minus the pair's, exactly (``Signed``). Where no gallery is
    known, the distance of the picture with every patch black stands for the stranger's.
    """

    view = "agreement"
    extra = True
    overview = True
    slow = True
    note = "What speaks for one person, and what against."
    hint = ("What each patch of the {first} contributes to the distance: blue brings the two nearer than a stranger "
            "would be, orange takes them apart, and a patch without colour is as unlike as any stranger's. Measured by "
            "blacking patches out; the contributions sum to the distance.")

    def __init__(self, method: type[Method]):
        """method: whose distance it explains."""
        self.word, self.method, self.short = f"agreement-{method.word}", method.word, method.short
        self.title, self.stored = f"Where they agree: {method.short}", f"agreement_{method.word}"
        if method.verifies and not method.trained:  # a trained one is explained only where it ranks
            self.condition = Condition(f"agree_{method.word}", self.title, f"{method.short}: for, against", LEGEND)

    def unavailable(self, pair: Pair) -> str | None:
        if reason := super().unavailable(pair):
            return reason
        method = METHODS[self.method]
        if (method.trained or not method.verifies) and pair.matching.method != self.method:
            return f"{method.short} is explained where it ranks."
        return None

    def on_sheet(self, pair: Pair) -> bool:
        return self.method == pair.matching.method

    def compute(self, pair: Pair) -> Signed:
        return self.contributions(pair, pair.features[1])[0]

    def contributions(self, pair: Pair, others: Features) -> list[Signed]:
        """``compute`` for B other faces at once, compared under the pair's settings. Of two of them the contributions'
        differences sum to the difference of the distances."""
        method = pair.method(self.method)
        face = covered(pair.crops[0], pair.features[0], method.backbone)
        apart = _distances(pair, method, pair.features[0], face, others)
        settings = self.method, method.key, method.gallery, pair.matching.of(self.method), pair.grid_of(method)
        theirs = face.once(settings, lambda: _strangers(pair, method, face))
        grid, found = pair.features[0].grid, []
        for ours in apart.T:
            typical = np.full(len(ours), ours[-1]) if theirs is None else theirs
            margins = typical - ours
            values = effects(margins[1:-1], float(margins[0]), face.kept, grid, version_weights(face.kept))
            found.append(Signed(self.title, values, grid, float(ours[0]), float(typical[0]), theirs is not None))
        return found

    def of_both(self, pair: Pair) -> Maps:
        """The contributions of each face's patches, with that face as the first."""
        found = [self.compute(one) for one in (pair, pair.exchanged())]
        return Maps(FaceMaps(self.title, found[0].values, found[1].values, found[0].grid, signed=True), "contribution")

    def importances(self, pair: Pair) -> list[Importance]:
        values, options = self.compute(pair).values, pair.matching.of(self.method)
        return [Importance(self.title, self.method, values, getattr(options, "weighting", ""), options)]


def _strangers(pair: Pair, method: Method, face: Covered) -> np.ndarray | None:
    """(M + 2,) mean distance of gallery faces to the whole face, to its versions and to nothing of it; None where too
    few faces are known."""
    gallery = method.gallery
    if gallery is None or len(gallery) * 2 // 3 < FEWEST:
        return None
    rows = np.unique(np.linspace(0, len(gallery) - 1, CANDIDATES).round().astype(int)).tolist()
    faces = gallery.features(rows, pair.grid_of(method))
    apart = 1 - F.normalize(faces.embedding, dim=1) @ F.normalize(pair.features[0].embedding[0], dim=0)
    keep = torch.argsort(apart, stable=True)[len(rows) // 3:].tolist()
    return _distances(pair, method, pair.features[0], face, faces[keep]).mean(1)


def _distances(pair: Pair, method: Method, whole: Features, face: Covered, others: Features) -> np.ndarray:
    """(M + 2, B) distances of the whole face, of its versions and of nothing of it to B faces."""
    prepared, options, grid = method.prepare(others), pair.matching.of(method.word), pair.grid_of(method)
    with torch.inference_mode():
        found = [method.between(one, prepared, options, grid).double().cpu() for one in (whole, face.versions)]
    return torch.cat(found).numpy()
