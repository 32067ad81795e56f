"""Exact optimal transport for a batch of small problems: successive shortest paths, compiled by numba.

One problem has P supplies (the query's patches), Q demands (the candidate's patches) and a (P, Q) cost.

1. Patches without mass are left out. Masses become whole units (about 2^50 in all) and costs whole steps,
   so every comparison below is exact: no tolerance, no drift, and ties cannot make it run for ever.
2. Potentials x (rows) and y (columns) start at the row minima, then the column minima of what is left, and as
   much mass as possible is sent greedily along the tight arcs (cost - x - y == 0).
3. Each supply still unspent grows a shortest-path tree (Dijkstra on the reduced costs, from the supply, forward
   along any arc and back along arcs that carry flow) until it meets an unfilled demand. As much as the path
   allows is pushed along it; when the tree breaks, the potentials are raised and what still hangs together grows on.

Flow only ever uses tight arcs while no reduced cost is negative, so once all mass is sent the plan is optimal for
the rounded costs, and within one step of the range of the true costs: 2^-30, about 1e-9.

``exact.cu`` is the same algorithm for CUDA, with the same rounding and the same order of every choice, so that both
give the same plan to the last bit: what is changed here is changed there.

For speed a column's label is one 64-bit key, ``distance | row it was reached from | column``, with the distance in
the high bits: one minimum over a row of keys gives the nearest column, its distance and its predecessor at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

from demo.errors import BadSetting

#: Above this the 64-bit keys would leave too few bits for the costs.
MAX_PATCHES = 4096
#: Added to the key of a column that belongs to the tree; every other key is below it.
_CLOSED = 1 << 60
_INFINITY = (1 << 63) - 1
#: Costs closer than this are equal: dividing by their difference would overflow.
_SAME = 1e-280
#: Costs have 2^30 steps at most, so that one takes four bytes where memory is short, as on a graphics card.
_COST_BITS = 30
#: Cost entries (pairs x P x Q) below which starting threads costs more than it saves.
_WORTH_THREADS = 1 << 16


def compiled(function):
    """``function`` compiled by numba, kept on disk where this machine has a folder for that."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable folder: compile in this process only
        return numba.njit(nogil=True)(function)


@numba.njit
def _to_units(weights, units):
    """Share ``units`` in proportion to weights that sum to 1. Returns (units, position) of the entries that get any."""
    mass = np.empty(weights.size, np.int64)
    index = np.empty(weights.size, np.int64)
    left = units
    largest = 0
    count = 0
    for i in range(weights.size):
        share = np.int64(weights[i] * units + 0.5)
        if share > 0:
            mass[count] = share
            index[count] = i
            left -= share
            if share > mass[largest]:
                largest = count
            count += 1
    mass[largest] += left
    return mass[:count], index[:count]


@numba.njit(fastmath={"nnan"})  # the costs are known to be finite: lets the minimum be vectorised
def _to_keys(cost, rows, columns, bits):
    """The cost of the listed rows and columns in whole steps above the least, each shifted to a key's high bits."""
    low = high = np.float64(cost[0, 0])
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            low = min(low, np.float64(cost[i, j]))
            high = max(high, np.float64(cost[i, j]))
    # A path costs at most 8 * 2^bits times the largest cost, which keeps every key below _CLOSED.
    scale = 2.0 ** min(57 - 3 * bits, _COST_BITS) / (high - low) if high - low > _SAME else 0.0
    unit = 1 << (2 * bits)
    keys = np.empty((rows.size, columns.size), np.int64)
    line = np.empty(cost.shape[1], np.int64)
    for a in range(rows.size):
        for j in range(line.size):
            line[j] = np.int64((cost[rows[a], j] - low) * scale + 0.5) * unit
        if columns.size == line.size:
            keys[a] = line
        else:
            keys[a] = line[columns]
    return keys


@numba.njit(forceinline=True)
def _send(i, j, amount, flow, feeders, feeder_count):
    if flow[i, j] == 0:
        feeders[j, feeder_count[j]] = i
        feeder_count[j] += 1
    flow[i, j] += amount


@numba.njit(forceinline=True)
def _take_back(i, j, amount, flow, feeders, feeder_count):
    """Returns whether this empties the arc."""
    flow[i, j] -= amount
    if flow[i, j] > 0:
        return False
    k = 0
    while feeders[j, k] != i:
        k += 1
    feeder_count[j] -= 1
    feeders[j, k] = feeders[j, feeder_count[j]]
    return True


