//! Files and folders that are there whole or not at all, and files that grow by whole records.
//!
//! All that ganvil writes goes through the few functions below `What the system is asked to do`, so that tests can let
//! each of them fail.

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
    let written = write_synced(&temporary, bytes).and_then(|()| rename(&temporary, path));
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
                let text = "it is not empty; name a new one, or remove it";
                let e = io::Error::new(io::ErrorKind::DirectoryNotEmpty, text);
                return Err(cannot()(e));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(cannot()(io::Error::new(e.kind(), "there is a file of this name; name another")));
        }
        Err(e) => return Err(cannot()(e)),
    }
    // The folder that a program runs in cannot be replaced under it.
    if path.file_name().is_none() {
        return Err(cannot()(io::Error::other("name a new folder within it")));
    }
    // A link has its folder elsewhere.
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let outer = folder(path);
    fs::create_dir_all(outer).map_err(cannot())?;
    let temporary = temporary(path).map_err(cannot())?;
    let made = fs::create_dir(&temporary).map_err(cannot());
    let made = made.and_then(|()| fill(&temporary)).and_then(|()| {
        // Only Unix renames over an empty folder.
        if !cfg!(unix) {
            fs::remove_dir(path).ok();
        }
        rename(&temporary, path).map_err(cannot())
    });
    if made.is_err() {
        fs::remove_dir_all(&temporary).ok();
        return made;
    }
    sync_folder(outer).map_err(cannot())
}

/// A file that grows by whole records. Each reaches the operating system before [`append`](Appender::append) returns, in
/// one call, so that a killed process loses none and tears none.
#[derive(Debug)]
pub(crate) struct Appender {
    file: File,
    path: PathBuf,
}

impl Appender {
    /// Goes on behind what is in the file, which may be nothing.
    pub(crate) fn open(path: &Path) -> Result<Appender> {
        let file =
            OpenOptions::new().append(true).create(true).open(path).map_err(Error::io("open", path))?;
        Ok(Appender { file, path: path.to_path_buf() })
    }

    /// Adds a record.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        write_all(&mut self.file, record).map_err(Error::io("write to", &self.path))
    }

    /// All records are on the disk when this returns: a power failure does not lose them either.
    pub(crate) fn sync(&self) -> Result<()> {
        sync(&self.file).map_err(Error::io("write to", &self.path))
    }
}

/// Whether a file's name is one that a kill in the middle of writing leaves behind, `.NAME.PID-N.tmp`.
pub(crate) fn is_left_over(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|n| n.strip_suffix(".tmp"));
    inner.and_then(|n| n.rsplit_once('.')).and_then(|(_, n)| n.split_once('-')).is_some_and(|(pid, count)| {
        [pid, count].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
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

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    write_all(&mut file, bytes)?;
    sync(&file)
}

// What the system is asked to do.

fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let room = faults::room(bytes.len());
    file.write_all(&bytes[..room])?;
    if room < bytes.len() { Err(faults::failure()) } else { Ok(()) }
}

fn sync(file: &File) -> io::Result<()> {
    faults::call()?;
    file.sync_all()
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::call()?;
    fs::rename(from, to)
}

