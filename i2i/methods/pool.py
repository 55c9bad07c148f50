"""The history of generated images that a discriminator is shown (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i import world


class ImagePool:
    """Keeps generated images and hands out old ones in the place of new ones, half of the time.

    The first `size` images are kept and handed out as they are. From then on each image is, by a fair coin, either
    handed out itself, or swapped with one of the pool's, which is handed out. All of it happens on the images' device:
    the host neither waits for a draw nor decides by it, so that a step can be recorded and played again.

    Args:
        size: how many images are kept; 0 hands out every image as it is.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None  # [size, C, H, W], filled from the front
        self.count = torch.zeros((), dtype=torch.long)

    def query(self, images: Tensor) -> Tensor:
        """Return as many images ``[N, C, H, W]`` as are given, without gradients, in fp32."""
        images = images.detach().float()  # whatever the run's precision, which may change when it is resumed
        if self.size == 0:
            return images
        images = world.gathered(images)  # every process keeps the same pool
        if self.images is None:
            self.images = images.new_zeros(self.size, *images.shape[1:])
            self.count = self.count.to(images.device)
        heads = torch.rand(len(images), device=images.device) < 0.5
        drawn = torch.randint(self.size, (len(images),), device=images.device)
        handed_out = []
        for index, image in enumerate(torch.split(images, 1)):  # one may get what another has just put there
            filling = self.count < self.size
            place = torch.where(filling, self.count, drawn[index]).view(1)
            swapped = heads[index] & ~filling
            old = self.images.index_select(0, place)
            handed_out.append(torch.where(swapped, old, image))
            self.images.index_copy_(0, place, torch.where(swapped | filling, image, old))
            self.count += filling
        return world.share(torch.cat(handed_out))

    def state(self) -> dict[str, Tensor]:
        """Return the images that are kept."""
        return {} if self.images is None else {"images": self.images[: int(self.count)].clone()}

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take up what `state` returned."""
        self.images, self.count = None, torch.zeros((), dtype=torch.long)
        if "images" in state:
            kept = state["images"].to(device, torch.float32)
            self.count = torch.tensor(len(kept), device=device)
            self.images = kept.new_zeros(self.size, *kept.shape[1:])
            self.images[: len(kept)] = kept
