"""One typed settings object, read once from the environment (``DEMO_*``)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

from demo.backbones import DEFAULT_BACKBONE
from demo.errors import BadSetting
from demo.faces import Limits
from demo.places import ASSETS, GALLERIES, user_cache, user_data, user_weights


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip().lower() for one in text.split(",") if one.strip())


def _path(text: str) -> Path:
    return Path(text).expanduser()


#: Identifications at a time, where nothing else is set and there are as many cores.
MOST_JOBS = 4
#: Kinds of values that are not read by their type's own constructor.
_READERS = {bool: _flag, Path: _path, tuple: _listed}


@dataclass(frozen=True)
class Settings:
    """Everything a host can set. Each field is the variable ``DEMO_<FIELD>`` in capitals; ``~`` in a path is the home.

    galleries: folder whose sub-folders are galleries. weights: folder for downloaded checkpoints.
    cache: folder for indexes of photo folders that have none of their own.
    gallery, backbone: what the app opens first. device: "auto", "cpu", "cuda" or "cuda:N".
    threads: CPU threads for one identification (0 = all cores). jobs: identifications run at a time, by default one
    for each core, four at most: what is not PyTorch's runs on one core.
    max_upload_mb, max_megapixels: limits for a photo. max_archive_mb: limit for a zip of photos, unpacked.
    photo_hosts: from which photos are fetched whose address is given, by commas; from none unless it is set.
    keep_minutes: age at which session files are erased. edit_galleries: whether visitors may add, index and
    delete galleries; by default only where the app does not run on a public Space.
    study: folder of the human study that is run. study_dir: where its answers are kept; on a Space, a mounted folder
    that survives a restart. study_repo: where copies of the answers go every study_minutes, if anywhere: a private
    dataset repository OWNER/NAME on Hugging Face (written with HF_TOKEN), or the path of a folder.
    operator_password: of the page for operators, which is off without one.
    log: "text", or "json" for a line of JSON for every request. metrics: whether /metrics tells numbers to Prometheus.
    """

    galleries: Path = GALLERIES
    weights: Path = field(default_factory=user_weights)
    cache: Path = field(default_factory=user_cache)
    gallery: str = "synthetic-people"
    backbone: str = DEFAULT_BACKBONE
    device: str = "auto"
    threads: int = 0
    jobs: int = field(default_factory=lambda: max(1, min(MOST_JOBS, os.cpu_count() or 1)))
    max_upload_mb: float = Limits.megabytes
    max_megapixels: float = Limits.megapixels
    max_archive_mb: float = 200.0
    photo_hosts: tuple[str, ...] = ()
    keep_minutes: int = 60
    edit_galleries: bool = "SPACE_ID" not in os.environ
    study: Path = ASSETS / "study"
    study_dir: Path = field(default_factory=lambda: user_data() / "studies")
    study_repo: str = ""
    study_minutes: float = 5.0
    operator_password: str = field(default="", repr=False)
    log: str = "text"
    metrics: bool = False

    @property
    def added(self) -> Path:
        """Where galleries that visitors add are kept: in the host's folder, or, where that is the bundled one, in the
        user's."""
        return user_data() / "galleries" if self.galleries == GALLERIES else self.galleries

    @property
    def limits(self) -> Limits:
        """What a photo may weigh."""
        return Limits(self.max_upload_mb, self.max_megapixels)

    @classmethod
    def from_environment(cls, environ=None) -> Settings:
        """Read ``DEMO_*`` variables; an unreadable value raises BadSetting naming the variable."""
        environ = os.environ if environ is None else environ
        plain, values = cls(), {}
        for spec in fields(cls):
            variable = f"DEMO_{spec.name.upper()}"
            text = environ.get(variable, "")
            if not text:
                continue
            default = getattr(plain, spec.name)
            kind = Path if isinstance(default, Path) else type(default)
            try:
                values[spec.name] = _READERS.get(kind, kind)(text)
            except (ValueError, KeyError, RuntimeError):  # RuntimeError: there is no home for a "~"
                raise BadSetting(f"{variable} is {text!r}, which is not a valid {kind.__name__}.") from None
        return cls(**values)


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment on first use."""
    return Settings.from_environment()
