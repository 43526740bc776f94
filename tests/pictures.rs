//! Folders of PNG and JPEG pictures as training data.

use common::{Scratch, fails, run, text};
use ganvil::data::{Dataset, ImageOptions, Split, locate, to_unit};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, RgbaImage};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::{Path, PathBuf};

mod common;

const PLAIN: ImageOptions = ImageOptions { size: None, channels: None, pad: None };

fn grey(cols: u32, rows: u32, f: impl Fn(u32, u32) -> u8) -> DynamicImage {
    GrayImage::from_fn(cols, rows, |x, y| Luma([f(x, y)])).into()
}

fn flat(cols: u32, rows: u32, rgb: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(cols, rows, Rgb(rgb)).into()
}

fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn put(scratch: &Scratch, name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch.0.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn png(scratch: &Scratch, name: &str, picture: &DynamicImage) -> PathBuf {
    put(scratch, name, &bytes(picture, ImageFormat::Png))
}

fn open(dir: impl AsRef<Path>, options: ImageOptions) -> Dataset {
    Dataset::open(dir, Split::Train, &options).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(dir: impl AsRef<Path>, split: Split, options: ImageOptions) -> String {
    Dataset::open(dir, split, &options).unwrap_err().to_string()
}

fn assert_says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|p| assert!(text.contains(p), "no '{p}' in: {text}"));
}

#[test]
fn subfolders_are_classes_in_the_order_of_their_names() {
    let tmp = Scratch::new("pictures-classes");
    // Written in another order than the one to be read in; each picture's pixels say which it is.
    for (name, v) in
        [("dog/b.png", 3), ("cat/sub/a.png", 1), ("dog/a.PNG", 2), ("cat/z.png", 9), ("cat/0.png", 0)]
    {
        png(&tmp, name, &grey(2, 1, |x, _| v * 10 + x as u8));
    }
    put(&tmp, ".hidden/x.png", b"not looked at");
    put(&tmp, "cat/.DS_Store", b"nor this");
    put(&tmp, "cat/notes.txt", b"nor this");
    put(&tmp, "readme.md", b"nor this");
    let data = open(&tmp.0, PLAIN);
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!(data.labels, Some(vec![0, 0, 0, 1, 1]));
    // cat/0.png, cat/sub/a.png, cat/z.png, dog/a.PNG, dog/b.png
    assert_eq!(data.images.pixels, [0, 1, 10, 11, 90, 91, 20, 21, 30, 31]);
    assert_eq!((data.images.count, data.shape()), (5, [1, 1, 2]));
    assert_eq!(data.name, tmp.0.file_name().unwrap().to_string_lossy());
}

#[test]
fn a_folder_of_pictures_alone_has_no_classes() {
    let tmp = Scratch::new("pictures-flat");
    for i in [2, 0, 1] {
        png(&tmp, &format!("{i}.png"), &grey(1, 1, |_, _| i));
    }
    std::fs::create_dir(tmp.0.join("empty-folder")).unwrap();
    let data = open(&tmp.0, PLAIN);
    assert_eq!((data.labels, data.classes.len()), (None, 0));
    assert_eq!(data.images.pixels, [0, 1, 2]);
}

#[test]
fn folders_train_and_test_are_splits() {
    let tmp = Scratch::new("pictures-splits");
    for (name, v) in [("train/a/0.png", 1), ("train/b/0.png", 2), ("test/a/0.png", 3), ("test/b/0.png", 4)] {
        png(&tmp, name, &grey(1, 1, |_, _| v));
    }
    let train = open(&tmp.0, PLAIN);
    let test = Dataset::load(&tmp.0, Split::Test).unwrap();
    assert_eq!((train.images.pixels, train.classes), (vec![1, 2], vec!["a".into(), "b".into()]));
    assert_eq!((test.images.pixels, test.labels), (vec![3, 4], Some(vec![0, 1])));
    std::fs::remove_dir_all(tmp.0.join("test/a")).unwrap();
    assert_says(&refused(&tmp.0, Split::Test, PLAIN), &["[\"b\"]", "[\"a\", \"b\"]"]);
    std::fs::remove_dir_all(tmp.0.join("test")).unwrap();
    assert_says(&refused(&tmp.0, Split::Test, PLAIN), &["no folder 'test' beside"]);
    assert_eq!(open(&tmp.0, PLAIN).classes, ["a", "b"]);
    // Beside another folder it is a class like any.
    png(&tmp, "plane/0.png", &grey(1, 1, |_, _| 5));
    assert_eq!(open(&tmp.0, PLAIN).classes, ["plane", "train"]);
    assert_says(&refused(&tmp.0, Split::Test, PLAIN), &["all for training", "'test'"]);
}

