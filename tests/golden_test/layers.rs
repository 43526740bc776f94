//! Operations that the library has as modules.

use super::attrs::Attrs;
use ganvil::nn::{BatchNorm, ConditionalBatchNorm2d, Ctx, Module};
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

/// The module, given the fixture's tables and running statistics, and its classes as the pass's condition.
pub fn conditional_batch_norm(a: &Attrs, x: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let [x, class, gamma, beta, mean, var] = x else {
        return Err(format!("conditional_batch_norm has 6 inputs, got {}", x.len()));
    };
    let (classes, features) = (gamma.size(0), mean.numel());
    let mut norm = ConditionalBatchNorm2d::new(features, classes, a.f64("eps")?, a.f64("momentum")?);
    norm.gamma = gamma.clone();
    norm.beta = beta.clone();
    norm.running_mean.set(mean.clone());
    norm.running_var.set(var.clone());
    if a.bool("training")? {
        let random = Generator::new(0, Stream::General);
        let y = norm.forward(x, &Ctx::train(&random).with_condition(class));
        Ok(vec![y, norm.running_mean.get(), norm.running_var.get()])
    } else {
        Ok(vec![norm.forward(x, &Ctx::eval().with_condition(class))])
    }
}
