//! Loads PTX files as the driver would and lists their kernels: `ptxsim-load FILE.ptx ...`

use std::collections::HashMap;
use std::sync::Arc;

fn main() {
    let mut failed = false;
    for path in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) => {
                eprintln!("{path}: {e}");
                failed = true;
                continue;
            }
        };
        let start = std::time::Instant::now();
        let module = match ptxsim::parse::parse(&text) {
            Ok(module) => module,
            Err(e) => {
                eprintln!("{path}: {e}");
                failed = true;
                continue;
            }
        };
        let files = Arc::new(module.files.iter().map(|&(n, f)| (n, f.to_owned())).collect());
        // Any address will do for what is only looked at.
        let globals: HashMap<&str, u64> =
            module.vars.iter().map(|v| (v.name, ptxsim::memory::GLOBAL_BASE)).collect();
        for func in module.funcs.iter().filter(|f| f.entry && f.body.is_some()) {
            match ptxsim::lower::kernel(&module, func, &globals, &files) {
                Ok(k) => println!(
                    "{path}: {:24} {:5} instructions, {:4} slots, {:3} predicates, {:5} B shared, {:4} B local",
                    k.name,
                    k.code.len(),
                    k.slots,
                    k.preds,
                    k.shared,
                    k.local
                ),
                Err(e) => {
                    eprintln!("{path}: {e}");
                    failed = true;
                }
            }
        }
        println!("{path}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    std::process::exit(i32::from(failed));
}
