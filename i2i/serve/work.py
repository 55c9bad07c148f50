"""What is done for a request, from the bytes that came to those that go: all of it off the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from i2i.data import files
from i2i.data.geometry import short_side_size
from i2i.errors import UserError
from i2i.inference import Sampler, Translator
from i2i.inference.folders import at_size
from i2i.inference.latents import Latents
from i2i.inference.sampler import Pictures
from i2i.inference.translator import alpha_like, is_out_of_memory, resized
from i2i.seeding import numpy_generator
from i2i.serve.images import Limits
from i2i.serve.models import Way
from i2i.serve.queries import SampleQuery
from i2i.serve.refusal import Refusal


@dataclass(frozen=True)
class Prepared:
    """An image as a network takes it.

    Attributes:
        pixels: ``[h, w, C]``.
        size: (height, width) of the image that goes out.
        alpha: transparency that goes past the network.
        deep: whether the output has 16 bits.
    """

    pixels: files.Pixels
    size: tuple[int, int]
    alpha: files.Pixels | None
    deep: bool


def prepare(way: Way, image: files.Pixels, mask: files.Pixels | None, *, size: int | None, limits: Limits) -> Prepared:
    """Return what the network takes of an image ``[H, W, C]``.

    Raises:
        Refusal: it would work on, or return, too many pixels (413).
        UserError: the mask is missing, of another size or not wanted, or the channels do not fit.
    """
    model, (height, width) = way.translator, image.shape[:2]
    times = model.magnification
    limits.refuse_large(times * height, times * width, "the output")
    if size is not None:
        worked = short_side_size(height, width, size)
        limits.refuse_large(times * worked[0], times * worked[1], "what is to be worked on")
    if model.wants_mask and mask is None:
        raise UserError(
            "this model takes a mask beside each image, white where it is marked; with curl: -F image=@photo.jpg -F "
            "mask=@mask.png"
        )
    pixels, alpha = model.prepared(image, mask, size)
    # Said here of one image, for a batch cannot tell whose fault it is.
    files.to_channels(pixels[:1, :1], model.in_channels)
    return Prepared(pixels, (times * height, times * width), alpha, model.is_deep(pixels))


def derive(way: Way, photo: files.Pixels, *, size: int | None, seed: int, limits: Limits) -> files.Pixels:
    """Return a photo as it was made the model's input in training: its edges, made small, rainy ...

    Raises:
        Refusal: it would work on too many pixels (413).
        UserError: the model learned from given inputs, or takes a mask that must be given.
    """
    model, how = way.translator, way.translator.derive
    if how is None or not way.derives:
        reason = "takes a mask that must be given" if model.wants_mask else "was not trained on inputs made of photos"
        raise UserError(f"derive: this model {reason}; leave derive out")
    height, width = way.derive_size(photo.shape[0], photo.shape[1], size)
    limits.refuse_large(height, width, "what is to be worked on")
    photo = resized(files.to_channels(photo, model.data.channels_b or 3), height, width)
    return how.degraded(files.to_uint8(photo), numpy_generator(seed, "derive"))


def translate_batch(model: Translator) -> Callable[[Sequence[Prepared]], Sequence[files.Pixels]]:
    """Return the function that translates images of one shape and depth, as `i2i.serve.batching` runs it."""

    def run(batch: Sequence[Prepared]) -> Sequence[files.Pixels]:
        images = [entry.pixels for entry in batch]
        size = model.batch_size(*images[0].shape[:2]) if len(images) > 1 else 1
        parts = [images[at : at + size] for at in range(0, len(images), size)]
        try:
            return [output for part in parts for output in model.translate_pixels(part, deep=batch[0].deep)]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise Refusal(
                413, "the image needs more memory than there is; send a smaller one, or a smaller size"
            ) from error

    return run


def finish(output: files.Pixels, entry: Prepared) -> files.Pixels:
    """Return an output at the size of the image that came, with its transparency."""
    output = at_size(output, entry.size)
    return output if entry.alpha is None else files.with_alpha(output, alpha_like(output, entry.alpha))


@dataclass(frozen=True)
class Noise:
    """Vectors ``[N, width]`` and the class of their images."""

    vectors: Latents
    label: int | None


def noise_of(sampler: Sampler, query: SampleQuery) -> Noise:
    """Return the noise that a request asks images of.

    Raises:
        UserError: the model has no such class or axis, or cannot truncate its noise.
    """
    space = sampler.space
    if sampler.classes and query.label is None:
        raise UserError(f"the model has classes; add label with one of: {', '.join(sampler.classes)}")
    label = None if query.label is None else sampler.label_of(query.label)
    if query.interpolate:
        first, last = space.draw(query.interpolate, query.truncation)
        return Noise(space.between(first, last, query.steps or 16, query.along), label)
    vectors = space.draw(query.seeds, query.truncation)
    return Noise(space.traverse(query.traverse, vectors[0], query.steps) if query.traverse else vectors, label)


def sample_batch(sampler: Sampler) -> Callable[[Sequence[Noise]], Sequence[Pictures]]:
    """Return the function that makes the images of several requests at once, as `i2i.serve.batching` runs it."""

    def run(batch: Sequence[Noise]) -> Sequence[Pictures]:
        counts = [len(noise.vectors) for noise in batch]
        labels = [noise.label for noise in batch for _ in noise.vectors] if sampler.classes else None
        images = sampler.render(np.concatenate([noise.vectors for noise in batch]), labels)  # type: ignore[arg-type]
        return np.split(images, np.cumsum(counts)[:-1])

    return run


def side_by_side(images: Pictures) -> files.Pixels:
    """Return images ``[N, H, W, C]`` in a row, ``[H, N * W, C]``."""
    return np.concatenate(list(images), axis=1)
