//! Every instruction form against what a GPU computed: `forms/forms.txt` lists them, `forms/expected.txt` holds
//! an NVIDIA H100's results.
//!
//! `PTXSIM_ORACLE=/path/to/libcuda.so.1 cargo test --test forms` runs the same on that driver instead, and
//! writes what it gives to `$PTXSIM_ORACLE_OUT`.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fmt::Write;

mod common;

const FORMS: &str = include_str!("forms/forms.txt");
const EXPECTED: &str = include_str!("forms/expected.txt");
const LANES: usize = 64;

struct Form {
    name: String,
    types: Vec<String>,
    exact: String,
    body: Option<String>,
}

fn forms() -> Vec<Form> {
    FORMS
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|line| {
            let mut parts = line.split(" | ").map(str::trim);
            let name = parts.next().expect("a name").to_owned();
            let types = parts.next().expect("types").split(' ').map(str::to_owned).collect();
            let exact = parts.next().unwrap_or("").to_owned();
            Form { name, types, exact, body: parts.next().map(str::to_owned) }
        })
        .collect()
}

/// The register and memory type of a type of the list, and its bytes.
fn storage(ty: &str) -> (&'static str, &'static str, usize) {
    match ty {
        "u8" | "s8" => (".b16", "u8", 1),
        "u16" | "s16" | "b16" | "f16" | "bf16" => (".b16", "b16", 2),
        "u64" | "s64" | "b64" => (".b64", "b64", 8),
        "f32" | "angle" => (".f32", "f32", 4),
        "f64" => (".f64", "f64", 8),
        "pred" => (".pred", "u32", 4),
        _ => (".b32", "b32", 4),
    }
}

fn kernel(n: usize, form: &Form) -> String {
    let mut out = String::new();
    let names = ["%d", "%a", "%b", "%c", "%e"];
    let _ = write!(
        out,
        ".visible .entry form{n}(.param .u64 inputs, .param .u64 result)\n{{\n.shared .align 16 .b8 SMEM[2048];\n\
         .local .align 16 .b8 LMEM[64];\n.reg .b64 %in, %out, %at, %w;\n.reg .b32 %lane, %t;\n"
    );
    for (name, ty) in names.iter().zip(&form.types) {
        let _ = writeln!(out, ".reg {} {name};", storage(ty).0);
    }
    out.push_str(
        "ld.param.u64 %in, [inputs];\nld.param.u64 %out, [result];\nmov.u32 %lane, %tid.x;\n\
         mul.wide.u32 %at, %lane, 8;\nadd.s64 %in, %in, %at;\nadd.s64 %out, %out, %at;\n",
    );
    for (k, (name, ty)) in names.iter().zip(&form.types).enumerate().skip(1) {
        let (_, mem, _) = storage(ty);
        let offset = (k - 1) * LANES * 8;
        let load = match ty.as_str() {
            "pred" => format!("ld.global.u32 %t, [%in+{offset}];\nsetp.ne.u32 {name}, %t, 0;\n"),
            "s8" => format!("ld.global.s8 {name}, [%in+{offset}];\n"),
            _ => format!("ld.global.{mem} {name}, [%in+{offset}];\n"),
        };
        out.push_str(&load);
    }
    // Where the body wants the start of the inputs.
    out.push_str("sub.s64 %in, %in, %at;\n");
    match &form.body {
        Some(body) => out.push_str(&body.replace("SKIP", &format!("SKIP{n}"))),
        None => {
            let operands = names[..form.types.len()].join(", ");
            let _ = write!(out, "{} {operands};", form.name);
        }
    }
    let dst = match form.types[0].as_str() {
        "pred" => "\nselp.u32 %t, 1, 0, %d;\nst.global.u32 [%out], %t;\n".to_owned(),
        // Narrow results are looked at with the extension the register got.
        "u8" | "s8" => "\nst.global.b16 [%out], %d;\n".to_owned(),
        ty => format!("\nst.global.{} [%out], %d;\n", storage(ty).1),
    };
    out.push_str(&dst);
    out.push_str("ret;\n}\n");
    out
}

fn module(forms: &[(usize, &Form)]) -> String {
    let mut out = String::from(".version 8.0\n.target sm_90\n.address_size 64\n");
    for (n, form) in forms {
        out.push_str(&kernel(*n, form));
    }
    out
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.0;
        (x ^ x >> 33).wrapping_mul(0xff51afd7ed558ccd) ^ x >> 29
    }
}

