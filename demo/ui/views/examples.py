"""The example photos of the Identify page: what the method is for, one case each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.places import ASSETS


@dataclass(frozen=True)
class Example:
    """name: used in links. title: under the thumbnail. photo: file. truth: who it is ("" = nobody of the gallery)."""

    name: str
    title: str
    photo: Path
    truth: str
    occlusion: str | None = None
    style: str | None = None
    seed: int = 0


def _query(person: str, photo: str) -> Path:
    return ASSETS / "queries" / person / photo


EXAMPLES = {example.name: example for example in (
    Example("mask", "Mask", _query("person-083", "05.jpg"), "person-083", "mask", "surgical-blue"),
    Example("plain", "Plain", _query("person-013", "04.jpg"), "person-013"),
    Example("sunglasses", "Sunglasses", _query("person-002", "04.jpg"), "person-002", "sunglasses", "wayfarer"),
    Example("crop", "Crop", _query("person-018", "04.jpg"), "person-018", "crop", seed=1),
    Example("profile", "Profile", _query("person-035", "05.jpg"), "person-035"),
    Example("dark", "Backlit", _query("person-025", "04.jpg"), "person-025"),
    Example("two-faces", "Two faces", ASSETS / "examples" / "two-faces.jpg", "person-046"),
    Example("stranger", "Stranger", ASSETS / "strangers" / "person-050" / "04.jpg", ""),
)}
FIRST = "mask"
