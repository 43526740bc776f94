//! Drawings as PNGs with a palette, which take about a third of the bytes.
//!
//! A drawing has a dozen colours, and thousands of blends of them at the edges of lines and letters, of which no eye tells
//! neighbours apart.

use std::cmp::Reverse;
use std::collections::HashMap;

use png::{BitDepth, ColorType, Encoder, EncodingError, Filter};

/// Red, green and blue.
type Colour = [u8; 3];

/// Colours that a palette has room for.
const ROOM: usize = 256;
/// So many of the most frequent colours stay as they are: those of areas, and of the insides of lines.
const KEPT: usize = 32;

/// The PNG of `(height, width, 3)` bytes. Up to 256 colours stay as they are; of more, most become the nearest in the
/// palette.
pub(super) fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, EncodingError> {
    // Neighbours are mostly alike: each stretch of one colour is looked at once.
    let stretches = || pixels.as_chunks::<3>().0.chunk_by(|a, b| a == b);
    let mut counts: HashMap<Colour, usize> = HashMap::new();
    stretches().for_each(|s| *counts.entry(s[0]).or_default() += s.len());
    let (palette, places) = palette(counts);
    let mut indices = Vec::with_capacity(pixels.len() / 3);
    stretches().for_each(|s| indices.resize(indices.len() + s.len(), places[&s[0]]));

    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.concat());
    // Differences of indices mean nothing.
    encoder.set_filter(Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&indices)?;
    writer.finish()?;
    Ok(bytes)
}

/// A palette for colours that come so often, and the place of each colour's nearest in it.
///
/// Behind the most frequent colours come, one after the other, those that are farthest from all that are in it (Gonzalez,
/// 1985, "Clustering to minimize the maximum intercluster distance"): so no rare colour is far from its nearest.
fn palette(counts: HashMap<Colour, usize>) -> (Vec<Colour>, HashMap<Colour, u8>) {
    let mut colours: Vec<(Colour, usize)> = counts.into_iter().collect();
    colours.sort_by_key(|&(colour, n)| (Reverse(n), colour));
    let mut palette: Vec<Colour> = Vec::new();
    // How far the nearest is, and its place.
    let mut nearest = vec![(u32::MAX, 0u8); colours.len()];
    while palette.len() < ROOM.min(colours.len()) {
        let farthest = || (0..colours.len()).max_by_key(|&i| (nearest[i].0, Reverse(i)));
        let next = if palette.len() < KEPT { Some(palette.len()) } else { farthest() };
        let next = colours[next.expect("there are more colours than the palette has")].0;
        for (near, (colour, _)) in nearest.iter_mut().zip(&colours) {
            *near = (*near).min((distance(*colour, next), palette.len() as u8));
        }
        palette.push(next);
    }
    (palette, colours.iter().zip(nearest).map(|((colour, _), near)| (*colour, near.1)).collect())
}

/// The square of the distance.
fn distance(a: Colour, b: Colour) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a.abs_diff(b) as u32).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(png: &[u8]) -> Vec<u8> {
        image::load_from_memory(png).unwrap().into_rgb8().into_raw()
    }

    #[test]
    fn as_many_colours_as_have_room_stay_as_they_are() {
        for n in [1, 2, KEPT, KEPT + 1, ROOM] {
            let pixels: Vec<u8> = (0..n).flat_map(|i| [i as u8, (i * 7) as u8, 255 - i as u8]).collect();
            let png = encode(&pixels, n as u32, 1).unwrap();
            assert!(decoded(&png) == pixels, "{n}");
            assert_eq!(png, encode(&pixels, n as u32, 1).unwrap(), "the same bytes each time");
        }
    }

    /// Five colours, and how they fade to white: five lines, 1715 long together. At least 224 colours are there for them,
    /// so the best choice has none farther off than 1715 / 448, and the farthest one after the other none farther than
    /// twice that. Rounding moves each of two colours by up to 0.87.
    #[test]
    fn of_more_colours_the_frequent_stay_and_no_other_moves_far() {
        let inks: [Colour; 5] = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [0, 0, 0], [0, 0, 255]];
        let fade = |ink: Colour, part: usize| {
            ink.map(|v| (v as f64 + (255.0 - v as f64) * part as f64 / 255.0).round() as u8)
        };
        let mut pixels: Vec<u8> = inks.repeat(1000).concat();
        pixels.extend((0..256).flat_map(|part| inks.map(|ink| fade(ink, part))).flatten());
        let n = pixels.len() / 3;
        let shown = decoded(&encode(&pixels, n as u32, 1).unwrap());
        assert!(shown[..15_000] == pixels[..15_000]);
        let off = |i: usize| distance(pixels.as_chunks().0[i], shown.as_chunks().0[i]);
        let worst = (0..n).map(off).max().unwrap();
        assert!(worst > 0 && (worst as f64).sqrt() < 2.0 * 1715.0 / 448.0 + 2.0 * 0.87, "{worst}");
        let colours: std::collections::HashSet<_> = shown.as_chunks::<3>().0.iter().collect();
        assert_eq!(colours.len(), ROOM);
    }
}
