#!/usr/bin/env python3
"""PyTorch's times for what `cargo bench --bench cuda` measures: the same lines, f32 without TF32.

    cuda_peer.py            needs PyTorch with CUDA; prints SKIPPED and why without
"""
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    sys.exit(print(f"SKIPPED: {e}"))
if not torch.cuda.is_available():
    sys.exit(print("SKIPPED: PyTorch sees no GPU"))

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True
torch.set_default_device("cuda")
print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")


def run(name, flops, bytes_, f):
    def timed(count):
        start = time.perf_counter()
        for _ in range(count):
            f()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / count

    timed(3)
    count = min(max(int(2e-3 / timed(10)), 5), 2000)
    seconds = statistics.median(timed(count) for _ in range(15))
    rate, unit = (flops / seconds / 1e9, "GFLOP/s") if flops else (bytes_ / seconds / 1e9, "GB/s")
    print(f"{name:<44} {seconds * 1e6:>10.2f} us {rate:>10.1f} {unit}", flush=True)


for m, n, k in [(64, 784, 256), (256, 256, 256), (1024, 1024, 1024), (4096, 4096, 4096)]:
    a, b, c = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    run(f"gemm top {m} {n} {k}", 2 * m * n * k, 0, lambda: torch.mm(a, b, out=c))

for n, c, side, o in [(64, 1, 28, 64), (64, 64, 14, 128), (64, 3, 64, 64), (64, 64, 32, 128), (64, 128, 16, 256), (64, 256, 8, 512)]:
    for form in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(n, c, side, side).contiguous(memory_format=form)
        w = torch.randn(o, c, 4, 4).contiguous(memory_format=form)
        g = torch.randn(n, o, side // 2, side // 2).contiguous(memory_format=form)
        work = 2 * n * (side // 2) ** 2 * o * c * 16
        shape = f"{n}x{c}x{side}x{side} -> {o}" + (" cl" if form is torch.channels_last else "")
        back = lambda mask: torch.ops.aten.convolution_backward(g, x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, mask)
        run(f"conv2d {shape}", work, 0, lambda: F.conv2d(x, w, None, 2, 1))
        run(f"conv2d_input_grad {shape}", work, 0, lambda: back([True, False, False]))
        run(f"conv2d_weight_grad {shape}", work, 0, lambda: back([False, True, False]))

n = 16 << 20
x, y = torch.randn(n), torch.randn(n)
run("copy 16M", 0, 8 * n, lambda: x + 0.0)
run("leaky_relu 16M", 0, 8 * n, lambda: F.leaky_relu(x, 0.2))
run("tanh 16M", 0, 8 * n, lambda: torch.tanh(x))
run("add 16M", 0, 12 * n, lambda: x + y)
run("sum 16M", 0, 4 * n, lambda: x.sum())
target = y.sigmoid()
run("bce_with_logits 16M", 0, 8 * n, lambda: F.binary_cross_entropy_with_logits(x, target))
m = x.view(4096, 4096)
run("transpose 4096x4096", 0, 8 * n, lambda: m.t().contiguous())
run("softmax 4096x4096", 0, 8 * n, lambda: m.softmax(1))
t = m.clone().requires_grad_()
soft = t.softmax(1)
run("softmax_grad 4096x4096", 0, 12 * n, lambda: torch.autograd.grad(soft, t, m, retain_graph=True))
classes = m.argmax(1)
run("cross_entropy 4096x4096", 0, 4 * n, lambda: F.cross_entropy(m, classes))
loss = F.cross_entropy(t, classes)
run("cross_entropy_grad 4096x4096", 0, 8 * n, lambda: torch.autograd.grad(loss, t, retain_graph=True))
run("normal 16M", 0, 4 * n, lambda: torch.randn(n))
rows = x.view(16384, 1024).clone().requires_grad_()
w, b = torch.randn(1024, requires_grad=True), torch.randn(1024, requires_grad=True)
with torch.no_grad():
    run("layer_norm 16384x1024", 0, 8 * n, lambda: F.layer_norm(rows, (1024,), w, b))
z, g = F.layer_norm(rows, (1024,), w, b), y.view(16384, 1024)
run("layer_norm_grad 16384x1024", 0, 20 * n, lambda: torch.autograd.grad(z, (rows, w, b), g, retain_graph=True))
for form in (torch.contiguous_format, torch.channels_last):
    x = torch.randn(64, 128, 28, 28).contiguous(memory_format=form)
    w, b = torch.randn(128), torch.randn(128)
    suffix = " cl" if form is torch.channels_last else ""
    run("group_norm 64x128x28x28 by 32" + suffix, 0, 8 * x.numel(), lambda: F.group_norm(x, 32, w, b))
    run("instance_norm 64x128x28x28" + suffix, 0, 8 * x.numel(), lambda: F.instance_norm(x, weight=w, bias=b))
    run("batch_norm 64x128x28x28" + suffix, 0, 12 * x.numel(), lambda: F.batch_norm(x, None, None, w, b, True))
for count, rows, width in [(65536, 10, 128), (65536, 50000, 128)]:
    table, src, index = torch.randn(rows, width), torch.randn(count, width), torch.arange(count) * 7919 % rows
    bytes_ = 4 * count * width + 8 * count + 8 * rows * width
    run(f"index_add {count}x{width} -> {rows}", 0, bytes_, lambda: table.index_add(0, index, src))
count, places = 1 << 20, 1000
acc, src, index = torch.randn(places), torch.randn(count), torch.arange(count) * 7919 % places
run("scatter_add 1M -> 1000", 0, 12 * count + 8 * places, lambda: acc.scatter_add(0, index, src))
params = [torch.randn(1024, 1024, requires_grad=True) for _ in range(4)]
for p in params:
    p.grad = p.detach().clone()
adam = torch.optim.Adam(params, fused=True)
run("adam 4.2M", 0, 28 * sum(p.numel() for p in params), adam.step)
