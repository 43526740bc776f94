//! Which images are labelled, which choose, and which are neither.

use crate::data::Dataset;
use crate::rng::{Key, Philox, Stream};
use crate::{Error, Result};
use rand::seq::SliceRandom;

/// The training images of a seed, by their numbers: no image is in two of the three.
///
/// Each class is shuffled by the seed; its first images are for validation, the next n are labelled, and the rest is
/// unlabelled. So a seed's validation images do not depend on n, and its 5 labelled images of a class are among its 10.
///
/// ```
/// use ganvil::data::{Dataset, Images};
/// use ganvil::gan::augment::Parts;
/// let images = Images { count: 20, channels: 1, rows: 1, cols: 1, pixels: vec![0; 20] };
/// let labels = Some((0..20).map(|i| i % 2).collect());
/// let data = Dataset { images, labels, classes: vec!["a".into(), "b".into()], name: "x".into() };
/// let parts = Parts::new(&data, 3, 2, 0)?;
/// assert_eq!([&parts.validation, &parts.labelled, &parts.unlabelled].map(|p| p.len()), [6, 4, 10]);
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// As many of each class; all choices are made by them.
    pub validation: Vec<u32>,
    /// n of each class.
    pub labelled: Vec<u32>,
    /// The others, in an order drawn at random. Their labels are not looked at.
    pub unlabelled: Vec<u32>,
}

impl Parts {
    /// With so many images of each class for validation, and labelled.
    ///
    /// # Errors
    /// If there are no labels, or a class has not as many images.
    pub fn new(data: &Dataset, validation: usize, per_class: usize, seed: u64) -> Result<Parts> {
        let labels = data.labels.as_deref().ok_or_else(|| {
            let remedy = "labels are what is to be scarce, and it has none; give MNIST or data of its form";
            Error::Argument { what: "--data", value: data.name.clone(), remedy: remedy.into() }
        })?;
        let mut parts = Parts { validation: vec![], labelled: vec![], unlabelled: vec![] };
        let shuffled = |mut of: Vec<u32>, call: u64| {
            of.shuffle(&mut Philox::new(Key::new(seed, Stream::General), call));
            of
        };
        for class in 0..data.classes.len() as u32 {
            let of = (0..labels.len() as u32).filter(|i| labels[*i as usize] == class).collect();
            let of = shuffled(of, class.into());
            if of.len() < validation.saturating_add(per_class) {
                let has = format!("class {class} has {} training images", of.len());
                let remedy = match of.len().checked_sub(validation).filter(|n| *n > 0) {
                    Some(most) => format!("{has}, {validation} of them for validation; use at most {most}"),
                    None => format!(
                        "{has}, too few for validation with {validation}; use fewer (--set validation=N)"
                    ),
                };
                return Err(Error::Argument { what: "--per-class", value: per_class.to_string(), remedy });
            }
            let (chosen, rest) = of.split_at(validation);
            let (labelled, rest) = rest.split_at(per_class);
            parts.validation.extend(chosen);
            parts.labelled.extend(labelled);
            parts.unlabelled.extend(rest);
        }
        parts.unlabelled = shuffled(parts.unlabelled, data.classes.len() as u64);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;

    /// Four classes of 40, 30, 20 and 10 images.
    fn data() -> Dataset {
        let labels: Vec<u32> = (0..10).flat_map(|_| [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]).collect();
        let images = Images { count: 100, channels: 1, rows: 1, cols: 1, pixels: (0..100).collect() };
        let classes = (0..4).map(|c| c.to_string()).collect();
        Dataset { images, labels: Some(labels), classes, name: "steps".into() }
    }

    fn counts(data: &Dataset, part: &[u32]) -> [usize; 4] {
        let labels = data.labels.as_ref().unwrap();
        [0, 1, 2, 3].map(|c| part.iter().filter(|i| labels[**i as usize] == c).count())
    }

    #[test]
    fn every_image_is_in_one_part_and_classes_are_balanced() {
        let data = data();
        for seed in 0..20 {
            let p = Parts::new(&data, 3, 5, seed).unwrap();
            assert_eq!(counts(&data, &p.validation), [3; 4]);
            assert_eq!(counts(&data, &p.labelled), [5; 4]);
            assert_eq!(counts(&data, &p.unlabelled), [32, 22, 12, 2]);
            let mut all: Vec<u32> =
                [&p.validation, &p.labelled, &p.unlabelled].into_iter().flatten().copied().collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..100));
        }
    }

    #[test]
    fn more_labels_hold_fewer_and_validation_stays() {
        let data = data();
        let [few, more] = [2, 7].map(|n| Parts::new(&data, 3, n, 9).unwrap());
        assert_eq!(few.validation, more.validation);
        assert!(few.labelled.iter().all(|i| more.labelled.contains(i)));
        assert_eq!(Parts::new(&data, 3, 2, 9).unwrap(), few);
        assert_ne!(Parts::new(&data, 3, 2, 10).unwrap().labelled, few.labelled);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = |validation, n| Parts::new(&data(), validation, n, 0).unwrap_err().to_string();
        assert!(Parts::new(&data(), 3, 7, 0).is_ok());
        assert!(
            error(3, 8).contains("class 3 has 10 training images, 3 of them for validation; use at most 7")
        );
        assert!(error(10, 1).contains("--set validation=N"));
        let unlabelled = Dataset { labels: None, ..data() };
        assert!(Parts::new(&unlabelled, 1, 1, 0).unwrap_err().to_string().contains("it has none"));
    }
}
