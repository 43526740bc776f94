//! `ganvil data`.

use crate::data::{
    Contents, Dataset, DistributionReport, FileReport, FolderReport, IdxFile, ImageOptions, Images,
    Inspection, PicturesReport, Split, SplitReport, Synthetic, inspect, read_idx, to_unit,
};
use crate::report::{Cloud, GridStyle, save_grid, save_scatter};
use crate::{Error, Result};
use clap::Subcommand;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ganvil data inspect data/mnist\n  ganvil data inspect ring8 --picture ring8.png"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Tell what a file, folder or distribution holds
    Inspect(InspectArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Distributions: ring8, grid25, swiss-roll, two-moons, imbalanced-ring\n\
    Exits with 1 if the data cannot be used; the report is printed all the same.\n\n\
    Examples:\n  \
    ganvil data inspect data/mnist\n  \
    ganvil data inspect photos --picture photos.png\n  \
    ganvil data inspect train-images-idx3-ubyte.gz --picture first.png\n  \
    ganvil data inspect ring8 --json")]
struct InspectArgs {
    /// An IDX file (raw or gzip), a folder with MNIST's files or with PNG or JPEG pictures, or the name of a
    /// distribution
    path: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Save a PNG: a grid of the first images, or the samples of a distribution
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// Images in the picture.
const GRID: usize = 64;
/// Side of each, where they have several sizes.
const THUMBNAIL: usize = 64;

pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Inspect(args) => run_inspect(args),
    }
}

fn run_inspect(args: InspectArgs) -> Result<()> {
    if let Some(picture) = &args.picture {
        super::check_png("--picture", picture)?;
    }
    let inspection = inspect(&args.path)?;
    if args.json {
        let json = serde_json::to_string(&inspection).expect("a report has no keys but strings and numbers");
        super::print(&format!("{json}\n"))?;
    } else {
        super::print(&text(&inspection))?;
    }
    // Why the data cannot be used matters more than that there is nothing to draw.
    let picture = args.picture.as_deref().map_or(Ok(()), |picture| save_picture(&inspection, picture));
    match inspection.problems() {
        [] => picture,
        problems => Err(Error::format(&args.path, problems.join("; "))),
    }
}

/// The report for people.
fn text(inspection: &Inspection) -> String {
    let mut out = String::new();
    match inspection {
        Inspection::File(file) => file_rows(&mut out, file),
        Inspection::Folder(folder) => folder_rows(&mut out, folder),
        Inspection::Pictures(pictures) => picture_rows(&mut out, pictures),
        Inspection::Distribution(d) => distribution_rows(&mut out, d),
    }
    out
}

