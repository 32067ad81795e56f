"""The first use of a gallery with a backbone, which indexes it: in a line of its own, making way for answers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import gradio as gr

from demo.errors import DemoError
from demo.identify import Identifier
from demo.ui.engine import Engine


class FirstUse:
    """What the pages share of it. One that is due is asked for by gallery, backbone, and what tells one asking from the
    next."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self._stopped: set[str | None] = set()

    def due(self, values: Mapping[str, Any]) -> tuple[str, str, str] | None:
        """What has to be indexed before a form can be answered; None where nothing has."""
        if self.engine.opens(values["gallery"], values["backbone"]):
            return None
        return values["gallery"], values["backbone"], secrets.token_hex(4)

    def identifier(self, gallery: str, backbone: str, progress, visitor: str | None = None) -> Identifier:
        """The identifier of a gallery, indexed first where it is not yet. visitor: whose ``stop`` is heard between two
        photos. Raises DemoError."""
        self._stopped.discard(visitor)

        def tell(done: int, total: int, path: str) -> None:
            if visitor in self._stopped:
                raise DemoError("Stopped. What was indexed so far is kept.")
            self.engine.give_way()
            progress((done, total), desc=f"Indexing {gallery}", unit="photos")

        return self.engine.identifier(gallery, backbone, tell)

    def stop(self, request: gr.Request) -> None:
        """Stop this visitor's indexing at the next photo."""
        self._stopped.add(request.session_hash)
