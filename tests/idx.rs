//! IDX files good and bad, MNIST itself, and the loader over them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use ganvil::Error;
use ganvil::data::{Dataset, Images, Loader, Position, Split, from_unit, read_images, read_labels};
use ganvil::rng::{Key, Philox, Stream};
use rand::RngExt;

/// A folder of its own, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ganvil-idx-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Folder(dir)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn idx(magic: u32, dims: &[u32], values: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(dims);
    words.flat_map(|w| w.to_be_bytes()).chain(values.iter().copied()).collect()
}

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Five pictures of 3 x 4, no two pixels alike.
fn sample() -> Images {
    Images { count: 5, channels: 1, rows: 3, cols: 4, pixels: (0..60).map(|i| i * 4).collect() }
}

fn sample_bytes() -> Vec<u8> {
    idx(IMAGES, &[5, 3, 4], &sample().pixels)
}

fn mnist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")
}

/// The message of the error that reading these bytes as images gives, raw; it must name the file.
fn images_error(bytes: &[u8]) -> String {
    let folder = Folder::new();
    let path = folder.file("bad-images", bytes);
    let error = read_images(&path).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&*path.to_string_lossy()), "{text}");
    text
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
}

#[test]
fn raw_and_gzip_files_are_told_by_content() {
    let folder = Folder::new();
    let raw = sample_bytes();
    // Names that say the opposite of what is inside.
    assert_eq!(read_images(folder.file("a.gz", &raw)).unwrap(), sample());
    assert_eq!(read_images(folder.file("b", &gzip(&raw))).unwrap(), sample());
    // Several gzip members are one stream.
    let (first, second) = raw.split_at(30);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(read_images(folder.file("c", &members)).unwrap(), sample());

    let labels = [7, 0, 255, 3];
    let raw = idx(LABELS, &[4], &labels);
    assert_eq!(read_labels(folder.file("d", &raw)).unwrap(), labels);
    assert_eq!(read_labels(folder.file("e", &gzip(&raw))).unwrap(), labels);
}

#[test]
fn a_wrong_magic_says_what_it_found_and_what_it_wants() {
    let png = images_error(b"\x89PNG\r\n\x1a\n and so on, long enough");
    assert_says(&png, &["0x89504e47", "0x00000803", "no IDX file"]);
    let floats = images_error(&idx(0x0d03, &[1, 1, 1], &[0; 4]));
    assert_says(&floats, &["element type 0x0d", "32-bit float", "0x08 (unsigned byte)", "convert"]);
    let unknown = images_error(&idx(0x0503, &[1, 1, 1], &[0]));
    assert_says(&unknown, &["element type 0x05", "unknown"]);
    let labels = images_error(&idx(LABELS, &[12], &[0; 12]));
    assert_says(&labels, &["rank 1", "labels", "0x00000801", "rank 3", "give the file of images"]);
    let rank = images_error(&idx(0x0804, &[1, 1, 1, 1], &[0]));
    assert_says(&rank, &["rank 4", "rank 3"]);

    let folder = Folder::new();
    let text = read_labels(folder.file("images", &sample_bytes())).unwrap_err().to_string();
    assert_says(&text, &["rank 3, as in a file of images", "0x00000801", "give the file of labels"]);
}

#[test]
fn truncation_says_how_many_bytes_there_are_and_should_be() {
    assert_says(&images_error(b""), &["truncated header", "expected 16 bytes, found 0"]);
    let whole = sample_bytes();
    assert_says(&images_error(&whole[..3]), &["truncated header", "expected 16 bytes, found 3"]);
    assert_says(&images_error(&whole[..15]), &["truncated header", "expected 16 bytes, found 15"]);
    assert_says(
        &images_error(&whole[..16]),
        &["truncated images", "5 x 3 x 4 = 60 bytes", "found 0", "again"],
    );
    assert_says(&images_error(&whole[..75]), &["truncated images", "5 x 3 x 4 = 60 bytes", "found 59"]);
    // A sound gzip stream of too little.
    assert_says(&images_error(&gzip(&whole[..75])), &["truncated images", "= 60 bytes", "found 59"]);
    assert_says(&images_error(&gzip(&whole[..15])), &["truncated header", "expected 16 bytes, found 15"]);
}

#[test]
fn trailing_bytes_are_refused() {
    let mut long = sample_bytes();
    long.extend([1, 2, 3]);
    assert_says(&images_error(&long), &["trailing bytes", "5 x 3 x 4 = 60 bytes", "found 63"]);
    assert_says(&images_error(&gzip(&long)), &["trailing bytes", "= 60 bytes", "found at least 61"]);
    let mut after = gzip(&sample_bytes());
    after.extend(b"junk after the stream");
    assert_says(&images_error(&after), &["gzip stream", "again"]);
}

