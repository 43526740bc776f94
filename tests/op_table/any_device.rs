//! Values at the edge of what goes along lines, on the CPU and on the device that `GANVIL_TEST_DEVICE` names.

use crate::device::devices;
use crate::steady_tier;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};

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
