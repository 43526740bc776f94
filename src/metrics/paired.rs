//! How near pictures are to those that they should be: restored, translated or enlarged ones to the originals. Bytes are
//! compared, no border is cut off.

use crate::data::Images;
use crate::error::misuse;

/// Of identical pictures, whose error of 0 has no logarithm.
const CAP: f64 = 100.0;

/// Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE), of each picture, at most 100; then the mean over pictures
/// (the dB are averaged, not the errors).
///
/// ```
/// use ganvil::data::Images;
/// use ganvil::metrics::psnr;
/// let of = |v: u8| Images { count: 1, channels: 1, rows: 1, cols: 4, pixels: vec![v; 4] };
/// assert_eq!(psnr(&of(9), &of(9)), 100.0);
/// assert!((psnr(&of(10), &of(20)) - 28.1308).abs() < 1e-4); // 20 log10(255 / 10)
/// ```
///
/// # Panics
/// If the two are not as many pictures of the same shape, or none.
#[track_caller]
pub fn psnr(a: &Images, b: &Images) -> f64 {
    mean_of_pictures("psnr", a, b, |a, b| {
        let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        if squares == 0 {
            return CAP;
        }
        (10.0 * (255.0 * 255.0 * a.len() as f64 / squares as f64).log10()).min(CAP)
    })
}

/// Structural similarity (Wang et al., 2004, DOI 10.1109/TIP.2003.819861, section III-B): with means, variances and
/// covariance in a Gaussian window of 11 x 11 (deviation 1.5, weights that sum to 1, population moments),
///
/// SSIM = (2 mu_a mu_b + C1) (2 s_ab + C2) / ((mu_a^2 + mu_b^2 + C1) (s_a^2 + s_b^2 + C2)),
///
/// C1 = (0.01 x 255)^2, C2 = (0.03 x 255)^2; the mean over windows that lie within the picture, channels and pictures.
///
/// ```
/// use ganvil::data::Images;
/// use ganvil::metrics::ssim;
/// let of = |f: fn(usize) -> u8| Images {
///     count: 1, channels: 1, rows: 12, cols: 12, pixels: (0..144).map(f).collect(),
/// };
/// let stripes = of(|i| 255 * (i % 2) as u8);
/// assert!((ssim(&stripes, &stripes) - 1.0).abs() < 1e-12);
/// assert!(ssim(&stripes, &of(|i| 255 - 255 * (i % 2) as u8)) < -0.9); // the opposite
/// ```
///
/// # Panics
/// As [`psnr`], and if a side is shorter than the window.
#[track_caller]
pub fn ssim(a: &Images, b: &Images) -> f64 {
    let (rows, cols) = (a.rows, a.cols);
    if rows < WINDOW || cols < WINDOW {
        misuse!("ssim", "pictures of {rows} x {cols}; the window is {WINDOW} x {WINDOW}, use larger ones");
    }
    mean_of_pictures("ssim", a, b, |a, b| {
        let channels = a.len() / (rows * cols);
        let of = |(a, b): (&[u8], &[u8])| ssim_of_channel(a, b, [rows, cols]);
        a.chunks_exact(rows * cols).zip(b.chunks_exact(rows * cols)).map(of).sum::<f64>() / channels as f64
    })
}

#[track_caller]
fn mean_of_pictures(what: &'static str, a: &Images, b: &Images, of: impl Fn(&[u8], &[u8]) -> f64) -> f64 {
    if a.count != b.count || a.shape() != b.shape() || a.count == 0 {
        misuse!(
            what,
            "{} pictures of {:?} and {} of {:?}; both must be as many and of one shape, and one or more",
            a.count,
            a.shape(),
            b.count,
            b.shape()
        );
    }
    (0..a.count).map(|i| of(a.image(i), b.image(i))).sum::<f64>() / a.count as f64
}

const WINDOW: usize = 11;

/// The window's weights along one side.
fn window() -> [f64; WINDOW] {
    let bell = |i: usize| (-((i as f64 - 5.0) / 1.5).powi(2) / 2.0).exp();
    let sum: f64 = (0..WINDOW).map(bell).sum();
    std::array::from_fn(|i| bell(i) / sum)
}

fn ssim_of_channel(a: &[u8], b: &[u8], [rows, cols]: [usize; 2]) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let blurred = |f: &dyn Fn(f64, f64) -> f64| {
        let values: Vec<f64> = a.iter().zip(b).map(|(a, b)| f(f64::from(*a), f64::from(*b))).collect();
        blur(&values, [rows, cols])
    };
    let [mean_a, mean_b] = [blurred(&|a, _| a), blurred(&|_, b| b)];
    let [aa, bb, ab] = [blurred(&|a, _| a * a), blurred(&|_, b| b * b), blurred(&|a, b| a * b)];
    let at = |i: usize| {
        let (a, b) = (mean_a[i], mean_b[i]);
        let luminance = (2.0 * a * b + C1) / (a * a + b * b + C1);
        luminance * (2.0 * (ab[i] - a * b) + C2) / (aa[i] - a * a + bb[i] - b * b + C2)
    };
    (0..aa.len()).map(at).sum::<f64>() / aa.len() as f64
}

/// Means in windows that lie within the picture: `[rows - 10, cols - 10]`.
fn blur(values: &[f64], [rows, cols]: [usize; 2]) -> Vec<f64> {
    let weights = window();
    let wide = cols - WINDOW + 1;
    let across: Vec<f64> = values
        .chunks_exact(cols)
        .flat_map(|line| {
            line.windows(WINDOW).map(|w| w.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>())
        })
        .collect();
    let down = |r: usize, c: usize| (0..WINDOW).map(|k| weights[k] * across[(r + k) * wide + c]).sum();
    (0..rows - WINDOW + 1).flat_map(|r| (0..wide).map(move |c| (r, c))).map(|(r, c)| down(r, c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(count: usize, f: impl Fn(usize) -> u8) -> Images {
        Images { count, channels: 1, rows: 28, cols: 28, pixels: (0..count * 784).map(f).collect() }
    }

    /// The definition with its two sums over the window, nothing separated.
    #[test]
    fn similarity_is_that_of_the_definition() {
        let a = picture(1, |i| (i * 37 % 251) as u8);
        let b = picture(1, |i| (i * 37 % 251 / 2 + i % 29) as u8);
        let (w, mut sum) = (window(), 0.0);
        for (r, c) in (0..18).flat_map(|r| (0..18).map(move |c| (r, c))) {
            let mut moments = [0.0; 5];
            for (i, j) in (0..11).flat_map(|i| (0..11).map(move |j| (i, j))) {
                let [x, y] = [&a, &b].map(|p| f64::from(p.pixels[(r + i) * 28 + c + j]));
                let terms = [x, y, x * x, y * y, x * y];
                moments.iter_mut().zip(terms).for_each(|(m, t)| *m += w[i] * w[j] * t);
            }
            let [x, y, xx, yy, xy] = moments;
            let (c1, c2) = (6.5025, 58.5225);
            sum += (2.0 * x * y + c1) * (2.0 * (xy - x * y) + c2)
                / ((x * x + y * y + c1) * (xx - x * x + yy - y * y + c2));
        }
        assert!((ssim(&a, &b) - sum / 324.0).abs() < 1e-10);
    }

    #[test]
    fn decibels_are_averaged_not_errors() {
        let a = picture(2, |_| 0);
        let b = picture(2, |i| if i < 784 { 1 } else { 100 });
        let db = |e: f64| 20.0 * (255.0 / e).log10();
        assert!((psnr(&a, &b) - (db(1.0) + db(100.0)) / 2.0).abs() < 1e-12);
    }
}
