"""The interface: what goes through it is what Python gives, and what cannot be served is said in one line."""

from __future__ import annotations

import asyncio
import re
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
from starlette.requests import ClientDisconnect, Request

import i2i.serve
from i2i.data import files
from i2i.data.derive import Edges
from i2i.data.geometry import resize
from i2i.data.layouts import Example
from i2i.engine.fit import Outcome
from i2i.engine.runs import import_model
from i2i.errors import UserError
from i2i.inference.export.exporting import export
from i2i.inference.trained import Direction, open_model
from i2i.serve import app
from i2i.serve.app import Service, create_app
from i2i.serve.batching import Batcher
from i2i.serve.examples import HeldOut, find_examples
from i2i.serve.images import Limits
from i2i.serve.models import Menu, Translating, Way, open_menu
from tests.serve.conftest import RESNET, Client, pixels_of, png, translator, way

STATIC = Path(i2i.serve.__file__).parent / "static"
EDGES = "20260101-120000-edges"


def error_of(response: object, status: int) -> str:
    """Return the line of a refusal, which must be of that status."""
    assert response.status_code == status, response.text  # type: ignore[attr-defined]
    (name, line), *others = response.json().items()  # type: ignore[attr-defined]
    assert name == "error"
    assert not others
    assert "\n" not in line
    return str(line)


def test_a_translation_is_the_one_that_python_gives(client: Client, menu: Menu, photo: np.ndarray) -> None:
    cases: list[tuple[str, Direction, np.ndarray]] = [
        (EDGES, "AtoB", photo[..., :1]),
        ("cycle", "AtoB", photo),
        ("cycle", "BtoA", photo[:50]),
        ("cycle", "AtoB", np.dstack([photo, photo[..., :1]])),  # transparency goes past the network
        ("enlarger", "AtoB", photo[:30, :40]),
    ]
    for name, direction, image in cases:
        answer = client.post("/api/translate", params={"model": name, "direction": direction}, content=png(image))
        assert answer.headers["content-type"] == "image/png"
        np.testing.assert_array_equal(
            pixels_of(answer.content), way(menu, name, direction).translator.translate(np.ascontiguousarray(image))
        )
    assert pixels_of(answer.content).shape == (60, 80, 3)


def test_the_first_model_and_way_are_taken_where_none_is_named(client: Client, photo: np.ndarray) -> None:
    image = png(photo[..., :1])
    named = client.post("/api/translate", params={"model": EDGES, "direction": "AtoB"}, content=image)
    assert client.post("/api/translate", content=image).content == named.content


def test_work_at_another_size_comes_back_at_the_image_s_own(client: Client, menu: Menu, photo: np.ndarray) -> None:
    answer = client.post("/api/translate", params={"model": "cycle", "size": "32", "format": "jpg"}, content=png(photo))
    assert answer.headers["content-type"] == "image/jpeg"
    output = pixels_of(answer.content)
    assert output.shape == photo.shape
    small = way(menu, "cycle").translator.translate(resize(photo, 32, 32))
    enlarged = cv2.resize(small, (80, 80), interpolation=cv2.INTER_CUBIC)
    assert np.abs(output.astype(int) - enlarged).mean() < 6  # JPEG


def test_sixteen_bits_stay(client: Client, menu: Menu) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 1)).astype(np.uint16)
    content = cv2.imencode(".png", deep)[1].tobytes()
    answer = client.post("/api/translate", content=content).content
    decoded = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    np.testing.assert_array_equal(decoded[..., ::-1], way(menu, EDGES).translator.translate(deep))


def test_a_photo_becomes_the_input_it_was_in_training(client: Client, photo: np.ndarray) -> None:
    drawing = client.post("/api/derive", params={"size": "64"}, content=png(photo))
    expected = Edges()(np.asarray(resize(photo, 64, 64)), np.random.default_rng())
    np.testing.assert_array_equal(pixels_of(drawing.content), expected)
    at_once = client.post("/api/translate", params={"derive": "true"}, content=png(photo))
    assert at_once.content == client.post("/api/translate", content=drawing.content).content
    small = client.post("/api/derive", params={"model": "enlarger"}, content=png(photo[:33, :41]))
    np.testing.assert_array_equal(pixels_of(small.content), resize(photo[:32, :40], 16, 20))


