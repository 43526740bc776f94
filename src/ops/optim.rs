//! The optimisers' in-place kernels.

use super::check_devices;
use crate::backend::{self, GradClip, Update, UpdateRow, View};
use crate::error::misuse;
use crate::{DType, Tensor};

/// What messages call the op.
const STEP: &str = "Optimizer::step";

/// A parameter in the table of one optimiser step.
pub(crate) struct Row<'a> {
    /// Updated in place, or replaced if a live graph still holds its value.
    pub param: &'a mut Tensor,
    /// As [`gradients`] returns it.
    pub grad: Tensor,
    /// What the kernel makes of the gradient as it reads it.
    pub clip: GradClip,
    /// The rule's state for this parameter.
    pub moments: &'a mut [Tensor],
    /// A moving average of the parameter, and its decay.
    pub ema: Option<(&'a mut Tensor, f64)>,
}

/// Checks a step's gradients against its parameters, before anything is written, and lays them out as kernels read
/// them.
#[track_caller]
pub(crate) fn gradients(params: &[&mut Tensor], grads: Vec<Option<Tensor>>) -> Vec<Option<Tensor>> {
    if params.len() != grads.len() {
        misuse!(
            STEP,
            "{} parameters (shapes {:?}) and {} gradients; give one for each, None where there is no gradient",
            params.len(),
            params.iter().map(|p| p.shape()).collect::<Vec<_>>(),
            grads.len()
        );
    }
    for (i, (p, g)) in params.iter().zip(&grads).enumerate() {
        p.check_full(STEP);
        if p.device() != params[0].device() {
            misuse!(
                STEP,
                "parameter {i} (shape {:?}) is on {}, parameter 0 on {}; give each device an optimiser of its own",
                p.shape(),
                p.device(),
                params[0].device()
            );
        }
        let Some(g) = g else { continue };
        p.check_with(STEP, g);
        if p.shape() != g.shape() {
            misuse!(
                STEP,
                "parameter {i} has shape {:?}, its gradient {:?}; a gradient has its parameter's shape",
                p.shape(),
                g.shape()
            );
        }
    }
    grads.into_iter().map(|g| g.map(|g| g.detach().contiguous())).collect()
}

/// Checks a step's averages against its parameters.
#[track_caller]
pub(crate) fn check_averages(params: &[&mut Tensor], averages: &[&mut Tensor]) {
    if params.len() != averages.len() {
        misuse!(
            STEP,
            "{} parameters and {} averages; give one average for each parameter, in the same order",
            params.len(),
            averages.len()
        );
    }
    for (i, (p, e)) in params.iter().zip(averages).enumerate() {
        p.check_with(STEP, e);
        if p.shape() != e.shape() {
            misuse!(
                STEP,
                "parameter {i} has shape {:?}, its average {:?}; an average has its parameter's shape",
                p.shape(),
                e.shape()
            );
        }
    }
}

/// Checks that a parameter is the one that the optimiser's state was made for.
#[track_caller]
pub(crate) fn check_moments(i: usize, param: &Tensor, moments: &[Tensor]) {
    for m in moments {
        if (m.shape(), m.dtype(), m.device()) != (param.shape(), param.dtype(), param.device()) {
            misuse!(
                STEP,
                "parameter {i} is {:?} {} on {}, at its last update it was {:?} {} on {}; give the parameters in the \
                 same order at every step, or begin with a new optimiser",
                param.shape(),
                param.dtype(),
                param.device(),
                m.shape(),
                m.dtype(),
                m.device()
            );
        }
    }
}

/// The sum of squares of each gradient in f64, in a fixed order.
#[track_caller]
pub(crate) fn sum_squares(op: &str, grads: &[&Tensor]) -> Vec<f64> {
    let mut sums = vec![0.0; grads.len()];
    for g in grads {
        g.check_full(op);
        check_devices(op, grads[0], g);
    }
    let grads: Vec<Tensor> = grads.iter().map(|g| g.detach().contiguous()).collect();
    // A table has one dtype.
    for dtype in [DType::F32, DType::F64] {
        let of_type: Vec<usize> = (0..grads.len()).filter(|&i| grads[i].dtype() == dtype).collect();
        let Some(&first) = of_type.first() else { continue };
        let table: Vec<View> = of_type.iter().map(|&i| grads[i].view()).collect();
        for (&i, sum) in of_type.iter().zip(grads[first].backend().sum_squares(&table)) {
            sums[i] = sum;
        }
    }
    sums
}

/// Moves the average of a parameter that the step leaves as it is. A leaf stays the same leaf.
pub(crate) fn move_average(average: &mut Tensor, param: &Tensor, decay: f64) {
    let moved = average.detach().mul_scalar(decay).add(&param.detach().mul_scalar(1.0 - decay));
    *average = moved.with_node(average.node().cloned());
}

/// One optimiser step over parameters of one dtype, in one pass. Rows were checked.
pub(crate) fn update(rule: Update, rows: Vec<Row>) {
    let Some(device) = rows.first().map(|r| r.param.device()) else { return };
    let (mut table, mut grads) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        grads.push(row.grad);
        table.push((row.param, row.clip, row.moments, row.ema));
    }
    let mut rows: Vec<UpdateRow> = table
        .into_iter()
        .zip(&grads)
        .map(|((param, clip, moments, ema), grad)| UpdateRow {
            param: param.make_unique(),
            grad: grad.view(),
            clip,
            moments: moments.iter_mut().map(|m| m.make_unique()).collect(),
            ema: ema.map(|(e, decay)| (e.make_unique(), decay)),
        })
        .collect();
    backend::of(device).update(rule, &mut rows);
}
