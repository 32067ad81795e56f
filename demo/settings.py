"""One typed settings object, read once from the environment (``DEMO_*``)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

from demo.errors import BadSetting

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


@dataclass(frozen=True)
class Settings:
    """Everything a host can set. Each field is the variable ``DEMO_<FIELD>`` in capitals.

    galleries: folder whose sub-folders are galleries. weights: folder for downloaded checkpoints.
    cache: folder for indexes of photo folders that have none of their own.
    gallery, backbone: what the app opens first. device: "auto", "cpu", "cuda" or "cuda:N".
    threads: CPU threads for one identification (0 = all cores). jobs: identifications run at a time.
    max_upload_mb, max_megapixels: limits for a photo. max_archive_mb: limit for a zip of photos, unpacked.
    keep_minutes: age at which session files are erased. edit_galleries: whether visitors may add, index and
    delete galleries; by default only where the app does not run on a public Space.
    study: folder of the human study that is run. study_dir: where its answers are kept; on a Space, a mounted folder
    that survives a restart. study_repo: where copies of the answers go every study_minutes, if anywhere: a private
    dataset repository OWNER/NAME on Hugging Face (written with HF_TOKEN), or the path of a folder.
    operator_password: of the page for operators, which is off without one.
    """

    galleries: Path = ROOT / "galleries"
    weights: Path = ROOT / "weights"
    cache: Path = Path.home() / ".cache" / "explainable-face-identification"
    gallery: str = "synthetic-people"
    backbone: str = "dlib"
    device: str = "auto"
    threads: int = 0
    jobs: int = 1
    max_upload_mb: float = 12.0
    max_megapixels: float = 40.0
    max_archive_mb: float = 200.0
    keep_minutes: int = 60
    edit_galleries: bool = "SPACE_ID" not in os.environ
    study: Path = ASSETS / "study"
    study_dir: Path = ROOT / "data"
    study_repo: str = ""
    study_minutes: float = 5.0
    operator_password: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environ=None) -> Settings:
        """Read ``DEMO_*`` variables; an unreadable value raises BadSetting naming the variable."""
        environ = os.environ if environ is None else environ
        values = {}
        for spec in fields(cls):
            variable = f"DEMO_{spec.name.upper()}"
            text = environ.get(variable, "")
            if not text:
                continue
            kind = Path if isinstance(spec.default, Path) else type(spec.default)
            try:
                values[spec.name] = _flag(text) if kind is bool else kind(text)
            except (ValueError, KeyError):
                raise BadSetting(f"{variable} is {text!r}, which is not a valid {kind.__name__}.") from None
        return cls(**values)


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment on first use."""
    return Settings.from_environment()
