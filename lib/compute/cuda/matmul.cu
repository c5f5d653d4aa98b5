/* SPDX-License-Identifier: MIT */
/* matmul.cu -- products by cuBLASLt, bias and sum in its epilogue; a GELU and its slope are passes behind it, since the
 * library's own GELU is the tanh form.
 *
 * cuBLASLt counts column by column, so our y = A B is its y' = B' A', with b as its first matrix.  A shape's description and
 * algorithm are made once and kept.  f32 stays f32: no TF32. */
#include "compute/cuda/product.h"

#include <stdlib.h>
#include <string.h>

enum { THREADS = 256, ALIGNED_MOST = 256 };

static const size_t workspace_size = CUDA_WORKING_PRODUCTS;

/* What a description depends on. */
struct key {
    int64_t m, n, k;
    int32_t ta, tb, in, out, bias, aligned;
};

struct kept {
    struct key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, y;
    cublasLtMatmulAlgo_t algorithm;
    struct kept *next;
};

struct cuda_products {
    cublasLtHandle_t handle;
    void *workspace; /* owned, on the device */
    struct kept *first;
};

static int check_blas(cublasStatus_t s, const char *what)
{
    if (s == CUBLAS_STATUS_SUCCESS)
        return 0;
    return cuda_err(ERR_DEVICE, "cuda: %s: cuBLASLt: %s", what, cublasLtGetStatusString(s));
}

int cuda_products_open(struct cuda *c)
{
    int rc;

    if (!(c->products = (struct cuda_products *)calloc(1, sizeof *c->products)))
        return cuda_err(ERR_NOMEM, "no memory for products");
    if ((rc = check_blas(cublasLtCreate(&c->products->handle), "opening")) != 0)
        return rc;
    return cuda_check(cudaMalloc(&c->products->workspace, workspace_size), "cuBLASLt's working memory");
}

static void free_kept(struct kept *k)
{
    if (k->product)
        cublasLtMatmulDescDestroy(k->product);
    if (k->a)
        cublasLtMatrixLayoutDestroy(k->a);
    if (k->b)
        cublasLtMatrixLayoutDestroy(k->b);
    if (k->y)
        cublasLtMatrixLayoutDestroy(k->y);
    free(k);
}

void cuda_products_close(struct cuda *c)
{
    struct cuda_products *p = c->products;

    if (!p)
        return;
    for (struct kept *k = p->first, *next; k; k = next) {
        next = k->next;
        free_kept(k);
    }
    if (p->workspace)
        cudaFree(p->workspace);
    if (p->handle)
        cublasLtDestroy(p->handle);
    free(p);
    c->products = NULL;
}

static cudaDataType_t blas_type(enum dtype type)
{
    return type == DTYPE_BF16 ? CUDA_R_16BF : type == DTYPE_F16 ? CUDA_R_16F : CUDA_R_32F;
}

