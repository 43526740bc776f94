#!/usr/bin/env python3
"""Elementwise functions, batch norm, losses and Adam of PyTorch on the CPU.

    torch_elem.py THREADS [ONLY]

Prints a JSON object for each measurement whose row has ONLY in it: `row` is that of `ganvil bench map`, `norm` or `optim`
which computes the same, `way` how PyTorch was asked, `us` the median time.
"""
import json
import os
import sys
import time

T = int(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(T)
os.environ.setdefault("OMP_WAIT_POLICY", "active")
import torch
import torch.nn.functional as F
torch.set_num_threads(T)
only = sys.argv[2] if len(sys.argv) > 2 else ""


def bench(f):
    f()
    f()
    t = time.perf_counter()
    f()
    once = max(time.perf_counter() - t, 1e-6)
    inner = int(min(max(0.004 / once, 1), 2000))
    times = []
    for _ in range(25):
        t = time.perf_counter()
        for _ in range(inner):
            f()
        times.append((time.perf_counter() - t) / inner)
    return sorted(times)[12]


def show(row, way, f):
    if only in row:
        print(json.dumps({"row": row, "way": way, "threads": T, "us": bench(f) * 1e6}), flush=True)


aten = torch.ops.aten


@torch.no_grad()
def elementwise(shape):
    x, g = torch.randn(shape), torch.randn(shape)
    n, o, y = x.numel(), torch.empty(shape), torch.tanh(x)
    show(f"leaky_relu fwd {n}", "new", lambda: F.leaky_relu(x, 0.2))
    show(f"leaky_relu fwd {n}", "out", lambda: aten.leaky_relu.out(x, 0.2, out=o))
    show(f"leaky_relu bwd {n}", "new", lambda: aten.leaky_relu_backward(g, x, 0.2, False))
    show(f"tanh fwd {n}", "new", lambda: torch.tanh(x))
    show(f"tanh bwd {n}", "new", lambda: aten.tanh_backward(g, y))
    show(f"sigmoid fwd {n}", "new", lambda: torch.sigmoid(x))
    show(f"add {n}", "out", lambda: torch.add(x, g, out=o))
    show(f"sum {n}", "new", lambda: x.sum())
    show(f"randn {n}", "out", lambda: o.normal_())


@torch.no_grad()
def batch_norm(shape):
    c = shape[1]
    w, b, mean, var = torch.ones(c), torch.zeros(c), torch.zeros(c), torch.ones(c)
    for fmt, order in ((torch.contiguous_format, "nchw"), (torch.channels_last, "nhwc")):
        x, g = (torch.randn(shape).contiguous(memory_format=fmt) for _ in range(2))
        forward = lambda: torch.native_batch_norm(x, w, b, mean, var, True, 0.1, 1e-5)
        _, m, rstd = forward()
        show(f"batch_norm fwd {list(shape)}", order, forward)
        backward = lambda: aten.native_batch_norm_backward(g, x, w, mean, var, m, rstd, True, 1e-5, [True] * 3)
        show(f"batch_norm bwd {list(shape)}", order, backward)


@torch.no_grad()
def losses(n):
    p, t, one = torch.rand(n), torch.ones(n), torch.ones(())
    show(f"bce fwd {n}", "new", lambda: F.binary_cross_entropy(p, t))
    show(f"bce bwd {n}", "new", lambda: aten.binary_cross_entropy_backward(one, p, t))
    show(f"bce_with_logits fwd {n}", "new", lambda: F.binary_cross_entropy_with_logits(p, t))


def bce_with_logits_bwd(n):
    p, t = torch.rand(n, requires_grad=True), torch.ones(n)
    y = F.binary_cross_entropy_with_logits(p, t)
    show(f"bce_with_logits bwd {n}", "graph", lambda: torch.autograd.grad(y, p, retain_graph=True))


def adam(row, shapes):
    for fused in (None, True):
        ps = [torch.randn(s, requires_grad=True) for s in shapes]
        for q in ps:
            q.grad = torch.randn_like(q)
        step = torch.optim.Adam(ps, lr=2e-4, betas=(0.5, 0.999), fused=fused).step
        show(f"adam, {row}", "fused" if fused else "plain", step)


for shape in ((64, 64), (64, 784), (64, 128, 7, 7), (64, 64, 14, 14), (64, 64, 32, 32)):
    elementwise(shape)
    if len(shape) == 4:
        batch_norm(shape)
for n in (64, 64 * 784):
    losses(n)
    bce_with_logits_bwd(n)
adam("one tensor of 3.5 M", [(3_500_000,)])
adam("weights of dcgan64's G", [(512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (100, 512, 4, 4), (64, 3, 4, 4),
                                (512,), (256,), (128,), (64,)])
