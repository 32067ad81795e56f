"""The CUDA kernel of exact transport on an emulated device: the same source, compiled for the processor, one coroutine
for each lane (``cuda_on_cpu.cpp``), called through the same launch. Real devices: ``test_devices.py``."""

import ctypes
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_transport import PROBLEMS, masses, normalised

from demo.matching import exact, exact_cuda, nvrtc

COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = [pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to emulate the device with"),
              pytest.mark.slow]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """(defines) → the emulated device with the kernel compiled so."""
    folder, made = tmp_path_factory.mktemp("kernels"), {}

    def library(*defines):
        if defines not in made:
            path = folder / f"kernel{len(made)}.so"
            subprocess.run([COMPILER, "-O1", "-w", "-shared", "-fPIC", "-ffp-contract=off",
                            f'-DKERNEL="{exact_cuda.SOURCE}"', *(f"-D{one}" for one in defines),
                            str(HERE / "cuda_on_cpu.cpp"), "-o", str(path)], check=True)
            made[defines] = ctypes.CDLL(str(path))
        return made[defines]

    return library


@pytest.fixture(params=[1, -1], ids=["first lane first", "last lane first"])
def device(request, libraries, monkeypatch):
    """An emulated device instead of CUDA; tensors stay on the processor. Returns how to set more defines."""
    more = [f"LANE_ORDER={request.param}"]
    loaded = {}

    def compiled(source, name, defines, capability):
        assert source == exact_cuda.SOURCE.read_text(encoding="utf-8") and (name, capability) == ("transport", "90")
        loaded["driver"] = libraries(*defines, *more)
        return b""

    class Driver:
        def __getattr__(self, name):
            return getattr(loaded["driver"], name)

    class Kernel(nvrtc.Kernel):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._driver = loaded["driver"]

    monkeypatch.setattr(nvrtc, "_driver", Driver)
    monkeypatch.setattr(nvrtc, "_compiled", compiled)
    monkeypatch.setattr(exact_cuda, "Kernel", Kernel)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    monkeypatch.setattr(torch.cuda, "get_device_properties",
                        lambda device: SimpleNamespace(shared_memory_per_block_optin=227 << 10))
    exact_cuda._kernel.cache_clear()
    yield more
    exact_cuda._kernel.cache_clear()


def tensors(cost, u, v, dtype=torch.float64):
    return torch.from_numpy(cost).to(dtype), *(torch.from_numpy(normalised(one)) for one in (u, v))


def compare(cost, u, v):
    """The kernel's plans, which must be the processor's to the last bit; residuals to rounding."""
    flow, total, residual, pushes = exact_cuda.solve(cost, u, v)
    expected = exact.solve(cost.numpy(), u.contiguous().numpy(), v.contiguous().numpy())
    assert np.array_equal(flow.numpy(), expected[0]) and flow.dtype == cost.dtype
    assert np.array_equal(total.numpy(), expected[1]) and np.array_equal(pushes.numpy(), expected[3])
    np.testing.assert_allclose(residual.numpy(), expected[2], atol=1e-14)
    return pushes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PROBLEMS)
def test_same_plans_as_the_processor(device, name, dtype):
    compare(*tensors(*PROBLEMS[name], dtype))


@pytest.mark.parametrize("patches", [31, 32, 33, 49, 65, 100])
def test_every_number_of_columns(device, patches):
    rng = np.random.default_rng(patches)
    cost = rng.random((2, patches, patches + patches % 3))
    compare(*tensors(cost, masses(rng, 2, patches), masses(rng, 2, cost.shape[2], zeros=0.2), torch.float32))


@pytest.mark.parametrize("patches", [5, 12, 24])
def test_ties_of_every_kind(device, patches):
    """Few different costs and masses: trees break in every way, and what hangs together has several ways up."""
    rng = np.random.default_rng(patches)
    cost = rng.integers(0, rng.integers(2, 6, (60, 1, 1)), (60, patches, patches)).astype(float)
    u, v = rng.integers(0, 4, (2, 60, patches)) + np.eye(patches)[0]
    pushes = compare(*tensors(cost, u, v))
    assert (pushes > 0).any()


def test_strides_and_empty_batches(device):
    cost, u, v = tensors(*PROBLEMS["random"])
    compare(cost.transpose(1, 2), v, u)
    compare(cost, u[:1].expand(4, -1), v)
    assert exact_cuda.solve(cost[:0], u[:0], v[:0])[0].shape == (0, 30, 30)


def test_older_devices_find_the_minimum_by_shuffles(device):
    device.append("__CUDA_ARCH__=750")
    compare(*tensors(*PROBLEMS["random"]))


def test_problems_whose_arcs_do_not_fit_go_to_the_processor(device, monkeypatch):
    monkeypatch.setattr(exact_cuda, "room_for", lambda rows, columns: rows + 1)
    rng = np.random.default_rng(0)
    even = np.full((3, 20), 1 / 20)
    cost = rng.random((6, 20, 20))
    u, v = (np.concatenate([even, masses(rng, 3, 20)]) for _ in range(2))
    compare(*tensors(cost, u, v))


def test_what_the_kernel_cannot_take_is_told(device, monkeypatch):
    assert exact_cuda.unavailable(torch.device("cuda:0"), 64, 64) is None
    assert "do not fit" in exact_cuda.unavailable(torch.device("cuda:0"), 300, 300)
    assert exact_cuda.solve(torch.zeros(1, 300, 300), torch.ones(1, 300), torch.ones(1, 300)) is None
    exact_cuda._kernel.cache_clear()

    def broken(*arguments):
        raise nvrtc.KernelUnavailable("The compiler library was not found.")

    monkeypatch.setattr(nvrtc, "_compiled", broken)
    assert exact_cuda.unavailable(torch.device("cuda:0"), 64, 64) == "The compiler library was not found."


def test_shared_memory_is_as_large_as_the_kernel_says(device, monkeypatch):
    """The emulated device reports what is written beyond."""
    monkeypatch.setattr(exact_cuda, "shared_bytes", lambda rows, columns: 8 * rows)
    with pytest.raises(nvrtc.KernelUnavailable, match="memory is misused"):
        exact_cuda.solve(*tensors(*PROBLEMS["random"]))

