"""What can rank and verify: one file per method, one table of them, one ``rerank``."""

from demo.methods.base import PREPARED_ROWS, Bounded, Faces, Measured, Method, Moved, NoOptions
from demo.methods.cross import CrossMethod
from demo.methods.first import Few, first_few
from demo.methods.matching import Matching, method_fields
from demo.methods.registry import (
    DEFAULT,
    METHODS,
    NONE,
    PUBLISHED,
    RERANKING,
    STAGE1,
    load_method,
    method_of,
    method_with,
    ready,
    usual,
)
from demo.methods.rerank import Reranked, rerank

__all__ = ["DEFAULT", "METHODS", "NONE", "PREPARED_ROWS", "PUBLISHED", "RERANKING", "STAGE1", "Bounded", "CrossMethod",
           "Faces", "Few", "Matching", "Measured", "Method", "Moved", "NoOptions", "Reranked", "first_few",
           "load_method", "method_fields", "method_of", "method_with", "ready", "rerank", "usual"]

#: What caches hold was made by this version. Raise it when the same features are at another distance.
VERSION = 1
