"""One typed settings object, read once from the environment (``DEMO_*``)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from demo.backbones import BACKBONES, DEFAULT_BACKBONE
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
#: What a sentence calls a kind of which every value will do.
_CALLED = {bool: "1, true, yes, 0, false or no", Path: "the path of a folder"}
#: Not ours, and read by Gradio when it is imported, with a traceback where it is no number.
_PORT = "GRADIO_SERVER_PORT"


@dataclass(frozen=True)
class _Rule:
    """What a value has to be. told: the same in words."""

    holds: Callable[[Any], bool]
    told: str


def _ruled(rule: _Rule, **default: Any) -> Any:
    return field(**default, metadata={"rule": rule})


def _between(low: float, high: float, *, whole: bool = True, **default: Any) -> Any:
    """A number with both ends included; no other is, as infinity and what is no number."""
    return _ruled(_Rule(lambda value: low <= value <= high,
                        f"a {'whole ' * whole}number from {low:g} to {high:.0f}"), **default)


def _among(words: Sequence[str], default: str) -> Any:
    return _ruled(_Rule(words.__contains__, f"one of {', '.join(words)}"), default=default)


def _like(pattern: str, told: str, default: str) -> Any:
    return _ruled(_Rule(lambda value: re.fullmatch(pattern, value) is not None, told), default=default)


_HOSTS = _Rule(lambda hosts: all(re.fullmatch(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+", host) for host in hosts),
               "whole names of hosts, by commas, as in photos.example.org,images.example.org")


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
    keep_minutes: age at which session files are erased. stop_seconds: for how long an app that is told to stop finishes
    what it computes. edit_galleries: whether visitors may add, index and
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
    backbone: str = _among(BACKBONES, DEFAULT_BACKBONE)
    device: str = _like(r"auto|cpu|cuda(:\d{1,3})?", "auto, cpu, cuda or cuda:N", "auto")
    threads: int = _between(0, 1024, default=0)
    jobs: int = _between(1, 1024, default_factory=lambda: max(1, min(MOST_JOBS, os.cpu_count() or 1)))
    max_upload_mb: float = _between(0.01, 1024, whole=False, default=Limits.megabytes)
    max_megapixels: float = _between(0.01, 10_000, whole=False, default=Limits.megapixels)
    max_archive_mb: float = _between(1, 100_000, whole=False, default=200.0)
    photo_hosts: tuple[str, ...] = _ruled(_HOSTS, default=())
    keep_minutes: int = _between(1, 525_600, default=60)
    stop_seconds: float = _between(0, 3600, whole=False, default=20.0)
    edit_galleries: bool = "SPACE_ID" not in os.environ
    study: Path = ASSETS / "study"
    study_dir: Path = field(default_factory=lambda: user_data() / "studies")
    study_repo: str = ""
    study_minutes: float = _between(0.1, 10_080, whole=False, default=5.0)
    operator_password: str = field(default="", repr=False)
    log: str = _among(("text", "json"), "text")
    metrics: bool = False

    def __post_init__(self):
        """BadSetting, one sentence that names the variable, for a value out of its range."""
        for spec in fields(self):
            if (rule := spec.metadata.get("rule")) and not rule.holds(value := getattr(self, spec.name)):
                raise BadSetting(f"{_variable(spec.name)} is {_shown(value)}: it has to be {rule.told}.")

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
        """Read ``DEMO_*`` variables; BadSetting, naming the variable, for a value that is unreadable or out of its
        range."""
        environ = os.environ if environ is None else environ
        plain, values = cls(), {}
        for spec in fields(cls):
            variable = _variable(spec.name)
            text = environ.get(variable, "")
            if not text:
                continue
            default = getattr(plain, spec.name)
            kind = Path if isinstance(default, Path) else type(default)
            try:
                values[spec.name] = _READERS.get(kind, kind)(text)
            except (ValueError, KeyError, RuntimeError):  # RuntimeError: there is no home for a "~"
                told = spec.metadata["rule"].told if "rule" in spec.metadata else _CALLED[kind]
                raise BadSetting(f"{variable} is {text!r}: it has to be {told}.") from None
        port = environ.get(_PORT, "1")
        if not (port.isdecimal() and 0 < int(port) < 1 << 16):
            raise BadSetting(f"{_PORT} is {port!r}: it has to be a whole number from 1 to 65535.")
        return cls(**values)


def _variable(name: str) -> str:
    return f"DEMO_{name.upper()}"


def _shown(value: object) -> str:
    return repr(",".join(value) if isinstance(value, tuple) else value)


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment on first use."""
    return Settings.from_environment()
