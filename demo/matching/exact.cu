// Exact optimal transport of a batch of small problems on CUDA: the algorithm of exact.py, one warp for each problem.
//
// The same whole units and steps, the same order of every choice, hence the same plan to the last bit. What the
// processor does in loops over columns, the 32 lanes do together: lane l holds the keys and potentials of the columns
// l, l + 32, ... in registers. Masses and the arcs that carry flow lie in shared memory, costs (a word each) where the
// plan will be. The arcs are linked lists, one for each column; where they do not fit, ``pushes`` becomes -1 and the
// problem is left to the processor. A path is pushed along by as many lanes as it has columns, each at one list.
//
// Compiled at run time with REAL (float or double) and COLUMNS (columns of a lane) given; with no header, so that the
// tests can build it for the processor as well.

typedef long long Whole;

#define ALL 0xffffffffu
#define INFINITE 0x7fffffffffffffffLL
#define SAME 1e-280
#define COST_BITS 30
#define NONE 0xffff
#define AHEAD 4
#define UNREACHED ALL
#define ORPHAN (ALL - 1)

__device__ __forceinline__ unsigned int least_word(unsigned int value) {
#if __CUDA_ARCH__ >= 800
    return __reduce_min_sync(ALL, value);
#else
    for (int step = 16; step; step /= 2) value = min(value, __shfl_xor_sync(ALL, value, step));
    return value;
#endif
}

// The least of the lanes' values, all of them from 0 up.
__device__ __forceinline__ Whole least_of(Whole value) {
    unsigned int high = (unsigned int)(value >> 32);
    unsigned int least = least_word(high);
    unsigned int low = least_word(high == least ? (unsigned int)value : ALL);
    return ((Whole)least << 32) | low;
}

__device__ __forceinline__ double least_real(double value) {
    for (int step = 16; step; step /= 2) value = fmin(value, __shfl_xor_sync(ALL, value, step));
    return value;
}

__device__ __forceinline__ double sum_real(double value) {
    for (int step = 16; step; step /= 2) value += __shfl_xor_sync(ALL, value, step);
    return value;
}

__device__ __forceinline__ Whole sum_whole(Whole value) {
    for (int step = 16; step; step /= 2) value += __shfl_xor_sync(ALL, value, step);
    return value;
}

// Share `units` in proportion to `count` weights that sum to 1; what gets any is listed. Returns how many do.
__device__ int to_units(const double* weights, int count, Whole units, Whole* mass, unsigned short* index, int lane) {
    int listed = 0;
    Whole sent = 0, most = -1;
    for (int start = 0; start < count; start += 32) {
        int i = start + lane;
        Whole share = i < count ? (Whole)(weights[i] * (double)units + 0.5) : 0;
        unsigned int any = __ballot_sync(ALL, share > 0);
        if (share > 0) {
            int at = listed + __popc(any & ((1u << lane) - 1));
            mass[at] = share;
            index[at] = (unsigned short)i;
        }
        listed += __popc(any);
        sent += share;
        most = share > most ? share : most;
    }
    sent = sum_whole(sent);
    most = INFINITE - least_of(INFINITE - most);
    __syncwarp();
    // What rounding left goes to the largest, the first of them.
    int first = listed;
    for (int at = lane; at < listed; at += 32)
        if (mass[at] == most) {
            first = at;
            break;
        }
    first = (int)least_word((unsigned int)first);
    __syncwarp();
    if (lane == 0) mass[first] += units - sent;
    __syncwarp();
    return listed;
}

// One problem's arcs with flow: for each column a list that starts at head. An entry is an amount, and a word that
// holds its row and the next entry.
struct Arcs {
    Whole* amount;
    unsigned int* link;
    unsigned short *head, *spare;  // spare: entries that were given back
    int made, spares, room;        // entries handed out so far, given back, and at most; the same in every lane
};

#define ROW(link) ((int)((link) & NONE))
#define NEXT(link) ((int)((link) >> 16))
#define LINK(row, next) ((unsigned int)(row) | (unsigned int)(next) << 16)

