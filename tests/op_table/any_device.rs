//! Values at the edge of what goes along lines, on the CPU and on the device that `GANVIL_TEST_DEVICE` names.

use crate::device::devices;
use crate::steady_tier;
use ganvil::autograd::grad;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor};

/// A norm of x without weight and bias, and how its samples are cut: `[samples, ..]` into groups of these many elements.
struct Norm {
    name: String,
    shape: Vec<usize>,
    channels_last: bool,
    groups: Option<usize>,
}

impl Norm {
    /// Every kernel: rows that a warp, a block and nothing holds; planes; channels last, few and many of them.
    fn all() -> Vec<Norm> {
        let make = |shape: &[usize], channels_last, groups| Norm {
            name: format!("{shape:?}, channels last {channels_last}, {groups:?} groups"),
            shape: shape.to_vec(),
            channels_last,
            groups,
        };
        let lengths = [4, 100, 784, 1000, 3000, 4100, 9001, 20_000];
        let rows = lengths.iter().map(|&n| make(&[3, n], false, None));
        let images = [(&[2, 6, 31, 33], 6), (&[2, 6, 31, 33], 2), (&[2, 6, 31, 33], 1), (&[2, 96, 5, 7], 2)];
        let images = images.into_iter().flat_map(|(s, g)| [false, true].map(|last| make(s, last, Some(g))));
        rows.chain(images).collect()
    }

    fn run(&self, values: &[f32], eps: f64, device: Device) -> Vec<f64> {
        let mut x = Tensor::new(values, &self.shape).to_device(device);
        if self.channels_last {
            x = x.permute(&[0, 2, 3, 1]).contiguous().permute(&[0, 3, 1, 2]);
        }
        let y = match self.groups {
            Some(groups) => x.group_norm(groups, None, None, eps),
            None => x.layer_norm(&self.shape[1..], None, None, eps),
        };
        y.to_device(Device::Cpu).to_f64_vec()
    }

    fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Elements that share a mean: they are neighbours in row-major order.
    fn group(&self) -> usize {
        self.shape[1..].iter().product::<usize>() / self.groups.unwrap_or(1)
    }
}

#[test]
fn a_norm_of_equal_numbers_is_nothing() {
    let _tier = steady_tier();
    for device in devices() {
        for norm in Norm::all() {
            for v in [999.9f32, 77_777.77, 0.1, -3.3e7] {
                let x = vec![v; norm.numel()];
                let y = norm.run(&x, 1e-5, device);
                let most = y.iter().fold(0.0f64, |m, y| m.max(y.abs()));
                assert!(most == 0.0 && !y[0].is_nan(), "{} of {v} on {device}: {most}", norm.name);
                // Without eps it is 0 / 0.
                let y = norm.run(&x, 0.0, device);
                let none = y.iter().all(|y| y.is_nan() || *y == 0.0);
                assert!(none, "{} of {v} on {device} with eps 0: {}", norm.name, y[0]);
            }
        }
    }
}

