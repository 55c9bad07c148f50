"""Downloads: archives are fetched over HTTP in as many goes as it takes, checked, and unpacked with suspicion.

What has come of a file lies beside the data set's folder as ``NAME.part`` until all of it is there and is the file that
the recipe knows. ``NAME.part.from`` notes where it comes from, so that another go asks for the rest of the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from i2i import __version__
from i2i.data.files import is_image
from i2i.data.places import DOWNLOADED, new_folder
from i2i.data.recipes import Archive
from i2i.data.reports import Progress, Say, Show, as_size, unheard, unseen
from i2i.errors import UserError

CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte after which a connection is given up
ATTEMPTS = 4  # in a row that bring nothing, before an address is given up
FIRST_WAIT = 1.0  # seconds before the second attempt; each further wait is twice as long
BUSY = (408, 425, 429)  # answers of servers that may answer otherwise soon, as those from 500 on
MOST_GROWTH = 20  # bytes that an archive may hold for each of its own: photos hardly shrink, masks do
BLOCK = 512  # bytes that a file counts at least
GO_ON = "what has come is kept, and the same line goes on with it"


class _Refused(Exception):
    """An address gives no such file, now or later."""


class _Interrupted(Exception):
    """A transfer ended early, and may be taken up again."""


def download(archives: Sequence[Archive], folder: Path, show: Show = unseen, say: Say = unheard) -> Path:
    """Return the subfolder of `folder` that holds the images of archives, which are downloaded where it is not there.

    An archive that lies in `folder` under its own name was put there by hand: it is taken, checked, and left alone.

    Args:
        archives: what to download, and what to take out of it.
        folder: the data set's own.
        show: shows how downloading, checking and unpacking go on.
        say: takes lines for the user.

    Raises:
        UserError: an archive cannot be had, is not what it should be, or does not fit on the disk.
    """
    target = folder / DOWNLOADED
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        paths = [_bring(archive, folder, show, say) for archive in archives]
        _refuse_lack_of_room(folder, sum(path.stat().st_size for path in paths))
        with new_folder(target) as new:
            for archive, path in zip(archives, paths, strict=True):
                with show("unpacking, MB") as progress:
                    unpack(path, archive, new, _in_megabytes(progress))
        for path in paths:
            if path.suffix == ".part":
                _forget(path)
    return target


def _bring(archive: Archive, folder: Path, show: Show, say: Say) -> Path:
    """Return where an archive lies, once it is there and known to be the right one."""
    by_hand = folder / archive.name
    part = folder / f"{archive.name}.part"
    if by_hand.is_file():
        if wrong := _mismatch(by_hand, archive, show):
            raise UserError(f"{by_hand}: {wrong}; take it away, and it is downloaded")
        return by_hand
    with show("downloading, MB") as progress:
        fetch(archive, part, say, _in_megabytes(progress))
    if wrong := _mismatch(part, archive, show):
        kept = part.rename(folder / f"{archive.name}.rejected")
        _forget(part)
        raise UserError(
            f"{archive.name}: {wrong}: damaged on its way, or another file at its source; the same line downloads it "
            f"anew (what came is kept as {kept})"
        )
    return part


def fetch(archive: Archive, path: Path, say: Say = unheard, progress: Progress = lambda done, total: None) -> None:
    """Bring an archive to `path`; what an earlier go left there is gone on with.

    Args:
        archive: what to fetch; its addresses are tried in turn.
        path: the file to write.
        say: takes a line for the user before each further attempt.
        progress: told how many bytes of how many are there.

    Raises:
        UserError: no address gives it, or it does not fit on the disk.
    """
    reasons: dict[str, None] = {}
    try:
        for url in archive.urls:
            try:
                _fetch_from(url, archive, path, say, progress)
                return
            except _Refused as error:
                reasons[f"{urlsplit(url).netloc}: {error}"] = None
    except KeyboardInterrupt:
        say(f"data: stopped; {GO_ON}")
        raise
    raise UserError(
        f"{archive.name}: could not be downloaded ({'; '.join(reasons)}); try again later, or put the file into "
        f"{path.parent} by hand"
    )


def _fetch_from(url: str, archive: Archive, path: Path, say: Say, progress: Progress) -> None:
    failures = 0
    while not (archive.exact and _length(path) == archive.bytes):
        before = _length(path)
        try:
            _receive(url, archive, path, progress)
            return
        except (OSError, HTTPException, _Interrupted) as error:
            reason = _in_words(error)
            failures = 1 if _length(path) > before else failures + 1
            if failures == ATTEMPTS:
                raise _Refused(reason) from error
        wait = FIRST_WAIT * 2 ** (failures - 1)
        say(f"data: {urlsplit(url).netloc}: {reason}; trying again in {wait:g} s")
        time.sleep(wait)


def _receive(url: str, archive: Archive, path: Path, progress: Progress) -> None:
    """Ask for what is missing of a file, and append it."""
    have, mark = _left_of(path, url)
    headers = {"User-Agent": f"i2i/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was there
            _forget(path)
            raise _Interrupted("what was there is more than the server has") from error
        kind = _Interrupted if error.code in BUSY or error.code >= 500 else _Refused
        raise kind(f"the server answers {error.code} {error.reason}") from error
    with response:
        have = _first_byte(response, path, have)
        told = response.headers.get("Content-Length")
        total = have + int(told) if told else archive.bytes
        if archive.exact and total != archive.bytes:
            raise _Refused(f"has {total} bytes, and the recipe knows {archive.bytes}: it is another file")
        _refuse_lack_of_room(path.parent, total - have + total)
        _note_origin(path, url, response)
        with _on_disk(path):
            file = path.open("r+b" if have else "wb", buffering=0)
        with file:
            file.seek(have)
            while chunk := response.read(CHUNK):
                _append(file, chunk, path)
                have += len(chunk)
                progress(have, max(have, total))
    if have < total and (told or archive.exact):
        raise _Interrupted(f"the connection ended after {have} of {total} bytes")


def _first_byte(response: HTTPResponse, path: Path, wanted: int) -> int:
    """Return where in the file a response begins: at its start unless the server gives the rest that was asked for."""
    if response.status != 206:
        return 0
    told = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if not told or int(told[1]) != wanted:
        _forget(path)
        raise _Interrupted("the server gave another part than was asked for")
    return wanted


def _note_origin(path: Path, url: str, response: HTTPResponse) -> None:
    """Note where a file comes from and what marks this state of it; without a mark, another go begins anew."""
    etag = response.headers.get("ETag", "")
    mark = response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
    with _on_disk(path):
        _origin(path).write_text(json.dumps({"url": url, "mark": mark}), encoding="utf-8")


def _left_of(path: Path, url: str) -> tuple[int, str]:
    """Return how many bytes an earlier go left of the file at that address, and what marks its state."""
    try:
        noted = json.loads(_origin(path).read_text(encoding="utf-8"))
        known, mark = noted["url"], str(noted["mark"])
    except (OSError, ValueError, TypeError, KeyError):  # there is none, or it was cut off
        return 0, ""
    return (_length(path), mark) if mark and known == url else (0, "")


def _origin(path: Path) -> Path:
    return path.with_name(f"{path.name}.from")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(path: Path) -> None:
    for leftover in (path, _origin(path)):
        leftover.unlink(missing_ok=True)


def _append(file: FileIO, chunk: bytes, path: Path) -> None:
    rest = memoryview(chunk)
    with _on_disk(path):
        while rest:  # a disk that is nearly full takes a part
            rest = rest[file.write(rest) :]


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """Tell what goes wrong with the disk from what goes wrong with the network, which is an OSError as well."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make room, or choose another disk by I2I_DATA ({GO_ON})"
        ) from error


