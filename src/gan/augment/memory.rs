//! Whether a GAN repeats its training images.

use crate::data::Dataset;
use crate::error::misuse;
use crate::metrics::{median, nearest_picture};
use serde::{Deserialize, Serialize};

/// How far fakes are from the few images that their GAN was trained on, beside real images that it never saw.
///
/// The distance is that of pixels in [0, 1], to the nearest training image of the same class. Fakes that are other images
/// of the class are as far as held-out ones; repeated ones are at a small part of that.
///
/// ```
/// use ganvil::data::{Dataset, Images};
/// use ganvil::gan::augment::Memory;
/// let of = |pixels: [u8; 2]| {
///     let images = Images { count: 2, channels: 1, rows: 1, cols: 1, pixels: pixels.into() };
///     Dataset { images, labels: Some(vec![0, 1]), classes: vec!["a".into(), "b".into()], name: "x".into() }
/// };
/// let memory = Memory::of(&of([0, 51]), &of([0, 51]), &of([255, 0]));
/// assert_eq!((memory.fakes, memory.held_out, memory.nearer), (0.0, 0.6, 1.0));
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Median distance of a fake.
    pub fakes: f64,
    /// Median distance of a held-out real image.
    pub held_out: f64,
    /// Share of fakes that are nearer than all but a twentieth of the held-out images: 0.05 if they are alike.
    pub nearer: f64,
}

impl Memory {
    /// Of fakes and held-out images beside the training images.
    ///
    /// # Panics
    /// If there are none of either, they are of different sizes, or one has a class that has no training image.
    #[track_caller]
    pub fn of(training: &Dataset, fakes: &Dataset, held_out: &Dataset) -> Memory {
        let (fakes, held_out) = (distances(fakes, training), distances(held_out, training));
        if fakes.is_empty() || held_out.is_empty() {
            misuse!("memory", "there are {} fakes and {} held-out images", fakes.len(), held_out.len());
        }
        let bound = held_out[held_out.len() / 20];
        let nearer = fakes.iter().filter(|d| **d < bound).count() as f64 / fakes.len() as f64;
        Memory { fakes: median(fakes), held_out: median(held_out), nearer }
    }

    /// The fakes' distance over that of held-out images; 1 if they are alike.
    pub fn ratio(&self) -> f64 {
        self.fakes / self.held_out
    }
}

/// The distance of each image to the nearest of its class, rising.
fn distances(of: &Dataset, to: &Dataset) -> Vec<f64> {
    let labels = |data: &Dataset| data.labels.clone().unwrap_or_default();
    let (classes, theirs) = (labels(of), labels(to));
    let mut all: Vec<f64> = classes
        .iter()
        .enumerate()
        .map(|(i, class)| {
            let same = theirs.iter().enumerate().filter(|(_, c)| *c == class);
            let nearest = nearest_picture(of.images.image(i), same.map(|(j, _)| (j, to.images.image(j))));
            let Some((_, distance)) = nearest else {
                misuse!("memory", "class {class} has no training image to compare with")
            };
            distance
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;

    fn of(pixels: &[u8], labels: &[u32]) -> Dataset {
        let images = Images { count: labels.len(), channels: 1, rows: 1, cols: 2, pixels: pixels.to_vec() };
        let classes = vec!["a".into(), "b".into()];
        Dataset { images, labels: Some(labels.to_vec()), classes, name: "pairs".into() }
    }

    #[test]
    fn the_nearest_of_the_same_class_counts() {
        let training = of(&[0, 0, 255, 0, 0, 255], &[0, 0, 1]);
        // 3-4-5 from the first; at 0 of an image of the other class; the farther of two is not taken.
        let fakes = of(&[153, 204, 255, 0, 204, 0], &[1, 1, 0]);
        let d = distances(&fakes, &training);
        let want = [51.0 / 255.0, (153f64.powi(2) + 51f64.powi(2)).sqrt() / 255.0, 2f64.sqrt()];
        assert!(d.iter().zip(want).all(|(d, want)| (d - want).abs() < 1e-12), "{d:?} {want:?}");
    }

    #[test]
    fn copies_are_found_and_others_are_not() {
        let training = of(&[0, 0, 255, 255], &[0, 1]);
        let pixels: Vec<u8> = (0..40).flat_map(|i| [100 + i, 120]).collect();
        let held_out = of(&pixels, &[0; 40]);
        let copies = Memory::of(&training, &training, &held_out);
        assert_eq!((copies.fakes, copies.nearer, copies.ratio()), (0.0, 1.0, 0.0));
        let alike = Memory::of(&training, &held_out, &held_out);
        assert_eq!((alike.ratio(), alike.nearer), (1.0, 0.05));
    }
}
