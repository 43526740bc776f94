//! IDX files, the format of MNIST: <http://yann.lecun.com/exdb/mnist/>.
//!
//! A file is a header of big-endian 32-bit words and then the values, last dimension fastest. The first word,
//! the magic, has two zero bytes, the element type (8 for unsigned bytes) and the rank; one word per dimension
//! follows. Images are rank 3 (`0x00000803`: count, rows, columns), labels rank 1 (`0x00000801`: count).
//!
//! Files may be gzip streams, which the first two bytes tell, whatever the name. Nothing a file claims is
//! believed: no size is used before it has been checked against what the file can hold.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// Pictures of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Number of pictures.
    pub count: usize,
    /// 1 for grey, as IDX files have them, 3 for red, green and blue.
    pub channels: usize,
    /// Height of each, in pixels.
    pub rows: usize,
    /// Width of each, in pixels.
    pub cols: usize,
    /// `count * channels * rows * cols` bytes: picture by picture, in each one channel after the other, row by row. In
    /// IDX files 0 is the background and 255 is ink.
    pub pixels: Vec<u8>,
}

impl Images {
    /// Bytes of one picture, `channels * rows * cols`.
    pub fn area(&self) -> usize {
        self.channels * self.rows * self.cols
    }

    /// `[channels, rows, cols]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.rows, self.cols]
    }

    /// The pixels of picture `i`. Panics if there is none.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.area()..][..self.area()]
    }
}

/// Reads an `idx3-ubyte` file, raw or gzip: `(count, rows, cols)` unsigned bytes.
///
/// Fails with [`Error::Io`] where the system refuses and with [`Error::Format`], which names the value found, the
/// one expected and the remedy, where the file is not exactly what it should be; an empty set is refused too.
pub fn read_images(path: impl AsRef<Path>) -> Result<Images> {
    let ([count, rows, cols], pixels) = read(path.as_ref(), &IMAGES)?;
    Ok(Images { count, channels: 1, rows, cols, pixels })
}

/// Reads an `idx1-ubyte` file, raw or gzip: one unsigned byte per picture. Fails as [`read_images`] does.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let ([_], labels) = read(path.as_ref(), &LABELS)?;
    Ok(labels)
}

/// What an IDX file turned out to hold; see [`read_idx`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdxFile {
    /// `idx3-ubyte`.
    Images(Images),
    /// `idx1-ubyte`.
    Labels(Vec<u8>),
}

