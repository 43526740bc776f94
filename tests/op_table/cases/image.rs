//! Images: resampling, pooling, rearrangement, attention, and what is said of batches of them.

use crate::naive::{Nd, mean, variance};
use crate::row::{ALL, Accuracy, FULL, Gradient, Input, Kind, Row, float, index, range, row};
use ganvil::{Interpolation, PadMode, SpectralOrder, Tensor};

/// A batch of images, and the height and width of a filter; up and down of height and width; left, right, top, bottom.
type Resampling = ([usize; 4], [usize; 2], [usize; 2], [usize; 2], [isize; 4]);

const RESAMPLINGS: [Resampling; 16] = [
    ([2, 2, 3, 2], [2, 2], [1, 1], [1, 1], [0, 0, 0, 0]),
    ([1, 2, 3, 4], [3, 1], [1, 1], [1, 1], [0, 0, 1, 1]),
    ([1, 2, 2, 3], [2, 2], [2, 2], [1, 1], [1, 0, 1, 0]),
    ([1, 2, 2, 3], [4, 4], [2, 2], [1, 1], [2, 1, 2, 1]),
    ([1, 1, 4, 5], [2, 3], [1, 1], [2, 2], [1, 1, 0, 0]),
    ([2, 1, 3, 3], [3, 2], [3, 2], [2, 3], [2, 1, 0, 3]),
    ([1, 2, 4, 3], [2, 1], [1, 2], [2, 1], [-1, 1, -2, 0]),
    ([1, 2, 4, 4], [1, 1], [1, 1], [1, 1], [-1, -1, -1, -2]),
    ([1, 1, 2, 2], [5, 5], [1, 1], [1, 1], [3, 4, 2, 3]),
    ([1, 1, 1, 1], [2, 2], [3, 3], [5, 5], [1, 1, 1, 1]),
    ([1, 2, 0, 2], [2, 2], [1, 1], [1, 1], [1, 1, 1, 1]),
    ([0, 2, 2, 2], [2, 2], [2, 2], [1, 1], [1, 1, 1, 1]),
    ([2, 0, 3, 3], [2, 2], [1, 1], [2, 2], [0, 0, 0, 0]),
    ([3, 19, 21, 17], [4, 4], [2, 2], [1, 1], [2, 1, 2, 1]),
    ([2, 70, 24, 21], [4, 3], [1, 1], [1, 1], [2, 1, 1, 2]),
    ([2, 67, 26, 30], [3, 2], [1, 1], [2, 2], [1, 0, 0, 1]),
];

/// The definition, on the whole upsampled and padded image.
pub fn upfirdn(x: &Nd, f: &Nd, up: [usize; 2], down: [usize; 2], padding: [isize; 4]) -> Nd {
    let (s, k) = (&x.shape, &f.shape);
    let [left, right, top, bottom] = padding;
    let padded = [(2, top + bottom), (3, left + right)].map(|(d, p)| (s[d] * up[d - 2]) as isize + p);
    let size = [0, 1].map(|d| (padded[d] - k[d] as isize) as usize / down[d] + 1);
    let z = |n, c, i: isize, j: isize| {
        let from = [(i - top, 0), (j - left, 1)].map(|(at, d)| {
            let at = usize::try_from(at).ok()?;
            (at % up[d] == 0 && at / up[d] < s[d + 2]).then_some(at / up[d])
        });
        if let [Some(y), Some(w)] = from { x.at(&[n, c, y, w]) } else { 0.0 }
    };
    Nd::from_fn(&[s[0], s[1], size[0], size[1]], |i| {
        let mut sum = 0.0;
        for ky in 0..k[0] {
            for kx in 0..k[1] {
                let (y, w) = (i[2] * down[0] + k[0] - 1 - ky, i[3] * down[1] + k[1] - 1 - kx);
                sum += f.at(&[ky, kx]) * z(i[0], i[1], y as isize, w as isize);
            }
        }
        sum
    })
}