#[test]
fn colours_are_planes_unless_all_is_grey() {
    let tmp = Scratch::new("pictures-colours");
    png(&tmp, "a.png", &grey(2, 1, |x, _| 100 + x as u8));
    assert_eq!(open(&tmp.0, PLAIN).shape(), [1, 1, 2]);
    let three = open(&tmp.0, ImageOptions { channels: Some(3), ..PLAIN });
    assert_eq!(three.images.pixels, [100, 101, 100, 101, 100, 101]);
    png(&tmp, "b.png", &RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap().into());
    let data = open(&tmp.0, PLAIN);
    assert_eq!(data.shape(), [3, 1, 2]);
    assert_eq!(data.images.image(0), [100, 101, 100, 101, 100, 101]);
    assert_eq!(data.images.image(1), [1, 4, 2, 5, 3, 6]);

    // Rec. 709: green is 0.7152 of grey.
    png(&tmp, "b.png", &flat(2, 1, [0, 255, 0]));
    let one = open(&tmp.0, ImageOptions { channels: Some(1), ..PLAIN });
    assert_eq!(one.shape(), [1, 1, 2]);
    assert!(one.images.image(1).iter().all(|&v| v.abs_diff(182) <= 1), "{:?}", one.images.image(1));
}

#[test]
fn transparency_lies_on_black_and_sixteen_bits_become_eight() {
    let tmp = Scratch::new("pictures-kinds");
    let clear =
        RgbaImage::from_raw(3, 1, vec![200, 100, 50, 255, 200, 100, 50, 0, 200, 100, 50, 51]).unwrap();
    png(&tmp, "a/0.png", &clear.into());
    // 51 of 255 is a fifth.
    assert_eq!(open(tmp.0.join("a"), PLAIN).images.pixels, [200, 0, 40, 100, 0, 20, 50, 0, 10]);
    let deep = image::ImageBuffer::<Luma<u16>, _>::from_raw(2, 1, vec![0u16, 0x8080]).unwrap();
    png(&tmp, "b/0.png", &deep.into());
    assert_eq!(open(tmp.0.join("b"), PLAIN).images.pixels, [0, 0x80]);
}

#[test]
fn size_cuts_the_middle_square_and_scales_without_aliasing() {
    let tmp = Scratch::new("pictures-size");
    // 30 x 10: the middle 10 x 10 is stripes of one pixel, what is beside it is white.
    let stripes = grey(30, 10, |x, _| if (10..20).contains(&x) { 200 * (x % 2) as u8 } else { 255 });
    png(&tmp, "0.png", &stripes);
    png(&tmp, "1.png", &flat(7, 9, [60, 60, 60]));
    let same = open(&tmp.0, ImageOptions { size: Some(10), channels: Some(1), pad: None });
    let row: Vec<u8> = (0..10).map(|x| 200 * (x % 2)).collect();
    assert_eq!(same.images.image(0), row.repeat(10), "a square of the size asked for is not scaled");
    assert!(same.images.image(1).iter().all(|&v| v == 60), "also to a larger size");
    // Stripes finer than the new pixels are their mean there; picking pixels would give 0 or 200.
    let half = open(&tmp.0, ImageOptions { size: Some(5), channels: Some(1), pad: None });
    assert_eq!(half.shape(), [1, 5, 5]);
    for y in 0..5 {
        for x in 1..4 {
            let v = half.images.image(0)[y * 5 + x];
            assert!(v.abs_diff(100) <= 12, "({x}, {y}): {v}");
        }
    }
}

