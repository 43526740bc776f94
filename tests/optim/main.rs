//! Optimisers: rules, bounds on gradients, averages, schedules, and how training uses them.

mod clip;
mod misuse;
mod rules;
mod training;

use ganvil::optim::{Adam, AdamW, Optimizer, RmsProp, Rule, Sgd};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};

/// Every rule with every setting switched on and off.
fn rules() -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    for weight_decay in [0.0, 0.05] {
        for momentum in [0.0, 0.7] {
            let sgd = Sgd { lr: 0.1, momentum, weight_decay, ..Sgd::default() };
            let rmsprop = RmsProp { alpha: 0.9, weight_decay, momentum, ..RmsProp::default() };
            all.extend([sgd, Sgd { dampening: 0.4, ..sgd }].map(Rule::from));
            all.extend((momentum > 0.0).then_some(Rule::from(Sgd { nesterov: true, ..sgd })));
            all.extend([rmsprop, RmsProp { centered: true, ..rmsprop }].map(Rule::from));
        }
        for amsgrad in [false, true] {
            let (lr, betas, eps) = (0.01, (0.5, 0.9), 1e-8);
            all.push(Adam { lr, betas, eps, weight_decay, amsgrad }.into());
            all.push(AdamW { lr, betas, eps, weight_decay, amsgrad }.into());
        }
    }
    all
}

/// A vector of two tasks' length and odd sizes.
const SHAPES: [&[usize]; 4] = [&[37, 911], &[3], &[], &[2, 3, 5, 7]];

fn normal(shape: &[usize], std: f64, dtype: DType, random: &Generator) -> Tensor {
    random.normal(shape, 0.0, std, dtype, Device::Cpu)
}

/// Parameters, and gradients of a few steps that become smaller: what AMSGrad's largest moment is for.
fn problem(dtype: DType) -> (Vec<Tensor>, Vec<Vec<Tensor>>) {
    let random = Generator::new(3, Stream::General);
    let draw = |std| SHAPES.map(|s| normal(s, std, dtype, &random)).to_vec();
    (draw(1.0), [1.0, 0.6, 0.2, 0.05].map(draw).to_vec())
}

fn step(optimizer: &mut Optimizer, params: &mut [Tensor], grads: &[Tensor]) {
    optimizer.step(params.iter_mut().collect(), grads.iter().cloned().map(Some).collect());
}

/// The bits of every element.
fn bits(tensors: &[Tensor]) -> Vec<u64> {
    tensors.iter().flat_map(Tensor::to_f64_vec).map(f64::to_bits).collect()
}

/// Equal as numbers: 0 and -0 are.
fn assert_same(a: &[Tensor], b: &[Tensor], what: &str) {
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!((a.shape(), a.dtype()), (b.shape(), b.dtype()), "{what}: tensor {i}");
        assert!(a.to_f64_vec() == b.to_f64_vec(), "{what}: tensor {i} differs");
    }
    assert_eq!(a.len(), b.len(), "{what}");
}
