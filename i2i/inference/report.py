"""The page that shows what an evaluation found: one HTML file, pictures included, that needs no network."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from i2i.data import files
from i2i.data.geometry import resize
from i2i.errors import UserError
from i2i.inference.evaluation import Result, Score
from i2i.metrics.catalogue import METRICS

Picture = npt.NDArray[np.uint8]
Pictures = Mapping[str, files.Pixels]

EACH = 3  # best, median and worst images that are shown
LONGEST = 640  # side of a picture in pixels
MAGNIFIED = 4  # times that differences are shown stronger

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --faint: #667; --line: #dde; --paper: #fff; --card: #f6f7f9 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #9aa3ad; --line: #333a42; --paper: #14171a; --card: #1d2125 }
}
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.35rem } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem } p { margin: .2rem 0; color: var(--faint) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right }
th { font-weight: 600; color: var(--faint) } th:first-child, td:first-child { text-align: left }
section { background: var(--card); border-radius: 8px; padding: .8rem 1rem; margin: .8rem 0 }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .6rem; margin-top: .5rem }
figure { margin: 0 } figcaption { color: var(--faint); font-size: .85rem }
img { width: 100%; display: block } img.small { image-rendering: pixelated }
"""


def file_for(flag: str, path: Path | None, name: str, overwrite: bool) -> Path | None:
    """Return the file to write where a file or a folder was asked for, and refuse what would lose one.

    Args:
        flag: asked for it, for the error's text.
        path: what was asked for; None: nothing.
        name: of the file in a folder; a path of another suffix is taken for a folder.
        overwrite: whether a file that exists may be replaced.

    Raises:
        UserError: the file exists, or its folder is a file or may not be written to.
    """
    if path is None:
        return None
    path = path.expanduser()
    if path.is_dir() or path.suffix.lower() != Path(name).suffix:
        path = path / name
    if path.exists() and not overwrite:
        raise UserError(f"{flag} {path}: exists already; add --overwrite")
    standing = next(place for place in path.absolute().parents if place.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        reason = "may not be written to" if standing.is_dir() else "is a file"
        raise UserError(f"{flag} {path}: {standing} {reason}; give another folder")
    return path


def chosen(result: Result, metric: str) -> dict[str, list[str]]:
    """Return the names of the best, the median and the worst pairs by a metric; none comes twice."""
    names = result.ranked(metric)
    each = min(EACH, max(1, len(names) // 3))
    middle = (len(names) - each) // 2
    groups = {"best": names[:each], "median": names[middle : middle + each], "worst": names[-each:][::-1]}
    if len(names) < len(groups):  # one or two pairs: none is in the middle
        del groups["median"]
    return groups if len(names) > 1 else {"best": names}


def write_report(
    path: Path,
    title: str,
    result: Result,
    metric: str | None = None,
    pictures: Callable[[str], Pictures] | None = None,
    failures: Sequence[str] = (),
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        title: what was measured.
        result: what was found.
        metric: by which the best, the median and the worst pairs are chosen; None: none are shown.
        pictures: returns the images of a pair by caption, ``[H, W, C]``, among them ``output`` and ``target``.
        failures: images that were not measured, in words.

    Raises:
        OSError: the file cannot be written.
    """
    parts = [f"<h1>{escape(title)}</h1>", _table(result)]
    parts += [f"<p>{escape(line)}</p>" for line in result.protocol]
    parts += [f"<p>note: {escape(line)}</p>" for line in result.notes]
    parts += [f"<p>failed: {escape(line)}</p>" for line in failures]
    if metric is not None and pictures is not None and result.images:
        for group, names in chosen(result, metric).items():
            parts.append(f"<h2>{group} by {escape(metric)}</h2>")
            parts += [_section(name, result, pictures(name)) for name in names]
        parts.append(_all(result, metric))
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
    files.write_whole(path, page.encode())


def formatted(metric: str, value: float) -> str:
    """Return a value as tables show it, without its unit."""
    return f"{value:.{METRICS[metric].digits}f}"


def row(metric: str, score: Score) -> tuple[str, str, str, str, str]:
    """Return what a table shows of a metric: its name, value, deviation, number of images and which way is better."""
    entry = METRICS[metric]
    deviation = "" if score.deviation is None else f"± {formatted(metric, score.deviation)}"
    images = " and ".join(f"{count:,}" for count in score.images)
    return metric, f"{formatted(metric, score.value)} {entry.unit}".strip(), deviation, images, entry.better


COLUMNS = ("metric", "mean", "deviation", "images", "better")


def _table(result: Result) -> str:
    return _as_table(COLUMNS, [row(metric, score) for metric, score in result.scores.items()])


def _all(result: Result, metric: str) -> str:
    names = result.ranked(metric)[::-1]
    columns = list(result.images[names[0]])
    rows = [(name, *(formatted(column, result.images[name][column]) for column in columns)) for name in names]
    return f"<details><summary>all {len(names)} images</summary>{_as_table(('image', *columns), rows)}</details>"


def _as_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in cells) for cells in rows]
    return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _section(name: str, result: Result, images: Pictures) -> str:
    told = ", ".join(f"{metric} {formatted(metric, value)}" for metric, value in result.images[name].items())
    compared = {caption: result.options.cut(images[caption]) for caption in ("output", "target")}
    shown = {caption: _as_picture(image) for caption, image in {**images, **compared}.items()}
    shown[f"difference x {MAGNIFIED}"] = _difference(shown["output"], shown["target"])
    figures = "".join(
        f"<figure>{_img(picture)}<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, picture in shown.items()
    )
    return f'<section><b>{escape(name)}</b><p>{escape(told)}</p><div class="row">{figures}</div></section>'


def _as_picture(image: files.Pixels) -> Picture:
    """Return RGB of 8 bits; of more than 4 channels the first 3."""
    pixels = files.to_uint8(files.split_alpha(image)[0])[:, :, :3]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _difference(output: Picture, target: Picture) -> Picture:
    levels = np.abs(output.astype(np.int16) - target).mean(axis=2, keepdims=True) * MAGNIFIED
    return np.repeat(levels.clip(0, 255).round().astype(np.uint8), 3, axis=2)


def _img(picture: Picture) -> str:
    """Return an image element that holds its picture, as PNG or as JPEG, whichever is smaller."""
    longest = max(picture.shape[:2])
    if longest > LONGEST:
        picture = resize(picture, *(max(1, round(side * LONGEST / longest)) for side in picture.shape[:2]))
    encoded = {kind: _encoded(picture, kind) for kind in ("png", "jpeg")}
    kind = min(encoded, key=lambda kind: len(encoded[kind]))
    small = ' class="small"' if longest < LONGEST // 4 else ""
    return f'<img{small} src="data:image/{kind};base64,{base64.b64encode(encoded[kind]).decode()}" alt="">'


def _encoded(picture: Picture, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, kind, quality=90)
    return buffer.getvalue()
