#!/usr/bin/env python3
"""Compiles kernels/*.cu to kernels/ptx/*.ptx with NVRTC 12.0.140, the version the committed files are made with.

    python3 -m venv .cuda && .cuda/bin/pip install nvidia-cuda-nvrtc-cu12==12.0.140
    .cuda/bin/python kernels/build.py            # writes kernels/ptx
    .cuda/bin/python kernels/build.py --check    # exit code 1 where a committed file differs

The same bytes come out each time, in any folder. No driver and no GPU are needed.
"""
import argparse
import ctypes
import glob
import hashlib
import os
import re
import sys

VERSION = (12, 0)
# Plain kernels run on every card from Volta on. The label says the oldest PTX version that has all they use; ptxas, which reads features against the label, is the proof.
ARCHITECTURE = "compute_70"
PTX_VERSION = "7.0"
OPTIONS = [f"--gpu-architecture={ARCHITECTURE}", "--fmad=false", "-lineinfo", "-default-device", "--std=c++17"]
HERE = os.path.dirname(os.path.abspath(__file__))


def nvrtc():
    """The library of the package nvidia-cuda-nvrtc-cu12, or the one named by NVRTC."""
    path = os.environ.get("NVRTC")
    if path is None:
        for folder in sys.path:
            found = glob.glob(os.path.join(folder, "nvidia", "cuda_nvrtc", "lib", "libnvrtc.so.12"))
            if found:
                path = found[0]
                break
        else:
            sys.exit("libnvrtc.so.12 is not there: pip install nvidia-cuda-nvrtc-cu12==12.0.140, or set NVRTC to it")
    lib = ctypes.CDLL(path)
    major, minor = ctypes.c_int(), ctypes.c_int()
    lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    if (major.value, minor.value) != VERSION:
        sys.exit(f"{path} is NVRTC {major.value}.{minor.value}; the committed PTX is made with {VERSION[0]}.{VERSION[1]}")
    return lib


def compile(lib, name, source, headers):
    """The PTX of one file. Exits with the compiler's log where it refuses."""
    program = ctypes.c_void_p()
    texts = (ctypes.c_char_p * len(headers))(*[text.encode() for text in headers.values()])
    names = (ctypes.c_char_p * len(headers))(*[header.encode() for header in headers])
    lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), len(headers), texts, names)
    options = (ctypes.c_char_p * len(OPTIONS))(*[option.encode() for option in OPTIONS])
    result = lib.nvrtcCompileProgram(program, len(OPTIONS), options)
    size = ctypes.c_size_t()
    lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetProgramLog(program, log)
    if result != 0:
        sys.exit(f"{name}:\n{log.value.decode()}")
    if log.value.strip():
        print(f"{name}:\n{log.value.decode()}", file=sys.stderr)
    lib.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetPTX(program, ptx)
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx.value.decode()


def sources(name, headers):
    """A kernel file and the headers it includes, in order."""
    found, queue = [], [name]
    while queue:
        file = queue.pop(0)
        if file in found:
            continue
        found.append(file)
        text = headers[file] if file in headers else open(os.path.join(HERE, file), newline="\n").read()
        queue += re.findall(r'^#include "([^"]+)"', text, re.M)
    return found


def digest(files):
    """SHA-256 over the sources that a PTX file is made of, each preceded by its name."""
    sha = hashlib.sha256()
    for file in sorted(files):
        with open(os.path.join(HERE, file), "rb") as f:
            sha.update(file.encode() + b"\0" + f.read())
    return sha.hexdigest()


def normalised(ptx, files):
    """Without NVRTC's dead declarations and date-like remarks, relabelled, with the digest of the sources on top."""
    lines = [line for line in ptx.splitlines() if not (line.startswith("//") or "nv6target" in line)]
    text = "\n".join(lines).strip("\n")
    text = re.sub(r"^\.version \S+", f".version {PTX_VERSION}", text, flags=re.M)
    # Line information names files by the folder that the compiler ran in.
    text = re.sub(r'(\.file\s+\d+ )"(?:[^"]*/)?([^"/]+)"', r'\1"kernels/\2"', text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    head = f"// source-sha256: {digest(files)} {' '.join(sorted(files))}\n// Made by kernels/build.py; do not edit.\n"
    return head + text + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()
    lib = nvrtc()
    headers = {os.path.basename(h): open(h, newline="\n").read() for h in sorted(glob.glob(os.path.join(HERE, "*.cuh")))}
    differs = []
    os.makedirs(os.path.join(HERE, "ptx"), exist_ok=True)
    for path in sorted(glob.glob(os.path.join(HERE, "*.cu"))):
        name = os.path.basename(path)
        ptx = normalised(compile(lib, name, open(path, newline="\n").read(), headers), sources(name, headers))
        to = os.path.join(HERE, "ptx", name[:-3] + ".ptx")
        old = open(to, newline="\n").read() if os.path.exists(to) else None
        if old != ptx:
            differs.append(name)
            if not arguments.check:
                with open(to, "w", newline="\n") as f:
                    f.write(ptx)
    kept = {os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "*.cu"))}
    stray = [p for p in glob.glob(os.path.join(HERE, "ptx", "*.ptx")) if os.path.basename(p)[:-4] not in kept]
    for path in stray:
        differs.append(os.path.basename(path))
        if not arguments.check:
            os.remove(path)
    print(f"{len(kept)} files, {len(differs)} {'differ' if arguments.check else 'written'}: {' '.join(differs)}")
    return 1 if arguments.check and differs else 0


if __name__ == "__main__":
    sys.exit(main())
