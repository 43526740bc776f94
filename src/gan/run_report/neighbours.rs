//! The nearest training image of some samples: has the generator learnt pictures by heart?

use super::material::Material;
use super::players::Players;
use crate::data::{Images, from_unit};
use crate::metrics::{median, nearest_picture};
use crate::report::html::{Block, Pair, Section, shown};
use crate::report::{GridStyle, encode_grid};
use rayon::prelude::*;

/// Samples, and test images, that are looked up.
const COUNT: usize = 10;

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
    let middle = |found: &[(usize, f64)]| median(found.iter().map(|f| f.1));
    let of_samples = nearest_all(samples, train);
    let of_test = test.map(|t| nearest_all(t, train));
    let mut text = "Above a sample, below the training image that is nearest to it, pixel by pixel; under both their Euclidean \
                    distance, pixels from 0 to 1. Real images that the run has not seen show what to expect. A sample much nearer \
                    to the data than they are is a copy; one that is much farther off is unlike the data."
        .to_owned();
    if let Some(of_test) = &of_test {
        text += &format!(
            " The median distance is {} for samples and {} for test images.",
            shown(middle(&of_samples)),
            shown(middle(of_test))
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
    let all = || others.pixels.chunks_exact(others.area()).enumerate();
    let of = |i| nearest_picture(images.image(i), all()).unwrap_or((0, f64::NAN));
    (0..images.count).into_par_iter().map(of).collect()
}
