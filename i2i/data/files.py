"""The one module that knows image files: what they are called, how they are listed, decoded and encoded.

Everything above it sees arrays ``[H, W, C]`` in RGB order, upright, of uint8 or uint16.

Pillow decodes, for it expands palettes, CMYK and 1-bit images rightly and refuses what is cut off, where OpenCV hands
out a half-grey image. OpenCV decodes and encodes 16-bit colour, which Pillow reduces to 8 bits, and encodes PNG, in
which it is several times faster. The library tifffile, which need not be installed, decodes and encodes TIFFs of more
than 4 channels, and decodes those whose channels lie in separate planes of 16 bits, of which Pillow makes noise or
loses channels. Embedded colour profiles are not applied; of animations and multi-page files the first image counts.
"""

from __future__ import annotations

import io
import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from i2i.errors import UserError

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from tifffile import TiffPage

Pixels = NDArray[np.uint8 | np.uint16]
"""An image ``[H, W, C]``, RGB order, values over the whole range of its type."""

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".avif"}
)
"""The suffixes, in lower case, by which an image is found. What a file really holds is read from its first bytes."""

MAX_PIXELS = 178_956_970
"""Pillow's guard against decompression bombs: a file that claims more pixels is refused before it is decoded."""

MAX_BYTES = 4 << 30
"""The like for images of many channels: a file that claims to decode to more is refused."""

MAX_CHANNELS = 64
"""Most channels of an image."""

JPEG_QUALITY = 95

TIFF_EXTRA = "pip install 'i2i[tiff]'"
"""What brings the libraries that TIFFs of more than 4 channels take."""

_TOO_MANY_PIXELS = f"has more than {MAX_PIXELS:,} pixels; cut it into smaller images"
_MEND = "save it with 8 or 16 bits per channel"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two of BigTIFF

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "AVIF")
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_PLAIN = (1, 2, 5)  # TIFF's numbers for grey, RGB and inks, to which more channels are added
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_OPTIONS: dict[str, dict[str, int | str]] = {
    "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0},
    "WEBP": {"quality": JPEG_QUALITY},
    "TIFF": {"compression": "tiff_lzw"},
}

# What turns the stored image upright, by EXIF orientation (1 is upright already).
_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}

# Pillow warns of large images below the limit and of odd metadata; neither keeps the pixels from being right.
for _category in (Image.DecompressionBombWarning, UserWarning):
    warnings.filterwarnings("ignore", category=_category, module=r"PIL\.")
# Both also log, or warn of, damage that is raised or told apart here.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tifffile\.")
for _name in ("PIL.TiffImagePlugin", "tifffile"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class BrokenImage(UserError):
    """A file that gives no image: missing, cut off, damaged, too large, or of a kind that is not known here."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[BrokenImage], tuple[Path, str]]:
        """Let it travel from a loader process to the one that reports it."""
        return BrokenImage, (self.path, self.reason)


@dataclass(frozen=True)
class ImageInfo:
    """What `read` will return, as far as the header tells.

    `width` and `height` are those of the upright image, `channels` those after palettes and the like are expanded,
    `depth` is bits per value, `mode` Pillow's name for the pixels as they are stored (``P`` is a palette), empty for
    those that it does not read.
    """

    width: int
    height: int
    channels: int
    depth: Literal[8, 16]
    mode: str


def is_image(path: Path) -> bool:
    """Say whether the name is that of an image: a known suffix and no leading dot."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """Return every image below `folder`, in natural order (``2.png`` before ``10.png``), the same on every machine.

    Hidden files and folders are left out. Links to folders are followed, each real folder is entered once.

    Raises:
        UserError: a folder cannot be read.
    """
    return list(_walk(folder, set()))


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in entered:
            return
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    for entry in sorted(found, key=lambda entry: natural_key(entry.name)):
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, entered)
        elif is_image(path):
            yield path


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sorting key by which numbers within names count as numbers."""
    parts: list[str | int] = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())]
    return parts, name


