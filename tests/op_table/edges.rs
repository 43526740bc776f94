//! Values at the edge: infinities, NaN, signed zeros, overflow, saturation.

use crate::steady_tier;
use ganvil::autograd::grad;
use ganvil::backend::trace;
use ganvil::{DType, Device, Reduction, Tensor};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

type Unary = fn(&Tensor) -> Tensor;
/// Inputs and what they give.
type Values = &'static [(f64, f64)];

#[test]
fn functions_of_special_values() {
    let _tier = steady_tier();
    let cases: [(&str, Unary, Values); 15] = [
        (
            "exp",
            Tensor::exp,
            &[(INF, INF), (-INF, 0.0), (NAN, NAN), (0.0, 1.0), (-0.0, 1.0), (1e4, INF), (-1e4, 0.0)],
        ),
        ("log", Tensor::log, &[(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (NAN, NAN), (1.0, 0.0)]),
        ("sqrt", Tensor::sqrt, &[(0.0, 0.0), (-1.0, NAN), (INF, INF), (NAN, NAN), (-0.0, -0.0)]),
        (
            "tanh",
            Tensor::tanh,
            &[(INF, 1.0), (-INF, -1.0), (NAN, NAN), (0.0, 0.0), (100.0, 1.0), (-100.0, -1.0)],
        ),
        (
            "sigmoid",
            Tensor::sigmoid,
            &[(INF, 1.0), (-INF, 0.0), (NAN, NAN), (0.0, 0.5), (1e3, 1.0), (-1e3, 0.0)],
        ),
        ("relu", Tensor::relu, &[(INF, INF), (-INF, 0.0), (NAN, NAN), (0.0, 0.0)]),
        ("leaky_relu", |x| x.leaky_relu(0.5), &[(INF, INF), (-INF, -INF), (NAN, NAN), (-2.0, -1.0)]),
        (
            "softplus",
            |x| x.softplus(1.0, 20.0),
            &[(INF, INF), (-INF, 0.0), (NAN, NAN), (1e3, 1e3), (-1e3, 0.0), (25.0, 25.0)],
        ),
        ("clamp", |x| x.clamp(-1.0, 2.0), &[(INF, 2.0), (-INF, -1.0), (NAN, NAN), (-1.0, -1.0), (2.0, 2.0)]),
        ("pow 2", |x| x.pow(2.0), &[(INF, INF), (-INF, INF), (NAN, NAN), (-3.0, 9.0)]),
        ("pow 0.5", |x| x.pow(0.5), &[(-1.0, NAN), (0.0, 0.0), (INF, INF)]),
        ("pow -1", |x| x.pow(-1.0), &[(0.0, INF), (-0.0, -INF), (INF, 0.0)]),
        ("pow 1.5", |x| x.pow(1.5), &[(-1.0, NAN), (0.0, 0.0), (INF, INF), (4.0, 8.0)]),
        ("abs", Tensor::abs, &[(INF, INF), (-INF, INF), (NAN, NAN), (-0.0, 0.0), (-2.5, 2.5)]),
        ("neg", Tensor::neg, &[(INF, -INF), (NAN, NAN), (0.0, -0.0)]),
    ];
    for (name, op, values) in cases {
        for dtype in [DType::F64, DType::F32] {
            // Long enough for whole vectors and a tail.
            let x: Vec<f64> = values.iter().map(|v| v.0).cycle().take(67).collect();
            let y = op(&Tensor::new(&x, &[67]).to_dtype(dtype)).to_f64_vec();
            for (i, (got, &(x, want))) in y.iter().zip(values.iter().cycle()).enumerate() {
                let same = *got == want && got.is_sign_negative() == want.is_sign_negative();
                assert!(
                    same || got.is_nan() && want.is_nan(),
                    "{name}({x}) in {dtype}, place {i}: {got}, not {want}"
                );
            }
        }
    }
}

#[test]
fn losses_stay_finite_where_their_formulas_do_not() {
    for dtype in [DType::F64, DType::F32] {
        let t = |v: &[f64]| Tensor::new(v, &[v.len()]).to_dtype(dtype);
        let target = t(&[0.0, 1.0, 0.0, 1.0]);
        let p = t(&[0.0, 0.0, 1.0, 1.0]);
        assert_eq!(p.bce(&target, Reduction::None).to_f64_vec(), [0.0, 100.0, 100.0, 0.0]);
        let a = t(&[-1e4, -1e4, 1e4, 1e4]);
        assert_eq!(a.bce_with_logits(&target, Reduction::None).to_f64_vec(), [0.0, 1e4, 1e4, 0.0]);
        let a = a.requires_grad();
        a.bce_with_logits(&target, Reduction::Sum).backward();
        assert_eq!(a.grad().unwrap().to_f64_vec(), [0.0, -1.0, 1.0, 0.0]);
    }
}

#[test]
fn the_largest_of_several_is_nan_if_one_is() {
    for n in [1, 5, 64, 65, 300] {
        for at in [0, n / 2, n - 1] {
            let mut v = vec![-1.0f32; n];
            v[at] = f32::NAN;
            let x = Tensor::new(&v, &[n]);
            assert!(x.max(&[], false).item().is_nan(), "{n} elements, NaN at {at}");
            let both = Tensor::cat(&[&x.unsqueeze(1), &x.full_like(-INF).unsqueeze(1)], 1).max(&[0], false);
            let got = both.to_vec::<f32>();
            assert!(got[0].is_nan() && got[1] == f32::NEG_INFINITY, "{got:?}");
        }
    }
}

#[test]
fn ties_share_the_gradient_of_max() {
    let x = Tensor::new(&[1.0f64, 3.0, 3.0, 0.0, 2.0, 2.0], &[2, 3]).requires_grad();
    let g = ganvil::autograd::grad(&[&x.max(&[1], false).sum_all()], &[&x], &[], false)[0].clone().unwrap();
    assert_eq!(g.to_vec::<f64>(), [0.0, 0.5, 0.5, 0.0, 0.5, 0.5]);
}

#[test]
fn nan_counts_as_the_largest() {
    for n in [1usize, 3, 16, 67] {
        for at in [0, n / 2, n - 1] {
            let mut v: Vec<f32> = (0..n).map(|i| i as f32).collect();
            v[at] = f32::NAN;
            let x = Tensor::new(&v, &[n]);
            let zero = x.full_like(0.0);
            for y in [x.maximum(&zero), zero.maximum(&x), x.minimum(&zero), zero.minimum(&x)] {
                let nans: Vec<bool> = y.to_vec::<f32>().iter().map(|v| v.is_nan()).collect();
                assert_eq!(nans, (0..n).map(|i| i == at).collect::<Vec<_>>());
            }
            assert_eq!(x.argmax(0, false).item(), at as f64);
            assert_eq!(x.argsort(0, false).to_vec::<i64>()[n - 1], at as i64);
            assert_eq!(x.topk(1, 0).1.to_vec::<i64>(), [at as i64]);
        }
    }
    let signs = Tensor::new(&[0.0f32, -0.0, f32::NEG_INFINITY, f32::INFINITY], &[4]);
    assert_eq!(signs.argsort(0, false).to_vec::<i64>(), [2, 0, 1, 3], "zeros are equal");
}

#[test]
fn softmax_neither_overflows_nor_underflows_in_its_logarithm() {
    let x = Tensor::new(&[1e4f32, 0.0, -1e4, -INF as f32], &[4]);
    assert_eq!(x.softmax(0).to_vec::<f32>(), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(x.log_softmax(0).to_vec::<f32>(), [0.0, -1e4, -2e4, f32::NEG_INFINITY]);
    let class = Tensor::new(&[2i64], &[1]);
    assert_eq!(x.unsqueeze(0).cross_entropy(&class, Reduction::Sum).item(), 2e4);
}

#[test]
fn ties_share_the_gradient_of_maximum_and_minimum() {
    let a = Tensor::new(&[1.0, 2.0, INF, 3.0], &[4]).requires_grad();
    let b = Tensor::new(&[1.0, 5.0, INF, -1.0], &[4]).requires_grad();
    for (y, [of_a, of_b]) in [
        (a.maximum(&b), [[0.5, 0.0, 0.5, 1.0], [0.5, 1.0, 0.5, 0.0]]),
        (a.minimum(&b), [[0.5, 1.0, 0.5, 0.0], [0.5, 0.0, 0.5, 1.0]]),
    ] {
        let g = ganvil::autograd::grad(&[&y], &[&a, &b], &[y.ones_like()], false);
        let [ga, gb] = [0, 1].map(|i| g[i].clone().unwrap().to_vec::<f64>());
        assert_eq!((&ga[..], &gb[..]), (&of_a[..], &of_b[..]));
    }
}

#[test]
fn the_gradient_of_a_maximum_with_nan_reaches_both() {
    let (a, b) = (Tensor::new(&[NAN, 0.0, -1.0], &[3]), Tensor::new(&[1.0, NAN, -1.0], &[3]));
    let (a, b) = (a.requires_grad(), b.requires_grad());
    for y in [a.maximum(&b), a.minimum(&b)] {
        for g in ganvil::autograd::grad(&[&y], &[&a, &b], &[y.ones_like()], false) {
            assert_eq!(g.unwrap().to_vec::<f64>(), [1.0, 1.0, 0.5]);
        }
    }
}

#[test]
fn a_norm_of_0_has_derivatives_of_0() {
    let x = Tensor::new(&[0.0, 0.0, 3.0, 4.0], &[2, 2]).requires_grad();
    let g = ganvil::autograd::grad(&[&x.norm(&[1], false).sum_all()], &[&x], &[], true)[0].clone().unwrap();
    let second = ganvil::autograd::grad(&[&g.sum_all()], &[&x], &[], true)[0].clone().unwrap();
    let hessian = [0.0, 0.0, (16.0 - 12.0) / 125.0, (9.0 - 12.0) / 125.0];
    for (got, want) in [(g, [0.0, 0.0, 0.6, 0.8]), (second, hessian)] {
        got.to_vec::<f64>().iter().zip(want).for_each(|(g, w)| assert!((g - w).abs() < 1e-15, "{g} {w}"));
    }
}

#[test]
fn slopes_at_kinks_are_the_documented_ones() {
    let slope = |f: Unary, at: f64| {
        let x = Tensor::new(&[at], &[1]).requires_grad();
        ganvil::autograd::grad(&[&f(&x)], &[&x], &[], false)[0].clone().unwrap().item()
    };
    assert_eq!(slope(Tensor::relu, 0.0), 0.0);
    assert_eq!([-2.0, 0.0, 3.0].map(|at| slope(Tensor::abs, at)), [-1.0, 0.0, 1.0]);
    assert_eq!(slope(|x| x.leaky_relu(0.2), 0.0), 0.2);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), -1.0), 0.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 1.0), 0.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 0.999), 1.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 1.5), 0.0);
    assert_eq!(slope(|x| x.pow(0.0), 0.0), 0.0);
    assert_eq!(slope(|x| x.softplus(2.0, 3.0), 1.6), 1.0);
    assert_eq!(slope(Tensor::sqrt, 0.0), INF);
}

