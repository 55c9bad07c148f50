"""Every block of shell and Python in the README and the docs does what its page says.

The blocks of a page run one after the other, in a folder of the page's own, and see what those above them left there:
files, variables, the working folder. What they need and how they differ here is said in comments of the page before
a block:

    <!-- test: given photos holidays -->   runs a line that the page does not show, such as one of `GIVEN` below
    <!-- test: slow -->                    takes minutes: left out of `make test`
    <!-- test: skip: needs two GPUs -->    cannot run here, and why

All images and networks are small, and trainings take two steps: options are read and checked as they are typed, and
made small afterwards (`small`). A block of Python or YAML that begins with the name of a file, `# my_losses.py`, is
what is to be written into that file.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

import i2i.engine.config
import i2i.engine.runs
from i2i.cli import main
from i2i.config import Layer
from i2i.data import drawn
from i2i.data.cats import draw_cat
from i2i.engine.config import RunConfig
from i2i.methods import METHODS
from i2i.seeding import numpy_generator

Image = npt.NDArray[np.uint8]

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("sh", "bash", "python", "yaml")
SIDE = 64  # of images
STEPS = 2


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: where its text begins in the page.
        language: what the fence says.
        text: what is in it.
        given: lines of shell to be run before it.
        slow: whether it takes minutes.
        skipped: why it cannot run here; None: it can.
    """

    line: int
    language: str
    text: str
    given: tuple[str, ...]
    slow: bool
    skipped: str | None


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the blocks of a page that can be run."""
    said: list[str] = []
    lines = iter(enumerate(page.splitlines(), start=1))
    for number, line in lines:
        if comment := re.fullmatch(r"\s*<!-- test: (.*) -->", line):
            said.append(comment[1])
        elif fence := re.match(r"(\s*)```(\w*)", line):
            indent, language = len(fence[1]), fence[2]
            text = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                text.append(inner[indent:])
            if language in LANGUAGES:
                unknown = [word for word in said if not re.match(r"slow$|given \S|skip: \S", word)]
                assert not unknown, f"line {number}: {unknown} is nothing that a test can be told"
                yield Block(
                    number + 1,
                    language,
                    "\n".join(text) + "\n",
                    tuple(word.removeprefix("given ") for word in said if word.startswith("given ")),
                    "slow" in said,
                    next((word.removeprefix("skip: ") for word in said if word.startswith("skip: ")), None),
                )
                said = []


BLOCKS = {
    str(page.relative_to(ROOT)): found for page in PAGES if (found := list(blocks_of(page.read_text(encoding="utf-8"))))
}


@pytest.mark.parametrize("page", BLOCKS)
def test_blocks_run(page: str, shell: Shell) -> None:
    run(page, [block for block in BLOCKS[page] if not block.slow], shell)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if any(block.slow for block in blocks)])
def test_slow_blocks_run(page: str, shell: Shell) -> None:
    run(page, [block for block in BLOCKS[page] if block.slow], shell)


PAGE = """
<!-- test: given cats photos -->
<!-- test: slow -->
```sh
i2i data inspect photos \\
    --json
```

- <!-- test: skip: needs a GPU -->
  ```python
  if True:
      pass
  ```

```text
no code
```
"""


def test_what_a_page_says_of_its_blocks() -> None:
    shown = PAGE.replace("- <!--", "  <!--")
    assert list(blocks_of(shown)) == [
        Block(5, "sh", "i2i data inspect photos \\\n    --json\n", ("cats photos",), True, None),
        Block(11, "python", "if True:\n    pass\n", (), False, "needs a GPU"),
    ]
    with pytest.raises(AssertionError, match="nothing that a test can be told"):
        list(blocks_of(PAGE.replace("slow", "quick")))


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("sh", "i2i data inspect nowhere/", "failed"),
        ("sh", "i2i train pix2pix --data edges2cats --set optim.beta=1", "failed"),
        ("bash", "ls nowhere", "non-zero"),
        ("python", "assert 1 + 1 == 3", ""),
    ],
)
def test_a_wrong_block_is_noticed(language: str, text: str, complaint: str, shell: Shell) -> None:
    with pytest.raises((AssertionError, subprocess.CalledProcessError), match=complaint):
        run("page", [Block(1, language, text, (), False, None)], shell)


def run(page: str, blocks: list[Block], shell: Shell) -> None:
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks:
        if block.skipped:
            continue
        print(f"--- {page}:{block.line}")
        for line in block.given:
            shell(line)
        file = re.match(r"# ([\w/-]+\.(?:py|yaml))\b", block.text)
        if file:
            Path(file[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, f"{page}:{block.line}", "exec"), names)
        elif block.language in ("sh", "bash"):
            for line in block.text.replace("\\\n", " ").splitlines():
                shell(line)


class Shell:
    """Runs lines as a shell does: those of `i2i` in this process, which has imported torch already."""

    def __call__(self, line: str) -> None:
        """Run one line; a command that fails is an error."""
        words = shlex.split(line, comments=True)
        if not words:
            return
        print(f"$ {line}")
        command, arguments = words[0], words[1:]
        if command == "i2i":
            assert main(arguments) == 0, f"this line failed: {line}"
        elif command == "python" and Path(arguments[0]).exists():
            run_script(*arguments)
        elif command == "cd":
            os.chdir(*arguments)
        elif command in GIVEN:
            GIVEN[command](*arguments)
        else:
            python = Path(sys.executable).parent
            environment = {**os.environ, "PATH": f"{python}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
            at = ROOT if line.startswith(("make ", "python tools/")) else None  # what is typed in the project's folder
            subprocess.run(["bash", "-c", line], check=True, env=environment, cwd=at)


def run_script(script: str, *arguments: str) -> None:
    """Run a script as `python SCRIPT` does, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *arguments])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise AssertionError(f"{script} failed with {end.code}") from end


