"""How a gallery in a store is named: FILE.db or milvus+http://HOST:PORT, and #NAME behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from demo.errors import BadSetting

#: A path has swallowed one of the slashes.
_SERVER = re.compile(r"milvus\+(https?):/{1,2}([^/#].*)")


@dataclass(frozen=True)
class Address:
    """uri: what the store's client takes, with a user and password where it names them. name: of the gallery; "" for
    the only one."""

    uri: str
    name: str = ""

    @classmethod
    def of(cls, place: str | Path) -> Address | None:
        """The address that a text or path is; None for any other path."""
        text = place.as_posix() if isinstance(place, Path) else place
        base, _, name = text.partition("#")
        if server := _SERVER.fullmatch(base):
            return cls(f"{server[1]}://{server[2]}", name)
        return cls(base, name) if base.endswith(".db") else None

    @classmethod
    def to_build(cls, store: str, folder: Path) -> Address:
        """Where ``gallery build --store`` writes: "milvus" is a file beside the photos. BadSetting for no store."""
        address = cls(str(folder / ".index" / "milvus.db")) if store == "milvus" else cls.of(store)
        if address is None:
            raise BadSetting(f"{store} is no store: write milvus, FILE.db or milvus+http://HOST:PORT.")
        return address

    @property
    def is_file(self) -> bool:
        return self.uri.endswith(".db")

    def __str__(self) -> str:
        """Without user and password."""
        parts = urlsplit(self.uri)
        place = self.uri if self.is_file else f"milvus+{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"{place}#{self.name}" if self.name else place
