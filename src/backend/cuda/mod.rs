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
        let d = self.driver();
        d.check("trim the pool", memory::trim(d));
    }

    fn fill(&self, value: f64, out: ViewMut) {
        copy::fill(self.driver(), value, out);
    }

    fn copy(&self, x: View, out: ViewMut) {
        copy::copy(self.driver(), x, out);
    }

    fn cast(&self, x: View, out: ViewMut) {
        copy::cast(self.driver(), x, out);
    }

    fn unary(&self, f: Unary, x: View, out: ViewMut) {
        elementwise::unary(self.driver(), f, x, out);
    }

    fn binary(&self, f: Binary, a: View, b: View, out: ViewMut) {
        elementwise::binary(self.driver(), f, a, b, out);
    }

    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut) {
        elementwise::compare(self.driver(), f, a, b, out);
    }

    fn select(&self, cond: View, a: View, b: View, out: ViewMut) {
        elementwise::select(self.driver(), cond, a, b, out);
    }

    fn accumulate(&self, x: View, acc: ViewMut) {
        self.widened(x, |x| self.narrowed(acc, true, |acc| elementwise::accumulate(self.driver(), x, acc)));
    }

    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut) {
        self.widened(x, |x| self.narrowed(out, false, |out| reduce::reduce(self, f, x, over, out)));
    }

    fn loss(&self, f: Loss, p: View, t: View, scale: f64, out: ViewMut) {
        self.narrowed(out, false, |out| loss::sum(self, f, p, t, scale, out));
    }

    fn loss_grad(&self, f: Loss, g: View, p: View, t: View, scale: f64, out: ViewMut) {
        loss::gradient(self.driver(), f, [g, p, t], scale, out);
    }

    fn argmax(&self, x: View, out: ViewMut) {
        reduce::argmax(self.driver(), x, out);
    }

    fn argsort(&self, x: View, descending: bool, out: ViewMut) {
        reduce::argsort(self.driver(), x, descending, out);
    }

    fn cumsum(&self, x: View, out: ViewMut) {
        self.widened(x, |x| self.narrowed(out, false, |out| reduce::cumsum(self.driver(), x, out)));
    }

    fn softmax(&self, log: bool, x: View, dim: usize, out: ViewMut) {
        rows::softmax(self, log, x, dim, out);
    }

    fn softmax_grad(&self, log: bool, g: View, y: View, dim: usize, out: ViewMut) {
        rows::softmax_grad(self, log, g, y, dim, out);
    }

    fn cross_entropy(&self, x: View, class: View, loss: ViewMut, stats: ViewMut) -> StdResult<(), BadIndex> {
        rows::cross_entropy(self, x, class, loss, stats);
        Ok(())
    }

    fn cross_entropy_grad(&self, g: View, x: View, class: View, stats: View, out: ViewMut) {
        rows::cross_entropy_grad(self, g, x, class, stats, out);
    }

    fn gemm(&self, a: View, b: View, end: Epilogue<View>, out: ViewMut) {
        assert!(end.slope.is_none(), "gemm: this device does not rectify");
        self.widened(a, |a| {
            self.widened(b, |b| match end.bias {
                Some(bias) => self.widened(bias, |bias| {
                    self.narrowed(out, false, |out| gemm::gemm(self, a, b, Some(bias), out));
                }),
                None => self.narrowed(out, false, |out| gemm::gemm(self, a, b, None, out)),
            })
        });
    }

    fn conv2d(&self, x: View, weight: View, end: Epilogue<View>, options: &ConvOptions, out: ViewMut) {
        assert!(end.slope.is_none(), "conv2d: this device does not rectify");
        conv::forward(self, x, weight, end.bias, options, out);
    }

    fn conv2d_input_grad(
        &self,
        g: View,
        weight: View,
        bias: Option<View>,
        options: &ConvOptions,
        out: ViewMut,
    ) {
        conv::input_grad(self, g, weight, bias, options, out);
    }

    fn conv2d_weight_grad(&self, x: View, g: View, options: &ConvOptions, out: ViewMut) {
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
        let bad = self.driver().note_place(op);
        self.widened(src, |src| {
            self.narrowed(acc, true, |acc| index::scatter_add(self, src, dim, index, acc, bad));
        });
        Ok(())
    }

    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut) {
        norm::stats(self, x, mean, var);
    }

    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut) {
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
        group_norm::gradient(self, shape, [g, x, stats], weight, out);
    }

    fn upfirdn2d(&self, p: Upfirdn, x: View, filter: View, out: ViewMut) {
        self.contiguous(filter, |filter| image::upfirdn2d(self.driver(), p, x, filter, out));
    }

    fn argmax_pool2d(&self, window: Window, x: View, out: ViewMut) {
        image::argmax_pool2d(self.driver(), window, x, out);
    }

    fn random(&self, what: Random, key: Key, call: u64, out: ViewMut) {
        update::random(self.driver(), what, key, call, out);
    }

    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        reduce::sum_squares(self, table)
    }

    fn update(&self, rule: Update, rows: &mut [UpdateRow]) {
        update::update(self.driver(), rule, rows);
    }
}

/// The sizes `[images, height, width, channels]` of an operand in channels-last order.
fn images(l: &Layout) -> [usize; 4] {
    debug_assert!(l.is_channels_last());
    [0, 2, 3, 1].map(|d| l.shape()[d])
}