#[test]
fn padding_is_background_around_the_middle() {
    let tmp = Scratch::new("pictures-pad");
    png(&tmp, "0.png", &grey(3, 2, |x, y| 1 + (y * 3 + x) as u8));
    let data = open(&tmp.0, ImageOptions { pad: Some(4), ..PLAIN });
    assert_eq!(data.shape(), [1, 4, 4]);
    assert_eq!(data.images.pixels, [0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0]);
    assert_says(
        &refused(&tmp.0, Split::Train, ImageOptions { pad: Some(2), ..PLAIN }),
        &["invalid --pad '2'", "3 x 2", "give 3 or more"],
    );

    let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    let plain = Dataset::load(&mnist, Split::Test).unwrap();
    let padded = Dataset::open(&mnist, Split::Test, &ImageOptions { pad: Some(32), ..PLAIN }).unwrap();
    assert_eq!((padded.shape(), &padded.labels), ([1, 32, 32], &plain.labels));
    for i in [0, 9999] {
        let (small, large) = (plain.images.image(i), padded.images.image(i));
        for (at, &v) in large.iter().enumerate() {
            let (y, x) = (at / 32, at % 32);
            let inside = (2..30).contains(&y) && (2..30).contains(&x);
            assert_eq!(v, if inside { small[(y - 2) * 28 + x - 2] } else { 0 }, "{i}: ({x}, {y})");
        }
    }
    assert_eq!(to_unit(padded.images.pixels[0]), -1.0);
    let colours = ImageOptions { size: Some(14), channels: Some(3), pad: Some(16) };
    assert_eq!(Dataset::open(&mnist, Split::Test, &colours).unwrap().shape(), [3, 16, 16]);
}

/// `orientation` as a camera notes it, in an Exif segment behind the start of a JPEG stream.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn jpeg_pictures_are_read_and_turned_upright() {
    let tmp = Scratch::new("pictures-jpeg");
    let wide = grey(32, 16, |x, _| if x < 16 { 250 } else { 10 });
    let jpeg = bytes(&wide, ImageFormat::Jpeg);
    put(&tmp, "plain/0.jpeg", &jpeg);
    put(&tmp, "turned/0.jpg", &with_orientation(&jpeg, 6)); // to be shown turned right by 90 degrees
    put(&tmp, "misnamed/0.png", &jpeg);
    let plain = open(tmp.0.join("plain"), PLAIN);
    assert_eq!(plain.shape(), [1, 16, 32]);
    assert!(plain.images.pixels[8 * 32 + 4] > 230 && plain.images.pixels[8 * 32 + 28] < 30);
    assert_eq!(open(tmp.0.join("misnamed"), PLAIN).images, plain.images);
    let turned = open(tmp.0.join("turned"), PLAIN).images;
    assert_eq!(turned.shape(), [1, 32, 16]);
    assert!(turned.pixels[4 * 16 + 8] > 230 && turned.pixels[28 * 16 + 8] < 30, "bright on top");
}

#[test]
fn damaged_pictures_are_named() {
    let tmp = Scratch::new("pictures-damage");
    let noise = grey(40, 40, |x, y| ((x * 89) ^ (y * 57)) as u8);
    let (jpeg, png) = (bytes(&noise, ImageFormat::Jpeg), bytes(&noise, ImageFormat::Png));
    put(&tmp, "good/a.jpg", &jpeg);
    assert_eq!(open(tmp.0.join("good"), PLAIN).images.count, 1);
    let cases: [(&str, &[u8]); 6] = [
        ("half.jpg", &jpeg[..jpeg.len() / 2]),
        ("end.jpg", &jpeg[..jpeg.len() - 2]),
        ("half.png", &png[..png.len() / 2]),
        ("text.png", b"no picture at all"),
        ("empty.jpg", b""),
        ("head.png", &png[..20]),
    ];
    for (name, bytes) in cases {
        let dir = tmp.0.join(name.replace('.', "-"));
        // The first in order is named, whichever is read first.
        for copy in ["b", "a", "c"] {
            put(&tmp, &format!("{}/{copy}{name}", name.replace('.', "-")), bytes);
        }
        for threads in [1, 3] {
            let text = ganvil::threads(threads, || refused(&dir, Split::Train, PLAIN));
            assert_says(
                &text,
                &[&format!("/a{name}"), "not a readable PNG or JPEG picture", "remove the file"],
            );
        }
    }
    // What claims to be enormous is not given the memory.
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 1, 0xff, 0xff, 0, 1, 0xff, 0xff]);
    let crc = {
        let mut c = flate2::Crc::new();
        c.update(&huge[12..29]);
        c.sum()
    };
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    put(&tmp, "huge/0.png", &huge);
    assert_says(&refused(tmp.0.join("huge"), Split::Train, PLAIN), &["huge/0.png"]);
}

