//! The nearest training image of some samples: has the generator learnt pictures by heart?

use super::material::Material;
use super::players::Players;
use crate::data::{Images, from_unit};
use crate::report::html::{Block, Pair, Section, shown};
use crate::report::{GridStyle, encode_grid};
use rayon::prelude::*;

/// Samples, and test images, that are looked up.
const COUNT: usize = 10;
/// Pixels after which the distance to a picture that is farther than another is given up.
const STRETCH: usize = 256;

pub(super) fn section(m: &Material) -> Section {
    let blocks = match (&m.players, &m.train) {
        (Err(why), _) | (_, Err(why)) => vec![Block::Missing(why.clone())],
        (Ok(players), Ok(train)) => {
            let samples = of_samples(players);
            let test = m.test.as_ref().map(|t| evenly(&t.images));
            sheets(&samples, test.as_ref().ok(), &train.images, m.test.as_ref().err())
        }
    };
    super::section("neighbours", "Neighbours", "Nearest training images", blocks)
}

/// The first samples, as bytes.
fn of_samples(p: &Players) -> Images {
    let [channels, rows, cols] = p.sampler.shape;
    let pixels = p.sampler.sample(COUNT, 0).into_iter().map(from_unit).collect();
    Images { count: COUNT, channels, rows, cols, pixels }
}

/// Some pictures spread over all.
fn evenly(all: &Images) -> Images {
    let count = COUNT.min(all.count);
    let pixels = (0..count).flat_map(|i| all.image(i * all.count / count)).copied().collect();
    Images { count, pixels, ..*all }
}

fn sheets(samples: &Images, test: Option<&Images>, train: &Images, no_test: Option<&String>) -> Vec<Block> {
    let of_samples = nearest_all(samples, train);
    let of_test = test.map(|t| nearest_all(t, train));
    let mut text = "Above a sample, below the training image that is nearest to it, pixel by pixel; under both their Euclidean \
                    distance, pixels from 0 to 1. Real images that the run has not seen show what to expect. A sample much nearer \
                    to the data than they are is a copy; one that is much farther off is unlike the data."
        .to_owned();
    if let Some(of_test) = &of_test {
        text += &format!(
            " The median distance is {} for samples and {} for test images.",
            shown(median(&of_samples)),
            shown(median(of_test))
        );
    }
    let mut blocks = vec![
        Block::Text(text),
        Block::Heading("Samples and their nearest training images".into()),
        Block::Pairs(pairs("sample", samples, &of_samples, train)),
    ];
    match (test, &of_test, no_test) {
        (Some(test), Some(found), _) => {
            blocks.push(Block::Heading("Test images and theirs".into()));
            blocks.push(Block::Pairs(pairs("test image", test, found, train)));
        }
        (_, _, why) => blocks.extend(why.map(|why| Block::Missing(why.clone()))),
    }
    blocks
}

fn pairs(what: &str, images: &Images, found: &[(usize, f64)], train: &Images) -> Vec<Pair> {
    let pair = |(i, (at, distance)): (usize, &(usize, f64))| Pair {
        pngs: [png(images, i), png(train, *at)],
        what: [format!("{what} {i}"), format!("training image {at}")],
        label: format!("{distance:.2}"),
    };
    found.iter().enumerate().map(pair).collect()
}

fn png(images: &Images, i: usize) -> Vec<u8> {
    let values: Vec<f32> = images.image(i).iter().map(|v| crate::data::to_unit(*v)).collect();
    let [channels, rows, cols] = images.shape();
    let style = GridStyle { columns: 1, scale: 1, gap: 0, background: 0 };
    // A picture of the data's own size is not too large for a file.
    encode_grid(&values, [1, channels, rows, cols], &style).expect("one picture fits")
}

/// For each of some images the nearest of others, the first where several are, and how far it is.
fn nearest_all(images: &Images, others: &Images) -> Vec<(usize, f64)> {
    (0..images.count).into_par_iter().map(|i| nearest(images.image(i), others)).collect()
}

fn nearest(image: &[u8], others: &Images) -> (usize, f64) {
    let mut best = (0, u64::MAX);
    for (i, other) in others.pixels.chunks_exact(others.area()).enumerate() {
        let mut sum = 0u64;
        for (a, b) in image.chunks(STRETCH).zip(other.chunks(STRETCH)) {
            // Nothing wraps in a stretch; said so, it is as fast with checks of overflow.
            let add = |sum: u32, (a, b): (&u8, &u8)| {
                let d = u32::from(a.abs_diff(*b));
                sum.wrapping_add(d.wrapping_mul(d))
            };
            sum += u64::from(a.iter().zip(b).fold(0, add));
            if sum >= best.1 {
                break;
            }
        }
        if sum < best.1 {
            best = (i, sum);
        }
    }
    (best.0, (best.1 as f64).sqrt() / 255.0)
}

fn median(found: &[(usize, f64)]) -> f64 {
    let mut distances: Vec<f64> = found.iter().map(|f| f.1).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let n = distances.len();
    if n == 0 { f64::NAN } else { (distances[(n - 1) / 2] + distances[n / 2]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_that_of_all_distances() {
        let area = 3 * 200;
        let value = |i: usize| ((i as u64).wrapping_mul(6364136223846793005).rotate_left(29) >> 13) as u8;
        let pixels = (0..50 * area).map(value).collect();
        let others = Images { count: 50, channels: 3, rows: 20, cols: 10, pixels };
        for at in [0, 7, 49] {
            let mut image = others.image(at).to_vec();
            image.iter_mut().step_by(3).for_each(|v| *v = v.wrapping_add(40));
            let distance = |other: &[u8]| {
                let squares = image.iter().zip(other).map(|(a, b)| ((*a as f64 - *b as f64) / 255.0).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let all: Vec<f64> = (0..50).map(|i| distance(others.image(i))).collect();
            let want = all.iter().copied().fold(f64::MAX, f64::min);
            let (found, d) = nearest(&image, &others);
            assert!(all[found] == want && (d - want).abs() < 1e-9, "{at}: {found} {d} {want}");
        }
        assert_eq!(nearest(others.image(3), &others), (3, 0.0));
        assert_eq!(median(&[(0, 3.0), (0, 1.0), (0, 2.0), (0, 10.0)]), 2.5);
    }
}
