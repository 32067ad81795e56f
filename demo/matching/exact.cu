// Exact optimal transport of a batch of small problems on CUDA: the algorithm of exact.py, one warp for each problem.
//
// The same whole units and steps, the same order of every choice, hence the same plan to the last bit. What the
// processor does in loops over columns, the 32 lanes do together: lane l holds the keys and potentials of the columns
// l, l + 32, ... in registers. Costs (a word each), masses and the arcs that carry flow lie in
// shared memory. The arcs are linked lists, one for each column; where they do not fit, ``pushes`` becomes -1 and the
// problem is left to the processor.
//
// Compiled at run time with REAL (float or double) and COLUMNS (columns of a lane) given; with no header, so that the
// tests can build it for the processor as well.

typedef long long Whole;

#define ALL 0xffffffffu
#define CLOSED (1LL << 60)
#define INFINITE 0x7fffffffffffffffLL
#define SAME 1e-280
#define COST_BITS 31
#define NONE 0xffff

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

// One problem's arcs with flow: for each column a list that starts at head, each entry a row and an amount.
struct Arcs {
    Whole* amount;
    unsigned short *head, *next, *row;
    int made, room, spare;  // entries handed out so far, at most, and the first of those given back
};

__device__ __forceinline__ bool send(Arcs& arcs, int i, int j, Whole amount) {
    int e = arcs.head[j];
    while (e != NONE && arcs.row[e] != i) e = arcs.next[e];
    if (e == NONE) {
        if (arcs.spare != NONE) {
            e = arcs.spare;
            arcs.spare = arcs.next[e];
        } else {
            if (arcs.made == arcs.room) return false;
            e = arcs.made++;
        }
        arcs.row[e] = (unsigned short)i;
        arcs.amount[e] = 0;
        arcs.next[e] = arcs.head[j];
        arcs.head[j] = (unsigned short)e;
    }
    arcs.amount[e] += amount;
    return true;
}

__device__ __forceinline__ Whole sent_along(const Arcs& arcs, int i, int j) {
    int e = arcs.head[j];
    while (arcs.row[e] != i) e = arcs.next[e];
    return arcs.amount[e];
}

// Returns whether this empties the arc.
__device__ __forceinline__ bool take_back(Arcs& arcs, int i, int j, Whole amount) {
    int e = arcs.head[j], before = NONE;
    while (arcs.row[e] != i) {
        before = e;
        e = arcs.next[e];
    }
    arcs.amount[e] -= amount;
    if (arcs.amount[e] > 0) return false;
    if (before == NONE) arcs.head[j] = arcs.next[e];
    else arcs.next[before] = arcs.next[e];
    arcs.next[e] = (unsigned short)arcs.spare;
    arcs.spare = e;
    return true;
}

