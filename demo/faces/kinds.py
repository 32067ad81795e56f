"""What kind of picture a file is, by its first bytes."""

from __future__ import annotations

#: Bytes that are enough for ``kind_of``.
HEAD = 16
_STARTS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"II*\0": "TIFF",
           b"MM\0*": "TIFF", b"8BPS": "PSD", b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
           b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL"}
#: Brands of the kinds of photos that phones write, which not every installation can read.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", **dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIC")}


def kind_of(head: bytes) -> str | None:
    """The kind of picture that begins so; None for anything else, and for kinds whose beginning says nothing."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) > 13:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)
