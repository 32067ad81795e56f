"""Where trained weights come from: one registry, where files are looked for, how they are fetched and checked."""

from demo.weights.checkpoint import Checked, check, load_network, read_state, read_stored, recognise
from demo.weights.digest import sha256
from demo.weights.fetch import get, progress_bar
from demo.weights.locate import WeightsStatus, dlib_model, find, how_to_get, status
from demo.weights.registry import FILES, WeightsFile, register, weights_file

__all__ = [
    "FILES", "Checked", "WeightsFile", "WeightsStatus", "check", "dlib_model", "find", "get", "how_to_get",
    "load_network", "progress_bar", "read_state", "read_stored", "recognise", "register", "sha256", "status",
    "weights_file",
]
