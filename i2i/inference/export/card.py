"""The model card beside an exported file: what the model is, in words and numbers (Mitchell et al. 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from i2i.inference.runs import is_run
from i2i.inference.trained import TrainedNetwork

MEASURED = ("val/", "metric/")


def run_of(path: Path) -> Path | None:
    """Return the run that a checkpoint lies in; None: it lies alone, or `path` is no checkpoint."""
    parents = path.absolute().parents
    return parents[1] if len(parents) > 1 and is_run(parents[1]) else None


def newest_sheet(path: Path) -> Path | None:
    """Return the last sheet of samples that training wrote before a checkpoint; None: there is none."""
    run = run_of(path)
    sheets = sorted((run / "samples").glob("step_*.png")) if run else []
    return max((sheet for sheet in sheets if sheet.stem <= path.name), default=None)


def measured(path: Path) -> dict[str, float]:
    """Return what validation last measured until a checkpoint, by name, and at which ``step``; empty: nothing."""
    run = run_of(path)
    if run is None or not (run / "metrics.jsonl").is_file():
        return {}
    step, values = int(path.name.removeprefix("step_")), {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
        except ValueError:  # a crash cut it off
            continue
        found = {name: value for name, value in row.items() if name.startswith(MEASURED) and value is not None}
        if found and row["step"] <= step:
            values = {"step": row["step"], **found}
    return values


def model_card(file: Path, header: Mapping[str, Any], trained: TrainedNetwork, sheet: Path | None) -> str:
    """Return the card as Markdown, with the fields by which sites that hold models sort them.

    Args:
        file: what the model's file is called; a sheet is called alike.
        header: what it says of itself (`i2i.inference.export.exporting.describe`).
        trained: the network.
        sheet: a picture of its outputs, if there is one.
    """
    spec, data, facts = header["network"], header["config"]["data"], header["export"]
    policy = header["policy"]
    takes = "noise" if trained.kind == "noise_generator" else f"images of {facts['channels']['in']} channels"
    larger = f", {facts['magnification']} times larger" if facts["magnification"] > 1 else ""
    rows = {
        "method": header["method"],
        "translates": header["translates"] or "noise to images",
        "takes, returns": f"{takes}; images of {facts['channels']['out']} channels{larger}",
        "network": ", ".join(f"{key} {value}" for key, value in spec["config"].items()),
        "data": f"{data['source'] or 'not recorded'}, at {data['image_size']} pixels",
        "inputs": _options(facts["inputs"]) if facts["inputs"] else "as they are",
        "steps": header.get("step", "not recorded"),
        "weights": f"{'averaged, ' if 'ema' in header else ''}{facts['precision']}",
        "at inference": f"batch norm by {policy['statistics']} statistics, dropout {policy['dropout']}",
        **({"imported from": header["imported_from"]} if "imported_from" in header else {}),
        "written by": f"i2i {facts['i2i']}",
    }
    found = {key: value for key, value in header["measured"].items() if key != "step"}
    front = {
        "license": header["licence"],
        "library_name": "i2i",
        "pipeline_tag": "unconditional-image-generation" if trained.kind == "noise_generator" else "image-to-image",
    }
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        "",
        f"# {file.stem}",
        "",
        *([f"![inputs, outputs and targets]({file.with_suffix('.png').name})", ""] if sheet else []),
        *_table(("", ""), rows),
        "",
        "## Measured",
        "",
        *(
            [f"On validation images after {header['measured']['step']} steps:", "", *_table(("metric", "value"), found)]
            if found
            else ["Nothing is recorded."]
        ),
        "",
        "## Licence",
        "",
        header["licence"] if header["licence"] != "unknown" else "Unknown: nobody said (`i2i export --licence`).",
        "",
        "## Use",
        "",
        "```python",
        "import i2i",
        "",
        f'model = i2i.load("{file.name}")',
        "output = model.translate(image)",
        "```",
        "",
    ]
    return "\n".join(lines)


def _options(options: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{key} {value}" for key, value in options.items() if key != "name")
    return f"made from photos by {options['name']}{f' ({rest})' if rest else ''}"


def _table(head: tuple[str, str], rows: Mapping[str, Any]) -> list[str]:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in rows.items()}
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {key} | {value} |" for key, value in shown.items())]