/// A batch of images, and kernel size, stride and padding.
const WINDOWS: [([usize; 4], [[usize; 2]; 3]); 9] = [
    ([2, 2, 4, 4], [[2, 2], [2, 2], [0, 0]]),
    ([1, 2, 5, 4], [[3, 3], [2, 2], [1, 1]]),
    ([1, 1, 4, 7], [[3, 2], [1, 2], [0, 1]]),
    ([1, 2, 3, 3], [[1, 1], [2, 2], [0, 0]]),
    ([2, 2, 2, 3], [[2, 3], [5, 5], [0, 0]]),
    ([0, 2, 4, 4], [[2, 2], [2, 2], [0, 0]]),
    ([1, 0, 4, 4], [[2, 2], [2, 2], [0, 0]]),
    ([3, 35, 28, 30], [[2, 2], [2, 2], [0, 0]]),
    ([2, 67, 29, 31], [[3, 3], [2, 2], [1, 1]]),
];

/// `f` of the pixels of each window that lie in the image.
pub fn pooled(x: &Nd, [k, s, p]: [[usize; 2]; 3], f: impl Fn(&[f64]) -> f64) -> Nd {
    let size = [0, 1].map(|d| (x.shape[d + 2] + 2 * p[d] - k[d]) / s[d] + 1);
    Nd::from_fn(&[x.shape[0], x.shape[1], size[0], size[1]], |i| {
        let inside = |d: usize| {
            let first = (i[d + 2] * s[d]) as isize - p[d] as isize;
            (0..k[d] as isize).map(move |j| first + j).filter(move |&y| y >= 0 && y < x.shape[d + 2] as isize)
        };
        let pixels: Vec<f64> = inside(0)
            .flat_map(|y| inside(1).map(move |w| x.at(&[i[0], i[1], y as usize, w as usize])))
            .collect();
        f(&pixels)
    })
}

const ADAPTIVE: [([usize; 4], [usize; 2]); 8] = [
    ([2, 2, 3, 4], [1, 1]),
    ([1, 2, 4, 6], [2, 3]),
    ([1, 2, 5, 4], [3, 4]),
    ([1, 2, 2, 3], [3, 5]),
    ([2, 1, 7, 3], [3, 1]),
    ([0, 2, 3, 4], [2, 2]),
    ([3, 17, 23, 24], [1, 1]),
    ([2, 33, 23, 24], [7, 8]),
];

const FACTORS: [([usize; 4], [usize; 2]); 9] = [
    ([2, 2, 2, 3], [2, 2]),
    ([1, 2, 3, 2], [3, 2]),
    ([1, 2, 3, 2], [1, 4]),
    ([1, 2, 3, 2], [1, 1]),
    ([1, 1, 1, 1], [5, 3]),
    ([0, 2, 3, 2], [2, 2]),
    ([1, 2, 0, 2], [2, 2]),
    ([3, 19, 21, 17], [2, 2]),
    ([2, 66, 11, 13], [3, 2]),
];

pub fn bilinear(x: &Nd, f: [usize; 2]) -> Nd {
    let s = &x.shape;
    Nd::from_fn(&[s[0], s[1], s[2] * f[0], s[3] * f[1]], |i| {
        // In halves of an upsampled pixel, so that nothing is rounded before the weights.
        let sources = [0, 1].map(|d| {
            let (at, unit) = ((2 * i[d + 2] + 1).saturating_sub(f[d]), 2 * f[d]);
            let (low, past) = (at / unit, (at % unit) as f64);
            let last = s[d + 2] - 1;
            [(low, (unit as f64 - past) / unit as f64), ((low + 1).min(last), past / unit as f64)]
        });
        let [rows, columns] = sources;
        let pairs = rows.iter().flat_map(|r| columns.iter().map(move |c| (r, c)));
        pairs.map(|(r, c)| r.1 * c.1 * x.at(&[i[0], i[1], r.0, c.0])).sum()
    })
}

