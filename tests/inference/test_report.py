"""The page of an evaluation: whole in itself, with the right images in the right places."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.data import files
from i2i.errors import UserError
from i2i.inference.evaluation import Evaluation, Protocol
from i2i.inference.report import chosen, file_for, write_report


def flat(level: int, size: tuple[int, int] = (20, 30)) -> files.Pixels:
    return np.full((*size, 3), level, np.uint8)


def evaluated(count: int, protocol: Protocol | None = None) -> Evaluation:
    """Outputs that differ from black by 1, 2, 3 ... levels."""
    evaluation = Evaluation(["psnr", "l1"], protocol)
    for level in range(1, count + 1):
        evaluation.add(f"<{level}>", flat(level), flat(0))
    return evaluation


@pytest.mark.parametrize(
    ("count", "best", "median", "worst"),
    [(1, [1], None, None), (2, [1], None, [2]), (3, [1], [2], [3]), (8, [1, 2], [4, 5], [8, 7]),
     (11, [1, 2, 3], [5, 6, 7], [11, 10, 9])],
)  # fmt: skip
@pytest.mark.parametrize("metric", ["psnr", "l1"])
def test_the_best_the_median_and_the_worst(
    count: int, best: list[int], median: list[int] | None, worst: list[int] | None, metric: str
) -> None:
    wanted = {"best": best, "median": median, "worst": worst}
    assert chosen(evaluated(count).result(), metric) == {
        group: [f"<{level}>" for level in levels] for group, levels in wanted.items() if levels
    }


class Page(HTMLParser):
    """Gathers texts and pictures, and that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.pictures: list[files.Pixels] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            source = dict(attributes)["src"] or ""
            kind, _, encoded = source.partition(";base64,")
            assert kind in ("data:image/png", "data:image/jpeg")
            self.pictures.append(np.array(Image.open(io.BytesIO(base64.b64decode(encoded)))))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def test_the_page(tmp_path: Path) -> None:
    result = evaluated(3, Protocol(modcrop=8)).result()
    asked: list[str] = []

    def pictures(name: str) -> dict[str, files.Pixels]:
        asked.append(name)
        return {"input": flat(200, (5, 5)), "output": flat(10 * int(name[1]), (16, 24)), "target": flat(0)}

    write_report(tmp_path / "new" / "report.html", "a & b", result, "l1", pictures, ["x.png: is <empty>"])
    text = (tmp_path / "new" / "report.html").read_text()
    page = Page(text)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|https?:", text)  # nothing from elsewhere
    assert "prefers-color-scheme: dark" in text
    assert asked == ["<1>", "<2>", "<3>"]
    shown = "\n".join(page.texts)
    for line in ("a & b", "failed: x.png: is <empty>", "best by l1", "median by l1", "worst by l1", *result.protocol):
        assert line in shown
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    cells = [re.findall(r"<t[dh]>(.*?)</t[dh]>", line) for line in rows]
    assert cells[0] == ["metric", "mean", "deviation", "images", "better"]
    assert cells[1][0] == "psnr"
    assert cells[1][1] == f"{result.scores['psnr'].value:.2f} dB"
    assert cells[4] == ["&lt;3&gt;", f"{result.images['<3>']['psnr']:.2f}", "0.0118"]  # the worst first
    assert [picture.shape[:2] for picture in page.pictures] == 3 * [(5, 5), (16, 24), (16, 24), (16, 24)]
    assert [int(picture.mean().round()) for picture in page.pictures[4:8]] == [200, 20, 0, 80]


def test_large_images_are_shrunk_and_sets_have_no_pictures(tmp_path: Path) -> None:
    evaluation = Evaluation(["l1"])
    evaluation.add("x", flat(5, (100, 2000)), flat(0, (100, 2000)))
    images = {"output": flat(5, (100, 2000)), "target": flat(0, (100, 2000))}
    write_report(tmp_path / "r.html", "t", evaluation.result(), "l1", lambda name: images)
    assert [picture.shape for picture in Page((tmp_path / "r.html").read_text()).pictures] == 3 * [(32, 640, 3)]
    write_report(tmp_path / "r.html", "t", Evaluation(["l1"]).result())
    assert Page((tmp_path / "r.html").read_text()).pictures == []


def test_where_files_go(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / "folder").mkdir()
    assert file_for("--report", None, "report.html", False) is None
    assert file_for("--report", tmp_path / "a.HTML", "report.html", False) == tmp_path / "a.HTML"
    assert file_for("--report", tmp_path / "folder", "report.html", False) == tmp_path / "folder" / "report.html"
    assert file_for("--report", tmp_path / "new", "report.html", False) == tmp_path / "new" / "report.html"
    assert file_for("--report", tmp_path / "there.html", "report.html", True) == tmp_path / "there.html"
    with pytest.raises(UserError, match=r"there\.html: exists already; add --overwrite"):
        file_for("--report", tmp_path / "there.html", "report.html", False)
    with pytest.raises(UserError, match=r"there\.html is a file"):
        file_for("--report", tmp_path / "there.html" / "new", "report.html", False)
