#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PyTorch's side of gpu.py: one piece of work in a process of its own.

    python3 tests/bench/gpu_torch.py '{"work": "train", "variant": "eager", ...}'

It loads PyTorch, waits for a line, and prints one JSON object a line: {"ready": true} after everything is built, compiled
and warm; then for each line of stdin, a number of rounds, {"times": [seconds, ...]}; or {"error": "..."}.  Work: train and
sample (the prior), dvae, ops, limits.
Models are ours in plain PyTorch, weights f32 under bf16 autocast, in sampling bf16; blocks are compiled one by one, as a
model of many equal layers is.  Masks: `eager` and sampling take them as booleans, `flex64` and `flex128` are FlexAttention
with blocks of that size and column layers in transposed order, `sdpa` is cuDNN's dense causal attention, which does not
compute the same function, but is the least that dense attention costs.
"""
import functools
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

SPEC = json.loads(sys.argv[1])
DEVICE = torch.device(SPEC["device"])
CUDA = DEVICE.type == "cuda"
# FlexAttention's own tiles have to divide the mask's blocks.
SMALL_BLOCKS = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_M1": 32, "BLOCK_N1": 64, "BLOCK_M2": 64, "BLOCK_N2": 32}


def say(**what):
    print(json.dumps(what), flush=True)


def wait():
    if CUDA:
        torch.cuda.synchronize()


def compiled(f):
    return torch.compile(f, dynamic=False) if SPEC.get("compile", True) and CUDA else f


# ---- the prior -------------------------------------------------------------------------------------------------------


def kind_of(layer, layers):
    return "conv" if layer == layers - 1 else "column" if layer % 4 == 1 else "row"


def allowed(kind, text, side, transposed=False):
    """May query q read key k?  As lib/compute/attn.h; transposed: column layers in an order where a column lies together."""
    def row(b, h, q, k):
        return (q >= k) & ((k < text) | (q - k <= side))

    def column(b, h, q, k):
        same = (q - text) // side == (k - text) // side if transposed else (q - k) % side == 0
        return (q >= k) & ((k < text) | same)

    def conv(b, h, q, k):
        o = q - k
        c = o % side
        return (o >= 0) & ((k < text) | ((o // side <= 5) & ((c <= 5) | (side - c <= 5))))

    def dense(b, h, q, k):
        return q >= k

    return {"row": row, "column": column, "conv": conv, "dense": dense}[kind]


def boolean_mask(kind, text, side):
    at = torch.arange(text + side * side, device=DEVICE)
    return allowed(kind, text, side)(0, 0, at[:, None], at[None, :])


def transpose_image(x, text, side):
    """[B,T,d] with the picture's positions in the other order."""
    picture = x[:, text:].unflatten(1, (side, side)).transpose(1, 2).flatten(1, 2)
    return torch.cat([x[:, :text], picture], 1)


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, d, heads, kind):
        super().__init__()
        self.heads, self.kind = heads, kind
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def split(self, x):
        b, t, _ = x.shape
        return self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def merge(self, x, y):
        b, h, t, d = y.shape
        return x + self.out(y.transpose(1, 2).reshape(b, t, h * d))

    def mlp(self, x):
        return x + self.down(quick_gelu(self.up(self.norm2(x))))

    def forward(self, x, mask, variant, text, side):
        h = self.norm1(x)
        turned = variant.startswith("flex") and self.kind == "column"
        q, k, v = self.split(transpose_image(h, text, side) if turned else h)
        if variant.startswith("flex"):
            y = flex_attention(q, k, v, block_mask=mask, kernel_options=SMALL_BLOCKS if variant == "flex64" else None)
        elif variant == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if turned:
            b, heads, t, d = y.shape
            y = transpose_image(y.transpose(1, 2).reshape(b, t, heads * d), text, side)
            return self.mlp(x + self.out(y))
        return self.mlp(self.merge(x, y))

    def step(self, x, cache, at, mask):
        """One position; cache: keys and values [2,B,A,T,D] of all positions, of which the mask allows some."""
        q, k, v = self.split(self.norm1(x))
        cache[0].index_copy_(2, at, k)
        cache[1].index_copy_(2, at, v)
        y = F.scaled_dot_product_attention(q, cache[0], cache[1], attn_mask=mask)
        return self.mlp(self.merge(x, y))


