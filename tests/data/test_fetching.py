"""Downloads, from a server of the test's own: whatever it does, the right images come or one line says why not."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from i2i.data import fetching
from i2i.data.fetching import download, fetch, unpack
from i2i.data.recipes import Archive
from i2i.data.reports import Progress
from i2i.errors import UserError

CONTENT = np.random.default_rng(0).bytes(1_000_000)
PICTURE: bytes = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


@dataclass
class Server:
    """What a server has, and how it behaves.

    Attributes:
        files: contents by path.
        ranges: whether it gives parts of files.
        etag: what it calls the state of its files; empty: it says nothing.
        cuts: after how many bytes each answer breaks off, one after the other; None: not at all.
        answers: status codes of the next answers, in place of files.
        moved: paths that are elsewhere now.
        asked: path and wanted range of each question.
        slow: called before each answer is sent.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str = '"one"'
    cuts: list[int | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    lengths: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if state.answers:
                self.send_error(state.answers.pop(0))
                return
            if self.path in state.moved:
                self.send_response(302)
                self.send_header("Location", state.moved[self.path])
                self.end_headers()
                return
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if self.headers.get("If-Range", state.etag) != state.etag:
                start = 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if state.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else None
            self.wfile.write(content[start:] if cut is None else content[start : start + cut])

    monkeypatch.setattr(fetching, "FIRST_WAIT", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        state.url = f"http://127.0.0.1:{running.server_port}"
        yield state
        running.shutdown()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                file.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def known(server: Server, content: bytes = CONTENT, name: str = "photos.zip", **more: Any) -> Archive:
    """Put a file on the server, and return what a recipe would know of it."""
    server.files[f"/{name}"] = content
    return Archive(**{"urls": (f"{server.url}/{name}",), "bytes": len(content), "checksum": sha256(content)} | more)


def test_a_file_comes_in_one_go_and_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch(known(server), tmp_path / "x.part", progress=lambda done, total: told.append((done, total)))
    assert (tmp_path / "x.part").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert server.asked == [("/photos.zip", None)]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    lines: list[str] = []
    fetch(known(server), tmp_path / "x.part", lines.append)
    assert (tmp_path / "x.part").read_bytes() == CONTENT
    assert server.asked == [("/photos.zip", asked) for asked in (None, "bytes=300000-", "bytes=500000-")]
    assert "the connection ended after 300000 of 1000000 bytes; trying again" in lines[0]


@pytest.mark.parametrize("change", ["no ranges", "changed", "other address"])
def test_what_cannot_be_gone_on_with_begins_anew(change: str, server: Server, tmp_path: Path) -> None:
    archive = known(server, bytes(len(CONTENT)), checksum=None)
    path = tmp_path / "x.part"
    server.cuts = [300_000] * fetching.ATTEMPTS + [None]
    server.answers = []
    with pytest.MonkeyPatch.context() as patch:  # as if the user had pressed Ctrl-C
        patch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        lines: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            fetch(archive, path, lines.append)
        assert "the same line goes on with it" in lines[-1]
    assert path.stat().st_size == 300_000
    server.cuts = []
    server.files["/photos.zip"] = server.files["/elsewhere.zip"] = CONTENT
    if change == "no ranges":
        server.ranges = False
    if change == "changed":
        server.etag = '"two"'
    if change == "other address":
        archive = archive.model_copy(update={"urls": (f"{server.url}/elsewhere.zip",)})
    fetch(archive, path)
    assert path.read_bytes() == CONTENT


def test_without_a_mark_of_its_state_a_file_is_never_pieced_together(server: Server, tmp_path: Path) -> None:
    server.etag = ""
    server.cuts = [300_000]
    fetch(known(server), tmp_path / "x.part")
    assert [asked for _, asked in server.asked] == [None, None]
    assert (tmp_path / "x.part").read_bytes() == CONTENT


def test_a_weak_mark_is_none(server: Server, tmp_path: Path) -> None:
    server.etag = 'W/"one"'
    server.cuts = [300_000]
    fetch(known(server), tmp_path / "x.part")
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_file_that_is_all_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    archive = known(server)
    fetch(archive, tmp_path / "x.part")
    fetch(archive, tmp_path / "x.part")
    assert len(server.asked) == 1
    rounded = known(server, exact=False)  # its length is not known beforehand: the server tells
    fetch(rounded, tmp_path / "x.part")
    assert server.asked[1:] == [("/photos.zip", "bytes=1000000-")]
    assert (tmp_path / "x.part").read_bytes() == CONTENT


def test_a_length_that_the_server_does_not_tell(server: Server, tmp_path: Path) -> None:
    server.lengths = False
    server.cuts = [400_000]
    fetch(known(server), tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == CONTENT


def test_redirections_are_followed_with_the_part_that_is_wanted(server: Server, tmp_path: Path) -> None:
    archive = known(server)
    server.moved = {"/old.zip": f"{server.url}/photos.zip"}
    server.cuts = [300_000]
    fetch(archive.model_copy(update={"urls": (f"{server.url}/old.zip",)}), tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == CONTENT
    assert server.asked[-1] == ("/photos.zip", "bytes=300000-")


def test_a_busy_server_is_asked_again_and_a_second_address_after_the_first(server: Server, tmp_path: Path) -> None:
    archive = known(server)
    server.answers = [503, 429]
    fetch(archive, tmp_path / "one.part")
    assert len(server.asked) == 3
    twice = archive.model_copy(update={"urls": (f"{server.url}/gone.zip", *archive.urls)})
    fetch(twice, tmp_path / "two.part")
    assert [path for path, _ in server.asked[3:]] == ["/gone.zip", "/photos.zip"]
    assert (tmp_path / "two.part").read_bytes() == CONTENT


def test_what_cannot_be_had_is_told_in_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.part"

    def why(archive: Archive) -> str:
        with pytest.raises(UserError) as refusal:
            fetch(archive, path)
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/x.zip"
    message = why(Archive(urls=(f"{server.url}/gone.zip", nobody), bytes=5))
    assert "gone.zip: could not be downloaded" in message
    assert "the server answers 404 Not Found" in message
    assert "Connection refused" in message
    assert f"put the file into {tmp_path} by hand" in message
    assert [path for path, _ in server.asked] == ["/gone.zip"]
    assert "has 1000000 bytes, and the recipe knows 999999: it is another file" in why(known(server, bytes=999_999))
    server.answers = [500] * 10
    assert "the server answers 500" in why(known(server))
    assert len(server.answers) == 10 - fetching.ATTEMPTS
    server.answers = []
    assert not path.exists()

    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr("json.dumps", lambda _: (_ for _ in ()).throw(full))
        assert "cannot be written (No space left on device); make room" in why(known(server))
    room = shutil._ntuple_diskusage(10_000_000, 8_500_000, 1_500_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: room)
    assert "2.0 MB are needed there" in (message := why(known(server)))
    assert "1.5 MB are free" in message


PHOTOS = {
    "pets/images/Cat_1.png": PICTURE,
    "pets/images/sub/Cat_2.png": PICTURE,
    "pets/images/dog_1.png": PICTURE,
    "pets/images/notes.txt": b"no image",
    "pets/images/._Cat_1.png": b"no image either",
    "pets/masks/Cat_1.png": PICTURE,
    "pets/other/Cat_3.png": PICTURE,
}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz", "tar.bz2"])
def test_the_images_that_a_recipe_names_are_taken_and_nothing_else(kind: str, server: Server, tmp_path: Path) -> None:
    mode = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2"}
    content = zipped(PHOTOS) if kind == "zip" else tarred(*PHOTOS.items(), mode=mode[kind])
    take = {"images": "train/photo", "pets/masks": "train/mask"}
    archive = known(server, content, f"pets.{kind}", take=take, include="[A-Z]*")
    stages: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def show(work: str) -> Iterator[Progress]:
        yield lambda done, total: stages.setdefault(work, []).append((done, total))

    folder = download([archive], tmp_path / "pets", show)
    assert folder == tmp_path / "pets" / "downloaded"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"train/photo/Cat_1.png", "train/photo/sub/Cat_2.png", "train/mask/Cat_1.png"}
    assert (folder / "train" / "photo" / "Cat_1.png").read_bytes() == PICTURE
    assert [path.name for path in (tmp_path / "pets").iterdir()] == ["downloaded"]  # nothing else is left
    assert set(stages) == {"downloading, MB", "checking, MB", "unpacking, MB"}
    download([archive], tmp_path / "pets")
    assert len(server.asked) == 1


def test_several_archives_become_one_folder_or_none(server: Server, tmp_path: Path) -> None:
    train = known(server, zipped({"HR/1.png": PICTURE}), "train.zip", take={"HR": "train"})
    val = known(server, zipped({"HR/1.png": PICTURE}), "val.zip", take={"HR": "val"})
    gone = val.model_copy(update={"urls": (f"{server.url}/gone.zip",)})
    with pytest.raises(UserError, match="404"):
        download([train, gone], tmp_path / "set")
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"train.zip.part", "train.zip.part.from"}
    folder = download([train, val], tmp_path / "set")
    assert [path for path, _ in server.asked] == ["/train.zip", "/gone.zip", "/val.zip"]  # the first was kept
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png")) == ["train/1.png", "val/1.png"]


@pytest.mark.parametrize("kind", ["sha256", "md5", "git", "length"])
def test_another_file_than_the_recipe_knows_is_refused(kind: str, server: Server, tmp_path: Path) -> None:
    content = zipped({"1.png": PICTURE})
    wrong = content[:-1] + b"!"
    sums = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content).hexdigest(),
        "git": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }
    checksum = f"{kind}:{sums[kind]}" if kind in sums else None
    archive = known(server, wrong if kind in sums else wrong + b"!", checksum=checksum, bytes=len(content))
    with pytest.raises(UserError) as refusal:
        download([archive], tmp_path / "set")
    assert not (tmp_path / "set" / "downloaded").exists()
    if kind in sums:
        assert f"has the {kind} " in str(refusal.value)
        assert f"the recipe knows {sums[kind]}: damaged on its way" in str(refusal.value)
        assert (tmp_path / "set" / "photos.zip.rejected").read_bytes() == wrong
    server.files["/photos.zip"] = content
    assert (download([archive], tmp_path / "set") / "1.png").read_bytes() == PICTURE


