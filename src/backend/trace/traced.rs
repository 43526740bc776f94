//! A backend whose calls are noted.

use super::note;
use crate::backend::*;

/// Hands every call on to a device's backend, and notes the kernels among them. On a GPU a kernel whose time is taken is
/// waited for.
pub(in crate::backend) struct Traced(pub &'static dyn Backend);

impl Traced {
    fn call<R>(
        &self,
        kernel: &'static str,
        shape: &[usize],
        bytes: u64,
        f: impl FnOnce(&dyn Backend) -> R,
    ) -> R {
        let span = note(kernel, shape, bytes);
        let result = f(self.0);
        if span.is_timed() {
            self.0.synchronize();
        }
        result
    }
}

impl View<'_> {
    /// What of it is in memory.
    fn bytes(&self) -> u64 {
        distinct(self.layout) * self.storage.dtype().size() as u64
    }
}

impl ViewMut<'_> {
    fn bytes(&self) -> u64 {
        distinct(self.layout) * self.storage.dtype().size() as u64
    }
}

/// Elements that are not repeats of others by a stride of 0.
fn distinct(layout: &Layout) -> u64 {
    let sizes = layout.shape().iter().zip(layout.strides());
    sizes.map(|(&n, &step)| if step == 0 { n.min(1) as u64 } else { n as u64 }).product()
}

fn given(operand: Option<View>) -> u64 {
    operand.map_or(0, |x| x.bytes())
}

/// What an update of a parameter reads and writes.
fn moved(row: &UpdateRow) -> u64 {
    let arrays = 1 + 2 * (1 + row.moments.len() + usize::from(row.ema.is_some()));
    (arrays * row.param.len() * row.param.dtype().size()) as u64
}

/// m, n, k and the batch dimensions of a matrix product `out [.., m, n] = a [.., m, k] b`.
fn product(a: &View, out: &ViewMut) -> Vec<usize> {
    let [batch @ .., m, n] = out.layout.shape() else { unreachable!("matrices have two dimensions") };
    let k = a.layout.shape()[a.layout.rank() - 1];
    [&[*m, *n, k], batch].concat()
}

/// The shapes of a convolution's result (or the gradient of that) and of a window of its weight (or the gradient of that).
fn windows(y: &Layout, weight: &Layout) -> Vec<usize> {
    [y.shape(), &weight.shape()[1..]].concat()
}

impl Backend for Traced {
    fn device(&self) -> Device {
        self.0.device()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn tier(&self) -> &'static str {
        self.0.tier()
    }
    fn alloc(&self, dtype: DType, len: usize) -> Storage {
        self.0.alloc(dtype, len)
    }
    fn upload(&self, dtype: DType, bytes: &[u8]) -> Storage {
        self.0.upload(dtype, bytes)
    }
    fn download(&self, x: &Storage, first: usize, bytes: &mut [u8]) {
        self.0.download(x, first, bytes);
    }
    fn synchronize(&self) {
        self.0.synchronize();
    }
    fn pool_stats(&self) -> PoolStats {
        self.0.pool_stats()
    }
    fn trim(&self) {
        self.0.trim();
    }

    fn fill(&self, value: f64, out: ViewMut) {
        let bytes = out.bytes();
        self.call("fill", out.layout.shape(), bytes, |to| to.fill(value, out))
    }

    fn copy(&self, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("copy", out.layout.shape(), bytes, |to| to.copy(x, out))
    }

    fn cast(&self, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("cast", out.layout.shape(), bytes, |to| to.cast(x, out))
    }

    fn unary(&self, f: Unary, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("unary", out.layout.shape(), bytes, |to| to.unary(f, x, out))
    }

    fn binary(&self, f: Binary, a: View, b: View, out: ViewMut) {
        let bytes = a.bytes() + b.bytes() + out.bytes();
        self.call("binary", out.layout.shape(), bytes, |to| to.binary(f, a, b, out))
    }

    fn rectifies(&self) -> bool {
        self.0.rectifies()
    }
    fn works_in_place(&self) -> bool {
        self.0.works_in_place()
    }

    fn unary_in_place(&self, f: Unary, x: ViewMut) {
        let bytes = 2 * x.bytes();
        self.call("unary", x.layout.shape(), bytes, |to| to.unary_in_place(f, x))
    }

