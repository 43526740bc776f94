//! Names the shared object as the driver is named, so that a program that opened it by path finds it again
//! under that name. The file itself keeps its own name: nothing picks it up unasked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
    }
}
