"""Interactive, explainable face identification: DeepFace-EMD and Face-ViT."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Idle OpenMP threads of PyTorch spin for long by default, and so take the cores that the exact solver's threads need
# next. Letting them spin briefly only (set before PyTorch is loaded) halves the time of exact transport on two cores
# and leaves the networks as fast.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:
    from demo.backbones import load_backbone
    from demo.errors import DemoError
    from demo.evaluation import evaluate
    from demo.explain import EXPLANATIONS, Pair
    from demo.faces import align, alter, detect_faces, load_photo
    from demo.gallery import Gallery
    from demo.identify import Identification, Identifier
    from demo.methods import METHODS
    from demo.verify import Verification
    from demo.verify import verify as compare

#: Name → where it is, of what most programs need. The rooms ``demo.identify`` and ``demo.explain`` keep their names:
#: ``demo.explain.explain(pair)`` computes explanations. Imported when first asked for, to keep ``import demo`` light.
_NAMES = {
    "align": "demo.faces", "alter": "demo.faces", "detect_faces": "demo.faces", "load_photo": "demo.faces",
    "load_backbone": "demo.backbones", "METHODS": "demo.methods", "Gallery": "demo.gallery",
    "Identifier": "demo.identify", "Identification": "demo.identify", "compare": "demo.verify:verify",
    "Verification": "demo.verify", "EXPLANATIONS": "demo.explain", "Pair": "demo.explain",
    "evaluate": "demo.evaluation", "DemoError": "demo.errors",
}
__all__ = ["EXPLANATIONS", "METHODS", "DemoError", "Gallery", "Identification", "Identifier", "Pair", "Verification",
           "__version__", "align", "alter", "compare", "detect_faces", "evaluate", "load_backbone", "load_photo"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'demo' has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), attribute or name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