#[test]
fn folders_that_cannot_be_used_are_refused() {
    let tmp = Scratch::new("pictures-folders");
    let dir = |name: &str| tmp.0.join(name);
    std::fs::create_dir(dir("empty")).unwrap();
    put(&tmp, "none/a.txt", b"");
    put(&tmp, "none/b.webp", b"");
    png(&tmp, "hole/a/0.png", &grey(1, 1, |_, _| 0));
    std::fs::create_dir(dir("hole/b")).unwrap();
    png(&tmp, "both/a/0.png", &grey(1, 1, |_, _| 0));
    png(&tmp, "both/1.png", &grey(1, 1, |_, _| 0));
    let file = png(&tmp, "sizes/a.png", &grey(4, 3, |_, _| 0));
    png(&tmp, "sizes/b.png", &grey(4, 5, |_, _| 0));
    let cases: [(PathBuf, &[&str]); 7] = [
        (dir("nowhere"), &["There is no such folder", "nowhere"]),
        (dir("empty"), &["The folder is empty", "/empty", ".png, .jpg or .jpeg"]),
        (dir("none"), &["None of its 2 files", "/none", ".png, .jpg or .jpeg"]),
        (file, &["It is a file; name the folder", "sizes/a.png"]),
        (dir("hole"), &["hole/b", "class has no pictures", "remove it"]),
        (dir("both"), &["1 pictures (1.png, ...) lie beside folders of pictures (a, ...)", "move"]),
        (dir("sizes"), &["sizes/b.png", "is 4 x 5 pixels", "sizes/a.png is 4 x 3", "give --size N"]),
    ];
    for (dir, words) in cases {
        let text = refused(&dir, Split::Train, PLAIN);
        assert_says(&text, words);
        let (code, err) = fails(&["train", "--steps", "1", "--data", dir.to_str().unwrap()]);
        assert_eq!(code, 1, "{err}");
        assert_says(&err, words);
    }
    assert_says(
        &locate(Some(&dir("empty"))).unwrap_err().to_string(),
        &["--data names", "The folder is empty"],
    );
    assert_eq!(open(dir("sizes"), ImageOptions { size: Some(2), ..PLAIN }).shape(), [1, 2, 2]);
    for (flag, value, words) in
        [("--channels", "2", "1 (grey) or 3"), ("--size", "0", "1 to 4096"), ("--pad", "4097", "1 to 4096")]
    {
        let (code, err) = fails(&["train", "--data", dir("sizes").to_str().unwrap(), flag, value]);
        assert_eq!(code, 2, "{err}");
        assert_says(&err, &[&format!("invalid {flag} '{value}'"), words]);
    }
}

#[test]
fn what_is_read_does_not_depend_on_threads() {
    let tmp = Scratch::new("pictures-threads");
    for i in 0..40u32 {
        let size = 9 + i % 5;
        png(&tmp, &format!("{}/{i}.png", i % 3), &grey(size, size + 2, |x, y| (x * y * i) as u8));
    }
    let options = ImageOptions { size: Some(8), channels: Some(3), pad: Some(10) };
    let first = ganvil::threads(1, || open(&tmp.0, options));
    for threads in [2, 5] {
        assert!(ganvil::threads(threads, || open(&tmp.0, options)) == first, "{threads} threads");
    }
}

fn coloured(tmp: &Scratch, n: u32) -> String {
    for i in 0..n {
        let picture = RgbImage::from_fn(12, 10, |x, y| Rgb([(x * 20) as u8, (y * 20 + i) as u8, 200]));
        png(tmp, &format!("photos/{}/{i:02}.png", ["left", "right"][i as usize % 2]), &picture.into());
    }
    tmp.path("photos")
}

