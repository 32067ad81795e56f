// Runs a CUDA kernel of one-warp blocks on the processor, so that tests need no GPU: each lane is a coroutine that
// rests at every warp-wide call until all 32 have come there. LANE_ORDER -1 lets the last lane go first: what
// differs between the two orders is a race. Compile with -ffp-contract=off, as the kernel is.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__
#define __align__(bytes)
#define __CUDA_ARCH__ 900

static struct { int x; } threadIdx, blockIdx;
alignas(16) unsigned char memory[1 << 20];

static const int STACK = 1 << 16;
static ucontext_t lanes[32], scheduler;
static bool done[32];
static unsigned char stacks[32][STACK];
static uint64_t slots[2][32];
static int turn[32];

static void rest() {
    int lane = threadIdx.x;
    swapcontext(&lanes[lane], &scheduler);
}

// Every lane's value, as an array that stays until the next call but one.
static const uint64_t* exchange(uint64_t value) {
    uint64_t* slot = slots[turn[threadIdx.x]++ & 1];
    slot[threadIdx.x] = value;
    rest();
    return slot;
}

static void __syncwarp() { rest(); }

static unsigned __ballot_sync(unsigned, bool value) {
    const uint64_t* all = exchange(value);
    unsigned bits = 0;
    for (int lane = 0; lane < 32; lane++) bits |= (unsigned)all[lane] << lane;
    return bits;
}

static unsigned __reduce_min_sync(unsigned, unsigned value) {
    const uint64_t* all = exchange(value);
    for (int lane = 0; lane < 32; lane++) value = all[lane] < value ? (unsigned)all[lane] : value;
    return value;
}

template <class T> static T __shfl_sync(unsigned, T value, int lane) {
    static_assert(sizeof(T) == 8, "");
    uint64_t bits;
    __builtin_memcpy(&bits, &value, 8);
    bits = exchange(bits)[lane];
    __builtin_memcpy(&value, &bits, 8);
    return value;
}

template <class T> static T __shfl_xor_sync(unsigned all, T value, int step) {
    return __shfl_sync(all, value, threadIdx.x ^ step);
}

static int __popc(unsigned bits) { return __builtin_popcount(bits); }
static int __ffs(unsigned bits) { return __builtin_ffs((int)bits); }
static void atomicAdd(unsigned long long* place, unsigned long long value) { *place += value; }

#include KERNEL

static struct {
    const REAL* cost;
    const double *u, *v;
    REAL* flow;
    double *total, *residual;
    long long* pushes;
    int p, q, room;
} given;

static void lane() {
    int lane = threadIdx.x;
    transport(given.cost, given.u, given.v, given.flow, given.total, given.residual, given.pushes, given.p, given.q,
              given.room);
    done[lane] = true;
    swapcontext(&lanes[lane], &scheduler);
}

// All blocks, one after the other. Returns whether the lanes always came to the same calls.
extern "C" int run(int blocks, const REAL* cost, const double* u, const double* v, REAL* flow, double* total,
                   double* residual, long long* pushes, int p, int q, int room) {
    given = {cost, u, v, flow, total, residual, pushes, p, q, room};
    for (int block = 0; block < blocks; block++) {
        for (int at = 0; at < 32; at++) {
            getcontext(&lanes[at]);
            lanes[at].uc_stack.ss_sp = stacks[at];
            lanes[at].uc_stack.ss_size = STACK;
            lanes[at].uc_link = 0;
            makecontext(&lanes[at], lane, 0);
            done[at] = false;
            turn[at] = 0;
        }
        for (size_t at = 0; at < sizeof memory; at++) memory[at] = 0xa5;  // nothing is zero unless it was set
        for (int ended = 0; ended < 32;) {
            ended = 0;
            for (int at = 0; at < 32; at++) {
                threadIdx.x = LANE_ORDER < 0 ? 31 - at : at;
                blockIdx.x = block;
                swapcontext(&scheduler, &lanes[threadIdx.x]);
                ended += done[threadIdx.x];
            }
            for (int at = 1; at < 32; at++)
                if (turn[at] != turn[0]) return 0;
            if (ended && ended < 32) return 0;
        }
    }
    return 1;
}
