//! Tells the program which commit it is built from, if there is one to tell, and reads the committed PTX: what entries
//! there are, and what parameters they take. No kernel is compiled here; kernels/build.py does that.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "src/sha256.rs"]
#[allow(dead_code)]
mod sha256;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    kernels();
    // Builds for development are not made anew after each commit.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    if let Some(commit) = packaged().or_else(checked_out) {
        println!("cargo:rustc-env=GANVIL_COMMIT={commit}");
    }
}

/// A packaged crate holds a note of it.
fn packaged() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\": \"")?;
    Some(rest.chars().take_while(char::is_ascii_hexdigit).take(12).collect())
}

/// A work tree of its own asks git.
fn checked_out() -> Option<String> {
    // What lies around a source tree that is none itself is some other repository.
    if !Path::new(".git").exists() {
        return None;
    }
    let git = |args: &[&str]| {
        let out = Command::new("git").args(args).output().ok().filter(|out| out.status.success())?;
        Some(String::from_utf8(out.stdout).ok()?.trim().to_owned())
    };
    for name in ["HEAD", &git(&["symbolic-ref", "-q", "HEAD"]).unwrap_or_default(), "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|p| Path::new(p).is_file()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// One entry of a PTX file.
struct Entry {
    name: String,
    /// Bytes of each parameter.
    params: Vec<usize>,
    /// Threads of a block, as `__launch_bounds__` says.
    threads: usize,
}

/// Writes `kernels.rs`: an enum with a variant for every entry of kernels/ptx, and tables in its order.
fn kernels() {
    println!("cargo:rerun-if-changed=kernels");
    let mut modules: Vec<PathBuf> = fs::read_dir("kernels/ptx")
        .expect("kernels/ptx is part of the source tree")
        .map(|e| e.expect("a readable folder").path())
        .filter(|p| p.extension().is_some_and(|e| e == "ptx"))
        .collect();
    modules.sort();
    let (mut variants, mut entries, mut texts) = (String::new(), String::new(), String::new());
    for (module, path) in modules.iter().enumerate() {
        let text = fs::read_to_string(path).expect("PTX is text");
        check_sources(path, &text);
        let file = path.file_name().and_then(|n| n.to_str()).expect("an ASCII name");
        writeln!(
            texts,
            "    (\"{file}\", include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/kernels/ptx/{file}\"))),"
        )
        .unwrap();
        for e in parse(&text) {
            writeln!(
                variants,
                "    /// `{}` of kernels/{}\n    {},",
                e.name,
                file.replace(".ptx", ".cu"),
                camel(&e.name)
            )
            .unwrap();
            let Entry { name, params, threads } = e;
            writeln!(
                entries,
                "    Entry {{ name: \"{name}\", module: {module}, params: &{params:?}, threads: {threads} }},"
            )
            .unwrap();
        }
    }
    let all = variants
        .lines()
        .filter(|l| l.ends_with(','))
        .map(|l| format!("Kernel::{}", l.trim()))
        .collect::<String>();
    let out = format!(
        "/// Every kernel that ships.\n#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]\npub(crate) enum Kernel {{\n{variants}}}\n\n\
         impl Kernel {{\n    /// Each of them.\n    pub(crate) const ALL: &[Kernel] = &[{all}];\n}}\n\n\
         /// In the order of [`Kernel`].\npub(crate) static ENTRIES: &[Entry] = &[\n{entries}];\n\n\
         /// Name and PTX of each file.\npub(crate) static MODULES: &[(&str, &str)] = &[\n{texts}];\n"
    );
    let to = Path::new(&std::env::var("OUT_DIR").expect("cargo sets it")).join("kernels.rs");
    fs::write(to, out).expect("cargo's output folder can be written");
}

/// Warns where a PTX file was made from other sources than lie beside it.
fn check_sources(path: &Path, text: &str) {
    let header = text.lines().next().unwrap_or_default();
    let mut words = header.strip_prefix("// source-sha256: ").unwrap_or_default().split(' ');
    let (digest, mut bytes) = (words.next().unwrap_or_default(), Vec::new());
    for file in words {
        bytes.extend(file.as_bytes());
        bytes.push(0);
        bytes.extend(fs::read(Path::new("kernels").join(file)).unwrap_or_default());
    }
    if sha256::sha256(&bytes) != digest {
        println!("cargo:warning={} is older than its sources; run kernels/build.py", path.display());
    }
}

/// The entries of a PTX file: a name, a list of `.param` declarations, a `.maxntid` line.
fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for part in text.split(".visible .entry ").skip(1) {
        let (name, rest) = part.split_once('(').expect("an entry has parameters in parentheses");
        let (params, rest) = rest.split_once(')').expect("an entry has parameters in parentheses");
        let threads = rest.split_once(".maxntid ").map_or(0, |(_, t)| number(t));
        let params = params.split(',').filter_map(|p| p.trim().strip_prefix(".param ")).map(size).collect();
        entries.push(Entry { name: name.trim().into(), params, threads });
    }
    entries
}

/// Bytes of a parameter: `.u64 NAME`, or `.align 4 .b8 NAME[76]`.
fn size(declaration: &str) -> usize {
    if let Some((_, array)) = declaration.split_once('[') {
        return number(array);
    }
    let kind = declaration.split(' ').next().unwrap_or_default();
    number(&kind[2..]) / 8
}

/// The digits that a text begins with.
fn number(text: &str) -> usize {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number at the start of {text:?}"))
}

fn camel(name: &str) -> String {
    name.split('_').map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}
