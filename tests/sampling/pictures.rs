//! The files that `ganvil sample` leaves.

use crate::common::{Scratch, fails, run, text};
use crate::{assert_says, checkpoint, sampler};
use ganvil::data::from_unit;
use ganvil::gan::{Latents, NormStatistics, Prior, Sampler, Truncation, TruncationKind};
use ganvil::report::{GridStyle, encode_grid, save_gif, save_pictures};
use image::{AnimationDecoder, DynamicImage, codecs::gif::GifDecoder};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

fn succeeds(args: &[&str]) {
    let out = run(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
}

fn frames(path: &str) -> Vec<image::Frame> {
    let file = BufReader::new(File::open(path).unwrap());
    GifDecoder::new(file).unwrap().into_frames().collect_frames().unwrap()
}

#[test]
fn interpolations_are_rows_of_a_grid() {
    let tmp = Scratch::new("interpolate");
    let file = checkpoint(&tmp, "mlp", Prior::Normal);
    let file = file.to_str().unwrap();
    let out = tmp.path("ways.png");
    succeeds(&["sample", file, "--interpolate", "3", "--columns", "6", "--seed", "2", "--out", &out]);
    let s = Sampler::load(Path::new(file)).unwrap();
    let strip = s.strip(&s.latents(6, 2, None).unwrap(), 6);
    let images = s.generate(&strip, NormStatistics::Running);
    let style = GridStyle { columns: 6, ..GridStyle::default() };
    assert_eq!(std::fs::read(&out).unwrap(), encode_grid(&images, [18, 3, 5, 4], &style).unwrap());
    let (code, err) = fails(&["sample", file, "--interpolate", "3", "--columns", "1"]);
    assert_eq!(code, 2);
    assert_says(&err, &["invalid --columns '1'", "2 to"]);
    assert_says(&fails(&["sample", file, "--interpolate", "0"]).1, &["invalid --interpolate '0'"]);
    assert_says(&fails(&["sample", file, "--interpolate", "90000"]).1, &["more than 100000 samples"]);
    assert_eq!(fails(&["sample", file, "--interpolate", "2", "--n", "3"]).0, 2);
}

#[test]
fn a_gif_has_the_frames_asked_for() {
    let tmp = Scratch::new("gif");
    let file = checkpoint(&tmp, "mlp", Prior::Normal);
    let file = file.to_str().unwrap();
    let gif = tmp.path("round.gif");
    succeeds(&["sample", file, "--gif", &gif, "--frames", "15", "--n", "3", "--columns", "2"]);
    let all = frames(&gif);
    assert_eq!(all.len(), 15);
    // 4 x 5 pictures at twice their size, two in a row, lines of 2.
    assert_eq!(all[0].buffer().dimensions(), (2 * 10 + 2, 2 * 12 + 2));
    assert_eq!(all[0].delay().numer_denom_ms(), (80, 1));
    assert!(all.windows(2).all(|w| w[0].buffer() != w[1].buffer()), "each frame is another");
    let again = tmp.path("again.gif");
    succeeds(&[
        "sample",
        file,
        "--gif",
        &again,
        "--frames",
        "15",
        "--n",
        "3",
        "--columns",
        "2",
        "--threads",
        "1",
    ]);
    assert_eq!(std::fs::read(gif).unwrap(), std::fs::read(again).unwrap());
    assert_says(&fails(&["sample", file, "--gif", "x.png"]).1, &["invalid --gif 'x.png'", "ends in .gif"]);
    assert_says(&fails(&["sample", file, "--gif", "x.gif", "--frames", "0"]).1, &["invalid --frames '0'"]);
}

#[test]
fn grey_frames_are_exact() {
    let tmp = Scratch::new("gif-grey");
    let gif = tmp.path("grey.gif");
    // Every grey level there is.
    let ramp: Vec<f32> = (0..=255).map(|v| v as f32 / 127.5 - 1.0).collect();
    let turned: Vec<f32> = ramp.iter().rev().copied().collect();
    let style = GridStyle { columns: 1, scale: 1, gap: 0, background: 0 };
    save_gif(&gif, [ramp.clone(), turned.clone()], [1, 1, 16, 16], &style, 40).unwrap();
    let all = frames(&gif);
    assert_eq!(all.len(), 2);
    for (frame, want) in all.iter().zip([ramp, turned]) {
        let want: Vec<[u8; 4]> =
            want.iter().map(|&v| [from_unit(v), from_unit(v), from_unit(v), 255]).collect();
        assert_eq!(frame.buffer().as_raw()[..], want.concat());
    }
    let none = save_gif(tmp.path("none.gif"), [], [1, 1, 2, 2], &style, 40).unwrap_err().to_string();
    assert_says(&none, &["none.gif", "at least one frame"]);
    let style = GridStyle { scale: 40_000, ..style };
    let wide =
        save_gif(tmp.path("wide.gif"), [vec![0.0; 2]], [1, 1, 1, 2], &style, 40).unwrap_err().to_string();
    assert!(wide.contains("too many for a GIF") || wide.contains("1 GiB"), "{wide}");
    assert_eq!(std::fs::read_dir(&tmp.0).unwrap().count(), 1, "nothing is written of what failed");
}

#[test]
fn single_pictures_fill_a_new_folder() {
    let tmp = Scratch::new("singles");
    let file = checkpoint(&tmp, "mlp", Prior::Normal);
    let dir = tmp.path("out/singles");
    succeeds(&["sample", file.to_str().unwrap(), "--n", "11", "--seed", "6", "--images", &dir]);
    let mut names: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, (0..11).map(|i| format!("{i:06}.png")).collect::<Vec<_>>());
    let samples = Sampler::load(&file).unwrap().sample(11, 6);
    for (name, sample) in names.iter().zip(samples.chunks_exact(60)) {
        let picture = image::open(Path::new(&dir).join(name)).unwrap();
        let DynamicImage::ImageRgb8(picture) = picture else { panic!("{name} is not in colour") };
        assert_eq!(picture.dimensions(), (4, 5));
        for (x, y, pixel) in picture.enumerate_pixels() {
            let want = [0, 1, 2].map(|c| from_unit(sample[(c * 20 + y * 4 + x) as usize]));
            assert_eq!(pixel.0, want, "{name} ({x}, {y})");
        }
    }
    assert!(!Path::new("samples.png").exists(), "the grid is drawn only if asked for");
    let (code, err) = fails(&["sample", file.to_str().unwrap(), "--images", &dir]);
    assert_eq!(code, 1);
    assert_says(&err, &["singles", "not empty", "name a new one"]);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 11);
    assert_eq!(std::fs::read_dir(tmp.path("out")).unwrap().count(), 1, "no temporary folder is left");
    // What is written can be trained on.
    let data = ganvil::data::Dataset::load(&dir, ganvil::data::Split::Train).unwrap();
    assert_eq!((data.images.count, data.shape()), (11, [3, 5, 4]));
    save_pictures(tmp.path("grey"), &[0.0; 6], [1, 1, 2, 3]).unwrap();
    assert!(matches!(image::open(tmp.path("grey/000000.png")).unwrap(), DynamicImage::ImageLuma8(_)));
}

