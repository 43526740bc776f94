//! The CUDA backend: hand-written kernels (kernels/*.cu), launched through the driver that is found at run time.
//!
//! A primitive picks a kernel, works out its grid and its arguments by value, and launches it on the one stream; nothing
//! waits, and nothing comes back to the host but in `download` and `sum_squares`. The same code drives a GPU and, as
//! device `ptxsim`, the simulator that stands in for the driver.

mod args;
mod conv;
mod copy;
mod driver;
mod elementwise;
mod gemm;
mod group_norm;
mod image;
mod index;
pub(crate) mod launch;
mod loss;
mod memory;
mod norm;
mod reduce;
mod rows;
mod scatter;
mod update;

pub use gemm::Rung;
pub use memory::{Buffer, Traffic, traffic};

use super::trace::{note, note_conv, note_gemm};
use super::*;
use crate::Result;
use crate::rng::Key;
use driver::{Driver, driver};
use std::result::Result as StdResult;

/// The kernels of a GPU, or of its simulator.
pub struct Cuda {
    device: Device,
}

/// The first GPU.
pub static CUDA: Cuda = Cuda { device: Device::Cuda };
/// The simulator.
pub static PTXSIM: Cuda = Cuda { device: Device::Ptxsim };

/// Opens the driver of device `cuda` or `ptxsim` ahead of the first op, so that what is missing is an error and no
/// failure of an op.
///
/// ```
/// use ganvil::{Device, backend::cuda};
/// match cuda::open(Device::Cuda) {
///     Ok(description) => assert!(description.starts_with("cuda, ")),
///     Err(e) => assert!(e.to_string().starts_with("invalid device 'cuda': ")),
/// }
/// ```
///
/// # Errors
/// What was looked for, what the driver said, and what to do.
pub fn open(device: Device) -> Result<&'static str> {
    Ok(&driver::open(device)?.description)
}

/// What the simulator has counted since this was last asked, as JSON: for each kernel its warp instructions by class,
/// sectors of global memory asked for and the sectors that the bytes its lanes ask for would fill, conflicts of shared memory's banks, branches on which
/// lanes parted. None where the simulator is not open.
///
/// ```
/// // The CPU's kernels are none of its business.
/// ganvil::Tensor::ones(&[2], ganvil::DType::F32, ganvil::Device::Cpu).exp();
/// assert_eq!(ganvil::backend::cuda::simulator_counts(), None);
/// ```
pub fn simulator_counts() -> Option<String> {
    driver::take_counts()
}

/// Threads of the blocks of kernels that give each element a thread.
const BLOCK: usize = 256;

impl Cuda {
    fn driver(&self) -> &'static Driver {
        driver(self.device)
    }

    /// `c [m, n] = a [m, k] b [k, n]` by one rung of the GEMM ladder, for those who study it: f32, row-major without gaps.
    ///
    /// # Panics
    /// If the operands are anything else, or their sizes do not fit.
    pub fn gemm_rung(&self, rung: Rung, a: View, b: View, c: ViewMut) {
        let (la, lb, lc) = (a.layout, b.layout, c.layout);
        let fits = [la, lb, lc].iter().all(|l| l.rank() == 2 && l.is_contiguous())
            && la.shape()[1] == lb.shape()[0]
            && lc.shape() == [la.shape()[0], lb.shape()[1]];
        let held = |s: &Storage, l: &Layout| {
            s.device() == self.device && s.dtype() == DType::F32 && l.offset() + l.numel() <= s.len()
        };
        let held = held(a.storage, la) && held(b.storage, lb) && held(c.storage, lc);
        assert!(
            held,
            "gemm_rung: the operands are not f32 storages of {} that hold their layouts",
            self.device
        );
        assert!(fits, "gemm_rung: {la:?} times {lb:?} into {lc:?}; use contiguous [m, k], [k, n] and [m, n]");
        gemm::on_rung(self, rung, a, b, c);
    }

    /// A dense f32 buffer that lives as long as the call: kernels that read it are ahead of its release on the stream.
    fn scratch(&self, len: usize) -> Storage {
        memory::alloc(self.device, DType::F32, len)
    }

    /// The operand, or a row-major copy of it where it does not lie so.
    fn contiguous<R>(&self, x: View, f: impl FnOnce(View) -> R) -> R {
        if x.layout.is_contiguous() {
            return f(x);
        }
        let layout = Layout::contiguous(x.layout.shape());
        let mut own = memory::alloc(self.device, x.storage.dtype(), layout.numel());
        copy::copy(self.driver(), x, ViewMut { storage: &mut own, layout: &layout });
        f(View { storage: &own, layout: &layout })
    }

    /// The operand in f32: itself, or a row-major copy of half-precision values.
    fn widened<R>(&self, x: View, f: impl FnOnce(View) -> R) -> R {
        if x.storage.dtype() == DType::F32 {
            return f(x);
        }
        let layout = Layout::contiguous(x.layout.shape());
        let mut own = self.scratch(layout.numel());
        copy::cast(self.driver(), x, ViewMut { storage: &mut own, layout: &layout });
        f(View { storage: &own, layout: &layout })
    }

    /// Runs `f` on an f32 result, which is then rounded to the half-precision one that is wanted. Where `f` adds to what
    /// is there, `read` brings it in first.
    fn narrowed<R>(&self, mut out: ViewMut, read: bool, f: impl FnOnce(ViewMut) -> R) -> R {
        if out.storage.dtype() == DType::F32 {
            return f(out);
        }
        let layout = Layout::contiguous(out.layout.shape());
        let mut own = self.scratch(layout.numel());
        if read {
            let old = View { storage: out.storage, layout: out.layout };
            copy::cast(self.driver(), old, ViewMut { storage: &mut own, layout: &layout });
        }
        let r = f(ViewMut { storage: &mut own, layout: &layout });
        copy::cast(self.driver(), View { storage: &own, layout: &layout }, out.reborrow());
        r
    }
}

