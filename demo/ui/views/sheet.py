"""A contact sheet: photos of a gallery as small squares with their people's names. No gradio here."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from demo.errors import DemoError
from demo.faces import Limits, load_photo
from demo.gallery import Photo
from demo.ui.views.board import photo_thumb

#: Thumbnails that are kept, some kilobytes each.
_KEPT = 2000


def sheet_html(photos: Sequence[Photo], limits: Limits) -> str:
    """Figures in a grid; a photo that cannot be shown says so."""
    figures = "".join(
        f'<figure>{_picture(photo, limits)}<figcaption>{html.escape(photo.identity)}</figcaption></figure>'
        for photo in photos)
    return f'<div class="sheet">{figures}</div>'


def _picture(photo: Photo, limits: Limits) -> str:
    try:
        return f'<img src="{_thumb(photo.file, photo.file.stat().st_mtime_ns, limits)}" alt="">'
    except (DemoError, OSError):
        return f'<div class="unreadable">{html.escape(photo.file.name)} cannot be shown</div>'


@lru_cache(maxsize=_KEPT)
def _thumb(file: Path, changed: int, limits: Limits) -> str:
    """changed: so that a photo that was replaced is drawn again."""
    return photo_thumb(load_photo(file, limits), 96)
