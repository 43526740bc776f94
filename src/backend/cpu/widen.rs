//! Half types through f32 kernels: operands are widened before and results rounded once after.

use super::Cpu;
use crate::DType;
use crate::backend::{Backend, Storage, View, ViewMut};

/// Runs a kernel for f32 and f64 on operands of any float type: half types are widened to f32 before and rounded
/// after.
pub(super) fn in_float<const N: usize>(
    operands: [View; N],
    out: ViewMut,
    kernel: impl FnOnce([View; N], ViewMut),
) {
    if out.storage.dtype().size() > 2 {
        return kernel(operands, out);
    }
    let mut wide = Cpu.alloc(DType::F32, out.storage.len());
    in_widened(operands, ViewMut { storage: &mut wide, layout: out.layout }, kernel);
    Cpu.cast(View { storage: &wide, layout: out.layout }, out);
}

/// [`in_float`] for kernels that add to their result.
pub(super) fn in_float_accumulating<const N: usize>(
    operands: [View; N],
    acc: ViewMut,
    kernel: impl FnOnce([View; N], ViewMut),
) {
    if acc.storage.dtype().size() > 2 {
        return kernel(operands, acc);
    }
    let mut wide = Cpu.alloc(DType::F32, acc.storage.len());
    let old = View { storage: acc.storage, layout: acc.layout };
    Cpu.cast(old, ViewMut { storage: &mut wide, layout: acc.layout });
    in_widened(operands, ViewMut { storage: &mut wide, layout: acc.layout }, kernel);
    Cpu.cast(View { storage: &wide, layout: acc.layout }, acc);
}

fn in_widened<const N: usize>(operands: [View; N], out: ViewMut, kernel: impl FnOnce([View; N], ViewMut)) {
    let layouts = operands.map(|v| v.layout.like());
    let storages: [Storage; N] = std::array::from_fn(|i| {
        let mut s = Cpu.alloc(DType::F32, layouts[i].numel());
        Cpu.cast(operands[i], ViewMut { storage: &mut s, layout: &layouts[i] });
        s
    });
    kernel(std::array::from_fn(|i| View { storage: &storages[i], layout: &layouts[i] }), out);
}
