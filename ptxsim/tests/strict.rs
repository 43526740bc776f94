//! Misuse of the driver's functions gives the codes that a GPU's driver gives: `forms/codes.txt` holds what one
//! gave (580.159.04, an NVIDIA H100).
//!
//! `PTXSIM_ORACLE=/path/to/libcuda.so.1 PTXSIM_ORACLE_OUT=FILE cargo test --test strict` asks that driver.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fmt::Write;
use std::ptr::null_mut;

mod common;

const CODES: &str = include_str!("forms/codes.txt");

const KERNELS: &str = "
.visible .entry store(.param .u64 p, .param .u32 v)
{ .reg .u64 %p; .reg .u32 %v; ld.param.u64 %p, [p]; ld.param.u32 %v, [v]; st.global.u32 [%p], %v; ret; }
.visible .entry bounded(.param .u64 p) .maxntid 64, 1, 1
{ ret; }
.visible .entry required(.param .u64 p) .reqntid 64, 1, 1
{ ret; }
.visible .entry traps() { trap; ret; }
.visible .entry nothing() { ret; }
.visible .entry much() { .shared .align 4 .b8 s[40000]; .reg .u32 %r; mov.u32 %r, s; st.shared.u32 [%r], %r; ret; }
.visible .global .align 4 .u32 seen = 5;
";

type P = *mut c_void;

macro_rules! api {
    ($($name:ident($($t:ty),*);)*) => {
        #[allow(non_snake_case)]
        struct Api { $($name: unsafe extern "C" fn($($t),*) -> c_int,)* }
        impl Api {
            fn open(lib: &libloading::Library) -> Api {
                // SAFETY: the driver's functions with their types.
                unsafe { Api { $($name: *lib.get(stringify!($name)).unwrap_or_else(|e| panic!("{e}")),)* } }
            }
        }
    };
}

api! {
    cuInit(c_uint);
    cuDeviceGet(*mut c_int, c_int);
    cuDevicePrimaryCtxRetain(*mut u64, c_int);
    cuDevicePrimaryCtxReset_v2(c_int);
    cuCtxSetCurrent(u64);
    cuCtxSynchronize();
    cuMemAlloc_v2(*mut u64, usize);
    cuMemAllocAsync(*mut u64, usize, u64);
    cuMemFree_v2(u64);
    cuMemFreeAsync(u64, u64);
    cuMemcpyHtoD_v2(u64, P, usize);
    cuMemcpyDtoH_v2(P, u64, usize);
    cuMemcpyDtoD_v2(u64, u64, usize);
    cuMemsetD32_v2(u64, c_uint, usize);
    cuMemFreeHost(P);
    cuModuleLoadData(*mut u64, *const c_char);
    cuModuleGetFunction(*mut u64, u64, *const c_char);
    cuModuleGetGlobal_v2(*mut u64, *mut usize, u64, *const c_char);
    cuLaunchKernel(u64, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, u64, *mut P, *mut P);
    cuFuncSetAttribute(u64, c_int, c_int);
    cuFuncGetAttribute(*mut c_int, c_int, u64);
    cuEventCreate(*mut u64, c_uint);
    cuEventQuery(u64);
    cuEventSynchronize(u64);
    cuEventElapsedTime(*mut f32, u64, u64);
    cuEventRecord(u64, u64);
    cuStreamCreate(*mut u64, c_uint);
    cuDeviceGetAttribute(*mut c_int, c_int, c_int);
    cuGetErrorString(c_int, *mut *const c_char);
}

struct Probe {
    api: Api,
    out: Vec<(String, String)>,
}

fn ptx(version: &str, target: &str, body: &str) -> CString {
    CString::new(format!(".version {version}\n.target {target}\n.address_size 64\n{body}")).expect("no zero")
}

impl Probe {
    fn say(&mut self, name: &str, code: impl ToString) {
        self.out.push((name.to_owned(), code.to_string()));
    }

