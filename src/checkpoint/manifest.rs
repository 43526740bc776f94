//! What the checkpoints of a run should be: `manifest.json` beside them, with the size and SHA-256 of each.
//!
//! The manifest is written before the checkpoint that it lists. A kill between the two leaves an entry without a file,
//! which is nothing; the other order would leave a file that nothing vouches for.

use crate::atomic::{remove, rename, write_atomic};
use crate::sha256::sha256;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "manifest.json";

/// How the name of a checkpoint ends that was found damaged.
pub(crate) const DAMAGED: &str = ".safetensors.damaged";

/// No manifest is longer: two checkpoints take 300 bytes.
const MOST_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// The manifest of a folder; an empty one if there is none.
fn read(dir: &Path) -> Result<Manifest> {
    let path = dir.join(NAME);
    let empty = Manifest { format: 1, files: BTreeMap::new() };
    match fs::metadata(&path) {
        Ok(m) if m.len() > MOST_BYTES => return Err(unreadable(&path, "it is larger than any")),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(empty),
        Err(e) => return Err(Error::io("read", &path)(e)),
    }
    let text = fs::read(&path).map_err(Error::io("read", &path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| unreadable(&path, &e.to_string()))?;
    if manifest.format != 1 {
        return Err(unreadable(&path, &format!("its format is {}, this version knows 1", manifest.format)));
    }
    Ok(manifest)
}

fn unreadable(path: &Path, why: &str) -> Error {
    let remedy = "remove it to read the checkpoints without their checksums";
    Error::format(path, format!("is no readable manifest ({why}); {remedy}"))
}

/// Refuses a file's bytes if the manifest beside it says otherwise. Without a manifest, or an entry in it, nothing is
/// known and nothing refused.
pub(crate) fn verify(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let manifest = read(path.parent().unwrap_or(Path::new("")))?;
    let Some(entry) = manifest.files.get(name) else { return Ok(()) };
    if entry.bytes != bytes.len() as u64 {
        let problem = format!("is damaged: it has {} bytes, its manifest says {}", bytes.len(), entry.bytes);
        return Err(Error::format(path, problem));
    }
    let found = sha256(bytes);
    if entry.sha256 != found {
        let problem = format!("is damaged: its SHA-256 is {found}, its manifest says {}", entry.sha256);
        return Err(Error::format(path, problem));
    }
    Ok(())
}

/// Checkpoints of a run from the oldest to the newest; none if there is no such folder.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read the folder", dir)(e)),
    };
    let paths = entries.flatten().map(|e| e.path());
    let mut all: Vec<(u64, PathBuf)> = paths.filter_map(|p| Some((step(&p)?, p))).collect();
    all.sort();
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

