"""CUDA source compiled at run time, and started on tensors: NVRTC and the driver by ctypes, both part of what PyTorch
for CUDA brings, so that nothing else has to be installed and no compiler is asked for."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

#: CUfunction_attribute: the most dynamic shared memory that a block may ask for, and the percentage of a
#: multiprocessor's memory that is kept for it rather than as a cache.
_MOST_SHARED, _CARVEOUT = 8, 9
_lock = Lock()


class KernelUnavailable(RuntimeError):
    """CUDA source cannot be compiled or started here; the message says why."""


class Kernel:
    """One compiled function on one device. shared: bytes of shared memory that a block gets."""

    def __init__(self, source: str, name: str, defines: tuple[str, ...], device: int, shared: int):
        self._driver, self._device, self._shared = _driver(), device, shared
        code = _compiled(source, name, defines, "{}{}".format(*torch.cuda.get_device_capability(device)))
        self._make_current()
        module, self._function = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self._driver.cuModuleLoadData(ctypes.byref(module), code))
        self._check(self._driver.cuModuleGetFunction(ctypes.byref(self._function), module, name.encode()))
        for attribute, value in ((_MOST_SHARED, shared), (_CARVEOUT, 100)):
            self._check(self._driver.cuFuncSetAttribute(self._function, attribute, ctypes.c_int(value)))

    def __call__(self, blocks: int, threads: int, *arguments: Tensor | int) -> None:
        """Start ``blocks`` blocks on the current stream; tensors are handed over as pointers, numbers as C ints."""
        values = [ctypes.c_void_p(one.data_ptr()) if isinstance(one, Tensor) else ctypes.c_int(one)
                  for one in arguments]
        places = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        self._make_current()
        stream = ctypes.c_void_p(torch.cuda.current_stream(self._device).cuda_stream)
        self._check(self._driver.cuLaunchKernel(self._function, blocks, 1, 1, threads, 1, 1, self._shared, stream,
                                                places, None))

    def _make_current(self) -> None:
        """PyTorch's context, in a thread that has not used it yet as well."""
        context, device = ctypes.c_void_p(), ctypes.c_int()
        with torch.cuda.device(self._device):
            self._check(self._driver.cuCtxGetCurrent(ctypes.byref(context)))
            if context.value is None or torch.cuda.device_count() > 1:
                self._check(self._driver.cuDeviceGet(ctypes.byref(device), self._device))
                self._check(self._driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
                self._check(self._driver.cuCtxSetCurrent(context))

    def _check(self, result: int) -> None:
        if result:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(result, ctypes.byref(text))
            raise KernelUnavailable(f"CUDA: {(text.value or b'unknown error').decode()} ({result}).")


@cache
def _driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise KernelUnavailable(f"The CUDA driver cannot be loaded: {error}.") from None


@cache
def _nvrtc() -> ctypes.CDLL:
    """The compiler library of PyTorch's own version of CUDA, wherever its wheels or the system keep it."""
    version = torch.version.cuda
    if version is None:
        raise KernelUnavailable("This PyTorch was built without CUDA.")
    major = version.partition(".")[0]
    windows = sys.platform == "win32"
    name = f"nvrtc64_{major}0_0.dll" if windows else f"libnvrtc.so.{major}"
    home = Path(torch.__file__).parent
    for folder in (*sorted(home.parent.glob("nvidia/*/lib")), home / "lib", Path("/usr/local/cuda/lib64")):
        if (folder / name).is_file():
            # It looks for its other half by name alone, so that has to be there already.
            for half in sorted(folder.glob("nvrtc-builtins*.dll" if windows else "libnvrtc-builtins.so.*")):
                ctypes.CDLL(str(half))
            return ctypes.CDLL(str(folder / name))
    with suppress(OSError):
        return ctypes.CDLL(name)
    raise KernelUnavailable(f"The compiler library {name} was not found.")


@cache
def _compiled(source: str, name: str, defines: tuple[str, ...], capability: str) -> bytes:
    """Machine code for a compute capability such as "90". No multiplication is fused with an addition."""
    library = _nvrtc()
    options = [f"--gpu-architecture=sm_{capability}", "--fmad=false", "--std=c++17", *(f"-D{one}" for one in defines)]
    program = ctypes.c_void_p()

    def check(result: int) -> None:
        if result:
            library.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise KernelUnavailable(f"NVRTC: {library.nvrtcGetErrorString(result).decode()}.")

    with _lock:  # two requests at once compile once
        check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), f"{name}.cu".encode(), 0, None, None))
        try:
            words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            if library.nvrtcCompileProgram(program, len(options), words):
                raise KernelUnavailable(f"NVRTC: {_text(library, program)}")
            size = ctypes.c_size_t()
            check(library.nvrtcGetCUBINSize(program, ctypes.byref(size)))
            code = ctypes.create_string_buffer(size.value)
            check(library.nvrtcGetCUBIN(program, code))
            return code.raw
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(program))


def _text(library: ctypes.CDLL, program: ctypes.c_void_p) -> str:
    """What the compiler says."""
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    return log.value.decode(errors="replace")
