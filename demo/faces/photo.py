"""Safe decoding: anything a visitor may send → uint8 (H, W, 3) RGB, or one sentence saying why not."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from demo.errors import BadPhoto
from demo.faces.kinds import HEAD, kind_of

#: Chunks of a PNG that hold text and profiles, of any length: nothing that a face is found by.
_PNG, _PNG_TEXT = b"\x89PNG\r\n\x1a\n", frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
#: Kinds that are called otherwise by Pillow, and what reads those that are not read everywhere.
_PILLOWS = {"HEIC": "HEIF", "WebP": "WEBP"}
_MORE = {"HEIC": ", or install the package pillow-heif (the extra 'heic')",
         "AVIF": ", or use a Pillow that was built with it"}
MIN_SIDE = 16
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The most that a photo may weigh: megabytes of its file (of 2**20 bytes), megapixels of its picture."""

    megabytes: float = 12.0
    megapixels: float = 40.0

    @property
    def bytes(self) -> int:
        return int(self.megabytes * MEGABYTE)

    def check_bytes(self, size: int, name: str) -> None:
        """Raise BadPhoto for a file of ``size`` bytes that is too large. name: of the photo, for the sentence."""
        if size > self.bytes:
            raise BadPhoto(f"{name} is {size / MEGABYTE:.1f} MB and the limit is {self.megabytes:g} MB; send a "
                           "smaller file.")

    def check_pixels(self, width: int, height: int, name: str) -> None:
        """Raise BadPhoto for a picture that is too large, or too small to show a face."""
        if width * height > self.megapixels * 1e6:
            raise BadPhoto(f"{name} has {width * height / 1e6:.1f} megapixels and the limit is {self.megapixels:g}; "
                           "send a smaller picture.")
        if min(width, height) < MIN_SIDE:
            raise BadPhoto(f"{name} is {width} x {height} pixels, and at least {MIN_SIDE} x {MIN_SIDE} are needed.")


@cache
def formats() -> tuple[str, ...]:
    """Decoders that may run, by Pillow's names; every other plugin of Pillow stays shut. AVIF where Pillow was built
    with it, HEIF where the package pillow-heif is installed."""
    found = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]
    if features.check("avif"):
        found.append("AVIF")
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener(thumbnails=False)
        found.append("HEIF")
    return tuple(found)


def readable_kinds() -> str:
    """The kinds of photos that can be read, for a sentence."""
    named = {pillows: kind for kind, pillows in _PILLOWS.items()}
    *most, last = [named.get(one, one) for one in formats()]
    return f"{', '.join(most)} or {last}"


def load_photo(source, limits: Limits = Limits()) -> np.ndarray:
    """Decode a photo into uint8 (H, W, 3) RGB, upright by its EXIF orientation.

    source: path, bytes, binary file object (a ``PhotoAt`` is one), PIL image or numpy array ((H, W), (H, W, 1),
    (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16 or float in 0..1). The kinds are those of ``formats``; of several
    frames the first. Transparency is laid over white, 16-bit grey is scaled to 8. Bytes and pixels are held against
    ``limits`` before any pixel is decoded.

    Raises BadPhoto, one sentence naming the reason or the limit, on anything else.
    """
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source, "The array", limits))
    if isinstance(source, Image.Image):
        return _decode(source, "The picture", limits)
    if isinstance(source, (str, os.PathLike)):
        name, data = _read_path(source, limits)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "The photo", bytes(source)
        limits.check_bytes(len(data), name)
    elif hasattr(source, "read"):
        name, data = _read_file(source, limits)
    else:
        raise BadPhoto(f"A photo is a path, bytes, a file, a picture or an array, not {type(source).__name__}.")
    if not data:
        raise BadPhoto(f"{name} is empty; choose another file.")
    return _open(data, name, limits)


def _read_path(source, limits: Limits) -> tuple[str, bytes]:
    if isinstance(source, str) and (kind := no_path(source)):
        raise BadPhoto(f"The photo is {kind}, and a path of a file is needed: save the photo first.")
    try:
        path = Path(os.fsdecode(source))
        name = path.name or str(path)
        if path.is_dir():
            raise BadPhoto(f"{name} is a folder; choose a photo in it.")
        if not path.exists():
            raise BadPhoto(f"{name} does not exist.")
        if not path.is_file():
            raise BadPhoto(f"{name} is not a file.")
        limits.check_bytes(path.stat().st_size, name)
        return name, path.read_bytes()
    except BadPhoto:
        raise
    except (OSError, ValueError):
        raise BadPhoto("The photo's path cannot be read; check the name and the permissions.") from None


