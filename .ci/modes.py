"""Whether mode benchmarks meet their goals.

    modes.py RING GRID PLAIN PACKED

RING and GRID are folders of `ganvil modes ring8` and `grid25` with ten seeds; PLAIN and PACKED of grid25 by `gan` and by
`pacgan` with five, in fewer steps. Prints what was found as one line of JSON; exits with 1 if a goal is missed.
"""
import json
import pathlib
import sys

# modes, least mean of good samples, least of any seed, largest mean reverse KL, seconds of wall time for each seed
GOALS = {"ring8": (8, 0.96, 0.94, None, 30), "grid25": (25, 0.94, 0.92, 0.02, 60)}


def read(folder):
    return json.loads((pathlib.Path(folder) / "summary.json").read_text())


missed, result = [], {}
for s in map(read, sys.argv[1:3]):
    task, mean = s["task"], s["mean"]
    modes, good, least, kl, seconds = GOALS[task]
    of = len(s["seeds"])
    tests = {
        "ten seeds": of == 10,
        f"all {modes} modes on every seed": s["complete"] == of and s["of"] == modes,
        f"mean good {good}": mean["high_quality"]["mean"] >= good,
        f"good on every seed {least}": mean["high_quality"]["least"] >= least,
        # Absent where a start found all seeds played: then there is no time to judge by.
        f"seconds {seconds}": s.get("elapsed_seconds_per_seed", float("inf")) < seconds,
    }
    if kl is not None:
        tests[f"reverse KL {kl}"] = mean["reverse_kl"]["mean"] <= kl
    missed += [f"{task}: {what}" for what, met in tests.items() if not met]
    result[task] = {
        "steps": s["settings"]["steps"],
        "seeds": of,
        "complete": s["complete"],
        "relative_width": s["relative_width"],
        "seconds_per_seed": s.get("elapsed_seconds_per_seed"),
        **{key: mean[key] for key in ("modes", "high_quality", "reverse_kl", "jsd", "width", "seconds")},
        "real": s["real"],
    }
plain, packed = map(read, sys.argv[3:5])
modes = [s["mean"]["modes"]["mean"] for s in (plain, packed)]
if not modes[1] > modes[0]:
    missed.append(f"grid25: packs of 2 cover {modes[1]} modes, single samples {modes[0]}")
result["packing"] = {"steps": plain["settings"]["steps"], "seeds": len(plain["seeds"]), "modes": dict(zip(("gan", "pacgan"), modes))}
result["missed"] = missed
print(json.dumps(result))
sys.exit(bool(missed))
