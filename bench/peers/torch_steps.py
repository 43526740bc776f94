#!/usr/bin/env python3
"""Training steps of a GAN in PyTorch on the CPU, timed: the work of `ganvil bench step`.

    torch_steps.py WORKLOAD THREADS SECONDS [--impl eager[+FLAG...]] [--data DIR] [--first] [-v]

prints `WORKLOAD THREADS IMPL STEPS_PER_S IMAGES_PER_S PEAK_RSS_MB`, where steps/s is 1 / the median step time; with --first
`WORKLOAD THREADS IMPL first_step_done_s SECONDS peak_rss_mb MB`, counted from the start of the process.

WORKLOAD  mlp0-B, mlp2-B, dcgan28-B, dcgan64-B, wgangp28-B: batches of B, as `ganvil bench step --help` says
FLAG      fused: Adam(fused=True); freeze: D's weights take no gradient in G's step; cl: images channels-last;
          bf16: autocast to bfloat16; active: OMP_WAIT_POLICY=active, threads that wait spin
A step is an update of D and one of G, noise drawn inside; of wgangp28 the critic's alone. The data are in memory.
"""
import argparse
import gzip
import os
import resource
import sys
import time
from pathlib import Path

FLAGS = {"fused", "freeze", "cl", "bf16", "active"}
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("workload")
ap.add_argument("threads", type=int)
ap.add_argument("seconds", type=float)
ap.add_argument("--impl", default="eager")
ap.add_argument("--data", default=os.environ.get("GANVIL_DATA", Path(__file__).resolve().parents[2] / "data/mnist"),
                type=Path, help="folder with MNIST's files [default: $GANVIL_DATA, then data/mnist of this repository]")
ap.add_argument("--first", action="store_true", help="stop after the first step")
ap.add_argument("-v", action="store_true", help="also the processor time of other processes, and all times, on stderr")
a = ap.parse_args()
flags = set(a.impl.split("+")[1:])
if flags - FLAGS or not a.impl.startswith("eager"):
    ap.error(f"--impl '{a.impl}': eager, then any of {', '.join(sorted(FLAGS))}, each with a + in front")
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(a.threads)
if "active" in flags:
    os.environ["OMP_WAIT_POLICY"] = "active"

# After the environment, which these read once.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(a.threads)
torch.manual_seed(0)
kind, batch = a.workload.rsplit("-", 1)
B = int(batch)
CONV = kind not in ("mlp0", "mlp2")
FMT = torch.channels_last if "cl" in flags and CONV else torch.contiguous_format