    fn binary_in_place(&self, f: Binary, a: ViewMut, b: View) {
        let bytes = 2 * a.bytes() + b.bytes();
        self.call("binary", a.layout.shape(), bytes, |to| to.binary_in_place(f, a, b))
    }

    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut) {
        let bytes = a.bytes() + b.bytes() + out.bytes();
        self.call("compare", out.layout.shape(), bytes, |to| to.compare(f, a, b, out))
    }

    fn select(&self, cond: View, a: View, b: View, out: ViewMut) {
        let bytes = cond.bytes() + a.bytes() + b.bytes() + out.bytes();
        self.call("select", out.layout.shape(), bytes, |to| to.select(cond, a, b, out))
    }

    fn accumulate(&self, x: View, acc: ViewMut) {
        let bytes = x.bytes() + 2 * acc.bytes();
        self.call("accumulate", acc.layout.shape(), bytes, |to| to.accumulate(x, acc))
    }

    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("reduce", x.layout.shape(), bytes, |to| to.reduce(f, x, over, out))
    }

    fn loss(&self, f: Loss, p: View, t: View, scale: f64, out: ViewMut) {
        let bytes = p.bytes() + t.bytes() + out.bytes();
        self.call("loss", p.layout.shape(), bytes, |to| to.loss(f, p, t, scale, out))
    }

    fn loss_grad(&self, f: Loss, g: View, p: View, t: View, scale: f64, out: ViewMut) {
        let bytes = g.bytes() + p.bytes() + t.bytes() + out.bytes();
        self.call("loss_grad", out.layout.shape(), bytes, |to| to.loss_grad(f, g, p, t, scale, out))
    }

    fn argmax(&self, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("argmax", x.layout.shape(), bytes, |to| to.argmax(x, out))
    }

    fn argsort(&self, x: View, descending: bool, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("argsort", x.layout.shape(), bytes, |to| to.argsort(x, descending, out))
    }

    fn cumsum(&self, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("cumsum", x.layout.shape(), bytes, |to| to.cumsum(x, out))
    }

    fn softmax(&self, log: bool, x: View, dim: usize, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("softmax", x.layout.shape(), bytes, |to| to.softmax(log, x, dim, out))
    }

    fn softmax_grad(&self, log: bool, g: View, y: View, dim: usize, out: ViewMut) {
        let bytes = g.bytes() + y.bytes() + out.bytes();
        self.call("softmax_grad", y.layout.shape(), bytes, |to| to.softmax_grad(log, g, y, dim, out))
    }

    fn cross_entropy(&self, x: View, class: View, loss: ViewMut, stats: ViewMut) -> Result<(), BadIndex> {
        let bytes = x.bytes() + class.bytes() + loss.bytes() + stats.bytes();
        self.call("cross_entropy", x.layout.shape(), bytes, |to| to.cross_entropy(x, class, loss, stats))
    }

    fn cross_entropy_grad(&self, g: View, x: View, class: View, stats: View, out: ViewMut) {
        let bytes = g.bytes() + x.bytes() + class.bytes() + stats.bytes() + out.bytes();
        self.call("cross_entropy_grad", x.layout.shape(), bytes, |to| {
            to.cross_entropy_grad(g, x, class, stats, out)
        })
    }

    fn gemm(&self, a: View, b: View, end: Epilogue<View>, out: ViewMut) {
        let bytes = a.bytes() + b.bytes() + given(end.bias) + out.bytes();
        self.call("gemm", &product(&a, &out), bytes, |to| to.gemm(a, b, end, out))
    }

    fn conv2d(&self, x: View, weight: View, end: Epilogue<View>, options: &ConvOptions, out: ViewMut) {
        let bytes = x.bytes() + weight.bytes() + given(end.bias) + out.bytes();
        self.call("conv2d", &windows(out.layout, weight.layout), bytes, |to| {
            to.conv2d(x, weight, end, options, out)
        })
    }

    fn conv2d_input_grad(
        &self,
        g: View,
        weight: View,
        bias: Option<View>,
        options: &ConvOptions,
        out: ViewMut,
    ) {
        let bytes = g.bytes() + weight.bytes() + given(bias) + out.bytes();
        self.call("conv2d_input_grad", &windows(g.layout, weight.layout), bytes, |to| {
            to.conv2d_input_grad(g, weight, bias, options, out)
        })
    }

    fn conv2d_weight_grad(&self, x: View, g: View, options: &ConvOptions, out: ViewMut) {
        let bytes = x.bytes() + g.bytes() + out.bytes();
        self.call("conv2d_weight_grad", &windows(g.layout, out.layout), bytes, |to| {
            to.conv2d_weight_grad(x, g, options, out)
        })
    }

    fn index_select(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex> {
        let bytes = 2 * out.bytes() + index.bytes();
        self.call("index_select", out.layout.shape(), bytes, |to| to.index_select(op, x, dim, index, out))
    }

    fn index_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex> {
        let bytes = 3 * src.bytes() + index.bytes();
        self.call("index_add", acc.layout.shape(), bytes, |to| to.index_add(op, src, dim, index, acc))
    }

    fn gather(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex> {
        let bytes = 2 * out.bytes() + index.bytes();
        self.call("gather", out.layout.shape(), bytes, |to| to.gather(op, x, dim, index, out))
    }

    fn scatter_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex> {
        let bytes = 3 * src.bytes() + index.bytes();
        self.call("scatter_add", acc.layout.shape(), bytes, |to| to.scatter_add(op, src, dim, index, acc))
    }

    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut) {
        let bytes = x.bytes() + mean.bytes() + var.bytes();
        self.call("batch_norm_stats", x.layout.shape(), bytes, |to| to.batch_norm_stats(x, mean, var))
    }

    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut) {
        let bytes = x.bytes() + mean.bytes() + rstd.bytes() + weight.bytes() + bias.bytes() + out.bytes();
        self.call("batch_norm_apply", x.layout.shape(), bytes, |to| {
            to.batch_norm_apply(x, mean, rstd, weight, bias, out)
        })
    }

    fn batch_norm_grad(&self, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads) {
        let bytes = g.bytes()
            + x.bytes()
            + stats.mean.bytes()
            + stats.rstd.bytes()
            + stats.weight.bytes()
            + out.x.bytes()
            + out.weight.bytes()
            + out.bias.bytes();
        self.call("batch_norm_grad", x.layout.shape(), bytes, |to| to.batch_norm_grad(g, x, stats, out))
    }

    fn group_norm(
        &self,
        shape: Groups,
        eps: f64,
        x: View,
        affine: [Option<View>; 2],
        out: ViewMut,
        stats: ViewMut,
    ) {
        let bytes = x.bytes() + affine.into_iter().map(given).sum::<u64>() + out.bytes() + stats.bytes();
        self.call("group_norm", x.layout.shape(), bytes, |to| {
            to.group_norm(shape, eps, x, affine, out, stats)
        })
    }

    fn group_norm_grad(
        &self,
        shape: Groups,
        g: View,
        x: View,
        stats: View,
        weight: Option<View>,
        out: GroupNormGrads,
    ) {
        let bytes = g.bytes()
            + x.bytes()
            + stats.bytes()
            + given(weight)
            + out.x.bytes()
            + out.affine.iter().flatten().map(ViewMut::bytes).sum::<u64>();
        self.call("group_norm_grad", x.layout.shape(), bytes, |to| {
            to.group_norm_grad(shape, g, x, stats, weight, out)
        })
    }

    fn upfirdn2d(&self, p: Upfirdn, x: View, filter: View, out: ViewMut) {
        let bytes = x.bytes() + filter.bytes() + out.bytes();
        self.call("upfirdn2d", out.layout.shape(), bytes, |to| to.upfirdn2d(p, x, filter, out))
    }

    fn argmax_pool2d(&self, window: Window, x: View, out: ViewMut) {
        let bytes = x.bytes() + out.bytes();
        self.call("argmax_pool2d", out.layout.shape(), bytes, |to| to.argmax_pool2d(window, x, out))
    }

    fn random(&self, what: Random, key: crate::rng::Key, call: u64, out: ViewMut) {
        let bytes = out.bytes();
        self.call("random", out.layout.shape(), bytes, |to| to.random(what, key, call, out))
    }

    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        let bytes = table.iter().map(View::bytes).sum();
        self.call("sum_squares", &[table.iter().map(|x| x.layout.numel()).sum()], bytes, |to| {
            to.sum_squares(table)
        })
    }

    fn update(&self, rule: Update, rows: &mut [UpdateRow]) {
        let bytes = rows.iter().map(moved).sum();
        self.call("update", &[rows.iter().map(|r| r.param.len()).sum()], bytes, |to| to.update(rule, rows))
    }
}
