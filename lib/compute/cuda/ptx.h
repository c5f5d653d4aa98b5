/* SPDX-License-Identifier: MIT */
/* ptx.h -- instructions that CUDA C++ has no words for; tests/emulator has the same functions for the host.
 *
 * A warp's lane l has g = l / 4 and t = l % 4.  Two 16-bit numbers share a register, the first in its lower half.
 *
 *   ptx_mma        c += a b: c [16,8] f32, a [16,16] and b [16,8] of 16 bits
 *                    c[0] c[1]   row g, columns 2t 2t+1         c[2] c[3]   row g+8
 *                    a[0] row g, columns 2t 2t+1   a[1] row g+8   a[2] row g, columns 2t+8 2t+9   a[3] row g+8, these
 *                    b[0] column g, rows 2t 2t+1   b[1] column g, rows 2t+8 2t+9
 *   ptx_load       four 8x8 matrices of 16 bits from shared memory: lane 8i+j points to row j of matrix i, 16 bytes; r[i]
 *                  gets row g, columns 2t 2t+1 of matrix i
 *   ptx_load_turned  the same of the transposed matrices: r[i] gets column g, rows 2t 2t+1
 *   ptx_copy       16 aligned bytes from global to shared memory, or zeros, behind the thread's back
 *   ptx_copy_wait  all that this thread asked for has arrived; for what others asked for, a barrier must follow
 *   ptx_pack       two f32 rounded to nearest into one register
 *   ptx_exp2       2^x to 2 units in the last place; 2^-inf = 0
 */
#ifndef COMPUTE_CUDA_PTX_H
#define COMPUTE_CUDA_PTX_H

#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <class T> __device__ static __forceinline__ void ptx_mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t *b);

template <>
__device__ __forceinline__ void ptx_mma<__nv_bfloat16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <> __device__ __forceinline__ void ptx_mma<__half>(float (&c)[4], const uint32_t (&a)[4], const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ static __forceinline__ void ptx_load(uint32_t (&r)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

__device__ static __forceinline__ void ptx_load_turned(uint32_t (&r)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

__device__ static __forceinline__ void ptx_copy(void *shared, const void *global, bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(__cvta_generic_to_global(global)),
                   "r"(there ? 16 : 0)
                 : "memory");
}

__device__ static __forceinline__ void ptx_copy_wait(void)
{
    asm volatile("cp.async.wait_all;" : : : "memory");
}

template <class T> __device__ static __forceinline__ uint32_t ptx_pack(float first, float second);

template <> __device__ __forceinline__ uint32_t ptx_pack<__nv_bfloat16>(float first, float second)
{
    uint32_t r;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
    return r;
}

template <> __device__ __forceinline__ uint32_t ptx_pack<__half>(float first, float second)
{
    uint32_t r;

    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
    return r;
}

__device__ static __forceinline__ float ptx_exp2(float x)
{
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

#endif
