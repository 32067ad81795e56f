"""Photos in, arrays out: every format, mode and orientation, and every way a file can be wrong."""

from __future__ import annotations

import io
import os
import struct
import zlib
from importlib import import_module

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from demo.errors import BadPhoto
from demo.faces import Limits, load_photo
from demo.faces.photo import formats


def scene(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth uint8 RGB picture without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (2 * x + 3 * y) % 256], -1).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10) + b"IDAT" + b"\0" * 14


def reason(source, **limits) -> str:
    with pytest.raises(BadPhoto) as caught:
        load_photo(source, Limits(**limits))
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and text[0] != " "
    return text


# --- what is accepted -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True}),
])
def test_lossless_formats(kind, options):
    assert np.array_equal(load_photo(encoded(Image.fromarray(scene()), kind, **options)), scene())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats(kind):
    loaded = load_photo(encoded(Image.fromarray(scene()), kind, quality=95))
    assert loaded.shape == scene().shape
    assert np.abs(loaded[..., :2].astype(int) - scene()[..., :2]).mean() < 8


def test_every_source_gives_the_same_own_array(tmp_path):
    picture, path = Image.fromarray(scene()), tmp_path / "scene.png"
    picture.save(path)
    data = path.read_bytes()
    given = scene()
    with open(path, "rb") as file:
        results = [load_photo(source) for source in (
            str(path), path, data, bytearray(data), memoryview(data), file, io.BytesIO(data), picture,
            Image.open(path), given)]
    for loaded in results:
        assert loaded.dtype == np.uint8 and loaded.flags.c_contiguous and loaded.flags.writeable
        assert np.array_equal(loaded, scene())
    results[-1][:] = 0
    assert np.array_equal(given, scene())


#: orientation → how a camera that was held so stores an upright picture (inverse of the display rule of the standard)
STORED = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(orientation, kind):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](scene())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(load_photo(encoded(stored, kind, exif=exif, **options)), scene())


