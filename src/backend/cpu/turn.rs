//! Copies into an order of memory whose fastest dimension is another than the operand's, as vectors: images between
//! row-major and channels-last order, transposed matrices.

use super::gemm::Real;
use super::par;
use super::simd::tier;
use crate::layout::{Layout, coalesce};

/// Elements along the operand's fastest dimension that are turned at a time: what is written is then nearly in order.
const DEPTH: usize = 64;

/// out = x if the result is dense, fast along one dimension where the operand is fast along another, and both are long enough
/// for vectors; whether that is so.
pub(super) fn copy<A: Real>(x: &[A], xl: &Layout, out: &mut [A], ol: &Layout) -> bool {
    if ol.numel() == 0 || !ol.is_dense() {
        return false;
    }
    let (shape, [to, from]) = coalesce([ol, xl]);
    let (last, kernels) = (shape.len() - 1, A::kernels(tier()));
    let (n, apart, lanes) = (shape[last], from[last], kernels.lanes);
    let Some(fast) = (0..last).find(|&d| from[d] == 1 && shape[d] >= 4) else { return false };
    if apart < 2 || n < lanes {
        return false;
    }
    let farthest: usize = shape.iter().zip(from.iter()).map(|(&n, &s)| (n - 1) * s).sum();
    assert!(xl.offset() + farthest < x.len());
    let x = &x[xl.offset()..];
    let out = &mut out[ol.dense_range()];
    let between: Vec<usize> = (1..last).filter(|&d| d != fast).collect();
    let count: usize = between.iter().map(|&d| shape[d]).product();
    par::split(out, to[0], par::pieces(shape.iter().product(), par::GRAIN), &|first, out| {
        let along = out.len() / to[0];
        // The outermost dimension is cut among threads, be it the operand's fastest or not.
        let (depth, outermost) = if fast == 0 { (along, 1) } else { (shape[fast], along) };
        for i in 0..outermost * count {
            let (mut src, mut dst) = (first * from[0], 0);
            if fast > 0 {
                (src, dst) = (src + i / count * from[0], i / count * to[0]);
            }
            let mut rest = i % count;
            for &d in between.iter().rev() {
                let at = rest % shape[d];
                (src, dst, rest) = (src + at * from[d], dst + at * to[d], rest / shape[d]);
            }
            for k in (0..depth).step_by(DEPTH) {
                let depth = DEPTH.min(depth - k);
                for j in (0..n).step_by(lanes) {
                    // The last vector ends with the row, and repeats some of what the one before it has.
                    let j = j.min(n - lanes);
                    let (src, dst) = (&x[src + k + j * apart..], &mut out[dst + k * to[fast] + j..]);
                    assert!(src.len() >= (lanes - 1) * apart + depth);
                    assert!(dst.len() >= (depth - 1) * to[fast] + lanes);
                    // SAFETY: `lanes` runs of `depth` elements can be read and `depth` of `lanes` written, as just checked. A
                    // table of kernels is handed out for tiers the machine has.
                    unsafe {
                        let (src, dst) = (src.as_ptr(), dst.as_mut_ptr());
                        (kernels.transpose)(src, apart, lanes, depth, dst, to[fast]);
                    }
                }
            }
        }
    });
    true
}
