"""Whole training steps of ganvil and a peer, started in turn.

    speed.py GANVIL PEER [STARTS] [SECONDS] [WORKLOAD...]

Both print `WORKLOAD THREADS NAME STEPS_PER_S IMAGES_PER_S PEAK_RSS_MB`; PEER is a command taking WORKLOAD THREADS SECONDS.
Prints one line per workload and thread count with the medians and their ratio, then everything as JSON.
"""
import json
import shlex
import statistics
import subprocess
import sys

ganvil, peer = sys.argv[1], shlex.split(sys.argv[2])
starts = int(sys.argv[3]) if len(sys.argv) > 3 else 5
seconds = sys.argv[4] if len(sys.argv) > 4 else "3"


def rate(command):
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(out.split()[3])


table = []
for workload in sys.argv[5:] or ("mlp0-64", "mlp2-64", "dcgan28-64", "dcgan64-64"):
    for threads in ("1", "2"):
        ours, theirs = [], []
        for _ in range(starts):
            ours.append(rate([ganvil, "bench", "step", workload, "--threads", threads, "--seconds", seconds]))
            theirs.append(rate([*peer, workload, threads, seconds]))
        ms = [1000 / statistics.median(x) for x in (ours, theirs)]
        table.append({"workload": workload, "threads": int(threads), "ganvil_ms": ms[0], "peer_ms": ms[1],
                      "ganvil_steps_per_s": ours, "peer_steps_per_s": theirs})
        print(f"{workload} {threads}t: ganvil {ms[0]:.2f} ms, peer {ms[1]:.2f} ms, time ratio {ms[0] / ms[1]:.2f}", flush=True)
print(json.dumps(table))
