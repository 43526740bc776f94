#!/usr/bin/env python3
"""Training steps of a GAN in JAX on the CPU, timed: the work of `ganvil bench step`, one jit for D's and G's update.

    jax_steps.py WORKLOAD THREADS SECONDS [--data DIR] [--first] [-v]

prints the lines of torch_steps.py. THREADS 1 holds the process to one of the processors that it may use; other numbers
are left to JAX. Images are NHWC, buffers are donated.
"""
import argparse
import gzip
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("workload")
ap.add_argument("threads", type=int)
ap.add_argument("seconds", type=float)
ap.add_argument("--data", default=os.environ.get("GANVIL_DATA", Path(__file__).resolve().parents[2] / "data/mnist"),
                type=Path, help="folder with MNIST's files [default: $GANVIL_DATA, then data/mnist of this repository]")
ap.add_argument("--first", action="store_true", help="stop after the first step")
ap.add_argument("-v", action="store_true", help="also all times, on stderr")
a = ap.parse_args()
w, T = a.workload, a.threads
if T == 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

# After the process is held to a processor: JAX counts them once.
import jax
import jax.numpy as jnp
import numpy as np

kind, B = w.rsplit("-", 1)
B = int(B)
key = jax.random.PRNGKey(0)


def k():
    global key
    key, s = jax.random.split(key)
    return s


def lin(i, o):
    return {"w": jax.random.uniform(k(), (i, o), minval=-1, maxval=1) / i**.5, "b": jnp.zeros(o)}


def cv(i, o, bias=False):
    d = {"w": 0.02 * jax.random.normal(k(), (4, 4, i, o))}
    if bias:
        d["b"] = jnp.zeros(o)
    return d


def bnp(c):
    return {"g": jnp.ones(c), "b": jnp.zeros(c)}


def L(p, x):
    return x @ p["w"] + p["b"]


def bn(p, x):
    over = tuple(range(x.ndim - 1))
    m = x.mean(over)
    v = ((x - m) ** 2).mean(over)
    return (x - m) * (p["g"] * jax.lax.rsqrt(v + 1e-5)) + p["b"]


def lr(x):
    return jnp.where(x > 0, x, 0.2 * x)


DN = ("NHWC", "HWIO", "NHWC")


def conv(p, x, s=2, pad=1):
    y = jax.lax.conv_general_dilated(x, p["w"], (s, s), ((pad, pad),) * 2, dimension_numbers=DN)
    return y + p["b"] if "b" in p else y


def convt(p, x, s=2, pad=1):
    around = ((3 - pad, 3 - pad),) * 2
    y = jax.lax.conv_general_dilated(x, p["w"], (1, 1), around, lhs_dilation=(s, s), dimension_numbers=DN)
    return y + p["b"] if "b" in p else y


if kind == "mlp0":
    gp = [lin(100, 128), lin(128, 256), bnp(256), lin(256, 784)]
    dp = [lin(784, 256), lin(256, 128), lin(128, 1)]
    G = lambda p, z: jnp.tanh(L(p[3], lr(bn(p[2], L(p[1], lr(L(p[0], z)))))))
    D = lambda p, x: jax.nn.sigmoid(L(p[2], lr(L(p[1], lr(L(p[0], x))))))
elif kind == "mlp2":
    gp = [lin(100, 256), bnp(256), lin(256, 512), bnp(512), lin(512, 784)]
    dp = [lin(784, 512), lin(512, 256), lin(256, 1)]
    G = lambda p, z: jnp.tanh(L(p[4], bn(p[3], lr(L(p[2], bn(p[1], lr(L(p[0], z))))))))
    def D(p, x, key):
        for layer, key in zip(p[:2], jax.random.split(key)):
            h = lr(L(layer, x))
            x = jnp.where(jax.random.bernoulli(key, 0.7, h.shape), h / 0.7, 0)
        return jax.nn.sigmoid(L(p[2], x))
elif kind in ("dcgan28", "wgangp28"):
    gp = [lin(100, 6272), bnp(128), cv(128, 64), bnp(64), cv(64, 1, True)]
    dp = [cv(1, 64, True), cv(64, 128, kind != "dcgan28"), bnp(128), lin(6272, 1)]
    G = lambda p, z: jnp.tanh(convt(p[4], jax.nn.relu(bn(p[3], convt(p[2], jax.nn.relu(bn(p[1], L(p[0], z).reshape(-1, 7, 7, 128))))))))
    def D(p, x):
        h = conv(p[1], lr(conv(p[0], x)))
        if kind == "dcgan28":
            h = bn(p[2], h)
        return L(p[3], lr(h).reshape(x.shape[0], -1))
elif kind == "dcgan64":
    c = [100, 512, 256, 128, 64]
    gp = [x for i in range(4) for x in (cv(c[i], c[i + 1]), bnp(c[i + 1]))] + [cv(64, 3)]
    e = [3, 64, 128, 256, 512]
    dp = [x for i in range(4) for x in (cv(e[i], e[i + 1]), bnp(e[i + 1]))] + [cv(512, 1)]

    def G(p, x):
        for i in range(4):
            x = jax.nn.relu(bn(p[2 * i + 1], convt(p[2 * i], x, 1 if i == 0 else 2, 0 if i == 0 else 1)))
        return jnp.tanh(convt(p[8], x))

    def D(p, x):
        for i in range(4):
            x = conv(p[2 * i], x)
            x = lr(bn(p[2 * i + 1], x) if i else x)
        return jax.nn.sigmoid(conv(p[8], x, 1, 0)).reshape(-1, 1)