fn row(out: &mut String, what: &str, value: impl std::fmt::Display) {
    writeln!(out, "{what:<13} {value}").expect("memory can be written to");
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn folder_rows(out: &mut String, folder: &FolderReport) {
    row(out, "folder", folder.path.display());
    row(out, "readable", yes_no(folder.readable));
    for file in &folder.files {
        out.push('\n');
        file_rows(out, file);
    }
}

fn picture_rows(out: &mut String, pictures: &PicturesReport) {
    row(out, "folder", pictures.path.display());
    row(out, "readable", yes_no(pictures.readable));
    for s in &pictures.splits {
        out.push('\n');
        split_rows(out, s);
    }
}

fn split_rows(out: &mut String, s: &SplitReport) {
    let kind = if s.channels == 1 { "grey" } else { "RGB" };
    let [size, largest] = [s.smallest, s.largest].map(|[rows, cols]| format!("{rows} x {cols}"));
    row(out, "split", s.split);
    row(
        out,
        "holds",
        match s.sizes {
            0 => "no readable pictures".into(),
            1 => format!("{} {kind} pictures of {size}, {}", s.count, s.dtype),
            n => format!("{} {kind} pictures of {n} sizes from {size} to {largest}, {}", s.count, s.dtype),
        },
    );
    if s.sizes > 1 {
        row(out, "to train", "give --size N, which cuts each to a square and scales it to N x N");
    }
    pixel_rows(out, s.min, s.max, s.mean, s.std, s.duplicates);
    let n = s.classes.iter().map(|(_, count)| count).sum();
    for (class, count) in &s.classes {
        row(out, &format!("class {class}"), format!("{count} ({:.2} %)", share(*count, n)));
    }
}

fn pixel_rows(out: &mut String, min: u8, max: u8, mean: f64, std: f64, duplicates: usize) {
    row(out, "range", format!("{min} to {max}"));
    row(out, "mean", format!("{mean:.3}, or {:.4} of 255", mean / 255.0));
    row(out, "std", format!("{std:.3}, or {:.4} of 255", std / 255.0));
    row(out, "duplicates", duplicates);
}

fn file_rows(out: &mut String, file: &FileReport) {
    row(out, "file", file.path.display());
    row(out, "size", format!("{} bytes{}", file.bytes, if file.gzip { ", gzip" } else { "" }));
    row(out, "readable", yes_no(file.readable));
    match &file.contents {
        Some(Contents::Images { dtype, shape: [n, rows, cols], min, max, mean, std, duplicates, crc32 }) => {
            row(out, "holds", format!("{n} images of {rows} x {cols}, {dtype}"));
            pixel_rows(out, *min, *max, *mean, *std, *duplicates);
            row(out, "CRC-32", format!("{crc32}, uncompressed"));
        }
        Some(Contents::Labels { dtype, shape: [n], min, max, classes, crc32 }) => {
            row(out, "holds", format!("{n} labels, {dtype}"));
            row(out, "range", format!("{min} to {max}"));
            for (class, count) in classes {
                row(out, &format!("class {class}"), format!("{count} ({:.2} %)", share(*count, *n)));
            }
            row(out, "CRC-32", format!("{crc32}, uncompressed"));
        }
        None => {}
    }
}

fn share(count: usize, of: usize) -> f64 {
    100.0 * count as f64 / of as f64
}

/// Thousandths, without the sign of a zero.
fn rounded(v: f64) -> f64 {
    (v * 1000.0).round() / 1000.0 + 0.0
}

fn distribution_rows(out: &mut String, d: &DistributionReport) {
    row(out, "distribution", d.name);
    row(out, "readable", "yes");
    row(out, "holds", format!("as many points (x, y) as are drawn, {}", d.dtype));
    row(out, "CRC-32", "none, the points follow from a seed");
    let n = d.shape[0];
    row(out, "looked at", format!("{n} points of seed {}", d.seed));
    for (i, axis) in ["x", "y"].into_iter().enumerate() {
        let (min, max, mean, std) = (d.min[i], d.max[i], d.mean[i], d.std[i]);
        row(out, axis, format!("{min:.3} to {max:.3}, mean {mean:.3}, std {std:.3}"));
    }
    let Some(modes) = &d.modes else { return };
    row(out, "modes", format!("{} Gaussians, sigma {}", modes.centres.len(), modes.sigma));
    for (i, ([x, y], w)) in modes.centres.iter().zip(&modes.weights).enumerate() {
        let (count, want) = (modes.counts[i], 100.0 * w);
        let centre = format!("({:6.3}, {:6.3})", rounded(*x), rounded(*y));
        row(
            out,
            &format!("mode {i}"),
            format!("{centre} {count:>5} ({:.2} %, {want:.2} % expected)", share(count, n)),
        );
    }
}

fn save_picture(inspection: &Inspection, picture: &Path) -> Result<()> {
    let files = match inspection {
        Inspection::Distribution(d) => return save_samples(d, picture),
        Inspection::File(file) => std::slice::from_ref(file),
        Inspection::Folder(folder) => &folder.files,
        // What is damaged has been reported, and cannot be drawn.
        Inspection::Pictures(p) if !p.readable => return Ok(()),
        Inspection::Pictures(p) => {
            let mixed = p.splits.iter().any(|s| s.sizes > 1);
            let options = ImageOptions { size: mixed.then_some(THUMBNAIL), ..ImageOptions::default() };
            return save_images(&Dataset::open(&p.path, Split::Train, &options)?.images, picture);
        }
    };
    let images = files.iter().find(|f| matches!(f.contents, Some(Contents::Images { .. })));
    let Some(IdxFile::Images(images)) = images.map(|f| read_idx(&f.path)).transpose()? else {
        let remedy = "there are no readable images to show; name a file of images, or leave it out".into();
        return Err(Error::Argument { what: "--picture", value: picture.display().to_string(), remedy });
    };
    save_images(&images, picture)
}

fn save_images(images: &Images, picture: &Path) -> Result<()> {
    let n = images.count.min(GRID);
    let first: Vec<f32> = images.pixels[..n * images.area()].iter().map(|&v| to_unit(v)).collect();
    let [channels, rows, cols] = images.shape();
    save_grid(picture, &first, [n, channels, rows, cols], &GridStyle::default())
}

fn save_samples(d: &DistributionReport, picture: &Path) -> Result<()> {
    let name: Synthetic = d.name;
    let points = name.samples(d.seed).take(d.shape[0]);
    save_scatter(picture, name.name(), &[Cloud { label: format!("{} samples", points.len()), points }])
}