extern "C" __global__ void transport(const REAL* all_costs, const double* all_u, const double* all_v, REAL* all_flow,
                                     double* total, double* residual, Whole* pushes, int p, int q, int room) {
    extern __shared__ __align__(16) unsigned char memory[];
    const int lane = threadIdx.x;
    const long long b = blockIdx.x;
    const REAL* cost = all_costs + b * p * q;
    const double* u = all_u + b * p;
    const double* v = all_v + b * q;
    REAL* flow = all_flow + b * p * q;

    Whole* supply = (Whole*)memory;                   // (p,)
    Whole* x = supply + p;                            // (p,) potentials of the rows
    Whole* reached = x + p;                           // (p,) distance at which a row joined the tree
    Whole* demand = reached + p;                      // (q,)
    Arcs arcs;
    arcs.amount = demand + q;                         // (room,)
    Whole* told = arcs.amount + room;                 // (1,) from lane 0 to all
    unsigned int* steps = (unsigned int*)(told + 1);  // (n, m) costs
    unsigned short* rows = (unsigned short*)(steps + p * q);
    unsigned short* columns = rows + p;
    unsigned short* via = columns + q;                // (p,) column through which a row was reached
    unsigned short* from = via + p;                   // (q,) row from which a column was reached
    arcs.head = from + q;
    arcs.next = arcs.head + q;
    arcs.row = arcs.next + room;

    // 1. Whole units of mass and whole steps of cost.
    const Whole units = (Whole)(p * q) * ((1LL << 50) / (p * q));
    const int n = to_units(u, p, units, supply, rows, lane);
    const int m = to_units(v, q, units, demand, columns, lane);
    int bits = 0;
    while ((1 << bits) < (n > m ? n : m)) bits++;
    const int shift = 2 * bits;
    const Whole mask = (1LL << bits) - 1;
    double least_cost = (double)cost[0], most_cost = least_cost;
    for (int at = lane; at < p * q; at += 32) {
        double one = (double)cost[at];
        least_cost = fmin(least_cost, one);
        most_cost = fmax(most_cost, one);
    }
    least_cost = least_real(least_cost);
    most_cost = -least_real(-most_cost);
    const int precise = 57 - 3 * bits < COST_BITS ? 57 - 3 * bits : COST_BITS;
    const double range = most_cost - least_cost;
    const double scale = range > SAME ? (double)(1LL << precise) / range : 0.0;
    for (int a = 0; a < n; a++)
        for (int c = lane; c < m; c += 32) {
            double above = (double)cost[(int)rows[a] * q + columns[c]] - least_cost;
            steps[a * m + c] = (unsigned int)(Whole)(above * scale + 0.5);
        }
    __syncwarp();
#define COST(a, c) ((Whole)steps[(a) * m + (c)] << shift)

    // 2. Feasible potentials, and a first flow along the arcs that they make tight.
    for (int a = lane; a < n; a += 32) {
        Whole least = INFINITE;
        for (int step = 0, c = lane % m; step < m; step++) {  // each lane at another column: no two use one bank
            Whole one = COST(a, c);
            least = one < least ? one : least;
            c = c + 1 == m ? 0 : c + 1;
        }
        x[a] = least;
    }
    for (int j = lane; j < m; j += 32) arcs.head[j] = NONE;
    arcs.made = 0;
    arcs.room = room;
    arcs.spare = NONE;
    __syncwarp();
    Whole y[COLUMNS], key[COLUMNS];
#pragma unroll
    for (int k = 0; k < COLUMNS; k++) {
        int j = lane + 32 * k;
        y[k] = CLOSED;
        if (j < m)
            for (int a = 0; a < n; a++) {
                Whole one = COST(a, j) - x[a];
                y[k] = one < y[k] ? one : y[k];
            }
    }
    bool fits = true;
    for (int i = 0; i < n; i++) {
        unsigned int tight[COLUMNS];
#pragma unroll
        for (int k = 0; k < COLUMNS; k++) {
            int j = lane + 32 * k;
            tight[k] = __ballot_sync(ALL, j < m && COST(i, j) - x[i] == y[k]);
        }
        if (lane == 0) {
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                while (tight[k] && supply[i] > 0) {
                    int j = 32 * k + __ffs(tight[k]) - 1;
                    tight[k] &= tight[k] - 1;
                    Whole amount = supply[i] < demand[j] ? supply[i] : demand[j];
                    if (amount == 0) continue;
                    fits &= send(arcs, i, j, amount);
                    supply[i] -= amount;
                    demand[j] -= amount;
                }
        }
    }
    __syncwarp();
#pragma unroll
    for (int k = 0; k < COLUMNS; k++) y[k] -= lane + 32 * k;  // the column's number in the low bits of what is left

    // 3. Shortest paths from every supply that is left.
    Whole count = 0;
    for (int source = 0; source < n; source++) {
        while (supply[source] > 0) {
            for (int i = lane; i < n; i += 32) reached[i] = i == source ? 0 : INFINITE;
            Whole base = ((Whole)source << bits) - x[source];
            Whole least = INFINITE;
#pragma unroll
            for (int k = 0; k < COLUMNS; k++) {
                int j = lane + 32 * k;
                key[k] = INFINITE;
                if (j < m) {
                    Whole one = COST(source, j) + base - y[k];
                    key[k] = one < 2 * CLOSED ? one : 2 * CLOSED;
                    least = key[k] < least ? key[k] : least;
                }
            }
            __syncwarp();
            least = least_of(least);
            Whole distance;
            while (true) {
                distance = (least >> shift) << shift;
                const int column = (int)(least & mask);
                if (demand[column] > 0) {
#pragma unroll
                    for (int k = 0; k < COLUMNS; k++) {
                        int j = lane + 32 * k;
                        if (j < m) from[j] = (unsigned short)((key[k] >> bits) & mask);
                    }
                    __syncwarp();
                    if (lane == 0) {  // push along the path what it allows
                        Whole amount = supply[source] < demand[column] ? supply[source] : demand[column];
                        int j = column, i = from[j];
                        while (i != source) {
                            j = via[i];
                            Whole back = sent_along(arcs, i, j);
                            amount = back < amount ? back : amount;
                            i = from[j];
                        }
                        bool broken = false;
                        j = column;
                        i = from[j];
                        while (i != source) {
                            fits &= send(arcs, i, j, amount);
                            j = via[i];
                            broken |= take_back(arcs, i, j, amount);
                            i = from[j];
                        }
                        fits &= send(arcs, source, j, amount);
                        supply[source] -= amount;
                        demand[column] -= amount;
                        told[0] = (broken ? 1 : 0) | (fits ? 0 : 2);
                    }
                    __syncwarp();
                    count++;
                    const int news = (int)told[0];
                    if (news & 2) {  // the arcs do not fit
                        if (lane == 0) pushes[b] = -1;
                        return;
                    }
                    if (news & 1 || supply[source] == 0) break;
                }
#pragma unroll
                for (int k = 0; k < COLUMNS; k++)
                    if (column == lane + 32 * k) {
                        key[k] += CLOSED;
                        y[k] -= 2 * CLOSED;  // no row that joins later may shorten its key
                    }
                for (int e = arcs.head[column]; e != NONE; e = arcs.next[e]) {
                    const int i = arcs.row[e];
                    if (reached[i] != INFINITE) continue;
                    const Whole onward = distance - x[i] + ((Whole)i << bits);
#pragma unroll
                    for (int k = 0; k < COLUMNS; k++) {
                        int j = lane + 32 * k;
                        if (j < m) {
                            Whole one = COST(i, j) + onward - y[k];
                            key[k] = one < key[k] ? one : key[k];
                        }
                    }
                    __syncwarp();  // all have seen that it was not reached
                    if (lane == 0) {
                        reached[i] = distance;
                        via[i] = (unsigned short)column;
                    }
                }
                least = INFINITE;
#pragma unroll
                for (int k = 0; k < COLUMNS; k++) least = key[k] < least ? key[k] : least;
                least = least_of(least);
                __syncwarp();
            }
            __syncwarp();
            for (int i = lane; i < n; i += 32) {
                Whole gain = distance - reached[i];
                if (gain > 0) x[i] += gain;
            }
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                if (lane + 32 * k < m && key[k] >= CLOSED)
                    y[k] += 2 * CLOSED - (distance - (((key[k] - CLOSED) >> shift) << shift));
            __syncwarp();
        }
    }
    if (__ballot_sync(ALL, !fits)) {
        if (lane == 0) pushes[b] = -1;
        return;
    }

    // 4. The plan, its cost summed column by column and by rows within, and the error of its marginals.
    double off = 0.0;
    Whole* given = reached;  // (n,) what each row sends
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
                for (int e = arcs.head[c]; e != NONE; e = arcs.next[e])
                    if ((int)arcs.row[e] > last && (int)arcs.row[e] < next) {
                        next = arcs.row[e];
                        found = e;
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
