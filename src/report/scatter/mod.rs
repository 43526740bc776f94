//! Points in the plane: what a generator gives, over what it should.

mod axes;
mod cloud;
mod panels;

use std::io;
use std::path::Path;

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, Drawn, Type};
use super::colours::{GREY, WHITE};
use super::curve::drawable;
use super::render::{self, Drawing};
use crate::Result;
use axes::{Axes, Frame};
pub use cloud::Cloud;
use cloud::{dots, legend};
pub use panels::{ScatterPanel, save_scatter_panels};

/// Saves clouds of points over each other, the first at the bottom. The file appears whole or not at all.
///
/// The path's extension says whether it is a PNG (1280 pixels wide) or an SVG. A unit is as long on both axes, and the
/// axes are those of the first cloud with some room around it, so that pictures of one data set compare; points of
/// other clouds that lie beyond are counted in a note, and so are values that are not finite.
///
/// ```
/// use ganvil::data::Synthetic;
/// use ganvil::report::{Cloud, save_scatter};
///
/// let cloud = |label: &str, seed| Cloud {
///     label: label.into(),
///     points: Synthetic::TwoMoons.samples(seed).take(200),
/// };
/// let path = std::env::temp_dir().join(format!("ganvil-moons-{}.svg", std::process::id()));
/// save_scatter(&path, "two moons", &[cloud("data", 0), cloud("the same, drawn again", 1)])?;
/// assert!(std::fs::read_to_string(&path).unwrap().contains("drawn again"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If the file cannot be written or has another extension.
pub fn save_scatter(path: impl AsRef<Path>, title: &str, clouds: &[Cloud]) -> Result<()> {
    render::save(path.as_ref(), &Scatter { title, clouds })
}

/// The PNG of [`save_scatter`] in memory.
///
/// ```
/// # use ganvil::report::{Cloud, encode_scatter_png};
/// let one = Cloud { label: "one".into(), points: vec![[1.0, 2.0]] };
/// assert_eq!(&encode_scatter_png("a point", &[one]).unwrap()[1..4], b"PNG");
/// ```
pub fn encode_scatter_png(title: &str, clouds: &[Cloud]) -> io::Result<Vec<u8>> {
    render::png(&Scatter { title, clouds })
}

/// The SVG of [`save_scatter`] in memory, to be written to a file or into a page.
///
/// ```
/// # use ganvil::report::{Cloud, encode_scatter_svg};
/// let two = Cloud { label: "two".into(), points: vec![[1.0, 2.0], [3.0, 4.0]] };
/// assert_eq!(encode_scatter_svg("points", &[two]).unwrap().matches("<circle").count(), 2 + 1); // one in the legend
/// ```
pub fn encode_scatter_svg(title: &str, clouds: &[Cloud]) -> io::Result<String> {
    render::svg(&Scatter { title, clouds })
}

const WIDTH: f64 = 640.0;
/// The square of the axes.
const SIDE: f64 = 560.0;
const LEFT: f64 = 56.0;
/// Above the axes: the title, and below it the legend.
const TOP: f64 = 72.0;
/// Below them: the numbers, and a note.
const BOTTOM: f64 = 56.0;
const RADIUS: f64 = 1.75;

struct Scatter<'a> {
    title: &'a str,
    clouds: &'a [Cloud],
}

impl Drawing for Scatter<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH as u32, (TOP + SIDE + BOTTOM) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        canvas.fill(WHITE)?;
        canvas.heading(self.title, (LEFT, 32.0))?;
        let axes = Axes::around(self.clouds.first(), Frame { left: LEFT, top: TOP, side: SIDE });
        axes.draw(canvas)?;
        dots(canvas, self.clouds, &axes, RADIUS)?;
        legend(canvas, self.clouds, (LEFT, TOP - 12.0))?;
        let note = Type { em: 11.0, bold: false, colour: GREY, align: HPos::Right };
        canvas.text(&self.note(&axes), (LEFT + SIDE, TOP + SIDE + 42.0), note)?;
        canvas.present()
    }
}