// A new entry for each lane that asks for one; false where there is no room for all.
__device__ __forceinline__ bool hand_out(Arcs& arcs, bool asks, int& entry, int lane) {
    unsigned int asking = __ballot_sync(ALL, asks);
    int rank = __popc(asking & ((1u << lane) - 1)), all = __popc(asking);
    if (asks) entry = rank < arcs.spares ? arcs.spare[arcs.spares - 1 - rank] : arcs.made + rank - arcs.spares;
    int again = all < arcs.spares ? all : arcs.spares;
    arcs.spares -= again;
    arcs.made += all - again;
    return arcs.made <= arcs.room;
}

// Takes back the entry of each lane that gives one.
__device__ __forceinline__ void give_back(Arcs& arcs, bool gives, int entry, int lane) {
    unsigned int giving = __ballot_sync(ALL, gives);
    if (gives) arcs.spare[arcs.spares + __popc(giving & ((1u << lane) - 1))] = (unsigned short)entry;
    arcs.spares += __popc(giving);
}

extern "C" __global__ void transport(const REAL* __restrict__ all_costs, const double* __restrict__ all_u,
                                     const double* __restrict__ all_v, REAL* __restrict__ all_flow,
                                     double* __restrict__ total, double* __restrict__ residual,
                                     Whole* __restrict__ pushes, int p, int q, int room) {
    extern __shared__ __align__(16) unsigned char memory[];
    const int lane = threadIdx.x;
    const long long b = blockIdx.x;
    const REAL* __restrict__ cost = all_costs + b * p * q;
    const double* u = all_u + b * p;
    const double* v = all_v + b * q;
    REAL* flow = all_flow + b * p * q;

    Whole* supply = (Whole*)memory;                         // (p,)
    Whole* demand = supply + p;                             // (q,)
    Arcs arcs;
    arcs.amount = demand + q;                               // (room,)
    arcs.link = (unsigned int*)(arcs.amount + room);        // (room,)
    unsigned int* x = arcs.link + room;                     // (p,) potentials of the rows
    unsigned int* reached = x + p;                          // (p,) distance at which a row joined the tree
    unsigned int* up = reached + p;                         // (p,) how a row was reached: column, row before it, arc
    unsigned int* steps = (unsigned int*)flow;              // (n, m) costs, where the plan will be: in the cache
    unsigned short* rows = (unsigned short*)(up + p);       // (n,) where they are among all
    unsigned short* columns = rows + p;                     // (m,)
    unsigned short* path = columns + q;                     // (p,) rows of the path that is pushed along
    arcs.head = path + p;                                   // (m,)
    arcs.spare = arcs.head + q;                             // (room,)
#define UP(column, row, arc) ((unsigned int)(column) | (unsigned int)(row) << 8 | (unsigned int)(arc) << 16)
#define UP_COLUMN(word) ((int)((word) & 255))
#define UP_ROW(word) ((int)((word) >> 8 & 255))
#define UP_ARC(word) ((int)((word) >> 16))

#define COST(a, k) steps[(a) * m + lane + 32 * (k)]

    // 1. Whole units of mass and whole steps of cost, and feasible potentials: the rows' least, then the columns'.
    const Whole units = (Whole)(p * q) * ((1LL << 50) / (p * q));
    const int n = to_units(u, p, units, supply, rows, lane);
    const int m = to_units(v, q, units, demand, columns, lane);
    REAL least_real_cost = cost[0], most_real_cost = least_real_cost;
#pragma unroll 8
    for (int at = lane; at < p * q; at += 32) {
        const REAL one = cost[at];
        least_real_cost = one < least_real_cost ? one : least_real_cost;
        most_real_cost = one > most_real_cost ? one : most_real_cost;
    }
    const double least_cost = least_real((double)least_real_cost);
    const double most_cost = -least_real(-(double)most_real_cost);
    const double range = most_cost - least_cost;
    const double scale = range > SAME ? (double)(1 << COST_BITS) / range : 0.0;
    unsigned int y[COLUMNS], key[COLUMNS], from[COLUMNS];  // of column lane + 32 k; from: the row of its key
    unsigned int inside = 0, wants = 0;  // bit k: the column is in the tree, its demand is not yet filled
    for (int start = 0; start < n; start += AHEAD) {
        REAL ahead[AHEAD][COLUMNS];  // several rows at once, since they come from far away
#pragma unroll
        for (int r = 0; r < AHEAD; r++)
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                if (start + r < n && lane + 32 * k < m)
                    ahead[r][k] = cost[(int)rows[start + r] * q + columns[lane + 32 * k]];
#pragma unroll
        for (int r = 0; r < AHEAD; r++) {
            if (start + r >= n) break;
            unsigned int least = ALL;
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                if (lane + 32 * k < m) {
                    const double above = (double)ahead[r][k] - least_cost;
                    const unsigned int one = (unsigned int)(above * scale + 0.5);
                    COST(start + r, k) = one;
                    least = min(least, one);
                }
            least = least_word(least);
            if (lane == 0) x[start + r] = least;
        }
    }
    for (int j = lane; j < m; j += 32) arcs.head[j] = NONE;
    arcs.made = arcs.spares = 0;
    arcs.room = room;
    __syncwarp();
#pragma unroll
    for (int k = 0; k < COLUMNS; k++) y[k] = ALL;
#pragma unroll 8
    for (int a = 0; a < n; a++)
#pragma unroll
        for (int k = 0; k < COLUMNS; k++)
            if (lane + 32 * k < m) y[k] = min(y[k], COST(a, k) - x[a]);

    // 2. A first flow along the arcs that are tight.
    bool fits = true, at_hand[AHEAD][COLUMNS];
    for (int i = 0; i < n; i++) {
        if (i % AHEAD == 0) {
#pragma unroll
            for (int r = 0; r < AHEAD; r++)
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    at_hand[r][k] = i + r < n && lane + 32 * k < m && COST(i + r, k) - x[i + r] == y[k];
        }
        unsigned int tight[COLUMNS];
#pragma unroll
        for (int k = 0; k < COLUMNS; k++) {
            bool here = false;
#pragma unroll
            for (int r = 0; r < AHEAD; r++) here |= i % AHEAD == r && at_hand[r][k];
            tight[k] = __ballot_sync(ALL, here && demand[lane + 32 * k] > 0);
        }
        Whole left = supply[i];
#pragma unroll
        for (int k = 0; k < COLUMNS; k++)
            while (tight[k] && left > 0) {
                const int j = 32 * k + __ffs(tight[k]) - 1;
                tight[k] &= tight[k] - 1;
                const Whole wanted = demand[j];
                const Whole amount = left < wanted ? left : wanted;
                left -= amount;
                fits &= arcs.made < room;
                __syncwarp();
                if (lane == 0 && fits) {
                    arcs.amount[arcs.made] = amount;
                    arcs.link[arcs.made] = LINK(i, arcs.head[j]);
                    arcs.head[j] = (unsigned short)arcs.made;
                    demand[j] = wanted - amount;
                }
                arcs.made++;
            }
        if (lane == 0) supply[i] = left;
        __syncwarp();
    }
#pragma unroll
    for (int k = 0; k < COLUMNS; k++)
        if (lane + 32 * k < m && demand[lane + 32 * k] > 0) wants |= 1u << k;

    // 3. Shortest paths from every supply that is left.
    // Row i joins at distance base + x[i]: shorter keys by way of it, of several the first row's.
#define REACH(i, base, joins)                                                                              \
    {                                                                                                      \
        _Pragma("unroll") for (int k = 0; k < COLUMNS; k++) if (lane + 32 * k < m) {                       \
            const unsigned int one = COST(i, k) + (base) - y[k];                                           \
            const bool shorter = (one < key[k]) | ((one == key[k]) & ((unsigned int)(i) < from[k]));       \
            if (shorter & joins & !(inside >> k & 1)) {                                                    \
                key[k] = one;                                                                              \
                from[k] = (unsigned int)(i);                                                               \
            }                                                                                              \
        }                                                                                                  \
    }
    Whole count = 0;
    for (int source = 0; source < n && fits; source++) {
        bool broken = false;
        while (supply[source] > 0) {
            if (!broken) {
                for (int i = lane; i < n; i += 32) reached[i] = i == source ? 0 : UNREACHED;
                inside = 0;
#pragma unroll
                for (int k = 0; k < COLUMNS; k++) key[k] = ALL;
                __syncwarp();
            } else {
                // What is left of a broken tree, at distance 0: without rows whose arc ran empty, and all beyond them.
                for (int i = lane; i < n; i += 32)
                    if (reached[i] != UNREACHED) reached[i] = i != source && UP_ARC(up[i]) == NONE ? ORPHAN : 0;
                __syncwarp();
                bool changed = true;
                while (changed) {
                    changed = false;
                    for (int i = lane; i < n; i += 32)
                        if (reached[i] != UNREACHED && reached[i] != ORPHAN && i != source &&
                            reached[UP_ROW(up[i])] == ORPHAN) {
                            reached[i] = ORPHAN;
                            changed = true;
                        }
                    changed = __ballot_sync(ALL, changed);
                    __syncwarp();
                }
                for (int i = lane; i < n; i += 32)
                    if (reached[i] == ORPHAN) reached[i] = UNREACHED;
                __syncwarp();
#pragma unroll
                for (int k = 0; k < COLUMNS; k++) {
                    if ((inside >> k & 1) && reached[from[k]] == 0) {
                        key[k] = 0;
                    } else {
                        key[k] = ALL;
                        inside &= ~(1u << k);
                    }
                }
                __syncwarp();
                // Rows that lost their column and send to others that stay, as with ties, go to the first of them.
                bool strays = false;
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    if (inside >> k & 1)
                        for (int e = arcs.head[lane + 32 * k]; e != NONE; e = NEXT(arcs.link[e]))
                            strays |= reached[ROW(arcs.link[e])] == UNREACHED;
                if (__ballot_sync(ALL, strays)) {
#pragma unroll
                    for (int k = 0; k < COLUMNS; k++)
                        for (int l = 0; l < 32 && 32 * k + l < m; l++) {
                            const unsigned int theirs = __shfl_sync(ALL, inside >> k & 1 ? from[k] : ALL, l);
                            if (theirs == ALL || lane) continue;
                            for (int e = arcs.head[32 * k + l]; e != NONE; e = NEXT(arcs.link[e])) {
                                const int i = ROW(arcs.link[e]);
                                if (reached[i] != UNREACHED) continue;
                                reached[i] = 0;
                                up[i] = UP(32 * k + l, theirs, e);
                            }
                        }
                    __syncwarp();
                }
            }
            broken = false;
            // The keys by way of all rows that are in the tree.
            for (int start = 0; start < n; start += 32) {
                const int own = start + lane;
                unsigned int there = __ballot_sync(ALL, own < n && reached[own < n ? own : 0] == 0);
                while (there) {
                    const int i = start + __ffs(there) - 1;
                    there &= there - 1;
                    REACH(i, 0u - x[i], true)
                }
            }
            unsigned int distance;
            while (true) {
                // The nearest column outside the tree, of several that of the first row, then the first.
                unsigned int near = ALL, which = ALL;
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    if (!(inside >> k & 1)) near = min(near, key[k]);
                distance = least_word(near);
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    if (!(inside >> k & 1) && key[k] == distance)
                        which = min(which, from[k] << 9 | (unsigned int)(lane + 32 * k) << 1 | (wants >> k & 1));
                which = least_word(which);
                const int column = (int)(which >> 1 & 255), before = (int)(which >> 9);
                if (which & 1) {
                    // The path's rows from the sink to the source, and what it allows.
                    count++;
                    int length = 0, i = before;
                    while (true) {
                        if (lane == 0) path[length] = (unsigned short)i;
                        length++;
                        if (i == source) break;
                        i = UP_ROW(up[i]);
                    }
                    __syncwarp();
                    Whole amount = supply[source] < demand[column] ? supply[source] : demand[column];
                    for (int h = lane; h < length - 1; h += 32) {
                        const Whole back = arcs.amount[UP_ARC(up[path[h]])];
                        amount = back < amount ? back : amount;
                    }
                    amount = least_of(amount);
                    // Lane h at the h-th column: more from the path's row, less to the row that was reached from there.
                    for (int start = 0; start < length && fits; start += 32) {
                        const int h = start + lane;
                        const bool here = h < length, back = here && h > 0;
                        const int row = here ? path[h] : 0;
                        const int freed = back ? path[h - 1] : 0;
                        const unsigned int way = back ? up[freed] : 0;
                        const int j = back ? UP_COLUMN(way) : column;
                        int found = NONE, prior = NONE, old = back ? UP_ARC(way) : NONE;
                        bool empties = false;
                        if (here) {
                            int previous = NONE;
                            for (int e = arcs.head[j]; e != NONE;) {
                                const unsigned int link = arcs.link[e];
                                if (ROW(link) == row) found = e;
                                if (e == old) prior = previous;
                                previous = e;
                                e = NEXT(link);
                            }
                            if (found != NONE) arcs.amount[found] += amount;
                            if (back) {
                                const Whole rest = arcs.amount[old] - amount;
                                arcs.amount[old] = rest;
                                empties = rest == 0;
                            }
                        }
                        if (empties) {
                            broken = true;
                            up[freed] = UP(0, 0, NONE);
                            const int next = NEXT(arcs.link[old]);
                            if (found == NONE) {  // the entry changes hands
                                arcs.link[old] = LINK(row, next);
                                arcs.amount[old] = amount;
                            } else if (prior == NONE) {
                                arcs.head[j] = (unsigned short)next;
                            } else {
                                arcs.link[prior] = LINK(ROW(arcs.link[prior]), next);
                            }
                        }
                        __syncwarp();
                        const bool asks = here && found == NONE && !empties;
                        int entry = NONE;
                        fits = hand_out(arcs, asks, entry, lane);
                        if (fits && asks) {
                            arcs.amount[entry] = amount;
                            arcs.link[entry] = LINK(row, arcs.head[j]);
                            arcs.head[j] = (unsigned short)entry;
                        }
                        __syncwarp();
                        give_back(arcs, empties && found != NONE, old, lane);
                        __syncwarp();
                    }
                    if (!fits) break;
                    broken = __ballot_sync(ALL, broken);
                    if (lane == 0) {
                        supply[source] -= amount;
                        demand[column] -= amount;
                    }
                    __syncwarp();
#pragma unroll
                    for (int k = 0; k < COLUMNS; k++)
                        if (column == lane + 32 * k && demand[column] == 0) wants &= ~(1u << k);
                    if (broken || supply[source] == 0) break;
                }
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    if (column == lane + 32 * k) inside |= 1u << k;
                for (int e = arcs.head[column]; e != NONE;) {
                    const unsigned int link = arcs.link[e];
                    const int i = ROW(link);
                    const bool joins = reached[i] == UNREACHED;
                    REACH(i, distance - x[i], joins)
                    __syncwarp();  // all have seen that it was not reached
                    if (lane == 0 && joins) {
                        reached[i] = distance;
                        up[i] = UP(column, before, e);
                    }
                    e = NEXT(link);
                }
                __syncwarp();
            }
            if (!fits) break;
            for (int i = lane; i < n; i += 32)
                if (reached[i] < distance) x[i] += distance - reached[i];
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                if (inside >> k & 1) y[k] -= distance - key[k];
            __syncwarp();
        }
    }
    if (!fits) {
        if (lane == 0) pushes[b] = -1;
        return;
    }

    // 4. The plan, its cost summed column by column and by rows within, and the error of its marginals.
    for (int at = lane; at < p * q; at += 32) flow[at] = 0;
    double off = 0.0;
    Whole* given = supply;  // (n,) what each row sends
    for (int i = lane; i < n; i += 32) given[i] = 0;
    __syncwarp();
    double sum = 0.0;
    for (int start = 0; start < m; start += 32) {
        const int c = start + lane;
        double spent = 0.0;
        if (c < m) {
            double left = v[columns[c]];
            int last = -1;
            while (true) {
                int next = NONE, found = NONE;
                for (int e = arcs.head[c]; e != NONE; e = NEXT(arcs.link[e])) {
                    const int row = ROW(arcs.link[e]);
                    if (row > last && row < next) {
                        next = row;
                        found = e;
                    }
                }
                if (found == NONE) break;
                last = next;
                const int at = (int)rows[next] * q + columns[c];
                const double mass = (double)arcs.amount[found] / (double)units;
                flow[at] = (REAL)mass;
                spent += mass * (double)cost[at];
                left -= mass;
                atomicAdd((unsigned long long*)&given[next], (unsigned long long)arcs.amount[found]);
            }
            off += fabs(left);
        }
        for (int k = 0; k < 32 && start + k < m; k++) sum += __shfl_sync(ALL, spent, k);
    }
    __syncwarp();
    for (int i = lane; i < n; i += 32) off += fabs(u[rows[i]] - (double)given[i] / (double)units);
    off = sum_real(off);
    if (lane == 0) {
        total[b] = sum;
        residual[b] = off;
        pushes[b] = count;
    }
}
