#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The dVAE once more, in PyTorch, to make the numbers that tests/unit/dvae.c compares with.

Written from the paper's text and layer tables alone, in double precision, and shares no code with the library: its own
Philox, its own networks.  Not needed by `make check`.

    python3 -m venv venv && venv/bin/pip install torch numpy safetensors
    venv/bin/python tests/reference/dvae_torch.py tests/reference

Each file dvae_N.safetensors holds the weights (bfloat16, so that they are exact and small), pictures, and for one set of
temperature, beta and noise: logits, KL, relaxed codes, decoder output, nll a pixel, loss, and all gradients (not in the last
file); then the arg-max codes, the decoder's output for them and the reconstruction.  Metadata: config as in a checkpoint, and
tau, beta, seed, step.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

# ---- Philox 4x32-10, from the paper of Salmon et al. -------------------------------------------------------------------


def philox(counter, key):
    c = [np.asarray(v, np.uint64) for v in counter]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        low = np.uint64(0xFFFFFFFF)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def uniforms(count, seed, purpose, step):
    """Numbers in (0,1) at elements 0 .. count-1: word e%4 of the draw at e/4, its upper 23 bits and a half."""
    q = np.arange((count + 3) // 4, dtype=np.uint64)
    zero = np.zeros_like(q)
    key = ((seed & 0xFFFFFFFF) ^ (purpose * 0x9E3779B9 & 0xFFFFFFFF), seed >> 32)
    words = philox([q & np.uint64(0xFFFFFFFF), q >> np.uint64(32), zero + np.uint64(step & 0xFFFFFFFF),
                    zero + np.uint64(step >> 32)], key)
    bits = np.stack(words, 1).reshape(-1)[:count]
    return ((bits >> np.uint64(9)).astype(np.float64) + 0.5) / 2 ** 23


# ---- the network, on NCHW ----------------------------------------------------------------------------------------------


class Net:
    """Makes weights as it is asked for them, or reads them; names as published."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.w = {}

    def conv(self, x, name, n_out, k):
        if name + ".w" not in self.w:
            n_in = x.shape[1]
            w = self.random.normal(0, 1.3 / np.sqrt(n_in * k * k), (n_out, n_in, k, k))
            b = self.random.normal(0, 0.2, n_out)
            for suffix, value in ((".w", w), (".b", b)):
                exact = torch.tensor(value).to(torch.bfloat16).to(torch.float64)
                self.w[name + suffix] = exact.requires_grad_(True)
        return F.conv2d(x, self.w[name + ".w"], self.w[name + ".b"], padding=(k - 1) // 2)

    def block(self, x, name, n_out, kernels, n_layers):
        skip = x if x.shape[1] == n_out else self.conv(x, name + ".id_path", n_out, 1)
        h = x
        for i, k in enumerate(kernels):
            h = self.conv(F.relu(h), "%s.res_path.conv_%d" % (name, i + 1), n_out if i == 3 else n_out // 4, k)
        return skip + h / n_layers ** 2

    def encode(self, c, x):
        x = self.conv(x, "encoder.blocks.input", c["hid"], 7)
        for g in range(1, 5):
            for b in range(1, c["blocks"] + 1):
                x = self.block(x, "encoder.blocks.group_%d.block_%d" % (g, b), c["hid"] * 2 ** (g - 1), (3, 3, 3, 1),
                               4 * c["blocks"])
            if g <= c["downs"]:
                x = F.max_pool2d(x, 2)
        return self.conv(F.relu(x), "encoder.blocks.output.conv", c["vocab"], 1)

    def decode(self, c, z):
        x = self.conv(z, "decoder.blocks.input", c["init"], 1)
        for g in range(1, 5):
            for b in range(1, c["blocks"] + 1):
                x = self.block(x, "decoder.blocks.group_%d.block_%d" % (g, b), c["hid"] * 2 ** (4 - g), (1, 3, 3, 3),
                               4 * c["blocks"])
            if 4 - c["downs"] <= g <= 3:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.conv(F.relu(x), "decoder.blocks.output.conv", 2 * c["channels"], 1)


def laplace_nll(out, x, channels):
    mu, ln_b = out[:, :channels], out[:, channels:]
    log_f = -np.log(2) - ln_b - torch.log(x) - torch.log(1 - x) - (torch.logit(x) - mu).abs() / torch.exp(ln_b)
    return -log_f.sum(1)


def nhwc(t):
    return t.detach().permute(0, 2, 3, 1).to(torch.float32).contiguous()


def make(path, c, batch, tau, beta, seed, step, gradients=True):
    net = Net(seed)
    grid = c["size"] >> c["downs"]
    v = torch.tensor(net.random.integers(0, 256, (batch, c["channels"], c["size"], c["size"])) / 255.0)
    x = (0.8 * v + 0.1).to(torch.float32).to(torch.float64)
    logits = net.encode(c, x)
    u = uniforms(batch * grid * grid * c["vocab"], seed, 2, step).reshape(batch, grid, grid, c["vocab"])
    gumbel = torch.tensor(-np.log(-np.log(u))).permute(0, 3, 1, 2)
    z = torch.softmax((logits + gumbel) / tau, 1)
    log_q = torch.log_softmax(logits, 1)
    kl = (log_q.exp() * log_q).sum(1) + np.log(c["vocab"])
    out = net.decode(c, z)
    nll = laplace_nll(out, x, c["channels"])
    values = c["size"] * c["size"] * c["channels"]
    loss = ((nll.sum((1, 2)) + beta * kl.sum((1, 2))) / values).mean()
    loss.backward()

    codes = logits.argmax(1)
    hard = net.decode(c, F.one_hot(codes, c["vocab"]).permute(0, 3, 1, 2).to(torch.float64))
    picture = ((torch.sigmoid(hard[:, :c["channels"]]) - 0.1) / 0.8).clamp(0, 1)

    tensors = {name: w.detach().to(torch.bfloat16) for name, w in net.w.items()}
    if gradients:
        tensors.update({"grad." + name: w.grad.to(torch.float32) for name, w in net.w.items()})
    tensors.update(x=nhwc(x), logits=nhwc(logits), kl=kl.detach().to(torch.float32), z=nhwc(z), out=nhwc(out),
                   nll=nll.detach().to(torch.float32), loss=loss.detach().to(torch.float32).reshape(1),
                   codes=codes.to(torch.int32), hard=nhwc(hard),
                   picture=(255 * nhwc(picture)).round().to(torch.uint8))
    meta = dict(format="armchair-dvae 1", config=json.dumps(c), tau=str(tau), beta=str(beta), seed=str(seed), step=str(step))
    save_file(tensors, path, metadata=meta)
    print(path, "%d weights, loss %.6f" % (sum(w.numel() for w in net.w.values()), float(loss.detach())))


def main(folder):
    torch.set_default_dtype(torch.float64)
    make(folder + "/dvae_1.safetensors", dict(size=16, channels=3, vocab=18, hid=4, init=5, blocks=1, downs=3), 1, 0.7, 6.6,
         11, 3)
    make(folder + "/dvae_2.safetensors", dict(size=8, channels=3, vocab=10, hid=4, init=32, blocks=2, downs=2), 2, 0.25, 2.0,
         2 ** 33 + 5, 2 ** 32 + 7)
    make(folder + "/dvae_3.safetensors", dict(size=6, channels=1, vocab=7, hid=4, init=9, blocks=1, downs=1), 2, 1.0, 1.0, 13,
         0, gradients=False)


main(sys.argv[1] if len(sys.argv) > 1 else ".")
