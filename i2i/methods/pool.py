"""The history of generated images that a discriminator is shown (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i import world


class ImagePool:
    """Keeps generated images and hands out old ones in the place of new ones, half of the time.

    The first `size` images are kept and handed out as they are. From then on each image is, by a fair coin, either
    handed out itself, or swapped with one of the pool's, which is handed out. Draws come from torch's global CPU
    generator, so that nothing waits for the device.

    Args:
        size: how many images are kept; 0 hands out every image as it is.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None  # [size, C, H, W], filled from the front
        self.count = 0

    def query(self, images: Tensor) -> Tensor:
        """Return as many images ``[N, C, H, W]`` as are given, without gradients."""
        images = images.detach()
        if self.size == 0:
            return images
        images = world.gathered(images)  # every process keeps the same pool
        if self.images is None:
            self.images = images.new_zeros(self.size, *images.shape[1:])
        handed_out = images.clone()
        for index, image in enumerate(images):
            if self.count < self.size:
                self.images[self.count] = image
                self.count += 1
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                handed_out[index] = self.images[place]
                self.images[place] = image
        return world.share(handed_out)

    def state(self) -> dict[str, Tensor]:
        """Return the images that are kept."""
        return {} if self.images is None else {"images": self.images[: self.count].clone()}

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take up what `state` returned."""
        self.images, self.count = None, 0
        if "images" in state:
            kept = state["images"].to(device)
            self.count = len(kept)
            self.images = kept.new_zeros(self.size, *kept.shape[1:])
            self.images[: self.count] = kept