fn resampling() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, kernel, up, down, padding) in RESAMPLINGS {
        let taps = (kernel[0] * kernel[1]) as f64;
        rows.push(
            row(
                format!("upfirdn2d up {up:?} down {down:?} pad {padding:?}"),
                vec![float(&shape), float(&kernel).constant()],
                move |x| x[0].upfirdn2d(&x[1], up, down, padding),
                move |x| upfirdn(&x[0], &x[1], up, down, padding),
            )
            .within(Accuracy::Condition(taps + 1.0))
            .dtypes(FULL)
            .covers(&["UpfirdnOp"]),
        );
    }
    for (shape, f) in FACTORS {
        let nearest = move |x: &[Nd]| {
            let s = &x[0].shape;
            let large = [s[0], s[1], s[2] * f[0], s[3] * f[1]];
            Nd::from_fn(&large, |i| x[0].at(&[i[0], i[1], i[2] / f[0], i[3] / f[1]]))
        };
        let op = move |x: &[Tensor]| x[0].interpolate(f, Interpolation::Nearest);
        let r = row(format!("interpolate nearest {f:?}"), vec![float(&shape)], op, nearest);
        rows.push(r.within(Accuracy::Exact).dtypes(FULL));
        let op = move |x: &[Tensor]| x[0].interpolate(f, Interpolation::Bilinear);
        let naive = move |x: &[Nd]| bilinear(&x[0], f);
        let r = row(format!("interpolate bilinear {f:?}"), vec![float(&shape)], op, naive);
        // Four products with weights of two roundings each.
        rows.push(r.within(Accuracy::Condition(8.0)).dtypes(FULL));
    }
    rows
}

fn pooling() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, window) in WINDOWS {
        let [k, s, p] = window;
        let count = (k[0] * k[1]) as f64;
        let mean_of = row(
            format!("avg_pool2d {window:?}"),
            vec![float(&shape)],
            move |x| x[0].avg_pool2d(k, s, p),
            move |x| pooled(&x[0], window, |v| v.iter().sum::<f64>() / count),
        );
        rows.push(mean_of.within(Accuracy::Condition(count + 2.0)).dtypes(FULL));
        let largest =
            |x: &[Nd], window| pooled(&x[0], window, |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let max_of = row(
            format!("max_pool2d {window:?}"),
            vec![Input::new(&shape, Kind::Distinct)],
            move |x| x[0].max_pool2d(k, s, p),
            move |x| largest(x, window),
        );
        rows.push(max_of.within(Accuracy::Exact).dtypes(FULL));
        let tied = row(
            format!("max_pool2d of equal ones {window:?}"),
            vec![Input::new(&shape, Kind::Steps)],
            move |x| x[0].max_pool2d(k, s, p),
            move |x| largest(x, window),
        );
        rows.push(tied.within(Accuracy::Exact).dtypes(FULL).gradient(Gradient::Unchecked));
    }
    for (shape, size) in ADAPTIVE {
        let cells = move |x: &[Nd]| {
            let s = x[0].shape.clone();
            let cell = |i: usize, d: usize| i * s[d + 2] / size[d]..((i + 1) * s[d + 2]).div_ceil(size[d]);
            Nd::from_fn(&[s[0], s[1], size[0], size[1]], |i| {
                let pixels: Vec<f64> = cell(i[2], 0)
                    .flat_map(|y| cell(i[3], 1).map(move |w| (y, w)))
                    .map(|(y, w)| x[0].at(&[i[0], i[1], y, w]))
                    .collect();
                mean(&pixels)
            })
        };
        let n = (shape[2] * shape[3]) as f64;
        let op = move |x: &[Tensor]| x[0].adaptive_avg_pool2d(size);
        let r = row(format!("adaptive_avg_pool2d {size:?}"), vec![float(&shape)], op, cells);
        rows.push(r.within(Accuracy::Condition(n + 2.0)).dtypes(FULL));
    }
    rows
}

const SHUFFLED: [([usize; 4], usize); 6] = [
    ([2, 4, 2, 3], 2),
    ([1, 9, 1, 2], 3),
    ([2, 3, 2, 2], 1),
    ([1, 8, 2, 2], 2),
    ([0, 4, 2, 2], 2),
    ([3, 28, 9, 11], 2),
];