/// Reads an IDX file of either kind, raw or gzip. Fails as [`read_images`] does; a file that is neither is told what
/// either would begin with.
///
/// ```
/// use ganvil::data::{IdxFile, read_idx};
///
/// let path = std::env::temp_dir().join(format!("ganvil-three-labels-{}", std::process::id()));
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]).unwrap();
/// assert_eq!(read_idx(&path)?, IdxFile::Labels(vec![7, 2, 1]));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
pub fn read_idx(path: impl AsRef<Path>) -> Result<IdxFile> {
    let (source, mut bytes) = open(path.as_ref(), "images or labels")?;
    let mut magic = Vec::new();
    source.fill(&mut bytes, 4, &mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(bytes);
    match magic[..] {
        [0, 0, _, 1] => Ok(IdxFile::Labels(source.parse(whole, &LABELS)?.1)),
        [0, 0, _, 3] => {
            let ([count, rows, cols], pixels) = source.parse(whole, &IMAGES)?;
            Ok(IdxFile::Images(Images { count, channels: 1, rows, cols, pixels }))
        }
        _ => {
            let begins: String = magic.iter().map(|b| format!("{b:02x}")).collect();
            let begins =
                if begins.is_empty() { "is empty".into() } else { format!("begins with 0x{begins}") };
            Err(source.bad(format!(
                "{begins}, expected 0x00000803 (IDX images) or 0x00000801 (IDX labels), raw or gzip; give such a file"
            )))
        }
    }
}

/// What a file must be.
struct Kind<const RANK: usize> {
    name: &'static str,
    dims: [&'static str; RANK],
}

const IMAGES: Kind<3> = Kind { name: "images", dims: ["images", "rows", "columns"] };
const LABELS: Kind<1> = Kind { name: "labels", dims: ["labels"] };

/// The element type code of unsigned bytes.
const UBYTE: u8 = 8;

/// No deflate stream expands more: a back-reference of 258 bytes takes two bits at the least.
const MAX_GZIP_RATIO: u64 = 1032;

/// What is reserved before the first byte of a gzip stream has been decoded; MNIST's 47 MB fit.
const GZIP_RESERVE: u64 = 64 << 20;

const AGAIN: &str = "get the file again";

fn read<const RANK: usize>(path: &Path, kind: &Kind<RANK>) -> Result<([usize; RANK], Vec<u8>)> {
    let (source, bytes) = open(path, kind.name)?;
    source.parse(bytes, kind)
}

/// The bytes of a file as they were before compression; `name` says what it should hold.
fn open<'a>(path: &'a Path, name: &str) -> Result<(Source<'a>, Box<dyn Read>)> {
    // Asked before opening: opening a named pipe would wait for its writer.
    let meta = fs::metadata(path).map_err(Error::io("read", path))?;
    if !meta.is_file() {
        return Err(Error::format(path, format!("not a regular file; name an IDX file of {name}")));
    }
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let gzip = file.fill_buf().map_err(Error::io("read", path))?.starts_with(&[0x1f, 0x8b]);
    let bytes: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok((Source { path, gzip, stored: meta.len() }, bytes))
}

/// Where the bytes come from, for limits and messages.
struct Source<'a> {
    path: &'a Path,
    gzip: bool,
    /// Length of the file as it lies on the disk.
    stored: u64,
}

