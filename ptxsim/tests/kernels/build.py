#!/usr/bin/env python3
"""Compiles the test kernels beside this file to PTX with NVRTC (ctypes; no CUDA installation needed).

usage: build.py PATH/libnvrtc.so.12 [FILE.cu ...]
"""
import ctypes
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def compile_one(lib, path):
    prog = ctypes.c_void_p()
    text = path.read_bytes()
    check(lib, lib.nvrtcCreateProgram(ctypes.byref(prog), text, path.name.encode(), 0, None, None))
    options = [b"--gpu-architecture=compute_70", b"-lineinfo"]
    code = lib.nvrtcCompileProgram(prog, len(options), (ctypes.c_char_p * len(options))(*options))
    if code:
        size = ctypes.c_size_t()
        lib.nvrtcGetProgramLogSize(prog, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetProgramLog(prog, log)
        sys.exit(f"{path}: {log.value.decode()}")
    size = ctypes.c_size_t()
    check(lib, lib.nvrtcGetPTXSize(prog, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(lib, lib.nvrtcGetPTX(prog, ptx))
    lines = ptx.value.decode().splitlines()
    lines = [line for line in lines if "nv6target" not in line]
    lines = [".version 7.0" if line.startswith(".version") else line.rstrip() for line in lines]
    path.with_suffix(".ptx").write_text("\n".join(lines).rstrip() + "\n")


def check(lib, code):
    if code:
        sys.exit(f"NVRTC error {code}")


def main():
    lib = ctypes.CDLL(sys.argv[1])
    for path in [pathlib.Path(p) for p in sys.argv[2:]] or sorted(HERE.glob("*.cu")):
        compile_one(lib, path)


main()
