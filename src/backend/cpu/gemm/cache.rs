//! The caches of this machine, from which the sizes of blocks follow. They never influence a result's bits.

use std::fs;
use std::sync::OnceLock;

/// Bytes of the data caches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caches {
    /// Second level, per core.
    pub l2: usize,
    /// Last level, shared; the second if there is no third.
    pub l3: usize,
}

/// Modest figures for machines that do not tell.
const FALLBACK: Caches = Caches { l2: 512 << 10, l3: 8 << 20 };

/// What Linux reports for the first core, read once.
pub fn caches() -> Caches {
    static CACHES: OnceLock<Caches> = OnceLock::new();
    *CACHES.get_or_init(|| read("/sys/devices/system/cpu/cpu0/cache"))
}

fn read(folder: &str) -> Caches {
    let (mut l2, mut l3) = (None, None);
    for index in 0..8 {
        let item = |name: &str| fs::read_to_string(format!("{folder}/index{index}/{name}")).ok();
        let (Some(level), Some(kind), Some(size)) = (item("level"), item("type"), item("size")) else {
            continue;
        };
        if kind.trim() == "Instruction" {
            continue;
        }
        match level.trim() {
            "2" => l2 = bytes(&size),
            "3" => l3 = bytes(&size),
            _ => {}
        }
    }
    let l2 = l2.unwrap_or(FALLBACK.l2);
    Caches { l2, l3: l3.unwrap_or(FALLBACK.l3).max(l2) }
}

/// "1024K", "32M" or a plain number, in bytes.
fn bytes(size: &str) -> Option<usize> {
    let size = size.trim();
    let (digits, unit) = match size.as_bytes().last()? {
        b'K' => (&size[..size.len() - 1], 1 << 10),
        b'M' => (&size[..size.len() - 1], 1 << 20),
        _ => (size, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&b| b > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("1024K\n"), Some(1 << 20));
        assert_eq!(bytes("32M"), Some(32 << 20));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("0K"), None);
        assert_eq!(bytes("big"), None);
        assert_eq!(bytes(""), None);
    }

    #[test]
    fn a_machine_that_tells_nothing_gets_the_fallback() {
        assert_eq!(read("/nonexistent"), FALLBACK);
    }
}