@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_is_no_reason_to_refuse():
    data = encoded(Image.fromarray(scene()), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xee" * 9)
    assert np.array_equal(load_photo(data), scene())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(kind):
    values = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    loaded = load_photo(encoded(Image.fromarray(values), kind))
    assert np.array_equal(loaded, np.repeat(expected[..., None], 3, 2))
    assert np.array_equal(load_photo(values)[..., 0], expected)
    assert load_photo(values // 300).max() <= 1  # a dark 16-bit picture stays dark


def test_float_pictures():
    values = np.linspace(0, 1, 60 * 40, dtype=np.float32).reshape(40, 60)
    expected = np.rint(values * 255)
    assert np.array_equal(load_photo(encoded(Image.fromarray(values), "TIFF"))[..., 1], expected)
    assert np.array_equal(load_photo(values)[..., 1], expected)


def test_cmyk():
    ink = {(0, 0, 0, 0): (255, 255, 255), (0, 255, 255, 0): (255, 0, 0), (255, 0, 0, 0): (0, 255, 255),
           (0, 0, 0, 128): (127, 127, 127)}
    for cmyk, rgb in ink.items():
        picture = Image.new("CMYK", (32, 32), cmyk)
        assert np.abs(load_photo(encoded(picture, "TIFF")).astype(int) - rgb).max() <= 1
        assert np.abs(load_photo(encoded(picture, "JPEG", quality=98)).astype(int) - rgb).max() <= 4


def test_grey_and_bilevel():
    grey = scene()[..., 0]
    assert np.array_equal(load_photo(encoded(Image.fromarray(grey), "PNG")), np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(load_photo(grey[..., None]), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(grey > 128)
    assert np.array_equal(load_photo(encoded(bits, "PNG"))[..., 2], (grey > 128) * 255)


def test_transparency_is_laid_over_white():
    colours, opacity = scene(), np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)
    rgba = np.dstack([colours, opacity])
    share = opacity[..., None] / 255
    expected = colours * share + 255 * (1 - share)
    for loaded in (load_photo(encoded(Image.fromarray(rgba), "PNG")), load_photo(rgba)):
        assert np.abs(loaded - expected).max() <= 1
    grey = load_photo(encoded(Image.fromarray(np.dstack([colours[..., 0], opacity])), "PNG"))
    assert np.abs(grey[..., 0] - expected[..., 0]).max() <= 1


def test_palettes():
    palette = Image.fromarray(scene()).quantize(16)
    table = np.array(palette.getpalette()[:48]).reshape(-1, 3)
    expected = table[np.asarray(palette)]
    assert np.array_equal(load_photo(encoded(palette, "PNG")), expected)
    clear = int(np.asarray(palette)[0, 0])
    expected[np.asarray(palette) == clear] = 255
    assert np.array_equal(load_photo(encoded(palette, "PNG", transparency=clear)), expected)
    keyed = encoded(Image.fromarray(scene()), "PNG", transparency=tuple(int(c) for c in scene()[5, 5]))
    assert load_photo(keyed)[5, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_of_several(kind, options):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (load_photo(data) == (255, 0, 0)).all()


# --- what is refused ------------------------------------------------------------------------------------


def test_files_that_are_no_photos(tmp_path):
    (tmp_path / "notes.jpg").write_text("Dear diary, this is not a photo.")
    (tmp_path / "empty.png").touch()
    assert "notes.jpg" in reason(tmp_path / "notes.jpg")
    assert "empty" in reason(tmp_path / "empty.png") and "empty" in reason(b"")
    assert "folder" in reason(tmp_path)
    assert "does not exist" in reason(tmp_path / "gone.jpg")
    for text in (reason(tmp_path / "notes.jpg"), reason(tmp_path / "gone.jpg")):
        assert str(tmp_path) not in text  # the server's folders are nobody's business
    reason("a\0b.jpg")
    reason("x" * 5000)
    reason(b"PK\x03\x04" + b"\0" * 200)
    reason(b"%PDF-1.7 " + b"\0" * 200)
    reason(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    with open(tmp_path / "notes.jpg") as text_file:
        assert "binary" in reason(text_file)
    closed = io.BytesIO(b"x")
    closed.close()
    reason(closed)
    assert "NoneType" in reason(None)
    reason(42)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_truncated_files(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for share in (0.1, 0.5, 0.9):
        reason(data[:int(share * len(data))])


@pytest.mark.parametrize("array", [
    np.zeros((20, 20, 2), np.uint8), np.zeros(400, np.uint8), np.zeros((2, 20, 20, 3), np.uint8),
    np.zeros((20, 20), int), np.full((20, 20), np.nan), np.full((20, 20, 3), 200.0),
    np.zeros((20, 20), object), np.zeros((0, 20, 3), np.uint8),
])
def test_arrays_that_are_no_photos(array):
    reason(array)


def test_tiny_pictures():
    assert "16 x 16" in reason(np.zeros((15, 100, 3), np.uint8))
    assert load_photo(np.zeros((16, 16, 3), np.uint8)).shape == (16, 16, 3)


def test_limit_of_bytes(tmp_path):
    small = Limits(megabytes=0.01)
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)), "PNG")
    (tmp_path / "big.png").write_bytes(data)
    for source in (data, tmp_path / "big.png", io.BytesIO(data)):
        assert "0.01 MB" in reason(source, megabytes=0.01)
    assert load_photo(encoded(Image.fromarray(scene()), "PNG"), small).shape == (40, 60, 3)


def test_limit_of_pixels_is_held_before_decoding():
    # these files hold no pixels at all: a decoder would have called them damaged
    assert "64.0 megapixels and the limit is 40" in reason(png_header(8000, 8000))
    assert "40 megapixels" in reason(png_header(60000, 60000))
    assert "0.002" in reason(Image.fromarray(scene()), megapixels=0.002)
    assert "0.002" in reason(scene(), megapixels=0.002)


@pytest.mark.filterwarnings("ignore")
def test_damage_of_any_kind_is_told_in_one_sentence():
    rng = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"):
        good = np.frombuffer(encoded(Image.fromarray(scene()), kind), np.uint8)
        for _ in range(40):
            bad = good.copy()
            bad[rng.integers(0, min(len(bad), 120), 6)] = rng.integers(0, 256, 6)
            try:
                loaded = load_photo(bad.tobytes())
            except BadPhoto as error:
                assert str(error).endswith(".") and "\n" not in str(error)
            else:
                assert loaded.dtype == np.uint8 and loaded.ndim == 3


def test_a_png_with_megabytes_of_text_is_read():
    picture, told, file = Image.fromarray(scene()), PngImagePlugin.PngInfo(), io.BytesIO()
    told.add_text("prompt", "a" * 2_000_000, zip=True)
    told.add_text("workflow", "b" * 2_000_000)
    picture.save(file, "PNG", pnginfo=told, icc_profile=bytes(2_000_000))
    np.testing.assert_array_equal(load_photo(file.getvalue()), scene())


@pytest.mark.skipif("AVIF" not in formats(), reason="this Pillow was built without AVIF")
def test_avif():
    file = io.BytesIO()
    Image.fromarray(scene()).resize((320, 240)).save(file, "AVIF", quality=90)
    assert load_photo(file.getvalue()).shape == (240, 320, 3)


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_what_is_a_jpeg_under_another_ending_is_read(kind, tmp_path):
    file = tmp_path / "photo.pjpeg"
    Image.fromarray(scene()).save(file, kind, **({"save_all": True} if kind == "MPO" else {}))
    assert load_photo(file).shape == scene().shape


@pytest.mark.parametrize(("head", "told"), [(b"8BPS\0\1", "is PSD"), (b"\0\0\0\x0cjP  \r\n", "is JPEG 2000"),
                                            (b"\xff\x0a\0\0", "is JPEG XL")])
def test_a_kind_that_is_not_read_is_named(head, told):
    with pytest.raises(BadPhoto, match=f"{told}, which cannot be read here: save it as JPEG"):
        load_photo(head + bytes(100))


def test_heic_is_read_or_its_kind_is_told():
    """The first bytes of a HEIC photo; whole ones are read where pillow-heif is installed."""
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    told = "readable" if "HEIF" in formats() else "is HEIC, which cannot be read here: .* pillow-heif .*heic"
    with pytest.raises(BadPhoto, match=told):
        load_photo(head)
    if "HEIF" in formats():
        pillow_heif, file = import_module("pillow_heif"), io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(scene()).resize((320, 240))).save(file)
        assert load_photo(file.getvalue()).shape == (240, 320, 3)


@pytest.mark.parametrize(("source", "told"), [
    ("https://example.org/a.jpg", "is an address"), ("data:image/png;base64,iVBORw0KGgo=", "is text in base64"),
    ("iVBORw0KGgo" * 100, "is text in base64"), ("/dev/zero", "is not a file"),
])
def test_what_is_no_path_is_told_by_what_it_is(source, told):
    with pytest.raises(BadPhoto, match=told):
        load_photo(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    for file in tmp_path.iterdir():
        with pytest.raises(BadPhoto):
            load_photo(file)
