//! Small random turns, scalings, shears and moves of pictures: the usual way to make more of few of them.
//!
//! A picture's point p comes from A^-1 (p - c - t) + c, with c the middle of the picture, t the move and
//! A = rotation x shear x scaling. Values between pixels are bilinear, beyond the picture lies background.

use crate::error::misuse;
use crate::{Error, Result};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// How far pictures are altered at most; every amount is drawn evenly from both sides of nothing.
///
/// ```
/// use ganvil::data::{Affine, Jitter};
/// use ganvil::rng::{Key, Philox, Stream};
/// let none = Jitter { degrees: 0.0, scale: 0.0, shear: 0.0, shift: 0.0 };
/// assert_eq!(none.draw(&mut Philox::new(Key::new(0, Stream::Augmentation), 0)), Affine::IDENTITY);
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Turns, in degrees.
    pub degrees: f64,
    /// Scalings, both sides alike: 0.1 for factors from 0.9 to 1.1.
    pub scale: f64,
    /// Shears: a point moves sideways by up to this share of its height above the middle.
    pub shear: f64,
    /// Moves along each side, in pixels; parts of pixels too.
    pub shift: f64,
}

impl Default for Jitter {
    /// What keeps a handwritten digit that digit.
    fn default() -> Jitter {
        Jitter { degrees: 10.0, scale: 0.1, shear: 0.1, shift: 2.0 }
    }
}

impl Jitter {
    /// Refuses amounts that leave nothing of a picture.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("jitter.degrees", self.degrees, 180.0),
            ("jitter.scale", self.scale, 0.9),
            ("jitter.shear", self.shear, 2.0),
            ("jitter.shift", self.shift, 1000.0),
        ];
        match ranges.into_iter().find(|(_, v, most)| !(0.0..=*most).contains(v)) {
            None => Ok(()),
            Some((what, value, most)) => {
                let remedy = format!("use 0 to {most}");
                Err(Error::Argument { what, value: value.to_string(), remedy })
            }
        }
    }

    /// A map for one picture.
    pub fn draw(&self, random: &mut impl Rng) -> Affine {
        let mut around = |most: f64| if most > 0.0 { random.random_range(-most..=most) } else { 0.0 };
        let (angle, scale, shear) =
            (around(self.degrees).to_radians(), 1.0 + around(self.scale), around(self.shear));
        Affine::new(angle, scale, shear, [around(self.shift), around(self.shift)])
    }
}

/// Where each point of a picture comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Affine {
    /// A^-1 on (row, column).
    inverse: [[f64; 2]; 2],
    /// Rows down, columns to the right.
    shift: [f64; 2],
}

impl Affine {
    /// Nothing changes.
    pub const IDENTITY: Affine = Affine { inverse: [[1.0, 0.0], [0.0, 1.0]], shift: [0.0, 0.0] };

    /// A turn by `angle` (radians, clockwise on the screen), after a shear of columns by `shear` of their height, after
    /// a scaling by `scale`, about the middle; then a move `[down, right]` in pixels.
    ///
    /// ```
    /// use ganvil::data::Affine;
    /// let picture = [1.0, 2.0, 3.0, 4.0];
    /// let mut out = [0.0; 4];
    /// Affine::new(0.0, 1.0, 0.0, [0.0, 1.0]).apply(&picture, [2, 2], -1.0, &mut out);
    /// assert_eq!(out, [-1.0, 1.0, -1.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the scale is not above 0.
    #[track_caller]
    pub fn new(angle: f64, scale: f64, shear: f64, shift: [f64; 2]) -> Affine {
        if scale.is_nan() || scale <= 0.0 {
            misuse!("affine", "a picture scaled by {scale} is none; the scale is above 0");
        }
        let (sin, cos) = angle.sin_cos();
        // On (row, column) a clockwise turn is [[cos, sin], [-sin, cos]], a shear of columns [[1, 0], [shear, 1]].
        // (R S)^-1 / scale = S^-1 R^-1 / scale.
        let inverse =
            [[cos / scale, -sin / scale], [(sin - shear * cos) / scale, (cos + shear * sin) / scale]];
        Affine { inverse, shift }
    }

    /// The picture `[rows, cols]` under the map.
    ///
    /// # Panics
    /// If picture or result are of another size.
    #[track_caller]
    pub fn apply(&self, picture: &[f32], [rows, cols]: [usize; 2], background: f32, out: &mut [f32]) {
        if picture.len() != rows * cols || out.len() != rows * cols {
            let (has, gives) = (picture.len(), out.len());
            misuse!("affine", "{rows} x {cols} pixels are {}, got {has} for {gives}", rows * cols);
        }
        let middle = [rows, cols].map(|side| (side as f64 - 1.0) / 2.0);
        let [[a, b], [c, d]] = self.inverse;
        for row in 0..rows {
            let y = row as f64 - middle[0] - self.shift[0];
            for col in 0..cols {
                let x = col as f64 - middle[1] - self.shift[1];
                let from = [a * y + b * x + middle[0], c * y + d * x + middle[1]];
                out[row * cols + col] = bilinear(picture, [rows, cols], from, background);
            }
        }
    }
}

