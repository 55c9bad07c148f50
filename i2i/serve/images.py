"""Images in and out of requests: bounded in bytes and in pixels, before anything is decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from PIL import Image

from i2i.data import files
from i2i.errors import UserError
from i2i.serve.refusal import Refusal

Format = Literal["png", "jpg", "webp", "tif"]
MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "tif": "image/tiff"}


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        bytes: of its body.
        pixels: of an image that comes in, is worked on, or goes out.
    """

    bytes: int = 20 << 20
    pixels: int = 16_000_000

    def refuse_large(self, height: int, width: int, what: str = "the image", channels: int = 4) -> None:
        """Refuse an image by its size; of more than 4 channels, which take as much memory, each 4 count as an image.

        Raises:
            Refusal: it has too many pixels (413).
        """
        if height * width * max(1, channels / 4) > self.pixels:
            shape = f"{width} x {height} pixels" + (f" of {channels} channels" if channels > 4 else "")
            raise Refusal(413, f"{what} has {shape}, and this server takes {self.pixels:,}; send a smaller one")


def parts_of(body: bytes, content_type: str) -> Mapping[str, bytes]:
    """Return the images of a request's body by name: ``image`` for a raw body, or the parts of a form.

    Forms (``multipart/form-data``, RFC 7578) are for what takes two images: ``image`` and ``mask``.

    Raises:
        Refusal: the body is empty, or a form without an image (400).
    """
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if not content_type.lower().startswith("multipart/form-data") or boundary is None:
        parts = {"image": body}
    else:
        parts = {}
        # The whole body is here and bounded, so that a form is no more than a split at its boundary.
        # Of three parts one is refused below, so that more need not be looked for.
        for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode(), 4)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            if name := re.search(rb'\bname="?([^";\r]+)', head):
                parts[name[1].decode(errors="replace")] = content
    if not parts.get("image"):
        raise Refusal(400, "there is no image in the request's body; with curl: --data-binary @photo.jpg")
    if unknown := parts.keys() - {"image", "mask"}:
        raise Refusal(400, f"the form has a part '{min(unknown)}'; send an image, and a mask if the model takes one")
    return parts


def decode(content: bytes, limits: Limits, what: str = "image") -> files.Pixels:
    """Return an image ``[H, W, C]``, uint8 or uint16.

    Args:
        content: an image file.
        limits: its size is read from its header and held against them before it is decoded.
        what: what it is, for the error's words.

    Raises:
        Refusal: it is no image that can be read (415), or too large (413).
    """
    # The one module that knows image files knows them by their names, so it gets one.
    with TemporaryDirectory(prefix="i2i-") as folder:
        path = Path(folder) / what
        path.write_bytes(content)
        try:
            info = files.read_info(path)
            limits.refuse_large(info.height, info.width, f"the {what}", info.channels)
            return files.read(path)
        except files.BrokenImage as error:
            status = 413 if isinstance(error.__cause__, Image.DecompressionBombError) else 415
            raise Refusal(status, f"the {what} {error.reason}") from error


def encode(image: files.Pixels, form: Format) -> bytes:
    """Return an image ``[H, W, C]`` as a file.

    Raises:
        Refusal: the format cannot hold it (400).
    """
    if form not in ("png", "tif"):
        image = files.to_uint8(image)
    if form == "jpg" and image.shape[2] in (2, 4):
        image, _ = files.split_alpha(image)
    with TemporaryDirectory(prefix="i2i-") as folder:
        path = Path(folder) / f"output.{form}"
        try:
            files.write(path, image)
        except UserError as error:
            raise Refusal(400, str(error).replace(str(path), f"format={form}")) from error
        return path.read_bytes()