@numba.njit
def _start(cost, supply, demand, x, y, flow, feeders, feeder_count):
    """Feasible potentials, and a first flow along the arcs that they make tight."""
    n, m = cost.shape
    for i in range(n):
        least = cost[i, 0]
        for j in range(1, m):
            least = min(least, cost[i, j])
        x[i] = least
    y[:] = _CLOSED
    for i in range(n):
        for j in range(m):
            y[j] = min(y[j], cost[i, j] - x[i])
    for i in range(n):
        for j in range(m):
            if cost[i, j] - x[i] == y[j] and demand[j] > 0 and supply[i] > 0:
                amount = min(supply[i], demand[j])
                _send(i, j, amount, flow, feeders, feeder_count)
                supply[i] -= amount
                demand[j] -= amount


@numba.njit(forceinline=True)
def _push(source, sink, bits, key, via, supply, demand, flow, feeders, feeder_count):
    """Push as much as the path of the tree from the source row to the sink column allows.

    Returns whether the tree broke, because an arc that it uses backwards ran empty.
    """
    mask = (1 << bits) - 1
    amount = min(supply[source], demand[sink])
    j = sink
    i = (key[j] >> bits) & mask
    while i != source:
        j = via[i]
        amount = min(amount, flow[i, j])
        i = (key[j] >> bits) & mask

    broken = False
    j = sink
    i = (key[j] >> bits) & mask
    while i != source:
        _send(i, j, amount, flow, feeders, feeder_count)
        j = via[i]
        broken |= _take_back(i, j, amount, flow, feeders, feeder_count)
        i = (key[j] >> bits) & mask
    _send(source, j, amount, flow, feeders, feeder_count)
    supply[source] -= amount
    demand[sink] -= amount
    return broken


@numba.njit(forceinline=True)
def _reach(i, base, cost, y, key):
    """Shorten the columns' keys by way of row i, which joins the tree. Returns the least key."""
    least = _INFINITY
    for j in range(key.size):
        shorter = min(key[j], cost[i, j] + base - y[j])
        key[j] = shorter
        least = min(least, shorter)
    return least


@numba.njit
def _prune(count, joined, bits, cost, x, y, key, via, reached, flow, feeders, feeder_count):
    """What is left of a broken tree, now that the potentials were raised and all in it is at distance 0.

    A row stays whose arc still carries flow and whose column was reached from a row that stays; such columns stay,
    closed. The others get new keys from the rows that stay. Returns how many rows do, and the least key.
    """
    mask = (1 << bits) - 1
    kept = 1
    reached[:] = _INFINITY
    reached[joined[0]] = 0
    for k in range(1, count):
        i = joined[k]
        if flow[i, via[i]] > 0 and reached[(key[via[i]] >> bits) & mask] == 0:
            reached[i] = 0
            joined[kept] = i
            kept += 1
    for j in range(key.size):
        source = (key[j] >> bits) & mask
        if key[j] >= _CLOSED and reached[source] == 0:
            key[j] = _CLOSED + (source << bits) + j
            y[j] -= 2 * _CLOSED
        else:
            key[j] = 2 * _CLOSED
    for j in range(key.size):  # rows that lost their column and send to another one that stays, as with ties
        if key[j] < 2 * _CLOSED:
            for k in range(feeder_count[j]):
                i = feeders[j, k]
                if reached[i] == _INFINITY:
                    reached[i] = 0
                    via[i] = j
                    joined[kept] = i
                    kept += 1
    least = _INFINITY
    for k in range(kept):
        i = joined[k]
        least = _reach(i, (i << bits) - x[i], cost, y, key)
    return kept, least


