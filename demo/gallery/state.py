"""What a gallery in a store says of itself, as a text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.backbones import grid_name, parse_grid
from demo.errors import BadGallery
from demo.faces import Limits
from demo.gallery.arrays import AGAIN
from demo.gallery.manifest import Crowded, Failure, Manifest, PartInfo
from demo.gallery.records import INDEXES, Shape

FORMAT = 1


@dataclass(frozen=True)
class State:
    """generation: which of its two partitions is meant. count: rows below it count, but for those removed. content: a
    hash of all rows that were written. counts: people, and those with two photos or more. notes: files that are kept
    with it → SHA-256. written: when, in seconds since the epoch."""

    shape: Shape
    generation: int
    manifest: Manifest
    count: int = 0
    removed: tuple[int, ...] = ()
    content: str = ""
    counts: tuple[int, int] = (0, 0)
    notes: dict[str, str] = field(default_factory=dict)
    written: float = 0.0

    @classmethod
    def empty(cls, shape: Shape, generation: int) -> State:
        """Before anything is written."""
        return cls(shape, generation, Manifest("", Path(), "", "", "", (), (), ()))

    def text(self) -> bytes:
        manifest = self.manifest
        return json.dumps({
            "format": FORMAT, "name": manifest.name, "photos": str(manifest.photos.resolve()),
            "backbone": manifest.backbone, "weights_sha256": manifest.weights_sha256, "detector": manifest.detector,
            "limits": manifest.limits and asdict(manifest.limits),
            "failures": [vars(failure) for failure in manifest.failures],
            "crowded": [vars(one) for one in manifest.crowded],
            "dim": self.shape.dim, "patches": [[grid_name(grid), *rest] for grid, *rest in self.shape.patches],
            "index": self.shape.index, "generation": self.generation, "count": self.count, "removed": self.removed,
            "content": self.content, "counts": self.counts, "notes": self.notes, "written": self.written,
        }, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def parse(cls, text: bytes, place: str) -> State:
        """BadGallery for what is no such text, or of another format."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise BadGallery(f"The gallery {place} has another format: {AGAIN}")
            patches = tuple((parse_grid(grid), int(count), int(channels)) for grid, count, channels in data["patches"])
            shape = Shape(int(data["dim"]), patches, str(data["index"]))
            removed = tuple(map(int, data["removed"]))
            manifest = Manifest(
                str(data["name"]), Path(data["photos"]), str(data["backbone"]),
                str(data["weights_sha256"]), str(data["detector"]), tuple(grid for grid, *_ in patches),
                (PartInfo("", int(data["count"]), {}, removed),),
                tuple(Failure(**one) for one in data["failures"]), data["limits"] and Limits(**data["limits"]),
                tuple(Crowded(**one) for one in data["crowded"]))
            people, several = map(int, data["counts"])
            if shape.index not in INDEXES or len(manifest) < 1 or any(
                    Path(name).name != name for name in data["notes"]):
                raise ValueError("This is no state.")
            return cls(shape, int(data["generation"]), manifest, int(data["count"]), removed, str(data["content"]),
                       (people, several), dict(data["notes"]), float(data["written"]))
        except BadGallery:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise BadGallery(f"The gallery {place} is damaged: {AGAIN}") from None