const SPECIAL: [f64; 20] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    0.5,
    1.5,
    -2.5,
    2147483647.5,
    -2147483649.0,
    4294967296.0,
    1e19,
    3.4028234e38,
    1.1754944e-38,
    1e-40,
    -1e-45,
    127.5,
    -32768.5,
];

/// The operand of a lane: special values in some lanes, random ones in the others.
fn value(ty: &str, position: usize, lane: usize) -> u64 {
    let mut r = Random(position as u64 * 1000 + lane as u64 + 1);
    let (x, pick) = (r.next(), r.next() as usize);
    let special = lane.is_multiple_of(3);
    let float = if special {
        SPECIAL[(lane / 3 + position * 7) % SPECIAL.len()]
    } else {
        // Magnitudes near each other, so that sums round.
        let m = 1.0 + (x >> 12) as f64 / (1u64 << 52) as f64;
        let e = [0, 1, -1, 3, -3, 8, -12, 20][pick % 8];
        (if x & 1 == 0 { m } else { -m }) * 2f64.powi(e)
    };
    let int = match lane % 8 {
        0 => [0, 1, u64::MAX, 1 << 31, (1 << 31) - 1, 1 << 63, i64::MAX as u64, 0x8000_0001]
            [(lane / 8 + position * 3) % 8],
        1 => x >> 32 & 0xff,
        2 => (x as i64 >> 40) as u64,
        _ => x,
    };
    match ty {
        "f32" => u64::from((float as f32).to_bits()),
        "angle" => {
            u64::from((((x >> 40) as f32 / (1u32 << 24) as f32 - 0.5) * std::f32::consts::TAU).to_bits())
        }
        "f64" => float.to_bits(),
        "f16" => u64::from(half::f16::from_f64(float).to_bits()),
        "bf16" => u64::from(half::bf16::from_f64(float).to_bits()),
        "f16x2" => {
            let (a, b) = (half::f16::from_f64(float), half::f16::from_f64(1.0 / float + 1.0));
            u64::from(a.to_bits()) | u64::from(b.to_bits()) << 16
        }
        "bf16x2" => {
            let (a, b) = (half::bf16::from_f64(float), half::bf16::from_f64(1.0 / float + 1.0));
            u64::from(a.to_bits()) | u64::from(b.to_bits()) << 16
        }
        "pred" => x & 1,
        // Few enough bits that products and their sums are exact.
        "mf16x2" | "mbf16x2" | "mf32" => {
            let small = |x: u64| (x % 63) as f64 / 16.0 - 31.0 / 16.0;
            let (a, b) = (small(x >> 8), small(x >> 40));
            match ty {
                "mf32" => u64::from((a as f32).to_bits()),
                "mf16x2" => {
                    u64::from(half::f16::from_f64(a).to_bits())
                        | u64::from(half::f16::from_f64(b).to_bits()) << 16
                }
                _ => {
                    u64::from(half::bf16::from_f64(a).to_bits())
                        | u64::from(half::bf16::from_f64(b).to_bits()) << 16
                }
            }
        }
        "shift" => [0, 1, 5, 8, 15, 16, 31, 32, 33, 63, 64, 7, 20, 3, 255, 12][pick % 16],
        _ => int,
    }
}

fn inputs(form: &Form) -> Vec<u64> {
    let mut out = vec![];
    for (position, ty) in form.types.iter().enumerate().skip(1) {
        for lane in 0..LANES {
            let mut v = value(ty, position, lane);
            if form.exact == "nonzero" && position + 1 == form.types.len() {
                v |= 1;
            }
            out.push(v);
        }
    }
    // A body may read beyond its operands.
    out.resize(out.len().max(4 * LANES), 7);
    out
}

type Fn1 = unsafe extern "C" fn(c_uint) -> c_int;
type Fn2 = unsafe extern "C" fn(*mut u64, u64) -> c_int;
type Fn2i = unsafe extern "C" fn(*mut u64, c_int) -> c_int;
type FnCur = unsafe extern "C" fn(u64) -> c_int;
type FnLoad =
    unsafe extern "C" fn(*mut u64, *const c_char, c_uint, *const c_int, *const *mut c_void) -> c_int;
