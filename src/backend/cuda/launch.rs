//! Launching: every kernel behind a function with its parameters' types.

use super::args::*;
use super::driver::Driver;
use cudarc::driver::{LaunchConfig, PushKernelArg};

/// A kernel as its PTX declares it.
pub(crate) struct Entry {
    pub name: &'static str,
    /// Place in [`MODULES`].
    pub module: usize,
    /// Bytes of each parameter.
    pub params: &'static [usize],
    /// Threads of a block.
    pub threads: usize,
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Blocks: x may go up to 2^31 - 1, y and z to 65535.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid(pub usize, pub usize, pub usize);

impl Grid {
    /// Of one dimension, with a block for every `each` of `n`.
    pub fn over(n: usize, each: usize) -> Grid {
        Grid(n.div_ceil(each), 1, 1)
    }
}

/// The most blocks along y and along z.
pub(super) const MAX_GRID: usize = 65535;

/// Defines a launch function for each family of kernels with the same parameters, and the table of their sizes.
macro_rules! launchers {
    ($($(#[$doc:meta])* $family:ident { $($kernel:ident),* $(,)? } ($($arg:ident: $t:ty),* $(,)?);)*) => {
        $(
            $(#[$doc])*
            #[allow(clippy::too_many_arguments)]
            pub(super) fn $family(driver: &Driver, kernel: Kernel, grid: Grid, $($arg: $t),*) {
                debug_assert!(matches!(kernel, $(Kernel::$kernel)|*), "{kernel:?} takes other parameters");
                let Grid(x, y, z) = grid;
                if x == 0 || y == 0 || z == 0 {
                    return;
                }
                debug_assert!(y <= MAX_GRID && z <= MAX_GRID && x < MAX_ELEMENTS, "{kernel:?} on {grid:?}");
                let entry = &ENTRIES[kernel as usize];
                debug_assert_eq!(entry.params, [$(size_of::<$t>()),*], "{kernel:?}");
                let config = LaunchConfig {
                    grid_dim: (x as u32, y as u32, z as u32),
                    block_dim: (entry.threads as u32, 1, 1),
                    shared_mem_bytes: 0,
                };
                let function = driver.function(kernel);
                let mut launch = driver.stream.launch_builder(function);
                $(launch.arg(&$arg);)*
                // SAFETY: number and sizes of the arguments are those of the PTX (the test below); addresses are of
                // live buffers of this device that hold what the kernel's contract asks for, which is the primitive's
                // part; memory is freed in stream order, so after the kernel.
                let done = unsafe { launch.launch(config) };
                driver.check(entry.name, done.map(|_| ()));
                super::memory::launched();
                driver.finish_if_asked(entry.name);
            }
        )*

        /// The kernels of each launch function, and the sizes of the arguments it gives.
        #[cfg(test)]
        const SIGNATURES: &[(&[Kernel], &[usize])] =
            &[$((&[$(Kernel::$kernel),*], &[$(size_of::<$t>()),*]),)*];
    };
}

launchers! {
    fill { FillB1, FillB2, FillB4, FillB8 } (value: u64, out: Ptr, n: u32);
    copy { CopyB1, CopyB2, CopyB4, CopyB8 } (x: Ptr, out: Ptr, nest: Nest<2>, n: u32);
    copy_dense { CopyDense } (x: Ptr, out: Ptr, bytes: u64);
    transpose { TransposeB1, TransposeB2, TransposeB4, TransposeB8 } (x: Ptr, out: Ptr, rows: u32, columns: u32);
    cast { Cast } (x: Ptr, out: Ptr, from: u32, to: u32, nest: Nest<2>, n: u32);
    unary_dense { UnaryDense } (f: Function, x: Ptr, out: Ptr, n: u32);
    unary_strided { UnaryStridedF32, UnaryStridedF16, UnaryStridedBf16 }
        (f: Function, x: Ptr, out: Ptr, nest: Nest<2>, n: u32);
    binary_dense { BinaryDense } (f: Function, a: Ptr, b: Ptr, out: Ptr, n: u32);
    binary_strided { BinaryStridedF32, BinaryStridedF16, BinaryStridedBf16 }
        (f: Function, a: Ptr, b: Ptr, out: Ptr, nest: Nest<3>, n: u32);
    accumulate { Accumulate } (x: Ptr, acc: Ptr, nest: Nest<2>, n: u32);
    compare { CompareF32, CompareF16, CompareBf16, CompareI64, CompareU8 }
        (holds: u32, a: Ptr, b: Ptr, out: Ptr, nest: Nest<3>, n: u32);
    select {
        SelectU8B1, SelectU8B2, SelectU8B4, SelectU8B8, SelectI64B1, SelectI64B2, SelectI64B4, SelectI64B8,
    } (cond: Ptr, a: Ptr, b: Ptr, out: Ptr, nest: Nest<4>, n: u32);
    reduce { SumRows, SumColumns, MaxRows, MaxColumns } (x: Ptr, out: Ptr, kept: Nest<2>, terms: Nest<1>, part: Part);
    loss_dense { LossDense } (f: u32, p: Ptr, t: Ptr, out: Ptr, length: u32, scale: f32, n: u32);
    loss_strided { LossStridedF32, LossStridedF16, LossStridedBf16 }
        (f: u32, p: Ptr, t: Ptr, out: Ptr, nest: Nest<2>, length: u32, scale: f32, n: u32);
    loss_total { LossTotal } (partial: Ptr, out: Ptr, scale: f32, n: u32);
    loss_grad_dense { LossGradDense } (f: u32, g: Ptr, p: Ptr, t: Ptr, out: Ptr, each: u32, scale: f32, n: u32);
    loss_grad_strided { LossGradStridedF32, LossGradStridedF16, LossGradStridedBf16 }
        (f: u32, g: Ptr, p: Ptr, t: Ptr, out: Ptr, nest: Nest<4>, scale: f32, n: u32);
    squares_partial { SquaresPartial } (x: Ptr, partial: Ptr, n: u32);
    squares_total { SquaresTotal } (partial: Ptr, out: Ptr, n: u32);
    argmax { ArgmaxF32, ArgmaxF16, ArgmaxBf16, ArgmaxI64, ArgmaxU8 } (x: Ptr, out: Ptr, length: u32);
    argsort { ArgsortF32, ArgsortF16, ArgsortBf16, ArgsortI64, ArgsortU8 }
        (x: Ptr, out: Ptr, length: u32, descending: u32);
    cumsum { CumsumF32 } (x: Ptr, out: Ptr, length: u32);
    softmax { SoftmaxWarp128, SoftmaxWarp1024, SoftmaxBlock4096, SoftmaxBlock8192, SoftmaxLong }
        (x: Ptr, out: Ptr, n: u32, rows: u32, log: u32);
    softmax_grad {
        SoftmaxGradWarp128, SoftmaxGradWarp1024, SoftmaxGradBlock4096, SoftmaxGradBlock8192, SoftmaxGradLong,
    } (g: Ptr, y: Ptr, out: Ptr, n: u32, rows: u32, log: u32);
    softmax_columns { SoftmaxColumns128, SoftmaxColumns } (x: Ptr, out: Ptr, shape: Columns, log: u32);
    softmax_grad_columns { SoftmaxGradColumns128, SoftmaxGradColumns }
        (g: Ptr, y: Ptr, out: Ptr, shape: Columns, log: u32);
    cross_entropy {
        CrossEntropyWarp128, CrossEntropyWarp1024, CrossEntropyBlock4096, CrossEntropyBlock8192, CrossEntropyLong,
    } (x: Ptr, class: Ptr, loss: Ptr, stats: Ptr, n: u32, rows: u32, bad: Ptr);
    cross_entropy_columns { CrossEntropyColumns }
        (x: Ptr, class: Ptr, loss: Ptr, stats: Ptr, shape: Columns, bad: Ptr);
    cross_entropy_grad_rows { CrossEntropyGradRows }
        (g: Ptr, x: Ptr, class: Ptr, stats: Ptr, out: Ptr, n: Divisor, step: u32, total: u32);
    cross_entropy_grad_columns { CrossEntropyGradColumns } (
        g: Ptr, x: Ptr, class: Ptr, stats: Ptr, out: Ptr, n: Divisor, inner: Divisor, step: u32, total: u32,
    );
    gemm {
        GemmNaive, GemmShared, GemmRegister, GemmKk128, GemmKl128, GemmLk128, GemmLl128, GemmKk64, GemmKl64, GemmLk64,
        GemmLl64,
    } (a: Ptr, b: Ptr, bias: Ptr, c: Ptr, problem: Gemm);
    combine { Combine } (partial: Ptr, bias: Ptr, out: Ptr, nest: Nest<2>, splits: u32, n: u32);
    conv { Conv2d128, Conv2d64, Conv2dInputGrad128, Conv2dInputGrad64, Conv2dInputGradThin }
        (x: Ptr, weight: Ptr, bias: Ptr, out: Ptr, problem: Conv);
    conv_weight_grad { Conv2dWeightGrad128, Conv2dWeightGrad64 } (x: Ptr, g: Ptr, out: Ptr, problem: Conv);
    index_select { IndexSelectB1, IndexSelectB2, IndexSelectB4, IndexSelectB8 } (
        x: Ptr, index: Ptr, out: Ptr, size: u32, count: Divisor, inner: Divisor, step: u32, bad: Ptr, n: u32,
    );
    gather { GatherB1, GatherB2, GatherB4, GatherB8 }
        (x: Ptr, index: Ptr, out: Ptr, nest: Nest<3>, size: u32, step: u32, bad: Ptr, n: u32);
    index_add { IndexAddF32 } (
        src: Ptr, index: Ptr, acc: Ptr, size: u32, count: u32, inner: Divisor, step: u32, bad: Ptr, n: u32,
    );
    scatter_add { ScatterAddF32 } (
        src: Ptr, index: Ptr, acc: Ptr, columns: Nest<3>, steps: Steps, size: u32, count: u32, bad: Ptr, n: u32,
    );
    scatter_row_keys { ScatterRowKeys }
        (index: Ptr, keys: Ptr, order: Ptr, step: u32, size: u32, bad: Ptr, n: u32);
    scatter_value_keys { ScatterValueKeys } (
        index: Ptr, src: Ptr, keys: Ptr, values: Ptr, nest: Nest<3>, step: u32, size: u32, places: u32, bad: Ptr, n: u32,
    );
    radix_count { RadixCount } (keys: Ptr, counts: Ptr, shift: u32, blocks: u32, n: u32);
    radix_scan { RadixScan } (counts: Ptr, totals: Ptr, blocks: u32);
    radix_scatter { RadixScatter } (
        keys: Ptr, payload: Ptr, counts: Ptr, totals: Ptr, keys_out: Ptr, payload_out: Ptr, shift: u32, blocks: u32, n: u32,
    );
    segment_rows { SegmentRows } (
        keys: Ptr, order: Ptr, src: Ptr, acc: Ptr, first: Ptr, next: Ptr, size: u32, count: u32, inner: Divisor,
        columns: Divisor, n: u32,
    );
    segment_rows_long { SegmentRowsLong } (
        keys: Ptr, first: Ptr, next: Ptr, acc: Ptr, size: u32, count: u32, inner: Divisor, columns: u32, strips: Divisor,
    );
    segment_values { SegmentValues }
        (keys: Ptr, values: Ptr, acc: Ptr, first: Ptr, next: Ptr, places: u32, n: u32);
    segment_values_long { SegmentValuesLong } (keys: Ptr, first: Ptr, next: Ptr, acc: Ptr, places: u32, n: u32);
    bn_sums {
        BnSumColumns, BnSumPlanes, BnDeviationColumns, BnDeviationPlanes, BnGradientColumns, BnGradientPlanes,
    } (x: Ptr, g: Ptr, mean: Ptr, rstd: Ptr, partial: Ptr, shape: Channels, length: u32);
    bn_combine { BnCombine } (partial: Ptr, out0: Ptr, out1: Ptr, channels: u32, parts: u32, scale: f32);
    bn_apply { BnApply }
        (x: Ptr, mean: Ptr, rstd: Ptr, weight: Ptr, bias: Ptr, out: Ptr, shape: Channels, n: u32);
    bn_input_grad { BnInputGrad } (
        g: Ptr, x: Ptr, mean: Ptr, rstd: Ptr, weight: Ptr, dw: Ptr, db: Ptr, dx: Ptr, shape: Channels, scale: f32, n: u32,
    );
    group_norm { GroupNormWarp128, GroupNormWarp1024, GroupNormBlock4096, GroupNormBlock8192, GroupNormLong }
        (x: Ptr, weight: Ptr, bias: Ptr, out: Ptr, stats: Ptr, shape: Groups, eps: f32);
    group_norm_grad {
        GroupNormGradWarp128, GroupNormGradWarp1024, GroupNormGradBlock4096, GroupNormGradBlock8192, GroupNormGradLong,
    } (g: Ptr, x: Ptr, stats: Ptr, weight: Ptr, dx: Ptr, shape: Groups);
    group_norm_lanes { GroupNormLanes }
        (x: Ptr, weight: Ptr, bias: Ptr, out: Ptr, stats: Ptr, shape: Lanes, eps: f32);
    group_norm_grad_lanes { GroupNormGradLanes }
        (g: Ptr, x: Ptr, stats: Ptr, weight: Ptr, dx: Ptr, shape: Lanes);
    group_norm_sums { GroupNormSumsColumns, GroupNormSumsPlanes }
        (g: Ptr, x: Ptr, stats: Ptr, partial: Ptr, shape: Sums);
    upfirdn { Upfirdn2dF32 } (x: Ptr, filter: Ptr, out: Ptr, p: Resampling, n: u32);
    argmax_pool { ArgmaxPool2dF32 } (x: Ptr, out: Ptr, window: Window, n: u32);
    random { RandomF32 } (draw: Draw, k0: u32, k1: u32, call: u64, out: Ptr, n: u32);
    sgd { Sgd } (table: Table, rule: Sgd);
    adam { Adam } (table: Table, rule: Adam);
    rmsprop { Rmsprop } (table: Table, rule: RmsProp);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver takes bare addresses of arguments: a wrong size would be read past its end.
    #[test]
    fn arguments_have_the_sizes_of_the_ptx_parameters() {
        for &kernel in Kernel::ALL {
            let entry = &ENTRIES[kernel as usize];
            let (_, sizes) = SIGNATURES
                .iter()
                .find(|(k, _)| k.contains(&kernel))
                .unwrap_or_else(|| panic!("no launch function for {}", entry.name));
            assert_eq!(*sizes, entry.params, "{}", entry.name);
            assert!((32..=1024).contains(&entry.threads), "{} has no __launch_bounds__", entry.name);
        }
        assert_eq!(SIGNATURES.iter().map(|(k, _)| k.len()).sum::<usize>(), ENTRIES.len());
    }
}