def _refuse_lack_of_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {as_size(needed)} are needed there, for the download and what is unpacked from it, and "
            f"{as_size(free)} are free; make room, or choose another disk by I2I_DATA ({GO_ON})"
        )


def _in_words(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error  # urlopen wraps what the system says
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__


def _in_megabytes(progress: Progress) -> Progress:
    return lambda done, total: progress(done // 1_000_000, max(1, total // 1_000_000))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process from writing the same files, where the system can lock one."""
    try:
        import fcntl
    except ImportError:  # on Windows
        yield
        return
    path = folder / "downloading.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another process is downloading into it; wait until it has ended") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _mismatch(path: Path, archive: Archive, show: Show) -> str | None:
    """Say in what a file is not the one that the recipe knows; None: in nothing that can be checked."""
    size = path.stat().st_size
    if archive.exact and size != archive.bytes:
        return f"has {size} bytes, and the recipe knows {archive.bytes}"
    if archive.checksum is None:
        return None
    kind, _, wanted = archive.checksum.partition(":")
    digest = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=kind == "sha256")
    if kind == "git":
        digest.update(b"blob %d\0" % size)
    with show("checking, MB") as progress, path.open("rb") as file:
        tell = _in_megabytes(progress)
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            tell(file.tell(), size)
    found = digest.hexdigest()
    return None if found == wanted else f"has the {kind} {found}, and the recipe knows {wanted}"


