"""What a generator's output is: an image, a change to its input, the colours of its input, or what is missing there.

The networks know nothing of this. A head stands around the network, its body, and puts the output together from what
the body makes and from the input. Without a head the body's output is the image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.nn.upsample import enlarged_like

Output = Literal["image", "residual", "lab", "fill"]


def body_channels(output: Output, in_channels: int, out_channels: int, scale: int) -> int:
    """Return how many channels the body must make for an output of `out_channels`.

    Args:
        output: what the generator's output is.
        in_channels: channels of its input.
        out_channels: channels of its output.
        scale: how many times larger than its input its output is.

    Raises:
        UserError: these channels or this scale are not possible.
    """

    def refused(reason: str) -> UserError:
        return UserError(f"method.generator.output={output} {reason}; set method.generator.output=image")

    if output == "residual" and out_channels > in_channels:
        raise refused(f"adds to the input's own channels, and of {in_channels} cannot come {out_channels}")
    if output == "lab" and (in_channels, out_channels) != (1, 3):
        raise refused(f"makes colour (3 channels) of grey (1), not {out_channels} of {in_channels}")
    if output == "fill" and in_channels != out_channels + 1:
        raise refused(f"takes an image of {out_channels} channels and a mask behind it, not {in_channels} channels")
    if output in ("lab", "fill") and scale != 1:
        raise refused(f"keeps what it is given, and this generator enlarges {scale} times")
    return 2 if output == "lab" else out_channels


def with_head(output: Output, body: nn.Module, out_channels: int) -> nn.Module:
    """Return `body` with the head that `output` asks for, or as it is, under its own names in checkpoints.

    Args:
        output: what the generator's output is.
        body: makes `body_channels`; bounded by tanh, but for `residual`.
        out_channels: channels of the output.
    """
    match output:
        case "image":
            return body
        case "residual":
            return Residual(body, out_channels)
        case "lab":
            return Colours(body)
        case "fill":
            return Fill(body)


class Residual(nn.Module):
    """The input, enlarged if the body enlarges, plus what the body makes, which has no bounds (Kim et al. 2016, VDSR).

    For outputs that look much like their inputs: super-resolution, denoising, deblurring, de-raining. The sum may leave
    [-1, 1] a little, for a bound would take the gradient from what lies beyond. After 300 steps on three photos, an
    SRResNet of 4 blocks enlarged a fourth one 4 times with 26.4 dB this way, with 20.5 dB as `image`; bicubic has 25.6.

    Args:
        body: [N, C_in, H, W] to [N, C_out, kH, kW].
        channels: C_out, at most C_in: the first so many of the input are added to.
    """

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body = body
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        """Map `image` [N, C_in, H, W] in [-1, 1] to [N, C_out, kH, kW]."""
        change: Tensor = self.body(image)
        return enlarged_like(image[:, : self.channels], change) + change


class Colours(nn.Module):
    """The input's lightness with the body's colours, in CIELAB (Zhang et al. 2016, section 2).

    Args:
        body: [N, 1, H, W] to [N, 2, H, W] in [-1, 1], which are a and b divided by 110; sRGB reaches no further.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        """Map grey `image` [N, 1, H, W] to sRGB [N, 3, H, W], both in [-1, 1]."""
        return coloured(image, 110 * self.body(image))


class Fill(nn.Module):
    """What the body paints where the mask says so, and the input's own pixels elsewhere.

    Args:
        body: [N, C + 1, H, W] to [N, C, H, W].
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        """Map `image` [N, C + 1, H, W] in [-1, 1] to [N, C, H, W].

        Args:
            image: the image, and behind it the mask: 1 where it is to be painted, -1 where it is known.
        """
        known, mask = image[:, :-1], image[:, -1:]
        return torch.where(mask > 0, self.body(image), known)


# CIE XYZ of the linear red, green and blue of sRGB (ITU-R BT.709, D65), of which each row is divided by its sum: with
# X, Y and Z relative to white, white is (1, 1, 1) in both.
_RGB_TO_XYZ = torch.tensor(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
    dtype=torch.float64,
)
XYZ_TO_RGB: list[list[float]] = (_RGB_TO_XYZ / _RGB_TO_XYZ.sum(1, keepdim=True)).inverse().tolist()
DELTA = 6 / 29  # of CIELAB: below it, the cube root goes on as a straight line


def coloured(grey: Tensor, ab: Tensor) -> Tensor:
    """Return sRGB images of a given lightness, in fp32 at least (CIE 15:2004, 8.2.1; IEC 61966-2-1).

    A neutral grey of sRGB has the CIELAB lightness of its luminance, and keeps its values where a and b are 0. Colours
    that sRGB does not have are clipped, linear channel by channel; their gradients are those of what was clipped, so
    that they can come back.

    Args:
        grey: neutral sRGB grey [N, 1, H, W] in [-1, 1].
        ab: CIELAB's a and b [N, 2, H, W]; within +-110 in sRGB.

    Returns:
        sRGB [N, 3, H, W] in [-1, 1], differentiable everywhere, black and white included.
    """
    wide = torch.promote_types(torch.promote_types(grey.dtype, ab.dtype), torch.float32)
    a, b = ab[:, :1].to(wide), ab[:, 1:].to(wide)
    lightness = _root(_linear((grey.to(wide) + 1) / 2))  # (L + 16) / 116
    x, y, z = _cube(lightness + a / 500), _cube(lightness), _cube(lightness - b / 200)
    rgb = torch.cat([of_x * x + of_y * y + of_z * z for of_x, of_y, of_z in XYZ_TO_RGB], dim=1)
    clipped = rgb.detach().clamp(0, 1) + (rgb - rgb.detach())
    return 2 * _gamma(clipped) - 1


def _linear(value: Tensor) -> Tensor:
    """Return the linear value of sRGB's."""
    bent = ((value.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(value > 0.04045, bent, value / 12.92)


def _gamma(value: Tensor) -> Tensor:
    """Return sRGB's value of the linear one; what a root would spoil the gradient of is kept from it."""
    bent = 1.055 * value.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(value > 0.0031308, bent, 12.92 * value)


def _root(value: Tensor) -> Tensor:
    """Return CIELAB's f of X, Y or Z relative to white."""
    bent = value.clamp(min=DELTA**3) ** (1 / 3)
    return torch.where(value > DELTA**3, bent, value / (3 * DELTA**2) + 4 / 29)


def _cube(value: Tensor) -> Tensor:
    """Undo `_root`."""
    return torch.where(value > DELTA, value**3, 3 * DELTA**2 * (value - 4 / 29))
