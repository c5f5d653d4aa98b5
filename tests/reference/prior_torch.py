#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The prior in plain PyTorch, written from the description alone, to make golden vectors for tests/unit/prior.c.

    pip install torch safetensors numpy
    python3 tests/reference/prior_torch.py tests/reference

writes prior_dalle.safetensors and prior_dense.safetensors: random parameters, tokens, logits, losses and gradients,
computed in f64 and stored as f32.  `make check` needs only the stored files.
"""
import json
import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

CONFIGS = {
    "dalle": dict(layers=4, width=16, heads=2, text_vocab=11, text_slots=5, min_pad=0, image_vocab=13, grid_h=3, grid_w=5,
                  kernel=3, masks="dalle"),
    "dense": dict(layers=2, width=16, heads=2, text_vocab=7, text_slots=4, min_pad=0, image_vocab=9, grid_h=4, grid_w=3,
                  kernel=3, masks="dense"),
}


def mask_of(c, kind):
    """True where query (row) may look at key (column)."""
    s, w = c["text_slots"], c["grid_w"]
    t = s + c["grid_h"] * w
    m = torch.zeros(t, t, dtype=torch.bool)
    half = (c["kernel"] - 1) // 2
    window = {r * w + (col % w) for r in range(half + 1) for col in range(-half, half + 1)}
    for q in range(t):
        for k in range(t):
            if q < s:
                m[q, k] = k <= q
            elif k < s:
                m[q, k] = True
            else:
                o = q - k
                m[q, k] = o >= 0 and {"dense": True, "row": o <= w, "column": o % w == 0, "conv": o in window}[kind]
    return m


def kind_of(c, i):
    """Layer i of 1..layers."""
    if c["masks"] == "dense":
        return "dense"
    if i == c["layers"]:
        return "conv"
    return "column" if (i - 2) % 4 == 0 else "row"


def shapes(c):
    d, h, w = c["width"], c["grid_h"], c["grid_w"]
    out = {"text.token.weight": (c["text_vocab"], d), "text.position.weight": (c["text_slots"], d),
           "text.pad.weight": (c["text_slots"], d), "text.start.weight": (1, d),
           "image.token.weight": (c["image_vocab"], d), "image.row.weight": (h, d), "image.column.weight": (w, d),
           "image.start.weight": (1, d)}
    for i in range(c["layers"]):
        p = f"layers.{i}."
        for norm in ("attn.norm", "mlp.norm"):
            out[p + norm + ".weight"] = out[p + norm + ".bias"] = (d,)
        for name, o, n in (("attn.q", d, d), ("attn.k", d, d), ("attn.v", d, d), ("attn.out", d, d), ("mlp.up", 4 * d, d),
                           ("mlp.down", d, 4 * d)):
            out[p + name + ".weight"], out[p + name + ".bias"] = (o, n), (o,)
    out["final.norm.weight"] = out["final.norm.bias"] = (d,)
    for kind in ("text", "image"):
        out[kind + ".logits.weight"], out[kind + ".logits.bias"] = (c[kind + "_vocab"], d), (c[kind + "_vocab"],)
    return out


def inputs(c, p, text, image):
    """The stream's start for one example."""
    rows = []
    for t in range(c["text_slots"]):
        if t == 0:
            rows.append(p["text.start.weight"][0] + p["text.position.weight"][0])
        elif t <= len(text):
            rows.append(p["text.token.weight"][text[t - 1]] + p["text.position.weight"][t])
        else:
            rows.append(p["text.pad.weight"][t])
    for j in range(c["grid_h"] * c["grid_w"]):
        code = p["image.start.weight"][0] if j == 0 else p["image.token.weight"][image[j - 1]]
        rows.append(code + p["image.row.weight"][j // c["grid_w"]] + p["image.column.weight"][j % c["grid_w"]])
    return torch.stack(rows)


def forward(c, p, texts, images):
    d, a = c["width"], c["heads"]
    x = torch.stack([inputs(c, p, t, z) for t, z in zip(texts, images)])
    n, t, _ = x.shape

    def norm(v, name):
        return F.layer_norm(v, (d,), p[name + ".weight"], p[name + ".bias"], 1e-5)

    def linear(v, name):
        return F.linear(v, p[name + ".weight"], p[name + ".bias"])

    for i in range(c["layers"]):
        name = f"layers.{i}."
        mask = mask_of(c, kind_of(c, i + 1))
        h = norm(x, name + "attn.norm")
        q, k, v = (linear(h, name + "attn." + s).view(n, t, a, d // a).transpose(1, 2) for s in "qkv")
        scores = (q @ k.transpose(-1, -2) / math.sqrt(d // a)).masked_fill(~mask, float("-inf"))
        o = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
        x = x + linear(o, name + "attn.out")
        u = linear(norm(x, name + "mlp.norm"), name + "mlp.up")
        x = x + linear(u * torch.sigmoid(1.702 * u), name + "mlp.down")
    x = norm(x, "final.norm")
    s = c["text_slots"]
    return linear(x[:, :s], "text.logits"), linear(x[:, s:], "image.logits")


def losses(c, logits, texts, images):
    text, image = logits
    text_sum = sum(F.cross_entropy(text[i, :len(t)], torch.tensor(t), reduction="sum") for i, t in enumerate(texts) if t)
    text_mean = text_sum / sum(len(t) for t in texts)
    image_mean = F.cross_entropy(image.reshape(-1, c["image_vocab"]), torch.tensor(images).reshape(-1))
    return text_mean, image_mean, text_mean / 8 + image_mean * 7 / 8


def make(c, seed):
    torch.manual_seed(seed)
    p = {}
    for name, shape in shapes(c).items():
        spread = 0.3 if len(shape) == 2 else 0.2
        value = torch.randn(shape) * spread + (1 if "norm.weight" in name else 0)
        p[name] = value.double().requires_grad_()
    top = c["text_slots"] - 1
    texts = [torch.randint(c["text_vocab"], (count,)).tolist() for count in (top, 2, 0)]
    images = [torch.randint(c["image_vocab"], (c["grid_h"] * c["grid_w"],)).tolist() for _ in texts]
    logits = forward(c, p, texts, images)
    loss = losses(c, logits, texts, images)
    loss[2].backward()
    out = {"value." + k: v.detach().float() for k, v in p.items()}
    out.update({"grad." + k: v.grad.float() for k, v in p.items()})
    out["text"] = torch.tensor([t + [0] * (top - len(t)) for t in texts], dtype=torch.int32)
    out["length"] = torch.tensor([len(t) for t in texts], dtype=torch.int32)
    out["image"] = torch.tensor(images, dtype=torch.int32)
    out["text.logits"] = logits[0].detach().float().reshape(-1, c["text_vocab"])
    out["image.logits"] = logits[1].detach().float().reshape(-1, c["image_vocab"])
    out["loss"] = torch.stack([v.detach() for v in loss]).float()
    return {k: v.contiguous() for k, v in out.items()}


def main():
    for seed, (name, c) in enumerate(CONFIGS.items()):
        meta = {"format": "armchair-prior 1", "config": json.dumps(c)}
        save_file(make(c, seed), f"{sys.argv[1]}/prior_{name}.safetensors", metadata=meta)


if __name__ == "__main__":
    main()
