"""The sliced Wasserstein distance between two sets of images (Rabin et al. 2011; after Karras et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

PATCH = 7
PATCHES_PER_IMAGE = 64
PROJECTIONS = 256
LEVEL = 2 / 255  # one grey level of an image in [-1, 1]


def sliced_wasserstein(images: Tensor, reference: Tensor, seed: int = 0) -> Tensor:
    """Return how far the patches of two sets of images are apart, a scalar from 0, the mean over three sizes.

    As in Karras et al. 2018 (section 5), patches of 7 x 7 pixels are compared at several sizes, by the distance of
    their projections onto random directions, which in one dimension is the mean difference of the sorted values. The
    sizes are the images' own, its half and its quarter, save for those with a side below 7 pixels; smaller images are
    one patch high or wide. Other than there, the sizes are not split into bands, and both sets are normalised by the
    reference's mean and deviation per channel, so that wrong colours count. It sees textures and colours at each size,
    not whether a whole makes sense. Sets of other sizes give other values, so compare only those of the same. The order
    of a set's images matters little, for the places of the patches are drawn for each.

    Args:
        images: [N, C, H, W] in [-1, 1].
        reference: [N, C, H, W], as many.
        seed: of places and directions, which are the same for both sets; the global generators are left alone.

    Raises:
        ValueError: the sets are of different shapes.
    """
    if images.shape != reference.shape:
        raise ValueError(
            f"sets of the same shape can be compared, not {list(images.shape)} and {list(reference.shape)}"
        )
    images, reference = images.float(), reference.float()
    generator = torch.Generator().manual_seed(seed)
    distances = []
    with torch.autocast(images.device.type, enabled=False):
        while True:
            distances.append(_distance(images, reference, generator))
            if len(distances) == 3 or min(images.shape[-2:]) < 2 * PATCH:
                return torch.stack(distances).mean()
            images, reference = avg_pool2d(images, 2), avg_pool2d(reference, 2)


def _distance(images: Tensor, reference: Tensor, generator: torch.Generator) -> Tensor:
    count, channels, height, width = images.shape
    side = min(PATCH, height, width)
    places = (count, PATCHES_PER_IMAGE)
    rows = torch.randint(height - side + 1, places, generator=generator)
    columns = torch.randint(width - side + 1, places, generator=generator)
    directions = torch.randn(channels * side * side, PROJECTIONS, generator=generator)
    directions = (directions / directions.norm(dim=0)).to(images.device)

    def projected(x: Tensor) -> Tensor:
        windows = x.unfold(2, side, 1).unfold(3, side, 1)  # [N, C, H', W', side, side], a view
        batch = torch.arange(count)[:, None]
        patches = windows[batch, :, rows, columns]  # [N, places, C, side, side]
        values: Tensor = patches.flatten(0, 1).flatten(1) @ directions
        return values.sort(dim=0).values

    mean = reference.mean(dim=(0, 2, 3), keepdim=True)
    # a flat channel has no deviation, and must not blow up the last bit of the other set's
    deviation = reference.std(dim=(0, 2, 3), keepdim=True, correction=0).clamp(min=LEVEL)
    distance: Tensor = (projected((images - mean) / deviation) - projected((reference - mean) / deviation)).abs().mean()
    return distance
