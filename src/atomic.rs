//! Files and folders that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Replaces the file at `path` with `bytes`, so that whoever opens it at whatever moment, after a crash or a power
/// failure too, finds all of the old contents or all of the new.
///
/// The bytes go to a temporary file in the same folder, to the disk, and only then take the name; then the folder
/// goes to the disk. A kill in between leaves `.NAME.PID-N.tmp` behind, which nothing reads.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(path).map_err(Error::io("write", path))?;
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // The first failure is the one to report.
        fs::remove_file(&temporary).ok();
        return Err(Error::io("write", path)(source));
    }
    sync_folder(folder(path)).map_err(Error::io("write", path))
}

/// Makes a folder with what `fill` puts into it: it takes its name when all is there. It may have been there before if it
/// was empty. A kill in between leaves `.NAME.PID-N.tmp` behind. Of the files, unlike [`write_atomic`]'s, a power
/// failure may lose some.
///
/// # Errors
/// If there is something in the folder, it cannot be made, or `fill` fails; nothing is left behind then.
pub(crate) fn create_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let cannot = || Error::io("create the folder", path);
    match fs::read_dir(path) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let e = io::Error::other("it is not empty; name a new one, or remove it");
                return Err(cannot()(e));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(cannot()(e)),
    }
    let outer = folder(path);
    fs::create_dir_all(outer).map_err(cannot())?;
    let temporary = temporary(path).map_err(cannot())?;
    let made = fs::create_dir(&temporary).map_err(cannot());
    let made = made.and_then(|()| fill(&temporary)).and_then(|()| {
        // Only Unix renames over an empty folder.
        if !cfg!(unix) {
            fs::remove_dir(path).ok();
        }
        fs::rename(&temporary, path).map_err(cannot())
    });
    if made.is_err() {
        fs::remove_dir_all(&temporary).ok();
        return made;
    }
    sync_folder(outer).map_err(cannot())
}

/// A name beside `path` that no other process or thread uses.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
    let mut unique = OsString::from(".");
    unique.push(name);
    unique.push(format!(".{}-{}.tmp", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(unique))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// A rename is durable once the folder is. Only Unix lets a folder be opened for it.
fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder of its own, removed on drop.
    pub(crate) struct Folder(pub PathBuf);
    impl Folder {
        pub(crate) fn new(name: &str) -> Folder {
            let dir = std::env::temp_dir().join(format!("ganvil-report-{name}-{}", process::id()));
            fs::create_dir_all(&dir).unwrap();
            Folder(dir)
        }
        fn names(&self) -> Vec<OsString> {
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name()).collect()
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn contents_are_replaced_and_nothing_is_left_over() {
        let f = Folder::new("atomic");
        let path = f.0.join("a.bin");
        write_atomic(&path, b"a longer first version").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(f.names(), ["a.bin"]);
    }

    #[test]
    fn a_folder_appears_with_all_that_is_in_it() {
        let f = Folder::new("atomic-folder");
        let path = f.0.join("a/b");
        let fill = |dir: &Path| fs::write(dir.join("x"), "1").map_err(Error::io("write", dir));
        let text = create_folder(&path, |dir| {
            fill(dir)?;
            assert!(!path.exists());
            Err(Error::format(dir, "no more"))
        });
        assert!(text.unwrap_err().to_string().contains("no more"));
        assert_eq!(fs::read_dir(f.0.join("a")).unwrap().count(), 0, "nothing is left behind");
        fs::create_dir(&path).unwrap();
        create_folder(&path, fill).unwrap();
        assert_eq!(fs::read(path.join("x")).unwrap(), b"1");
        let text = create_folder(&path, |_| panic!("must not be filled")).unwrap_err().to_string();
        assert!(text.contains("a/b") && text.contains("not empty"), "{text}");
        assert!(create_folder(&path.join("x"), fill).is_err(), "a file is no folder");
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let f = Folder::new("atomic-failure");
        // A folder that is not empty cannot be replaced by a file.
        let path = f.0.join("taken");
        fs::create_dir_all(path.join("inner")).unwrap();
        let text = write_atomic(&path, b"x").unwrap_err().to_string();
        assert!(text.contains("cannot write") && text.contains("taken"), "{text}");
        assert_eq!(f.names(), ["taken"]);

        let text = write_atomic(&f.0.join("no/such/folder"), b"x").unwrap_err().to_string();
        assert!(text.contains("no/such/folder"), "{text}");
        assert!(write_atomic(Path::new("/"), b"x").is_err());
    }

    /// While one thread replaces a file over and over, readers see one version or another, never a mixture.
    #[test]
    fn readers_never_see_a_part() {
        let f = Folder::new("atomic-readers");
        let path = f.0.join("b.bin");
        write_atomic(&path, &[0; 5000]).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (1..40).for_each(|i| write_atomic(&path, &[i; 5000]).unwrap()));
            while !writer.is_finished() {
                let bytes = fs::read(&path).unwrap();
                assert!(bytes.len() == 5000 && bytes.iter().all(|&b| b == bytes[0]));
            }
        });
    }
}
