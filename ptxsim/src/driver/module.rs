//! Modules: PTX text in, kernels and variables out.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use super::device::PTX_VERSION;
use super::{
    Code, Driver, FILE_NOT_FOUND, Function, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, Module,
    NO_BINARY_FOR_GPU, NOT_FOUND, OUT_OF_MEMORY, Res, UNSUPPORTED_PTX_VERSION, current, in_context, out,
    text,
};
use crate::lower;
use crate::parse::ast::{Init, Module as Ast, PtxError, Space};

/// The options of `cuModuleLoadDataEx` that are looked at: where messages go.
#[derive(Default)]
struct Log {
    buffer: *mut c_char,
    len: usize,
}

impl Log {
    fn write(&self, message: &str) {
        if self.buffer.is_null() || self.len == 0 {
            return;
        }
        let n = message.len().min(self.len - 1);
        // SAFETY: the caller gives `len` bytes; at most that many are written, the zero included.
        unsafe {
            std::ptr::copy_nonoverlapping(message.as_ptr().cast(), self.buffer, n);
            self.buffer.add(n).write(0);
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleLoadData(to: *mut u64, image: *const c_void) -> Code {
    in_context(|d| load(d, to, image, &Log::default()))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleLoadDataEx(
    to: *mut u64,
    image: *const c_void,
    count: c_uint,
    options: *const c_int,
    values: *const *mut c_void,
) -> Code {
    in_context(|d| {
        if count > 0 && (options.is_null() || values.is_null()) {
            return Err(INVALID_VALUE);
        }
        let mut log = Log::default();
        for n in 0..count as usize {
            // SAFETY: both arrays have `count` elements by the C contract.
            let (option, value) = unsafe { (options.add(n).read(), values.add(n).read()) };
            match option {
                // The buffer for errors; its length is the value itself.
                5 => log.buffer = value.cast(),
                6 => log.len = value.addr() as u32 as usize,
                _ => {}
            }
        }
        load(d, to, image, &log)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleLoad(to: *mut u64, path: *const c_char) -> Code {
    in_context(|d| {
        let path = text(path)?;
        let mut image = std::fs::read(path).map_err(|_| FILE_NOT_FOUND)?;
        image.push(0);
        load(d, to, image.as_ptr().cast(), &Log::default())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleLoadFatBinary(_to: *mut u64, image: *const c_void) -> Code {
    in_context(|_| Err(if image.is_null() { INVALID_VALUE } else { NO_BINARY_FOR_GPU }))
}

fn load(d: &mut Driver, to: *mut u64, image: *const c_void, log: &Log) -> Res<()> {
    if to.is_null() || image.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: an image has at least four bytes, whatever its kind.
    let magic: [u8; 4] = unsafe { image.cast::<[u8; 4]>().read_unaligned() };
    // Machine code of a GPU, alone or in a container.
    if magic == *b"\x7fELF" || magic == [0x50, 0xed, 0x55, 0xba] || magic == [0xb1, 0x43, 0x62, 0x46] {
        return Err(NO_BINARY_FOR_GPU);
    }
    let source = text(image.cast()).map_err(|_| INVALID_PTX)?;
    let context = current().ok_or(INVALID_VALUE)?;
    match build(d, source, context) {
        Ok(handle) => out(to, handle),
        Err((code, message)) => {
            log.write(&message);
            d.last_error = message;
            Err(code)
        }
    }
}

type Failed = (Code, String);

fn build(d: &mut Driver, source: &str, context: u64) -> Result<u64, Failed> {
    let explain = |e: PtxError| {
        let line = source.lines().nth(e.line.saturating_sub(1) as usize).unwrap_or("").trim();
        (INVALID_PTX, format!("ptxsim: ptx input, line {}; error: {}\n    {line}\n", e.line, e.what))
    };
    let ast = crate::parse::parse(source).map_err(explain)?;
    if ast.version > PTX_VERSION {
        let message = format!(
            "ptxsim: unsupported .version {}.{}; current version is {}.{}\n",
            ast.version.0, ast.version.1, PTX_VERSION.0, PTX_VERSION.1
        );
        return Err((UNSUPPORTED_PTX_VERSION, message));
    }
    let have = d.capability.0 * 10 + d.capability.1;
    if ast.target > have {
        return Err((
            INVALID_PTX,
            format!("ptxsim: .target sm_{} is newer than this device, sm_{have}\n", ast.target),
        ));
    }
    let handle = d.handle();
    let globals = variables(d, &ast).map_err(|e| match e {
        Ok(error) => explain(error),
        Err(code) => (code, "ptxsim: no memory for the module's variables\n".into()),
    })?;
    let files: Arc<Vec<(u32, String)>> =
        Arc::new(ast.files.iter().map(|&(n, name)| (n, name.to_owned())).collect());
    let mut kernels = HashMap::new();
    let addresses: HashMap<&str, u64> = globals.iter().map(|(name, &(at, _))| (name.as_str(), at)).collect();
    for func in ast.funcs.iter().filter(|f| f.entry && f.body.is_some()) {
        match lower::kernel(&ast, func, &addresses, &files) {
            Ok(kernel) => {
                let function = d.handle();
                let kernel = Arc::new(kernel);
                let made = Function {
                    kernel: kernel.clone(),
                    max_dynamic: super::device::SHARED_DEFAULT.saturating_sub(kernel.shared),
                    ptx_version: ast.version.0 * 10 + ast.version.1,
                    target: ast.target,
                    module: handle,
                };
                d.functions.insert(function, made);
                kernels.insert(func.name.to_owned(), (kernel, function));
            }
            Err(error) => {
                for (_, function) in kernels.values() {
                    d.functions.remove(function);
                }
                globals.values().for_each(|&(at, _)| d.memory.free_named(at));
                return Err(explain(error));
            }
        }
    }
    d.modules.insert(handle, Module { context, kernels, globals });
    Ok(handle)
}

/// Room and first values for the module's variables.
fn variables(d: &mut Driver, ast: &Ast<'_>) -> Result<HashMap<String, (u64, u64)>, Result<PtxError, Code>> {
    let mut made: HashMap<String, (u64, u64)> = HashMap::new();
    let vars: Vec<_> = ast.vars.iter().filter(|v| v.space != Space::Shared).collect();
    let undo = |d: &mut Driver, made: &HashMap<String, (u64, u64)>| {
        made.values().for_each(|&(at, _)| d.memory.free_named(at));
    };
    for var in &vars {
        let readonly = var.space == Space::Const;
        match d.memory.alloc(var.size, Some(var.name.to_owned()), readonly) {
            Ok(at) => {
                made.insert(var.name.to_owned(), (at, var.size));
            }
            Err(_) => {
                undo(d, &made);
                return Err(Err(OUT_OF_MEMORY));
            }
        }
    }
    for var in &vars {
        let each = var.ty.size() as usize;
        // What has no initial value is zero.
        let mut bytes = vec![0u8; var.size as usize];
        for (n, item) in var.init.iter().enumerate() {
            let value = match item {
                Init::Bits(bits) => *bits,
                Init::Symbol(name, plus) => match made.get(*name) {
                    Some(&(at, _)) => at.wrapping_add(*plus as u64),
                    None => {
                        undo(d, &made);
                        let what = format!("`{name}` is not declared");
                        return Err(Ok(PtxError { line: var.line, what }));
                    }
                },
            };
            if let Some(to) = bytes.get_mut(n * each..(n + 1) * each) {
                to.copy_from_slice(&value.to_le_bytes()[..each]);
            }
        }
        let (at, size) = made[var.name];
        if let Some(a) = d.memory.range(at, size) {
            // SAFETY: the allocation has `size` bytes, and nothing else knows of it yet.
            unsafe {
                let to = std::ptr::with_exposed_provenance_mut::<u8>(a.host);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
            a.mark(at, size);
        }
    }
    Ok(made)
}

/// Forgets a module with its functions and variables.
pub(super) fn unload(d: &mut Driver, module: u64) {
    if let Some(gone) = d.modules.remove(&module) {
        d.functions.retain(|_, f| f.module != module);
        gone.globals.values().for_each(|&(at, _)| d.memory.free_named(at));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleUnload(module: u64) -> Code {
    in_context(|d| {
        if !d.modules.contains_key(&module) {
            return Err(INVALID_HANDLE);
        }
        unload(d, module);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleGetFunction(to: *mut u64, module: u64, name: *const c_char) -> Code {
    in_context(|d| {
        let name = text(name)?;
        let module = d.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let (_, handle) = module.kernels.get(name).ok_or(NOT_FOUND)?;
        out(to, *handle)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    bytes: *mut usize,
    module: u64,
    name: *const c_char,
) -> Code {
    in_context(|d| {
        let name = text(name)?;
        let module = d.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let &(at, size) = module.globals.get(name).ok_or(NOT_FOUND)?;
        if !address.is_null() {
            out(address, at)?;
        }
        if !bytes.is_null() {
            out(bytes, size as usize)?;
        }
        Ok(())
    })
}