#[test]
fn a_scalar_may_be_indexed_and_reduced_along_dimension_0() {
    let x = Tensor::new(&[2.5], &[]).requires_grad();
    let zero = Tensor::new(&[0i64], &[]);
    for dim in [0, -1] {
        for y in [
            x.sum(&[dim], false),
            x.mean(&[dim], true),
            x.max(&[dim], false),
            x.gather(dim, &zero),
            x.cumsum(dim),
            x.topk(1, dim).0,
            x.flip(&[dim]),
            x.index_select(dim, &zero.reshape(&[1])),
        ] {
            assert_eq!((y.shape(), y.item()), (&[][..], 2.5));
            let g = ganvil::autograd::grad(&[&y], &[&x], &[], false)[0].clone().unwrap();
            assert_eq!((g.shape(), g.item()), (&[][..], 1.0));
        }
        assert_eq!(x.softmax(dim).item(), 1.0);
        assert_eq!(x.log_softmax(dim).item(), 0.0);
        assert_eq!(x.argmax(dim, true).shape(), &[] as &[usize]);
        assert_eq!(x.argsort(dim, false).item(), 0.0);
        assert_eq!(x.var(&[dim], false, false).item(), 0.0);
        let sum = x.scatter_add(dim, &zero, &Tensor::new(&[1.5], &[]));
        assert_eq!((sum.shape(), sum.item()), (&[][..], 4.0));
    }
    let v = Tensor::new(&[1.0, 2.0], &[2]);
    assert_eq!(v.index_select(0, &Tensor::new(&[1i64], &[])).to_vec::<f64>(), [2.0]);
}