@numba.njit
def _ship(cost, supply, demand, bits):
    """Optimal flow of one problem whose supplies and demands are positive and have the same sum.

    cost: (n, m) from ``_to_keys``. supply (n,) and demand (m,) in units, used up. Returns the flow (n, m) in
    units, the ``feeder_count[j]`` rows ``feeders[j]`` that it comes from for each column j, and the number of pushes.
    """
    n, m = cost.shape
    shift = 2 * bits
    mask = (1 << bits) - 1
    x = np.empty(n, np.int64)  # potentials of the rows
    y = np.empty(m, np.int64)  # potentials of the columns
    flow = np.zeros((n, m), np.int64)
    feeders = np.empty((m, n), np.int64)  # the rows that send flow to each column
    feeder_count = np.zeros(m, np.int64)
    key = np.empty(m, np.int64)  # label of each column in the present tree
    via = np.empty(n, np.int64)  # column through which each row was reached
    reached = np.empty(n, np.int64)  # distance at which it was
    joined = np.empty(n, np.int64)  # the rows of the tree, in the order in which they joined
    _start(cost, supply, demand, x, y, flow, feeders, feeder_count)
    y -= np.arange(m)  # from here on cost - x - y carries the column's number in its low bits
    pushes = 0
    for source in range(n):
        count = 0
        while supply[source] > 0:
            if count == 0:
                key[:] = 2 * _CLOSED
                reached[:] = _INFINITY
                reached[source] = 0
                joined[0] = source
                count = 1
                least = _reach(source, (source << bits) - x[source], cost, y, key)
            else:
                count, least = _prune(count, joined, bits, cost, x, y, key, via, reached, flow, feeders,
                                      feeder_count)
            while True:
                distance = (least >> shift) << shift
                column = least & mask
                if demand[column] > 0:
                    pushes += 1
                    if _push(source, column, bits, key, via, supply, demand, flow, feeders, feeder_count):
                        break
                    if supply[source] == 0:
                        break
                key[column] += _CLOSED
                y[column] -= 2 * _CLOSED  # no row that joins later may shorten its key
                least = _INFINITY
                for k in range(feeder_count[column]):
                    i = feeders[column, k]
                    if reached[i] == _INFINITY:
                        reached[i] = distance
                        via[i] = column
                        joined[count] = i
                        count += 1
                        least = _reach(i, distance - x[i] + (i << bits), cost, y, key)
                if least == _INFINITY:  # no row joined
                    for j in range(m):
                        least = min(least, key[j])
            for i in range(n):
                x[i] += max(distance - reached[i], 0)
            for j in range(m):
                if key[j] >= _CLOSED:
                    y[j] += 2 * _CLOSED - (distance - (((key[j] - _CLOSED) >> shift) << shift))
    return flow, feeders, feeder_count, pushes


@compiled
def _solve_batch(cost, u, v, flow, total, residual, pushes):
    """Solve every problem of the batch into ``flow`` (which comes zeroed), ``total``, ``residual``, ``pushes``."""
    batch, p, q = cost.shape
    units = p * q * ((1 << 50) // (p * q))  # so that equal weights get equal units
    for b in range(batch):
        supply, rows = _to_units(u[b], units)
        demand, columns = _to_units(v[b], units)
        bits = 0
        while 1 << bits < max(rows.size, columns.size):
            bits += 1
        keys = _to_keys(cost[b], rows, columns, bits)
        sent, feeders, feeder_count, pushes[b] = _ship(keys, supply, demand, bits)
        row_left = u[b].copy()
        column_left = v[b].copy()
        for c in range(columns.size):
            spent = 0.0
            for a in np.sort(feeders[c, :feeder_count[c]]):  # in one order, for one sum on every device
                i, j = rows[a], columns[c]
                mass = sent[a, c] / units
                flow[b, i, j] = mass
                spent += mass * np.float64(cost[b, i, j])
                row_left[i] -= mass
                column_left[j] -= mass
            total[b] += spent
        residual[b] = np.abs(row_left).sum() + np.abs(column_left).sum()


#: Types the kernel is compiled for: cost and flow in single or double precision, everything else fixed.
_SIGNATURES = tuple(
    (real[:, :, ::1], numba.float64[:, ::1], numba.float64[:, ::1], real[:, :, ::1], numba.float64[::1],
     numba.float64[::1], numba.int64[::1])
    for real in (numba.float32, numba.float64)
)


def warm_up() -> None:
    """Compile the kernel, or load it from numba's disk cache, so that no request has to wait for it (seconds)."""
    for signature in _SIGNATURES:
        _solve_batch.compile(signature)


def solve(cost: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Optimal plans of B problems on the CPU, pairs spread over torch's number of threads.

    cost: (B, P, Q) float32 or float64, finite. u: (B, P), v: (B, Q) float64, rows non-negative with sum 1.
    Returns flow (B, P, Q) in the cost's type, its cost (B,) float64, the L1 error of both marginals (B,) float64
    and the number of pushes (B,) int64. Raises BadSetting above MAX_PATCHES patches.
    """
    batch, rows, columns = cost.shape
    if max(rows, columns) > MAX_PATCHES:
        raise BadSetting(f"The exact solver takes at most {MAX_PATCHES} patches per image: choose a coarser grid.")
    cost, u, v = (np.ascontiguousarray(array) for array in (cost, u, v))
    outputs = np.zeros_like(cost), np.zeros(batch), np.zeros(batch), np.zeros(batch, np.int64)

    threads = torch.get_num_threads() if cost.size >= _WORTH_THREADS else 1
    part = -(-batch // (4 * threads)) or 1  # several parts for each thread, because problems differ in difficulty
    starts = iter(range(0, batch, part))

    def work() -> None:
        for start in starts:
            _solve_batch(*(array[start:start + part] for array in (cost, u, v, *outputs)))

    if threads == 1:
        work()
        return outputs
    # Threads of this call alone: unlike numba's own they may run beside another request's, and survive a fork.
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()
    return outputs
