//! Convolutions.

use crate::cases::matmul::rectified;
use crate::convolution::{conv_transpose2d, conv2d, conv2d_weight_grad, result, transposed_result};
use crate::naive::Nd;
use crate::row::{Accuracy, FULL, Row, float, row};
use ganvil::{Activation, ConvOptions};

const ALL: &[&str] = &["Conv2d", "ConvTranspose2d", "Conv2dWeightGrad"];

/// x `[n, C, h, w]`, W `[O, C/groups, kh, kw]`, how the window moves, and the transposed one's output_padding.
type Case = ([usize; 4], [usize; 4], ConvOptions, [usize; 2]);

fn options(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> ConvOptions {
    ConvOptions { stride, padding, dilation, groups }
}

/// Small ones, of which derivatives are taken too, and ones that fill tiles, panels and blocks of every tier, each with
/// remainders.
fn cases() -> Vec<Case> {
    let plain = ConvOptions::new();
    vec![
        ([1, 1, 1, 1], [1, 1, 1, 1], plain, [0, 0]),
        ([2, 1, 3, 3], [2, 1, 2, 2], plain, [0, 0]),
        ([1, 2, 4, 3], [1, 2, 3, 2], plain.padding(1), [0, 0]),
        ([1, 2, 4, 4], [2, 2, 2, 2], plain.stride(2), [1, 0]),
        ([1, 2, 3, 4], [2, 1, 2, 1], options([1, 2], [1, 0], [2, 1], 2), [1, 0]),
        ([2, 1, 4, 4], [1, 1, 4, 4], plain.stride(2).padding(1), [0, 0]),
        ([1, 4, 2, 2], [4, 1, 1, 1], plain.groups(4), [0, 0]),
        ([1, 1, 5, 1], [1, 1, 1, 1], plain.stride(3), [1, 2]),
        ([0, 2, 3, 3], [3, 2, 2, 2], plain, [0, 0]),
        ([2, 3, 9, 8], [5, 3, 4, 4], plain.stride(2).padding(1), [0, 0]),
        ([5, 4, 7, 7], [37, 4, 3, 3], plain.padding(1), [0, 0]),
        ([3, 8, 6, 5], [1, 8, 3, 3], plain.padding(1), [0, 0]),
        ([3, 2, 6, 5], [3, 8, 3, 3], plain.padding(1).groups(1), [0, 0]),
        ([2, 6, 8, 7], [9, 2, 3, 2], options([2, 3], [1, 1], [2, 1], 3), [1, 2]),
        ([19, 17, 4, 4], [2, 17, 4, 4], plain, [0, 0]),
        ([1, 260, 5, 4], [3, 260, 3, 3], plain.padding(1), [0, 0]),
        ([40, 5, 2, 2], [70, 5, 1, 1], plain, [0, 0]),
        ([2, 64, 9, 9], [33, 64, 4, 4], plain.stride(2).padding(1), [1, 1]),
    ]
    .into_iter()
    .map(|(x, mut w, o, p)| {
        w[1] = x[1] / o.groups;
        (x, w, o, p)
    })
    .collect()
}

/// Any order of summation of so many terms; fused products round less often, not more.
fn terms(n: usize) -> Accuracy {
    Accuracy::Condition(n as f64 + 2.0)
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (x, w, o, output_padding) in cases() {
        let taps = w[2] * w[3];
        let y = result(&x, &w, &o);
        rows.push(
            row(
                format!("conv2d {o:?}"),
                vec![float(&x), float(&w)],
                move |t| t[0].conv2d(&t[1], None, &o),
                move |t| conv2d(&t[0], &t[1], None, &o),
            )
            .within(terms(w[1] * taps)),
        );
        rows.push(
            row(
                format!("conv2d {o:?} with bias"),
                vec![float(&x), float(&w), float(&w[..1])],
                move |t| t[0].conv2d(&t[1], Some(&t[2]), &o),
                move |t| conv2d(&t[0], &t[1], Some(&t[2]), &o),
            )
            .within(terms(w[1] * taps)),
        );
        for act in [Activation::Relu, Activation::LeakyRelu(0.2)] {
            rows.push(
                row(
                    format!("conv2d_act {act:?} {o:?}"),
                    vec![float(&x), float(&w), float(&w[..1])],
                    move |t| t[0].conv2d_act(&t[1], Some(&t[2]), &o, act),
                    move |t| rectified(conv2d(&t[0], &t[1], Some(&t[2]), &o), act),
                )
                .within(terms(w[1] * taps)),
            );
        }
        let larger = transposed_result(&y, &w, &o, output_padding);
        rows.push(
            row(
                format!("conv_transpose2d {o:?} output_padding {output_padding:?}"),
                vec![float(&y), float(&w), float(&larger[1..2])],
                move |t| t[0].conv_transpose2d(&t[1], Some(&t[2]), &o, output_padding),
                move |t| conv_transpose2d(&t[0], &t[1], Some(&t[2]), &o, output_padding),
            )
            .within(terms(w[0] / o.groups * taps)),
        );
        let kernel = [w[2], w[3]];
        rows.push(
            row(
                format!("conv2d_weight_grad {o:?} {kernel:?}"),
                vec![float(&x), float(&y)],
                move |t| t[0].conv2d_weight_grad(&t[1], kernel, &o),
                move |t| conv2d_weight_grad(&t[0], &t[1], kernel, &o),
            )
            .within(terms(y[0] * y[2] * y[3])),
        );
    }
    let mut rows: Vec<Row> = rows.into_iter().map(|r| r.dtypes(FULL).covers(ALL)).collect();
    for demodulate in [None, Some(1e-3)] {
        rows.push(modulated([2, 2, 3, 2], [2, 2, 2, 1], demodulate));
        rows.push(modulated([3, 5, 6, 7], [4, 5, 3, 3], demodulate));
    }
    rows
}

/// A kernel for every sample, by the definition.
fn modulated(x: [usize; 4], w: [usize; 4], demodulate: Option<f64>) -> Row {
    let padding = [1, 0];
    let o = ConvOptions { padding, ..ConvOptions::new() };
    let per_sample: usize = w[1..].iter().product();
    let naive = move |t: &[Nd]| {
        let samples = (0..x[0]).map(|n| {
            let mut own = Nd::from_fn(&w, |i| t[1].at(i) * t[2].at(&[n, i[1]]));
            for weight in own.data.chunks_mut(per_sample) {
                let norm = demodulate.map_or(1.0, |e| (weight.iter().map(|w| w * w).sum::<f64>() + e).sqrt());
                weight.iter_mut().for_each(|w| *w /= norm);
            }
            let size: usize = x[1..].iter().product();
            let image = Nd { shape: vec![1, x[1], x[2], x[3]], data: t[0].data[n * size..][..size].to_vec() };
            conv2d(&image, &own, None, &o).data
        });
        let data = samples.collect::<Vec<_>>().concat();
        Nd { shape: [x[0], w[0], x[2] + 2 - (w[2] - 1), x[3] - (w[3] - 1)].to_vec(), data }
    };
    row(
        format!("modulated_conv2d demodulate {demodulate:?}"),
        vec![float(&x), float(&w), float(&x[..2])],
        move |t| t[0].modulated_conv2d(&t[1], &t[2], padding, demodulate),
        naive,
    )
    .within(Accuracy::Magnitude(4.0 * per_sample as f64))
    .dtypes(FULL)
}
