"""Interactive, explainable face identification: DeepFace-EMD and Face-ViT."""

import os
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Idle OpenMP threads of PyTorch spin for long by default, and so take the cores that the exact solver's threads need
# next. Letting them spin briefly only (set before PyTorch is loaded) halves the time of exact transport on two cores
# and leaves the networks as fast.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:
    from demo.backbones import load_backbone
    from demo.errors import DemoError
    from demo.evaluation import evaluate, leave_one_out
    from demo.explain import EXPLANATIONS, Pair
    from demo.faces import align, alter, detect_faces, load_photo
    from demo.figures import pair_of
    from demo.gallery import Gallery, open_or_build
    from demo.identify import Identification, Identifier
    from demo.methods import METHODS, Matching
    from demo.query import Preparation
    from demo.verify import Verification
    from demo.verify import verify as compare

#: Name → where it is, of what most programs need. The rooms keep their names: ``demo.explain.explain(pair)`` computes
#: explanations. Names and rooms are imported when first asked for, to keep ``import demo`` light.
_NAMES = {
    "align": "demo.faces", "alter": "demo.faces", "detect_faces": "demo.faces", "load_photo": "demo.faces",
    "load_backbone": "demo.backbones", "METHODS": "demo.methods", "Matching": "demo.methods",
    "Preparation": "demo.query", "Gallery": "demo.gallery", "open_or_build": "demo.gallery",
    "Identifier": "demo.identify", "Identification": "demo.identify", "compare": "demo.verify:verify",
    "Verification": "demo.verify", "EXPLANATIONS": "demo.explain", "Pair": "demo.explain", "pair_of": "demo.figures",
    "evaluate": "demo.evaluation", "leave_one_out": "demo.evaluation", "DemoError": "demo.errors",
}
__all__ = ["EXPLANATIONS", "METHODS", "DemoError", "Gallery", "Identification", "Identifier", "Matching", "Pair",
           "Preparation", "Verification", "__version__", "align", "alter", "compare", "detect_faces", "evaluate",
           "leave_one_out", "load_backbone", "load_photo", "open_or_build", "pair_of"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        module, _, attribute = _NAMES[name].partition(":")
        found = globals()[name] = getattr(import_module(module), attribute or name)
        return found
    if name in _rooms():
        return import_module(f"demo.{name}")
    raise AttributeError(f"module 'demo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_rooms()})


def _rooms() -> set[str]:
    """Names of the modules here that a program may use."""
    return {module.name for module in iter_modules(__path__) if not module.name.startswith("_")}
