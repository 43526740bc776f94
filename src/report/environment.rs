//! Where a program runs, as far as its speed and its bits depend on it.

use crate::{Device, backend};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `environment.json` says of each start of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// Steps done when it started.
    pub step: u64,
    /// ganvil's version.
    pub version: &'static str,
    /// The commit that it was built from, where that is known.
    pub commit: Option<&'static str>,
    /// The operating system and the architecture.
    pub system: String,
    /// The processor's name.
    pub cpu: String,
    /// The instruction set of the kernels, on which the bits depend.
    pub simd: &'static str,
    /// Kernel threads, on which nothing depends.
    pub threads: usize,
    /// The command as it was given.
    pub command: String,
    /// Seconds since 1970.
    pub started: u64,
}

impl Environment {
    /// Of this process, in the present pool of threads.
    pub fn of_process(step: u64) -> Environment {
        Environment {
            step,
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("GANVIL_COMMIT"),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: processor(),
            simd: backend::of(Device::Cpu).tier(),
            threads: rayon::current_num_threads(),
            command: command(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        }
    }
}

/// The command line as a shell takes it.
fn command() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The processor's name, where the system tells it.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH.into(), |(_, n)| n.trim().into())
}

/// Memory that the process holds now, in MB, where the system tells it.
pub fn memory_mb() -> Option<f64> {
    status_mb("VmRSS:")
}

/// The most memory that the process has held, in MB, where the system tells it.
pub fn peak_memory_mb() -> Option<f64> {
    status_mb("VmHWM:")
}

/// Seconds since the system started the process, where it tells them: to a hundredth.
pub fn process_age() -> Option<f64> {
    // Of the times in /proc, whatever the kernel's own clock does.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name, may have spaces and brackets in it; the start is the 22nd.
    let start: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some((now - start / TICKS_PER_SECOND).max(0.0))
}

fn status_mb(key: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn words_are_quoted_as_a_shell_reads_them() {
        for word in ["plain", "", "two words", "it's", "$HOME", "a'b'c", "*", "--x=1"] {
            let Ok(out) = Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output()
            else {
                continue;
            };
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
        assert_eq!(quoted("runs/00000-mnist"), "runs/00000-mnist");
    }

    #[test]
    fn the_process_knows_its_age() {
        if cfg!(target_os = "linux") {
            let before = process_age().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
            let after = process_age().unwrap();
            // Both are off by up to a hundredth; a busy machine may sleep longer. No test runs for a day.
            assert!(after - before >= 0.18 && after < 86_400.0, "{before} {after}");
        }
    }

    #[test]
    fn the_process_knows_its_memory() {
        if cfg!(target_os = "linux") {
            let (now, peak) = (memory_mb().unwrap(), peak_memory_mb().unwrap());
            assert!(now > 1.0 && peak >= now, "{now} {peak}");
        }
    }
}