type FnGet = unsafe extern "C" fn(*mut u64, u64, *const c_char) -> c_int;
type FnLaunch = unsafe extern "C" fn(
    u64,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    u64,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;
type FnHtoD = unsafe extern "C" fn(u64, *const c_void, usize) -> c_int;
type FnDtoH = unsafe extern "C" fn(*mut c_void, u64, usize) -> c_int;

/// Runs every form; what its lanes give, or why its module was refused.
fn run(lib: &libloading::Library, forms: &[Form]) -> Vec<Result<Vec<u64>, String>> {
    let mut out = vec![];
    // SAFETY: these are the driver's functions with their types, called as its documents say.
    unsafe {
        let get = |name: &str| lib.get::<*const c_void>(name).unwrap_or_else(|e| panic!("{e}"));
        macro_rules! f {
            ($t:ty, $name:expr) => {
                std::mem::transmute::<*const c_void, $t>(*get($name))
            };
        }
        let ok = |code: c_int, what: &str| assert_eq!(code, 0, "{what}");
        ok(f!(Fn1, "cuInit")(0), "init");
        let mut ctx = 0;
        ok(f!(Fn2i, "cuDevicePrimaryCtxRetain")(&mut ctx, 0), "context");
        ok(f!(FnCur, "cuCtxSetCurrent")(ctx), "current");
        let (mut din, mut dout) = (0, 0);
        ok(f!(Fn2, "cuMemAlloc_v2")(&mut din, 8 * LANES as u64 * 8), "alloc");
        ok(f!(Fn2, "cuMemAlloc_v2")(&mut dout, LANES as u64 * 8), "alloc");
        let (load, unload) = (f!(FnLoad, "cuModuleLoadDataEx"), f!(FnCur, "cuModuleUnload"));
        for (n, form) in forms.iter().enumerate() {
            let text = CString::new(module(&[(n, form)])).expect("no zero");
            let mut log = vec![0u8; 2048];
            let options = [5, 6];
            let values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
            let mut handle = 0;
            let code = load(&mut handle, text.as_ptr(), 2, options.as_ptr(), values.as_ptr());
            if code != 0 {
                let log = String::from_utf8_lossy(&log).trim_end_matches('\0').replace('\n', " ");
                out.push(Err(format!("{code}: {log}")));
                continue;
            }
            let mut function = 0;
            let name = CString::new(format!("form{n}")).expect("no zero");
            ok(f!(FnGet, "cuModuleGetFunction")(&mut function, handle, name.as_ptr()), &form.name);
            let data = inputs(form);
            ok(f!(FnHtoD, "cuMemcpyHtoD_v2")(din, data.as_ptr().cast(), data.len() * 8), "copy");
            let mut result = vec![0u64; LANES];
            ok(f!(FnHtoD, "cuMemcpyHtoD_v2")(dout, result.as_ptr().cast(), LANES * 8), "copy");
            let mut args = [(&raw mut din).cast::<c_void>(), (&raw mut dout).cast()];
            let launch = f!(FnLaunch, "cuLaunchKernel");
            let code =
                launch(function, 1, 1, 1, LANES as u32, 1, 1, 0, 0, args.as_mut_ptr(), std::ptr::null_mut());
            ok(code, &form.name);
            ok(f!(FnDtoH, "cuMemcpyDtoH_v2")(result.as_mut_ptr().cast(), dout, LANES * 8), &form.name);
            ok(unload(handle), "unload");
            out.push(Ok(result));
        }
    }
    out
}

fn is_nan(ty: &str, bits: u64) -> bool {
    match ty {
        "f32" | "b32" => f32::from_bits(bits as u32).is_nan(),
        "f64" => f64::from_bits(bits).is_nan(),
        "f16" => half::f16::from_bits(bits as u16).is_nan(),
        "bf16" => half::bf16::from_bits(bits as u16).is_nan(),
        _ => false,
    }
}

fn number(ty: &str, bits: u64) -> f64 {
    if ty == "f64" { f64::from_bits(bits) } else { f64::from(f32::from_bits(bits as u32)) }
}

fn agree(form: &Form, got: u64, want: u64) -> bool {
    let ty = form.types[0].as_str();
    if got == want {
        return true;
    }
    if matches!(ty, "f16x2" | "bf16x2") && form.exact == "nan" {
        let one = &ty[..ty.len() - 2];
        return [0, 16].iter().all(|s| {
            let (g, w) = (got >> s & 0xffff, want >> s & 0xffff);
            g == w || (is_nan(one, g) && is_nan(one, w))
        });
    }
    if form.exact.is_empty() || form.exact == "nonzero" {
        return false;
    }
    if is_nan(ty, got) || is_nan(ty, want) {
        return is_nan(ty, got) && is_nan(ty, want);
    }
    let (g, w) = (number(ty, got), number(ty, want));
    match form.exact.split_once(' ') {
        Some((kind, limit)) => {
            let limit: f64 = limit.parse().expect("a number");
            if g.is_infinite() || w.is_infinite() {
                return g == w;
            }
            match kind {
                "abs" => (g - w).abs() <= limit,
                "either" => (g - w).abs() <= limit * w.abs().max(1.0),
                "rel" => (g - w).abs() <= limit * w.abs(),
                _ => (g - w).abs() <= limit * f64::from(2f32.powi(-23)) * w.abs().max(1.2e-38),
            }
        }
        None => false,
    }
}

fn expected() -> HashMap<String, Result<Vec<u64>, String>> {
    EXPECTED
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|line| {
            let (name, rest) = line.split_once(" | ").expect("a name and values");
            let values = match rest.strip_prefix("refused ") {
                Some(why) => Err(why.to_owned()),
                None => Ok(rest.split(' ').map(|v| u64::from_str_radix(v, 16).expect("hex")).collect()),
            };
            (name.to_owned(), values)
        })
        .collect()
}

