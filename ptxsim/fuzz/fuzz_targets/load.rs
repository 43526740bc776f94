#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;

// Whatever the text, it is lowered or refused; nothing panics.
fuzz_target!(|text: &str| {
    let Ok(module) = ptxsim::parse::parse(text) else { return };
    let files = Arc::new(vec![]);
    let globals: HashMap<&str, u64> = module.vars.iter().map(|v| (v.name, 0x1000)).collect();
    for func in module.funcs.iter().filter(|f| f.entry && f.body.is_some()) {
        let _ = ptxsim::lower::kernel(&module, func, &globals, &files);
    }
});