#[test]
fn claims_that_the_file_cannot_hold_are_refused_unallocated() {
    let max = u32::MAX;
    // 2^96 bytes do not fit 64 bits; 2^64 - 2^33 + 1 fit those but no address space.
    for dims in [[max, max, max], [max, max, 1]] {
        let text = images_error(&idx(IMAGES, &dims, &[0; 8]));
        assert_says(&text, &["impossible size", "4294967295 x 4294967295", "the file has 24"]);
        assert_says(&images_error(&gzip(&idx(IMAGES, &dims, &[0; 8]))), &["impossible size"]);
    }
    // Far more than this machine's memory: an allocation would fail, and the message be another.
    let dims = [max, 1024, 64];
    assert_says(
        &images_error(&idx(IMAGES, &dims, &[0; 8])),
        &["truncated images", "281474976645120", "found 8"],
    );
    let text = images_error(&gzip(&idx(IMAGES, &dims, &[0; 8])));
    assert_says(&text, &["impossible size", "281474976645120", "more than a gzip stream of"]);
    // A ratio that gzip could reach, but this stream does not.
    let text = images_error(&gzip(&idx(IMAGES, &[20, 28, 28], &[0; 8])));
    assert_says(&text, &["truncated images", "15680", "found 8"]);
}

#[test]
fn the_most_compressible_file_is_accepted() {
    let folder = Folder::new();
    let zeros = vec![0; 4000 * 28 * 28];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&idx(IMAGES, &[4000, 28, 28], &zeros)).unwrap();
    let images = read_images(folder.file("zeros", &encoder.finish().unwrap())).unwrap();
    assert_eq!((images.count, images.pixels), (4000, zeros));
}

#[test]
fn empty_sets_are_refused() {
    assert_says(&images_error(&idx(IMAGES, &[0, 28, 28], &[])), &["0 images", "0 x 28 x 28", "at least 1"]);
    assert_says(&images_error(&idx(IMAGES, &[3, 0, 28], &[])), &["0 rows"]);
    assert_says(&images_error(&gzip(&idx(IMAGES, &[3, 28, 0], &[]))), &["0 columns"]);
    let folder = Folder::new();
    let text = read_labels(folder.file("none", &idx(LABELS, &[0], &[]))).unwrap_err().to_string();
    assert_says(&text, &["0 labels", "at least 1"]);
}

#[test]
fn damaged_gzip_streams_are_refused() {
    let whole = gzip(&sample_bytes());
    assert_says(&images_error(&whole[..whole.len() - 9]), &["gzip stream", "get the file again"]);
    assert_says(&images_error(&whole[..5]), &["gzip stream"]);
    // A wrong checksum is noticed although every byte was decoded.
    let mut checksum = whole.clone();
    let at = checksum.len() - 6;
    checksum[at] ^= 0x40;
    assert_says(&images_error(&checksum), &["gzip stream"]);
}

#[test]
fn folders_and_missing_files_are_named() {
    let folder = Folder::new();
    let text = read_images(&folder.0).unwrap_err().to_string();
    assert_says(&text, &["not a regular file", &folder.0.to_string_lossy()]);
    let missing = folder.0.join("missing");
    let error = read_images(&missing).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_says(&error.to_string(), &["cannot read", &missing.to_string_lossy()]);
}

/// Mutated files are refused with an error or read as something whole; nothing panics or allocates wildly.
#[test]
fn random_damage_never_panics() {
    let folder = Folder::new();
    let mut rng = Philox::new(Key::new(11, Stream::General), 0);
    let (mut read, mut refused) = (0, 0);
    for whole in [sample_bytes(), gzip(&sample_bytes())] {
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                match rng.random_range(0..4) {
                    0 => bytes.truncate(rng.random_range(0..=bytes.len())),
                    1 => bytes.insert(rng.random_range(0..=bytes.len()), rng.random()),
                    // The header is where it hurts.
                    2 if !bytes.is_empty() => {
                        let at = rng.random_range(0..bytes.len().min(16));
                        bytes[at] = rng.random();
                    }
                    _ if !bytes.is_empty() => {
                        let at = rng.random_range(0..bytes.len());
                        bytes[at] ^= 1 << rng.random_range(0..8);
                    }
                    _ => {}
                }
            }
            // A name of its own: overwriting has some file systems wait for the disk each time.
            let path = folder.file(&format!("mutant-{}", read + refused), &bytes);
            match read_images(&path) {
                Ok(images) => {
                    assert_eq!(images.pixels.len(), images.count * images.area());
                    read += 1;
                }
                Err(Error::Format { .. }) => refused += 1,
                Err(other) => panic!("{other:?} for {bytes:?}"),
            }
            read_labels(&path).unwrap_err();
        }
    }
    // Flipped pixels are still a valid file, so both outcomes must have occurred.
    assert!(read > 100 && refused > 2000, "{read} read, {refused} refused");
}

