"""Interactive, explainable face identification: DeepFace-EMD and Face-ViT."""

import os

__version__ = "0.2.0"

# Idle OpenMP threads of PyTorch spin for long by default, and so take the cores that the exact solver's threads need
# next. Letting them spin briefly only (set before PyTorch is loaded) halves the time of exact transport on two cores
# and leaves the networks as fast.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
