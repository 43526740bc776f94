//! Matrix products of views: from layouts to the operands of `gemm`, and the weights that are turned once.

use super::access::slice_mut;
use super::gemm;
use crate::Layout;
use crate::backend::{Epilogue, View, ViewMut};

/// Products of the last two dimensions, over all others.
pub(super) fn matmul<T: gemm::GemmElement>(a: View, b: View, end: Epilogue<View>, out: ViewMut) {
    let batch = out.layout.rank() - 2;
    let (la, lb, lc) = (a.layout, b.layout, out.layout);
    let dims: Vec<gemm::BatchDim> = (0..batch)
        .map(|d| gemm::BatchDim {
            size: lc.shape()[d],
            a: la.strides()[d],
            b: lb.strides()[d],
            c: lc.strides()[d],
        })
        .collect();
    let size = [lc.shape()[batch], lc.shape()[batch + 1], la.shape()[batch + 1]];
    let strides = |l: &Layout| (l.strides()[batch], l.strides()[batch + 1]);
    let ((ars, acs), (brs, bcs), (crs, ccs)) = (strides(la), strides(lb), strides(lc));
    let mut right = gemm::MatRef { data: &b.slice::<T>()[lb.offset()..], rs: brs, cs: bcs };
    // A linear layer's weight lies transposed. Few rows of A do not pay for turning it each time, and it is multiplied by
    // several batches between two updates.
    let [m, n, k] = size;
    let worth = batch == 0 && m <= gemm::DIRECT_B_ROWS && n > 1 && k > 1 && brs == 1 && bcs > 1;
    let turned = (worth && gemm::is_acc::<T>()).then(|| {
        let key = [2, lb.offset(), k, n, bcs, 0, 0, 0, 0, 0, 0, 0];
        b.storage.packed().get_or_make(key, || gemm::turned(right, k, n))
    });
    if let Some(turned) = &turned {
        let turned = turned.as_slice::<T>();
        right = gemm::MatRef { data: turned, rs: turned.len() / k, cs: 1 };
    }
    gemm::gemm_batch(
        &dims,
        size,
        gemm::MatRef { data: &a.slice::<T>()[la.offset()..], rs: ars, cs: acs },
        right,
        end.map(
            |v| (&v.slice::<T>()[v.layout.offset()..], v.layout.strides()[0]),
            <T::Acc as gemm::Real>::of,
        ),
        gemm::MatMut { data: &mut slice_mut::<T>(out.storage)[lc.offset()..], rs: crs, cs: ccs },
    );
}
