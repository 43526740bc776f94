//! Bounds on gradients.

use super::*;
use ganvil::backend::trace;
use ganvil::optim::{Clip, NonFiniteGradient, StepOptions, grad_norm};
use ganvil::threads;

fn clipped(
    optimizer: &mut Optimizer,
    params: &mut [Tensor],
    grads: &[Tensor],
    clip: Clip,
) -> Result<f64, NonFiniteGradient> {
    let options = StepOptions { clip: Some(clip), ema: None };
    let grads = grads.iter().cloned().map(Some).collect();
    optimizer.step_with(params.iter_mut().collect(), grads, options).map(|n| n.expect("a bound gives a norm"))
}

/// The definition: sqrt of the sum of all squares.
fn norm(grads: &[Tensor]) -> f64 {
    grads.iter().flat_map(Tensor::to_f64_vec).map(|g| g * g).sum::<f64>().sqrt()
}

/// What torch.nn.utils.clip_grad_norm_ and clip_grad_value_ make of gradients.
fn by_hand(grads: &[Tensor], clip: Clip) -> Vec<Tensor> {
    match clip {
        Clip::Norm { max } => {
            let scale =
                (max / (grad_norm(&grads.iter().cloned().map(Some).collect::<Vec<_>>()) + 1e-6)).min(1.0);
            grads.iter().map(|g| g.mul_scalar(scale)).collect()
        }
        Clip::Value { max } => grads.iter().map(|g| g.clamp(-max, max)).collect(),
    }
}

#[test]
fn a_bounded_step_is_a_step_with_bounded_gradients() {
    for dtype in [DType::F32, DType::F64] {
        for rule in rules() {
            for clip in [Clip::Norm { max: 1.5 }, Clip::Norm { max: 1e9 }, Clip::Value { max: 0.3 }] {
                let (mut params, grads) = problem(dtype);
                let mut want = params.clone();
                let (mut one, mut two) = (Optimizer::new(rule), Optimizer::new(rule));
                for g in &grads {
                    let before = bits(g);
                    let reported = clipped(&mut one, &mut params, g, clip).unwrap();
                    assert!((reported - norm(g)).abs() <= 1e-12 * norm(g), "{reported}, not {}", norm(g));
                    assert!(bits(g) == before, "gradients stay as they are");
                    step(&mut two, &mut want, &by_hand(g, clip));
                    assert_same(&params, &want, &format!("{rule:?} {dtype} {clip:?}"));
                }
            }
        }
    }
}

#[test]
fn the_norm_after_a_bound_is_the_bound() {
    let (params, grads) = problem(DType::F64);
    let moved = |clip| {
        let mut p = params.clone();
        clipped(&mut Optimizer::new(Sgd { lr: 1.0, ..Sgd::default() }), &mut p, &grads[0], clip).unwrap();
        p.iter().zip(&params).map(|(a, b)| a.sub(b)).collect::<Vec<_>>()
    };
    // 1e-6 beside a norm of about 180 is left out of the bound; the rest is rounding.
    assert!((norm(&moved(Clip::Norm { max: 2.0 })) - 2.0).abs() < 2e-8);
    let largest = moved(Clip::Value { max: 0.25 })
        .iter()
        .flat_map(Tensor::to_f64_vec)
        .fold(0.0, |m, v| f64::max(m, v.abs()));
    assert!((largest - 0.25).abs() < 1e-14);
}

