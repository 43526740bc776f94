//! Images: resampling and pooling against their definitions, their adjoints, and samples by themselves.

use crate::image_table::{bilinear, pooled, upfirdn};
use crate::naive::Nd;
use crate::row::bits;
use crate::tensors::{Choices, FULL, assert_near, assert_same, choices, place, special, whole};
use ganvil::autograd::grad;
use ganvil::{DType, Interpolation, PadMode, Tensor};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

fn images(c: &mut Choices) -> Vec<usize> {
    let channels = if c.below(6) == 5 { 7 + c.below(64) } else { 1 + c.below(4) };
    let empty = c.below(24);
    let shape = vec![1 + c.below(3), channels, 1 + c.below(6), 1 + c.below(6)];
    shape.into_iter().enumerate().map(|(d, n)| if d == empty { 0 } else { n }).collect()
}

fn value(t: &Tensor) -> Nd {
    Nd { shape: t.shape().to_vec(), data: t.to_f64_vec() }
}

fn dot(a: &Nd, b: &Nd) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}

/// Kernel size, stride and padding that fit an image.
fn window(shape: &[usize], c: &mut Choices) -> [[usize; 2]; 3] {
    let mut all = [[0; 2]; 3];
    for d in 0..2 {
        let kernel = 1 + c.below(4);
        let padding = c.below(kernel / 2 + 1);
        let most = shape[d + 2] + 2 * padding;
        (all[0][d], all[1][d], all[2][d]) =
            (kernel.min(most), 1 + c.below(4), padding.min(kernel.min(most) / 2));
    }
    all
}

/// A linear map of images and what it is by definition.
type Map = (Box<dyn Fn(&Tensor) -> Tensor>, Box<dyn Fn(&Nd) -> Nd>);

