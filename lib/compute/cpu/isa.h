/* SPDX-License-Identifier: MIT */
/* isa.h -- one source, several instruction sets.
 *
 * Every file of cpu/ except dnnl.c is compiled once as plain C and, on x86-64, again for the levels x86-64-v3 (AVX2, FMA) and
 * x86-64-v4 (AVX-512), each time with CPU_ISA set (Makefile).  The names below then carry the level, so each level is
 * a whole table of its own: backend_cpu, backend_cpu_v3, backend_cpu_v4.  device_open (compute/device.c) is the one
 * place that chooses: the highest level that the processor has, or the one asked for by name ("cpu:plain").
 *
 * A new function that cpu/ files share gets a line here; everything else in them is static.
 * Levels may round differently (fused multiply-add); one level gives the same bytes always.
 */
#ifndef COMPUTE_CPU_ISA_H
#define COMPUTE_CPU_ISA_H

#ifdef CPU_ISA
#define CPU_JOIN2(name, isa) name##_##isa
#define CPU_JOIN(name, isa) CPU_JOIN2(name, isa)
#define CPU_NAME(name) CPU_JOIN(name, CPU_ISA)

#define backend_cpu CPU_NAME(backend_cpu)
#define cpu_matmul CPU_NAME(cpu_matmul)
#define cpu_gemm CPU_NAME(cpu_gemm)
#define cpu_gemm_bf16 CPU_NAME(cpu_gemm_bf16)
#define cpu_bf16_best CPU_NAME(cpu_bf16_best)
#define cpu_thin_bf16_size CPU_NAME(cpu_thin_bf16_size)
#define cpu_thin_bf16_pack CPU_NAME(cpu_thin_bf16_pack)
#define cpu_thin_bf16 CPU_NAME(cpu_thin_bf16)
#define cpu_norm CPU_NAME(cpu_norm)
#define cpu_norm_grad CPU_NAME(cpu_norm_grad)
#define cpu_relu CPU_NAME(cpu_relu)
#define cpu_add CPU_NAME(cpu_add)
#define cpu_copy CPU_NAME(cpu_copy)
#define cpu_filter CPU_NAME(cpu_filter)
#define cpu_attn CPU_NAME(cpu_attn)
#define cpu_attn_grad CPU_NAME(cpu_attn_grad)
#define cpu_embed CPU_NAME(cpu_embed)
#define cpu_embed_grad CPU_NAME(cpu_embed_grad)
#define cpu_cross_entropy CPU_NAME(cpu_cross_entropy)
#define cpu_laplace CPU_NAME(cpu_laplace)
#define cpu_adam CPU_NAME(cpu_adam)
#define cpu_sum_squares CPU_NAME(cpu_sum_squares)
#define cpu_conv CPU_NAME(cpu_conv)
#define cpu_conv_dx CPU_NAME(cpu_conv_dx)
#define cpu_conv_dw CPU_NAME(cpu_conv_dw)
#define cpu_max_pool CPU_NAME(cpu_max_pool)
#define cpu_max_pool_grad CPU_NAME(cpu_max_pool_grad)
#define cpu_upsample CPU_NAME(cpu_upsample)
#define cpu_upsample_grad CPU_NAME(cpu_upsample_grad)
#define cpu_gumbel CPU_NAME(cpu_gumbel)
#define cpu_gumbel_grad CPU_NAME(cpu_gumbel_grad)
#define cpu_gumbel_max CPU_NAME(cpu_gumbel_max)
#define cpu_thin_size CPU_NAME(cpu_thin_size)
#define cpu_thin_pack CPU_NAME(cpu_thin_pack)
#define cpu_thin CPU_NAME(cpu_thin)
#define cpu_cache_text CPU_NAME(cpu_cache_text)
#define cpu_attn_cache CPU_NAME(cpu_attn_cache)
#define cpu_choose CPU_NAME(cpu_choose)
#define cpu_next CPU_NAME(cpu_next)
#define cpu_direct_fits CPU_NAME(cpu_direct_fits)
#define cpu_winograd CPU_NAME(cpu_winograd)
#define cpu_winograd_dw CPU_NAME(cpu_winograd_dw)
#define cpu_pointwise CPU_NAME(cpu_pointwise)
#define cpu_pointwise_dw CPU_NAME(cpu_pointwise_dw)
#define cpu_add_rows CPU_NAME(cpu_add_rows)
#define cpu_take CPU_NAME(cpu_take)
#define cpu_lacking CPU_NAME(cpu_lacking)
#define cpu_to_f32 CPU_NAME(cpu_to_f32)
#define cpu_from_f32 CPU_NAME(cpu_from_f32)
#define cpu_widen CPU_NAME(cpu_widen)
#define cpu_narrow CPU_NAME(cpu_narrow)
#endif

#endif