fn rearrangement() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, r) in SHUFFLED {
        let [n, c, h, w] = shape;
        let larger = [n, c / (r * r), h * r, w * r];
        let there = row(
            format!("pixel_shuffle {r}"),
            vec![float(&shape)],
            move |x| x[0].pixel_shuffle(r),
            move |x| {
                Nd::from_fn(&larger, |i| {
                    x[0].at(&[i[0], i[1] * r * r + i[2] % r * r + i[3] % r, i[2] / r, i[3] / r])
                })
            },
        );
        let back = row(
            format!("pixel_unshuffle {r}"),
            vec![float(&larger)],
            move |x| x[0].pixel_unshuffle(r),
            move |x| {
                Nd::from_fn(&shape, |i| {
                    let (k, rest) = (i[1] / (r * r), i[1] % (r * r));
                    x[0].at(&[i[0], k, i[2] * r + rest / r, i[3] * r + rest % r])
                })
            },
        );
        rows.extend([there, back].map(|r| r.within(Accuracy::Exact).dtypes(ALL)));
    }
    for (shape, padding) in
        [(&[2, 3][..], &[2usize, 1][..]), (&[1, 2, 2, 3], &[1, 1, 1, 1]), (&[2, 1, 3], &[0, 2, 3, 0, 1, 0])]
    {
        let naive = move |x: &[Nd]| {
            let s = &x[0].shape;
            let sides = |d: usize| {
                let at = 2 * (s.len() - 1 - d);
                if at < padding.len() { (padding[at], padding[at + 1]) } else { (0, 0) }
            };
            let larger: Vec<usize> = (0..s.len()).map(|d| sides(d).0 + s[d] + sides(d).1).collect();
            Nd::from_fn(&larger, |i| {
                let from = |d: usize| i[d].saturating_sub(sides(d).0).min(s[d] - 1);
                x[0].at(&(0..s.len()).map(from).collect::<Vec<_>>())
            })
        };
        let op = move |x: &[Tensor]| x[0].pad(padding, PadMode::Replicate);
        let r = row(format!("replicate {padding:?}"), vec![float(shape)], op, naive);
        rows.push(r.within(Accuracy::Exact).dtypes(ALL));
    }
    rows
}

const EPS: f64 = 1e-3;

/// A batch of images, the size of a group and the number of channels appended.
const GROUPS: [([usize; 4], Option<usize>, usize); 5] = [
    ([4, 2, 1, 2], None, 1),
    ([4, 2, 1, 2], Some(2), 2),
    ([6, 2, 2, 1], Some(3), 1),
    ([2, 3, 1, 2], Some(8), 3),
    ([12, 34, 8, 9], Some(4), 2),
];

fn deviations(x: &Nd, group: Option<usize>, f: usize) -> Nd {
    let [n, c, h, w] = [0, 1, 2, 3].map(|d| x.shape[d]);
    let g = group.unwrap_or(n).min(n);
    Nd::from_fn(&[n, c + f, h, w], |i| {
        if i[1] < c {
            return x.at(i);
        }
        let mut all = Vec::new();
        for k in 0..c / f {
            for (y, x_) in (0..h).flat_map(|y| (0..w).map(move |w| (y, w))) {
                let channel = (i[1] - c) * (c / f) + k;
                let of: Vec<f64> =
                    (0..g).map(|j| x.at(&[j * (n / g) + i[0] % (n / g), channel, y, x_])).collect();
                all.push((variance(&of, 0.0) + EPS).sqrt());
            }
        }
        mean(&all)
    })
}

fn of_batches() -> Vec<Row> {
    let mut rows = Vec::new();
    for shape in [&[3, 4][..], &[2, 3, 2, 2], &[2, 1, 3], &[0, 3, 2, 2], &[3, 67, 9, 11]] {
        let naive = |x: &[Nd]| {
            let square = x[0].reduce(&[1], true, |v| mean(&v.iter().map(|v| v * v).collect::<Vec<_>>()));
            x[0].zip(&square, |x, m| x / (m + EPS).sqrt())
        };
        let r = row("pixel_norm", vec![float(shape)], |x| x[0].pixel_norm(EPS), naive);
        rows.push(r.within(Accuracy::Magnitude(16.0)).dtypes(FULL));
    }
    for (shape, group, f) in GROUPS {
        let op = move |x: &[Tensor]| x[0].minibatch_stddev(group, f, EPS);
        let naive = move |x: &[Nd]| deviations(&x[0], group, f);
        let r = row(format!("minibatch_stddev {group:?} {f}"), vec![float(&shape)], op, naive);
        rows.push(r.within(Accuracy::Magnitude(32.0)).dtypes(FULL));
    }
    for shape in [&[4, 2, 1, 2][..], &[5, 3], &[9, 17, 8, 7]] {
        rows.extend(conditional(shape));
    }
    rows
}

