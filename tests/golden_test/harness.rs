//! A test harness that lets passing tests print: libtest's arguments and output, as far as cargo uses them.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// A named test.
pub struct Test {
    pub name: &'static str,
    pub run: fn() -> Result<(), String>,
}

/// Which tests the command line asks for.
#[derive(Default)]
struct Args {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    /// Only ignored tests, of which there are none.
    ignored: bool,
}

impl Args {
    fn parse(args: impl Iterator<Item = String>) -> Args {
        let mut parsed = Args::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => parsed.list = true,
                "--exact" => parsed.exact = true,
                "--ignored" => parsed.ignored = true,
                "--skip" => parsed.skip.extend(args.next()),
                // Settings of libtest that take a value and change nothing here.
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(args.next()),
                a if a.starts_with('-') => {}
                _ => parsed.filters.push(arg),
            }
        }
        parsed
    }

    fn wants(&self, name: &str) -> bool {
        let hit = |pattern: &String| if self.exact { name == pattern } else { name.contains(&**pattern) };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(hit))
            && !self.skip.iter().any(hit)
    }
}

/// Runs the tests that the command line asks for, one after the other: they set the SIMD tier of the whole process.
pub fn run(tests: &[Test]) -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    let wanted: Vec<&Test> = tests.iter().filter(|t| args.wants(t.name)).collect();
    if args.list {
        wanted.iter().for_each(|t| println!("{}: test", t.name));
        return ExitCode::SUCCESS;
    }
    remember_panics();
    println!("\nrunning {} tests", wanted.len());
    let start = Instant::now();
    let mut failed = 0;
    for t in &wanted {
        match caught(t.run) {
            Ok(()) => println!("test {} ... ok", t.name),
            Err(problem) => {
                failed += 1;
                println!("test {} ... FAILED\n    {problem}", t.name);
            }
        }
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        wanted.len() - failed,
        tests.len() - wanted.len(),
        start.elapsed().as_secs_f64()
    );
    // Output that cannot be written must not pass for a success.
    let written = std::io::stdout().flush().is_ok();
    if failed == 0 && written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Where and why the last panic happened.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics quiet: they are reported with the fixture they belong to.
fn remember_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string().replace('\n', " ");
        *LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner()) = Some(text);
    }));
}

/// Runs `f`; a panic becomes an error with its place and message.
pub fn caught<R>(f: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let failure = payload.downcast_ref::<ganvil::DeviceFailure>().map(|f| f.to_string());
        let text = LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner()).take();
        Err(failure.or(text).unwrap_or_else(|| "panicked".into()))
    })
}
