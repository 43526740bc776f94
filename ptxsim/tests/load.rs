//! What a driver loads and refuses: messages name the line, and no text, however broken, makes it panic.

mod common;

use std::ffi::{CString, c_int, c_uint, c_void};
use std::path::Path;

use proptest::prelude::*;

const PLAIN: &str = include_str!("kernels/plain.ptx");
const WIDE: &str = include_str!("kernels/wide.ptx");
const BUGS: &str = include_str!("kernels/bugs.ptx");

type LoadEx =
    unsafe extern "C" fn(*mut u64, *const c_void, c_uint, *const c_int, *const *mut c_void) -> c_int;

/// Loads a text through the driver: code and error log.
fn load(text: &[u8]) -> (c_int, String) {
    let lib = common::library();
    let Ok(text) = CString::new(text) else { return (1, String::new()) };
    // SAFETY: the driver's functions with their types; the log's length is told.
    unsafe {
        let init = lib.get::<unsafe extern "C" fn(c_uint) -> c_int>("cuInit").unwrap();
        let retain =
            lib.get::<unsafe extern "C" fn(*mut u64, c_int) -> c_int>("cuDevicePrimaryCtxRetain").unwrap();
        let set = lib.get::<unsafe extern "C" fn(u64) -> c_int>("cuCtxSetCurrent").unwrap();
        let unload = lib.get::<unsafe extern "C" fn(u64) -> c_int>("cuModuleUnload").unwrap();
        let mut ctx = 0;
        assert_eq!(init(0), 0);
        assert_eq!(retain(&mut ctx, 0), 0);
        assert_eq!(set(ctx), 0);
        let mut log = vec![0u8; 4096];
        let options = [5, 6];
        let values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let load = lib.get::<LoadEx>("cuModuleLoadDataEx").unwrap();
        let mut module = 0;
        let code = load(&mut module, text.as_ptr().cast(), 2, options.as_ptr(), values.as_ptr());
        if code == 0 {
            assert_eq!(unload(module), 0);
        }
        let end = log.iter().position(|&b| b == 0).unwrap();
        (code, String::from_utf8_lossy(&log[..end]).into_owned())
    }
}

fn entry(body: &str) -> String {
    format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 p)\n{{\n{body}\nret;\n}}\n"
    )
}

#[test]
fn refusals_name_line_and_reason() {
    let _alone = common::alone();
    let cases = [
        (".reg .b32 %r<2>;\nfrobnicate.u32 %r0, 1;", 7, "unknown instruction `frobnicate.u32`"),
        (".reg .b32 %r<2>;\nadd.quick.u32 %r0, %r1, 1;", 7, "unknown instruction `add.quick.u32`"),
        (".reg .b32 %r<2>;\n\nadd.u32 %r0, %r2, 1;", 8, "`%r2` is not declared"),
        (".reg .b64 %r<2>;\nadd.u32 %r0, %r1, 1;", 7, "declared B64, but the instruction"),
        (".reg .b32 %r<2>;\nadd.u32 %r0, %r1;", 7, "takes 3 operands, here are 2"),
        ("bra L;", 6, "label `L` is not set"),
        ("L: L: ret;", 6, "label `L` is set twice"),
        (".reg .b64 %d;\nld.param.u64 %d, [p+8];", 7, "past the kernel's 8 bytes of parameters"),
        (".reg .b32 %d;\nld.global.u32 %d, [%d];", 7, "an address of 32 bits"),
        (".frame 3;", 6, "unknown directive `.frame`"),
        (".reg .b32 %d;\nredux.sync.add.s32 %d, %d, -1;", 7, "needs .target sm_80 or higher"),
        (".reg .b32 %d;\nmov.b32 %d, 0x123456789abcdef01;", 7, "is no number of 64 bits"),
        (".shared .b8 s[300000];", 4, "bytes of shared memory"),
        ("call f, ();", 6, "`f` is not defined"),
    ];
    for (body, line, reason) in cases {
        let (code, log) = load(entry(body).as_bytes());
        assert_eq!(code, 218, "{body}");
        assert!(log.contains(&format!("line {line};")) && log.contains(reason), "{body}: {log}");
        assert_eq!(log.trim_end(), common::last_error().trim_end());
    }
}