def read_info(path: Path) -> ImageInfo:
    """Read size, channels and depth from the header alone.

    Raises:
        BrokenImage: the file is missing or its header is that of no known image.
    """
    with _opened(path) as image:
        if not isinstance(image, Image.Image):
            return _page_info(path, image)
        info = _info(path, image)
        # TIFF sizes come upright. PNG's getexif() would decode the whole file in search of an EXIF chunk at its end.
        if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
            return info
        if _orientation(image) in (5, 6, 7, 8):
            return replace(info, width=info.height, height=info.width)
        return info


def read(path: Path) -> Pixels:
    """Decode an image as ``[H, W, C]``: uint8, or uint16 where the file has 16 bits.

    C is 1 (grey), 2 (grey, alpha), 3 (RGB), 4 (RGB, alpha) or 5 to 64 (as they are stored). Turned upright by EXIF
    orientation; palettes with their transparency are expanded, CMYK, YCbCr and Lab become RGB, 1-bit images 0 and 255.

    Raises:
        BrokenImage: the file is missing, cut off, damaged, too large, holds pixels that are neither 8 nor 16 bits, or
            takes a library that is not installed.
    """
    with _opened(path) as image:
        if not isinstance(image, Image.Image):
            return _read_page(path, image)
        info = _info(path, image)
        image.load()  # refuses what is cut off, for OpenCV as well
        if info.depth == 16 and info.channels > 1:
            pixels: Pixels = _read_deep_colour(path, info.channels)
        else:
            pixels = _expand(image, info)
        upright = _UPRIGHT.get(_orientation(image))  # TIFF comes upright from both libraries, and then without this tag
        pixels = pixels.reshape(*pixels.shape[:2], info.channels)
        return np.ascontiguousarray(upright(pixels)) if upright else pixels


def from_pil(image: Image.Image) -> Pixels:
    """Return a Pillow image as `read` would have read its file: ``[H, W, C]``, uint8 or uint16.

    What Pillow has lost is lost: 16-bit colour comes in 8 bits.

    Raises:
        BrokenImage: its pixels are neither 8 nor 16 bits, or it is a file of more channels than Pillow reads.
    """
    if _is_beyond_pillow(image):
        raise BrokenImage(Path("image"), "has channels that Pillow does not read; give the file's name instead of it")
    image.load()  # what is loaded is described as it is in memory, not as in the file
    info = _info(Path("image"), image)
    pixels = _expand(image, info)
    return pixels.reshape(*pixels.shape[:2], info.channels)


def _expand(image: Image.Image, info: ImageInfo) -> Pixels:
    """Return the pixels of an image of 8 bits, or of 16 bits and one channel, as they are stored but expanded."""
    if info.depth == 16:
        deep = np.array(image, dtype=np.uint16)
        # white is 0; Pillow turns 8 bits alone
        return ~deep if _tags(image).get(ExifTags.Base.PhotometricInterpretation) == 0 else deep
    mode = _MODES[info.channels]
    return np.array(image if image.mode == mode else image.convert(mode))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image | TiffPage]:
    """Open a file with Pillow, or the first page of a TIFF with tifffile where Pillow does not do.

    Whatever goes wrong with it, then or before the context is left, is turned into one line.
    """
    try:
        image = _open_with_pillow(path)
        if image is not None:
            with image:
                yield image
            return
        try:
            from tifffile import TiffFile
        except ImportError as error:
            kinds = "of more than 4 channels, in separate planes, or damaged"
            raise BrokenImage(path, f"is a TIFF {kinds}, which takes the library tifffile: {TIFF_EXTRA}") from error
        with TiffFile(path) as file:
            yield file.pages.first
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImage(path, _why_unidentified(path)) from error
    except Image.DecompressionBombError as error:
        raise BrokenImage(path, _TOO_MANY_PIXELS) from error
    except FileNotFoundError as error:
        raise BrokenImage(path, "there is no such file") from error
    except Exception as error:  # damaged files make decoders raise anything
        refused = getattr(error, "strerror", None)  # by the operating system
        reason = refused or shorten(str(error), 120) or type(error).__name__
        raise BrokenImage(path, f"{'cannot be read' if refused else 'is damaged or cut off'} ({reason})") from error