#[test]
fn mnist_is_what_it_should_be() {
    let train = Dataset::load(mnist(), Split::Train).unwrap();
    let test = Dataset::load(mnist(), Split::Test).unwrap();
    for (set, count) in [(&train, 60000), (&test, 10000)] {
        assert_eq!((set.images.count, set.images.rows, set.images.cols), (count, 28, 28));
        assert_eq!(set.labels.as_ref().unwrap().len(), count);
        assert_eq!((set.shape(), set.images.pixels.len()), ([1, 28, 28], count * 784));
        assert_eq!((set.name.as_str(), set.classes.concat().as_str()), ("mnist", "0123456789"));
    }
    let mut histogram = [0; 10];
    let labels = train.labels.unwrap();
    for &label in &labels {
        histogram[label as usize] += 1;
    }
    assert_eq!(histogram, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(labels[..5], [5, 0, 4, 1, 9]);
    // A five: background in the corners, ink in the middle.
    assert_eq!((train.images.image(0)[0], train.images.image(0)[8 * 28 + 13]), (0, 253));
}

#[test]
fn a_data_set_is_found_under_every_usual_name() {
    let labels = idx(LABELS, &[5], &[1, 2, 3, 4, 5]);
    for (images_name, labels_name) in [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte.gz"),
    ] {
        let folder = Folder::new();
        folder.file(images_name, &sample_bytes());
        folder.file(labels_name, &labels);
        let set = Dataset::load(&folder.0, Split::Train).unwrap();
        assert_eq!((set.images, set.labels), (sample(), Some(vec![1, 2, 3, 4, 5])));
        assert_eq!(set.classes, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(set.name, folder.0.file_name().unwrap().to_string_lossy());

        let error = Dataset::load(&folder.0, Split::Test).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
        assert_says(
            &error.to_string(),
            &["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz", "yann.lecun.com"],
        );
    }
    let folder = Folder::new();
    folder.file("t10k-images-idx3-ubyte", &sample_bytes());
    let set = Dataset::load(&folder.0, Split::Test).unwrap();
    assert_eq!((set.images, set.labels, set.classes), (sample(), None, vec![]));
}

#[test]
fn images_and_labels_must_agree_in_number() {
    let folder = Folder::new();
    let images = folder.file("t10k-images-idx3-ubyte", &sample_bytes());
    let labels = folder.file("t10k-labels-idx1-ubyte", &idx(LABELS, &[4], &[1, 2, 3, 4]));
    let text = Dataset::load(&folder.0, Split::Test).unwrap_err().to_string();
    assert_says(&text, &["4 labels", "5 images", &images.to_string_lossy(), &labels.to_string_lossy()]);
}

fn small() -> Arc<Dataset> {
    Arc::new(Dataset { images: sample(), labels: None, classes: vec![], name: "small".into() })
}

#[test]
fn batches_hold_the_pictures_they_say() {
    let data = small();
    let mut loader = Loader::new(data.clone(), 2, 5).unwrap();
    assert_eq!((loader.batch(), loader.batches(), loader.len_of_batch()), (2, 2, 24));
    let mut out = vec![f32::NAN; 24];
    for _ in 0..6 {
        let indices = loader.next_batch(&mut out).to_vec();
        assert_ne!(indices[0], indices[1]);
        for (&i, picture) in indices.iter().zip(out.chunks_exact(12)) {
            let want: Vec<f32> =
                data.images.image(i as usize).iter().map(|&v| v as f32 / 127.5 - 1.0).collect();
            assert_eq!(picture, want);
            assert!(picture.iter().zip(data.images.image(i as usize)).all(|(&x, &v)| from_unit(x) == v));
        }
    }
    assert_eq!(loader.position(), Position { epoch: 2, index: 4 });
    assert!(Loader::new(data, 6, 5).unwrap_err().to_string().contains("batch size '6'"));
}

#[test]
fn a_restored_loader_goes_on_where_the_other_stopped() {
    let mut original = Loader::new(small(), 2, 5).unwrap();
    let (mut a, mut b) = (vec![0.0; 24], vec![0.0; 24]);
    for _ in 0..3 {
        original.next_batch(&mut a);
    }
    let saved = serde_json::to_string(&original.position()).unwrap();
    let mut restored = Loader::new(small(), 2, 5).unwrap();
    restored.seek(serde_json::from_str(&saved).unwrap()).unwrap();
    for _ in 0..7 {
        assert_eq!(original.next_batch(&mut a), restored.next_batch(&mut b));
        assert_eq!(a, b);
    }
}

#[test]
#[should_panic(expected = "buffer of 23 floats; 2 x 1 x 3 x 4 need 24")]
fn a_buffer_of_the_wrong_size_is_misuse() {
    Loader::new(small(), 2, 5).unwrap().next_batch(&mut [0.0; 23]);
}
