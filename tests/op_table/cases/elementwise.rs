//! Elementwise functions, the operators, comparisons and selection.

use crate::naive::Nd;
use crate::row::{ALL, Accuracy, Gradient, Input, Kind, Row, float, range, row};
use ganvil::{DType, Tensor};

const SHAPES: [&[usize]; 9] =
    [&[], &[1], &[0], &[7], &[3, 5], &[2, 0, 3], &[1, 4, 1], &[2, 3, 2, 3], &[300, 257]];

type Op1 = fn(&Tensor) -> Tensor;
type Op2 = fn(&Tensor, &Tensor) -> Tensor;
type Of1 = fn(f64) -> f64;
type Of2 = fn(f64, f64) -> f64;

/// An elementwise function: its name, the op, the same on a number, where its inputs lie, how exact it is.
struct Function {
    name: &'static str,
    op: Op1,
    of: Of1,
    lo: f64,
    hi: f64,
    kinks: &'static [f64],
    accuracy: Accuracy,
    covers: &'static [&'static str],
}

const fn function(name: &'static str, op: Op1, of: Of1) -> Function {
    let (lo, hi, kinks) = (-3.0, 3.0, &[] as &[f64]);
    Function { name, op, of, lo, hi, kinks, accuracy: Accuracy::Relative(4.0), covers: &[] }
}

impl Function {
    const fn on(self, lo: f64, hi: f64, kinks: &'static [f64]) -> Function {
        Function { lo, hi, kinks, ..self }
    }
    const fn exact(self) -> Function {
        Function { accuracy: Accuracy::Exact, ..self }
    }
    const fn within(self, k: f64) -> Function {
        Function { accuracy: Accuracy::Magnitude(k), ..self }
    }
    const fn relative(self, k: f64) -> Function {
        Function { accuracy: Accuracy::Relative(k), ..self }
    }
    const fn covers(self, covers: &'static [&'static str]) -> Function {
        Function { covers, ..self }
    }
}