@dataclass(frozen=True)
class _Member:
    """A file in an archive.

    Attributes:
        name: its path, as the archive has it.
        size: its length when unpacked, as the archive has it.
        plain: whether it is a file, and no link or device.
        behind: bytes of the archive up to it.
        open: gives its content.
    """

    name: str
    size: int
    plain: bool
    behind: int
    open: Callable[[], IO[bytes] | None]


def unpack(path: Path, archive: Archive, into: Path, progress: Progress = lambda done, total: None) -> None:
    """Write the images that are to be taken out of an archive, and nothing else.

    Args:
        path: where the archive lies; zip by its name, else tar, compressed or not.
        archive: what to take.
        into: an empty folder.
        progress: told how many of the archive's bytes are behind.

    Raises:
        UserError: it is damaged, holds none of them, or what no honest archive holds: paths that lead out of the
            folder, links and devices in place of images, two files of one name, or far more than its size.
    """
    size = path.stat().st_size
    unpacked = taken = 0
    try:
        for member in (_zip_members if archive.name.endswith(".zip") else _tar_members)(path):
            unpacked += max(member.size, BLOCK)
            if unpacked > MOST_GROWTH * size:
                raise UserError(f"{path}: unpacks to more than {MOST_GROWTH} times its size, which no photos do")
            if goal := _goal(member, archive, path):
                _write(member, into / goal, path)
                taken += 1
            progress(member.behind, size)
    except UserError:
        raise
    except Exception as error:  # damaged archives make their readers raise anything
        raise UserError(f"{path}: is damaged ({_in_words(error)}); delete it, and it is downloaded anew") from error
    if not taken:
        raise UserError(f"{path}: holds none of the images that the recipe names; it is another file than it knows")


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if not info.is_dir():
                mode = info.external_attr >> 16
                plain = stat.S_IFMT(mode) in (0, stat.S_IFREG)
                behind = info.header_offset + info.compress_size
                yield _Member(info.filename, info.file_size, plain, behind, partial(file.open, info))


def _tar_members(path: Path) -> Iterator[_Member]:
    with path.open("rb") as raw, tarfile.open(fileobj=raw) as file:
        for info in file:
            if not info.isdir():
                yield _Member(info.name, info.size, info.isreg(), raw.tell(), partial(file.extractfile, info))


def _goal(member: _Member, archive: Archive, path: Path) -> Path | None:
    """Return where a member goes, seen from the data set's folder; None: it is not taken."""
    parts = PurePosixPath(member.name.replace("\\", "/")).parts
    if ".." in parts or "/" in parts[:1] or any(":" in part for part in parts[:1]) or "\0" in member.name:
        raise UserError(f"{path}: holds a file that would be written elsewhere ({member.name!r}); nothing is unpacked")
    if not parts or not is_image(Path(parts[-1])) or not fnmatchcase(parts[-1], archive.include):
        return None
    for source, goal in archive.take.items():
        folder = PurePosixPath(source).parts
        for at in range(len(parts) - len(folder)):
            if parts[at : at + len(folder)] == folder:
                if not member.plain:
                    raise UserError(f"{path}: holds a link or a device in place of an image ({member.name!r})")
                return Path(goal, *parts[at + len(folder) :])
    return None


def _write(member: _Member, goal: Path, path: Path) -> None:
    if goal.exists():
        raise UserError(f"{path}: holds two files of one name ({member.name!r})")
    source = member.open()
    assert source is not None  # it is a file
    with _on_disk(goal):
        goal.parent.mkdir(parents=True, exist_ok=True)
        file = goal.open("xb", buffering=0)
    with source, file:
        while chunk := source.read(CHUNK):
            _append(file, chunk, goal)
