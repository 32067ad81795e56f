"""Exact optimal transport on CUDA: ``exact.cu`` on as many problems at once as the device holds, one warp each.

Written in CUDA's own language: Triton gives a program no shared memory to keep trees and arcs in, and numba.cuda wants
a CUDA toolkit beside PyTorch, which brings all that this needs. The tests run the same source on the processor.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from demo.matching import exact
from demo.matching.nvrtc import Kernel, KernelUnavailable

SOURCE = Path(__file__).with_name("exact.cu")
#: Threads of a block: one warp, and one problem.
WARP = 32
#: Most patches of an image: rows and columns are kept in a byte each.
MOST_PATCHES = 256


def room_for(rows: int, columns: int) -> int:
    """Arcs with flow that a problem may have: without ties rows + columns - 1 at most, with ties some more. So that 32
    problems of 64 x 64, as many blocks as it runs, fit into a multiprocessor of 228 KB."""
    return 3 * (rows + columns) // 2 + 16


def shared_bytes(rows: int, columns: int) -> int:
    """Shared memory of one problem, as ``exact.cu`` divides it up."""
    room = room_for(rows, columns)
    return 8 * (rows + columns + room) + 4 * (room + 3 * rows) + 2 * (2 * rows + 2 * columns + room)


@cache
def _kernel(device: int, real: str, rows: int, columns: int) -> Kernel | str:
    """The kernel for problems of a size, or one sentence why there is none."""
    shared = shared_bytes(rows, columns)
    most = torch.cuda.get_device_properties(device).shared_memory_per_block_optin
    if shared > most or max(rows, columns) > MOST_PATCHES:
        return f"Problems of {rows} x {columns} patches do not fit into this device's shared memory."
    try:
        return Kernel(SOURCE.read_text(encoding="utf-8"), "transport",
                      (f"REAL={real}", f"COLUMNS={-(-columns // WARP)}"), device, shared)
    except (KernelUnavailable, OSError, AttributeError) as error:
        return str(error)


def unavailable(device: torch.device, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str | None:
    """One sentence why problems of this size go to the processor instead, else None. device: of CUDA."""
    index = torch.cuda.current_device() if device.index is None else device.index
    kernel = _kernel(index, "double" if dtype == torch.float64 else "float", rows, columns)
    return kernel if isinstance(kernel, str) else None


def solve(cost: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...] | None:
    """Optimal plans of B problems on the cost's CUDA device; None where it cannot (``unavailable`` says why).

    cost: (B, P, Q) float32 or float64, finite. u: (B, P), v: (B, Q) float64 there, rows non-negative with sum 1.
    Returns flow (B, P, Q) in the cost's type, its cost (B,) float64, the L1 error of both marginals (B,) float64 and
    the number of pushes (B,) int64: but for the rounding of that error what ``exact.solve`` returns.
    """
    batch, rows, columns = cost.shape
    kernel = _kernel(cost.get_device(), "double" if cost.dtype == torch.float64 else "float", rows, columns)
    if isinstance(kernel, str):
        return None
    flow = torch.empty(cost.shape, dtype=cost.dtype, device=cost.device)
    total, residual = (cost.new_zeros(batch, dtype=torch.float64) for _ in range(2))
    pushes = cost.new_zeros(batch, dtype=torch.int64)
    if batch:
        given = [one.contiguous() for one in (cost, u, v)]
        kernel(batch, WARP, *given, flow, total, residual, pushes, rows, columns, room_for(rows, columns))
        left = (pushes < 0).nonzero()[:, 0]
        if len(left):  # plans with more arcs than there is room for
            arrays = exact.solve(*(np.ascontiguousarray(one[left].cpu().numpy()) for one in given))
            for output, array in zip((flow, total, residual, pushes), arrays, strict=True):
                output[left] = torch.from_numpy(array).to(cost.device)
    return flow, total, residual, pushes