const UNARY: &[Function] = &[
    function("neg", Tensor::neg, |x| -x).exact().covers(&["Affine"]),
    function("exp", Tensor::exp, f64::exp).covers(&["Exp"]),
    function("log", Tensor::log, f64::ln).on(0.05, 5.0, &[]).covers(&["Log"]),
    function("sqrt", Tensor::sqrt, f64::sqrt).on(0.1, 5.0, &[]).exact().covers(&["Sqrt"]),
    function("tanh", Tensor::tanh, f64::tanh).covers(&["Tanh"]),
    function("sigmoid", Tensor::sigmoid, |x| 1.0 / (1.0 + (-x).exp())).covers(&["Sigmoid"]),
    function("abs", Tensor::abs, f64::abs).on(-3.0, 3.0, &[0.0]).exact().covers(&["Abs", "MaskedGrad"]),
    function("relu", Tensor::relu, |x| x.max(0.0))
        .on(-3.0, 3.0, &[0.0])
        .exact()
        .covers(&["LeakyRelu", "MaskedGrad"]),
    function("leaky_relu 0.2", |x| x.leaky_relu(0.2), |x| if x > 0.0 { x } else { 0.2 * x })
        .on(-3.0, 3.0, &[0.0])
        .covers(&["LeakyRelu", "MaskedGrad"]),
    function("leaky_relu -0.5", |x| x.leaky_relu(-0.5), |x| if x > 0.0 { x } else { -0.5 * x })
        .on(-3.0, 3.0, &[0.0])
        .exact(),
    function("softplus", |x| x.softplus(1.0, 20.0), |x| x.exp().ln_1p()).covers(&["Softplus"]),
    function(
        "softplus beta 3 threshold 2",
        |x| x.softplus(3.0, 2.0),
        |x| {
            if 3.0 * x > 2.0 { x } else { (3.0 * x).exp().ln_1p() / 3.0 }
        },
    )
    // The rounding of 3x alone moves the result by 9/2 eps.
    .on(-3.0, 3.0, &[2.0 / 3.0])
    .relative(12.0),
    function("pow 2", |x| x.pow(2.0), |x| x * x).exact().covers(&["Pow"]),
    function("square", Tensor::square, |x| x * x).exact(),
    function("pow 3", |x| x.pow(3.0), |x| x * x * x),
    function("pow 4", |x| x.pow(4.0), |x| x.powi(4)).on(-2.0, 2.0, &[0.0]),
    function("pow 1.7", |x| x.pow(1.7), |x| x.powf(1.7)).on(0.2, 3.0, &[]),
    function("pow 0.5", |x| x.pow(0.5), f64::sqrt).on(0.2, 3.0, &[]).exact(),
    function("pow -0.5", |x| x.pow(-0.5), |x| 1.0 / x.sqrt()).on(0.2, 3.0, &[]),
    function("pow -1", |x| x.pow(-1.0), |x| 1.0 / x).on(0.3, 3.0, &[]).exact(),
    function("pow -2.5", |x| x.pow(-2.5), |x| x.powf(-2.5)).on(0.4, 3.0, &[]),
    function("pow 1", |x| x.pow(1.0), |x| x).exact(),
    function("pow 0", |x| x.pow(0.0), |_| 1.0).exact(),
    function("clamp both", |x| x.clamp(-0.5, 0.75), |x| x.clamp(-0.5, 0.75))
        .on(-3.0, 3.0, &[-0.5, 0.75])
        .exact()
        .covers(&["Clamp", "MaskedGrad"]),
    function("clamp below", |x| x.clamp(-0.25, None), |x| x.max(-0.25)).on(-3.0, 3.0, &[-0.25]).exact(),
    function("clamp above", |x| x.clamp(None, 1.0), |x| x.min(1.0)).on(-3.0, 3.0, &[1.0]).exact(),
    function("clamp neither", |x| x.clamp(None, None), |x| x).exact(),
    function("add_scalar", |x| x.add_scalar(1.5), |x| x + 1.5).exact().covers(&["Affine"]),
    function("mul_scalar", |x| x.mul_scalar(-0.3), |x| -0.3 * x).covers(&["Affine"]),
    function("mul_scalar 0", |x| x.mul_scalar(0.0), |_| 0.0).exact(),
    function("x * x", |x| x.mul(x), |x| x * x).exact().covers(&["Mul"]),
    function("x / x^2 + x", |x| x.div(&x.square()).add(x), |x| 1.0 / x + x).on(0.5, 2.0, &[]),
    function(
        "tanh of sigmoid of x^3",
        |x| x.pow(3.0).sigmoid().tanh(),
        |x| (1.0 / (1.0 + (-x.powi(3)).exp())).tanh(),
    )
    .on(-1.0, 1.0, &[])
    .within(4.0),
];

pub fn unary() -> Vec<Row> {
    let rows = UNARY.iter().flat_map(|f| SHAPES.iter().map(move |s| (f, s)));
    rows.map(|(f, shape)| {
        let (op, of) = (f.op, f.of);
        row(f.name, vec![range(shape, f.lo, f.hi, f.kinks)], move |x| op(&x[0]), move |x| x[0].map(of))
            .within(f.accuracy)
            .covers(f.covers)
    })
    .collect()
}

const PAIRS: [(&[usize], &[usize]); 14] = [
    (&[], &[]),
    (&[5], &[5]),
    (&[], &[4]),
    (&[3, 2], &[]),
    (&[2, 3], &[3]),
    (&[2, 1], &[1, 3]),
    (&[3, 1], &[2, 1, 4]),
    (&[0], &[1]),
    (&[0, 3], &[3]),
    (&[2, 1], &[2, 0]),
    (&[2, 3, 2, 2], &[2, 3, 2, 2]),
    (&[2, 3, 2, 2], &[1, 3, 1, 1]),
    (&[300, 257], &[257]),
    (&[300, 1], &[300, 257]),
];