def test_an_archive_put_there_by_hand_is_checked_used_and_kept(server: Server, tmp_path: Path) -> None:
    content = zipped({"1.png": PICTURE})
    archive = known(server, content)
    (tmp_path / "set").mkdir()
    by_hand = tmp_path / "set" / "photos.zip"
    by_hand.write_bytes(content[:-1] + b"!")
    with pytest.raises(UserError, match=r"photos\.zip: has the sha256 .* take it away, and it is downloaded"):
        download([archive], tmp_path / "set")
    by_hand.write_bytes(content)
    assert (download([archive], tmp_path / "set") / "1.png").is_file()
    assert by_hand.is_file()
    assert not server.asked


def test_two_processes_do_not_write_the_same_files(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    archive = known(server, zipped({"1.png": PICTURE}))
    with fetching._alone(tmp_path), pytest.raises(UserError, match="another process is downloading into it"):
        download([archive], tmp_path)
    assert download([archive], tmp_path).is_dir()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    return buffer.getvalue()


OUTSIDE = "would be written elsewhere"
LINK = "a link or a device in place of an image"
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "upwards in a zip": ("x.zip", lambda: zipped({"a/../../evil.png": PICTURE}), OUTSIDE),
    "upwards by backslashes": ("x.zip", lambda: zipped({"..\\..\\evil.png": PICTURE}), OUTSIDE),
    "absolute in a zip": ("x.zip", lambda: zipped({"/tmp/evil.png": PICTURE}), OUTSIDE),
    "a drive": ("x.zip", lambda: zipped({"C:/evil.png": PICTURE}), OUTSIDE),
    "upwards in a tar": ("x.tar.gz", lambda: tarred(("../evil.png", PICTURE)), OUTSIDE),
    "absolute in a tar": ("x.tar", lambda: tarred(("/tmp/evil.png", PICTURE), mode="w"), OUTSIDE),
    "a link in a zip": ("x.zip", lambda: linked("evil.png"), LINK),
    "a symbolic link": ("x.tar", lambda: tarred(special("evil.png", tarfile.SYMTYPE, "/etc/passwd")), LINK),
    "a hard link": ("x.tar", lambda: tarred(special("evil.png", tarfile.LNKTYPE, "../../secret")), LINK),
    "a device": ("x.tar", lambda: tarred(special("evil.png", tarfile.CHRTYPE)), LINK),
    "a pipe": ("x.tar", lambda: tarred(special("evil.png", tarfile.FIFOTYPE)), LINK),
    "a bomb in a zip": ("x.zip", lambda: zipped({"evil.png": bytes(10_000_000)}), "more than 20 times its size"),
    "a bomb in a tar": ("x.tgz", lambda: tarred(("evil.png", bytes(10_000_000))), "more than 20 times its size"),
    "files without end": ("x.tgz", lambda: tarred(*((f"{n}.png", b"") for n in range(3000))), "more than 20 times"),
    "one name twice": ("x.tar", lambda: tarred(("a.png", PICTURE), ("./a.png", PICTURE)), "two files of one name"),
    "cut off": ("x.tgz", lambda: tarred(("a.png", CONTENT))[:500_000], "is damaged"),
    "garbage": ("x.zip", lambda: b"garbage", "is damaged"),
    "no images": ("x.zip", lambda: zipped({"readme.txt": b"hello"}), "holds none of the images"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_no_archive_writes_elsewhere_or_without_bound(case: str, tmp_path: Path) -> None:
    name, make, message = HOSTILE[case]
    folder = tmp_path / "inner" / "set"
    folder.mkdir(parents=True)
    content = make()
    (folder / name).write_bytes(content)
    archive = Archive(urls=(f"https://example.org/{name}",), bytes=len(content))
    with pytest.raises(UserError, match=message) as refusal:
        download([archive], folder)
    assert "\n" not in str(refusal.value)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [
        Path("inner") / "set" / name
    ]


def test_links_beside_the_images_are_not_followed_but_left_out(tmp_path: Path) -> None:
    content = tarred(special("tools/x.png", tarfile.SYMTYPE, "/etc/passwd"), ("images/1.png", PICTURE))
    (tmp_path / "x.tgz").write_bytes(content)
    archive = Archive(urls=("https://example.org/x.tgz",), bytes=len(content), take={"images": "."})
    into = tmp_path / "into"
    unpack(tmp_path / "x.tgz", archive, into)
    assert [path.name for path in into.rglob("*")] == ["1.png"]
