"""Compares what TensorBoard reads from a run's event file with the run's log: events.py RUN.

Prints a JSON object with the counts of what was compared; fails at the first difference.
"""
import io
import json
import math
import pathlib
import re
import sys

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
events.Reload()
tags = events.Tags()
log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
assert len(log) >= 3, "the log is too short to say anything"


def numeric(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


fields = {key for record in log for key, value in record.items() if numeric(value)} - {"step"}
assert fields <= set(tags["scalars"]), f"not in the events: {fields - set(tags['scalars'])}"
scalars = 0
for tag in tags["scalars"]:
    points = {e.step: e.value for e in events.Scalars(tag)}
    assert len(points) == len(events.Scalars(tag)), f"{tag} has a step twice"
    # What is not finite is null in the log.
    finite = {step for step, value in points.items() if math.isfinite(value)}
    logged = {r["step"]: np.float32(r[tag]) for r in log if numeric(r.get(tag))}
    assert finite == set(logged), f"{tag} is at the steps {sorted(finite)}, in the log at {sorted(logged)}"
    for step, value in logged.items():
        assert np.float32(points[step]) == value, f"{tag} at {step}: {points[step]}, in the log {value}"
        scalars += 1

pictures = events.Images("samples")
assert pictures
for p in pictures:
    image = Image.open(io.BytesIO(p.encoded_image_string))
    image.load()
    assert image.size == (p.width, p.height), f"{image.size}, not {p.width} x {p.height}"
    low, high = image.convert("L").getextrema()
    assert low < high, f"the picture of step {p.step} is blank"

batch = int(re.search(r"^batch = (\d+)", (run / "config.toml").read_text(), re.M)[1])
histograms = 0
for tag in ("outputs/real", "outputs/fake"):
    for e in events.Histograms(tag):
        h = e.histogram_value
        assert h.num == sum(h.bucket) == batch, f"{tag} at {e.step}: {h.num} of {batch}, {sum(h.bucket)} in buckets"
        assert h.min <= h.sum / h.num <= h.max and h.sum_squares >= 0
        assert list(h.bucket_limit) == sorted(set(h.bucket_limit))
        filled = [limit for limit, count in zip(h.bucket_limit, h.bucket) if count]
        assert h.min < filled[0] and h.max < filled[-1]
        histograms += 1
assert histograms >= 2

print(json.dumps({"tags": len(tags["scalars"]), "scalars": scalars, "pictures": len(pictures), "histograms": histograms}))