/// One reduction for the norm and one update: no scaled gradient is written.
#[test]
fn a_bounded_step_is_one_pass_after_one_reduction() {
    let (mut params, grads) = problem(DType::F32);
    let elements: usize = params.iter().map(Tensor::numel).sum();
    let mut optimizer = Optimizer::new(Adam::default());
    step(&mut optimizer, &mut params, &grads[0]);
    let kernels =
        |calls: Vec<trace::Call>| calls.into_iter().map(|c| (c.kernel, c.shape)).collect::<Vec<_>>();
    let (_, calls) = trace::record(|| step(&mut optimizer, &mut params, &grads[1]));
    assert_eq!(kernels(calls), [("update", vec![elements])]);
    for clip in [Clip::Norm { max: 1.0 }, Clip::Value { max: 1.0 }] {
        let (_, calls) = trace::record(|| clipped(&mut optimizer, &mut params, &grads[2], clip).unwrap());
        assert_eq!(kernels(calls), [("sum_squares", vec![elements]), ("update", vec![elements])]);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for dtype in [DType::F32, DType::F64] {
        let run = |n| {
            threads(n, || {
                let (mut params, grads) = problem(dtype);
                let mut optimizer = Optimizer::new(Adam::default());
                let norms: Vec<u64> = grads
                    .iter()
                    .map(|g| {
                        clipped(&mut optimizer, &mut params, g, Clip::Norm { max: 0.5 }).unwrap().to_bits()
                    })
                    .collect();
                (norms, bits(&params))
            })
        };
        let first = run(1);
        for n in [2, 3, 5] {
            assert!(run(n) == first, "{n} threads, {dtype}");
        }
    }
}

#[test]
fn no_square_overflows_or_vanishes() {
    for size in [1e30f64, 1e-30] {
        // Long enough for the kernel's blocks and what is left over.
        let of = |v: f64| Some(Tensor::full(&[37], v * size, DType::F32, Device::Cpu));
        let relative = grad_norm(&[of(3.0), None, of(4.0)]) / (5.0 * size * 37f64.sqrt());
        assert!((relative - 1.0).abs() < 1e-6, "{relative}");
    }
    assert_eq!(grad_norm(&[None, None]), 0.0);
    assert_eq!(grad_norm(&[]), 0.0);
}

/// A gradient with one bad element in the second of four tensors.
fn spoilt(grads: &[Tensor], with: f64) -> Vec<Tensor> {
    let mut bad = grads.to_vec();
    let mut v = bad[1].to_f64_vec();
    v[2] = with;
    bad[1] = Tensor::new(&v, &[3]).to_dtype(bad[1].dtype());
    bad
}

#[test]
fn a_gradient_that_cannot_be_bounded_changes_nothing() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let (by_norm, by_value) = (Clip::Norm { max: 1.0 }, Clip::Value { max: 1.0 });
    for (clip, with) in [(by_norm, inf), (by_norm, -inf), (by_norm, nan), (by_value, nan)] {
        for rule in rules() {
            let (mut params, grads) = problem(DType::F32);
            let mut averages = params.clone();
            let mut want = params.clone();
            let (mut one, mut two) = (Optimizer::new(rule), Optimizer::new(rule));
            let names: Vec<String> = (0..4).map(|i| i.to_string()).collect();
            for g in &grads {
                let before = (bits(&params), bits(&averages));
                let bad = spoilt(g, with).into_iter().map(Some).collect();
                let ema = Some((averages.iter_mut().collect(), 0.5));
                let options = StepOptions { clip: Some(clip), ema };
                let e = one.step_with(params.iter_mut().collect(), bad, options).unwrap_err();
                assert!(e.index == 1 && !e.norm.is_finite() && e.norm.is_nan() == with.is_nan(), "{e:?}");
                assert!(e.to_string().contains("gradient 1 is not finite"), "{e}");
                assert!(before == (bits(&params), bits(&averages)), "{rule:?} {clip:?} {with}");
                // What comes after is what would have come without it: moments and counts are as they were.
                clipped(&mut one, &mut params, g, clip).unwrap();
                clipped(&mut two, &mut want, g, clip).unwrap();
            }
            assert_same(&params, &want, "parameters");
            let state = |o: &Optimizer| o.state_dict(&names).into_iter().map(|(_, t)| t).collect::<Vec<_>>();
            assert_same(&state(&one), &state(&two), "state");
        }
    }
}

#[test]
fn an_infinite_element_becomes_the_bound_by_value() {
    for inf in [f64::INFINITY, f64::NEG_INFINITY] {
        let (mut params, grads) = problem(DType::F32);
        let start = params[1].to_f64_vec();
        let mut sgd = Optimizer::new(Sgd { lr: 0.5, ..Sgd::default() });
        let norm = clipped(&mut sgd, &mut params, &spoilt(&grads[0], inf), Clip::Value { max: 2.0 }).unwrap();
        assert_eq!(norm, f64::INFINITY);
        let got = params[1].to_f64_vec()[2];
        assert_eq!(got, (start[2] as f32 - inf.signum() as f32) as f64);
    }
}