fn conditional(shape: &'static [usize]) -> [Row; 2] {
    let (classes, c) = (3, shape[1]);
    let spread = |v: &Nd, rank: usize| {
        v.reshape(&(0..rank).map(|d| if d == 1 { v.data.len() } else { 1 }).collect::<Vec<_>>())
    };
    let normed = move |x: &[Nd], m: &Nd, v: &Nd| {
        let rank = x[0].shape.len();
        let y = x[0].zip(&spread(m, rank), |x, m| x - m).zip(&spread(v, rank), |x, v| x / (v + EPS).sqrt());
        Nd::from_fn(&y.shape, |i| {
            let class = x[1].at(&[i[0]]) as usize;
            y.at(i) * x[2].at(&[class, i[1]]) + x[3].at(&[class, i[1]])
        })
    };
    let inputs = || {
        vec![
            float(shape),
            index(&[shape[0]], classes),
            range(&[classes, c], 0.5, 1.5, &[]),
            float(&[classes, c]),
        ]
    };
    let dims: Vec<isize> = (0..shape.len() as isize).filter(|&d| d != 1).collect();
    let training = row(
        "conditional_batch_norm",
        inputs(),
        |x| x[0].conditional_batch_norm(&x[1], &x[2], &x[3], EPS).y,
        move |x| {
            let m = x[0].reduce(&dims, false, mean);
            normed(x, &m, &x[0].reduce(&dims, false, |v| variance(v, 0.0)))
        },
    );
    let given = [inputs(), vec![float(&[c]), range(&[c], 0.5, 2.0, &[])]].into_iter().flatten().collect();
    let evaluation = row(
        "conditional_batch_norm_eval",
        given,
        |x| x[0].conditional_batch_norm_eval(&x[1], &x[2], &x[3], &x[4], &x[5], EPS),
        move |x| normed(x, &x[4], &x[5]),
    );
    [training, evaluation].map(|r| r.within(Accuracy::Magnitude(48.0)).dtypes(FULL))
}

/// The entries of a dimension as rows of a matrix.
fn matrix(w: &Nd, d: usize) -> Nd {
    let order: Vec<usize> = std::iter::once(d).chain((0..w.shape.len()).filter(|&i| i != d)).collect();
    let shape: Vec<usize> = order.iter().map(|&i| w.shape[i]).collect();
    let moved = Nd::from_fn(&shape, |i| {
        let mut at = vec![0; i.len()];
        order.iter().zip(i).for_each(|(&o, &i)| at[o] = i);
        w.at(&at)
    });
    let columns = shape[1..].iter().product();
    moved.reshape(&[shape[0], columns])
}

fn unit(x: Nd) -> Nd {
    let norm = x.data.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
    x.map(|v| v / norm)
}

/// W / sigma, u and v, after an iteration if an order is given.
fn spectral(x: &[Nd], d: usize, order: Option<SpectralOrder>) -> [Nd; 3] {
    let m = matrix(&x[0], d);
    let (rows, columns) = (m.shape[0], m.shape[1]);
    let (u, v) = (x[1].reshape(&[1, rows]), x[2].reshape(&[columns, 1]));
    let left = |v: &Nd| unit(m.matmul(v)).reshape(&[1, rows]);
    let right = |u: &Nd| unit(u.matmul(&m)).reshape(&[columns, 1]);
    let (u, v) = match order {
        None => (u, v),
        Some(SpectralOrder::VFirst) => (left(&right(&u)), right(&u)),
        Some(SpectralOrder::UFirst) => (left(&v), right(&left(&v))),
    };
    let sigma = u.matmul(&m).matmul(&v).data[0];
    [x[0].map(|w| w / sigma), u.reshape(&[rows]), v.reshape(&[columns])]
}