def _open_with_pillow(path: Path) -> Image.Image | None:
    """Open a file; None: it is a TIFF that Pillow does not read, or not rightly."""
    try:
        image = Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        if _start(path) in _TIFF_STARTS:
            return None
        raise
    if _is_beyond_pillow(image):
        image.close()
        return None
    return image


def _is_beyond_pillow(image: Image.Image) -> bool:
    """Say whether an image is a TIFF of which Pillow would leave channels out, or garble those in separate planes."""
    tags = _tags(image)
    samples = int(tags.get(ExifTags.Base.SamplesPerPixel, 1))
    if samples < 2 or tags.get(ExifTags.Base.PlanarConfiguration) != 2:
        return samples > 4
    return samples > 4 or max(tags.get(ExifTags.Base.BitsPerSample, (1,))) > 8 or len(image.getbands()) == 1


def _why_unidentified(path: Path) -> str:
    if not _start(path):
        return "is empty (0 bytes)"
    return "is no image of a known kind, or is damaged; save it as PNG or JPEG"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _info(path: Path, image: Image.Image) -> ImageInfo:
    """Describe an opened image that is not loaded yet, as it is stored."""
    mode = image.mode
    if mode in ("I", "F"):
        raise BrokenImage(path, f"has 32-bit or floating-point values; {_MEND}")
    if mode.startswith("I;16"):
        return ImageInfo(*image.size, 1, 16, mode)
    stored, deep, _ = _raw_mode(image).partition(";16")
    if deep and stored in ("LA", "RGB", "RGBX", "RGBA"):
        return ImageInfo(*image.size, len(stored.rstrip("X")), 16, mode)  # X is nothing that is known, as in 8 bits
    channels = 1 if mode in ("1", "L", "LA", "La") else 3
    return ImageInfo(*image.size, channels + image.has_transparency_data, 8, mode)


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return getattr(image, "tag_v2", {})  # of TIFF alone


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata; the pixels are fine
        return 1


def _raw_mode(image: Image.Image) -> str:
    """Return how the file stores its pixels, such as ``RGB;16B``."""
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else None
    return str(args[0] if isinstance(args, tuple) else args)


def _read_deep_colour(path: Path, channels: int) -> NDArray[np.uint16]:
    import cv2

    decoded: MatLike | None = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise BrokenImage(path, "is a 16-bit image that cannot be decoded; save it as 16-bit PNG")
    order = {2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]  # BGR to RGB; grey with alpha comes as BGRA
    return np.ascontiguousarray(decoded[:, :, order], dtype=np.uint16)


def _page_info(path: Path, page: TiffPage) -> ImageInfo:
    """Describe a page of a TIFF as `_read_page` will return it, or refuse it."""
    planes, layers, height, width, samples = page.shaped
    channels = planes * samples
    if height * width > MAX_PIXELS:
        raise BrokenImage(path, _TOO_MANY_PIXELS)
    if channels > MAX_CHANNELS:
        raise BrokenImage(path, f"has {channels:,} channels; keep at most {MAX_CHANNELS} of them")
    if page.dtype not in (np.uint8, np.uint16) or page.bitspersample not in (8, 16):
        bits = page.bitspersample if isinstance(page.bitspersample, int) else "mixed"
        raise BrokenImage(path, f"has values of {bits} bits ({page.dtype or 'unknown'}); {_MEND}, without sign")
    if height * width * channels * page.bitspersample // 8 > MAX_BYTES:
        size = f"{MAX_BYTES >> 30} GiB"
        raise BrokenImage(path, f"has {channels} channels that take more than {size}; cut it into smaller images")
    if layers != 1 or page.photometric not in _PLAIN:
        kind = "a stack in depth" if layers != 1 else getattr(page.photometric, "name", page.photometric)
        raise BrokenImage(path, f"is a TIFF of unusual pixels ({kind}); save its channels as plain values")
    if channels in (2, 4) and page.extrasamples[-1:] != (2,):  # which are grey or RGB with alpha everywhere here
        raise BrokenImage(path, f"has {channels} channels, the last of which is not alpha; save 1, 3, or more than 4")
    if page.tags.valueof(274) in (5, 6, 7, 8):
        height, width = width, height
    return ImageInfo(width, height, channels, 8 if page.bitspersample == 8 else 16, "")


