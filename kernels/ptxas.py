#!/usr/bin/env python3
"""Assembles kernels/ptx for every claimed architecture and compares registers, shared memory and spills with
kernels/ptxas.txt. Assembling is also the proof that the PTX needs no newer version than it says.

    kernels/ptxas.py PTXAS120 PTXAS129           exit code 1 where something differs, or spills
    kernels/ptxas.py PTXAS120 PTXAS129 --write   write the table anew

PTXAS120 is ptxas of CUDA 12.0 (nvidia-cuda-nvcc-cu12==12.0.140), PTXAS129 that of 12.9 (==12.9.86), which knows sm_100.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHITECTURES = [70, 75, 80, 86, 89, 90, 100]
# From here on the newer assembler is used: it alone knows sm_100, and that of 12.0 crashes on line information for sm_90.
NEW = 89


def assemble(ptxas, architecture, path):
    """Registers, bytes of shared memory and bytes spilled of each entry."""
    with tempfile.TemporaryDirectory() as folder:
        command = [ptxas, "-v", f"-arch=sm_{architecture}", path, "-o", os.path.join(folder, "out.cubin")]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{os.path.basename(path)} for sm_{architecture}:\n{done.stderr}")
    entries = {}
    for part in done.stderr.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        registers = int(re.search(r"Used (\d+) registers", part).group(1))
        shared = re.search(r"(\d+) bytes smem", part)
        spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", part))
        entries[name] = (registers, int(shared.group(1)) if shared else 0, spilled)
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptxas120")
    parser.add_argument("ptxas129")
    parser.add_argument("--write", action="store_true", help="write kernels/ptxas.txt in place of comparing")
    arguments = parser.parse_args()
    lines = ["# registers on each architecture; bytes of shared memory; bytes spilled. Made by kernels/ptxas.py."]
    lines.append(f"{'kernel':<28}" + "".join(f"{'sm_' + str(a):>8}" for a in ARCHITECTURES) + f"{'shared':>8}{'spilled':>8}")
    spills = 0
    for path in sorted(glob.glob(os.path.join(HERE, "ptx", "*.ptx"))):
        found = {a: assemble(arguments.ptxas129 if a >= NEW else arguments.ptxas120, a, path) for a in ARCHITECTURES}
        for name in sorted(found[ARCHITECTURES[0]]):
            of = [found[a][name] for a in ARCHITECTURES]
            spilled = max(o[2] for o in of)
            spills += spilled
            shared = max(o[1] for o in of)
            lines.append(f"{name:<28}" + "".join(f"{o[0]:>8}" for o in of) + f"{shared:>8}{spilled:>8}")
    text = "\n".join(lines) + "\n"
    table = os.path.join(HERE, "ptxas.txt")
    if arguments.write:
        with open(table, "w") as f:
            f.write(text)
    old = open(table).read() if os.path.exists(table) else ""
    count = len(lines) - 2
    print(f"{count} kernels on {len(ARCHITECTURES)} architectures, {spills} bytes spilled", end="")
    if old != text:
        different = [a for a, b in zip(text.splitlines(), old.splitlines()) if a != b][:5]
        print("; the table differs:\n" + "\n".join(different))
        return 1
    print("; as kernels/ptxas.txt says")
    return 1 if spills else 0


if __name__ == "__main__":
    sys.exit(main())
