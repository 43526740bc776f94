"""What each technique changes, measured: the table of docs/techniques.md.

    .ci/techniques.py GANVIL [SEEDS] [ONLY...]

Modes: `ganvil modes ring8`, mean and standard deviation over SEEDS (10) seeds of modes captured, share of good samples
and reverse KL. Digits: `ganvil train` for 3,000 steps, then `ganvil evaluate`: mean top-1 confidence and the classes' KL
to uniform. Prints one line of Markdown for each row; a row's command stands in its last column.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ganvil, seeds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "10"
only = sys.argv[3:]
STEPS = "3000"
MODES = [
    ("baseline", "--recipe gan"),
    ("minimax", "--recipe minimax"),
    ("least squares", "--recipe lsgan"),
    ("hinge", "--recipe hinge"),
    ("Wasserstein, clipped", "--recipe wgan"),
    ("Wasserstein, penalty", "--recipe wgan-gp"),
    ("one-sided penalty", "--recipe wgan-gp --set step.one_sided=true"),
    ("DRAGAN", "--recipe dragan"),
    ("drift", "--recipe wgan-gp --set step.drift=0.001"),
    ("relativistic pairing alone", "--recipe gan --set step.loss=relativistic-pairing"),
    ("relativistic average alone", "--recipe gan --set step.loss=relativistic-average"),
    ("R1", "--recipe gan --set step.r1=0.001"),
    ("R2", "--recipe gan --set step.r2=0.001"),
    ("pairing + R1 + R2", "--recipe r3gan"),
    ("the same, lazy (4)", "--recipe r3gan --set step.lazy=4"),
    ("spectral norm", "--recipe sngan"),
    ("packing", "--recipe pacgan"),
    ("unrolled", "--recipe unrolled"),
    ("label smoothing", "--recipe gan --set step.real_label=0.9"),
    ("label flips", "--recipe gan --set step.flip_labels=0.05"),
    ("instance noise", "--recipe gan --set step.instance_noise.std=0.1 --set step.instance_noise.kimg=200"),
    ("feature matching", "--recipe gan --set step.feature_matching=1"),
    ("no moving average", "--recipe gan --set step.ema=none"),
    ("two rates (D 4 : G 1)", "--recipe gan --set optimizer_g.lr=1e-3"),
    ("n_d = 5", "--recipe gan --set step.n_d=5"),
    ("skip D above 80 %", "--recipe gan --set step.balance=accuracy"),
    ("D's rate by loss ratio", "--recipe gan --set step.balance=loss-ratio"),
]
DIGITS = [
    ("baseline", ""),
    ("no moving average", "--ema 0"),
    ("DiffAugment", "--augment translation,cutout"),
    ("minibatch deviation", "--minibatch-stddev 4"),
    ("minibatch discrimination", "--minibatch-discrimination 16"),
]


def run(*args):
    done = subprocess.run([ganvil, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def wanted(name):
    return not only or name in only


with tempfile.TemporaryDirectory() as tmp:
    print("| ring8 | modes | good, % | reverse KL | `ganvil modes ring8 --steps 3000 --seeds " + seeds + "` with |")
    print("|---|---|---|---|---|")
    for i, (name, flags) in enumerate(MODES):
        if wanted(name):
            out = run("modes", "ring8", *flags.split(), "--steps", STEPS, "--seeds", seeds, "--out", f"{tmp}/m{i}", "--json")
            score = json.loads(out)["mean"]
            # A game in which no sample of any seed is good has no shares of modes.
            of = lambda key, unit, digits: "{:.{d}f} +- {:.{d}f}".format(
                unit * score[key]["mean"], unit * score[key]["deviation"], d=digits) if score[key] else "-"
            print(f"| {name} | {of('modes', 1, 1)} | {of('high_quality', 100, 1)} | {of('reverse_kl', 1, 3)} | `{flags}` |", flush=True)
    print()
    print("| digits | confidence | KL to uniform | `ganvil train --steps 3000` with |")
    print("|---|---|---|---|")
    for i, (name, flags) in enumerate(DIGITS):
        if wanted(name):
            out = Path(tmp) / f"d{i}"
            run("train", "--steps", STEPS, "--out", str(out), *flags.split())
            text = run("evaluate", str(out), "--n", "1000")
            value = lambda what: re.search(rf"{what}\S*(?: \S+)*? +([0-9.]+)", text).group(1)
            print(f"| {name} | {value('mean top-1 confidence')} | {value('KL to uniform, nats')} | `{flags}` |", flush=True)
