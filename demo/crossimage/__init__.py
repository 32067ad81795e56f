"""Cross-image transformers (Face-ViT): V, H1, H2 and H2L, their re-ranking, training and maps."""

from demo.crossimage.checkpoint import load_h2l, save_model, shipped
from demo.crossimage.maps import (
    CrossAttention,
    PairMaps,
    cross_attention,
    cross_correlation,
    pair_maps,
    received,
    relevance,
    rollout,
)
from demo.crossimage.methods import METHODS, Comparison, load_method, methods_ready
from demo.crossimage.model import CrossImageModel, PairOutput
from demo.crossimage.rerank import CrossReranker, Prepared

__all__ = ["METHODS", "Comparison", "CrossAttention", "CrossImageModel", "CrossReranker", "PairMaps", "PairOutput",
           "Prepared", "cross_attention", "cross_correlation", "load_h2l", "load_method", "methods_ready", "pair_maps",
           "received", "relevance", "rollout", "save_model", "shipped"]
