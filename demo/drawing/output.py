"""Figures and pictures as files."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image

from demo.drawing.grids import as_picture
from demo.errors import BadSetting
from demo.files import write_whole

#: zlib level of PNGs: a tenth larger than the default 6, in a third of the time.
_FAST = 3


def to_png(drawn, *, dpi: int = 150) -> bytes:
    """A matplotlib figure (at ``dpi``) or a uint8 (h, w, 3) picture (pixel for pixel) as the bytes of a PNG file."""
    file = BytesIO()
    if isinstance(drawn, Figure):
        drawn.savefig(file, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": _FAST})
    else:
        Image.fromarray(as_picture(drawn)).save(file, format="PNG", compress_level=_FAST)
    return file.getvalue()


def to_pdf(figures: Figure | Sequence[Figure], *, title: str = "") -> bytes:
    """One PDF with a page per figure; words stay words. The same figures give the same bytes."""
    pages = [figures] if isinstance(figures, Figure) else list(figures)
    if not pages:
        raise BadSetting("A PDF needs at least one figure.")
    file = BytesIO()
    with PdfPages(file, metadata={"Title": title, "CreationDate": None}) as document:
        for figure in pages:
            document.savefig(figure, dpi=200)
    return file.getvalue()


def save_figure(drawn, path: str | Path) -> Path:
    """Write a figure as PNG or PDF, or a picture as PNG, by the ending of ``path``. BadSetting for another ending, and
    where it cannot be written there."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending == ".png":
        content = to_png(drawn)
    elif ending == ".pdf" and isinstance(drawn, Figure):
        content = to_pdf(drawn)
    else:
        kinds = ".png or .pdf" if isinstance(drawn, Figure) else ".png"
        raise BadSetting(f"{path.name} cannot be written: choose a file name that ends in {kinds}.")
    try:
        write_whole(path, content)
    except OSError as error:
        raise BadSetting(f"{path} cannot be written: {error.strerror}.") from None
    return path