/// Names may repeat with other bodies.
fn key(form: &Form) -> String {
    match &form.body {
        Some(body) => format!("{} {body}", form.name),
        None => form.name.clone(),
    }
}

#[test]
fn every_form_gives_what_a_gpu_gives() {
    let forms = forms();
    if std::env::var("PTXSIM_ORACLE").is_ok() {
        let mut text = String::from("# What an NVIDIA H100 gives for each form, one value a lane.\n");
        for (form, result) in forms.iter().zip(run(common::library(), &forms)) {
            let _ = match result {
                Ok(values) => {
                    let hex: Vec<String> = values.iter().map(|v| format!("{v:x}")).collect();
                    writeln!(text, "{} | {}", key(form), hex.join(" "))
                }
                Err(why) => writeln!(text, "{} | refused {why}", key(form)),
            };
        }
        std::fs::write(std::env::var("PTXSIM_ORACLE_OUT").expect("PTXSIM_ORACLE_OUT"), text)
            .expect("written");
        return;
    }
    let _alone = common::alone();
    let expected = expected();
    let (mut wrong, mut checked) = (vec![], 0);
    for (form, got) in forms.iter().zip(run(common::library(), &forms)) {
        match (expected.get(&key(form)), got) {
            (Some(Ok(want)), Ok(got)) => {
                checked += 1;
                let bad: Vec<usize> = (0..LANES).filter(|&l| !agree(form, got[l], want[l])).collect();
                if let Some(&lane) = bad.first() {
                    let data = inputs(form);
                    let operands: Vec<String> =
                        (0..form.types.len() - 1).map(|k| format!("{:x}", data[k * LANES + lane])).collect();
                    wrong.push(format!(
                        "{}: {} lanes wrong; lane {lane}: ({}) gives {:x}, a GPU gives {:x}",
                        key(form),
                        bad.len(),
                        operands.join(", "),
                        got[lane],
                        want[lane]
                    ));
                }
            }
            (Some(Ok(_)), Err(why)) => wrong.push(format!("{}: refused ({why})", key(form))),
            // What a GPU refuses may be refused or not.
            (Some(Err(_)), _) => {}
            (None, _) => wrong.push(format!("{}: a GPU was never asked", key(form))),
        }
    }
    assert!(wrong.is_empty(), "{} of {} forms:\n{}", wrong.len(), forms.len(), wrong.join("\n"));
    assert!(checked > 600, "only {checked} forms checked");
    println!("{checked} forms agree");
}

/// The loops are compiled for each tier of instructions; a process uses one.
#[test]
fn every_tier_gives_the_same() {
    if std::env::var("PTXSIM_ORACLE").is_ok() || std::env::var("PTXSIM_SIMD").is_ok() {
        return;
    }
    for tier in ["base", "avx2", "avx512"] {
        let out = std::process::Command::new(std::env::current_exe().expect("a test knows its own path"))
            .args(["--exact", "every_form_gives_what_a_gpu_gives"])
            .env("PTXSIM_SIMD", tier)
            .output()
            .expect("the test starts itself");
        assert!(out.status.success(), "{tier}: {}", String::from_utf8_lossy(&out.stdout));
    }
}
