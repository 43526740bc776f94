use super::picture::{SIDE, check, prepared, resized};
use super::pool::MeanInside;
use crate::data::Images;
use crate::nn::{Ctx, Module};
use crate::rng::Stream;
use crate::{DType, Device, Generator, Tensor};

fn random(shape: &[usize]) -> Tensor {
    Generator::new(7, Stream::General).uniform(shape, -1.0, 1.0, DType::F32, Device::Cpu)
}

/// The definition, at one place and in f64: the two pixels whose centres lie around the place's, weighted by distance.
fn read(row: &[f32], to: usize, i: usize) -> f64 {
    let at = (i as f64 + 0.5) * row.len() as f64 / to as f64 - 0.5;
    let pixel = |p: f64| f64::from(row[p.clamp(0.0, (row.len() - 1) as f64) as usize]);
    let share = at - at.floor();
    (1.0 - share) * pixel(at.floor()) + share * pixel(at.floor() + 1.0)
}

#[test]
fn rows_and_columns_are_read_between_pixels() {
    for (from, to) in [(28, 299), (1, 299), (2, 299), (299, 299), (300, 299), (1021, 299), (5, 3), (3, 5)] {
        let x = random(&[2, 3, 2, from]);
        let y = resized(&x, 3, to);
        assert_eq!(y.shape(), [2, 3, 2, to]);
        let (rows, found) = (x.to_vec::<f32>(), y.to_vec::<f32>());
        for (row, found) in rows.chunks(from).zip(found.chunks(to)) {
            for (i, found) in found.iter().enumerate() {
                let expected = read(row, to, i);
                // A place is found in f32, whose last bit at pixel 1021 is 6e-5 of a pixel.
                let close = 1e-6 + from as f64 * 3e-7;
                assert!(
                    (f64::from(*found) - expected).abs() < close,
                    "{from} to {to}, {i}: {found} {expected}"
                );
            }
        }
        let columns = resized(&x.transpose(2, 3), 2, to);
        assert_eq!(columns.transpose(2, 3).to_vec::<f32>(), y.to_vec::<f32>());
    }
    // Values of the definition by hand: places -1/4, 1/4, 3/4 and 5/4 of two pixels, the outermost ones at the pixels.
    let x = Tensor::new(&[0.0f32, 4.0], &[1, 1, 1, 2]);
    assert_eq!(resized(&x, 3, 4).to_vec::<f32>(), [0.0, 1.0, 3.0, 4.0]);
}

#[test]
fn a_mean_is_of_the_pixels_that_lie_in_the_image() {
    for shape in [[2, 3, 5, 4], [1, 2, 1, 6], [1, 1, 1, 1], [1, 19, 8, 8]] {
        let x = random(&shape);
        let (found, values) = (MeanInside.forward(&x, &Ctx::eval()), x.to_f64_vec());
        assert_eq!(found.shape(), shape);
        let [_, _, h, w] = shape;
        for (at, found) in found.to_f64_vec().into_iter().enumerate() {
            let (plane, i, j) = (at / (h * w), at / w % h, at % w);
            let rows = i.saturating_sub(1)..(i + 2).min(h);
            let near = rows.flat_map(|r| (j.saturating_sub(1)..(j + 2).min(w)).map(move |c| (r, c)));
            let near: Vec<f64> = near.map(|(r, c)| values[(plane * h + r) * w + c]).collect();
            let mean = near.iter().sum::<f64>() / near.len() as f64;
            assert!((found - mean).abs() < 1e-6, "{shape:?} at {at}: {found} {mean}");
        }
    }
}

#[test]
fn pictures_become_three_channels_from_minus_one_to_one() {
    let of = |channels, pixels: &[u8]| Images { count: 2, channels, rows: 1, cols: 1, pixels: pixels.into() };
    let grey = of(1, &[0, 51]);
    check(&grey).unwrap();
    let dark = prepared(&grey, 1);
    assert_eq!(dark.shape(), [1, 3, SIDE, SIDE]);
    assert!(dark.to_vec::<f32>().iter().all(|v| (v + 0.6).abs() < 1e-6)); // 2 (51 / 255) - 1
    assert!(prepared(&grey, 0).to_vec::<f32>().iter().all(|v| *v == -1.0));
    let colours = prepared(&of(3, &[9, 9, 9, 255, 0, 51]), 1);
    let means = colours.mean(&[2, 3], false).to_f64_vec();
    assert!(means.iter().zip([1.0, -1.0, -0.6]).all(|(a, b)| (a - b).abs() < 1e-5), "{means:?}");
}
