from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.errors import UserError
from i2i.nn import BEGANAutoencoder, BEGANAutoencoderConfig, BEGANGenerator, BEGANGeneratorConfig, build_autoencoder
from i2i.nn.autoencoder import BEGANDecoder


@pytest.mark.parametrize(("size", "base"), [(28, 7), (32, 8), (64, 8), (128, 8), (48, 6), (80, 5)])
def test_shapes(size: int, base: int) -> None:
    network = build_autoencoder(BEGANAutoencoderConfig(ndf=2), 3, size, 5)
    assert isinstance(network, BEGANAutoencoder)
    images = torch.rand(2, 3, size, size) * 2 - 1
    assert network(images).shape == images.shape
    assert network.encoder(images).shape == (2, 5)
    assert network.decoder.square == (2, base, base)


def test_layers_of_the_papers_figure() -> None:
    """Figure 1 for 32 pixels: n, n, n, 2n, 2n, 2n, 3n, 3n, 3n down to 8 x 8, and n throughout on the way up."""
    network = BEGANAutoencoder(3, 32, 64, ndf=4)
    down = [(m.out_channels, m.stride[0]) for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert down == [(4, 1), (4, 1), (4, 1), (8, 2), (8, 1), (8, 1), (12, 2), (12, 1), (12, 1)]
    assert network.encoder.head.in_features == 8 * 8 * 12
    up = [(m.in_channels, m.out_channels) for m in network.decoder.modules() if isinstance(m, nn.Conv2d)]
    assert up == [(4, 4)] * 6 + [(4, 3)]
    assert all(m.kernel_size == (3, 3) for m in network.modules() if isinstance(m, nn.Conv2d))
    # no activation on the way to and from the hidden state, nor on the image; ELU behind every other convolution
    assert sum(isinstance(m, nn.ELU) for m in network.modules()) == 9 + 6


def test_the_generator_is_the_decoder_and_tanh() -> None:
    generator, network = BEGANGenerator(64, 3, 32, ngf=4), BEGANAutoencoder(3, 32, 64, ndf=4)
    generator.decoder.load_state_dict(network.decoder.state_dict())
    z = torch.randn(2, 64)
    torch.testing.assert_close(generator(z), network.decoder(z).tanh())


def test_skips_show_every_size_the_first_tensor() -> None:
    decoder = BEGANDecoder(6, 1, 64, width=2, repeats=1, skips=True)
    up = [m.in_channels for m in decoder.modules() if isinstance(m, nn.Conv2d)]
    assert up == [2, 4, 4, 4, 2]
    seen: list[torch.Tensor] = []
    for stage in decoder.levels:
        stage.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    decoder(torch.randn(1, 6))
    for level in (1, 2, 3):
        first = seen[0].repeat_interleave(2**level, 2).repeat_interleave(2**level, 3)
        assert torch.equal(seen[level][:, 2:], first)


@pytest.mark.parametrize("init", ["xavier", "kaiming", "orthogonal"])
def test_all_weights_learn_and_no_image_is_lost(init: str) -> None:
    network = build_autoencoder(BEGANAutoencoderConfig.model_validate({"ndf": 8, "init": init}), 1, 64, 16)
    images = torch.rand(4, 1, 64, 64) * 2 - 1
    reconstructed = network(images)
    assert 1e-3 < reconstructed.std().item() < 10
    (reconstructed - images).abs().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_other_sizes_are_refused_with_the_nearest() -> None:
    for build in (lambda: BEGANGeneratorConfig().build(8, 3, 36), lambda: BEGANAutoencoderConfig().build(3, 36, 8)):
        with pytest.raises(UserError, match="a square of 5 to 8; choose an --image-size of 32 or 40"):
            build()
