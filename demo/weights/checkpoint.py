"""Read a checkpoint file safely and fit it to a network, or say in one sentence why it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from demo.errors import BadWeights, WeightsMissing
from demo.weights.digest import sha256
from demo.weights.registry import FILES, WeightsFile, weights_file

State = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

#: What people save by mistake in place of a checkpoint, told by the first bytes.
_NOT_WEIGHTS = {
    b"<": "a web page: the download page was saved instead of the file",
    b"version https://git-lfs": "a pointer left by Git LFS: fetch the file itself",
}
#: Written by nn.DataParallel before every key.
_PARALLEL = "module."
#: BatchNorm's count of training steps; no use in inference, and absent from old files.
_COUNTER = "num_batches_tracked"


def read_state(path: str | Path) -> State:
    """``read_stored`` with every floating-point tensor as float32."""
    return {key: value.float() if value.is_floating_point() else value for key, value in read_stored(path).items()}


def read_stored(path: str | Path) -> State:
    """Tensors of a checkpoint (PyTorch, loaded with ``weights_only=True``, or safetensors) as they stand there, on the
    CPU.

    The ``module.`` prefix of nn.DataParallel is removed. Raises WeightsMissing where there is no file, and
    BadWeights where it is empty, truncated, unsafe, or no flat table of tensors.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise WeightsMissing(f"There is no weights file {path}.") from None
    except OSError as error:
        raise BadWeights(f"{path.name} cannot be read: {error.strerror}.") from None
    if not head:
        raise BadWeights(f"{path.name} is empty: fetch it again.")
    for start, what in _NOT_WEIGHTS.items():
        if head.lstrip().startswith(start):
            raise BadWeights(f"{path.name} is {what}.")
    state = _load(path, head)
    if not isinstance(state, Mapping) or not state or not all(
            isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise BadWeights(f"{path.name} is not a checkpoint: it holds something other than named tensors.")
    return {key.removeprefix(_PARALLEL): value for key, value in state.items()}


def _load(path: Path, head: bytes):
    try:
        if head[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError:
        reason = "it is truncated, or no safetensors file"
    except Exception as error:  # a damaged pickle can fail in any way
        unsafe = "unsupported global" in str(error).lower()
        reason = ("it holds code or objects beside tensors, which is refused for safety" if unsafe
                  else "it is truncated, or no PyTorch file")
    raise BadWeights(f"{path.name} cannot be read as a checkpoint: {reason}.") from None


def recognise(state: State) -> str | None:
    """Name of the known network that these tensors belong to, told by its signature, or None."""
    for file in FILES.values():
        if file.signature and all(key in state and tuple(state[key].shape) == shape
                                  for key, shape in file.signature.items()):
            return file.name
    return None


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:2]) + (", …" if len(keys) > 2 else "")


def misfits(state: State, wanted: Mapping[str, Tensor], leftovers: tuple[str, ...] = ()) -> list[str]:
    """What keeps ``state`` from being the network's: clauses that name the first tensors of each kind.

    leftovers: prefixes of tensors that may be there beside the network's.
    """
    missing = [key for key in wanted if key not in state and not key.endswith(_COUNTER)]
    unknown = [key for key in state
               if key not in wanted and not key.endswith(_COUNTER) and not key.startswith(leftovers)]
    shared = [key for key in wanted if key in state]
    shapes = [f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"
              for key in shared if state[key].shape != wanted[key].shape]
    broken = [key for key in shared if wanted[key].is_floating_point()
              and not (state[key].is_floating_point() and torch.isfinite(state[key]).all())]
    clauses = [f"{len(keys)} {'tensor' if len(keys) == 1 else 'tensors'} {what} ({_some(keys)})"
               for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", shapes),
                                  ("with values that are not finite numbers", broken)) if keys]
    if not state.keys() & wanted.keys():
        return ["it holds none of that network's tensors"]
    return clauses


def fit(network: nn.Module, state: State, file: WeightsFile, filename: str) -> None:
    """Put ``state`` into a network built on the meta device; BadWeights in one sentence where it does not fit.

    Leftovers of training (step counters, ``file.leftovers``) are dropped.
    """
    wanted = network.state_dict()
    clauses = misfits(state, wanted, file.leftovers)
    if clauses:
        other = recognise(state)
        if other and other != file.name:
            raise BadWeights(f"{filename} holds the weights of {FILES[other].title}, not of {file.title}: "
                             f"choose {file.filename}.")
        raise BadWeights(f"{filename} does not fit {file.title}: {'; '.join(clauses)}.")
    kept = {key: state.get(key, torch.zeros((), dtype=torch.long)) for key in wanted}
    network.load_state_dict(kept, assign=True)


def load_network(name: str, build: Callable[[], Network], path: str | Path) -> Network:
    """The network ``build()`` with the weights of a file, which must be those of the registry entry ``name``.

    A checkpoint of a larger network that has this one within (``WeightsFile.within``) serves as well.
    """
    file, state = weights_file(name), read_state(path)
    inner = {key.removeprefix(file.within): value for key, value in state.items()
             if file.within and key.startswith(file.within)}
    return fitted(file, build, inner or state, Path(path).name)


def fitted(file: WeightsFile, build: Callable[[], Network], state: State, filename: str) -> Network:
    """``build()`` with these tensors (``fit``). Built on the meta device, so that no memory or time goes into an
    initialisation that is thrown away."""
    with torch.device("meta"):
        network = build()
    fit(network, state, file, filename)
    return network


@dataclass(frozen=True)
class Checked:
    """A weights file that was found sound. published: its hash is the published one (None: none is known).

    file: the registry's entry, or for a file that was trained here an entry made for it.
    """

    path: Path
    file: WeightsFile
    sha256: str
    size: int
    parameters: int | None
    published: bool | None


def check(path: str | Path, networks: Mapping[str, Callable[[], nn.Module]],
          sized: Mapping[str, Callable[[State, str], nn.Module]] | None = None) -> Checked:
    """Which known network a file holds, verified tensor by tensor; BadWeights says what is wrong with it.

    networks: registry name → builder of the network with the published keys. sized: registry name → (tensors, file
    name) → the fitted network, for those whose sizes stand in the file. A file that is no checkpoint (dlib's) is
    known by its hash alone.
    """
    sized = sized or {}
    path = Path(path)
    if not path.is_file():
        raise WeightsMissing(f"There is no weights file {path}.")
    digest, size = sha256(path), path.stat().st_size
    same = next((file for file in FILES.values() if file.sha256 == digest), None)
    if same and same.name not in networks:
        return Checked(path, same, digest, size, None, True)
    state = read_state(path)
    name = same.name if same else recognise(state)
    if name not in {*networks, *sized}:
        known = ", ".join(FILES[name].title for name in (*networks, *sized))
        first = ascii(next(iter(state)))[:60]
        raise BadWeights(f"{path.name} holds no network known here (its first tensor is {first}): known are {known}.")
    file = FILES[name]
    network = (sized[name](state, path.name) if name in sized
               else fitted(file, networks[name], state, path.name))
    return Checked(path, file, digest, size, parameters(network),
                   None if file.sha256 is None else digest == file.sha256)


def parameters(network: nn.Module) -> int:
    """How many numbers were learned."""
    return sum(parameter.numel() for parameter in network.parameters())
