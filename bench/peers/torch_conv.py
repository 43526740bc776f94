#!/usr/bin/env python3
"""Convolutions of PyTorch (oneDNN) at the layers of two DCGANs: forward, input gradient, weight gradient.

    torch_conv.py THREADS [BATCH] [ONLY]

Prints a JSON object for each layer whose name has ONLY in it, direction and order of images in memory (nchw, nhwc):
`row` is the row of `ganvil bench conv` that computes the same, `us` the median time.
"""
import json
import os
import sys
import time
T = int(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(T)
os.environ.setdefault("OMP_WAIT_POLICY", "active")
import torch
torch.set_num_threads(T)
B = int(sys.argv[2]) if len(sys.argv) > 2 else 64
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
def measure(name, tr, ci, co, h, k, s, p, order):
    fmt = torch.channels_last if order == "nhwc" else torch.contiguous_format
    x = torch.randn(B, ci, h, h).contiguous(memory_format=fmt)
    w = torch.randn(*((ci, co) if tr else (co, ci)), k, k).contiguous(memory_format=fmt)
    forward = lambda: torch.convolution(x, w, None, [s, s], [p, p], [1, 1], bool(tr), [0, 0], 1)
    y = forward()
    g = torch.randn(y.shape).contiguous(memory_format=fmt)
    backward = lambda m: torch.ops.aten.convolution_backward(g, x, w, None, [s, s], [p, p], [1, 1], bool(tr), [0, 0], 1, m)
    # The larger image's channels and side come first in ganvil's names.
    (c, side), (o, small) = ((co, y.shape[2]), (ci, h)) if tr else ((ci, h), (co, y.shape[2]))
    layer = f"{name[:2]}: {c}<->{o}, {side}<->{small}"
    down, up = ("dinput", "fwd") if tr else ("fwd", "dinput")
    directions = {"fwd": forward, "dinput": lambda: backward([True, False, False]),
                  "dweight": lambda: backward([False, True, False])}
    for row, op in (("down", down), ("up", up), ("weight", "dweight")):
        seconds = bench(directions[op])
        line = {"name": f"{name}, {op}", "row": f"{layer}, {row}", "order": order, "threads": T, "us": seconds * 1e6}
        print(json.dumps(line), flush=True)


for layer in LAYERS:
    for order in ("nchw", "nhwc"):
        if only in layer[0]:
            measure(*layer, order)