impl Source<'_> {
    fn parse<const RANK: usize>(
        &self,
        mut bytes: impl Read,
        kind: &Kind<RANK>,
    ) -> Result<([usize; RANK], Vec<u8>)> {
        let header = 4 + 4 * RANK;
        let mut head = Vec::with_capacity(header);
        self.fill(&mut bytes, header as u64, &mut head)?;
        self.check_magic(&head, kind)?;
        if head.len() < header {
            let found = head.len();
            return Err(
                self.bad(format!("truncated header: expected {header} bytes, found {found}; {AGAIN}"))
            );
        }
        let dims: [u32; RANK] =
            std::array::from_fn(|i| u32::from_be_bytes(head[4 + 4 * i..][..4].try_into().unwrap()));
        let expected = self.check_dims(dims, header as u64, kind)?;

        let mut values = Vec::new();
        let reserve = if self.gzip { expected.min(GZIP_RESERVE) } else { expected };
        let refused = |_| Error::io("read", self.path)(io::Error::from(ErrorKind::OutOfMemory));
        values.try_reserve_exact(reserve as usize).map_err(refused)?;
        self.fill(&mut bytes, expected, &mut values)?;
        let found = values.len() as u64;
        if found < expected {
            return Err(self.bad(self.truncated(dims, expected, found, kind)));
        }
        // Reading past the end also has gzip compare its checksum.
        let mut rest = Vec::new();
        self.fill(&mut bytes, 1, &mut rest)?;
        if !rest.is_empty() {
            return Err(self.bad(self.trailing(dims, expected, None)));
        }
        Ok((dims.map(|d| d as usize), values))
    }

    /// Appends up to `count` bytes, fewer only at the end of the data. The buffer grows with what is really read.
    fn fill(&self, bytes: &mut impl Read, count: u64, out: &mut Vec<u8>) -> Result<()> {
        let mut read = || bytes.by_ref().take(count).read_to_end(out);
        read().map(drop).map_err(|e| match e.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof if self.gzip => {
                let done = out.len();
                self.bad(format!(
                    "corrupt or cut-off gzip stream ({e}) after {done} bytes of this part; {AGAIN}"
                ))
            }
            _ => Error::io("read", self.path)(e),
        })
    }

    fn check_magic<const RANK: usize>(&self, head: &[u8], kind: &Kind<RANK>) -> Result<()> {
        let name = kind.name;
        let want = [0, 0, UBYTE, RANK as u8];
        let hex = |m: [u8; 4]| format!("0x{:08x}", u32::from_be_bytes(m));
        let Some(&magic) = head.first_chunk::<4>() else {
            let (all, found) = (4 + 4 * RANK, head.len());
            return Err(self.bad(format!("truncated header: expected {all} bytes, found {found}; {AGAIN}")));
        };
        let [zero0, zero1, element, rank] = magic;
        let expected = format!("expected {} ({name})", hex(want));
        let problem = if (zero0, zero1) != (0, 0) {
            format!("magic {}, {expected}; this is no IDX file, give one of {name}", hex(magic))
        } else if element != UBYTE {
            let found = element_name(element);
            format!(
                "element type 0x{element:02x} ({found}) in magic {}, {expected}: 0x08 (unsigned byte); \
                 convert the values to bytes",
                hex(magic)
            )
        } else if rank as usize != RANK {
            let is = match rank {
                1 => ", as in a file of labels",
                3 => ", as in a file of images",
                _ => "",
            };
            format!(
                "rank {rank}{is}, in magic {}, {expected}: rank {RANK}; give the file of {name}",
                hex(magic)
            )
        } else {
            return Ok(());
        };
        Err(self.bad(problem))
    }

    /// The number of values, once the dimensions are known to be sane and the file large enough to hold them.
    fn check_dims<const RANK: usize>(
        &self,
        dims: [u32; RANK],
        header: u64,
        kind: &Kind<RANK>,
    ) -> Result<u64> {
        if let Some(i) = dims.iter().position(|&d| d == 0) {
            return Err(self.bad(format!(
                "0 {} in the header ({}), expected at least 1; give a file that has some",
                kind.dims[i],
                shape(&dims)
            )));
        }
        let product = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
        let fits = |n: &u64| usize::try_from(*n).is_ok_and(|n| n <= isize::MAX as usize);
        let Some(expected) = product.filter(fits) else {
            return Err(self.bad(format!(
                "impossible size: the header claims {} bytes, the file has {}; {AGAIN}",
                shape(&dims),
                self.stored
            )));
        };
        if self.gzip {
            if expected / MAX_GZIP_RATIO > self.stored {
                return Err(self.bad(format!(
                    "impossible size: the header claims {} = {expected} bytes, \
                     more than a gzip stream of {} bytes can hold; {AGAIN}",
                    shape(&dims),
                    self.stored
                )));
            }
        } else {
            let found = self.stored.saturating_sub(header);
            if found < expected {
                return Err(self.bad(self.truncated(dims, expected, found, kind)));
            }
            if found > expected {
                return Err(self.bad(self.trailing(dims, expected, Some(found))));
            }
        }
        Ok(expected)
    }

    fn truncated<const RANK: usize>(
        &self,
        dims: [u32; RANK],
        expected: u64,
        found: u64,
        kind: &Kind<RANK>,
    ) -> String {
        let (shape, name) = (shape(&dims), kind.name);
        format!(
            "truncated {name}: expected {shape} = {expected} bytes after the header, found {found}; {AGAIN}"
        )
    }

    /// `found` is unknown in a gzip stream, which is not read further than the first byte too many.
    fn trailing<const RANK: usize>(&self, dims: [u32; RANK], expected: u64, found: Option<u64>) -> String {
        let shape = shape(&dims);
        let found = found.map_or(format!("at least {}", expected.saturating_add(1)), |n| n.to_string());
        format!(
            "trailing bytes: expected {shape} = {expected} bytes after the header, found {found}; {AGAIN}"
        )
    }

    fn bad(&self, problem: String) -> Error {
        Error::format(self.path, problem)
    }
}

/// `60000 x 28 x 28`.
fn shape(dims: &[u32]) -> String {
    dims.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ")
}

fn element_name(code: u8) -> &'static str {
    match code {
        0x09 => "signed byte",
        0x0b => "16-bit integer",
        0x0c => "32-bit integer",
        0x0d => "32-bit float",
        0x0e => "64-bit float",
        _ => "unknown",
    }
}
