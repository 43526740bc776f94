//! Operations that the library has as modules.

use super::attrs::Attrs;
use ganvil::nn::{BatchNorm, Ctx, Module};
use ganvil::rng::Stream;
use ganvil::{Generator, Tensor};

/// The module for x's rank, given the fixture's parameters and running statistics. Training gives the statistics after
/// as well.
pub fn batch_norm(a: &Attrs, x: &[Tensor]) -> Result<Vec<Tensor>, String> {
    match x.first().map(Tensor::rank) {
        Some(4) => batch_norm_of::<2>(a, x),
        _ => batch_norm_of::<1>(a, x),
    }
}

fn batch_norm_of<const DIMS: usize>(a: &Attrs, x: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let [x, weight, bias, mean, var] = x else {
        return Err(format!("batch_norm has 5 inputs, got {}", x.len()));
    };
    let mut bn = BatchNorm::<DIMS>::new(weight.numel(), a.f64("eps")?, a.f64("momentum")?);
    bn.weight = weight.clone();
    bn.bias = bias.clone();
    bn.running_mean.set(mean.clone());
    bn.running_var.set(var.clone());
    if a.bool("training")? {
        let random = Generator::new(0, Stream::General);
        let y = bn.forward(x, &Ctx::train(&random));
        Ok(vec![y, bn.running_mean.get(), bn.running_var.get()])
    } else {
        Ok(vec![bn.forward(x, &Ctx::eval())])
    }
}