def test_a_mask_comes_beside_its_image(client: Client, menu: Menu, photo: np.ndarray) -> None:
    mask = np.zeros((80, 80, 1), np.uint8)
    mask[20:40, 30:60] = 255
    form = {"image": ("a.png", png(photo)), "mask": ("b.png", png(mask))}
    answer = client.post("/api/translate", params={"model": "painter"}, files=form)
    np.testing.assert_array_equal(
        pixels_of(answer.content), way(menu, "painter").translator.translate(photo, mask=mask)
    )
    alone = client.post("/api/translate", params={"model": "painter"}, content=png(photo))
    assert "takes a mask beside each image" in error_of(alone, 400)
    other = {**form, "mask": ("b.png", png(mask[:40]))}
    assert "one size" in error_of(client.post("/api/translate", params={"model": "painter"}, files=other), 400)
    idle = client.post("/api/translate", params={"model": "cycle"}, files=form)
    assert "takes no masks" in error_of(idle, 400)
    odd = client.post("/api/translate", files={"image": ("a.png", png(photo)), "hat": ("b", b"x")})
    assert "'hat'" in error_of(odd, 400)


def test_requests_that_wait_together_share_batches_as_large_as_the_model_takes(
    menu: Menu, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = way(menu, "cycle").translator
    monkeypatch.setattr(model, "batch_size", lambda height, width: 3)
    images = [np.ascontiguousarray(np.roll(photo, shift, axis=0)) for shift in range(5)]
    expected = [model.translate(image) for image in images]
    sizes: list[int] = []
    begun, gate = threading.Event(), threading.Event()

    def wait(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not inputs[0].is_meta:
            sizes.append(len(inputs[0]))
            begun.set()
            gate.wait(10)

    hook = model.network.register_forward_pre_hook(wait)
    with Client(create_app(menu), base_url="http://127.0.0.1") as client, ThreadPoolExecutor(5) as clients:

        def ask(image: np.ndarray) -> files.Pixels:
            return pixels_of(client.post("/api/translate?model=cycle", content=png(image)).content)

        first = clients.submit(ask, images[0])
        begun.wait(10)
        others = [clients.submit(ask, image) for image in images[1:]]
        while client.get("/healthz").json()["waiting"] < 4:
            pass
        gate.set()
        outputs = [future.result(10) for future in (first, *others)]
    hook.remove()
    assert sizes == [1, 3, 1]
    for output, wanted in zip(outputs, expected, strict=True):
        assert np.abs(output.astype(int) - wanted).max() <= 1  # kernels round otherwise at other sizes of a batch


def test_images_of_noise_stand_side_by_side(client: Client, menu: Menu) -> None:
    def ask(**query: str) -> list[np.ndarray]:
        row = pixels_of(client.get("/api/sample", params={"model": "noise", "label": "dog", **query}).content)
        return np.split(row, row.shape[1] // row.shape[0], axis=1)

    maker = menu.sampling("noise").sampler
    np.testing.assert_array_equal(ask(seeds="3,1,4"), maker.sample([3, 1, 4], ["dog"] * 3))
    np.testing.assert_array_equal(
        ask(interpolate="3,7", steps="5", along="linear"), maker.interpolate(3, 7, 5, label="dog", along="linear")
    )
    np.testing.assert_array_equal(ask(traverse="2", seeds="9"), maker.traverse("2", 9, label="dog"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"label": "cow"}, "no class 'cow'"),
        ({}, "add label with one of: cat, dog"),
        ({"label": "cat", "seeds": "1,x"}, "seeds"),
        ({"label": "cat", "seeds": ",".join(map(str, range(65)))}, "seeds"),
        ({"label": "cat", "interpolate": "1"}, "interpolate"),
        ({"label": "cat", "steps": "4"}, "steps belongs to interpolate"),
        ({"label": "cat", "along": "linear", "seeds": "1,2"}, "along belongs to interpolate"),
        ({"label": "cat", "interpolate": "1,2", "seeds": "1,2"}, "leave seeds out"),
        ({"label": "cat", "steps": "400", "interpolate": "1,2"}, "less than or equal to 64"),
        ({"label": "cat", "traverse": "6"}, "axes 0 to 5"),
        ({"model": EDGES}, "translates images"),
    ],
)
def test_mistakes_in_sampling_are_said(client: Client, query: dict[str, str], words: str) -> None:
    assert words in error_of(client.get("/api/sample", params={"model": "noise", **query}), 400)


def header_of_a_bomb(side: int) -> bytes:
    """A PNG whose header claims an image of many pixels, in a few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    chunks = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [300, 60_000], ids=["above the server's limit", "above Pillow's"])
def test_decompression_bombs_are_refused_before_they_are_decoded(
    client: Client, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "read", None)
    assert "pixels" in error_of(client.post("/api/translate", content=header_of_a_bomb(side)), 413)


def test_channels_count_as_pixels_before_they_are_decoded(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(tmp_path / "deep.tif", np.zeros((60, 60, 64), np.uint8))
    monkeypatch.setattr(files, "read", None)
    answer = client.post("/api/translate", content=(tmp_path / "deep.tif").read_bytes())
    assert "60 x 60 pixels of 64 channels" in error_of(answer, 413)


def test_a_row_of_images_is_no_larger_than_an_image(menu: Menu) -> None:
    with Client(create_app(menu, Limits(pixels=1000))) as client:
        query = {"model": "noise", "label": "cat", "seeds": "1,2,3,4"}
        assert "64 x 16 pixels" in error_of(client.get("/api/sample", params=query), 413)
        assert client.get("/api/sample", params={**query, "seeds": "1,2,3"}).status_code == 200


def test_a_body_that_stalls_gives_its_place_back(menu: Menu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(app, "MOST_UNDER_WAY", 1)

    async def stalled() -> AsyncIterator[bytes]:
        yield b"\x89PNG"
        await asyncio.sleep(60)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(menu))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
            return [await session.post("/api/translate", content=stalled()) for _ in range(2)]

    for answer in asyncio.run(ask()):
        assert "0.05 seconds" in error_of(answer, 408)


def test_what_nobody_waits_for_is_not_begun(menu: Menu, photo: np.ndarray) -> None:
    batcher, begun, gate = Batcher(), threading.Event(), threading.Event()

    def busy(items: Sequence[None]) -> list[bool]:
        begun.set()
        return [gate.wait(30) for _ in items]

    batcher.submit("busy", busy, None)
    assert begun.wait(30)
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": png(photo)}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"model=cycle", "headers": []}
    service = Service(menu, Limits(), batcher)

    async def left() -> None:
        with pytest.raises(ClientDisconnect):
            await service.translate(Request(scope, receive))
        for _ in range(1000):  # what is given up is dropped a turn of the loop later
            if len(batcher) == 0:
                break
            await asyncio.sleep(0.01)

    asyncio.run(left())
    assert len(batcher) == service.under_way == 0
    gate.set()
    batcher.close()


def test_bodies_are_read_no_further_than_the_limit(client: Client) -> None:
    told = client.post("/api/translate", content=bytes(200_001))
    assert "200,000 bytes" in error_of(told, 413)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 50_000
            yield bytes(50_000)

    assert "200,000 bytes" in error_of(client.post("/api/translate", content=endless()), 413)


@pytest.mark.parametrize(
    ("query", "body", "status", "words"),
    [
        ({"model": "edgse"}, "photo", 404, "there is no model 'edgse'"),
        ({"model": "noise"}, "photo", 400, "/api/sample"),
        ({"direction": "BtoA"}, "photo", 400, "translates AtoB alone"),
        ({"direction": "up"}, "photo", 400, "'up' is not known"),
        ({"sise": "64"}, "photo", 400, "did you mean 'size'?"),
        ({"size": "0"}, "photo", 400, "size"),
        ({"size": "5000"}, "photo", 413, "5000 x 5000 pixels"),
        ({"format": "bmp"}, "photo", 400, "'bmp' is not known"),
        ({"model": "cycle", "derive": "true"}, "photo", 400, "not trained on inputs made of photos"),
        ({"model": "painter", "derive": "true"}, "photo", 400, "takes a mask"),
        ({"model": "enlarger"}, "large", 413, "the output has 320 x 320 pixels"),
        ({}, "text", 415, "the image is no image of a known kind"),
        ({}, "cut", 415, "damaged or cut off"),
        ({}, "nothing", 400, "no image in the request's body"),
    ],
)
def test_mistakes_are_said_in_one_line(
    client: Client, photo: np.ndarray, query: dict[str, str], body: str, status: int, words: str
) -> None:
    bodies = {
        "photo": png(photo),
        "large": png(np.zeros((160, 160, 3), np.uint8)),
        "text": b"<svg>no pixels</svg>",
        "cut": png(np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8))[:5000],
        "nothing": b"",
    }
    assert words in error_of(client.post("/api/translate", params=query, content=bodies[body]), status)


def test_more_requests_than_memory_holds_are_refused_before_they_are_read(
    client: Client, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MOST_UNDER_WAY", 0)
    answer = client.post("/api/translate", content=png(photo))
    assert "under way already" in error_of(answer, 503)
    assert answer.headers["retry-after"] == "1"
    monkeypatch.setattr(app, "MOST_UNDER_WAY", 1)
    for _ in range(3):  # each gives its place back, one that fails too
        error_of(client.post("/api/translate", content=b"no image"), 415)
        assert client.post("/api/translate", content=png(photo)).status_code == 200


def test_unknown_places_and_methods_are_said_too(client: Client) -> None:
    assert "/api/nothing" in error_of(client.get("/api/nothing"), 404)
    assert "/api/translate" in error_of(client.get("/api/translate"), 405)


def test_the_menu_says_what_a_page_must_know(client: Client) -> None:
    told = client.get("/api/models").json()
    assert told["limits"] == {"bytes": 200_000, "pixels": 40_000}
    edges, cycle, painter, enlarger, noise = told["models"]
    assert (edges["name"], edges["title"]) == (EDGES, "edges")
    assert edges["ways"] == [
        {
            "direction": "AtoB",
            "label": "untrained",
            "channels": [1, 3],
            "size": 64,
            "any_size": False,
            "magnification": 1,
            "ink": "black",
            "derive": "edges",
            "wants_mask": False,
            "examples": 3,
        }
    ]
    assert [one["direction"] for one in cycle["ways"]] == ["AtoB", "BtoA"]
    assert painter["ways"][0]["wants_mask"]
    assert painter["ways"][0]["derive"] is None
    assert enlarger["ways"][0]["magnification"] == 2
    assert noise["classes"] == ["cat", "dog"]
    assert client.get("/healthz").json() == {"status": "ok", "models": 5, "running": 0, "waiting": 0}


def test_examples_are_there_by_number(client: Client, menu: Menu) -> None:
    answer = client.get("/api/example", params={"model": EDGES, "index": "2"})
    np.testing.assert_array_equal(pixels_of(answer.content), way(menu, EDGES).examples[2])
    assert "the model has 3 here" in error_of(client.get("/api/example?index=3"), 404)
    assert "the model has 0 here" in error_of(client.get("/api/example?model=cycle"), 404)


def test_an_example_whose_file_has_gone_says_nothing_of_its_place(tmp_path: Path) -> None:
    example = Example("photo", tmp_path / "photo.png", tmp_path / "photo.png")
    gone = Way(translator((3, 3), RESNET, {"layout": "unpaired"}))
    menu = Menu([Translating("gone", {"AtoB": replace(gone, examples=HeldOut(gone.translator, (example,)))})])
    with Client(create_app(menu)) as client:
        line = error_of(client.get("/api/example"), 404)
    assert line.startswith("example 0 ")
    assert str(tmp_path) not in line


def test_other_people_s_pages_are_kept_out(menu: Menu) -> None:
    guarded = create_app(menu, hosts={"127.0.0.1", "localhost", "[::1]"})
    for host, status in (
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("LOCALHOST:1", 200),
        ("rebound.example", 403),
        ("127.0.0.1.rebound.example:8000", 403),
        ("", 403),
    ):
        answer = Client(guarded).get("/healthz", headers={"host": host})
        assert answer.status_code == status, host
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    local = Client(guarded, base_url="http://localhost:8000")
    for origin, status in (
        ("http://localhost:8000", 200),
        ("http://localhost:8001", 403),
        ("http://elsewhere.example", 403),
        ("null", 403),
    ):
        assert local.get("/api/models", headers={"origin": origin}).status_code == status, origin
    assert local.get("/api/models", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert local.get("/api/models", headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert local.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # somebody's link to it


def test_the_page_and_its_files_name_no_other_place(client: Client) -> None:
    assert client.get("/").headers["content-type"].startswith("text/html")
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|\bimport\(|src=\"//", text), file.name
        served = client.get(f"/static/{file.name}")
        assert served.text == file.read_text(encoding="utf-8")
        assert served.headers["cache-control"] == "no-cache"


def test_runs_become_a_menu_with_their_held_out_images(
    tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = tiny("run", "train.steps=1")
    said: list[str] = []
    menu = open_menu([tmp_path / "run", tmp_path / "run", outcome.checkpoint], device="cpu", say=said.append)
    assert list(menu.models) == ["run", "run-2", "run-step_00000001"]
    assert len(said) == 3
    first = way(menu, "run")
    assert len(first.examples) == 2  # a quarter of eight
    drawing = first.examples[1]
    assert drawing.shape == (64, 64, 1)
    assert set(np.unique(drawing)) == {0, 255}
    assert str(tmp_path) not in str(menu.models["run"].describe())
    model, told = first.translator, list[str]()
    assert model.data.source == str(tmp_path / "photos")
    assert len(find_examples(model, told.append, anywhere=True)) == 2
    assert len(find_examples(model, told.append, anywhere=False)) == 0  # as of a file that anybody wrote
    assert told == ["note: no held-out images to try: a single file brings none, unless its data set has a name"]
    (tmp_path / "photos").rename(tmp_path / "gone")
    menu = open_menu([tmp_path / "run"], device="cpu", say=said.append)
    assert len(way(menu, "run").examples) == 0
    assert said[-1].startswith("note: no held-out images to try: ")
    with pytest.raises(UserError, match="does not exist"):
        open_menu([tmp_path / "rum"], device="cpu", say=said.append)


def test_files_are_called_by_their_stem_and_graphs_that_tiles_do_not_suit_are_served(
    tiny: Callable[..., Outcome], tmp_path: Path, photo: np.ndarray
) -> None:
    tiny("run", "train.steps=1", "method.generator.norm=instance")
    export(tmp_path / "run", tmp_path / "zebras.onnx")
    menu = open_menu([tmp_path / "zebras.onnx"], say=lambda line: None)
    with Client(create_app(menu)) as client:
        answer = client.post("/api/translate?model=zebras", content=png(photo[..., :1]))
    expected = i2i.load(tmp_path / "run", device="cpu").translate(photo[..., 0])
    assert np.abs(pixels_of(answer.content).astype(int) - expected).max() <= 1


def test_imported_runs_do_not_say_where_their_files_lay(tmp_path: Path) -> None:
    given = Path(__file__).parents[1] / "fixtures" / "junyanz" / "g_resnet6_instance.pth"
    import_model(open_model(given), tmp_path / "run")
    menu = open_menu([tmp_path / "run", given], say=lambda line: None)
    assert list(menu.models) == ["run", given.stem]
    assert "imported from g_resnet6_instance.pth" in way(menu, "run").label
    for model in menu.models.values():
        assert str(given.parent) not in str(model.describe())
