"""What the numbers were made with."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata

import demo
from demo.evaluation.versions import scores_versions

PACKAGES = ("torch", "numpy", "numba", "scipy", "opencv-python-headless", "dlib-bin")


def environment(device: str) -> dict:
    """Versions, machine and day, ready for JSON; no name and no path of the machine."""
    return {
        "version": demo.__version__, "versions": scores_versions(),
        "date": datetime.now(timezone.utc).date().isoformat(), "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(), "device": device,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
