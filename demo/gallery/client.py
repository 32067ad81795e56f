"""A connection to Milvus: every call may be repeated, is repeated a few times where nobody answers, and fails in a
sentence."""

from __future__ import annotations

import logging
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from demo.errors import BadGallery, BadSetting, StoreLost
from demo.gallery.address import Address

#: Seconds before each further try, and that a call may take; of a call that loads or builds.
WAITS, PATIENCE, LONG = (0.2, 0.5, 1.0), 10.0, 600.0
#: Codes of gRPC and of Milvus: nobody there, no answer in time, not yet ready.
_LOST = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
_CONNECT_FAILED = 2
_SLOW = {"create_collection", "load_collection", "flush", "create_partition", "drop_partition"}


class Connection:
    """Threads may share one. BadSetting where pymilvus is not installed; StoreLost where nobody answers."""

    def __init__(self, address: Address):
        self.address = address
        try:
            self.pymilvus: Any = import_module("pymilvus")
            if address.is_file:
                import_module("milvus_lite")
        except ImportError as error:
            raise BadSetting(f"Galleries in Milvus need the package {error.name}: pip install "
                             f"{'pymilvus milvus-lite' if address.is_file else 'pymilvus'}.") from None
        if address.is_file:
            try:
                Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadGallery(f"{address} cannot be made: {error.strerror}.") from None
        for name in ("pymilvus", "milvus_lite", "grpc"):  # what fails is told below, once
            logging.getLogger(name).setLevel(logging.CRITICAL)
        uri = os.path.abspath(address.uri) if address.is_file else address.uri
        self._client = self._tried(lambda: self.pymilvus.MilvusClient(uri, timeout=PATIENCE))

    def __call__(self, method: str, *arguments, **options) -> Any:
        """A method of ``pymilvus.MilvusClient``; it has the same effect however often it is called."""
        options.setdefault("timeout", LONG if method in _SLOW else PATIENCE)
        return self._tried(lambda: getattr(self._client, method)(*arguments, **options))

    def _tried(self, call) -> Any:
        for wait in (*WAITS, None):
            try:
                return call()
            except Exception as error:  # of gRPC, and of Milvus, which names no common base
                reason = str(getattr(error, "message", "") or error).strip().split("\n")[0][:200]
                if not _is_lost(error):
                    raise BadGallery(f"The store {self.address} refuses: {reason}") from error
                if wait is None:
                    told = ("another process may have it open" if self.address.is_file
                            else "see that it runs and that the address is right")
                    raise StoreLost(f"The store {self.address} does not answer, asked {len(WAITS) + 1} times: "
                                    f"{told}.") from error
                time.sleep(wait)


def _is_lost(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    code: Any = getattr(error, "code", None)
    code = code() if callable(code) else code
    return (isinstance(error, ConnectionError) or getattr(code, "name", "") in _LOST or code == _CONNECT_FAILED
            or bool(getattr(error, "retriable", False)) or "Open local milvus failed" in str(error))