impl Scatter<'_> {
    /// What is not in the picture.
    fn note(&self, axes: &Axes) -> String {
        let mut notes = Vec::new();
        for cloud in self.clouds {
            let (n, finite) = (cloud.points.len(), cloud.places().filter(|&p| drawable(p)));
            let (lost, beyond) = (n - finite.clone().count(), finite.filter(|&p| !axes.shows(p)).count());
            for (count, how) in [(beyond, "beyond the axes"), (lost, "not finite")] {
                if count > 0 {
                    notes.push(format!("{}: {count} of {n} {how}", cloud.label));
                }
            }
        }
        if self.clouds.iter().all(|c| c.points.is_empty()) {
            notes.push("no data".into());
        }
        notes.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;

    fn cloud(label: &str, points: &[[f32; 2]]) -> Cloud {
        Cloud { label: label.into(), points: points.to_vec() }
    }

    /// The mean place of the pixels close to a colour, and how many there are.
    fn centre(png: &[u8], colour: [u8; 3], within: impl Fn(u32, u32) -> bool) -> (f64, f64, usize) {
        let (mut x, mut y, mut n) = (0.0, 0.0, 0);
        for (i, j, p) in image::load_from_memory(png).unwrap().into_rgb8().enumerate_pixels() {
            if within(i, j) && p.0.iter().zip(colour).all(|(&a, b)| a.abs_diff(b) < 8) {
                (x, y, n) = (x + i as f64, y + j as f64, n + 1);
            }
        }
        (x / n as f64, y / n as f64, n)
    }

    #[test]
    fn a_unit_is_as_long_on_both_axes() {
        let f = Folder::new("scatter");
        let path = f.0.join("points.png");
        // Wide and low: were each axis stretched to its own extent, the lone points would lie at the corners.
        let square = cloud("real", &[[-2.0, 0.0], [2.0, 0.0], [0.0, 0.5]]);
        let lone = cloud("generated", &[[1.0, 1.25]; 40]);
        save_scatter(&path, "axes", &[square, lone]).unwrap();
        let png = std::fs::read(&path).unwrap();
        // Both axes span 4 * 1.3 = 5.2 around (0, 0.25); the picture has two pixels for each unit of the canvas.
        let want = |x: f64, y: f64| {
            (2.0 * (LEFT + SIDE / 2.0 + x / 5.2 * SIDE), 2.0 * (TOP + SIDE / 2.0 - (y - 0.25) / 5.2 * SIDE))
        };
        let below_legend = |_, y| y as f64 > 2.0 * TOP;
        let (x, y, n) = centre(&png, [0xD5, 0x5E, 0x00], below_legend);
        let (wx, wy) = want(1.0, 1.25);
        assert!((x - wx).abs() < 1.0 && (y - wy).abs() < 1.0, "at ({x}, {y}), not ({wx}, {wy})");
        // A disc of radius 3.5 pixels has 38, some of them on its edge.
        assert!((15..=45).contains(&n), "{n} pixels");
    }

    #[test]
    fn points_that_cannot_be_shown_are_counted() {
        let real = cloud("real", &[[0.0, 0.0], [1.0, 1.0]]);
        let fake = cloud("fake & <co>", &[[0.5, 0.5], [9.0, 0.0], [f32::NAN, 0.0], [0.0, f32::INFINITY]]);
        let svg = encode_scatter_svg("title", &[real, fake]).unwrap();
        assert!(svg.contains("fake &amp; &lt;co&gt;: 1 of 4 beyond the axes"), "{svg}");
        assert!(svg.contains("2 of 4 not finite"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2 + 1 + 2, "three points and the legend");
    }

    #[test]
    fn odd_clouds_are_drawn_and_never_panic() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, f32::MIN_POSITIVE];
        let points: Vec<_> = odd.iter().flat_map(|&x| odd.map(|y| [x, y])).collect();
        for n in [0, 1, 2, points.len()] {
            let clouds = [cloud("a", &points[..n]), cloud("b", &points)];
            encode_scatter_png("odd", &clouds).unwrap();
        }
        assert!(encode_scatter_svg("none", &[]).unwrap().contains("no data"));
        let text = save_scatter("cloud.jpg", "", &[]).unwrap_err().to_string();
        assert!(text.contains("cloud.jpg") && text.contains(".png or .svg"), "{text}");
    }
}