#[test]
fn a_norm_of_a_small_spread_about_a_large_mean_keeps_its_digits() {
    let _tier = steady_tier();
    for device in devices() {
        for norm in Norm::all() {
            for (spread, eps) in [(1.0, 1e-5), (1.0, 0.0), (0.1, 1e-5), (0.1, 0.0)] {
                let random = Generator::new(7, Stream::General);
                let x = random.normal(&[norm.numel()], 1e4, spread, DType::F32, Device::Cpu).to_vec::<f32>();
                let y = norm.run(&x, eps, device);
                for (x, y) in x.chunks(norm.group()).zip(y.chunks(norm.group())) {
                    let n = x.len() as f64;
                    let mean = x.iter().map(|&x| x as f64).sum::<f64>() / n;
                    let var = x.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / n;
                    let rstd = 1.0 / (var + eps).sqrt();
                    // The mean is rounded to f32, and what its correction leaves is below another such rounding.
                    let shift = 1e4f64 * f32::EPSILON as f64 * rstd;
                    for (&x, y) in x.iter().zip(y) {
                        let want = (x as f64 - mean) * rstd;
                        let bound = shift + 16.0 * f32::EPSILON as f64 * want.abs();
                        let near = (y - want).abs() <= bound;
                        assert!(near, "{} of {spread}, eps {eps} on {device}: {y}, not {want}", norm.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_norm_of_nan_is_nan() {
    let _tier = steady_tier();
    for device in devices() {
        for norm in Norm::all() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x: Vec<f32> = (0..norm.numel()).map(|i| (i % 7) as f32).collect();
                x[norm.group() - 1] = bad;
                let y = norm.run(&x, 1e-5, device);
                let (own, others) = y.split_at(norm.group());
                assert!(own.iter().all(|y| y.is_nan()), "{} of {bad} on {device}", norm.name);
                assert!(others.iter().all(|y| y.is_finite()), "{} beside {bad} on {device}", norm.name);
            }
        }
    }
}

/// What a line has at its start: -inf alone, everywhere, or one number that makes all of it NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Special {
    FirstNone,
    AllNone,
    OneInfinite,
    OneNan,
}

impl Special {
    fn line(self, n: usize) -> Vec<f32> {
        let mut x: Vec<f32> = (0..n).map(|i| ((i * 37) % 11) as f32 * 0.25 - 1.0).collect();
        match self {
            Special::FirstNone => x[0] = f32::NEG_INFINITY,
            Special::AllNone => x.fill(f32::NEG_INFINITY),
            Special::OneInfinite => x[n / 2] = f32::INFINITY,
            Special::OneNan => x[n - 1] = f32::NAN,
        }
        x
    }

    /// The softmax of the line, in f64.
    fn softmax(self, n: usize) -> Vec<f64> {
        if self != Special::FirstNone {
            return vec![f64::NAN; n];
        }
        let e: Vec<f64> = self.line(n).iter().map(|&x| (x as f64).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|e| e / sum).collect()
    }
}

/// The special line is the second of three in the first of two samples `[n, 3]`; the others are of finite numbers.
fn beside_others(special: Special, n: usize, rows: bool, device: Device) -> Tensor {
    let (own, mut x) = (special.line(n), vec![0.5f32; 2 * n * 3]);
    own.iter().enumerate().for_each(|(i, &v)| x[i * 3 + 1] = v);
    let x = Tensor::new(&x, &[2, n, 3]).to_device(device);
    if rows { x.permute(&[0, 2, 1]).contiguous().permute(&[0, 2, 1]) } else { x }
}

#[test]
fn infinities_and_nan_along_a_line() {
    let _tier = steady_tier();
    let all = [Special::FirstNone, Special::AllNone, Special::OneInfinite, Special::OneNan];
    let cases = all.into_iter().flat_map(|s| [4, 130, 9000].map(|n| (s, n)));
    let cases = cases.flat_map(|(s, n)| [true, false].map(|rows| (s, n, rows)));
    let cases: Vec<_> = devices().into_iter().flat_map(|d| cases.clone().map(move |c| (c, d))).collect();
    for ((special, n, rows), device) in cases {
        let x = beside_others(special, n, rows, device);
        let want = special.softmax(n);
        // No sum has a longer chain of additions than n / 8.
        let k = (n / 8 + 16) as f64 * f32::EPSILON as f64;
        let check = |what: &str, got: Tensor, want: &dyn Fn(usize) -> f64| {
            assert!(got.device() == device);
            let got = got.to_device(Device::Cpu);
            for (i, g) in got.narrow(0, 0, 1).narrow(-1, 1, 1).to_f64_vec().into_iter().enumerate() {
                let w = want(i);
                let near = g == w || (g - w).abs() <= k * (1.0 + w.abs()) || g.is_nan() && w.is_nan();
                assert!(near, "{what} of {special:?}, {n}, rows {rows} on {device}: {i} is {g}, not {w}");
            }
            for others in [got.narrow(0, 1, 1), got.narrow(-1, 0, 1), got.narrow(-1, 2, 1)] {
                let finite = others.to_f64_vec().iter().all(|v| v.is_finite());
                assert!(finite, "{what} beside {special:?}, {n}, rows {rows} on {device}");
            }
        };
        check("softmax", x.softmax(1), &|i| want[i]);
        check("log_softmax", x.log_softmax(1), &|i| want[i].ln());
        for class in [0, n - 1] {
            let classes = Tensor::full(&[2, 3], class as f64, DType::I64, device);
            let x = x.detach().requires_grad();
            let loss = x.cross_entropy(&classes, Reduction::None);
            check("cross_entropy", loss.detach(), &|_| -want[class].ln());
            let dx = grad(&[&loss], &[&x], &[loss.ones_like()], false)[0].clone().unwrap();
            check("gradient of cross_entropy", dx, &|i| want[i] - (i == class) as u8 as f64);
        }
    }
}
