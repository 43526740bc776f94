//! Convolution by the definition: what the kernels are compared with.

use crate::naive::Nd;
use ganvil::ConvOptions;

/// Visits every product of the trilinear form `sum of x W y` that all three convolutions are contractions of: the flat
/// positions in x `[n, C, h, w]`, W `[O, C/groups, kh, kw]` and y `[n, O, oh, ow]`.
pub fn terms(x: &[usize], w: &[usize], y: &[usize], o: &ConvOptions, mut f: impl FnMut(usize, usize, usize)) {
    let ([n, c, h, wd], [out, cg, kh, kw], [oh, ow]) =
        ([x[0], x[1], x[2], x[3]], [w[0], w[1], w[2], w[3]], [y[2], y[3]]);
    let inside = |i: usize, u: usize, d: usize, size: usize| {
        (i * o.stride[d] + u * o.dilation[d]).checked_sub(o.padding[d]).filter(|&at| at < size)
    };
    for (b, k) in (0..n).flat_map(|b| (0..out).map(move |k| (b, k))) {
        let first = k / (out / o.groups) * cg;
        for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
            for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
                let (Some(row), Some(column)) = (inside(i, u, 0, h), inside(j, v, 1, wd)) else { continue };
                for ch in 0..cg {
                    let xi = ((b * c + first + ch) * h + row) * wd + column;
                    f(xi, ((k * cg + ch) * kh + u) * kw + v, ((b * out + k) * oh + i) * ow + j);
                }
            }
        }
    }
}

/// The sizes of a convolution's result.
pub fn result(x: &[usize], w: &[usize], o: &ConvOptions) -> [usize; 4] {
    let size =
        |d: usize| (x[2 + d] + 2 * o.padding[d] - o.dilation[d] * (w[2 + d] - 1) - 1) / o.stride[d] + 1;
    [x[0], w[0], size(0), size(1)]
}

/// The sizes of a transposed convolution's result.
pub fn transposed_result(
    y: &[usize],
    w: &[usize],
    o: &ConvOptions,
    output_padding: [usize; 2],
) -> [usize; 4] {
    let size = |d: usize| {
        (y[2 + d] - 1) * o.stride[d] + o.dilation[d] * (w[2 + d] - 1) + output_padding[d] + 1
            - 2 * o.padding[d]
    };
    [y[0], w[1] * o.groups, size(0), size(1)]
}

fn zeros(shape: &[usize]) -> Nd {
    Nd { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
}

fn with_bias(mut y: Nd, bias: Option<&Nd>) -> Nd {
    if let Some(b) = bias {
        let pixels: usize = y.shape[2..].iter().product();
        for (i, y) in y.data.chunks_mut(pixels.max(1)).enumerate() {
            y.iter_mut().for_each(|y| *y += b.data[i % b.data.len()]);
        }
    }
    y
}

pub fn conv2d(x: &Nd, w: &Nd, bias: Option<&Nd>, o: &ConvOptions) -> Nd {
    let mut y = zeros(&result(&x.shape, &w.shape, o));
    let shape = y.shape.clone();
    terms(&x.shape, &w.shape, &shape, o, |xi, wi, yi| y.data[yi] += x.data[xi] * w.data[wi]);
    with_bias(y, bias)
}

pub fn conv_transpose2d(
    y: &Nd,
    w: &Nd,
    bias: Option<&Nd>,
    o: &ConvOptions,
    output_padding: [usize; 2],
) -> Nd {
    let mut x = zeros(&transposed_result(&y.shape, &w.shape, o, output_padding));
    let shape = x.shape.clone();
    terms(&shape, &w.shape, &y.shape, o, |xi, wi, yi| x.data[xi] += y.data[yi] * w.data[wi]);
    with_bias(x, bias)
}

pub fn conv2d_weight_grad(x: &Nd, y: &Nd, kernel: [usize; 2], o: &ConvOptions) -> Nd {
    let mut w = zeros(&[y.shape[1], x.shape[1] / o.groups, kernel[0], kernel[1]]);
    let shape = w.shape.clone();
    terms(&x.shape, &shape, &y.shape, o, |xi, wi, yi| w.data[wi] += x.data[xi] * y.data[yi]);
    w
}