/// A rename is durable once the folder is. Only Unix lets a folder be opened for it.
fn sync_folder(dir: &Path) -> io::Result<()> {
    faults::call()?;
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(dir)?.sync_all() {
        // Some file systems have no such thing for folders.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Removes a file; it is no error if there is none.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = faults::call().and_then(|()| fs::remove_file(path));
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(not(test))]
mod faults {
    use std::io;
    #[inline(always)]
    pub fn room(wanted: usize) -> usize {
        wanted
    }
    pub fn failure() -> io::Error {
        unreachable!("there is always room")
    }
    #[inline(always)]
    pub fn call() -> io::Result<()> {
        Ok(())
    }
}

/// Failures on request, for the thread that asks.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::Cell;
    use std::io;

    /// Bytes that the disk still takes, and calls (fsync, rename, removal) until one fails.
    #[derive(Clone, Copy)]
    pub(crate) struct Plan {
        pub bytes: u64,
        pub calls: u64,
    }
    /// None of either.
    pub(crate) const NONE: Plan = Plan { bytes: u64::MAX, calls: u64::MAX };

    thread_local!(static PLAN: Cell<Plan> = const { Cell::new(NONE) });

    /// Runs `f` under a plan, and returns what is left of it.
    pub(crate) fn with<R>(plan: Plan, f: impl FnOnce() -> R) -> (R, Plan) {
        PLAN.set(plan);
        let result = f();
        (result, PLAN.replace(NONE))
    }

    pub(super) fn room(wanted: usize) -> usize {
        let plan = PLAN.get();
        let room = plan.bytes.min(wanted as u64);
        PLAN.set(Plan { bytes: plan.bytes - room, ..plan });
        room as usize
    }

    pub(super) fn failure() -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, "no space left (injected)")
    }

    /// The call that the plan names fails, once.
    pub(super) fn call() -> io::Result<()> {
        let plan = PLAN.get();
        PLAN.set(Plan { calls: plan.calls.wrapping_sub(1), ..plan });
        if plan.calls == 0 { Err(io::Error::other("the call failed (injected)")) } else { Ok(()) }
    }
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

    /// Wherever the disk fills up, and whichever call fails, the file is the old one or the new one, and nothing else
    /// lies beside it.
    #[test]
    fn a_file_is_old_or_new_after_every_failure() {
        let f = Folder::new("atomic-faults");
        let path = f.0.join("a.bin");
        let (old, new) = (vec![1; 300], vec![2; 257]);
        let write = |plan| {
            write_atomic(&path, &old).unwrap();
            let (result, left) = faults::with(plan, || write_atomic(&path, &new));
            assert_eq!(f.names(), ["a.bin"]);
            (result.map_err(|e| e.to_string()), left, fs::read(&path).unwrap())
        };
        for bytes in 0..new.len() as u64 {
            let (result, _, found) = write(faults::Plan { bytes, ..faults::NONE });
            let text = result.unwrap_err();
            assert!(text.contains("a.bin") && text.contains("no space left"), "{text}");
            assert!(found == old, "after {bytes} bytes");
        }
        let (result, left, found) = write(faults::Plan { bytes: new.len() as u64, ..faults::NONE });
        assert!(result.is_ok() && found == new);
        let calls = faults::NONE.calls - left.calls;
        assert_eq!(calls, 3, "the file to the disk, its name, the folder to the disk");
        for call in 0..calls {
            let (result, _, found) = write(faults::Plan { calls: call, ..faults::NONE });
            assert!(result.unwrap_err().contains("a.bin"));
            assert!(if call == 2 { found == new } else { found == old }, "call {call}");
        }
    }

    #[test]
    fn a_record_that_does_not_fit_is_an_error() {
        let f = Folder::new("atomic-append");
        let path = f.0.join("log");
        let mut log = Appender::open(&path).unwrap();
        log.append(b"one\n").unwrap();
        let (result, _) = faults::with(faults::Plan { bytes: 2, ..faults::NONE }, || log.append(b"two\n"));
        assert!(result.unwrap_err().to_string().contains("cannot write to"));
        assert_eq!(fs::read(&path).unwrap(), b"one\ntw");
        let (result, _) = faults::with(faults::Plan { calls: 0, ..faults::NONE }, || log.sync());
        assert!(result.is_err());
    }

    #[test]
    fn what_a_kill_leaves_behind_is_known_by_its_name() {
        let name = temporary(Path::new("x/log.jsonl")).unwrap();
        assert!(is_left_over(name.file_name().unwrap().to_str().unwrap()));
        for name in ["a.tmp", ".a.tmp", ".a.1-.tmp", ".a.1-2.tmp2", ".a.x-2.tmp", "a.1-2.tmp", ".tmp"] {
            assert!(!is_left_over(name), "{name}");
        }
        assert!(is_left_over(".step-00000005.safetensors.4711-12.tmp"));
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