class Prior(nn.Module):
    def __init__(self, s):
        super().__init__()
        d, slots = s["d"], s["text"] + s["side"] ** 2
        self.text_token, self.image_token = nn.Embedding(s["text_vocab"], d), nn.Embedding(s["image_vocab"], d)
        self.position = nn.Parameter(torch.randn(slots, d) * 0.02)
        self.blocks = nn.ModuleList([Block(d, s["heads"], kind_of(i, s["layers"])) for i in range(s["layers"])])
        self.norm = nn.LayerNorm(d)
        self.text_logits, self.image_logits = nn.Linear(d, s["text_vocab"]), nn.Linear(d, s["image_vocab"])

    def loss(self, x, text, image):
        x = self.norm(x)
        t, i = self.text_logits(x[:, :text.shape[1]]), self.image_logits(x[:, text.shape[1]:])
        return (F.cross_entropy(t.flatten(0, 1).float(), text.flatten()) / 8 +
                F.cross_entropy(i.flatten(0, 1).float(), image.flatten()) * 7 / 8)


def make_prior(s, dtype=torch.float32):
    with torch.device("meta"):
        model = Prior(s)
    model = model.to(dtype).to_empty(device=DEVICE)
    for p in model.parameters():
        nn.init.normal_(p, 0, 0.02) if p.dim() > 1 else nn.init.zeros_(p)
    for m in model.modules():
        if isinstance(m, nn.LayerNorm):
            nn.init.ones_(m.weight)
    return model


def masks_for(s):
    text, side, variant = s["text"], s["side"], s["variant"]
    kinds = {kind_of(i, s["layers"]) for i in range(s["layers"])}
    if variant == "sdpa":
        return {kind: None for kind in kinds}
    if not variant.startswith("flex"):
        return {kind: boolean_mask(kind, text, side) for kind in kinds}
    slots = text + side * side
    return {kind: create_block_mask(allowed(kind, text, side, True), None, None, slots, slots, device=str(DEVICE),
                                    BLOCK_SIZE=int(variant[4:])) for kind in kinds}


def only_cudnn_attention():
    if CUDA:
        torch.backends.cuda.enable_cudnn_sdp(True)
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_math_sdp(False)


def train_work(s):
    variant, text, side = s["variant"], s["text"], s["side"]
    model = make_prior(s)
    if variant == "sdpa":
        only_cudnn_attention()
    masks = masks_for(s)
    one = (lambda block: block) if variant == "eager" else compiled
    blocks, loss_of = [one(b) for b in model.blocks], one(model.loss)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045, fused=CUDA)
    words = torch.randint(s["text_vocab"], (s["batch"], text), device=DEVICE)
    codes = torch.randint(s["image_vocab"], (s["batch"], side * side), device=DEVICE)

    def work():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
            x = torch.cat([model.text_token(words), model.image_token(codes)], 1) + model.position
            for block, call in zip(model.blocks, blocks):
                x = call(x, masks[block.kind], variant, text, side)
            loss = loss_of(x, words, codes)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return work, 3


