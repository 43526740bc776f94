//! Values at the edge: infinities, NaN, signed zeros, overflow, saturation.

use crate::steady_tier;
use ganvil::{DType, Reduction, Tensor};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

type Unary = fn(&Tensor) -> Tensor;
/// Inputs and what they give.
type Values = &'static [(f64, f64)];

#[test]
fn functions_of_special_values() {
    let _tier = steady_tier();
    let cases: [(&str, Unary, Values); 14] = [
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
fn slopes_at_kinks_are_the_documented_ones() {
    let slope = |f: Unary, at: f64| {
        let x = Tensor::new(&[at], &[1]).requires_grad();
        ganvil::autograd::grad(&[&f(&x)], &[&x], &[], false)[0].clone().unwrap().item()
    };
    assert_eq!(slope(Tensor::relu, 0.0), 0.0);
    assert_eq!(slope(|x| x.leaky_relu(0.2), 0.0), 0.2);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), -1.0), 0.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 1.0), 0.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 0.999), 1.0);
    assert_eq!(slope(|x| x.clamp(-1.0, 1.0), 1.5), 0.0);
    assert_eq!(slope(|x| x.pow(0.0), 0.0), 0.0);
    assert_eq!(slope(|x| x.softplus(2.0, 3.0), 1.6), 1.0);
    assert_eq!(slope(Tensor::sqrt, 0.0), INF);
}
