"""Models small enough to be made for every test, untrained, and the server on top of them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from i2i.data import DataConfig, files
from i2i.inference import Sampler, Translator
from i2i.inference.latents import LatentSpace
from i2i.inference.trained import Direction
from i2i.nn import DCGANGeneratorConfig, InferencePolicy, build_network, build_noise_generator, network_options
from i2i.optim import Precision
from i2i.seeding import torch_seeded
from i2i.serve.app import create_app
from i2i.serve.images import Limits
from i2i.serve.models import Menu, Sampling, Translating, Way
from tests.conftest import blob_photo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another client library
    from starlette.testclient import TestClient

UNET = {"name": "unet", "depth": 5, "ngf": 4, "init": "kaiming"}
RESNET = {"name": "resnet", "blocks": 1, "ngf": 4, "init": "kaiming"}
ENLARGER = {"name": "srresnet", "blocks": 1, "ngf": 4, "norm": "none", "scale": 2}


def translator(
    channels: tuple[int, int], network: Mapping[str, Any], data: Mapping[str, Any], seed: int = 0
) -> Translator:
    """An untrained model: `network` and `data` as a run's options say them."""
    measures = {"in_channels": channels[0], "out_channels": channels[1]}
    with torch_seeded(seed):
        built = build_network("generator", network_options("generator", dict(network)), measures)
    return Translator(
        built,
        in_channels=channels[0],
        out_channels=channels[1],
        policy=InferencePolicy(statistics="image"),  # untrained, the running ones are no statistics of anything
        data=DataConfig.model_validate({"image_size": 64, **data}),
        precision=Precision(),
        label="untrained",
    )


def drawer() -> Translator:
    """Of edges."""
    return translator((1, 3), UNET, {"derive": "edges"})


def painter() -> Translator:
    """Of photos with a mask."""
    return translator((4, 3), UNET, {"derive": "mask"})


def enlarger() -> Translator:
    """Of small photos, twice as large."""
    return translator(
        (3, 3), ENLARGER, {"derive": {"name": "downscale", "factor": 2, "enlarge": False}, "aspect": "crop"}
    )


def cycle() -> dict[Direction, Way]:
    """Of photos, both ways, each by its own network."""
    return {
        "AtoB": Way(translator((3, 3), RESNET, {"layout": "unpaired"})),
        "BtoA": Way(translator((3, 3), RESNET, {"layout": "unpaired", "direction": "BtoA"}, seed=1)),
    }


def noise_maker() -> Sampler:
    """Of noise and two classes."""
    config = DCGANGeneratorConfig(ngf=4, init="kaiming")
    with torch_seeded(0):
        network = build_noise_generator(config, 6, 3, 16, 2)
    policy = InferencePolicy()
    return Sampler(
        network, LatentSpace(6), classes=("cat", "dog"), channels=3, size=16, policy=policy, precision=Precision()
    )


def whole_menu() -> Menu:
    return Menu(
        [
            Translating("20260101-120000-edges", {"AtoB": Way(drawer(), "untrained", Photos())}),
            Translating("cycle", cycle()),
            Translating("painter", {"AtoB": Way(painter())}),
            Translating("enlarger", {"AtoB": Way(enlarger())}),
            Sampling("noise", "untrained", noise_maker()),
        ]
    )


def way(menu: Menu, name: str, direction: Direction = "AtoB") -> Way:
    return menu.translating(name).way(direction)


class Photos:
    """Examples: drawings of discs."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> files.Pixels:
        image = np.full((64, 64, 1), 255, np.uint8)
        cv2.circle(image, (32, 32), 8 + 6 * index, 0, 1)
        return image


def png(pixels: np.ndarray) -> bytes:
    """Encode ``[H, W, C]``."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(content: bytes) -> files.Pixels:
    return files.from_pil(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def menu() -> Menu:
    return whole_menu()


@pytest.fixture
def client(menu: Menu) -> Iterator[TestClient]:
    with TestClient(create_app(menu, Limits(bytes=200_000, pixels=40_000)), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def photo() -> np.ndarray:
    return blob_photo(1, 80)


Client = TestClient