fn spectral_norm() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, dim) in [(&[3, 4][..], 0), (&[2, 3, 2, 1], 1), (&[4, 1], -1), (&[5], 0), (&[40, 9, 3, 3], 0)]
    {
        let d = if dim < 0 { shape.len() - 1 } else { dim as usize };
        let (m, k) = (shape[d], shape.iter().product::<usize>() / shape[d]);
        // Positive numbers, far from a sigma of 0.
        let inputs = || [shape, &[m], &[k]].map(|s| range(s, 0.5, 1.5, &[]));
        let [w, u, v] = inputs();
        let fixed = row(
            format!("spectral_norm_eval {dim}"),
            vec![w, u.constant(), v.constant()],
            move |x| x[0].spectral_norm_eval(&x[1], &x[2], dim),
            move |x| spectral(x, d, None)[0].clone(),
        );
        rows.push(fixed.within(Accuracy::Magnitude(k as f64 + m as f64)).dtypes(FULL));
        for order in [SpectralOrder::VFirst, SpectralOrder::UFirst] {
            for part in 0..3 {
                let op = move |x: &[Tensor]| {
                    let y = x[0].spectral_norm(&x[1], &x[2], dim, order, 1e-12);
                    [y.weight, y.u, y.v][part].clone()
                };
                let name = format!("spectral_norm {dim} {order:?} {part}");
                let r = row(name, inputs().into(), op, move |x| spectral(x, d, Some(order))[part].clone());
                // To finite differences u and v are no constants.
                let bound = Accuracy::Magnitude(2.0 * (k + m) as f64);
                rows.push(r.within(bound).dtypes(FULL).gradient(Gradient::Unchecked));
            }
        }
    }
    rows
}

fn attention() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, inner) in [([1, 2, 2, 1], 1), ([2, 2, 1, 3], 2), ([2, 16, 9, 7], 2)] {
        let c = shape[1];
        let small = |s: &[usize]| range(s, -0.7, 0.7, &[]);
        let inputs = vec![
            small(&shape),
            small(&[inner, c]),
            small(&[inner]),
            small(&[inner, c]),
            small(&[inner]),
            small(&[c, c, 1, 1]),
            small(&[c]),
            small(&[1]),
        ];
        let op = |x: &[Tensor]| {
            x[0].self_attention((&x[1], Some(&x[2])), (&x[3], Some(&x[4])), (&x[5], Some(&x[6])), &x[7])
        };
        let r = row("self_attention", inputs, op, attended);
        rows.push(r.within(Accuracy::Magnitude(64.0)).dtypes(FULL));
    }
    rows
}

fn attended(x: &[Nd]) -> Nd {
    let [n, c, h, w] = [0, 1, 2, 3].map(|d| x[0].shape[d]);
    let project = |weight: &Nd, bias: &Nd| {
        let o = weight.shape[0];
        let weight = weight.reshape(&[o, c]);
        Nd::from_fn(&[n, h * w, o], |i| {
            let terms = (0..c).map(|k| weight.at(&[i[2], k]) * x[0].at(&[i[0], k, i[1] / w, i[1] % w]));
            bias.at(&[i[2]]) + terms.sum::<f64>()
        })
    };
    let (q, k, v) = (project(&x[1], &x[2]), project(&x[3], &x[4]), project(&x[5], &x[6]));
    let weights = Nd::from_fn(&[n, h * w, h * w], |i| {
        (0..q.shape[2]).map(|d| q.at(&[i[0], i[1], d]) * k.at(&[i[0], i[2], d])).sum::<f64>().exp()
    });
    let totals = weights.reduce(&[2], true, |v| v.iter().sum());
    let o = weights.zip(&totals, |w, t| w / t).matmul(&v);
    Nd::from_fn(&x[0].shape, |i| x[7].data[0] * o.at(&[i[0], i[2] * w + i[3], i[1]]) + x[0].at(i))
}

pub fn rows() -> Vec<Row> {
    [resampling(), pooling(), rearrangement(), of_batches(), spectral_norm(), attention()]
        .into_iter()
        .flatten()
        .collect()
}