    fn load(&self, text: &CString) -> (c_int, u64) {
        let mut module = 0;
        // SAFETY: the text ends with a zero.
        let code = unsafe { (self.api.cuModuleLoadData)(&mut module, text.as_ptr()) };
        (code, module)
    }

    fn function(&self, module: u64, name: &str) -> (c_int, u64) {
        let (mut f, name) = (0, CString::new(name).expect("no zero"));
        // SAFETY: as above.
        let code = unsafe { (self.api.cuModuleGetFunction)(&mut f, module, name.as_ptr()) };
        (code, f)
    }

    fn launch(&self, f: u64, grid: [u32; 3], block: [u32; 3], shared: u32, args: &mut [P]) -> c_int {
        let (g, b) = (grid, block);
        let args = if args.is_empty() { null_mut() } else { args.as_mut_ptr() };
        // SAFETY: the arguments are the kernel's, or null.
        unsafe {
            (self.api.cuLaunchKernel)(f, g[0], g[1], g[2], b[0], b[1], b[2], shared, 0, args, null_mut())
        }
    }

    fn alloc(&self, n: usize) -> u64 {
        let mut p = 0;
        // SAFETY: a plain allocation.
        assert_eq!(unsafe { (self.api.cuMemAlloc_v2)(&mut p, n) }, 0);
        p
    }

    fn memory(&mut self) {
        let mut p = 0;
        let mut host = [0u8; 64];
        let h: P = host.as_mut_ptr().cast();
        // SAFETY: all misuse here is of kinds that a driver answers with a code.
        unsafe {
            let c = (self.api.cuMemAlloc_v2)(&mut p, 0);
            self.say("cuMemAlloc of nothing", c);
            let c = (self.api.cuMemAllocAsync)(&mut p, 0, 0);
            self.say("cuMemAllocAsync of nothing", c);
            self.say("the address of nothing is null", p == 0);
            let c = (self.api.cuMemFreeAsync)(p, 0);
            self.say("cuMemFreeAsync of nothing", c);
            let c = (self.api.cuMemFreeAsync)(0, 0);
            self.say("cuMemFreeAsync of null", c);
            let c = (self.api.cuMemAlloc_v2)(null_mut(), 8);
            self.say("cuMemAlloc to null", c);
            let c = (self.api.cuMemAlloc_v2)(&mut p, 1 << 46);
            self.say("cuMemAlloc of too much", c);
            let c = (self.api.cuMemFree_v2)(0x1234500);
            self.say("cuMemFree of an unknown address", c);
            let c = (self.api.cuMemFree_v2)(0);
            self.say("cuMemFree of null", c);
            let a = self.alloc(64);
            self.say("alignment of 64 bytes", a % 256);
            let c = (self.api.cuMemFree_v2)(a + 4);
            self.say("cuMemFree inside an allocation", c);
            let c = (self.api.cuMemFree_v2)(a);
            self.say("cuMemFree", c);
            let c = (self.api.cuMemFree_v2)(a);
            self.say("cuMemFree again", c);
            let c = (self.api.cuMemFreeAsync)(0x1234500, 0);
            self.say("cuMemFreeAsync of an unknown address", c);
            let c = (self.api.cuMemFreeHost)(h);
            self.say("cuMemFreeHost of plain memory", c);
            let a = self.alloc(64);
            let c = (self.api.cuMemcpyHtoD_v2)(a, h, 0);
            self.say("cuMemcpyHtoD of nothing", c);
            let c = (self.api.cuMemcpyHtoD_v2)(0, h, 4);
            self.say("cuMemcpyHtoD to null", c);
            let c = (self.api.cuMemcpyDtoD_v2)(a, 0, 4);
            self.say("cuMemcpyDtoD from null", c);
            let c = (self.api.cuMemcpyDtoH_v2)(null_mut(), a, 4);
            self.say("cuMemcpyDtoH to null", c);
            let c = (self.api.cuMemsetD32_v2)(a + 1, 0, 2);
            self.say("cuMemsetD32 misaligned", c);
            let c = (self.api.cuMemsetD32_v2)(a, 0, 0);
            self.say("cuMemsetD32 of nothing", c);
            let c = (self.api.cuMemsetD32_v2)(0, 0, 1);
            self.say("cuMemsetD32 of null", c);
        }
    }

