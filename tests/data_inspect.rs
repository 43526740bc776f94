//! `ganvil data inspect`: what it says about good data, damaged data and distributions.

use common::{Scratch, fails, run, text};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

mod common;

fn idx(magic: u32, dims: &[u32], values: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(dims);
    words.flat_map(|w| w.to_be_bytes()).chain(values.iter().copied()).collect()
}

fn images(n: u32) -> Vec<u8> {
    idx(0x0803, &[n, 2, 3], &(0..n * 6).map(|i| (i * 7) as u8).collect::<Vec<_>>())
}

fn labels(n: u32) -> Vec<u8> {
    idx(0x0801, &[n], &(0..n).map(|i| (i % 3) as u8).collect::<Vec<_>>())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

fn write(scratch: &Scratch, name: &str, bytes: &[u8]) -> String {
    let path = scratch.path(name);
    std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The report of data that can be used.
fn report(path: &str) -> (String, Value) {
    let [plain, json] = [&["data", "inspect", path][..], &["data", "inspect", path, "--json"]].map(|args| {
        let out = run(args);
        assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
        text(&out.stdout)
    });
    assert_eq!(json.lines().count(), 1);
    (plain, serde_json::from_str(&json).unwrap())
}

/// stderr and the JSON report of data that can not.
fn damaged(path: &str) -> (String, Value) {
    let plain = run(&["data", "inspect", path]);
    assert!(text(&plain.stdout).contains("readable      no"), "{}", text(&plain.stdout));
    let out = run(&["data", "inspect", path, "--json"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(out.stderr, plain.stderr);
    (text(&out.stderr), serde_json::from_str(&text(&out.stdout)).unwrap())
}

fn assert_says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|p| assert!(text.contains(p), "no '{p}' in: {text}"));
}

#[test]
fn mnist_is_what_it_is_known_to_be() {
    let (plain, json) = report("data/mnist");
    assert_eq!(
        (&json["kind"], &json["readable"], &json["problems"]),
        (&json!("folder"), &json!(true), &json!([]))
    );
    let files = json["files"].as_array().unwrap();
    assert_eq!(files.len(), 4);
    assert_eq!(files[0]["shape"], json!([60000, 28, 28]));
    // The figures everyone normalises MNIST with.
    assert!((files[0]["mean"].as_f64().unwrap() / 255.0 - 0.1307).abs() < 5e-5);
    assert!((files[0]["std"].as_f64().unwrap() / 255.0 - 0.3081).abs() < 5e-5);
    assert_eq!(
        (&files[0]["min"], &files[0]["max"], &files[0]["dtype"]),
        (&json!(0), &json!(255), &json!("u8"))
    );
    let classes = json!({"0": 980, "1": 1135, "2": 1032, "3": 1010, "4": 982, "5": 892, "6": 958, "7": 1028,
        "8": 974, "9": 1009});
    assert_eq!(files[3]["classes"], classes);
    for file in files {
        // A gzip stream ends in the CRC-32 and the length of what it was made from, low byte first.
        let bytes = std::fs::read(file["path"].as_str().unwrap()).unwrap();
        let crc = bytes[bytes.len() - 8..].first_chunk().map(|b| u32::from_le_bytes(*b)).unwrap();
        assert_eq!(file["crc32"], json!(format!("{crc:08x}")));
        assert_eq!((&file["bytes"], &file["gzip"]), (&json!(bytes.len()), &json!(true)));
    }
    assert_says(
        &plain,
        &["60000 images of 28 x 28, u8", "10000 labels, u8", "0.1307 of 255", "980 (9.80 %)"],
    );
}

#[test]
fn a_file_is_told_by_its_contents() {
    let tmp = Scratch::new("inspect-file");
    let mut pixels: Vec<u8> = (0..18).collect();
    pixels.extend_from_within(6..12); // the fourth picture is the second again
    let raw = idx(0x0803, &[4, 2, 3], &pixels);
    let (plain, json) = report(&write(&tmp, "pictures", &raw));
    assert_eq!(
        (&json["kind"], &json["holds"], &json["gzip"]),
        (&json!("file"), &json!("images"), &json!(false))
    );
    assert_eq!((&json["shape"], &json["duplicates"]), (&json!([4, 2, 3]), &json!(1)));
    let mean = pixels.iter().map(|&v| v as f64).sum::<f64>() / 24.0;
    let variance = pixels.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / 24.0;
    assert!((json["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!((json["std"].as_f64().unwrap() - variance.sqrt()).abs() < 1e-12);
    assert_eq!((&json["min"], &json["max"]), (&json!(0), &json!(17)));
    assert_says(&plain, &["4 images of 2 x 3, u8", "0 to 17", "duplicates    1"]);

    let (_, zipped) = report(&write(&tmp, "pictures.gz", &gzip(&raw)));
    assert_eq!(zipped["gzip"], json!(true));
    assert_eq!(zipped["crc32"], json["crc32"], "compression does not change what is in the file");

    let (_, json) = report(&write(&tmp, "classes", &labels(7)));
    assert_eq!((&json["holds"], &json["shape"]), (&json!("labels"), &json!([7])));
    assert_eq!(json["classes"], json!({"0": 3, "1": 2, "2": 2}));
    assert_eq!((&json["min"], &json["max"]), (&json!(0), &json!(2)));
}

#[test]
fn damage_is_reported_and_exits_with_1() {
    let tmp = Scratch::new("inspect-damage");
    let whole = images(5);
    let zipped = gzip(&whole);
    let cases: [(&str, &[u8], &[&str]); 8] = [
        ("short", &whole[..whole.len() - 1], &["truncated images", "5 x 2 x 3 = 30", "found 29"]),
        ("header", &whole[..9], &["truncated header", "16 bytes, found 9"]),
        ("long", &[&whole[..], &[0]].concat(), &["trailing bytes", "found 31"]),
        ("cut.gz", &zipped[..zipped.len() - 9], &["corrupt or cut-off gzip stream"]),
        ("picture.png", b"\x89PNG\r\n\x1a\n", &["begins with 0x89504e47", "0x00000803", "0x00000801"]),
        ("empty", b"", &["is empty", "0x00000803 (IDX images)", "0x00000801 (IDX labels)"]),
        ("floats", &idx(0x0d03, &[1, 1, 1], &[0; 4]), &["32-bit float", "0x08 (unsigned byte)"]),
        ("rank2", &idx(0x0802, &[1, 1], &[0]), &["begins with 0x00000802", "0x00000803"]),
    ];
    for (name, bytes, words) in cases {
        let path = write(&tmp, name, bytes);
        let (err, json) = damaged(&path);
        assert_says(&err, words);
        assert_says(&err, &[&path]);
        assert_eq!((&json["kind"], &json["readable"]), (&json!("file"), &json!(false)), "{name}");
        assert_says(json["problem"].as_str().unwrap(), words);
        assert_eq!(json["bytes"], json!(bytes.len()));
        assert!(json.get("shape").is_none(), "{name}");
    }
}

#[test]
fn a_folder_must_be_whole() {
    let tmp = Scratch::new("inspect-folder");
    let file = |name: &str, bytes: &[u8]| write(&tmp, name, bytes);
    file("good/train-images-idx3-ubyte", &images(5));
    file("good/train-labels-idx1-ubyte.gz", &gzip(&labels(5)));
    let (plain, json) = report(&tmp.path("good"));
    assert_eq!(json["files"].as_array().unwrap().len(), 2, "a split that is not there is no damage");
    assert_says(&plain, &["5 images of 2 x 3", "5 labels"]);

    file("odd/train-images-idx3-ubyte", &images(5));
    file("odd/train-labels-idx1-ubyte", &labels(4));
    let (err, json) = damaged(&tmp.path("odd"));
    assert_says(&err, &["4 labels, but", "train-images-idx3-ubyte has 5 images", "train-labels-idx1-ubyte"]);
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
    // Training refuses it for the same reason.
    assert_says(&fails(&["train", "--steps", "1", "--data", &tmp.path("odd")]).1, &["4 labels, but"]);

    file("half/t10k-images-idx3-ubyte", &images(5));
    let (_, json) = report(&tmp.path("half"));
    assert_eq!(json["files"].as_array().unwrap().len(), 1, "images without labels are no damage");
    file("other-half/t10k-labels-idx1-ubyte", &labels(5));
    let (err, json) = damaged(&tmp.path("other-half"));
    assert_says(&err, &["no t10k-images-idx3-ubyte in the folder"]);
    assert_eq!(json["files"][0]["readable"], json!(true));

    file("worse/train-images-idx3-ubyte", &images(5)[..40]);
    file("worse/train-labels-idx1-ubyte", &labels(5));
    file("worse/t10k-labels-idx1-ubyte", b"what?");
    let (err, json) = damaged(&tmp.path("worse"));
    assert_says(&err, &["truncated images", "begins with 0x77686174", "no t10k-images-idx3-ubyte"]);
    let readable: Vec<_> = json["files"].as_array().unwrap().iter().map(|f| f["readable"].clone()).collect();
    assert_eq!(readable, [json!(false), json!(true), json!(false)]);
    assert_eq!(json["problems"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_not_there_is_an_error() {
    let tmp = Scratch::new("inspect-missing");
    let (code, err) = fails(&["data", "inspect", &tmp.path("nowhere")]);
    assert_eq!(code, 1);
    assert_says(&err, &["no data found", "nowhere", "IDX file", "ring8, grid25, swiss-roll, two-moons"]);
    let (_, err) = fails(&["data", "inspect", "swissroll", "--json"]);
    assert_says(&err, &["did you mean 'swiss-roll'?"]);
    let (code, err) = fails(&["data", "inspect", &tmp.path("")]);
    assert_eq!(code, 1);
    assert_says(&err, &["no images found", "The folder is empty", "yann.lecun.com"]);
    assert_eq!(fails(&["data", "inspect"]).0, 2);
}

#[test]
fn distributions_are_described_with_their_modes() {
    for (name, modes) in
        [("ring8", 8), ("grid25", 25), ("imbalanced-ring", 8), ("swiss-roll", 0), ("two-moons", 0)]
    {
        let (plain, json) = report(name);
        assert_eq!((&json["kind"], &json["name"]), (&json!("distribution"), &json!(name)));
        assert_eq!((&json["dtype"], &json["shape"]), (&json!("f32"), &json!([10000, 2])));
        let centres = json["modes"]["centres"].as_array().map_or(0, Vec::len);
        assert_eq!(centres, modes, "{name}");
        assert_eq!(plain.matches("mode ").count(), modes, "{plain}");
        if modes > 0 {
            let counts = json["modes"]["counts"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap());
            assert_eq!(counts.sum::<u64>(), 10_000);
        }
    }
    let (plain, json) = report("ring8");
    assert_says(&plain, &["8 Gaussians, sigma 0.01", "12.50 % expected", "10000 points of seed 0"]);
    // Mean 0 and variance 1/2 + sigma^2 on each axis; the fourth moment of a cosine is 3/8.
    let (mean, std) = (json["mean"][0].as_f64().unwrap(), json["std"][1].as_f64().unwrap());
    assert!(mean.abs() < 5.0 * (0.5f64 / 1e4).sqrt(), "{mean}");
    assert!((std * std - 0.5001).abs() < 5.0 * ((3.0 / 8.0 - 0.25) / 1e4f64).sqrt(), "{std}");
}

#[test]
fn pictures_show_images_and_points() {
    let tmp = Scratch::new("inspect-picture");
    let folder =
        Path::new(&write(&tmp, "d/train-images-idx3-ubyte", &images(70))).parent().unwrap().to_owned();
    write(&tmp, "d/train-labels-idx1-ubyte", &labels(70));
    let size = |path: &str, picture: &str| {
        let picture = tmp.path(picture);
        let out = run(&["data", "inspect", path, "--picture", &picture]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        image::open(picture).unwrap().into_rgb8().dimensions()
    };
    // 8 x 8 pictures of 2 x 3 at twice their size, lines of 2.
    assert_eq!(size(folder.to_str().unwrap(), "grid.png"), (8 * (6 + 2) + 2, 8 * (4 + 2) + 2));
    assert_eq!(size("swiss-roll", "roll.PNG"), (1280, 1376));

    let labels = folder.join("train-labels-idx1-ubyte");
    let out = run(&["data", "inspect", labels.to_str().unwrap(), "--picture", &tmp.path("no.png")]);
    assert_eq!(out.status.code(), Some(2));
    assert_says(&text(&out.stderr), &["--picture", "no readable images"]);
    assert!(!Path::new(&tmp.path("no.png")).exists());
    let empty = write(&tmp, "empty", &images(0));
    let out = run(&["data", "inspect", &empty, "--picture", &tmp.path("no.png")]);
    assert_eq!(out.status.code(), Some(1), "that the data is damaged comes first");
    assert_says(&text(&out.stderr), &["empty", "0 images"]);
    let (code, err) = fails(&["data", "inspect", "ring8", "--picture", &tmp.path("ring.jpg")]);
    assert_eq!(code, 2);
    assert_says(&err, &["invalid --picture", "ends in .png"]);
}

#[test]
fn help_shows_examples_and_every_name() {
    let help = text(&run(&["data", "inspect", "--help"]).stdout);
    assert_says(&help, &["ganvil data inspect data/mnist", "--json", "--picture"]);
    ganvil::data::Synthetic::ALL.iter().for_each(|s| assert_says(&help, &[s.name()]));
}