def _read_page(path: Path, page: TiffPage) -> Pixels:
    info = _page_info(path, page)
    starts, sizes, end = page.dataoffsets, page.databytecounts, page.parent.filehandle.size
    if not (
        len(starts) == len(sizes)
        and (page.is_contiguous or len(starts) >= math.prod(page.chunked))
        and (page.compression != 1 or sum(sizes) >= page.nbytes)
        and all(size > 0 and start + size <= end for start, size in zip(starts, sizes, strict=True))
    ):  # tifffile would take what is missing for black
        raise BrokenImage(path, "is damaged or cut off (parts of it are missing)")
    try:
        stored = page.asarray(squeeze=False, maxworkers=1)  # [planes, 1, H, W, samples]
    except Exception as error:
        if "imagecodecs" in str(error):
            kind = getattr(page.compression, "name", page.compression)
            raise BrokenImage(path, f"takes more decoders (its compression is {kind}): {TIFF_EXTRA}") from error
        raise
    pixels: Pixels = np.moveaxis(stored[:, 0], 0, 2).reshape(*stored.shape[2:4], info.channels)
    upright = _UPRIGHT.get(page.tags.valueof(274, default=1))
    return np.ascontiguousarray(upright(pixels) if upright else pixels)


def write(path: Path, image: Pixels) -> None:
    """Encode ``[H, W, C]`` by the suffix of `path`: png, jpg (quality 95), webp (95), bmp, tif.

    Grey and alpha are kept where the format has them, 16 bits in png and tif, more than 4 channels in tif. Missing
    folders are made. The file appears whole or not at all, and takes the place of one of the same name.

    Raises:
        UserError: the format cannot hold the image, the file cannot be written, or the image has more than 4 channels
            and tifffile is not installed.
    """
    kind = WRITABLE.get(path.suffix.lower())
    channels, deep = image.shape[2], image.dtype == np.uint16
    if kind is None:
        raise UserError(f"{path}: images are written as {', '.join(WRITABLE)}, not as '{path.suffix}'")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"{path}: an image of {channels} channels cannot be written, only 1 to {MAX_CHANNELS}")
    if channels > 4 and kind != "TIFF":
        raise UserError(f"{path}: {path.suffix} holds at most 4 channels, and the image has {channels}; write a .tif")
    if deep and kind not in ("PNG", "TIFF"):
        raise UserError(f"{path}: {kind} holds no 16-bit images; write a .png or .tif")
    if channels in (2, 4) and kind in ("JPEG", "BMP"):
        raise UserError(f"{path}: {kind} holds no transparency; write a .png, .webp or .tif")
    try:
        encoded = _encode_many(path, image) if channels > 4 else _encode(image, kind)
    except (OSError, ValueError) as error:  # such as a side above the format's limit
        raise UserError(f"{path}: cannot be written as {kind} ({error}); try .png") from error
    try:
        write_whole(path, encoded)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, in place of one of the same name; missing folders are made.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.tmp")  # hidden, so that nobody lists it
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _encode(image: Pixels, kind: str) -> bytes:
    channels, deep = image.shape[2], image.dtype == np.uint16
    if deep or (kind == "PNG" and channels != 2):
        import cv2

        if channels == 2:  # neither library writes 16-bit grey with alpha
            image, channels = to_channels(image, 4), 4
        bgr = image[:, :, [2, 1, 0, 3][:channels]] if channels > 1 else image
        # OpenCV's own choice, level 1 of runs alone: 2.4 ms and 105 kB for a drawn cat of 256 pixels, where its level 6
        # takes 18 ms for 93 kB, its level 1 4 ms for 99 kB, and Pillow 22 ms for 93 kB; a photo of 512 is alike.
        return cv2.imencode(".tif" if kind == "TIFF" else ".png", bgr)[1].tobytes()
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if channels == 1 else image
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **_OPTIONS.get(kind, {}))
    return buffer.getvalue()


