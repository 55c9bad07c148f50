from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.nn import CRITICS, NOISE_GENERATORS, Critic, MLPCriticConfig, build_critic, build_noise_generator
from i2i.nn.conditioning import append_labels

SMALL_CRITICS: dict[str, dict[str, Any]] = {"mlp": {"hidden": (8, 5)}, "dcgan": {"ndf": 3, "norm": "none"}}
SMALL_GENERATORS: dict[str, dict[str, Any]] = {"mlp": {"hidden": (8,)}, "dcgan": {"ngf": 3}, "began": {"ngf": 4}}
LABELS = torch.tensor([2, 0])


def critic(name: str, classes: int = 0, outputs: int = 1, **options: Any) -> Critic:
    network = build_critic(CRITICS[name](**SMALL_CRITICS[name], init="kaiming", **options), 2, 12, classes, outputs)
    assert isinstance(network, Critic)
    return network


def test_labels_become_constant_planes_behind_the_channels() -> None:
    x = torch.randn(2, 3, 4, 5)
    joined = append_labels(x, LABELS, 3)
    assert torch.equal(joined[:, :3], x)
    assert torch.equal(joined[:, 3:].sum((2, 3)), 20 * torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    vectors = append_labels(x[:, :, 0, 0].bfloat16(), LABELS, 3)
    assert vectors.dtype == torch.bfloat16
    assert torch.equal(vectors[:, 3:].float(), torch.tensor([[0.0, 0, 1], [1, 0, 0]]))


@pytest.mark.parametrize("name", CRITICS)
def test_projection_is_the_papers_formula(name: str) -> None:
    """f(x, y) = <e(y), phi(x)> + psi(phi(x)), worked out value by value."""
    network, images = critic(name, classes=3, conditioning="projection"), torch.randn(2, 2, 12, 12)
    features = network.features(images)
    assert network.embedding is not None
    assert features.shape == (2, network.num_features)
    expected = []
    for f, label in zip(features.tolist(), LABELS.tolist(), strict=True):
        psi = sum(w * v for w, v in zip(network.head.weight[0].tolist(), f, strict=True)) + network.head.bias.item()
        expected.append(psi + sum(e * v for e, v in zip(network.embedding.weight[label].tolist(), f, strict=True)))
    torch.testing.assert_close(network(images, LABELS), torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize("conditioning", ["concat", "projection"])
def test_labels_matter_to_critics_and_all_weights_learn(name: str, conditioning: str) -> None:
    network, images = critic(name, classes=3, conditioning=conditioning), torch.randn(2, 2, 12, 12)
    here, there = network(images, LABELS), network(images, torch.tensor([1, 0]))
    assert here.shape == (2,)
    assert here[0] != there[0]
    assert here[1] == there[1]
    torch.testing.assert_close(network.judge(network.features(images, LABELS), LABELS), here)
    here.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("name", CRITICS)
def test_heads_share_the_features(name: str) -> None:
    network, images = critic(name, outputs=4), torch.randn(3, 2, 12, 12)
    features = network.features(images)
    assert features.shape == (3, network.num_features)
    torch.testing.assert_close(network(images), nn.functional.linear(features, network.head.weight, network.head.bias))
    assert network(images).shape == network.judge(features).shape == (3, 4)


@pytest.mark.parametrize("name", NOISE_GENERATORS)
def test_labels_matter_to_generators(name: str) -> None:
    network = build_noise_generator(NOISE_GENERATORS[name](**SMALL_GENERATORS[name]), 6, 1, 12, 3).eval()
    z = torch.randn(2, 6)
    here, there = network(z, LABELS), network(z, torch.tensor([1, 0]))
    assert not torch.equal(here[0], there[0])
    assert torch.equal(here[1], there[1])


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (3, None, r"for 3 classes and needs labels, int64 \[2\]"),
        (0, LABELS, "takes no labels"),
        (3, LABELS.int(), r"must be int64 \[2\], not int32 \[2\]"),
        (3, LABELS[:1], r"must be int64 \[2\], not int64 \[1\]"),
        (3, torch.zeros(2, 3, dtype=torch.int64), r"not int64 \[2, 3\]"),
    ],
)
def test_wrong_labels_are_refused(classes: int, labels: Tensor | None, message: str) -> None:
    networks: list[tuple[nn.Module, Tensor]] = [
        (build_noise_generator(NOISE_GENERATORS[name](**options), 6, 1, 12, classes), torch.randn(2, 6))
        for name, options in SMALL_GENERATORS.items()
    ]
    for conditioning in ("concat", "projection"):
        networks += [
            (critic(name, classes, conditioning=conditioning), torch.randn(2, 2, 12, 12)) for name in SMALL_CRITICS
        ]
    for network, x in networks:
        with pytest.raises(ValueError, match=message):
            network(x, labels)


def test_images_of_another_shape_are_refused() -> None:
    for name in CRITICS:
        with pytest.raises(ValueError, match=r"judges images \['N', 2, 12, 12\], not \[1, 2, 12, 16\]"):
            critic(name)(torch.randn(1, 2, 12, 16))


def test_projection_has_one_output() -> None:
    with pytest.raises(UserError, match="made for 1 output, not 2; choose conditioning 'concat'"):
        MLPCriticConfig(conditioning="projection").build(1, 28, classes=10, outputs=2)
    MLPCriticConfig(conditioning="projection").build(1, 28, outputs=2)  # there is nothing to project