impl Backend for Cuda {
    fn device(&self) -> Device {
        self.device
    }

    fn describe(&self) -> String {
        self.driver().description.clone()
    }

    fn tier(&self) -> &'static str {
        match self.device {
            Device::Ptxsim => "ptxsim",
            _ => "cuda",
        }
    }

    fn alloc(&self, dtype: DType, len: usize) -> Storage {
        memory::alloc(self.device, dtype, len)
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Storage {
        memory::upload(self.device, dtype, bytes)
    }

    fn download(&self, x: &Storage, first: usize, bytes: &mut [u8]) {
        memory::download(x, first, bytes);
    }

    fn synchronize(&self) {
        let d = self.driver();
        d.check("wait for the device", d.stream.synchronize());
        d.report_bad_index();
    }

    fn pool_stats(&self) -> PoolStats {
        memory::stats()
    }

    fn trim(&self) {
        memory::trim(self.driver());
    }

    fn fill(&self, value: f64, out: ViewMut) {
        note("fill", out.layout.shape());
        copy::fill(self.driver(), value, out);
    }

    fn copy(&self, x: View, out: ViewMut) {
        note("copy", out.layout.shape());
        copy::copy(self.driver(), x, out);
    }

    fn cast(&self, x: View, out: ViewMut) {
        note("cast", out.layout.shape());
        copy::cast(self.driver(), x, out);
    }

    fn unary(&self, f: Unary, x: View, out: ViewMut) {
        note("unary", out.layout.shape());
        elementwise::unary(self.driver(), f, x, out);
    }

    fn binary(&self, f: Binary, a: View, b: View, out: ViewMut) {
        note("binary", out.layout.shape());
        elementwise::binary(self.driver(), f, a, b, out);
    }

    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut) {
        note("compare", out.layout.shape());
        elementwise::compare(self.driver(), f, a, b, out);
    }

    fn select(&self, cond: View, a: View, b: View, out: ViewMut) {
        note("select", out.layout.shape());
        elementwise::select(self.driver(), cond, a, b, out);
    }

    fn accumulate(&self, x: View, acc: ViewMut) {
        note("accumulate", acc.layout.shape());
        self.widened(x, |x| self.narrowed(acc, true, |acc| elementwise::accumulate(self.driver(), x, acc)));
    }

    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut) {
        note("reduce", x.layout.shape());
        self.widened(x, |x| self.narrowed(out, false, |out| reduce::reduce(self, f, x, over, out)));
    }

    fn loss(&self, f: Loss, p: View, t: View, scale: f64, out: ViewMut) {
        note("loss", p.layout.shape());
        self.narrowed(out, false, |out| loss::sum(self, f, p, t, scale, out));
    }

    fn loss_grad(&self, f: Loss, g: View, p: View, t: View, scale: f64, out: ViewMut) {
        note("loss_grad", out.layout.shape());
        loss::gradient(self.driver(), f, [g, p, t], scale, out);
    }

    fn argmax(&self, x: View, out: ViewMut) {
        note("argmax", x.layout.shape());
        reduce::argmax(self.driver(), x, out);
    }

    fn argsort(&self, x: View, descending: bool, out: ViewMut) {
        note("argsort", x.layout.shape());
        reduce::argsort(self.driver(), x, descending, out);
    }

    fn cumsum(&self, x: View, out: ViewMut) {
        note("cumsum", x.layout.shape());
        self.widened(x, |x| self.narrowed(out, false, |out| reduce::cumsum(self.driver(), x, out)));
    }

    fn softmax(&self, log: bool, x: View, dim: usize, out: ViewMut) {
        note("softmax", x.layout.shape());
        rows::softmax(self, log, x, dim, out);
    }

    fn softmax_grad(&self, log: bool, g: View, y: View, dim: usize, out: ViewMut) {
        note("softmax_grad", y.layout.shape());
        rows::softmax_grad(self, log, g, y, dim, out);
    }

    fn cross_entropy(&self, x: View, class: View, loss: ViewMut, stats: ViewMut) -> StdResult<(), BadIndex> {
        note("cross_entropy", x.layout.shape());
        rows::cross_entropy(self, x, class, loss, stats);
        Ok(())
    }

    fn cross_entropy_grad(&self, g: View, x: View, class: View, stats: View, out: ViewMut) {
        note("cross_entropy_grad", x.layout.shape());
        rows::cross_entropy_grad(self, g, x, class, stats, out);
    }

    fn gemm(&self, a: View, b: View, bias: Option<View>, out: ViewMut) {
        note_gemm(&a, &out);
        self.widened(a, |a| {
            self.widened(b, |b| match bias {
                Some(bias) => self.widened(bias, |bias| {
                    self.narrowed(out, false, |out| gemm::gemm(self, a, b, Some(bias), out));
                }),
                None => self.narrowed(out, false, |out| gemm::gemm(self, a, b, None, out)),
            })
        });
    }

    fn conv2d(&self, x: View, weight: View, bias: Option<View>, options: &ConvOptions, out: ViewMut) {
        note_conv("conv2d", out.layout.shape(), weight.layout.shape());
        conv::forward(self, x, weight, bias, options, out);
    }

    fn conv2d_input_grad(
        &self,
        g: View,
        weight: View,
        bias: Option<View>,
        options: &ConvOptions,
        out: ViewMut,
    ) {
        note_conv("conv2d_input_grad", g.layout.shape(), weight.layout.shape());
        conv::input_grad(self, g, weight, bias, options, out);
    }

    fn conv2d_weight_grad(&self, x: View, g: View, options: &ConvOptions, out: ViewMut) {
        note_conv("conv2d_weight_grad", g.layout.shape(), out.layout.shape());
        conv::weight_grad(self, x, g, options, out);
    }

    // An index that is none is met by the kernel, long after these have returned; what waits for the device next tells.

    fn index_select(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> StdResult<(), BadIndex> {
        note("index_select", out.layout.shape());
        let d = self.driver();
        self.contiguous(x, |x| index::index_select(d, x, dim, index, out, d.note_place(op)));
        Ok(())
    }

    fn index_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> StdResult<(), BadIndex> {
        note("index_add", acc.layout.shape());
        let bad = self.driver().note_place(op);
        self.widened(src, |src| {
            self.contiguous(src, |src| {
                self.narrowed(acc, true, |acc| index::index_add(self, src, dim, index, acc, bad));
            });
        });
        Ok(())
    }

    fn gather(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> StdResult<(), BadIndex> {
        note("gather", out.layout.shape());
        let d = self.driver();
        index::gather(d, x, dim, index, out, d.note_place(op));
        Ok(())
    }

    fn scatter_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> StdResult<(), BadIndex> {
        note("scatter_add", acc.layout.shape());
        let bad = self.driver().note_place(op);
        self.widened(src, |src| {
            self.narrowed(acc, true, |acc| index::scatter_add(self, src, dim, index, acc, bad));
        });
        Ok(())
    }

    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut) {
        note("batch_norm_stats", x.layout.shape());
        norm::stats(self, x, mean, var);
    }

    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut) {
        note("batch_norm_apply", x.layout.shape());
        self.contiguous(mean, |mean| {
            self.contiguous(rstd, |rstd| {
                self.contiguous(weight, |weight| {
                    self.contiguous(bias, |bias| {
                        norm::apply(self.driver(), x, mean, rstd, weight, bias, out)
                    });
                });
            });
        });
    }

    fn batch_norm_grad(&self, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads) {
        note("batch_norm_grad", x.layout.shape());
        self.contiguous(stats.mean, |mean| {
            self.contiguous(stats.rstd, |rstd| {
                self.contiguous(stats.weight, |weight| {
                    norm::gradient(self, g, x, BatchNormStats { mean, rstd, weight }, out);
                });
            });
        });
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
        note("group_norm", x.layout.shape());
        group_norm::forward(self, shape, eps, x, affine, out, stats);
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
        note("group_norm_grad", x.layout.shape());
        group_norm::gradient(self, shape, [g, x, stats], weight, out);
    }

    fn upfirdn2d(&self, p: Upfirdn, x: View, filter: View, out: ViewMut) {
        note("upfirdn2d", out.layout.shape());
        self.contiguous(filter, |filter| image::upfirdn2d(self.driver(), p, x, filter, out));
    }

    fn argmax_pool2d(&self, window: Window, x: View, out: ViewMut) {
        note("argmax_pool2d", out.layout.shape());
        image::argmax_pool2d(self.driver(), window, x, out);
    }

    fn random(&self, what: Random, key: Key, call: u64, out: ViewMut) {
        note("random", out.layout.shape());
        update::random(self.driver(), what, key, call, out);
    }

    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        note("sum_squares", &[table.iter().map(|x| x.layout.numel()).sum()]);
        reduce::sum_squares(self, table)
    }

    fn update(&self, rule: Update, rows: &mut [UpdateRow]) {
        note("update", &[rows.iter().map(|r| r.param.len()).sum()]);
        update::update(self.driver(), rule, rows);
    }
}

/// The sizes `[images, height, width, channels]` of an operand in channels-last order.
fn images(l: &Layout) -> [usize; 4] {
    debug_assert!(l.is_channels_last());
    [0, 2, 3, 1].map(|d| l.shape()[d])
}
