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
from demo.crossimage.model import CrossImageModel, PairOutput
from demo.crossimage.rerank import CrossReranker, Prepared

__all__ = ["CrossAttention", "CrossImageModel", "CrossReranker", "PairMaps", "PairOutput", "Prepared",
           "cross_attention", "cross_correlation", "load_h2l", "pair_maps", "received", "relevance", "rollout",
           "save_model", "shipped"]
