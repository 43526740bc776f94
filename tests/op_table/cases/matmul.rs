//! Matrix products.

use crate::naive::Nd;
use crate::row::{Accuracy, Row, float, row};
use ganvil::Activation;

const SHAPES: [(&[usize], &[usize]); 20] = [
    (&[1, 1], &[1, 1]),
    (&[2, 3], &[3, 4]),
    (&[5, 7], &[7, 3]),
    (&[1, 9], &[9, 1]),
    (&[9, 1], &[1, 9]),
    (&[0, 3], &[3, 2]),
    (&[2, 0], &[0, 3]),
    (&[2, 3], &[3, 0]),
    (&[2, 3, 4], &[2, 4, 2]),
    (&[2, 3, 4], &[4, 2]),
    (&[3, 4], &[2, 4, 2]),
    (&[2, 1, 2, 3], &[4, 3, 2]),
    (&[1, 2, 3], &[3, 3, 2]),
    (&[3, 2, 3], &[1, 3, 2]),
    (&[0, 2, 3], &[3, 4]),
    (&[0, 2, 3], &[1, 3, 4]),
    (&[2, 2, 0], &[0, 3]),
    (&[130, 67], &[67, 50]),
    (&[65, 257], &[257, 33]),
    (&[3, 33, 17], &[3, 17, 19]),
];

fn transposed(a: &Nd) -> Nd {
    let rank = a.shape.len();
    a.permute(&(0..rank - 2).chain([rank - 1, rank - 2]).collect::<Vec<_>>())
}

/// x [.., in] times weight [out, in] transposed, plus bias [out].
fn linear(x: &Nd, weight: &Nd, bias: Option<&Nd>) -> Nd {
    let (inner, out) = (weight.shape[1], weight.shape[0]);
    let rows: usize = x.shape[..x.shape.len() - 1].iter().product();
    let y = x.reshape(&[rows, inner]).matmul(&transposed(weight));
    let y = bias.map_or(y.clone(), |b| y.zip(b, |y, b| y + b));
    y.reshape(&[&x.shape[..x.shape.len() - 1], &[out]].concat())
}

/// x where x > 0, else 0 or less of it.
pub fn rectified(x: Nd, act: Activation) -> Nd {
    let slope = match act {
        Activation::Relu => 0.0,
        Activation::LeakyRelu(slope) => slope,
    };
    x.map(|x| if x > 0.0 { x } else { slope * x })
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (a, b) in SHAPES {
        let k = Accuracy::Condition(a[a.len() - 1] as f64 + 1.0);
        rows.push(
            row("matmul", vec![float(a), float(b)], |x| x[0].matmul(&x[1]), |x| x[0].matmul(&x[1]))
                .within(k)
                .covers(&["Matmul"]),
        );
        let swapped = |s: &[usize]| [&s[..s.len() - 2], &[s[s.len() - 1], s[s.len() - 2]]].concat();
        let inputs = vec![float(&swapped(a)), float(&swapped(b))];
        let naive = |x: &[Nd]| transposed(&x[0]).matmul(&transposed(&x[1]));
        rows.push(row("matmul of transposes", inputs, |x| x[0].t().matmul(&x[1].t()), naive).within(k));
    }
    rows.push(
        row(
            "x times its transpose",
            vec![float(&[3, 4])],
            |x| x[0].matmul(&x[0].t()),
            |x| x[0].matmul(&transposed(&x[0])),
        )
        .within(Accuracy::Condition(5.0)),
    );
    let linear_shapes: [(&[usize], [usize; 2]); 8] = [
        (&[5, 4], [3, 4]),
        (&[2, 3, 4], [2, 4]),
        (&[4], [3, 4]),
        (&[1, 1], [1, 1]),
        (&[0, 4], [3, 4]),
        (&[3, 0], [2, 0]),
        (&[3, 2], [0, 2]),
        (&[70, 45], [37, 45]),
    ];
    for (x, w) in linear_shapes {
        let k = Accuracy::Condition(w[1] as f64 + 2.0);
        let inputs = vec![float(x), float(&w), float(&[w[0]])];
        rows.push(
            row("linear", inputs, |x| x[0].linear(&x[1], Some(&x[2])), |x| linear(&x[0], &x[1], Some(&x[2])))
                .within(k)
                .covers(&["Linear"]),
        );
        for act in [Activation::Relu, Activation::LeakyRelu(0.2), Activation::LeakyRelu(-0.5)] {
            rows.push(
                row(
                    format!("linear_act {act:?}"),
                    vec![float(x), float(&w), float(&[w[0]])],
                    move |x| x[0].linear_act(&x[1], Some(&x[2]), act),
                    move |x| rectified(linear(&x[0], &x[1], Some(&x[2])), act),
                )
                .within(k),
            );
        }
        rows.push(
            row(
                "linear without bias",
                vec![float(x), float(&w)],
                |x| x[0].linear(&x[1], None),
                |x| linear(&x[0], &x[1], None),
            )
            .within(k),
        );
    }
    rows
}