def process_age():
    """Seconds since the system started this process."""
    with open("/proc/self/stat") as f:
        start = int(f.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    with open("/proc/uptime") as f:
        return float(f.read().split()[0]) - start


def mnist():
    with gzip.open(a.data / "train-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16)
    return torch.from_numpy(x.astype(np.float32) / 127.5 - 1.0).view(-1, 784)


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        x = x.view(-1, *self.shape)
        return x.contiguous(memory_format=FMT) if FMT is torch.channels_last else x


def nets():
    L, lr = nn.Linear, lambda: nn.LeakyReLU(0.2)
    if kind == "mlp0":
        G = [L(100, 128), lr(), L(128, 256), nn.BatchNorm1d(256), lr(), L(256, 784), nn.Tanh()]
        D = [L(784, 256), lr(), L(256, 128), lr(), L(128, 1), nn.Sigmoid()]
    elif kind == "mlp2":
        G = [L(100, 256), lr(), nn.BatchNorm1d(256), L(256, 512), lr(), nn.BatchNorm1d(512), L(512, 784), nn.Tanh()]
        D = [L(784, 512), lr(), nn.Dropout(0.3), L(512, 256), lr(), nn.Dropout(0.3), L(256, 1), nn.Sigmoid()]
    elif kind in ("dcgan28", "wgangp28"):
        G = [L(100, 128 * 49), Reshape(128, 7, 7), nn.BatchNorm2d(128), nn.ReLU(True),
             nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
             nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()]
        bn = [nn.BatchNorm2d(128)] if kind == "dcgan28" else []
        D = [nn.Conv2d(1, 64, 4, 2, 1), lr(), nn.Conv2d(64, 128, 4, 2, 1, bias=not bn), *bn, lr(), nn.Flatten(), L(6272, 1)]
    elif kind == "dcgan64":
        G, inputs = [], 100
        for i, c in enumerate((512, 256, 128, 64)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            G += [nn.ConvTranspose2d(inputs, c, 4, stride, padding, bias=False), nn.BatchNorm2d(c), nn.ReLU(True)]
            inputs = c
        G += [nn.ConvTranspose2d(inputs, 3, 4, 2, 1, bias=False), nn.Tanh()]
        D, inputs = [], 3
        for i, c in enumerate((64, 128, 256, 512)):
            D += [nn.Conv2d(inputs, c, 4, 2, 1, bias=False)] + ([nn.BatchNorm2d(c)] if i else []) + [lr()]
            inputs = c
        D += [nn.Conv2d(inputs, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten()]
    else:
        sys.exit(f"unknown workload {a.workload}")
    return [nn.Sequential(*layers).to(memory_format=FMT) for layers in (G, D)]


if kind == "dcgan64":
    data = torch.rand(1024, 3, 64, 64) * 2 - 1
else:
    data = mnist()
    data = data[torch.randperm(len(data))]
    if CONV:
        data = data.view(-1, 1, 28, 28)
if CONV and FMT is torch.channels_last:
    data = data.contiguous(memory_format=FMT)
zshape = (B, 100, 1, 1) if kind == "dcgan64" else (B, 100)
G, D = nets()
lr, betas = (1e-4, (0.0, 0.9)) if kind == "wgangp28" else (2e-4, (0.5, 0.999))
fused = "fused" in flags or None
g_opt = torch.optim.Adam(G.parameters(), lr=lr, betas=betas, fused=fused)
d_opt = torch.optim.Adam(D.parameters(), lr=lr, betas=betas, fused=fused)
criterion = F.binary_cross_entropy_with_logits if kind == "dcgan28" else F.binary_cross_entropy
if "bf16" in flags and kind != "dcgan28":  # which does not autocast by itself
    criterion = lambda p, t: F.binary_cross_entropy(p.float(), t)
one, zero = torch.ones(B, 1), torch.zeros(B, 1)


def amp():
    return torch.autocast("cpu", torch.bfloat16, enabled="bf16" in flags)


def d_loss(real, fake):
    with amp():
        return criterion(D(real), one) + criterion(D(fake), zero)


def generate():
    with amp():
        return G(torch.randn(zshape))


def critic_loss(real):
    with amp():
        with torch.no_grad():
            fake = G(torch.randn(zshape))
        w = D(fake).mean() - D(real).mean()
        eps = torch.rand(B, 1, 1, 1)
        between = (eps * real + (1 - eps) * fake).requires_grad_(True)
        (g,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
        return w + 10 * ((g.float().flatten(1).norm(2, 1) - 1) ** 2).mean()


def freeze(on):
    if "freeze" in flags:
        for p in D.parameters():
            p.requires_grad_(not on)


def step(i):
    at = (i * B) % (len(data) - B)
    real = data[at:at + B]
    d_opt.zero_grad()
    if kind == "wgangp28":
        loss = critic_loss(real)
        loss.backward()
        d_opt.step()
        return loss.item(), 0.0
    if kind == "mlp2":  # takes fresh noise for G's update
        with torch.no_grad():
            fake = generate()
        ld = d_loss(real, fake) / 2
    else:
        fake = generate()
        ld = d_loss(real, fake.detach())
    ld.backward()
    d_opt.step()
    g_opt.zero_grad()
    freeze(True)
    if kind == "mlp2":
        fake = generate()
    with amp():
        lg = criterion(D(fake), one)
    lg.backward()
    g_opt.step()
    freeze(False)
    return ld.item(), lg.item()


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def busy():
    """Processor seconds of the whole machine, and of this process."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    r = resource.getrusage(resource.RUSAGE_SELF)
    return (sum(v[:3]) + sum(v[5:8])) / os.sysconf("SC_CLK_TCK"), r.ru_utime + r.ru_stime


first = step(0)
if a.first:
    print(f"{a.workload} {a.threads} {a.impl} first_step_done_s {process_age():.2f} peak_rss_mb {rss():.0f}")
    sys.exit()
for i in range(1, 5):
    step(i)
times, i = [], 5
before, began = busy(), time.perf_counter()
while len(times) < 3 or time.perf_counter() < began + a.seconds:
    start = time.perf_counter()
    last = step(i)
    times.append(time.perf_counter() - start)
    i += 1
median = float(np.median(times))
print(f"{a.workload} {a.threads} {a.impl} {1 / median:.2f} {B / median:.0f} {rss():.0f}", flush=True)
if a.v:
    after, wall = busy(), time.perf_counter() - began
    own = after[1] - before[1]
    print(f"  steps {len(times)} other-cpu {(after[0] - before[0] - own) / wall:.2f} own-cpu {own / wall:.2f} "
          f"median {median * 1e3:.3f} ms min {min(times) * 1e3:.3f} losses first {first} last {last}", file=sys.stderr)
