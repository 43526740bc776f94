//! The frames of a TFRecord file: length (u64), its checksum (u32), the data, its checksum (u32), little-endian.

use std::path::Path;

use crate::{Error, Result};

/// The polynomial of CRC-32C (Castagnoli), bits reversed (RFC 3720, appendix B.4).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte does to the checksum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &b| TABLE[usize::from(crc as u8 ^ b)] ^ (crc >> 8))
}

/// A checksum as it stands in the file: turned and moved, so that data that hold checksums are checked as well as others.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Length and its checksum.
const HEAD: usize = 12;
/// The data's checksum.
const TAIL: usize = 4;

/// The record of some data.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(HEAD + data.len() + TAIL);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// A record of a file in memory.
pub(super) struct Record<'a> {
    /// Where it begins.
    pub offset: usize,
    /// All of it, frame included.
    pub whole: &'a [u8],
    pub data: &'a [u8],
}

/// The records of a file. A last one that a crash cut off is left out.
///
/// # Errors
/// [`Error::Format`], naming the first byte of the record, if a checksum is wrong.
pub(super) fn records<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<Record<'a>>> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((head, behind)) = rest.split_at_checked(HEAD) {
        let offset = bytes.len() - rest.len();
        let (length, sum) = head.split_at(8);
        check(path, offset, "length", length, sum)?;
        // A length that is more than there is, be it more than memory, is a record cut off.
        let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
        let parts = usize::try_from(length).ok().and_then(|n| behind.split_at_checked(n));
        let Some((data, behind)) = parts else { break };
        let Some((sum, behind)) = behind.split_at_checked(TAIL) else { break };
        check(path, offset, "data", data, sum)?;
        records.push(Record { offset, whole: &rest[..rest.len() - behind.len()], data });
        rest = behind;
    }
    Ok(records)
}

fn check(path: &Path, offset: usize, what: &str, bytes: &[u8], sum: &[u8]) -> Result<()> {
    let sum = u32::from_le_bytes(sum.try_into().expect("4 bytes"));
    let computed = masked(bytes);
    if sum == computed {
        return Ok(());
    }
    let problem = format!("its {what} has the checksum {sum:08x}, not {computed:08x}");
    Err(damaged(path, offset, &problem))
}

pub(super) fn damaged(path: &Path, offset: usize, problem: &str) -> Error {
    let remedy = "move the file away, and a new one is begun";
    Error::format(path, format!("the event at byte {offset} is damaged ({problem}); {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3720, appendix B.4, and the check value that catalogues of checksums give.
    #[test]
    fn checksums_are_the_standards() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(crc32c(&(0..32).rev().collect::<Vec<u8>>()), 0x113f_db5c);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn a_frame_comes_back_and_a_length_beyond_the_file_is_no_allocation() {
        let path = Path::new("e");
        let two = [frame(b""), frame(b"abc")].concat();
        let back = records(path, &two).unwrap();
        assert_eq!(
            back.iter().map(|r| (r.offset, r.data)).collect::<Vec<_>>(),
            [(0, &b""[..]), (16, b"abc")]
        );
        assert_eq!(back[1].whole, &two[16..]);
        for length in [4, u64::MAX / 2, u64::MAX] {
            let length = length.to_le_bytes();
            let claims = [&two[..], &length, &masked(&length).to_le_bytes(), b"abc"].concat();
            assert_eq!(records(path, &claims).unwrap().len(), 2);
        }
    }
}
