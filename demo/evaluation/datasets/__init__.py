"""Data sets in their official layouts: photos with identities, and pairs for verification."""

from demo.evaluation.datasets.check import Check, check_dataset
from demo.evaluation.datasets.pairs import Pair, drawn_pairs
from demo.evaluation.datasets.registry import DATASETS, Dataset, dataset, pairs_of, photos_of

__all__ = ["DATASETS", "Check", "Dataset", "Pair", "check_dataset", "dataset", "drawn_pairs", "pairs_of", "photos_of"]