def _encode_many(path: Path, image: Pixels) -> bytes:
    """Encode a TIFF of more than 4 channels, in a compression that every reader has."""
    try:
        from tifffile import imwrite
    except ImportError as error:
        channels = image.shape[2]
        raise UserError(f"{path}: {channels} channels are written by the library tifffile: {TIFF_EXTRA}") from error
    buffer = io.BytesIO()
    imwrite(
        buffer,
        np.ascontiguousarray(image),
        photometric="minisblack",
        planarconfig="contig",
        compression="zlib",
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def to_channels(image: Pixels, channels: int) -> Pixels:
    """Return `image` with 1, 2, 3 or 4 channels, in the same depth; one of more channels has to have what is wanted.

    Grey is repeated to RGB. RGB becomes grey by the luma of ITU-R BT.601, as in Pillow. Where alpha has no place, the
    image is laid over white, so that drawings on a transparent ground become black on white; where it is wanted and
    missing, it is opaque. An image that has the wanted number of channels already is returned as it is.

    Args:
        image: ``[H, W, C]``.
        channels: wanted number of channels.

    Raises:
        UserError: the image has more than 4 channels, or more are wanted, and the numbers differ.
    """
    if image.shape[2] == channels:
        return image
    if image.shape[2] not in _MODES or channels not in _MODES:
        raise UserError(f"an image of {image.shape[2]} channels cannot be turned into one of {channels}")
    has_alpha = image.shape[2] in (2, 4)
    colour = image[:, :, :-1] if has_alpha else image
    alpha = image[:, :, -1:] if has_alpha else np.full_like(image[:, :, :1], np.iinfo(image.dtype).max)
    if has_alpha and channels in (1, 3):
        colour = _over_white(colour, alpha)
    if colour.shape[2] == 3 and channels < 3:
        colour = _luma(colour)
    elif colour.shape[2] == 1 and channels >= 3:
        colour = np.repeat(colour, 3, axis=2)
    return np.concatenate([colour, alpha], axis=2) if channels in (2, 4) else colour


def split_alpha(image: Pixels) -> tuple[Pixels, Pixels | None]:
    """Take the transparency off an image of 2 or 4 channels.

    Args:
        image: ``[H, W, C]``.

    Returns:
        The colour ``[H, W, 1 or 3]`` laid over white, and alpha ``[H, W, 1]``; of an image of 1, 3 or more than 4
        channels, itself and None.
    """
    if image.shape[2] not in (2, 4):
        return image, None
    colour, alpha = image[:, :, :-1], image[:, :, -1:]
    return _over_white(colour, alpha), alpha


def with_alpha(image: Pixels, alpha: Pixels) -> Pixels:
    """Give an image transparency.

    Args:
        image: ``[H, W, 1 or 3]``.
        alpha: ``[H, W, 1]``, in 8 or 16 bits, whichever the image has.

    Returns:
        ``[H, W, 2 or 4]``, in the image's depth.

    Raises:
        UserError: the image has neither 1 nor 3 channels.
    """
    if image.shape[2] not in (1, 3):
        raise UserError(f"an image of {image.shape[2]} channels cannot be given transparency, only one of 1 or 3")
    if image.dtype == np.uint8:
        alpha = to_uint8(alpha)
    elif alpha.dtype == np.uint8:
        alpha = alpha.astype(np.uint16) * np.uint16(257)
    return np.concatenate([image, alpha], axis=2)


def _over_white(colour: Pixels, alpha: Pixels) -> Pixels:
    white = np.iinfo(colour.dtype).max
    opacity = alpha.astype(np.uint64)
    return ((colour * opacity + white * (white - opacity) + white // 2) // white).astype(colour.dtype)


def _luma(colour: Pixels) -> Pixels:
    """Return 0.299 R + 0.587 G + 0.114 B as ``[H, W, 1]``, in fixed point, which fits 32 bits for uint16 too."""
    weighted = colour.astype(np.uint32) @ np.array([19595, 38470, 7471], dtype=np.uint32)
    return ((weighted + 2**15) >> 16)[:, :, None].astype(colour.dtype)


def to_uint8(image: Pixels) -> NDArray[np.uint8]:
    """Return `image` in 8 bits: 16-bit values are divided by 257 and rounded, so 0 and 65535 become 0 and 255."""
    if image.dtype == np.uint8:
        return image  # type: ignore[return-value]
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