pub fn binary() -> Vec<Row> {
    let functions: [(&str, Op2, Of2, &[&str]); 6] = [
        ("add", Tensor::add, |a, b| a + b, &["Add", "Expand"]),
        ("sub", Tensor::sub, |a, b| a - b, &["Sub"]),
        ("mul", Tensor::mul, |a, b| a * b, &["Mul"]),
        ("div", Tensor::div, |a, b| a / b, &["Div"]),
        ("maximum", Tensor::maximum, f64::max, &["Extremum"]),
        ("minimum", Tensor::minimum, f64::min, &["Extremum"]),
    ];
    let rows = functions.into_iter().flat_map(|f| PAIRS.map(|p| (f, p)));
    rows.map(|((name, op, of, covers), (a, b))| {
        let inputs = vec![float(a), range(b, 0.5, 2.0, &[])];
        row(name, inputs, move |x| op(&x[0], &x[1]), move |x| x[0].zip(&x[1], of))
            .within(Accuracy::Exact)
            .covers(covers)
    })
    .collect()
}

/// `+ - * /` on values and references, with a number on either side.
pub fn operators() -> Vec<Row> {
    let numbers: [(&str, Op1, Of1); 17] = [
        ("x + c", |x| x + 1.25, |x| x + 1.25),
        ("c + x", |x| 1.25 + x, |x| x + 1.25),
        ("x - c", |x| x - 1.25, |x| x - 1.25),
        ("c - x", |x| 1.25 - x, |x| 1.25 - x),
        ("x * c", |x| x * 1.3, |x| x * 1.3),
        ("c * x", |x| 1.3 * x, |x| x * 1.3),
        ("x / c", |x| x / 1.3, |x| x / 1.3),
        ("c / x", |x| 1.3 / x, |x| 1.3 / x),
        ("-x", |x| -x, |x| -x),
        ("value + c", |x| x.clone() + 1.25, |x| x + 1.25),
        ("c + value", |x| 1.25 + x.clone(), |x| x + 1.25),
        ("value - c", |x| x.clone() - 1.25, |x| x - 1.25),
        ("c - value", |x| 1.25 - x.clone(), |x| 1.25 - x),
        ("value * c", |x| x.clone() * 1.3, |x| x * 1.3),
        ("c / value", |x| 1.3 / x.clone(), |x| 1.3 / x),
        ("value / c", |x| x.clone() / 1.3, |x| x / 1.3),
        ("-value", |x| -x.clone(), |x| -x),
    ];
    let tensors: [(&str, Op2, Of2); 10] = [
        ("&a + &b", |a, b| a + b, |a, b| a + b),
        ("&a - &b", |a, b| a - b, |a, b| a - b),
        ("&a * &b", |a, b| a * b, |a, b| a * b),
        ("&a / &b", |a, b| a / b, |a, b| a / b),
        ("a + b", |a, b| a.clone() + b.clone(), |a, b| a + b),
        ("a - &b", |a, b| a.clone() - b, |a, b| a - b),
        ("&a - b", |a, b| a - b.clone(), |a, b| a - b),
        ("a * &b", |a, b| a.clone() * b, |a, b| a * b),
        ("a / b", |a, b| a.clone() / b.clone(), |a, b| a / b),
        ("&a / b", |a, b| a / b.clone(), |a, b| a / b),
    ];
    let numbers = numbers.into_iter().map(|(name, op, of)| {
        row(name, vec![range(&[3, 2], 0.5, 2.0, &[])], move |x| op(&x[0]), move |x| x[0].map(of))
            .within(Accuracy::Magnitude(4.0))
    });
    let tensors = tensors.into_iter().map(|(name, op, of)| {
        let inputs = vec![float(&[2, 3]), range(&[3], 0.5, 2.0, &[])];
        row(name, inputs, move |x| op(&x[0], &x[1]), move |x| x[0].zip(&x[1], of)).within(Accuracy::Exact)
    });
    numbers.chain(tensors).collect()
}