#[test]
fn a_run_trains_on_pictures_in_colour() {
    let tmp = Scratch::new("pictures-train");
    let photos = coloured(&tmp, 12);
    let dir = tmp.path("run");
    let args =
        ["train", "mlp-a", "--data", &photos, "--size", "8", "--batch", "4", "--steps", "3", "--out", &dir];
    let out = run(&args);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let config: toml::Table = std::fs::read_to_string(format!("{dir}/config.toml")).unwrap().parse().unwrap();
    assert_eq!(config["data"].as_table().unwrap()["size"].as_integer(), Some(8));
    // 12 pictures of 8 x 8 in 8 columns at twice their size, lines of 2; not grey.
    let reals = image::open(format!("{dir}/samples/real.png")).unwrap();
    assert_eq!((reals.width(), reals.height()), (8 * 18 + 2, 2 * 18 + 2));
    let want = open(&photos, ImageOptions { size: Some(8), ..PLAIN });
    let pixel = |c: usize| want.images.image(0)[c * 64];
    assert_eq!(reals.to_rgb8().get_pixel(2, 2).0, [pixel(0), pixel(1), pixel(2)]);
    assert!(run(&["sample", &dir, "--n", "4"]).status.success());
    let samples = image::open(format!("{dir}/samples.png")).unwrap();
    assert!(matches!(samples, DynamicImage::ImageRgb8(_)));
    assert_eq!(samples.width(), 4 * 18 + 2);

    let (code, err) = fails(&["train", "--data", &photos, "--size", "8"]);
    assert_eq!(code, 2);
    assert_says(&err, &["invalid batch size '64'", "12 examples", "1 to 12"]);
}

/// stdout as JSON.
fn inspected(path: &str) -> Value {
    serde_json::from_str(&text(&run(&["data", "inspect", path, "--json"]).stdout)).unwrap()
}

#[test]
fn inspect_describes_a_folder_of_pictures() {
    let tmp = Scratch::new("pictures-inspect");
    let photos = coloured(&tmp, 5);
    let json = inspected(&photos);
    assert_eq!((&json["kind"], &json["readable"]), (&json!("pictures"), &json!(true)));
    let split = &json["splits"][0];
    assert_eq!((&split["count"], &split["channels"], &split["sizes"]), (&json!(5), &json!(3), &json!(1)));
    assert_eq!(split["classes"], json!([["left", 3], ["right", 2]]));
    assert_eq!((&split["smallest"], &split["max"]), (&json!([10, 12]), &json!(220)));
    let data = open(&photos, PLAIN);
    let mean = data.images.pixels.iter().map(|&v| v as f64).sum::<f64>() / data.images.pixels.len() as f64;
    assert!((split["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
    let plain = text(&run(&["data", "inspect", &photos]).stdout);
    assert_says(&plain, &["5 RGB pictures of 10 x 12, u8", "class left    3 (60.00 %)"]);

    std::fs::copy(format!("{photos}/left/00.png"), format!("{photos}/right/again.png")).unwrap();
    png(&tmp, "photos/left/small.png", &grey(3, 3, |_, _| 7));
    let split = inspected(&photos)["splits"][0].clone();
    assert_eq!((&split["duplicates"], &split["sizes"]), (&json!(1), &json!(2)));
    let picture = tmp.path("grid.png");
    let out = run(&["data", "inspect", &photos, "--picture", &picture]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_says(&text(&out.stdout), &["2 sizes from 3 x 3 to 10 x 12", "give --size N"]);
    assert!(matches!(image::open(picture).unwrap(), DynamicImage::ImageRgb8(_)));

    put(&tmp, "photos/left/zz.png", b"broken");
    let out = run(&["data", "inspect", &photos]);
    assert_eq!(out.status.code(), Some(1));
    assert_says(&text(&out.stderr), &["left/zz.png", "not a readable PNG or JPEG"]);
    assert_says(&text(&out.stdout), &["readable      no", "7 RGB pictures"]);
}
