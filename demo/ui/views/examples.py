"""The example photos of the Identify page: what the method is for, one case each."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demo.faces import alter, find_face, load_photo
from demo.places import ASSETS
from demo.query import Preparation
from demo.ui.views.board import photo_thumb


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
THUMBS = ASSETS / "examples" / "thumbs"


@cache
def example_thumb(example: Example) -> str:
    """An example as the matcher will meet it, as a data URI. It was drawn before (``draw_thumb``): looking for its face
    would hold up the start."""
    return f"data:image/jpeg;base64,{base64.b64encode((THUMBS / f'{example.name}.jpg').read_bytes()).decode()}"


def draw_thumb(example: Example) -> str:
    """The same, drawn now."""
    photo = load_photo(example.photo)
    if example.occlusion:
        face = find_face(photo, detector=Preparation().detector)
        photo = alter(photo, face, example.occlusion, style=example.style, seed=example.seed).photo
    return photo_thumb(photo)


if __name__ == "__main__":  # python -m demo.ui.views.examples, after an example has changed
    THUMBS.mkdir(exist_ok=True)
    for one in EXAMPLES.values():
        (THUMBS / f"{one.name}.jpg").write_bytes(base64.b64decode(draw_thumb(one).partition(",")[2]))
