"""Images to try a model with: those that were held out of its training, where its data are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from i2i.data import files
from i2i.data.images import to_pixels
from i2i.data.layouts import Example
from i2i.data.opened import find_folder
from i2i.data.pairs import PairedImages
from i2i.data.sources import find_source
from i2i.errors import UserError
from i2i.inference import Translator
from i2i.resources import resource_names
from i2i.seeding import numpy_generator


class Examples(Protocol):
    """Images such as a model takes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> files.Pixels: ...


@dataclass(frozen=True)
class HeldOut:
    """The inputs of held-out examples, as one would have them: a drawing, a small photo, one that is to be painted in.

    Attributes:
        translator: the model, which knows how they are prepared.
        examples: their files.
    """

    translator: Translator
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> files.Pixels:
        """Return an input ``[H, W, C]``.

        Raises:
            BrokenImage: its file cannot be read.
        """
        model, example = self.translator, self.examples[index]
        if model.data.layout == "unpaired":
            return files.read(example.files[0])
        # Made anew for each: a set keeps what it has decoded, and a server runs for weeks.
        item = PairedImages([example], model.data, model.data_seed, train=False)[0, 0]
        photo, given = (to_pixels(item[side]) for side in "ba")
        if model.derive is None:
            return given[..., : given.shape[2] - model.wants_mask]
        return model.derive.degraded(files.to_uint8(photo), numpy_generator(0, "example", index))


def find_examples(translator: Translator, say: Callable[[str], None], *, anywhere: bool) -> Examples:
    """Return the held-out images of the data that a model was trained on; none where these are not on this machine.

    Args:
        translator: the model.
        say: takes a line for the user where there are none.
        anywhere: look into any folder that the model names; otherwise at named data sets alone, for the files of
            strangers are not to say what visitors are shown.
    """
    data = translator.data
    if not data.source:
        return ()
    try:
        translator.refuse_unknown_code()
        if not anywhere and {data.source, data.source_b or data.source} - set(resource_names("datasets")):
            raise UserError("a single file brings none, unless its data set has a name")
        source = find_source(data.source)
        here = source.path or source.prepared or source.downloaded or (source.recipe and source.recipe.builtin)
        if not here:
            raise UserError(f"{source.name} is not on this machine; to have it: i2i data download {source.name}")
        folder = find_folder(data, source, translator.data_seed, "heaps" if data.layout == "unpaired" else "pairs")
    except UserError as error:
        say(f"note: no held-out images to try: {error}")
        return ()
    examples = next((found for name in ("val", "test", "train") if (found := folder.splits.get(name))), ())
    if data.layout == "unpaired":
        examples = tuple(e for e in examples if (e.b if data.direction == "BtoA" else e.a))
    return HeldOut(translator, tuple(examples))
