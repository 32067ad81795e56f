// A CUDA device for tests, on the processor: the driver's launch, for the kernel of one-warp blocks in KERNEL. Each lane is a coroutine that
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
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif

static struct { int x; } threadIdx, blockIdx;
static const unsigned MOST_SHARED = 227 << 10;
alignas(16) unsigned char memory[MOST_SHARED + 1024];

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
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    bits = exchange(bits)[lane];
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T> static T __shfl_xor_sync(unsigned all, T value, int step) {
    return __shfl_sync(all, value, threadIdx.x ^ step);
}

static unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static int __popc(unsigned bits) { return __builtin_popcount(bits); }
static int __ffs(unsigned bits) { return __builtin_ffs((int)bits); }
static void atomicAdd(unsigned long long* place, unsigned long long value) { *place += value; }

#include KERNEL

static void** given;  // as a launch hands them over: the address of each argument

template <class T> static T argument(int at) { return *(T*)given[at]; }

static void lane() {
    int lane = threadIdx.x;
    transport(argument<REAL*>(0), argument<double*>(1), argument<double*>(2), argument<REAL*>(3), argument<double*>(4),
              argument<double*>(5), argument<Whole*>(6), argument<int>(7), argument<int>(8), argument<int>(9));
    done[lane] = true;
    swapcontext(&lanes[lane], &scheduler);
}

// All blocks, one after the other. Returns an error where the lanes came to different calls, or used more memory.
static int run(unsigned blocks, unsigned shared) {
    if (shared > MOST_SHARED) return 1;
    for (unsigned block = 0; block < blocks; block++) {
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
                if (turn[at] != turn[0]) return 2;
            if (ended && ended < 32) return 3;
        }
        for (size_t at = shared; at < sizeof memory; at++)
            if (memory[at] != 0xa5) return 4;
    }
    return 0;
}

// The driver's functions that a launch needs, with the driver's types.
extern "C" {
int cuCtxGetCurrent(void** context) { return *context = memory, 0; }
int cuModuleLoadData(void** module, const void*) { return *module = memory, 0; }
int cuModuleGetFunction(void** function, void* module, const char*) { return *function = module, module != memory; }
int cuFuncSetAttribute(void* function, int, int) { return function != memory; }
int cuGetErrorString(int, const char** text) { return *text = "the lanes disagree, or memory is misused", 0; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                   unsigned shared, void* stream, void** arguments, void** extra) {
    if (function != memory || y != 1 || z != 1 || threads != 32 || stream || extra) return 5;
    given = arguments;
    return run(x, shared);
}
}
