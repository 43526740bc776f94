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

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy from one order of dimensions in memory, slowest first, to another against single elements. `fast` and `inner`:
    /// sizes of what is fastest in either.
    fn check<A: Real + PartialEq + std::fmt::Debug>(
        shape: &[usize],
        [order, to]: [&[usize]; 2],
        [fast, inner]: [usize; 2],
    ) {
        let dense = |order: &[usize]| {
            let sizes: Vec<usize> = order.iter().map(|&d| shape[d]).collect();
            let back: Vec<usize> =
                (0..order.len()).map(|d| order.iter().position(|&o| o == d).expect("an order")).collect();
            Layout::contiguous(&sizes).permuted(&back)
        };
        let (xl, ol) = (dense(order), dense(to));
        let x: Vec<A> = (0..xl.numel()).map(|i| A::of(i as f64)).collect();
        let mut out = vec![A::ZERO; ol.numel()];
        let turned = copy(&x, &xl, &mut out, &ol);
        assert_eq!(turned, fast >= 4 && inner >= A::kernels(tier()).lanes, "{shape:?} {order:?} {to:?}");
        if !turned {
            return;
        }
        for i in 0..xl.numel() {
            let (mut at, mut rest) = ([0; 2], i);
            for d in (0..shape.len()).rev() {
                let index = rest % shape[d];
                at = [at[0] + index * xl.strides()[d], at[1] + index * ol.strides()[d]];
                rest /= shape[d];
            }
            assert_eq!(x[at[0]], out[at[1]], "element {i} of {shape:?} {order:?} {to:?}");
        }
    }

    #[test]
    fn images_and_matrices_are_turned() {
        let (planes, pixels) = ([0, 1, 2, 3], [0, 2, 3, 1]);
        for shape in
            [[3, 20, 5, 7], [1, 16, 4, 4], [2, 33, 3, 6], [2, 3, 8, 8], [5, 64, 9, 13], [2, 64, 1, 2]]
        {
            let (c, plane) = (shape[1], shape[2] * shape[3]);
            check::<f32>(&shape, [&planes, &pixels], [plane, c]);
            check::<f32>(&shape, [&pixels, &planes], [c, plane]);
            check::<f64>(&shape, [&planes, &pixels], [plane, c]);
            check::<f64>(&shape, [&pixels, &planes], [c, plane]);
        }
        for shape in [[17, 16], [16, 100], [130, 67], [4, 16], [300, 31], [40, 7], [3, 40]] {
            check::<f32>(&shape, [&[1, 0], &[0, 1]], shape);
            check::<f64>(&shape, [&[1, 0], &[0, 1]], shape);
        }
        // Dimensions between the two, and the operand's fastest outermost.
        check::<f32>(&[6, 3, 2, 40], [&[1, 3, 2, 0], &planes], [6, 40]);
        check::<f32>(&[9, 3, 2, 40], [&[3, 1, 2, 0], &planes], [9, 40]);
        check::<f32>(&[64, 50, 40], [&[2, 1, 0], &[0, 1, 2]], [64, 40]);
    }
}