/// The device's age is read once, so an older one is another process.
#[test]
fn an_older_device_refuses_newer_targets() {
    let text = |target: u32| {
        format!(".version 7.8\n.target sm_{target}\n.address_size 64\n.visible .entry k() {{ ret; }}\n")
    };
    if std::env::var("PTXSIM_CC").is_ok() {
        let _alone = common::alone();
        assert_eq!(load(text(75).as_bytes()).0, 0);
        let (code, log) = load(text(80).as_bytes());
        assert_eq!(code, 218);
        assert!(log.contains("sm_80 is newer than this device, sm_75"), "{log}");
        return;
    }
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_older_device_refuses_newer_targets"])
        .env("PTXSIM_CC", "7.5")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn recursion_is_refused() {
    let _alone = common::alone();
    let text = format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n.func f() {{ call f, (); ret; }}\n{}",
        ".visible .entry k() { call f, (); ret; }"
    );
    let (code, log) = load(text.as_bytes());
    assert_eq!(code, 218);
    assert!(log.contains("recursion"), "{log}");
}

#[test]
fn the_project_s_own_kernels_load() {
    let _alone = common::alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/ptx");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: there are no kernels in {}", folder.display());
        return;
    };
    let mut count = 0;
    for file in files.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "ptx")) {
        let text = std::fs::read(&file).unwrap();
        let (code, log) = load(&text);
        assert_eq!(code, 0, "{}: {log}", file.display());
        count += 1;
    }
    assert!(count > 0, "no .ptx in {}", folder.display());
}

/// A piece of a module, changed in a few places.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![PLAIN, WIDE, BUGS]);
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), 0..7u8, any::<u8>(), any::<prop::sample::Index>()),
        1..6,
    );
    (pieces, any::<prop::sample::Index>(), 200..4000usize, edits).prop_map(|(text, at, len, edits)| {
        let header = ".version 7.0\n.target sm_70\n.address_size 64\n";
        // From some kernel on.
        let starts: Vec<usize> = text.match_indices(".visible .entry").map(|(n, _)| n).collect();
        let from = starts[at.index(starts.len())];
        let body = &text.as_bytes()[from..];
        let mut out = header.as_bytes().to_vec();
        out.extend_from_slice(&body[..len.min(body.len())]);
        for (at, how, byte, other) in edits {
            let n = at.index(out.len());
            match how {
                0 => out[n] = byte,
                1 => out[n] = b"{}[]();,.:@!%|+-0123456789xfd<>\"/*"[byte as usize % 34],
                2 => drop(out.remove(n)),
                3 => out.insert(n, byte),
                4 => out.truncate(n.max(header.len())),
                5 => {
                    let m = other.index(out.len());
                    out.swap(n, m);
                }
                _ => {
                    let m = other.index(out.len());
                    let piece = out[n.min(m)..n.max(m).min(n.min(m) + 40)].to_vec();
                    out.splice(n..n, piece);
                }
            }
        }
        out.retain(|&b| b != 0);
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]
    /// A panic inside the driver would come out as 999.
    #[test]
    fn broken_text_is_refused_not_panicked_at(text in mutated()) {
        let _alone = common::alone();
        let (code, log) = load(&text);
        prop_assert!(matches!(code, 0 | 200 | 218 | 222), "{code}: {log}\n{}", String::from_utf8_lossy(&text));
        prop_assert!(code == 0 || !log.is_empty());
    }

    #[test]
    fn noise_is_refused_not_panicked_at(text in "\\.version 7\\.0\n\\.target sm_70\n\\.address_size 64\n\\PC{0,200}") {
        let _alone = common::alone();
        let (code, _) = load(text.as_bytes());
        prop_assert!(matches!(code, 0 | 200 | 218 | 222));
    }
}