/// The step in a checkpoint's name, `step-00000100.safetensors`; None of any other file, copies of one included.
pub(crate) fn step(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Takes a damaged checkpoint out of the way of those that are to come, and returns its new path.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf> {
    let aside = path.with_extension(&DAMAGED[1..]);
    rename(path, &aside).map_err(Error::io("rename", path))?;
    Ok(aside)
}

/// Whether the manifest knows of checkpoints that are gone: more than the one that a kill leaves unwritten.
pub(crate) fn lost(dir: &Path) -> bool {
    read(dir).is_ok_and(|m| m.files.keys().filter(|name| !dir.join(name).is_file()).count() > 1)
}

/// Writes the checkpoint of a step, and removes those that are older than the `keep` newest.
pub(crate) fn save(dir: &Path, step: u64, bytes: &[u8], keep: usize) -> Result<PathBuf> {
    let name = format!("step-{step:08}.safetensors");
    let path = dir.join(&name);
    // A manifest that is damaged is replaced: what it said of older checkpoints is lost, not they.
    let mut files = read(dir).map_or_else(|_| BTreeMap::new(), |m| m.files);
    files.retain(|name, _| dir.join(name).is_file());
    files.insert(name, Entry { bytes: bytes.len() as u64, sha256: sha256(bytes) });
    write(dir, files)?;
    write_atomic(&path, bytes)?;
    retain(dir, keep)?;
    Ok(path)
}

/// Removes the oldest checkpoints but for `keep`; returns those.
pub(crate) fn retain(dir: &Path, keep: usize) -> Result<Vec<PathBuf>> {
    let mut old = list(dir)?;
    old.truncate(old.len().saturating_sub(keep));
    old.iter().try_for_each(|path| remove(path))?;
    Ok(old)
}

fn write(dir: &Path, files: BTreeMap<String, Entry>) -> Result<()> {
    let mut text = serde_json::to_string_pretty(&Manifest { format: 1, files }).expect("text and numbers");
    text.push('\n');
    write_atomic(&dir.join(NAME), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::{faults, tests::Folder};

    fn names(dir: &Path) -> Vec<String> {
        list(dir).unwrap().iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_newest_are_kept_and_vouched_for() {
        let f = Folder::new("manifest");
        for step in [5, 10, 99_999_999, 100_000_000] {
            let path = save(&f.0, step, &step.to_le_bytes(), 2).unwrap();
            verify(&path, &step.to_le_bytes()).unwrap();
        }
        assert_eq!(names(&f.0), ["step-99999999.safetensors", "step-100000000.safetensors"]);
        for other in ["step-00000005-copy.safetensors", "step-.safetensors", "step-1.safetensors.damaged"] {
            fs::write(f.0.join(other), "").unwrap();
        }
        assert_eq!(list(&f.0).unwrap().len(), 2, "copies are no checkpoints");
        // The entry of the one before them goes with the next manifest.
        assert_eq!(read(&f.0).unwrap().files.len(), 3);
        save(&f.0, 100_000_001, b"x", 2).unwrap();
        assert_eq!(read(&f.0).unwrap().files.len(), 3);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_seen() {
        let f = Folder::new("manifest-flip");
        let bytes: Vec<u8> = (0..200).collect();
        let path = save(&f.0, 1, &bytes, 2).unwrap();
        for i in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << (i % 8);
            let text = verify(&path, &flipped).unwrap_err().to_string();
            assert!(text.contains("step-00000001") && text.contains("damaged"), "{text}");
            assert!(verify(&path, &bytes[..i]).unwrap_err().to_string().contains("has"));
        }
        verify(&f.0.join("step-00000002.safetensors"), b"unknown to the manifest").unwrap();
    }

    #[test]
    fn a_damaged_manifest_is_named_and_replaced() {
        let f = Folder::new("manifest-damaged");
        let path = save(&f.0, 1, b"one", 2).unwrap();
        for text in ["", "{", "[]", "{\"format\":2,\"files\":{}}", "{\"format\":1}"] {
            fs::write(f.0.join(NAME), text).unwrap();
            let message = verify(&path, b"one").unwrap_err().to_string();
            assert!(message.contains("manifest.json") && message.contains("remove it"), "{message}");
        }
        let path = save(&f.0, 2, b"two", 2).unwrap();
        assert!(verify(&path, b"two").is_ok() && verify(&path, b"owt").is_err());
    }

    /// The checkpoint before stays what it is, whatever fails while the next is written.
    #[test]
    fn no_failure_harms_the_checkpoint_before() {
        let f = Folder::new("manifest-faults");
        let attempt = |plan| {
            fs::remove_dir_all(&f.0).unwrap();
            fs::create_dir(&f.0).unwrap();
            let old = save(&f.0, 1, b"the first", 1).unwrap();
            let (result, left) = faults::with(plan, || save(&f.0, 2, b"the second", 1));
            for path in list(&f.0).unwrap() {
                verify(&path, &fs::read(&path).unwrap()).unwrap();
            }
            if result.is_err() && old.exists() {
                assert_eq!(fs::read(&old).unwrap(), b"the first");
            }
            assert!(!names(&f.0).is_empty());
            (result.is_ok(), left)
        };
        let (done, left) = attempt(faults::NONE);
        assert!(done);
        let (bytes, calls) = (faults::NONE.bytes - left.bytes, faults::NONE.calls - left.calls);
        assert!(bytes > 200 && calls == 7, "{bytes} bytes, {calls} calls");
        assert!((0..bytes).all(|bytes| !attempt(faults::Plan { bytes, ..faults::NONE }).0));
        assert!((0..calls).all(|calls| !attempt(faults::Plan { calls, ..faults::NONE }).0));
    }
}