#[test]
fn dividing_by_a_number_rounds_once() {
    for v in 1..1000 {
        let x = Tensor::new(&[v as f32], &[1]);
        assert_eq!((&x / v as f64).item(), 1.0, "{v} / {v}");
        assert_eq!((v as f64 / &x).item(), 1.0, "{v} / {v}");
        assert_eq!((&x / 3.0).to_vec::<f32>(), [v as f32 / 3.0]);
        assert_eq!((3.0 / &x).to_vec::<f32>(), [3.0 / v as f32]);
    }
}

#[test]
fn relu_lets_no_infinite_gradient_through() {
    let x = Tensor::new(&[-1.0, 1.0], &[2]).requires_grad();
    let upstream = [Tensor::new(&[INF, INF], &[2])];
    for y in [x.relu(), x.leaky_relu(0.0)] {
        let g = ganvil::autograd::grad(&[&y], &[&x], &upstream, false)[0].clone().unwrap();
        assert_eq!(g.to_vec::<f64>(), [0.0, INF]);
    }
}

#[test]
fn half_types_are_rounded_once() {
    // Just above half way between 1 and the next f16: rounding to f32 first would lose what decides.
    let v = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
    assert_eq!(Tensor::new(&[v], &[1]).to_dtype(DType::F16).item(), 1.0 + 2f64.powi(-10));
    let v = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
    assert_eq!(Tensor::new(&[v], &[1]).to_dtype(DType::BF16).item(), 1.0 + 2f64.powi(-7));
}