    fn modules(&mut self) {
        let nothing = ".visible .entry k() { ret; }";
        let cases = [
            ("no PTX at all", CString::new("this is no PTX").expect("no zero")),
            ("an empty text", CString::new("").expect("no zero")),
            ("a version of the future", ptx("19.0", "sm_70", nothing)),
            ("a target of the future", ptx("7.8", "sm_119", nothing)),
            ("a version too old for the target", ptx("6.0", "sm_80", nothing)),
            (
                "an unknown instruction",
                ptx("7.0", "sm_70", ".visible .entry k() { frobnicate.u32 %r1, 1; ret; }"),
            ),
            (
                "an undeclared register",
                ptx("7.0", "sm_70", ".visible .entry k() { add.u32 %r1, %r1, 1; ret; }"),
            ),
            (
                "a register of another width",
                ptx("7.0", "sm_70", ".visible .entry k() { .reg .b64 %r; add.u32 %r, %r, 1; ret; }"),
            ),
            ("a missing label", ptx("7.0", "sm_70", ".visible .entry k() { bra L; ret; }")),
            ("a missing brace", ptx("7.0", "sm_70", ".visible .entry k() { ret; ")),
            ("an old target", ptx("7.0", "sm_70", nothing)),
        ];
        for (name, text) in cases {
            let (code, _) = self.load(&text);
            self.say(&format!("load {name}"), code);
        }
    }

