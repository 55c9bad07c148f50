"""The page in a real browser: drawn on, dropped on, by mouse, finger and keyboard. Skipped where there is none."""

from __future__ import annotations

import base64
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import uvicorn

from i2i.data import files
from i2i.data.derive import Edges
from i2i.data.geometry import resize
from i2i.inference.trained import Direction
from i2i.serve.app import create_app
from i2i.serve.guard import LOOPBACK
from tests.conftest import blob_photo
from tests.serve.conftest import png, way, whole_menu

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]
MENU = whole_menu()

# What a canvas shows, as [H, W, 4] in base64; waiting for it is the test's.
PIXELS = """id => { const c = document.getElementById(id);
    if (!c.width) return null;
    const k = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});
    k.drawImage(c, 0, 0);
    const d = k.getImageData(0, 0, c.width, c.height).data;
    let s = ''; for (let i = 0; i < d.length; i += 8192) s += String.fromCharCode(...d.subarray(i, i + 8192));
    return [c.height, c.width, btoa(s)]; }"""
# A file that is dropped, from base64.
DROP = """([name, content]) => { const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
    const data = new DataTransfer(); data.items.add(new File([bytes], name));
    dispatchEvent(new DragEvent('dragover', {dataTransfer: data, cancelable: true}));
    dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }"""