/// Maps with whole numbers, or fractions of powers of two, as factors.
fn linear(shape: &[usize], c: &mut Choices) -> Map {
    let factor = [0; 2].map(|_| 1 + c.below(3));
    match c.below(5) {
        0 | 1 => {
            let [up, down] = [0; 2].map(|_| [0; 2].map(|_| 1 + c.below(3)));
            let taps = [0; 2].map(|_| 1 + c.below(4));
            let filter = Tensor::new(&whole(&taps, c.seed(), -3..=3).data, &taps);
            // The far border makes room for the filter.
            let mut padding = [0; 4];
            for d in 0..2 {
                let near = c.below(6) as isize - 2;
                let least = taps[d] as isize - (shape[d + 2] * up[d]) as isize - near;
                let at = if d == 0 { 2 } else { 0 };
                (padding[at], padding[at + 1]) = (near, least.max(-2) + c.below(4) as isize);
            }
            let f = value(&filter);
            (
                Box::new(move |x| x.upfirdn2d(&filter, up, down, padding)),
                Box::new(move |x| upfirdn(x, &f, up, down, padding)),
            )
        }
        2 => {
            let grow = move |x: &Nd| {
                let s = &x.shape;
                let large = [s[0], s[1], s[2] * factor[0], s[3] * factor[1]];
                Nd::from_fn(&large, |i| x.at(&[i[0], i[1], i[2] / factor[0], i[3] / factor[1]]))
            };
            (Box::new(move |x| x.interpolate(factor, Interpolation::Nearest)), Box::new(grow))
        }
        3 => {
            let factor = factor.map(|f| [1, 2, 4][f - 1]);
            (
                Box::new(move |x| x.interpolate(factor, Interpolation::Bilinear)),
                Box::new(move |x| bilinear(x, factor)),
            )
        }
        _ if shape[2] > 0 && shape[3] > 0 => {
            let [_, stride, _] = window(shape, c);
            let k = [shape[2].min(2), shape[3].min(4) & !1].map(|k| k.max(1));
            let count = (k[0] * k[1]) as f64;
            let all = [k, stride, [0, k[1] / 2]];
            (
                Box::new(move |x| x.avg_pool2d(all[0], all[1], all[2])),
                Box::new(move |x| pooled(x, all, |v| v.iter().sum::<f64>() / count)),
            )
        }
        _ => (Box::new(|x| x.pixel_shuffle(1).pixel_unshuffle(1)), Box::new(Nd::clone)),
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn linear_maps_are_their_definitions_and_their_rules_their_adjoints(
        places in [place(), place()], mut c in choices(),
    ) {
        let shape = images(&mut c);
        let (op, naive) = linear(&shape, &mut c);
        let x = places[0].lay(&whole(&shape, c.seed(), -3..=3), DType::F64);
        let leaf = x.t.clone().requires_grad();
        let ax = op(&leaf);
        assert_same(&ax, &naive(&x.a));
        assert!(ax.layout().permuted(&[0, 2, 3, 1]).is_contiguous() || ax.layout() == x.t.layout());
        let y = places[1].lay(&whole(ax.shape(), c.seed(), -3..=3), DType::F64);
        let upstream = y.t.clone().requires_grad();
        let g = grad(&[&ax], &[&leaf], std::slice::from_ref(&upstream), true)[0].clone().expect("x is used");
        assert_eq!(g.shape(), shape);
        assert_eq!(dot(&value(&ax), &y.a), dot(&x.a, &value(&g)));
        let again = grad(&[&g], &[&upstream], std::slice::from_ref(&x.t), false)[0].clone();
        assert_same(&again.expect("the gradient depends on what comes from above"), &value(&ax));
    }

    #[test]
    fn the_largest_of_a_window_gets_its_gradient(place in place(), mut c in choices()) {
        let mut shape = images(&mut c);
        (shape[2], shape[3]) = (shape[2].max(1), shape[3].max(1));
        let w = window(&shape, &mut c);
        let odd = c.flag();
        let values = if odd { special(&shape, c.seed()) } else { whole(&shape, c.seed(), 0..=3) };
        let x = place.lay(&values, c.of(&FULL));
        let leaf = x.t.clone().requires_grad();
        let y = leaf.max_pool2d(w[0], w[1], w[2]);
        let largest = |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || b <= a { a } else { b });
        assert_same(&y, &pooled(&x.a, w, largest));
        // Which one it is, by position in row-major order.
        let own = Nd::from_fn(&shape, |i| (i[2] * shape[3] + i[3]) as f64);
        let at = |i: &[usize]| {
            let one = |d: usize| {
                let first = (i[d + 2] * w[1][d]) as isize - w[2][d] as isize;
                first.max(0) as usize..((first + w[0][d] as isize) as usize).min(shape[d + 2])
            };
            let all = one(0).flat_map(|y| one(1).map(move |x| (y, x)));
            all.reduce(|a, b| {
                let [va, vb] = [a, b].map(|p| x.a.at(&[i[0], i[1], p.0, p.1]));
                if vb > va || vb.is_nan() && !va.is_nan() { b } else { a }
            }).map(|p| own.at(&[i[0], i[1], p.0, p.1]))
        };
        let g = grad(&[&y], &[&leaf], &[y.ones_like()], false)[0].clone().expect("x is used");
        let mut want = Nd::from_fn(&shape, |_| 0.0);
        for i in crate::naive::indices(y.shape()) {
            let p = at(&i).expect("every window has a pixel") as usize;
            want.data[(i[0] * shape[1] + i[1]) * shape[2] * shape[3] + p] += 1.0;
        }
        assert_same(&g, &want);
    }

    #[test]
    fn cells_of_an_adaptive_mean(place in place(), mut c in choices()) {
        let mut shape = images(&mut c);
        (shape[2], shape[3]) = (shape[2].max(1), shape[3].max(1));
        let size = [0; 2].map(|_| 1 + c.below(7));
        let x = place.lay(&whole(&shape, c.seed(), -8..=8), DType::F64);
        let y = x.t.adaptive_avg_pool2d(size);
        let want = Nd::from_fn(&[shape[0], shape[1], size[0], size[1]], |i| {
            let cell = |d: usize| i[d + 2] * shape[d + 2] / size[d]..((i[d + 2] + 1) * shape[d + 2]).div_ceil(size[d]);
            let (rows, columns) = (cell(0), cell(1));
            let count = (rows.len() * columns.len()) as f64;
            let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
            pixels.map(|(y, w)| x.a.at(&[i[0], i[1], y, w])).sum::<f64>() / count
        });
        // Values up to 8, divided once or twice, or multiplied by shares of one rounding before at most 36 additions.
        assert_near(&y, &want, &want.map(|_| 8.0 * 40.0 * f64::EPSILON));
    }

    #[test]
    fn images_stand_alone_whatever_the_threads(mut c in choices()) {
        let shape: Vec<usize> = images(&mut c).iter().map(|&n| 2 * n.max(1)).collect();
        // The batch is the slowest dimension; the others lie in any order, and one may have gaps.
        let order: Vec<usize> = std::iter::once(0).chain(c.permutation(3).iter().map(|d| d + 1)).collect();
        let mut back = [0; 4];
        order.iter().enumerate().for_each(|(i, &d)| back[d] = i as isize);
        let gap = c.below(4);
        let stored: Vec<usize> = order.iter().map(|&d| shape[d] + usize::from(d == gap)).collect();
        let values = whole(&stored, c.seed(), -9..=9);
        let x = Tensor::new(&values.data, &stored).to_dtype(c.of(&FULL)).mul_scalar(1.0 / 7.0);
        let x = x.permute(&back).narrow(gap as isize, 1, shape[gap]);
        let kind = c.below(6);
        let of = |x: &Tensor| match kind {
            0 => x.avg_pool2d([2, 2], [2, 2], [1, 1]),
            1 => x.interpolate([2, 3], Interpolation::Bilinear),
            2 => x.max_pool2d([2, 2], [1, 2], [1, 0]),
            3 => x.adaptive_avg_pool2d([1, 1]),
            4 => x.pixel_unshuffle(2).pixel_norm(1e-8),
            _ => x.pad(&[1, 2, 0, 1], PadMode::Replicate),
        };
        let all = of(&x);
        let at = c.below(shape[0]);
        let one = of(&x.narrow(0, at, 1));
        assert!(bits(&one) == bits(&all.narrow(0, at, 1)), "kind {kind}, sample {at} of {:?}", x.layout());
        let pool = ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
        assert!(bits(&pool.install(|| of(&x))) == bits(&all), "kind {kind} on 2 threads");
    }
}