def fill(folder: str, change: Callable[[Image], Image]) -> None:
    """Fill a folder with what is made of eight drawn cats."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(8):
        cat = draw_cat(numpy_generator("docs", number), SIDE)
        cv2.imwrite(f"{folder}/{number:03d}.png", np.flip(change(cat), axis=2))


def edges(cat: Image) -> Image:
    """Return black edges on white."""
    return np.repeat(255 - np.asarray(cv2.Canny(cat, 100, 200), np.uint8)[..., None], 3, axis=2)


def beside(cat: Image) -> Image:
    """Return a side-by-side pair."""
    return np.hstack([edges(cat), cat])


def mask(cat: Image) -> Image:
    """Return a white square on black."""
    marked = np.zeros_like(cat)
    marked[10:30, 10:30] = 255
    return marked


def foreign(folder: str) -> None:
    """Lay down what the CycleGAN-and-pix2pix code saves of a CycleGAN, small networks of its own making."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    fixtures = ROOT / "tests/fixtures/junyanz"
    judge = torch.load(fixtures / "d_pixel_batch.pth", weights_only=True)
    first = next(iter(judge))
    judge[first] = judge[first][:, :3]  # it is pix2pix's, which sees the condition, too
    for side in "AB":
        shutil.copy(fixtures / "g_resnet6_instance.pth", f"{folder}/latest_net_G_{side}.pth")
        torch.save(judge, f"{folder}/latest_net_D_{side}.pth")


GIVEN: dict[str, Callable[[str], None]] = {
    "cats": partial(fill, change=lambda cat: cat),
    "small_cats": partial(fill, change=lambda cat: cat[::2, ::2]),
    "edges": partial(fill, change=edges),
    "beside": partial(fill, change=beside),
    "masks": partial(fill, change=mask),
    "foreign": foreign,
}
"""What makes a folder that a page takes for granted."""


def small(config: RunConfig) -> RunConfig:
    """Return the configuration with the sizes that cost time made small."""
    sizes = {"ngf": 4, "ndf": 4, "blocks": 1, "hidden": (8,), "repeats": 1}
    method = {}
    parts = () if config.train.init_from else ("generator", "discriminator")  # trained networks have their sizes
    for part in parts:
        network = getattr(config.method, part)
        known = {key: value for key, value in sizes.items() if hasattr(network, key)}
        method[part] = network.model_copy(update=known)
    data = {"image_size": 32, "load_size": None, "batch_size": min(config.data.batch_size, 4), "workers": 0}
    train = {"steps": STEPS, "epochs": None, "precision": "fp32"}
    return config.model_copy(
        update={
            "method": config.method.model_copy(update=method),
            "data": config.data.model_copy(update=data),
            "train": config.train.model_copy(update=train),
        }
    )


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Return a shell in whose `i2i` all is small."""
    compose, go_on = i2i.engine.config.compose, i2i.engine.runs.go_on
    total = STEPS

    def small_compose(*arguments: Any, **options: Any) -> Any:
        config, source = compose(*arguments, **options)
        return small(config), source

    def two_steps_more(path: Path, flags: list[Layer], console: Any) -> Any:
        nonlocal total
        total += STEPS
        return go_on(path, [*flags, Layer("two steps more", {"train": {"steps": total, "epochs": None}})], console)

    monkeypatch.setattr(i2i.engine.config, "compose", small_compose)
    monkeypatch.setattr(i2i.engine.runs, "go_on", two_steps_more)
    for name, method in METHODS.items():
        monkeypatch.setitem(METHODS, name, method)  # a page may replace one
    for name, parts in drawn.BUILTIN.items():
        few = [replace(part, count=4, painter=replace(part.painter, size=SIDE)) for part in parts]  # type: ignore[type-var]
        monkeypatch.setitem(drawn.BUILTIN, name, tuple(few))
    with torch.random.fork_rng():
        yield Shell()
