#!/usr/bin/env python3
"""Convolutions of PyTorch (oneDNN): forward, input gradient, weight gradient.

    torch_conv.py SET THREADS [ONLY]

SET is dcgan, the layers of two DCGANs, or odd, layers that neither has. Prints a JSON object for each layer whose name has
ONLY in it, direction and order of images in memory (nchw, nhwc): `row` is the row of `ganvil bench conv` that computes the
same, `us` the median time.
"""
import json
import os
import sys
import time
T = int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(T)
os.environ.setdefault("OMP_WAIT_POLICY", "active")
import torch
torch.set_num_threads(T)
only = sys.argv[3] if len(sys.argv) > 3 else ""
# name, transposed, cin, cout, hin, k, s, p
LAYERS = [
    ("28.D1 conv 1->64 28->14", 0, 1, 64, 28, 4, 2, 1),
    ("28.D2 conv 64->128 14->7", 0, 64, 128, 14, 4, 2, 1),
    ("28.G1 convT 128->64 7->14", 1, 128, 64, 7, 4, 2, 1),
    ("28.G2 convT 64->1 14->28", 1, 64, 1, 14, 4, 2, 1),
    ("64.D1 conv 3->64 64->32", 0, 3, 64, 64, 4, 2, 1),
    ("64.D2 conv 64->128 32->16", 0, 64, 128, 32, 4, 2, 1),
    ("64.D3 conv 128->256 16->8", 0, 128, 256, 16, 4, 2, 1),
    ("64.D4 conv 256->512 8->4", 0, 256, 512, 8, 4, 2, 1),
    ("64.D5 conv 512->1 4->1", 0, 512, 1, 4, 4, 1, 0),
    ("64.G1 convT 100->512 1->4", 1, 100, 512, 1, 4, 1, 0),
    ("64.G2 convT 512->256 4->8", 1, 512, 256, 4, 4, 2, 1),
    ("64.G3 convT 256->128 8->16", 1, 256, 128, 8, 4, 2, 1),
    ("64.G4 convT 128->64 16->32", 1, 128, 64, 16, 4, 2, 1),
    ("64.G5 convT 64->3 32->64", 1, 64, 3, 32, 4, 2, 1),
]
# batch, cin, cout, hin, k, s, p
ODD = [
    (64, 48, 96, 15, 5, 2, 2),
    (50, 64, 64, 32, 3, 1, 1),
    (33, 48, 96, 16, 3, 1, 1),
    (7, 96, 96, 32, 3, 2, 1),
    (20, 32, 48, 28, 5, 1, 2),
    (100, 64, 128, 14, 5, 2, 2),
    (17, 96, 192, 32, 4, 2, 1),
    (48, 64, 128, 16, 1, 1, 0),
    (50, 3, 48, 32, 3, 1, 1),
    (13, 5, 70, 31, 4, 2, 1),
    (31, 3, 32, 32, 7, 1, 3),
]


def bench(f):
    f()
    f()
    t = time.perf_counter()
    f()
    once = time.perf_counter() - t
    times = []
    for _ in range(int(min(max(0.25 / once, 5), 60))):
        t = time.perf_counter()
        f()
        times.append(time.perf_counter() - t)
    return sorted(times)[len(times) // 2]


@torch.no_grad()
def measure(name, layer, batch, tr, ci, co, h, k, s, p, order):
    fmt = torch.channels_last if order == "nhwc" else torch.contiguous_format
    x = torch.randn(batch, ci, h, h).contiguous(memory_format=fmt)
    w = torch.randn(*((ci, co) if tr else (co, ci)), k, k).contiguous(memory_format=fmt)
    forward = lambda: torch.convolution(x, w, None, [s, s], [p, p], [1, 1], bool(tr), [0, 0], 1)
    y = forward()
    g = torch.randn(y.shape).contiguous(memory_format=fmt)
    backward = lambda m: torch.ops.aten.convolution_backward(g, x, w, None, [s, s], [p, p], [1, 1], bool(tr), [0, 0], 1, m)
    # The larger image's channels and side come first in ganvil's names.
    (c, side), (o, small) = ((co, y.shape[2]), (ci, h)) if tr else ((ci, h), (co, y.shape[2]))
    layer += f": {c}<->{o}, {side}<->{small}"
    down, up = ("dinput", "fwd") if tr else ("fwd", "dinput")
    directions = {"fwd": forward, "dinput": lambda: backward([True, False, False]),
                  "dweight": lambda: backward([False, True, False])}
    for row, op in (("down", down), ("up", up), ("weight", "dweight")):
        seconds = bench(directions[op])
        line = {"name": f"{name}, {op}", "row": f"{layer}, {row}", "order": order, "threads": T, "us": seconds * 1e6}
        print(json.dumps(line), flush=True)


def odd(batch, ci, co, h, k, s, p):
    side = (h + 2 * p - k) // s + 1
    layer = f"odd, {batch} of {k}x{k} by {s}"
    return f"{layer}: {ci}->{co} {h}->{side}", layer, batch, 0, ci, co, h, k, s, p


layers = [odd(*l) for l in ODD] if sys.argv[1] == "odd" else [(l[0], l[0][:2], 64, *l[1:]) for l in LAYERS]
for layer in layers:
    for order in ("nchw", "nhwc"):
        if only in layer[0]:
            measure(*layer, order)
