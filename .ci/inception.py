"""What the package pytorch-fid makes of pictures with its Inception network, for ganvil to be compared with.

    .ci/inception.py layers         the network's convolutions: names and shapes (tests/inception/layers.txt)
    .ci/inception.py fixture        a few features and logits of one picture, weights and picture by a formula
                                    (tests/inception/main.rs has the same formula and these numbers)
    .ci/inception.py peer FOLDER    weights drawn at random, pictures of several sizes, and features and logits of them

Needs torch, torchvision, pytorch-fid, safetensors. No weights are fetched.
"""
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from pytorch_fid import inception as package
from safetensors.torch import save_file


def network():
    """The package's own module without its weights."""
    load = torchvision.models.Inception3.load_state_dict
    package.load_state_dict_from_url = lambda *_, **__: None
    torchvision.models.Inception3.load_state_dict = lambda *_, **__: None
    net = package.fid_inception_v3()
    torchvision.models.Inception3.load_state_dict = load
    return net.eval()


def extractor(net):
    """The package's feature extractor around a network."""
    package.fid_inception_v3 = lambda: net
    return package.InceptionV3([3]).eval()


def seen(net, pictures):
    """Features and logits of pictures, bytes [n, 1 or 3, h, w]: as the package's dataset and extractor have it."""
    x = torch.from_numpy(pictures).float().div(255)
    with torch.inference_mode():
        features = extractor(net)(x.expand(-1, 3, -1, -1))[0].flatten(1)
        return features, net.fc(features)


def noise(name, count):
    """Numbers in [-1, 1) by a formula, other ones for each name: a hash of the index (murmur3's last step)."""
    seed = 0x811C9DC5  # FNV-1a
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = (np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)) ^ np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    return (h ^ (h >> np.uint32(16))) / 2.0**31 - 1


def by_formula(net):
    for name, t in net.state_dict().items():
        if t.dtype == torch.int64:
            continue
        v = noise(name, t.numel())
        kind = name.rsplit(".", 1)[1]
        if kind == "running_var" or name.endswith("bn.weight"):
            v = 1 + 0.5 * v
        elif kind == "weight":
            v *= math.sqrt(6 / t[0].numel())
        else:
            v *= 0.25
        t.copy_(torch.from_numpy(v).reshape(t.shape))


def at_random(net):
    torch.manual_seed(1)
    for name, t in net.state_dict().items():
        if name.endswith("running_var"):
            t.uniform_(0.3, 2)
        elif name.endswith("bn.weight"):
            t.uniform_(0.5, 1.5)
        elif name.endswith("weight"):
            t.normal_(0, math.sqrt(2 / t[0].numel()))
        elif t.dtype != torch.int64:
            t.normal_(0, 0.3)


def layers(net):
    for name, t in net.state_dict().items():
        if name.endswith("conv.weight"):
            print(name.removesuffix(".conv.weight"), *t.shape)


def fixture(net):
    by_formula(net)
    picture = (noise("picture", 28 * 28) * 128 + 128).astype(np.uint8).reshape(1, 1, 28, 28)
    features, logits = (t[0].double().numpy() for t in seen(net, picture))
    # A few of every branch of the last block: of its kernels of one pixel, its four forks, its pool.
    print("features", [(i, float(f"{features[i]:.7g}")) for i in range(0, 2048, 89)])
    print("norm of the features", f"{np.linalg.norm(features):.7g}")
    print("logits", [(i, float(f"{logits[i]:.7g}")) for i in range(0, 1008, 251)])


def peer(net, folder):
    at_random(net)
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {k: t.contiguous() for k, t in extractor(net).state_dict().items()}
    save_file({k: t.contiguous() for k, t in net.state_dict().items()}, folder / "weights.safetensors")
    save_file(numbered, folder / "numbered.safetensors")
    draw = np.random.default_rng(2)
    cases = {}
    for shape in [(3, 1, 28, 28), (3, 3, 32, 32), (2, 3, 300, 400), (2, 3, 299, 299), (1, 1, 1, 1), (1, 3, 1200, 2), (2, 1, 64, 640)]:
        name = "x".join(map(str, shape))
        pictures = draw.integers(0, 256, shape, dtype=np.uint8)
        # One with large areas of one colour, as photographs have.
        pictures[-1] = pictures[-1] // 8 + 200 * (np.arange(shape[3]) > shape[3] / 2).astype(np.uint8)
        features, logits = seen(net, pictures)
        cases |= {f"{name}.pictures": torch.from_numpy(pictures), f"{name}.features": features, f"{name}.logits": logits}
    save_file(cases, folder / "cases.safetensors")


net = network()
if sys.argv[1:] == ["layers"]:
    layers(net)
elif sys.argv[1:] == ["fixture"]:
    fixture(net)
elif sys.argv[1:2] == ["peer"] and len(sys.argv) == 3:
    peer(net, Path(sys.argv[2]))
else:
    sys.exit(__doc__)