/* The largest power of two, at most ALIGNED_MOST, that all addresses are multiples of. */
static int32_t alignment(const struct cuda_product *p)
{
    uintptr_t all = (uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->y | (uintptr_t)p->plus | ALIGNED_MOST;

    return (int32_t)(all & -all);
}

/* ---- descriptions ---------------------------------------------------------------------------------------------------- */

static cublasStatus_t layout(cublasLtMatrixLayout_t *l, enum dtype type, int64_t rows, int64_t columns)
{
    return cublasLtMatrixLayoutCreate(l, blas_type(type), (uint64_t)columns, (uint64_t)rows, columns);
}

static cublasStatus_t describe(struct kept *k)
{
    const struct key *key = &k->key;
    cublasOperation_t a = key->tb ? CUBLAS_OP_T : CUBLAS_OP_N, b = key->ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t end = key->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType_t bias = blas_type((enum dtype)key->out);
    cublasStatus_t s;

    if ((s = cublasLtMatmulDescCreate(&k->product, CUBLAS_COMPUTE_32F, CUDA_R_32F)) != CUBLAS_STATUS_SUCCESS ||
        (s = cublasLtMatmulDescSetAttribute(k->product, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a)) != CUBLAS_STATUS_SUCCESS ||
        (s = cublasLtMatmulDescSetAttribute(k->product, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b)) != CUBLAS_STATUS_SUCCESS ||
        (s = cublasLtMatmulDescSetAttribute(k->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &end, sizeof end)) !=
            CUBLAS_STATUS_SUCCESS ||
        (key->bias && (s = cublasLtMatmulDescSetAttribute(k->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias,
                                                          sizeof bias)) != CUBLAS_STATUS_SUCCESS))
        return s;
    if ((s = layout(&k->a, (enum dtype)key->in, key->tb ? key->n : key->k, key->tb ? key->k : key->n)) !=
            CUBLAS_STATUS_SUCCESS ||
        (s = layout(&k->b, (enum dtype)key->in, key->ta ? key->k : key->m, key->ta ? key->m : key->k)) !=
            CUBLAS_STATUS_SUCCESS)
        return s;
    return layout(&k->y, (enum dtype)key->out, key->m, key->n);
}

static cublasStatus_t set_bias(struct kept *k, const void *bias)
{
    if (!bias)
        return CUBLAS_STATUS_SUCCESS;
    return cublasLtMatmulDescSetAttribute(k->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* The algorithm that the library thinks fastest. */
static cublasStatus_t choose(struct cuda_products *all, struct kept *k)
{
    static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    cublasLtMatmulPreference_t wish = NULL;
    cublasLtMatmulHeuristicResult_t best;
    uint32_t bytes = (uint32_t)k->key.aligned, schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* parts are added in f32 */
    int found = 0;
    cublasStatus_t s = cublasLtMatmulPreferenceCreate(&wish);

    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_size,
                                                 sizeof workspace_size);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes);
    for (int i = 0; s == CUBLAS_STATUS_SUCCESS && i < 4; i++)
        s = cublasLtMatmulPreferenceSetAttribute(wish, aligned[i], &bytes, sizeof bytes);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulAlgoGetHeuristic(all->handle, k->product, k->a, k->b, k->y, k->y, wish, 1, &best, &found);
    if (wish)
        cublasLtMatmulPreferenceDestroy(wish);
    if (s == CUBLAS_STATUS_SUCCESS && found < 1)
        s = CUBLAS_STATUS_NOT_SUPPORTED;
    if (s == CUBLAS_STATUS_SUCCESS)
        k->algorithm = best.algo;
    return s;
}

static int find(struct kept **out, struct cuda_products *all, const struct cuda_product *p)
{
    struct key key;
    struct kept *k;
    cublasStatus_t s;

    memset(&key, 0, sizeof key); /* it is compared as bytes */
    key = {p->m, p->n, p->k, p->ta, p->tb, p->in, p->out, p->bias != NULL, alignment(p)};
    for (k = all->first; k; k = k->next)
        if (memcmp(&k->key, &key, sizeof key) == 0) {
            *out = k;
            return 0;
        }
    if (!(k = (struct kept *)calloc(1, sizeof *k)))
        return cuda_err(ERR_NOMEM, "no memory for a product");
    k->key = key;
    if ((s = describe(k)) != CUBLAS_STATUS_SUCCESS || (s = set_bias(k, p->bias)) != CUBLAS_STATUS_SUCCESS ||
        (s = choose(all, k)) != CUBLAS_STATUS_SUCCESS) {
        free_kept(k);
        return cuda_err(ERR_DEVICE, "cuda: a product [%lld,%lld] over %lld: cuBLASLt: %s", (long long)p->m, (long long)p->n,
                        (long long)p->k, cublasLtGetStatusString(s));
    }
    k->next = all->first;
    *out = all->first = k;
    return 0;
}

int cuda_product(struct cuda *c, const struct cuda_product *p)
{
    float alpha = p->alpha, beta = p->plus ? 1.0f : 0.0f;
    struct kept *k = NULL;
    int rc;

    if (p->m == 0 || p->n == 0)
        return 0;
    if ((rc = find(&k, c->products, p)) != 0 || (rc = check_blas(set_bias(k, p->bias), "a product's bias")) != 0)
        return rc;
    return check_blas(cublasLtMatmul(c->products->handle, k->product, &alpha, p->b, k->a, p->a, k->b, &beta,
                                     p->plus ? p->plus : p->y, k->y, p->y, k->y, &k->algorithm, c->products->workspace,
                                     workspace_size, c->stream), "a product");
}

/* ---- what stands behind a product ------------------------------------------------------------------------------------ */

/* SLOPE: y *= slope of the GELU at x; else x = gelu(y). */
template <bool SLOPE, class T>
static __global__ void gelu_end(T *y, T *x, int64_t n)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += gridDim.x * (int64_t)THREADS) {
        if (SLOPE)
            y[i] = from_f32<T>(to_f32(y[i]) * cuda_gelu_grad(to_f32(x[i])));
        else
            x[i] = from_f32<T>(cuda_gelu(to_f32(y[i])));
    }
}

