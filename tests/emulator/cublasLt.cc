/* SPDX-License-Identifier: MIT */
/* cublasLt.cc -- products as loops, sums in f64; what the library would refuse is refused, and sums in less than
 * f32: other types to compute in, parts that are added in the type of the result. */
#include "cublasLt.h"

#include <vector>

static float get(const void *p, cudaDataType type, int64_t at)
{
    switch (type) {
    case CUDA_R_16BF: return __bfloat162float(((const __nv_bfloat16 *)p)[at]);
    case CUDA_R_16F: return __half2float(((const __half *)p)[at]);
    default: return ((const float *)p)[at];
    }
}

static void put(void *p, cudaDataType type, int64_t at, float x)
{
    switch (type) {
    case CUDA_R_16BF: ((__nv_bfloat16 *)p)[at] = __float2bfloat16_rn(x); break;
    case CUDA_R_16F: ((__half *)p)[at] = __float2half_rn(x); break;
    default: ((float *)p)[at] = x;
    }
}

static size_t size_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *h) { *h = (cublasLtHandle_t)1; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
size_t cublasLtGetVersion(void) { return 130000; }
const char *cublasLtGetStatusString(cublasStatus_t) { return "not supported"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t compute, cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *d = new emulator_desc{CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, NULL, CUDA_R_32F, false};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) { delete d; return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t what, const void *value,
                                              size_t size)
{
    void *to = what == CUBLASLT_MATMUL_DESC_TRANSA         ? (void *)&d->ta
               : what == CUBLASLT_MATMUL_DESC_TRANSB       ? (void *)&d->tb
               : what == CUBLASLT_MATMUL_DESC_EPILOGUE     ? (void *)&d->epilogue
               : what == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? (void *)&d->bias
                                                           : (void *)&d->bias_type;
    size_t room = what == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : 4;

    if (size != room)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(to, value, size);
    d->bias_typed |= what == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld)
{
    *l = new emulator_layout{type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) { delete l; return CUBLAS_STATUS_SUCCESS; }

struct emulator_preference {
    uint32_t schemes;
};

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    *p = new emulator_preference{CUBLASLT_REDUCTION_SCHEME_MASK};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) { delete p; return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t what,
                                                    const void *value, size_t)
{
    if (what == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
        memcpy(&p->schemes, value, sizeof p->schemes);
    return CUBLAS_STATUS_SUCCESS;
}

/* Shapes that fit, and the combinations of types of the library's table. */
static bool fits(const emulator_desc *d, const emulator_layout *a, const emulator_layout *b, const emulator_layout *c,
                 const emulator_layout *to)
{
    uint64_t m = d->ta == CUBLAS_OP_N ? a->rows : a->cols, k = d->ta == CUBLAS_OP_N ? a->cols : a->rows;
    uint64_t kb = d->tb == CUBLAS_OP_N ? b->rows : b->cols, n = d->tb == CUBLAS_OP_N ? b->cols : b->rows;
    bool bias = d->epilogue == CUBLASLT_EPILOGUE_BIAS;

    if (m != to->rows || n != to->cols || k != kb || c->rows != m || c->cols != n || m == 0 || n == 0 || k == 0)
        return false;
    if (a->ld < (int64_t)a->rows || b->ld < (int64_t)b->rows || c->ld < (int64_t)m || to->ld < (int64_t)m)
        return false;
    if (a->type != b->type || c->type != to->type || (a->type == CUDA_R_32F && to->type != CUDA_R_32F) ||
        (to->type != CUDA_R_32F && to->type != a->type))
        return false;
    return !bias || (d->bias && (d->bias_typed ? d->bias_type : to->type) == to->type);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t to,
                                              cublasLtMatmulPreference_t p, int asked,
                                              cublasLtMatmulHeuristicResult_t *results, int *found)
{
    *found = 0;
    if (!fits(d, a, b, c, to) || p->schemes != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < asked && i < 2; i++, ++*found)
        results[i] = {{{(uint64_t)i}}, 0, CUBLAS_STATUS_SUCCESS, 1.0f, {0}};
    return CUBLAS_STATUS_SUCCESS;
}

/* op(X) of [rows,cols] as f64, row after row. */
static std::vector<float> rows_of(const void *p, const emulator_layout &l, cublasOperation_t op)
{
    uint64_t rows = op == CUBLAS_OP_N ? l.rows : l.cols, cols = op == CUBLAS_OP_N ? l.cols : l.rows;
    std::vector<float> x(rows * cols);

    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < cols; j++)
            x[i * cols + j] = get(p, l.type, op == CUBLAS_OP_N ? (int64_t)(i + j * (uint64_t)l.ld) : (int64_t)(j + i * (uint64_t)l.ld));
    return x;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void *alpha_, const void *a,
                              cublasLtMatrixLayout_t la_, const void *b, cublasLtMatrixLayout_t lb_, const void *beta_,
                              const void *c, cublasLtMatrixLayout_t lc_, void *to, cublasLtMatrixLayout_t ld_,
                              const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t stream)
{
    emulator_desc d = *desc;
    emulator_layout la = *la_, lb = *lb_, lc = *lc_, ld = *ld_;
    float alpha = *(const float *)alpha_, beta = *(const float *)beta_;

    if (!fits(&d, &la, &lb, &lc, &ld) || (((uintptr_t)a | (uintptr_t)b | (uintptr_t)to) & (size_of(la.type) - 1)))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    emulator_do(stream, [=] {
        uint64_t k = d.ta == CUBLAS_OP_N ? la.cols : la.rows;
        std::vector<float> x = rows_of(a, la, d.ta);
        std::vector<float> y = rows_of(b, lb, d.tb == CUBLAS_OP_N ? CUBLAS_OP_T : CUBLAS_OP_N); /* columns of op(B) */

        for (uint64_t n = 0; n < ld.cols; n++)
            for (uint64_t m = 0; m < ld.rows; m++) {
                float sum = 0;
                double whole = 0;

                for (uint64_t i = 0; i < k; i++) {
                    sum += x[m * k + i] * y[n * k + i];
                    if (i % 64 == 63 || i + 1 == k) {
                        whole += sum;
                        sum = 0;
                    }
                }
                whole *= alpha;
                if (beta != 0)
                    whole += beta * (double)get(c, lc.type, (int64_t)(m + n * (uint64_t)lc.ld));
                if (d.epilogue == CUBLASLT_EPILOGUE_BIAS)
                    whole += get(d.bias, d.bias_typed ? d.bias_type : ld.type, (int64_t)m);
                put(to, ld.type, (int64_t)(m + n * (uint64_t)ld.ld), (float)whole);
            }
    });
    return CUBLAS_STATUS_SUCCESS;
}