# What is reached by Tab: its name, and whether that is seen, and whether a screen reader has words for it.
FOCUSED = """(e => [e.id || e.textContent.trim(),
    e.matches(':focus-visible') && getComputedStyle(e).outlineWidth != '0px',
    (e.labels?.[0] || e).textContent.trim() || e.ariaLabel
    ])(document.activeElement)"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with untrained models."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(create_app(MENU, hosts=LOOPBACK), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser that is on the machine already."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Page:
    """The page as somebody uses it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def pixels(self, canvas: str) -> np.ndarray | None:
        """What a canvas shows, RGBA."""
        shown = self.page.evaluate(PIXELS, canvas)
        if shown is None:
            return None
        height, width, content = shown
        return np.frombuffer(base64.b64decode(content), np.uint8).reshape(height, width, 4)

    def wait(self, reached: Callable[[], bool], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, "it did not happen"
            self.page.wait_for_timeout(20)

    def settled(self, canvas: str = "result") -> np.ndarray | None:
        """What a canvas shows once nothing more is asked of the server."""
        self.page.wait_for_timeout(60)
        self.wait(lambda: self.page.evaluate("!document.querySelector('[aria-busy=true]')"))
        return self.pixels(canvas)

    def stroke(self, *points: tuple[float, float]) -> None:
        """Draw with the mouse; places as shares of the sheet."""
        box = self.page.locator("#ink").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def drop(self, content: bytes, name: str = "photo.png") -> None:
        self.page.evaluate(DROP, [name, base64.b64encode(content).decode()])

    def hold(self, url: str) -> list[Any]:
        """Hold requests back until somebody lets them go on, and return the list that they come into."""
        held: list[Any] = []
        self.page.route(url, lambda route: held.append(route))
        return held

    def choose(self, model: str) -> None:
        self.page.select_option("#model", label=model)


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page, on a screen of one's choice; there must be no complaint in the end."""
    complaints: list[str] = []
    contexts = []

    def open_page(**screen: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 800, "height": 520}, **screen})
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if leaves(request.url) else None)
        page.goto(address)
        page.wait_for_selector("#model option", state="attached")
        return Page(page)

    def leaves(url: str) -> bool:
        return not url.startswith((address, "blob:", "data:"))

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def differ(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is None or b is None or not np.array_equal(a, b)


def test_a_stroke_changes_the_result_and_undo_brings_the_drawing_back(visit: Callable[..., Page]) -> None:
    page = visit()
    assert page.page.title() == "edges · i2i"
    page.stroke((0.2, 0.3), (0.8, 0.3))
    page.wait(lambda: page.pixels("result") is not None)
    drawn, result = page.pixels("ink"), page.settled()
    assert drawn is not None
    assert result is not None
    assert result.shape == (64, 64, 4)
    ink = np.argwhere(drawn[..., 3] > 128) / drawn.shape[0]
    np.testing.assert_allclose(ink.min(axis=0), [0.29, 0.19], atol=0.02)
    np.testing.assert_allclose(ink.max(axis=0), [0.31, 0.81], atol=0.02)
    page.stroke((0.5, 0.2), (0.5, 0.8))
    page.wait(lambda: differ(page.settled(), result))
    page.page.click("#undo")
    page.wait(lambda: not differ(page.settled(), result))
    assert not differ(page.pixels("ink"), drawn)
    page.page.keyboard.press("Control+Shift+Z")
    page.wait(lambda: differ(page.settled(), result))
    page.page.keyboard.press("e")  # rub out what the second stroke drew, all of it
    page.page.evaluate("document.getElementById('width').value = 10")
    page.page.dispatch_event("#width", "input")
    page.stroke((0.5, 0.15), (0.5, 0.85))
    page.page.keyboard.press("x")
    page.wait(lambda: page.pixels("result") is None)
    assert page.page.is_visible("#draw-hint")
    page.page.keyboard.press("Control+z")
    page.wait(lambda: page.pixels("result") is not None)
    erased = page.pixels("ink")
    assert erased is not None
    column = erased[:, erased.shape[1] // 2, 3]
    assert column.max() == 0
    with page.page.expect_download() as download:
        page.page.keyboard.press("d")
    assert download.value.suggested_filename == "edges.png"


def test_a_dropped_photo_becomes_its_edges_which_the_eraser_rubs_out(visit: Callable[..., Page]) -> None:
    page = visit()
    photo = blob_photo(1, 80)
    page.drop(png(photo))
    page.wait(lambda: page.pixels("result") is not None)
    expected = Edges()(np.asarray(resize(photo, 64, 64)), np.random.default_rng())
    sent = page.settled()
    assert sent is not None
    output = way(MENU, "20260101-120000-edges").translator.translate(expected)
    np.testing.assert_array_equal(sent[..., :3], output)
    page.page.keyboard.press("Control+z")
    page.wait(lambda: page.pixels("result") is None)
    page.page.keyboard.press("s")
    page.wait(lambda: page.pixels("result") is not None)
    page.drop(b"no picture", "notes.txt")
    page.page.wait_for_selector("#toast.shown:has-text('no picture')")


def test_a_cyclegan_has_a_slider_and_two_directions(visit: Callable[..., Page]) -> None:
    page = visit()
    page.choose("cycle")
    photo = blob_photo(2, 64)
    page.drop(png(photo))
    outputs = {}
    directions: tuple[Direction, ...] = ("AtoB", "BtoA")
    for direction in directions:
        page.page.click(f"#directions >> text={direction.replace('to', ' to ')}")
        expected = way(MENU, "cycle", direction).translator.translate(photo)
        page.wait(lambda expected=expected: not differ(rgb(page.settled("after")), expected))  # type: ignore[misc]
        outputs[direction] = expected
    np.testing.assert_array_equal(rgb(page.pixels("before")), photo)
    assert differ(outputs["AtoB"], outputs["BtoA"])
    box = page.page.locator("#both").bounding_box()
    page.page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
    assert abs(int(page.page.input_value("#wipe")) - 80) <= 2
    page.page.keyboard.press("ArrowLeft")
    clip = page.page.eval_on_selector("#before", "e => getComputedStyle(e).clipPath")
    assert page.page.input_value("#wipe") in clip or str(100 - int(page.page.input_value("#wipe"))) in clip


def rgb(image: np.ndarray | None) -> np.ndarray | None:
    return None if image is None else image[..., :3]


def test_a_mask_is_painted_over_a_dropped_photo(visit: Callable[..., Page]) -> None:
    page = visit()
    page.choose("painter")
    page.drop(png(blob_photo(3, 64)))
    page.wait(lambda: page.pixels("backdrop") is not None and page.pixels("backdrop").shape == (64, 64, 4))  # type: ignore[union-attr]
    page.stroke((0.3, 0.5), (0.7, 0.5))
    page.wait(lambda: page.pixels("result") is not None)
    first = page.settled()
    page.stroke((0.3, 0.8), (0.7, 0.8))
    page.wait(lambda: differ(page.settled(), first))


def test_noise_goes_to_the_image_that_is_clicked(visit: Callable[..., Page]) -> None:
    page = visit(reduced_motion="reduce")
    page.choose("noise")
    page.page.wait_for_selector("#gallery button:nth-child(16)")
    page.page.click("#gallery button:nth-child(4)")
    page.page.wait_for_selector("#to:has-text('seed 3')")
    model = MENU.sampling("noise").sampler
    page.wait(lambda: not differ(rgb(page.settled("frame")), model.sample([3], ["cat"])[0]))
    page.page.focus("#travel")
    page.page.keyboard.press("Home")
    page.wait(lambda: not differ(rgb(page.settled("frame")), model.sample([0], ["cat"])[0]))
    page.page.click("#classes >> text=dog")
    page.wait(lambda: not differ(rgb(page.settled("frame")), model.sample([3], ["dog"])[0]))


def test_a_phone_needs_no_sideways_scrolling_and_a_finger_draws(visit: Callable[..., Page]) -> None:
    page = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, device_scale_factor=2)
    for model in ("edges", "cycle", "painter", "noise", "edges"):
        page.choose(model)
        page.page.wait_for_timeout(50)
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), model
    box = page.page.locator("#ink").bounding_box()
    result = page.page.locator("#result-stage").bounding_box()
    assert result["y"] + result["height"] <= 740  # both are seen while one draws
    touch = page.page.context.new_cdp_session(page.page)
    for kind, x in (("touchStart", 0.2), *(("touchMove", 0.1 * step) for step in range(3, 9)), ("touchEnd", None)):
        points = [] if x is None else [{"x": box["x"] + x * box["width"], "y": box["y"] + 0.5 * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait(lambda: page.pixels("result") is not None)
    drawn = page.pixels("ink")
    assert drawn is not None
    columns = np.argwhere(drawn[..., 3].any(axis=0))[:, 0] / drawn.shape[1]
    np.testing.assert_allclose([columns.min(), columns.max()], [0.2, 0.8], atol=0.03)
    assert page.page.evaluate("scrollY") == 0


def test_the_keyboard_alone_draws_and_reaches_everything(visit: Callable[..., Page]) -> None:
    page = visit()
    reached = []
    while page.page.keyboard.press("Tab") or not page.page.evaluate("document.activeElement === document.body"):
        reached.append(page.page.evaluate(FOCUSED))
        if reached[-1][0] == "ink":
            for key in (" ", "ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowDown", " ", "ArrowUp"):
                page.page.keyboard.press(key)
            page.wait(lambda: page.pixels("result") is not None)
            drawn = page.pixels("ink")
            assert drawn is not None
            ink = 64 * np.argwhere(drawn[..., 3] > 128) / drawn.shape[0]  # in the model's pixels
            np.testing.assert_allclose(ink.max(axis=0) - ink.min(axis=0), [5 + 1, 8 + 1], atol=0.5)
    named = [name for name, *_ in reached]
    for name in ("model", "help", "ink", "pen", "eraser", "width", "undo", "clear", "Photo", "Surprise me", "Download"):
        assert name in named
    assert [name for name, *qualities in reached if not all(qualities)] == []
    page.page.keyboard.press("?")
    page.page.wait_for_selector("#keys[open]")
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("m")
    page.wait(lambda: page.page.title() == "cycle · i2i")
    page.page.keyboard.press("r")
    page.page.wait_for_selector("#directions [aria-checked=true]:has-text('B to A')")


def test_one_result_is_asked_for_at_a_time_and_the_newest_drawing_wins(
    visit: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit()
    translator = way(MENU, "20260101-120000-edges").translator
    original = translator.translate_pixels
    sent: list[files.Pixels] = []
    under_way = most = 0

    def slow(images: Sequence[files.Pixels], **options: Any) -> Any:
        time.sleep(0.05)
        sent.extend(images)
        return original(images, **options)

    def begun(request: Any) -> None:
        nonlocal under_way, most
        under_way += "/api/translate" in request.url
        most = max(most, under_way)

    def done(request: Any) -> None:
        nonlocal under_way
        under_way -= "/api/translate" in request.url

    monkeypatch.setattr(translator, "translate_pixels", slow)
    page.page.on("request", begun)
    page.page.on("requestfinished", done)
    for row in range(2, 9):
        page.stroke((0.1, row / 10), (0.9, row / 10))
    page.wait(lambda: page.settled() is not None and not under_way)
    assert most == 1
    assert len(sent) >= 2
    rows = [int(row * 64 / 10) for row in range(2, 9)]
    assert (sent[-1][rows, 32] == 0).all()  # all seven strokes
    np.testing.assert_array_equal(rgb(page.pixels("result")), original([sent[-1]])[0])


def test_clearing_or_another_model_lets_go_of_the_pen(visit: Callable[..., Page]) -> None:
    page = visit()
    box = page.page.locator("#ink").bounding_box()

    def move(share: float) -> None:
        page.page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"])

    for keys in ("x", "mmmmm"):  # after the last model comes the first
        move(0.2)
        page.page.mouse.down()
        move(0.4)
        page.wait(lambda: page.settled() is not None)
        page.page.keyboard.type(keys)
        move(0.6)
        assert not page.pixels("ink").any()  # type: ignore[union-attr]
        page.page.mouse.up()
        assert page.settled() is None
    page.stroke((0.2, 0.3), (0.8, 0.3))
    page.wait(lambda: page.pixels("result") is not None)


def test_a_derivation_is_left_out_for_examples_alone_and_works_at_a_photo_s_own_size(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    page.page.click("#modes >> text=Picture")
    page.page.keyboard.press("s")
    page.wait(lambda: page.settled("after") is not None)
    assert not page.page.is_checked("#derive")
    page.drop(png(blob_photo(1, 80)))
    page.wait(lambda: page.page.is_checked("#derive"))
    page.page.select_option("#size", label="its own size")
    page.wait(lambda: (after := page.settled("after")) is not None and after.shape[:2] == (80, 80))


def test_what_comes_late_of_another_model_is_not_shown(visit: Callable[..., Page]) -> None:
    page = visit()
    page.page.click("#modes >> text=Picture")
    held = page.hold("**/api/example*")
    page.page.keyboard.press("s")
    page.wait(lambda: bool(held))
    page.choose("enlarger")
    with page.page.expect_response("**/api/example*"):
        held[0].continue_()
    page.settled()
    assert page.pixels("after") is None


def test_the_newest_gallery_stays(visit: Callable[..., Page]) -> None:
    page = visit(reduced_motion="reduce")
    page.choose("noise")
    page.page.wait_for_selector("#gallery button:nth-child(16)")
    held = page.hold("**/api/sample*&seeds=*")
    page.page.keyboard.press("s")
    page.wait(lambda: len(held) == 1)
    page.page.keyboard.press("s")
    page.page.wait_for_timeout(50)
    assert len(held) == 1  # one at a time
    held[0].continue_()
    page.wait(lambda: len(held) == 2)
    held[1].continue_()
    first = page.page.text_content("#to")
    page.page.wait_for_selector(f"#gallery button:first-child[title='{first}']")