else:
    sys.exit("unsupported " + w)

LR, b1, b2 = (1e-4, 0.0, 0.9) if kind == "wgangp28" else (2e-4, 0.5, 0.999)
tm = jax.tree_util.tree_map


def adam(p, m, v, g, t):
    m = tm(lambda m, g: b1 * m + (1 - b1) * g, m, g)
    v = tm(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
    a, c = LR / (1 - b1**t), 1 / (1 - b2**t)
    return tm(lambda p, m, v: p - a * m / (jnp.sqrt(v * c) + 1e-8), p, m, v), m, v


if kind == "dcgan28":
    pos, neg = (lambda o: jax.nn.softplus(-o).mean()), (lambda o: jax.nn.softplus(o).mean())
else:
    pos, neg = (lambda o: -jnp.log(o + 1e-12).mean()), (lambda o: -jnp.log(1 - o + 1e-7).mean())
zsh = (B, 1, 1, 100) if kind == "dcgan64" else (B, 100)


@partial(jax.jit, donate_argnums=0)
def step(S, real):
    gp, gm, gv, dp, dm, dv, t, key = S
    key, s, s2 = jax.random.split(key, 3)
    t = t + 1
    z = jax.random.normal(s, zsh)
    if kind == "wgangp28":
        fake = G(gp, z)
        e = jax.random.uniform(s2, (B, 1, 1, 1))

        def loss(dp):
            gx = jax.grad(lambda x: D(dp, x).sum())(e * real + (1 - e) * fake)
            n = jnp.sqrt((gx.reshape(B, -1) ** 2).sum(1))
            return D(dp, fake).mean() - D(dp, real).mean() + 10 * ((n - 1) ** 2).mean()

        ld, gd = jax.value_and_grad(loss)(dp)
        dp, dm, dv = adam(dp, dm, dv, gd, t)
        return (gp, gm, gv, dp, dm, dv, t, key), ld, ld
    if kind == "mlp2":
        k1, k2, k3, k4 = jax.random.split(s2, 4)
        fake = G(gp, z)
        ld, gd = jax.value_and_grad(lambda dp: (pos(D(dp, real, k1)) + neg(D(dp, fake, k2))) / 2)(dp)
        dp, dm, dv = adam(dp, dm, dv, gd, t)
        lg, gg = jax.value_and_grad(lambda gp: pos(D(dp, G(gp, jax.random.normal(k4, zsh)), k3)))(gp)
        gp, gm, gv = adam(gp, gm, gv, gg, t)
        return (gp, gm, gv, dp, dm, dv, t, key), ld, lg
    fake, vjp = jax.vjp(lambda gp: G(gp, z), gp)
    ld, gd = jax.value_and_grad(lambda dp: pos(D(dp, real)) + neg(D(dp, fake)))(dp)
    dp, dm, dv = adam(dp, dm, dv, gd, t)
    lg, gx = jax.value_and_grad(lambda x: pos(D(dp, x)))(fake)
    (gg,) = vjp(gx)
    gp, gm, gv = adam(gp, gm, gv, gg, t)
    return (gp, gm, gv, dp, dm, dv, t, key), ld, lg


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if kind == "dcgan64":
    data = np.random.rand(1024, 64, 64, 3).astype(np.float32) * 2 - 1
else:
    with gzip.open(a.data / "train-images-idx3-ubyte.gz") as f:
        data = np.frombuffer(f.read(), np.uint8, offset=16).astype(np.float32) / 127.5 - 1
    data = data.reshape(-1, 784) if kind.startswith("mlp") else data.reshape(-1, 28, 28, 1)
zeros = lambda p: tm(jnp.zeros_like, p)
S = (gp, zeros(gp), zeros(gp), dp, zeros(dp), zeros(dp), jnp.zeros(()), key)


def go(S, i):
    at = i * B % (len(data) - B)
    S, ld, lg = step(S, data[at:at + B])
    return S, float(ld), float(lg)


S, *first = go(S, 0)
if a.first:
    st = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    age = float(open("/proc/uptime").read().split()[0]) - st
    print(f"{w} {T} jax first_step_done_s {age:.2f} peak_rss_mb {rss():.0f}")
    sys.exit()
for i in range(1, 4):
    S, *last = go(S, i)
times, end, i = [], time.perf_counter() + a.seconds, 4
while len(times) < 3 or time.perf_counter() < end:
    start = time.perf_counter()
    S, *last = go(S, i)
    times.append(time.perf_counter() - start)
    i += 1
median = float(np.median(times))
print(f"{w} {T} jax {1 / median:.2f} {B / median:.0f} {rss():.0f}", flush=True)
if a.v:
    print(f"  steps {len(times)} median {median * 1e3:.3f} ms min {min(times) * 1e3:.3f} losses first {first} last {last}",
          file=sys.stderr)
