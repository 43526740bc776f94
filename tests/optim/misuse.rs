//! Wrong calls: the message names what is wrong, and nothing has been updated.

use super::*;
use ganvil::optim::{Clip, Ema, Schedule, StepOptions, differentiable, grad_norm};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[track_caller]
fn refused(parts: &[&str], f: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("not refused");
    let message = payload.downcast_ref::<String>().expect("misuse panics with a formatted message");
    for part in parts {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
}

fn ones(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::ones(shape, dtype, Device::Cpu)
}

fn one(shape: &[usize]) -> Tensor {
    ones(shape, DType::F32)
}

/// A step of SGD on parameters that must be refused, and must then be as they were.
#[track_caller]
fn step_refused(parts: &[&str], mut params: Vec<Tensor>, grads: Vec<Option<Tensor>>) {
    let before = params.clone();
    let mut sgd = Optimizer::new(Sgd::default());
    let parts = [&["Optimizer::step: "], parts].concat();
    refused(&parts, || sgd.step(params.iter_mut().collect(), grads));
    assert_same(&params, &before, "parameters");
}

#[test]
fn gradients_that_do_not_fit() {
    let two = || vec![one(&[2]), one(&[3, 2])];
    step_refused(&["2 parameters (shapes [[2], [3, 2]]) and 1 gradients"], two(), vec![None]);
    let g = vec![Some(one(&[2])), Some(one(&[2, 3]))];
    step_refused(&["parameter 1 has shape [3, 2], its gradient [2, 3]"], two(), g);
    let g = vec![Some(one(&[2])), Some(ones(&[3, 2], DType::F64))];
    step_refused(&["dtypes f32 (shape [3, 2]) and f64 (shape [3, 2]) do not mix"], two(), g);
    let g = vec![Some(one(&[2])), Some(one(&[3, 2]).to_device(Device::Meta))];
    step_refused(&["different devices, cpu (shape [3, 2]) and meta"], two(), g);
    for dtype in [DType::BF16, DType::I64] {
        let p = vec![one(&[2]), ones(&[2], dtype)];
        step_refused(&["takes f32 or f64, got", &dtype.to_string()], p, vec![Some(one(&[2])), None]);
    }
    refused(&["grad_norm: ", "takes f32 or f64, got f16"], || {
        grad_norm(&[Some(ones(&[2], DType::F16))]);
    });
}

#[test]
fn averages_that_do_not_fit() {
    for (averages, part) in [
        (vec![one(&[2])], "2 parameters and 1 averages"),
        (vec![one(&[2]), one(&[2])], "parameter 1 has shape [3], its average [2]"),
        (vec![one(&[2]), ones(&[3], DType::F64)], "do not mix"),
    ] {
        let (mut params, mut averages) = (vec![one(&[2]), one(&[3])], averages);
        let before = params.clone();
        let mut sgd = Optimizer::new(Sgd::default());
        let grads = params.iter().cloned().map(Some).collect();
        refused(&["Optimizer::step: ", part], || {
            let ema = Some((averages.iter_mut().collect(), 0.5));
            let options = StepOptions { ema, clip: None };
            sgd.step_with(params.iter_mut().collect(), grads, options).unwrap();
        });
        assert_same(&params, &before, part);
    }
}

#[test]
fn parameters_on_two_devices() {
    let (here, there) = (one(&[2]), one(&[3]).to_device(Device::Meta));
    let grads = vec![Some(here.clone()), Some(there.clone())];
    refused(&["Optimizer::step: ", "parameter 1 (shape [3]) is on meta", "parameter 0 on cpu"], || {
        let (mut a, mut b) = (here, there);
        Optimizer::new(Sgd::default()).step(vec![&mut a, &mut b], grads);
    });
}

#[test]
fn decays_of_averages() {
    for decay in [-0.1, 1.5, f64::NAN] {
        let (mut p, mut average) = (one(&[2]), one(&[2]));
        let grads = vec![Some(p.clone())];
        refused(&["Optimizer::step: ", "decay of the average", "[0, 1]", &decay.to_string()], || {
            let options = StepOptions { ema: Some((vec![&mut average], decay)), clip: None };
            Optimizer::new(Sgd::default()).step_with(vec![&mut p], grads, options).unwrap();
        });
    }
}

#[test]
fn lists_that_change_between_steps() {
    let mut adam = Optimizer::new(Adam::default());
    let (mut a, mut b) = (one(&[2]), one(&[3]));
    adam.step(vec![&mut a, &mut b], vec![Some(one(&[2])), Some(one(&[3]))]);
    refused(&["1 parameters, 2 at the step before"], || adam.step(vec![&mut a], vec![Some(one(&[2]))]));
    refused(&["parameter 0 is [3] f32 on cpu, at its last update it was [2] f32", "same order"], || {
        adam.step(vec![&mut b, &mut a], vec![Some(one(&[3])), Some(one(&[2]))])
    });
    adam.rule = adam.rule.with_lr(0.5); // may change
    adam.step(vec![&mut a, &mut b], vec![Some(one(&[2])), None]);
    adam.rule = Adam { amsgrad: true, ..Adam::default() }.into();
    refused(&["the rule has become Adam", "max_exp_avg_sq", "Begin with a new optimiser"], || {
        adam.step(vec![&mut a, &mut b], vec![Some(one(&[2])), None])
    });
}

/// Every setting out of its range: where a configuration is read as an error, where an optimiser is made as a bug.
#[test]
fn settings_out_of_range() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let (sgd, adam, adamw, rmsprop) = (Sgd::default(), Adam::default(), AdamW::default(), RmsProp::default());
    let bad: Vec<(&str, Rule)> = vec![
        ("lr = -0.1", Sgd { lr: -0.1, ..sgd }.into()),
        ("lr = NaN", Adam { lr: nan, ..adam }.into()),
        ("lr = inf", AdamW { lr: inf, ..adamw }.into()),
        ("lr = -1", RmsProp { lr: -1.0, ..rmsprop }.into()),
        ("momentum = -0.5", Sgd { momentum: -0.5, ..sgd }.into()),
        ("dampening = inf", Sgd { dampening: inf, ..sgd }.into()),
        ("nesterov = true", Sgd { nesterov: true, ..sgd }.into()),
        ("nesterov = true", Sgd { nesterov: true, momentum: 0.9, dampening: 0.1, ..sgd }.into()),
        ("weight_decay = -1", Sgd { weight_decay: -1.0, ..sgd }.into()),
        ("weight_decay = -1", Adam { weight_decay: -1.0, ..adam }.into()),
        ("weight_decay = NaN", AdamW { weight_decay: nan, ..adamw }.into()),
        ("weight_decay = inf", RmsProp { weight_decay: inf, ..rmsprop }.into()),
        ("betas = (1.0, 0.999)", Adam { betas: (1.0, 0.999), ..adam }.into()),
        ("betas = (0.9, -0.1)", Adam { betas: (0.9, -0.1), ..adam }.into()),
        ("betas = (NaN, 0.999)", AdamW { betas: (nan, 0.999), ..adamw }.into()),
        ("eps = -0.001", Adam { eps: -1e-3, ..adam }.into()),
        ("eps = NaN", AdamW { eps: nan, ..adamw }.into()),
        ("eps = -1", RmsProp { eps: -1.0, ..rmsprop }.into()),
        ("alpha = 1.5", RmsProp { alpha: 1.5, ..rmsprop }.into()),
        ("momentum = NaN", RmsProp { momentum: nan, ..rmsprop }.into()),
    ];
    for (part, rule) in bad {
        assert!(rule.check().unwrap_err().to_string().starts_with(&format!("{part}: ")), "{rule:?}");
        refused(&["Optimizer::new: ", part], || drop(Optimizer::new(rule)));
        refused(&["differentiable::step: ", part], || drop(differentiable::step(&rule, &[], &[], &[])));
        let mut optimizer = Optimizer::new(Sgd::default());
        optimizer.rule = rule;
        refused(&["Optimizer::step: ", part], || optimizer.step(vec![], vec![]));
    }
    rules().iter().for_each(|r| r.check().unwrap());
    for max in [0.0, -1.0, inf, nan] {
        for clip in [Clip::Norm { max }, Clip::Value { max }] {
            assert_eq!(clip.check().unwrap_err().name, "max");
            let options = StepOptions { clip: Some(clip), ema: None };
            refused(&["Optimizer::step: ", "the bound on gradients has max = "], || {
                Optimizer::new(Sgd::default()).step_with(vec![], vec![], options).unwrap();
            });
        }
    }
    for half_life_kimg in [0.0, -1.0, inf, nan] {
        assert_eq!(Ema { half_life_kimg, rampup: 0.05 }.check().unwrap_err().name, "half_life_kimg");
    }
    refused(&["Schedule::factor: ", "every = 0"], || {
        Schedule::Step { every: 0, gamma: 0.5, warmup: 0 }.factor(3);
    });
}

#[test]
fn differentiable_steps_that_do_not_fit() {
    let rule = Adam::default().into();
    let step = |p: &[Tensor], g: &[Option<Tensor>], s: &[differentiable::State]| {
        differentiable::step(&rule, p, g, s);
    };
    let p = [one(&[2])];
    refused(&["differentiable::step: 1 parameters, 2 gradients and 1 states"], || {
        step(&p, &[None, None], &[])
    });
    refused(&["parameter 0 is [2] f32 on cpu, its gradient [3] f32"], || step(&p, &[Some(one(&[3]))], &[]));
    refused(&["its gradient [2] f64"], || step(&p, &[Some(ones(&[2], DType::F64))], &[]));
    let sgd = Sgd { momentum: 0.9, ..Sgd::default() }.into();
    let (_, state) = differentiable::step(&sgd, &p, &[Some(one(&[2]))], &[]);
    refused(&["a state of 1 moments", "exp_avg_sq"], || step(&p, &[Some(one(&[2]))], &state));
    let (_, state) = differentiable::step(&rule, &p, &[Some(one(&[2]))], &[]);
    refused(&["parameter 0 is [3] f32 on cpu, its state [2] f32"], || {
        step(&[one(&[3])], &[Some(one(&[3]))], &state)
    });
}