@torch.inference_mode()
def sample_work(s):
    """A round draws `steps` codes of each candidate, at positions in the middle of the picture; the cache is read whole."""
    model, n, slots = make_prior(s, torch.bfloat16).eval(), s["batch"], s["text"] + s["side"] ** 2
    caches = [torch.randn(2, n, s["heads"], slots, s["d"] // s["heads"], device=DEVICE, dtype=torch.bfloat16)
              for _ in model.blocks]
    masks = {b.kind: boolean_mask(b.kind, s["text"], s["side"]) for b in model.blocks}
    start = slots // 2
    at, code = torch.full((1,), start, device=DEVICE), torch.zeros(n, dtype=torch.long, device=DEVICE)

    def step():
        x = model.image_token(code)[:, None] + model.position[at]
        for block, cache in zip(model.blocks, caches):
            x = block.step(x, cache, at, masks[block.kind][at][None, None])
        share = F.softmax(model.image_logits(model.norm(x[:, 0])).float(), -1)
        code.copy_((share / torch.empty_like(share).exponential_()).argmax(-1))
        at.add_(1)

    call = step
    if s["variant"] == "graph":
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        call = graph.replay

    @torch.inference_mode()
    def work():
        at.fill_(start)
        for _ in range(s["steps"]):
            call()
    return work, 2


# ---- the dVAE --------------------------------------------------------------------------------------------------------


def conv(i, o, k):
    return nn.Conv2d(i, o, k, padding=k // 2)


class Residual(nn.Module):
    def __init__(self, i, o, blocks, kernels):
        super().__init__()
        width = [i, o // 4, o // 4, o // 4, o]
        self.gain = 1 / (4 * blocks) ** 2
        self.identity = conv(i, o, 1) if i != o else nn.Identity()
        self.path = nn.Sequential(*[m for n, k in enumerate(kernels)
                                    for m in (nn.ReLU(inplace=n > 0), conv(width[n], width[n + 1], k))])

    def forward(self, x):
        return self.identity(x) + self.gain * self.path(x)


def half(s, encoder):
    groups, width = (range(4), s["hid"]) if encoder else (range(3, -1, -1), 128)
    parts = [conv(3, s["hid"], 7) if encoder else conv(s["vocab"], 128, 1)]
    for g in groups:
        for _ in range(s["blocks"]):
            parts.append(Residual(width, s["hid"] << g, s["blocks"], (3, 3, 3, 1) if encoder else (1, 3, 3, 3)))
            width = s["hid"] << g
        if encoder and g < 3:
            parts.append(nn.MaxPool2d(2))
        elif not encoder and g > 0:
            parts.append(nn.Upsample(scale_factor=2, mode="nearest"))
    return nn.Sequential(*parts, nn.ReLU(), conv(width, s["vocab"] if encoder else 6, 1))


def dvae_loss(x, logits, decode):
    logits = logits.float()
    noise = -torch.log(torch.empty_like(logits).exponential_())
    out = decode(F.softmax(logits + noise, 1)).float()
    ln_b = out[:, 3:]
    q = F.log_softmax(logits, 1)
    return ((torch.logit(x) - out[:, :3]).abs() * torch.exp(-ln_b) + ln_b).mean() + 0.034 * (q.exp() * q).sum(1).mean()


def dvae_work(s):
    torch.backends.cudnn.benchmark = True
    one = compiled if s["variant"] == "compile" else (lambda f: f)
    mode, layout = s["mode"], {"memory_format": torch.channels_last}
    halves = [half(s, e).to(DEVICE).to(**layout) for e in (True, False) if mode == "train" or e == (mode == "encode")]
    x = (torch.rand(s["batch"], 3, s["size"], s["size"], device=DEVICE) * 0.8 + 0.1).contiguous(**layout)
    codes = torch.randint(s["vocab"], (s["batch"], s["size"] // 8, s["size"] // 8), device=DEVICE)
    autocast = functools.partial(torch.autocast, DEVICE.type, dtype=torch.bfloat16)
    parameters = [p for h in halves for p in h.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=CUDA)
    loss_of = one(lambda picture: dvae_loss(picture, halves[0](picture), halves[-1]))
    encode_it = one(lambda picture: halves[0](picture).argmax(1))
    decode_it = one(lambda c: torch.sigmoid(
        halves[0](F.one_hot(c, s["vocab"]).permute(0, 3, 1, 2).to(torch.bfloat16))[:, :3].float()))

    def train():
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = loss_of(x)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    @torch.inference_mode()
    def use():
        with autocast():
            return encode_it(x) if mode == "encode" else decode_it(codes)
    return (train if mode == "train" else use), 3


# ---- single operations -----------------------------------------------------------------------------------------------


def time_us(f):
    """Median of 15 rounds of calls that take about 2 ms, after a warm-up."""
    for _ in range(3):
        f()
    wait()
    start = time.perf_counter()
    f()
    wait()
    calls = 1 if not CUDA else max(1, min(100, int(2e-3 / (time.perf_counter() - start)) + 1))
    times = []
    for _ in range(15 if CUDA else 2):
        start = time.perf_counter()
        for _ in range(calls):
            f()
        wait()
        times.append((time.perf_counter() - start) / calls)
    return sorted(times)[len(times) // 2] * 1e6


def attention_ops(kind, s):
    n, heads, text, side = (1, 2, 16, 4) if s["tiny"] else (8, 16, 256, 32)
    slots = text + side * side
    q, k, v = (torch.randn(n, heads, slots, 64, device=DEVICE, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    only_cudnn_attention()

    if kind == "dense":
        def call():
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:
        mask = create_block_mask(allowed(kind, text, side, True), None, None, slots, slots, device=str(DEVICE),
                                 BLOCK_SIZE=128)
        flex = compiled(flex_attention)

        def call():
            return flex(q, k, v, block_mask=mask)
    yield "attn " + kind, torch.no_grad()(call)
    y = call()
    dy = torch.randn_like(y)
    yield "attn_grad " + kind, lambda: torch.autograd.grad(y, (q, k, v), dy, retain_graph=True)


def plain_ops(s):
    m, d, square, v = (64, 32, 64, 64) if s["tiny"] else (20480, 1024, 8192, 8192)
    new = functools.partial(torch.randn, device=DEVICE, dtype=torch.bfloat16)
    wide, narrow, w, up = new(m, 4 * d), new(m, d), new(3 * d, d), new(4 * d, d)
    a, b = new(square, square), new(square, square)
    yield "matmul square", lambda: a @ b.t()
    yield "matmul qkv", lambda: narrow @ w.t()
    yield "matmul out", lambda: narrow @ w[:d].t()
    yield "matmul up", lambda: narrow @ up.t()
    yield "matmul down", lambda: wide @ up
    yield "matmul up dx", lambda: wide @ up
    yield "matmul up dw", lambda: wide.t() @ narrow
    x, g = new(m, d).requires_grad_(), new(d)
    y = F.layer_norm(x, (d,), g, g)
    dy = new(m, d)
    yield "norm", lambda: F.layer_norm(narrow, (d,), g, g)
    yield "norm_grad", lambda: torch.autograd.grad(y, x, dy, retain_graph=True)
    logits, target = new(m * 4 // 5, 8 * d).requires_grad_(), torch.randint(8 * d, (m * 4 // 5,), device=DEVICE)
    entropy = compiled(lambda z: F.cross_entropy(z.float(), target))
    yield "cross_entropy", lambda: torch.autograd.grad(entropy(logits), logits)
    big = torch.randn(4096 if s["tiny"] else 100 << 20, device=DEVICE).requires_grad_()
    big.grad = torch.randn_like(big)
    optimizer = torch.optim.AdamW([big], lr=1e-3, fused=CUDA)
    yield "adam", optimizer.step
    yield "sum_squares", lambda: torch.linalg.vector_norm(big.grad)
    z = torch.randn(16 if s["tiny"] else 8192, v, device=DEVICE)
    relax = compiled(lambda t: F.softmax(t - torch.log(-torch.log(torch.rand_like(t))), 1))
    yield "gumbel", lambda: relax(z)
    few = torch.randn(64, v, device=DEVICE)
    yield "choose x64", lambda: torch.multinomial(F.softmax(few, -1), 1)


def ops_work(s):
    """Name and microseconds, or why not, of each; a generator that fails ends its list."""
    found = {}
    parts = {kind: functools.partial(attention_ops, kind) for kind in ("dense", "row", "column", "conv")}
    for title, part in {**parts, "plain": plain_ops}.items():
        try:
            for name, call in part(s):
                try:
                    found[name] = time_us(call)
                except Exception as e:
                    found[name] = reason(e)
        except Exception as e:
            found[title] = reason(e)
    return found


def limits_work(s):
    """Copy: bytes read and written a second; product: 8192^3, FLOP a second; both on random numbers."""
    n, side = (1 << 16, 64) if s["tiny"] else (1 << 30, 8192)
    x = torch.randint(255, (n,), dtype=torch.uint8, device=DEVICE).view(torch.float32)
    y = torch.empty_like(x)
    a, b = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    found = {"copy": 2 * n / time_us(lambda: y.copy_(x)) * 1e6, "product": 2 * side ** 3 / time_us(lambda: a @ b) * 1e6,
             "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda}
    if CUDA:
        found["card"] = torch.cuda.get_device_name()
        found["memory"] = torch.cuda.get_device_properties(0).total_memory
    return found


def reason(e):
    return (type(e).__name__ + ": " + " ".join(str(e).split()))[:160]


def main():
    sys.stdin.readline()
    torch.manual_seed(1)
    if SPEC["work"] in ("ops", "limits"):
        say(ready=True)
        sys.stdin.readline()
        say(found=(ops_work if SPEC["work"] == "ops" else limits_work)(SPEC))
        return
    work, warm = {"train": train_work, "sample": sample_work, "dvae": dvae_work}[SPEC["work"]](SPEC)
    for _ in range(warm):
        work()
    wait()
    peak = torch.cuda.max_memory_allocated() if CUDA else 0
    if CUDA:
        torch.cuda.empty_cache()
    say(ready=True, memory=peak)
    for line in sys.stdin:
        times = []
        for i in range(int(line) + 1):  # the first fills the memory's pools again
            start = time.perf_counter()
            work()
            wait()
            times.append(time.perf_counter() - start)
        say(times=times[1:])


try:
    main()
except Exception as problem:
    say(error=reason(problem))
    sys.exit(1)
