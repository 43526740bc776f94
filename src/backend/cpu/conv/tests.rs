//! Every path of the three directions on small sizes, for the checkers of memory; `tests/convolution.rs` and
//! `tests/op_table` go further.

use super::*;

/// x, kernel, y channels, how the window moves.
type Case = ([usize; 4], [usize; 2], usize, ConvOptions);

fn cases() -> Vec<Case> {
    let plain = ConvOptions::new();
    let odd = ConvOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
    vec![
        ([2, 3, 5, 4], [3, 2], 5, plain.padding(1)),
        ([3, 2, 6, 6], [4, 4], 5, plain.stride(2).padding(1)),
        ([2, 4, 5, 6], [2, 3], 6, odd),
        // Few results, few inputs, one pixel.
        ([2, 5, 4, 4], [3, 3], 1, plain.padding(1)),
        ([2, 1, 6, 6], [4, 4], 6, plain.stride(2).padding(1)),
        ([2, 3, 4, 4], [4, 4], 7, plain),
        // Fewer pixels than the stride.
        ([2, 4, 3, 1], [2, 2], 4, plain.stride(3).padding(1)),
    ]
}

/// Whole numbers, so that sums are exact in any order.
fn whole(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + seed * 13) % 5) as f32 - 2.0).collect()
}

#[test]
fn all_directions_are_contractions_of_one_form() {
    for ([n, c, h, w], kernel, o, options) in cases() {
        let size = |d: usize, x: usize| {
            (x + 2 * options.padding[d] - options.dilation[d] * (kernel[d] - 1) - 1) / options.stride[d] + 1
        };
        let (x, y) = (Image { h, w, c }, Image { h: size(0, h), w: size(1, w), c: o });
        let conv = Conv { count: n, x, y, kernel, options: &options, packed: None };
        let (xs, ys) = (whole(n * x.len(), 1), whole(n * y.len(), 2));
        let ws = whole(o * c / options.groups * kernel[0] * kernel[1], 3);
        let (mut to_y, mut to_x, mut to_w) = (vec![7.0; ys.len()], vec![7.0; xs.len()], vec![7.0; ws.len()]);
        forward(&conv, &xs, &ws, Ending::default(), &mut to_y);
        input_grad(&conv, &ys, &ws, None, &mut to_x);
        weight_grad(&conv, &xs, &ys, &mut to_w);
        let (mut want_y, mut want_x, mut want_w) =
            (vec![0.0; ys.len()], vec![0.0; xs.len()], vec![0.0; ws.len()]);
        each_term(&conv, |xi, wi, yi| {
            want_y[yi] += xs[xi] * ws[wi];
            want_x[xi] += ys[yi] * ws[wi];
            want_w[wi] += xs[xi] * ys[yi];
        });
        let bias = whole(o, 4);
        for slope in [0.0, 0.5] {
            let mut rectified = vec![7.0; ys.len()];
            forward(&conv, &xs, &ws, Ending { bias: Some(&bias), slope: Some(slope) }, &mut rectified);
            let want: Vec<f32> = (0..ys.len()).map(|i| want_y[i] + bias[i % o]).collect();
            let want: Vec<f32> = want.into_iter().map(|y| if y > 0.0 { y } else { slope * y }).collect();
            assert_eq!(rectified, want, "{kernel:?} {options:?} rectified with slope {slope}");
        }
        assert_eq!((to_y, to_x, to_w), (want_y, want_x, want_w), "{kernel:?} {options:?}");
    }
}

/// Visits the positions in x, W and y of every product: images channels-last, the weight in PyTorch's order.
fn each_term(conv: &Conv, mut f: impl FnMut(usize, usize, usize)) {
    let ([c, o], [kh, kw], g) = (conv.channels(), conv.kernel, conv.options);
    for (b, i) in (0..conv.count).flat_map(|b| (0..conv.y.pixels()).map(move |i| (b, i))) {
        for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
            let row = (i / conv.y.w * g.stride[0] + u * g.dilation[0]).wrapping_sub(g.padding[0]);
            let column = (i % conv.y.w * g.stride[1] + v * g.dilation[1]).wrapping_sub(g.padding[1]);
            if row >= conv.x.h || column >= conv.x.w {
                continue;
            }
            let (from, to) = (
                b * conv.x.len() + (row * conv.x.w + column) * conv.x.c,
                (b * conv.y.pixels() + i) * conv.y.c,
            );
            for (k, ch) in (0..conv.y.c).flat_map(|k| (0..c).map(move |ch| (k, ch))) {
                f(from + k / o * c + ch, ((k * c + ch) * kh + u) * kw + v, to + k);
            }
        }
    }
}
