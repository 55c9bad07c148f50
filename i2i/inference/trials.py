"""A trained model tried on images whose targets are known, to be measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.data import DataConfig, files
from i2i.data.inspection import Side
from i2i.data.layouts import DataFolder, Example, Split
from i2i.data.opened import find_folder
from i2i.data.pairs import PairedImages, read_pair
from i2i.data.sources import Source, find_source
from i2i.errors import UserError, did_you_mean
from i2i.inference.couples import Couple
from i2i.inference.folders import Input, Job, plan_examples, reader_of, translate_jobs
from i2i.inference.junyanz import network_files
from i2i.inference.runs import STEP, is_run, place_of
from i2i.inference.trained import SUFFIXES
from i2i.inference.translator import Translator
from i2i.metrics import metrics_named

LAYOUT_OPTIONS = ("layout", "folder_a", "folder_b")


@dataclass(frozen=True)
class Trial:
    """An image that a model translated: its output lies in a file, input and target are read anew."""

    name: str
    job: Job

    def read(self) -> tuple[files.Pixels | None, files.Pixels | None]:
        """Return output and target, ``[H, W, C]``."""
        return files.read(self.job.output), self.job.read().target

    def pictures(self) -> dict[str, files.Pixels]:
        """Return input, output and target by caption."""
        entry = self.job.read()
        target = {} if entry.target is None else {"target": entry.target}
        return {"input": entry.pixels[..., :3], "output": files.read(self.job.output), **target}


@dataclass(frozen=True)
class Trials:
    """What a model was tried on: all that can be measured, what failed in words, and the images in words."""

    couples: Sequence[Trial | Couple]
    failures: tuple[str, ...]
    images: str


def is_model(path: Path) -> bool:
    """Say whether a trained model stands at `path` or, as runs may be named, below ``runs/``, rather than images."""
    path = place_of(path)
    return (
        is_run(path)
        or (STEP.fullmatch(path.name) is not None and path.is_dir())
        or path.suffix.lower() in SUFFIXES
        or bool(network_files(path))
    )


def try_on(
    translator: Translator,
    given: str | None,
    split: str | None,
    metrics: Sequence[str],
    outputs: Path,
    say: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> Trials:
    """Translate the images of a data set and return them with their targets.

    Images are prepared as for training but whole: at their own size where the model learned from crops of such, else at
    the size of training. Where the model learned from photos that were made worse, it takes pairs, too, of images that
    are bad already.

    Args:
        translator: the model.
        given: a data set's name or a folder's path; None: that which the model was trained on.
        split: which of its images; None: those of ``test``, or else of ``val`` if it is what the model was trained on,
            and all of another.
        metrics: names of what is to be measured.
        outputs: a folder that takes the outputs.
        say: takes lines for the user.
        progress: told (done, all).

    Raises:
        UserError: the data are not there, or do not suit the model or the metrics.
    """
    data = translator.data
    if not (given or data.source):
        raise UserError(f"{translator.label}: does not say what it was trained on; add --data NAME or --data PATH")
    source = find_source(given or data.source)
    known = source.given == data.source
    say(f"data: {source.describe()}")
    heaps = data.layout == "unpaired"
    config = data if known else data.model_copy(update=_layout_of(source))
    folder = find_folder(config, source, translator.data_seed, "heaps" if heaps else "pairs")
    splits = _chosen(folder, split, source, known)
    images = f"{source.name}: {' and '.join(splits)}"
    if heaps:
        _refuse_pairs_of_heaps(metrics)
        jobs = _jobs_of_heap(translator, folder, splits, outputs)
        b: Side = "a" if data.direction == "BtoA" else "b"
        others = [Couple(str(path), None, path) for name in splits for path in folder.side(name, b)]
    else:
        examples = [example for name in splits for example in folder.splits[name]]
        jobs, others = _jobs_of_pairs(translator, config, folder, examples, outputs), []
    say(f"data: {len(jobs)} images of {images}")
    result = translate_jobs(translator, jobs, 1, progress)
    trials = [Trial(job.name, job) for job in jobs if job.output.exists()]
    if not trials:
        raise UserError(f"none of the images of {images} could be translated: {result.failures[0]}")
    return Trials([*trials, *others], result.failures, images)


def _layout_of(source: Source) -> dict[str, Any]:
    """Return the options that say how a data set is arranged: its recipe's, or none."""
    told = [layer.options.get("data", {}) for layer in source.layers]
    return {"source_b": None} | {
        key: next((options[key] for options in reversed(told) if key in options), None) for key in LAYOUT_OPTIONS
    }


def _chosen(folder: DataFolder, split: str | None, source: Source, known: bool) -> list[Split]:
    filled: list[Split] = [name for name, examples in folder.splits.items() if examples]
    if split is not None:
        if split not in filled:
            raise UserError(f"--split {split}: {source.name} has no such images{did_you_mean(split, filled)}")
        return [name for name in filled if name == split]
    if "test" in filled:
        return ["test"]
    return ["val"] if known and "val" in filled else filled


def _refuse_pairs_of_heaps(metrics: Sequence[str]) -> None:
    if of_pairs := [metric.name for metric in metrics_named(metrics) if metric.of_pairs]:
        raise UserError(
            f"{of_pairs[0]}: compares an output with its target, and unpaired images have none; say --metrics fid,kid"
        )


def _jobs_of_heap(translator: Translator, folder: DataFolder, splits: Sequence[Split], outputs: Path) -> list[Job]:
    read = reader_of(translator, "inputs", None, keep_alpha=False)
    a: Side = "b" if translator.data.direction == "BtoA" else "a"
    paths = [path for name in splits for path in folder.side(name, a)]
    return [
        Job(str(path), outputs / f"{index:06d}.png", lambda path=path: read(path))  # type: ignore[misc]
        for index, path in enumerate(paths)
    ]


def _jobs_of_pairs(
    translator: Translator, config: DataConfig, folder: DataFolder, examples: Sequence[Example], outputs: Path
) -> list[Job]:
    derive = config.derive
    if folder.layout == "photos" and derive is None:
        raise UserError(f"{folder.root}: holds plain photos, and this model learned from given pairs; give such pairs")
    if derive is not None and (folder.layout == "photos" or derive.takes == "pairs"):
        translator.refuse_unknown_code()
    elif derive is not None:
        return [
            Job(example.name, outputs / f"{index:06d}.png", lambda example=example: _bad_already(translator, example))  # type: ignore[misc]
            for index, example in enumerate(examples)
        ]
    config = config.model_copy(
        update={"layout": folder.layout, "folder_a": folder.folder_a, "folder_b": folder.folder_b}
    )
    pairs = PairedImages(examples, config, translator.data_seed, train=False, whole=True)
    return plan_examples(pairs, outputs, overwrite=False)


def _bad_already(translator: Translator, example: Example) -> Input:
    """Read a pair whose input was not derived from its photo, at its own size."""
    data = translator.data.model_copy(update={"derive": None, "channels_a": None})
    a, b = read_pair(example, data)
    image, target = (b, a) if data.direction == "BtoA" else (a, b)
    return Input(translator.prepared(image)[0], (target.shape[0], target.shape[1]), target=target)