template <bool SLOPE> static int run_gelu(struct cuda *c, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(y);

    return cuda_typed(y->type, [&]<class T>() {
        return cuda_launch(c, "gelu", gelu_end<SLOPE, T>, cuda_blocks(c, n, THREADS), THREADS, 0, (T *)y->data, (T *)x->data, n);
    });
}

/* ---- the operation --------------------------------------------------------------------------------------------------- */

/* Operands as the product takes them: themselves, or copies in the scratch. */
struct rounded {
    const void *a, *b, *bias;
    void *sums; /* room for cuda_add_rows */
};

static int round_all(struct rounded *r, struct cuda *c, const struct cuda_pieces *size, tensor_in y, tensor_in a, tensor_in b,
                     tensor_in bias)
{
    char *first = (char *)cuda_scratch(c, size->a + size->b + size->bias + size->sums), *second, *third;
    bool ends = bias && size->bias;
    int rc = 0;

    if (!first)
        return ERR_NOMEM;
    second = first + size->a;
    third = second + size->b;
    *r = {size->a ? first : a->data, size->b ? second : b->data, ends ? third : bias ? bias->data : NULL, third + size->bias};
    if (size->a && (rc = cuda_convert(c, first, size->factors, a->data, a->type, tensor_elements(a))) != 0)
        return rc;
    if (size->b && (rc = cuda_convert(c, second, size->factors, b->data, b->type, tensor_elements(b))) != 0)
        return rc;
    return ends ? cuda_convert(c, third, y->type, bias->data, DTYPE_F32, tensor_elements(bias)) : 0;
}

int cuda_matmul(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how)
{
    struct cuda *c = (struct cuda *)self;
    const void *plus = how.add ? y->data : how.plus ? how.plus->data : NULL;
    const struct cuda_pieces size = cuda_matmul_pieces(y, a, b, how, c->precision == PRECISION_BF16);
    int64_t m = y->shape[0], n = y->shape[1], k = how.ta ? a->shape[0] : a->shape[1];
    struct rounded r;
    int rc;

    if ((rc = round_all(&r, c, &size, y, a, b, bias)) != 0)
        return rc;
    if (how.row_sums && (rc = cuda_add_rows(c, CUDA_F32(how.row_sums), a->data, a->type, k, m, 1.0f, r.sums)) != 0)
        return rc;
    const struct cuda_product p = {m, n, k, how.ta, how.tb, size.factors, y->type, r.a, r.b, plus, y->data, r.bias, 1.0f};
    if ((rc = cuda_product(c, &p)) != 0)
        return rc;
    if (how.gelu_grad && (rc = run_gelu<true>(c, y, how.gelu_grad)) != 0)
        return rc;
    return how.gelu ? run_gelu<false>(c, y, how.gelu) : 0;
}