    fn launches(&mut self) {
        let (code, module) = self.load(&ptx("7.0", "sm_70", KERNELS));
        self.say("load", code);
        let missing = self.function(module, "missing").0;
        self.say("a missing function", missing);
        // SAFETY: plain queries.
        unsafe {
            let (mut at, mut n) = (0, 0);
            let c = (self.api.cuModuleGetGlobal_v2)(&mut at, &mut n, module, c"seen".as_ptr());
            self.say("a global", c);
            self.say("its bytes", n);
            let c = (self.api.cuModuleGetGlobal_v2)(&mut at, &mut n, module, c"unseen".as_ptr());
            self.say("a missing global", c);
        }
        let f = |name: &str| self.function(module, name).1;
        let (store, bounded, required, nothing, much) =
            (f("store"), f("bounded"), f("required"), f("nothing"), f("much"));
        let mut p = self.alloc(64);
        let mut v = 7u32;
        let mut both: [P; 2] = [(&raw mut p).cast(), (&raw mut v).cast()];
        let one = [1; 3];
        type Case<'a> = (&'a str, u64, [u32; 3], [u32; 3], u32);
        let cases: [Case; 18] = [
            ("nothing", nothing, one, one, 0),
            ("a grid of none", nothing, [0, 1, 1], one, 0),
            ("a block of none", nothing, one, [1, 0, 1], 0),
            ("1025 threads", nothing, one, [1025, 1, 1], 0),
            ("33 by 32 threads", nothing, one, [33, 32, 1], 0),
            ("65 threads along z", nothing, one, [1, 1, 65], 0),
            ("65536 blocks along y", nothing, [1, 65536, 1], one, 0),
            ("65535 blocks along y", nothing, [1, 65535, 1], one, 0),
            ("64 threads where 64 are the most", bounded, one, [64, 1, 1], 0),
            ("65 threads where 64 are the most", bounded, one, [65, 1, 1], 0),
            ("32 threads where 64 are required", required, one, [32, 1, 1], 0),
            ("8 by 8 threads where 64 by 1 are required", required, one, [8, 8, 1], 0),
            ("8 by 8 threads where 64 by 1 are the most", bounded, one, [8, 8, 1], 0),
            ("48 KiB of dynamic shared memory", nothing, one, one, 49152),
            ("48 KiB and a byte", nothing, one, one, 49153),
            ("40000 declared and 9152 dynamic bytes", much, one, one, 9152),
            ("40000 declared and 9153 dynamic bytes", much, one, one, 9153),
            ("store", store, one, one, 0),
        ];
        for (name, f, grid, block, shared) in cases {
            let code = self.launch(f, grid, block, shared, &mut both);
            self.say(&format!("launch {name}"), code);
        }
        let code = self.launch(store, one, one, 0, &mut []);
        self.say("launch without arguments", code);
        // SAFETY: plain settings.
        unsafe {
            for n in [-1, 0, 65536, 232448, 232449, 300000] {
                let c = (self.api.cuFuncSetAttribute)(nothing, 8, n);
                self.say(&format!("allow {n} bytes of dynamic shared memory"), c);
            }
            let c = (self.api.cuFuncSetAttribute)(much, 8, 232448 - 40000 + 1);
            self.say("allow a byte too many beside 40000", c);
            for (attribute, name) in [(0, "threads"), (1, "shared"), (3, "local"), (8, "dynamic")] {
                for (f, kernel) in [(bounded, "bounded"), (much, "much")] {
                    let mut value = 0;
                    (self.api.cuFuncGetAttribute)(&mut value, attribute, f);
                    self.say(&format!("attribute {name} of {kernel}"), value);
                }
            }
        }
        let code = self.launch(nothing, one, one, 65536, &mut []);
        self.say("launch with 64 KiB once allowed", code);
    }

    fn events(&mut self) {
        let (mut a, mut b, mut untimed, mut ms) = (0, 0, 0, 0f32);
        // SAFETY: the handles are events.
        unsafe {
            (self.api.cuEventCreate)(&mut a, 0);
            (self.api.cuEventCreate)(&mut b, 0);
            (self.api.cuEventCreate)(&mut untimed, 2);
            let c = (self.api.cuEventQuery)(a);
            self.say("query an event never recorded", c);
            let c = (self.api.cuEventSynchronize)(a);
            self.say("wait for an event never recorded", c);
            let c = (self.api.cuEventElapsedTime)(&mut ms, a, b);
            self.say("time between events never recorded", c);
            for e in [a, b, untimed] {
                (self.api.cuEventRecord)(e, 0);
            }
            (self.api.cuEventSynchronize)(b);
            let c = (self.api.cuEventElapsedTime)(&mut ms, a, b);
            self.say("time between events", c);
            let c = (self.api.cuEventElapsedTime)(&mut ms, a, untimed);
            self.say("time to an event without time", c);
            let c = (self.api.cuEventCreate)(&mut a, 1 << 20);
            self.say("an event with unknown flags", c);
            let mut s = 0;
            let c = (self.api.cuStreamCreate)(&mut s, 99);
            self.say("a stream with unknown flags", c);
            let mut v = 0;
            let c = (self.api.cuDeviceGetAttribute)(&mut v, 10000, 0);
            self.say("an unknown attribute", c);
            let c = (self.api.cuDeviceGetAttribute)(&mut v, 10, 3000);
            self.say("an attribute of an unknown device", c);
            let mut text = std::ptr::null();
            let c = (self.api.cuGetErrorString)(54321, &mut text);
            self.say("the text of an unknown error", c);
        }
    }

    /// A kernel that fails, and what follows.
    fn failures(&mut self, ctx: u64) {
        let cases = [
            ("null", "store", 0u64),
            ("misaligned", "store", 2),
            ("far away", "store", 1 << 40),
            ("trap", "traps", 0),
        ];
        // A GPU's driver is asked in a process for each: it may not recover.
        let only = std::env::var("PTXSIM_ORACLE_CASE").ok();
        for (name, kernel, offset) in cases {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let module = self.load(&ptx("7.0", "sm_70", KERNELS)).1;
            let f = self.function(module, kernel).1;
            let base = self.alloc(64);
            let mut p = if name == "null" { 0 } else { base + offset };
            let mut v = 7u32;
            let mut args: [P; 2] = [(&raw mut p).cast(), (&raw mut v).cast()];
            let code = self.launch(f, [1; 3], [1; 3], 0, &mut args);
            self.say(&format!("{name}: launch"), code);
            // SAFETY: whatever the state of the context, these answer with a code.
            unsafe {
                let c = (self.api.cuCtxSynchronize)();
                self.say(&format!("{name}: synchronise"), c);
                let c = (self.api.cuCtxSynchronize)();
                self.say(&format!("{name}: synchronise again"), c);
                let mut q = 0;
                let c = (self.api.cuMemAlloc_v2)(&mut q, 64);
                self.say(&format!("{name}: cuMemAlloc"), c);
                let c = (self.api.cuMemFree_v2)(base);
                self.say(&format!("{name}: cuMemFree"), c);
                let c = self.launch(f, [1; 3], [1; 3], 0, &mut args);
                self.say(&format!("{name}: another launch"), c);
                let c = (self.api.cuCtxSetCurrent)(ctx);
                self.say(&format!("{name}: cuCtxSetCurrent"), c);
                let c = (self.api.cuDevicePrimaryCtxReset_v2)(0);
                self.say(&format!("{name}: reset"), c);
                let mut again = 0;
                (self.api.cuDevicePrimaryCtxRetain)(&mut again, 0);
                (self.api.cuCtxSetCurrent)(again);
            }
        }
    }

    fn all(&mut self) {
        // SAFETY: plain calls.
        unsafe {
            let (mut device, mut ctx, mut p) = (0, 0, 0);
            let c = (self.api.cuInit)(5);
            self.say("cuInit with flags", c);
            assert_eq!((self.api.cuInit)(0), 0);
            let c = (self.api.cuDeviceGet)(&mut device, 3000);
            self.say("an unknown device", c);
            let c = (self.api.cuDeviceGet)(&mut device, -1);
            self.say("device -1", c);
            let c = (self.api.cuMemAlloc_v2)(&mut p, 8);
            self.say("cuMemAlloc without a context", c);
            assert_eq!((self.api.cuDevicePrimaryCtxRetain)(&mut ctx, 0), 0);
            let c = (self.api.cuMemAlloc_v2)(&mut p, 8);
            self.say("cuMemAlloc with no context current", c);
            assert_eq!((self.api.cuCtxSetCurrent)(ctx), 0);
            self.memory();
            self.modules();
            self.launches();
            self.events();
            self.failures(ctx);
        }
    }
}

#[test]
fn codes_are_those_of_a_driver() {
    let oracle = std::env::var("PTXSIM_ORACLE").ok();
    let _alone = oracle.is_none().then(common::alone);
    let mut probe = Probe { api: Api::open(common::library()), out: vec![] };
    probe.all();
    if oracle.is_some() {
        let mut text = String::from("# What the driver of an NVIDIA H100 answers.\n");
        for (name, value) in &probe.out {
            let _ = writeln!(text, "{name} | {value}");
        }
        std::fs::write(std::env::var("PTXSIM_ORACLE_OUT").expect("PTXSIM_ORACLE_OUT"), text)
            .expect("written");
        return;
    }
    let want: Vec<(&str, &str)> = CODES
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|l| l.split_once(" | ").expect("a name and a value"))
        .collect();
    let wrong: Vec<String> = probe
        .out
        .iter()
        .filter_map(|(name, got)| match want.iter().find(|(n, _)| n == name) {
            Some((_, value)) if value == got => None,
            Some((_, value)) => Some(format!("{name}: {got}, a driver says {value}")),
            None => Some(format!("{name}: {got}, a driver was never asked")),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), probe.out.len(), wrong.join("\n"));
    assert!(probe.out.len() > 80);
}
