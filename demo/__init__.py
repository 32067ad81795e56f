"""Interactive, explainable face identification: DeepFace-EMD and Face-ViT."""

__version__ = "0.1.0"
