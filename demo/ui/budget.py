"""What visitors' results take together: up to so many bytes, then those go first that were not used longest."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from demo.backbones import Backbone
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import Method

#: Bytes of all results together. One of a masked face takes about 5 MB, and one of a large photo 50.
MOST = 1 << 29
#: What all results share.
_SHARED = (Backbone, Gallery, Identifier, Method, torch.nn.Module)
T = TypeVar("T")


class Budget:
    """Results are kept elsewhere, in the sessions that they belong to; here is only who they are and what they weigh. A
    result that has to go is emptied, so that whoever still has it holds nothing."""

    def __init__(self, most: int = MOST):
        self.most = most
        self._known: OrderedDict[int, tuple[weakref.ref, int]] = OrderedDict()
        self._lock = threading.RLock()  # a result may die while this thread holds it

    def keep(self, result: object) -> None:
        """Count a new result, or weigh one again that remembers more by now; the ones unused for longest go where there
        are too many bytes, this one never."""
        number, size = id(result), weigh(result)
        with self._lock:
            self._known.pop(number, None)
            self._known[number] = weakref.ref(result, lambda _: self._forget(number)), size
            while self.size > self.most and len(self._known) > 1:
                _, (oldest, _) = self._known.popitem(last=False)
                if (gone := oldest()) is not None:
                    vars(gone).clear()

    def use(self, result: T | None) -> T | None:
        """The result, which is used now; None for one that had to go."""
        if result is None or not vars(result):
            return None
        with self._lock:
            if id(result) in self._known:
                self._known.move_to_end(id(result))
        return result

    @property
    def size(self) -> int:
        """Bytes of all that are counted."""
        with self._lock:
            return sum(size for _, size in self._known.values())

    def _forget(self, number: int) -> None:
        with self._lock:
            self._known.pop(number, None)


#: Those of this process.
RESULTS = Budget()


def weigh(value: Any, seen: set[int] | None = None) -> int:
    """Bytes of the arrays and texts that a value holds, what it shares with others (networks, galleries) aside."""
    seen = set() if seen is None else seen
    if isinstance(value, (*_SHARED, type)) or callable(value):
        return 0
    if isinstance(value, torch.Tensor):
        store = value.untyped_storage()
        return _once(store.data_ptr(), store.nbytes(), seen)
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return _once(id(value), value.nbytes, seen)
    if isinstance(value, str | bytes):
        return _once(id(value), sys.getsizeof(value), seen)
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, Mapping):
        return sum(weigh(one, seen) for one in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return sum(weigh(one, seen) for one in value)
    return sum(weigh(one, seen) for one in vars(value).values()) if hasattr(value, "__dict__") else 0


def _once(number: int, size: int, seen: set[int]) -> int:
    if number in seen:
        return 0
    seen.add(number)
    return size