#[test]
fn classes_are_for_conditional_generators() {
    let tmp = Scratch::new("classes");
    let file = checkpoint(&tmp, "mlp-a", Prior::Normal);
    let (code, err) = fails(&["sample", file.to_str().unwrap(), "--classes"]);
    assert_eq!(code, 2);
    assert_says(&err, &["invalid --classes", "mlp-a", "not conditional"]);
    let s = Sampler::load(&file).unwrap();
    let columns = s.latents(4, 1, None).unwrap();
    assert!(s.classes.is_none() && columns.labels.is_none() && s.class_grid(&columns).is_none());

    let file = checkpoint(&tmp, "cgan", Prior::Normal);
    let s = Sampler::load(&file).unwrap();
    assert_eq!(s.classes, Some(3));
    let columns = s.latents(4, 1, None).unwrap();
    let labels = |l: &Latents| l.labels.as_ref().unwrap().to_vec::<i64>();
    assert_eq!(labels(&columns), [0, 1, 2, 0], "without a wish each class in turn");
    let grid = s.class_grid(&columns).unwrap();
    assert_eq!(labels(&grid), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(grid.z.to_vec::<f32>(), columns.z.to_vec::<f32>().repeat(3), "noise is shared down a column");
    assert_eq!(labels(&s.strip(&columns, 3)), [0, 0, 0, 1, 1, 1], "a way stays in its class");
    let images = s.generate(&grid, NormStatistics::Running);
    for (i, class) in labels(&grid).into_iter().enumerate() {
        let alone = s.sample_classes(&[class as usize; 4], 1).unwrap();
        assert_eq!(
            images[i * 60..][..60],
            alone[i % 4 * 60..][..60],
            "row {class} is what the class looks like"
        );
    }
    assert_ne!(images[..240], images[240..480]);
    let out = tmp.path("classes.png");
    succeeds(&["sample", file.to_str().unwrap(), "--classes", "--columns", "4", "--out", &out]);
    assert_eq!(image::open(out).unwrap().width(), 4 * 10 + 2);
    let many = ["sample", file.to_str().unwrap(), "--classes", "--columns", "50000"];
    assert_says(&fails(&many).1, &["more than 100000 samples"]);
    // All that is asked of any generator is asked of this one.
    succeeds(&["sample", file.to_str().unwrap(), "--gif", &tmp.path("c.gif"), "--frames", "3"]);
    succeeds(&["sample", file.to_str().unwrap(), "--interpolate", "2", "--out", &tmp.path("ways.png")]);
}

#[test]
fn batch_statistics_make_samples_depend_on_each_other() {
    let tmp = Scratch::new("batch-stats");
    let s = sampler(&tmp, Prior::Normal);
    // More than are made at a time.
    let all = s.latents(600, 3, None).unwrap();
    let few = s.latents(5, 3, None).unwrap();
    let running = |l| s.generate(l, NormStatistics::Running);
    let batch = |l| s.generate(l, NormStatistics::Batch);
    assert_eq!(running(&all)[..5 * 60], running(&few));
    assert_eq!(running(&few), s.sample(5, 3));
    assert_ne!(batch(&all)[..5 * 60], batch(&few));
    assert_ne!(batch(&few), running(&few));
    assert_eq!(batch(&few), batch(&few), "and nothing of it is left in the network");
    assert_eq!(running(&few), s.sample(5, 3));

    let file = tmp.path("some.safetensors");
    let png = |name: &str, more: &[&str]| {
        let out = tmp.path(name);
        succeeds(&[&["sample", &file, "--n", "9", "--out", &out], more].concat());
        std::fs::read(out).unwrap()
    };
    let pictures = [
        png("a.png", &[]),
        png("b.png", &["--batch-stats"]),
        png("c.png", &["--truncation", "0.5"]),
        png("d.png", &["--truncation", "0.5", "--truncation-kind", "scaled"]),
    ];
    for (i, a) in pictures.iter().enumerate() {
        assert!(pictures[..i].iter().all(|b| a != b), "picture {i}");
    }
    assert_says(
        &fails(&["sample", &file, "--batch-stats", "--n", "1"]).1,
        &["invalid --n '1'", "no variance"],
    );
    assert_says(&fails(&["sample", &file, "--truncation", "-1"]).1, &["invalid --truncation '-1'"]);
    assert_eq!(fails(&["sample", &file, "--truncation-kind", "scaled"]).0, 2, "of what truncation?");
}

/// After 4 steps the running statistics are hardly those of any samples; over truncated noise they become those of a batch.
#[test]
fn standing_statistics_are_those_of_the_samples() {
    let tmp = Scratch::new("standing");
    let file = checkpoint(&tmp, "mlp", Prior::Normal);
    let cut = Some(Truncation { tau: 0.3, kind: TruncationKind::Resample });
    let s = Sampler::load(&file).unwrap();
    let latents = s.latents(2000, 1, cut).unwrap();
    let batch = s.generate(&latents, NormStatistics::Batch);
    let far = |images: &[f32]| images.iter().zip(&batch).map(|(a, b)| (a - b).abs() as f64).sum::<f64>();
    let before = far(&s.generate(&latents, NormStatistics::Running));
    s.stand(100, 2, cut).unwrap();
    let after = far(&s.generate(&latents, NormStatistics::Running));
    // A mean over about 20 batches of 128 is off by some 2 % of a deviation.
    assert!(after < 0.1 * before, "{after} after, {before} before");
    let file = file.to_str().unwrap();
    let [plain, standing] = ["plain.png", "standing.png"].map(|name| tmp.path(name));
    succeeds(&["sample", file, "--n", "4", "--truncation", "0.3", "--out", &plain]);
    succeeds(&[
        "sample",
        file,
        "--n",
        "4",
        "--truncation",
        "0.3",
        "--standing-stats",
        "60",
        "--out",
        &standing,
    ]);
    assert_ne!(std::fs::read(plain).unwrap(), std::fs::read(standing).unwrap());
    assert_says(
        &fails(&["sample", file, "--standing-stats", "0"]).1,
        &["invalid --standing-stats '0'", "100 is usual"],
    );
    assert_eq!(fails(&["sample", file, "--standing-stats", "9", "--batch-stats"]).0, 2);
}