#[test]
fn a_tracked_target_is_a_constant_where_nothing_is_recorded() {
    let (p, t) = (Tensor::new(&[0.5], &[1]), Tensor::new(&[1.0], &[1]).requires_grad());
    assert_eq!(ganvil::no_grad(|| p.bce(&t, ganvil::Reduction::Mean)).item(), 2f64.ln());
}

/// One primitive reads both tensors for the value and one for the gradient; with recording on there are more.
#[test]
fn a_reduced_loss_is_one_kernel_and_so_is_its_gradient() {
    let x = Tensor::from([[0.25f32, 0.5], [0.75, 0.125]]).requires_grad();
    let t = Tensor::from([[0.0f32, 1.0], [1.0, 0.5]]);
    for loss in [Tensor::bce, Tensor::bce_with_logits, Tensor::mse, Tensor::l1] {
        for reduction in [Reduction::Mean, Reduction::Sum] {
            let kernels = |create_graph| {
                let seed = Tensor::ones(&[], DType::F32, Device::Cpu);
                let (_, calls) =
                    trace::record(|| grad(&[&loss(&x, &t, reduction)], &[&x], &[seed], create_graph));
                calls.iter().map(|c| c.kernel).collect::<Vec<_>>()
            };
            assert_eq!(kernels(false), ["loss", "loss_grad"]);
            assert!(!kernels(true).contains(&"loss_grad"));
        }
    }
}
