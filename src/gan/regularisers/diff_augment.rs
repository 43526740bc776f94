//! Differentiable augmentation (Zhao et al., 2020, arXiv:2006.10738): D sees altered pictures only.
//!
//! T is applied to real and fake pictures in D's update **and** to the fakes of G's, with gradients flowing through it:
//!
//! - colour: x + U(-1/2, 1/2); for three channels (x - m) U(0, 2) + m with m the mean over channels; then
//!   (x - m) U(1/2, 3/2) + m with m the mean of the picture
//! - translation by up to 1/8 of each side, what comes in is 0
//! - cutout: a square of half the side is set to 0
//!
//! With few data D learns them by heart; altered ones it cannot. Since fakes are altered alike, G is not asked for altered
//! pictures. Pitfalls: on D's real side alone the alterations leak into the samples; without gradients through T G learns
//! nothing; digits stand no flips or turns, which is why there are none.

use crate::error::misuse;
use crate::{Generator, PadMode, Tensor};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The translation's reach, as a part of the side.
const REACH: f64 = 0.125;
/// The cutout's side, as a part of the picture's.
const CUT: f64 = 0.5;

/// Which alterations are made.
///
/// ```
/// use ganvil::gan::DiffAugment;
/// let both: DiffAugment = "translation,cutout".parse()?;
/// assert_eq!(both, DiffAugment { color: false, translation: true, cutout: true });
/// assert!("flips".parse::<DiffAugment>().is_err());
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiffAugment {
    /// Brightness, saturation and contrast.
    pub color: bool,
    /// Moves.
    pub translation: bool,
    /// Holes.
    pub cutout: bool,
}

impl std::str::FromStr for DiffAugment {
    type Err = crate::Error;
    fn from_str(s: &str) -> crate::Result<DiffAugment> {
        let mut which = DiffAugment::default();
        for part in s.split(',').map(str::trim) {
            match part {
                "color" => which.color = true,
                "translation" => which.translation = true,
                "cutout" => which.cutout = true,
                other => {
                    let names = ["color", "translation", "cutout"];
                    return Err(crate::names::unknown("augmentation", other, &names));
                }
            }
        }
        Ok(which)
    }
}

impl DiffAugment {
    /// Alters pictures `[n, c, h, w]`, each in its own way. The result can be differentiated with respect to `x`.
    ///
    /// ```
    /// use ganvil::gan::DiffAugment;
    /// use ganvil::{Generator, Tensor, rng::Stream};
    /// let random = Generator::new(0, Stream::Augmentation);
    /// let x = Tensor::new(&[1.0f32; 4 * 64], &[4, 1, 8, 8]);
    /// assert_eq!(DiffAugment::default().apply(&x, &random).to_vec::<f32>(), x.to_vec::<f32>());
    /// let cut = DiffAugment { cutout: true, ..DiffAugment::default() }.apply(&x, &random);
    /// let left = cut.sum_all().item();
    /// assert!((4.0 * 48.0..4.0 * 64.0).contains(&left)); // up to 16 of 64 pixels are gone, less at a border
    /// ```
    ///
    /// # Panics
    /// If x is no batch of pictures.
    #[track_caller]
    pub fn apply(&self, x: &Tensor, random: &Generator) -> Tensor {
        let &[n, _, h, w] = x.shape() else {
            misuse!("diff_augment", "needs pictures [n, c, h, w], got shape {:?}", x.shape())
        };
        let mut x = x.clone();
        if self.color {
            x = color(&x, random);
        }
        if self.translation || self.cutout {
            let host = &mut random.host();
            if self.translation {
                let by = |side: usize| (side as f64 * REACH + 0.5) as i64;
                let moves: Vec<[i64; 2]> =
                    (0..n).map(|_| [around(by(h), host), around(by(w), host)]).collect();
                x = moved(&x, &moves);
            }
            if self.cutout {
                x = x.mul(&holes(n, h, w, host).to_dtype(x.dtype()).to_device(x.device()));
            }
        }
        x
    }
}

fn around(most: i64, random: &mut impl Rng) -> i64 {
    random.random_range(-most..=most)
}

fn color(x: &Tensor, random: &Generator) -> Tensor {
    let draw = |lo, hi| random.uniform(&[x.shape()[0], 1, 1, 1], lo, hi, x.dtype(), x.device());
    let spread = |x: &Tensor, mean: &Tensor, by: Tensor| x.sub(mean).mul(&by).add(mean);
    let mut x = x.add(&draw(-0.5, 0.5));
    if x.shape()[1] == 3 {
        x = spread(&x, &x.mean(&[1], true), draw(0.0, 2.0));
    }
    spread(&x, &x.mean(&[1, 2, 3], true), draw(0.5, 1.5))
}

/// Picture i moved down and to the right by `moves[i]`. Each pixel is fetched from where it was, beyond the picture from a
/// border of zeros.
fn moved(x: &Tensor, moves: &[[i64; 2]]) -> Tensor {
    let [n, c, h, w] = [0, 1, 2, 3].map(|d| x.shape()[d]);
    let wide = w as i64 + 2;
    let mut from = Vec::with_capacity(x.numel());
    for [down, right] in moves {
        for _ in 0..c {
            for y in 0..h as i64 {
                let row = (y - down + 1).clamp(0, h as i64 + 1) * wide;
                from.extend((0..w as i64).map(|x| row + (x - right + 1).clamp(0, w as i64 + 1)));
            }
        }
    }
    let from = Tensor::new(&from, &[n, c, h * w]).to_device(x.device());
    let bordered = x.pad(&[1, 1, 1, 1], PadMode::Constant(0.0)).reshape(&[n, c, (h + 2) * (w + 2)]);
    bordered.gather(2, &from).reshape(&[n, c, h, w])
}

/// `[n, 1, h, w]`: 0 within a rectangle of half the sides around a point anywhere in the picture, else 1.
fn holes(n: usize, h: usize, w: usize, random: &mut impl Rng) -> Tensor {
    let mut mask = vec![1.0f32; n * h * w];
    for picture in mask.chunks_exact_mut((h * w).max(1)) {
        let mut span = |side: usize| {
            let (size, at) = ((side as f64 * CUT + 0.5) as usize, random.random_range(0..=side));
            at.saturating_sub(size / 2)..(at + size - size / 2).min(side)
        };
        let (rows, columns) = (span(h), span(w));
        for y in rows {
            picture[y * w..][columns.clone()].fill(0.0);
        }
    }
    Tensor::new(&mask, &[n, 1, h, w])
}
