//! The rules by themselves. PyTorch's values are among the golden fixtures.

use super::*;
use ganvil::autograd::grad;
use ganvil::optim::{StepOptions, differentiable};

#[test]
fn a_differentiable_step_gives_the_kernels_numbers() {
    for dtype in [DType::F32, DType::F64] {
        for rule in rules() {
            let (mut params, grads) = problem(dtype);
            let (mut pure, mut state) = (params.clone(), Vec::new());
            let mut optimizer = Optimizer::new(rule);
            for (t, g) in grads.iter().enumerate() {
                step(&mut optimizer, &mut params, g);
                let g: Vec<_> = g.iter().cloned().map(Some).collect();
                (pure, state) = differentiable::step(&rule, &pure, &g, &state);
                // The same operations in the same order, each rounded once.
                assert_same(&params, &pure, &format!("{rule:?} {dtype}, step {t}"));
            }
            let names: Vec<String> = (0..params.len()).map(|i| format!("{i}")).collect();
            let kept = optimizer.state_dict(&names);
            let moments: Vec<Tensor> =
                kept.into_iter().filter(|(n, _)| n.contains("moment")).map(|(_, t)| t).collect();
            let pure: Vec<Tensor> = state.iter().flat_map(|s| s.moments().to_vec()).collect();
            assert_same(&moments, &pure, &format!("{rule:?} {dtype}, state"));
            assert!(state.iter().all(|s| s.steps() == 4));
        }
    }
}

/// A parameter that is skipped keeps its age, and others are not held up.
#[test]
fn a_step_without_a_gradient_is_no_step() {
    for rule in rules() {
        let (params, grads) = problem(DType::F64);
        let (mut all, mut some, mut pure) = (params[1].clone(), params[1].clone(), vec![params[1].clone()]);
        let (mut one, mut two) = (Optimizer::new(rule), Optimizer::new(rule));
        let (mut other, mut state) = (params[2].clone(), Vec::new());
        for (t, g) in grads.iter().enumerate() {
            let present = (t != 1).then(|| g[1].clone());
            if let Some(g) = &present {
                one.step(vec![&mut all], vec![Some(g.clone())]);
            }
            two.step(vec![&mut some, &mut other], vec![present.clone(), Some(g[2].clone())]);
            (pure, state) = differentiable::step(&rule, &pure, &[present], &state);
        }
        assert_same(&[all.clone()], &[some], &format!("{rule:?}"));
        assert_same(&[all], &pure, &format!("{rule:?}, differentiable"));
    }
}

#[test]
fn gradients_may_lie_in_any_order_and_dtypes_may_mix() {
    for rule in rules() {
        let (params, grads) = problem(DType::F64);
        let permuted = |t: &Tensor| t.permute(&[1, 0]).contiguous().permute(&[1, 0]);
        let mut straight = [params[0].clone(), params[0].to_dtype(DType::F32)];
        let (mut wide, mut narrow) = (params[0].clone(), params[0].to_dtype(DType::F32));
        let mut together = Optimizer::new(rule);
        let mut apart = [Optimizer::new(rule), Optimizer::new(rule)];
        for g in &grads {
            let of = [g[0].clone(), g[0].to_dtype(DType::F32)];
            for ((o, p), g) in apart.iter_mut().zip(&mut straight).zip(&of) {
                o.step(vec![p], vec![Some(g.clone())]);
            }
            together.step(vec![&mut wide, &mut narrow], of.iter().map(|g| Some(permuted(g))).collect());
        }
        assert_same(&straight, &[wide, narrow], &format!("{rule:?}"));
    }
}

/// A bug must not be hidden: without a bound, what is not a number becomes a parameter that is not one.
#[test]
fn nan_goes_through_every_kernel() {
    for rule in rules() {
        let mut p = Tensor::new(&[1.0f32, 1.0], &[2]);
        let mut optimizer = Optimizer::new(rule);
        for g in [1.0, f32::NAN, 1.0] {
            optimizer.step(vec![&mut p], vec![Some(Tensor::new(&[g, 1.0], &[2]))]);
        }
        let got = p.to_vec::<f32>();
        assert!(got[0].is_nan() && got[1].is_finite(), "{rule:?}: {got:?}");
    }
}

/// s - a^2 of a gradient that stays the same tends to 0 from above, and rounding takes it below.
#[test]
fn a_constant_gradient_leaves_centred_rmsprop_finite() {
    let g: Vec<f32> = (1..200).map(|i| i as f32 * 0.013).collect();
    let g = Tensor::new(&g, &[g.len()]);
    let rule = RmsProp { alpha: 0.9, centered: true, ..RmsProp::default() };
    let (mut p, mut optimizer) = (g.zeros_like(), Optimizer::new(rule));
    for _ in 0..500 {
        optimizer.step(vec![&mut p], vec![Some(g.clone())]);
    }
    assert!(p.to_vec::<f32>().iter().all(|v| v.is_finite()));
    let kept = optimizer.state_dict(&["p".into()]);
    let (s, a) = (kept[1].1.to_vec::<f32>(), kept[2].1.to_vec::<f32>());
    assert!(s.iter().zip(&a).any(|(s, a)| s - a * a < 0.0), "the case that the test is for occurs");
}

/// The average of a parameter that has no gradient in a step goes on towards it.
#[test]
fn averages_follow_every_parameter() {
    for dtype in [DType::F32, DType::F64] {
        let (params, grads) = problem(dtype);
        let mut now = params.clone();
        let mut averages: Vec<Tensor> = params.iter().map(|p| p.clone().requires_grad()).collect();
        let mut want = params.clone();
        let mut optimizer = Optimizer::new(Adam { lr: 0.1, ..Adam::default() });
        for (t, g) in grads.iter().enumerate() {
            let decay = [0.0, 0.5, 0.9, 0.999][t];
            let g = g.iter().enumerate().map(|(i, g)| (i + t != 3).then(|| g.clone())).collect();
            let ema = Some((averages.iter_mut().collect(), decay));
            optimizer.step_with(now.iter_mut().collect(), g, StepOptions { ema, clip: None }).unwrap();
            let moved =
                want.iter().zip(&now).map(|(e, p)| e.mul_scalar(decay).add(&p.mul_scalar(1.0 - decay)));
            want = moved.collect();
            let plain: Vec<Tensor> = averages.iter().map(Tensor::detach).collect();
            assert_same(&plain, &want, &format!("{dtype}, step {t}"));
        }
        assert!(averages.iter().all(Tensor::is_tracked), "leaves stay leaves");
    }
}

/// G's view of a game: p after two steps of D's rule, differentiated by what D's loss depended on.
#[test]
fn a_gradient_flows_through_two_steps() {
    let (lr, a) = (0.1, Tensor::new(&[3.0], &[1]).requires_grad());
    let rule = Sgd { lr, ..Sgd::default() }.into();
    let (mut p, mut state) = (Tensor::new(&[2.0], &[1]).requires_grad(), Vec::new());
    for _ in 0..2 {
        let grads = grad(&[&a.mul(&p.square()).mul_scalar(0.5).sum_all()], &[&p], &[], true);
        let (mut new, next) = differentiable::step(&rule, &[p], &grads, &state);
        (p, state) = (new.remove(0), next);
    }
    // p = 2 (1 - lr a)^2, dp/da = -4 lr (1 - lr a)
    let by_a = grad(&[&p], &[&a], &[], false)[0].clone().unwrap();
    assert!((p.item() - 2.0 * 0.7 * 0.7).abs() < 1e-15);
    assert!((by_a.item() + 4.0 * lr * 0.7).abs() < 1e-15);
}