fn steps(shape: &[usize]) -> Input {
    Input::new(shape, Kind::Steps)
}

fn mask(row: Row, name: &'static str) -> Row {
    row.dtypes(ALL).result(DType::U8).within(Accuracy::Exact).gradient(Gradient::Refused(name))
}

pub fn comparisons() -> Vec<Row> {
    type Scalar = fn(&Tensor, f64) -> Tensor;
    type Holds = fn(f64, f64) -> bool;
    let kinds: [(&str, Op2, Scalar, Holds); 6] = [
        ("eq", Tensor::eq, Tensor::eq_scalar, |a, b| a == b),
        ("ne", Tensor::ne, Tensor::ne_scalar, |a, b| a != b),
        ("lt", Tensor::lt, Tensor::lt_scalar, |a, b| a < b),
        ("le", Tensor::le, Tensor::le_scalar, |a, b| a <= b),
        ("gt", Tensor::gt, Tensor::gt_scalar, |a, b| a > b),
        ("ge", Tensor::ge, Tensor::ge_scalar, |a, b| a >= b),
    ];
    let mut rows = Vec::new();
    for (name, op, scalar, holds) in kinds {
        let of = move |a: f64, b: f64| holds(a, b) as u8 as f64;
        for (a, b) in PAIRS {
            let r =
                row(name, vec![steps(a), steps(b)], move |x| op(&x[0], &x[1]), move |x| x[0].zip(&x[1], of));
            rows.push(mask(r, name));
        }
        for shape in SHAPES {
            let r = row(
                format!("{name}_scalar"),
                vec![steps(shape)],
                move |x| scalar(&x[0], 1.0),
                move |x| x[0].map(|v| of(v, 1.0)),
            );
            rows.push(mask(r, name));
        }
    }
    for (dtype, top) in [(DType::U8, 255.0), (DType::I64, f64::INFINITY)] {
        for shape in SHAPES {
            let bottom = if dtype == DType::U8 { 0.0 } else { f64::NEG_INFINITY };
            let r = row(
                format!("to {dtype}"),
                vec![range(shape, -300.0, 300.0, &[])],
                move |x| x[0].to_dtype(dtype),
                move |x| x[0].map(|v| v.trunc().clamp(bottom, top)),
            );
            rows.push(mask(r, "to_dtype").result(dtype));
        }
    }
    rows
}

pub fn selection() -> Vec<Row> {
    let shapes: [[&[usize]; 3]; 7] = [
        [&[], &[], &[]],
        [&[6], &[6], &[6]],
        [&[2, 3], &[3], &[]],
        [&[3], &[2, 1], &[1, 3]],
        [&[4, 1, 1], &[2, 1], &[3]],
        [&[0, 2], &[2], &[1, 2]],
        [&[257, 300], &[257, 300], &[300]],
    ];
    let choose = |x: &[Nd]| {
        let picked = x[0].zip(&x[1], |c, a| if c != 0.0 { a } else { f64::NAN });
        let other = x[0].zip(&x[2], |c, b| if c != 0.0 { f64::NAN } else { b });
        picked.zip(&other, |a, b| if a.is_nan() { b } else { a })
    };
    let kinds = [("where_ u8", Kind::Mask), ("where_ i64", Kind::Index { size: 3 })];
    let rows = kinds.into_iter().flat_map(|k| shapes.map(|s| (k, s)));
    rows.map(|((name, kind), [c, a, b])| {
        let inputs = vec![Input::new(c, kind), float(a), float(b)];
        row(name, inputs, |x| x[0].where_(&x[1], &x[2]), choose).within(Accuracy::Exact).covers(&["Where"])
    })
    .collect()
}