/// The value at a place between pixels.
fn bilinear(picture: &[f32], [rows, cols]: [usize; 2], [y, x]: [f64; 2], background: f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (v, h) = ((y - top) as f32, (x - left) as f32);
    let at = |row: f64, col: f64| {
        let inside = row >= 0.0 && col >= 0.0 && row < rows as f64 && col < cols as f64;
        if inside { picture[row as usize * cols + col as usize] } else { background }
    };
    let line = |row: f64| at(row, left) * (1.0 - h) + at(row, left + 1.0) * h;
    line(top) * (1.0 - v) + line(top + 1.0) * v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Philox, Stream};
    use std::f64::consts::FRAC_PI_2;

    const SIDE: usize = 9;

    fn moved(map: Affine, picture: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; picture.len()];
        map.apply(picture, [SIDE, SIDE], -1.0, &mut out);
        out
    }

    fn noise() -> Vec<f32> {
        let mut random = Philox::new(Key::new(1, Stream::General), 0);
        (0..SIDE * SIDE).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    fn dot(row: usize, col: usize) -> Vec<f32> {
        let mut picture = vec![-1.0; SIDE * SIDE];
        picture[row * SIDE + col] = 1.0;
        picture
    }

    #[test]
    fn nothing_changes_at_zero() {
        let none = Jitter { degrees: 0.0, scale: 0.0, shear: 0.0, shift: 0.0 };
        let map = none.draw(&mut Philox::new(Key::new(3, Stream::Augmentation), 7));
        assert_eq!(map, Affine::new(0.0, 1.0, 0.0, [0.0, 0.0]));
        assert_eq!(moved(map, &noise()), noise());
    }

    #[test]
    fn whole_pixels_move_as_they_are() {
        let picture = noise();
        let out = moved(Affine::new(0.0, 1.0, 0.0, [2.0, -3.0]), &picture);
        for row in 0..SIDE {
            for col in 0..SIDE {
                let from = row.checked_sub(2).filter(|_| col + 3 < SIDE);
                let want = from.map_or(-1.0, |r| picture[r * SIDE + col + 3]);
                assert_eq!(out[row * SIDE + col], want, "{row}, {col}");
            }
        }
    }

    #[test]
    fn half_a_pixel_is_shared_by_two() {
        let out = moved(Affine::new(0.0, 1.0, 0.0, [0.5, 0.0]), &dot(4, 4));
        let at = |row: usize| out[row * SIDE + 4];
        assert_eq!([at(3), at(4), at(5), at(6)], [-1.0, 0.0, 0.0, -1.0]);
    }

    #[test]
    fn turns_are_clockwise_about_the_middle() {
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        // Above the middle goes to its right, that below it, that to its left.
        let quarter = Affine::new(FRAC_PI_2, 1.0, 0.0, [0.0, 0.0]);
        let places = [(1, 4), (4, 7), (7, 4), (4, 1), (1, 4)];
        for pair in places.windows(2) {
            let ((r, c), (to_r, to_c)) = (pair[0], pair[1]);
            assert!(close(&moved(quarter, &dot(r, c)), &dot(to_r, to_c)), "{pair:?}");
        }
        let picture = noise();
        let four = (0..4).fold(picture.clone(), |p, _| moved(quarter, &p));
        assert!(close(&four, &picture));
    }

    #[test]
    fn scalings_and_shears_move_by_their_factor() {
        // Two above the middle: four above it at twice the size.
        let twice = moved(Affine::new(0.0, 2.0, 0.0, [0.0, 0.0]), &dot(2, 4));
        assert_eq!(twice[4], 1.0);
        // A shear of a half moves what is two below the middle by one column.
        let sheared = moved(Affine::new(0.0, 1.0, 0.5, [0.0, 0.0]), &dot(6, 4));
        assert_eq!(sheared, dot(6, 5));
        // A map and what undoes it: first scaled, sheared and turned, then moved.
        let (angle, scale, shear) = (0.3, 1.25, 0.2);
        let [[a, b], [c, d]] = Affine::new(angle, scale, shear, [0.0; 2]).inverse;
        let (sin, cos) = f64::sin_cos(angle);
        let forward = |[y, x]: [f64; 2]| {
            let (y, x) = (scale * y, scale * x);
            let x = x + shear * y;
            [cos * y + sin * x, -sin * y + cos * x]
        };
        for p in [[1.0, 0.0], [0.0, 1.0], [-2.0, 3.0]] {
            let [y, x] = forward(p);
            let back = [a * y + b * x, c * y + d * x];
            assert!(back.iter().zip(p).all(|(b, p)| (b - p).abs() < 1e-12), "{p:?}: {back:?}");
        }
    }

    #[test]
    fn draws_stay_within_what_is_asked_and_differ() {
        let jitter = Jitter { degrees: 0.0, scale: 0.0, shear: 0.0, shift: 2.0 };
        let mut random = Philox::new(Key::new(0, Stream::Augmentation), 0);
        let maps: Vec<Affine> = (0..200).map(|_| jitter.draw(&mut random)).collect();
        assert!(maps.iter().all(|m| m.inverse == Affine::IDENTITY.inverse));
        let most = maps.iter().flat_map(|m| m.shift).fold(0.0, |most: f64, v| most.max(v.abs()));
        assert!((1.9..=2.0).contains(&most), "{most}");
        let turned = Jitter { degrees: 10.0, ..jitter }.draw(&mut random).inverse;
        assert!(turned[0][0] >= 10f64.to_radians().cos() && turned[0][0] < 1.0);
        for bad in [
            Jitter { scale: 1.0, ..jitter },
            Jitter { shift: f64::NAN, ..jitter },
            Jitter { degrees: -1.0, ..jitter },
        ] {
            assert!(bad.check().unwrap_err().to_string().contains("jitter."), "{bad:?}");
        }
        assert!(Jitter::default().check().is_ok());
    }
}
