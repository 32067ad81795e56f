"""Every method, one line each. Pages, command line, evaluation, calibration, attack and study go through this table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from demo.backbones import Backbone
from demo.crossimage import CrossImageModel
from demo.errors import BadSetting
from demo.fields import fields_of
from demo.methods.alike import Alike
from demo.methods.base import AnyBackbone, Faces, Method
from demo.methods.cosine import Cosine
from demo.methods.cross import CrossMethod
from demo.methods.discriminant import Discriminant
from demo.methods.emd import Emd
from demo.methods.h1 import H1
from demo.methods.h2 import H2
from demo.methods.h2l import H2L
from demo.methods.v import V

#: Word → method, in the order that menus and tables show. The first is Stage 1.
METHODS: dict[str, type[Method]] = {
    method.word: method for method in (Cosine, Alike, Emd, H2L, H2, H1, V, Discriminant)}
#: Stage 1: ranks the whole gallery.
STAGE1 = Cosine
#: What re-ranks unless something else is asked for.
DEFAULT = Alike
#: The papers' own Stage 2: tables of its settings do not repeat its name.
PUBLISHED = Emd
#: Those that can be Stage 2.
RERANKING = {word: method for word, method in METHODS.items() if method.reranks}
#: The option of ``demo.methods.matching.Matching`` that only methods with ``uses_grid`` take.
GRID = "grid"
#: The word for Stage 1 alone.
NONE = "none"


def method_of(word: str) -> type[Method]:
    """A method by its word; BadSetting for an unknown one."""
    if word not in METHODS:
        raise BadSetting(f"Unknown method {word!r}: choose from {', '.join(METHODS)}.")
    return METHODS[word]


def method_with(kind: str) -> type[CrossMethod]:
    """The method whose trained model is of a kind, such as "H2L"; BadSetting where no method has it."""
    for method in METHODS.values():
        if issubclass(method, CrossMethod) and method.name == kind:
            return method
    raise BadSetting(f"No method uses Model {kind}.")


def load_method(word: str, backbone: Backbone, gallery: Faces | None = None, *, weights: str | Path | None = None,
                model: CrossImageModel | None = None) -> Method:
    """A method ready to compare faces by their features.

    weights: a checkpoint for one that is ``trained``; default: those shipped for the backbone. model: one that is
    loaded already, used where it is of this method's kind. A published checkpoint brings its own face CNN: features
    must come from ``method.model.backbone`` then. Raises BadSetting for an unknown word, WeightsMissing where no
    weights are shipped, BadWeights for a file of another model.
    """
    chosen = method_of(word)
    if issubclass(chosen, CrossMethod) and model is not None and model.kind == chosen.name:
        return chosen(backbone, gallery, model=model)
    return chosen(backbone, gallery, weights=Path(weights) if weights else None)


def ready(backbone: AnyBackbone, gallery: Faces | None = None, *,
          among: Mapping[str, type[Method]] = METHODS) -> dict[str, type[Method]]:
    """Those methods that can be used with a backbone and a gallery."""
    return {word: method for word, method in among.items() if method.unavailable(backbone, gallery) is None}


def usual(backbone: AnyBackbone, gallery: Faces | None = None, asked: Collection[str] = ()) -> type[Method]:
    """What re-ranks with a backbone unless something else is asked for: the default where it can be used, else the
    first that can. asked: names of options that are set; of those that only some methods take it must take all, so
    that none is set in vain."""
    can = ready(backbone, gallery, among=RERANKING)
    taken = {method: {one.name for one in fields_of(method.Options)} | ({GRID} if method.uses_grid else set())
             for method in RERANKING.values()}
    wanted = set().union(*taken.values()) & set(asked)
    first = [DEFAULT] if DEFAULT.word in can else []
    return next((method for method in (*first, *can.values()) if wanted <= taken[method]), *(first or [DEFAULT]))
