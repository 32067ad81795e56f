"""Transport in which some patches may not choose: what would be if these two belonged together?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from demo.errors import BadSetting
from demo.matching.transport import Plan, transport


@torch.no_grad()
def forced_transport(cost: Tensor, u: Tensor, v: Tensor, partners: Sequence[tuple[int, int]], *,
                     share: float = 1.0) -> Plan:
    """The cheapest plan among those that send as much mass as fits along the given arcs, exactly.

    cost, u, v, share: as of ``transport``. partners: (row, column) of each arc. The arcs are made so cheap that no
    saving elsewhere can be worth a unit less on them: along a cycle of the residual graph at most P + Q other arcs
    change, each by at most the range of the costs. ``cost`` of the plan is by the true costs. BadSetting for an arc
    that is not there.
    """
    rows, columns = cost.shape[1:]
    for row, column in partners:
        if not (0 <= row < rows and 0 <= column < columns):
            raise BadSetting(f"There is no patch {row} or {column} to force: the faces have {rows} and {columns}.")
    tempting = cost.double().clone()
    low, high = tempting.amin((1, 2)), tempting.amax((1, 2))
    bait = (rows + columns) * (high - low + 1e-6)
    for row, column in set(partners):
        tempting[:, row, column] -= bait
    plan = transport(tempting, u, v, "exact", share=share)
    total = (plan.flow * cost.double()).sum((1, 2))
    return replace(plan, flow=plan.flow.to(cost.dtype), cost=total.to(cost.dtype))
