"""How good the digits are that runs make: a classifier trained on real ones says which they are.

    python tools/digits.py MNIST_FOLDER RUN [RUN ...] --json digits.json

For every run: the share of samples of each class, and of a conditional one the share that the classifier takes for what
was asked. The classifier is a small convolutional network; its own accuracy is measured on digits held out of its
training.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from i2i.data import DataConfig, find_source, open_data, to_model_range
from i2i.data.images import ImageSet
from i2i.inference import Sampler, load_sampler

CLASSES = 10
BATCH = 100


def classifier() -> nn.Module:
    layers: list[nn.Module] = []
    for below, width in ((1, 32), (32, 64)):
        layers += [nn.Conv2d(below, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 7 * 7, CLASSES))


def stacked(images: ImageSet) -> tuple[Tensor, Tensor]:
    items = [images[index, 0] for index in range(len(images))]
    digits = to_model_range(torch.stack([item["image"] for item in items]))
    return digits, torch.tensor([int(item["label"]) for item in items])


@torch.no_grad()
def guesses(network: nn.Module, digits: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(1) for part in torch.split(digits, BATCH)])


def trained_classifier(folder: str, epochs: int) -> tuple[nn.Module, float]:
    """Return a classifier of the digits in a folder of IDX files, and its accuracy on those held out."""
    source = find_source(folder)
    config = DataConfig(source=source.given, image_size=28, flip=False)
    data = open_data(config, source, 0, lambda line: None, needs="images")
    digits, labels = stacked(data.splits["train"].as_held_out())
    torch.manual_seed(0)
    network = classifier()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(digits)), BATCH):
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(network(digits[batch]), labels[batch]))
            optimizer.step()
    network.eval()
    digits, labels = stacked(data.held_out)
    return network, float((guesses(network, digits) == labels).float().mean())


def judged(network: nn.Module, sampler: Sampler, samples: int) -> dict[str, Any]:
    """Return what the classifier says of a run's samples."""
    asked = [index % CLASSES for index in range(samples)] if sampler.classes else None
    images = sampler.sample(range(samples), asked)
    seen = guesses(network, to_model_range(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))))
    shares = torch.bincount(seen, minlength=CLASSES) / samples
    result: dict[str, Any] = {"model": sampler.label, "shares": [round(float(share), 3) for share in shares]}
    if asked is not None:
        result["as_asked"] = round(float((seen == torch.tensor(asked)).float().mean()), 4)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", help="folder of MNIST's IDX files")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12, help="of the classifier")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    arguments = parser.parse_args()
    network, accuracy = trained_classifier(arguments.digits, arguments.epochs)
    print(f"classifier: {accuracy:.1%} of the digits held out")
    rows = {run.name: judged(network, load_sampler(run, device="cpu"), arguments.samples) for run in arguments.runs}
    for name, row in rows.items():
        asked = f"  as asked {row['as_asked']:.1%}" if "as_asked" in row else ""
        print(f"{name:>12}  " + " ".join(f"{digit}:{share:.0%}" for digit, share in enumerate(row["shares"])) + asked)
    if arguments.json:
        result = {
            "command": "python tools/digits.py " + " ".join(sys.argv[1:]),
            "device": f"{os.cpu_count()} CPU cores",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "samples": arguments.samples,
            "classifier_accuracy": round(accuracy, 4),
            "runs": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