def no_path(text: str) -> str | None:
    """What people write in place of a path, or None."""
    start = text[:20].lstrip().lower()
    if start.startswith(("http://", "https://", "ftp://", "file://")):
        return "an address"
    long_word = len(text) > 500 and not any(letter.isspace() for letter in text[:500])
    return "text in base64" if start.startswith("data:") or long_word else None


def _read_file(file, limits: Limits) -> tuple[str, bytes]:
    name = getattr(file, "name", None)
    name = Path(name).name if isinstance(name, str) and name else "The photo"
    try:
        data = file.read(limits.bytes + 1)
    except BadPhoto:
        raise
    except (OSError, ValueError):
        raise BadPhoto(f"{name} cannot be read; open it again.") from None
    if not isinstance(data, bytes):
        raise BadPhoto(f"{name} was opened as text; open it in binary mode.")
    if len(data) > limits.bytes:
        raise BadPhoto(f"{name} is over the limit of {limits.megabytes:g} MB; send a smaller file.")
    return name, data


def _open(data: bytes, name: str, limits: Limits) -> np.ndarray:
    try:
        picture = Image.open(io.BytesIO(_without_text(data)), formats=formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPhoto(f"{name} unpacks to far more than the limit of {limits.megapixels:g} megapixels.") from None
    except Exception:  # damaged headers make Pillow's plugins raise nearly any type
        kind = kind_of(data[:HEAD])
        if kind and _PILLOWS.get(kind, kind) not in formats():
            more = _MORE.get(kind, "")
            raise BadPhoto(f"{name} is {kind}, which cannot be read here: save it as JPEG{more}.") from None
        raise BadPhoto(f"{name} is not a readable {readable_kinds()} photo.") from None
    with picture:
        return _decode(picture, name, limits)


def _without_text(data: bytes) -> bytes:
    """A PNG without its text and colour profile, over whose length Pillow would refuse it; other bytes as they are."""
    if not data.startswith(_PNG):
        return data
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] not in _PNG_TEXT:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def _decode(picture: Image.Image, name: str, limits: Limits) -> np.ndarray:
    limits.check_pixels(*picture.size, name)
    try:
        picture.load()
        return _finish(_to_rgb(_upright(picture)))
    except BadPhoto:
        raise
    except Exception:  # see _open
        raise BadPhoto(f"{name} is cut short or damaged; save or download it again.") from None


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF is no reason to refuse good pixels
        return picture


def _to_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(_to_uint8(np.asarray(picture), wide=picture.mode.startswith("I;16")))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB"))


def _to_uint8(values: np.ndarray, *, wide: bool = False) -> np.ndarray:
    """Grey values of more than 8 bits → uint8. Full scale: the type's, else the smallest usual one that holds them."""
    values = values.astype(np.float64)
    top = values.max()
    if not np.isfinite(values).all() or values.min() < 0 or top >= 2**32:
        raise BadPhoto("The picture holds negative, infinite or missing values; save it as an 8-bit picture.")
    full = 65535 if wide else next(full for full in (1, 255, 65535, 2**32 - 1) if top <= full)
    return np.rint(values * (255 / full)).astype(np.uint8)


def _from_array(array: np.ndarray, name: str, limits: Limits) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise BadPhoto(f"{name} has shape {array.shape}; a photo is (H, W), (H, W, 3) or (H, W, 4).")
    limits.check_pixels(array.shape[1], array.shape[0], name)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise BadPhoto(f"{name} holds floats outside 0..1; scale it, or give uint8.")
        array = _to_uint8(array)
    elif array.dtype == np.uint16:
        array = _to_uint8(array, wide=True)
    elif array.dtype != np.uint8:
        raise BadPhoto(f"{name} is of type {array.dtype}; a photo is uint8, uint16 or float in 0..1.")
    if array.ndim == 2 or array.shape[2] == 1:
        return _grey(array.reshape(array.shape[:2]))
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return array


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def _finish(array: np.ndarray) -> np.ndarray:
    """An own, contiguous, writable copy: no view of the caller's memory or of Pillow's."""
    return np.array(array, np.uint8, order="C")
