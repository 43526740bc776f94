//! The optimisers' in-place kernels.

use crate::Tensor;
use crate::backend::{self, Update, UpdateRow};

/// A parameter in the table of one optimiser step.
pub(crate) struct Row<'a> {
    /// Updated in place, or replaced if a live graph still holds its value.
    pub param: &'a mut Tensor,
    pub grad: Tensor,
    /// The rule's state for this parameter.
    pub moments: &'a mut [Tensor],
    /// A moving average of the parameter, and its decay.
    pub ema: Option<(&'a mut Tensor, f64)>,
}

/// One optimiser step over all parameters, in one pass.
pub(crate) fn update(rule: Update, rows: Vec<Row>) {
    let Some(device) = rows.first().map(|r| r.param.device()) else { return };
    let (mut table, mut grads) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        row.param.check_with("optimiser", &row.grad);
        row.param.check_full("optimiser");
        assert_eq!(row.param.shape(), row.grad.shape(), "optimiser: a gradient has its parameter's shape");
        grads.push(row.grad.contiguous());
        table.push((row.param, row.moments, row.ema));
    }
    let mut rows: Vec<UpdateRow> = table
        .into_iter()
        .zip(&grads)
        .map(|((param, moments, ema), grad)| UpdateRow {
            param: param.make_unique(),
            grad: grad.view(),
            moments: moments.iter_mut().map(|m| m.make_unique()).collect(),
            ema: ema.map(|(e, decay)| (e.make_unique(), decay)),
        })
        .collect();
    backend::of(device).update(rule, &mut rows);
}
