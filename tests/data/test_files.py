import importlib.util
import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from i2i.data import files
from i2i.data.files import (
    BrokenImage,
    Pixels,
    from_pil,
    list_images,
    natural_key,
    read,
    read_info,
    split_alpha,
    to_channels,
    to_uint8,
    with_alpha,
    write,
)
from i2i.errors import UserError


def noise(*shape: int, dtype: type = np.uint8) -> Pixels:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True)
    return values.astype(dtype)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture that JPEG hardly changes."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x // width, 255 * y // height, 0 * x + 90], axis=2).astype(np.uint8)


def agrees_with_header(path: Path) -> bool:
    image, info = read(path), read_info(path)
    return image.shape == (info.height, info.width, info.channels) and image.itemsize * 8 == info.depth


# What is upright is [[1, 2, 3], [4, 5, 6]] every time; these are the arrays as a camera held otherwise stores them.
STORED = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[3, 6], [2, 5], [1, 4]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[4, 1], [5, 2], [6, 3]],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = np.kron(np.array([[1, 2, 3], [4, 5, 6]]), np.ones((16, 16), int)) * 40
    stored = np.kron(np.array(STORED[orientation]), np.ones((16, 16), int)).astype(np.uint8) * 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(stored).convert("RGB").save(path, exif=exif, lossless=True)  # which formats but WebP overlook
    image = read(path)
    assert image.shape == (32, 48, 3)
    assert np.abs(image[:, :, 0].astype(int) - upright).max() <= (3 if suffix == "jpg" else 0)
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert agrees_with_header(path)


def test_exif_orientation_of_16_bit_colour(tmp_path: Path) -> None:
    upright = noise(2, 3, 3, dtype=np.uint16)
    png = cv2.imencode(".png", np.rot90(upright)[:, :, ::-1])[1].tobytes()  # held so that it has to turn clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "x.png"
    path.write_bytes(png[:33] + chunk + png[33:])
    assert np.array_equal(read(path), upright)
    assert agrees_with_header(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_damaged_metadata_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.new("RGB", (4, 3)).save(path, exif=b"Exif\0\0garbage")
    assert read(path).shape == (3, 4, 3)
    assert agrees_with_header(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_whose_white_is_0(tmp_path: Path, dtype: type) -> None:
    path, image = tmp_path / "x.tif", noise(3, 4, 1, dtype=dtype)
    Image.fromarray(image[:, :, 0]).save(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0)))
    assert np.array_equal(read(path), ~image)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_and_tiff_keep_every_bit(tmp_path: Path, suffix: str, channels: int, dtype: type) -> None:
    path, image = tmp_path / f"x.{suffix}", noise(7, 5, channels, dtype=dtype)
    write(path, image)
    back = read(path)
    assert back.dtype == dtype
    # Grey with alpha has no writer in 16 bits, and is kept as colour.
    assert np.array_equal(back, to_channels(image, 4) if (channels, dtype) == (2, np.uint16) else image)
    assert agrees_with_header(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour_of_other_writers(tmp_path: Path, suffix: str) -> None:
    image, path = noise(7, 5, 3, dtype=np.uint16), tmp_path / f"x.{suffix}"
    cv2.imwrite(str(path), image[:, :, ::-1])
    assert np.array_equal(read(path), image)


def test_16_bit_grey_with_alpha(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    image, path = noise(4, 3, 2, dtype=np.uint16), tmp_path / "x.png"
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    header = struct.pack(">IIBBBBB", 3, 4, 16, 4, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.array_equal(read(path), image)
    assert agrees_with_header(path)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_are_near_and_in_rgb_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    write(path, smooth(64, 48))
    assert np.abs(read(path).astype(int) - smooth(64, 48)).max() < 12


def test_webp_and_bmp_keep_what_they_can(tmp_path: Path) -> None:
    write(tmp_path / "x.webp", noise(8, 8, 4))
    assert read(tmp_path / "x.webp").shape == (8, 8, 4)
    for channels in (1, 3):
        write(tmp_path / "x.bmp", noise(8, 9, channels))
        assert np.array_equal(read(tmp_path / "x.bmp"), noise(8, 9, channels))


def test_palette_is_expanded(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2))
    image.putdata([0, 1, 2, 1])
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "plain.png")
    red, green, blue = [255, 0, 0], [0, 255, 0], [0, 0, 255]
    assert read(tmp_path / "plain.png").tolist() == [[red, green], [blue, green]]
    image.save(tmp_path / "clear.png", transparency=bytes([255, 100, 0]))
    assert read(tmp_path / "clear.png").tolist() == [[[*red, 255], [*green, 100]], [[*blue, 0], [*green, 100]]]
    assert agrees_with_header(tmp_path / "plain.png")
    assert agrees_with_header(tmp_path / "clear.png")


def test_colour_key_becomes_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 9]], np.uint8)).save(tmp_path / "x.png", transparency=9)
    assert read(tmp_path / "x.png").tolist() == [[[0, 255], [9, 0]]]
    assert agrees_with_header(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_becomes_0_and_255(tmp_path: Path, suffix: str) -> None:
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(tmp_path / f"x.{suffix}")
    assert read(tmp_path / f"x.{suffix}").tolist() == [[[255], [0], [255]]]
    assert agrees_with_header(tmp_path / f"x.{suffix}")


INKS = {
    (0, 0, 0, 0): (255, 255, 255),
    (255, 0, 0, 0): (0, 255, 255),
    (0, 255, 255, 0): (255, 0, 0),
    (0, 0, 0, 255): (0, 0, 0),
    (0, 0, 0, 128): (127, 127, 127),
}


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
@pytest.mark.parametrize("ink", INKS)
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str, ink: tuple[int, int, int, int]) -> None:
    # Pillow writes CMYK JPEGs as Adobe does: inverted, with a marker that says so.
    Image.new("CMYK", (16, 16), ink).save(tmp_path / f"x.{suffix}")
    image = read(tmp_path / f"x.{suffix}")
    assert image.shape == (16, 16, 3)
    assert np.abs(image.astype(int) - np.array(INKS[ink])).max() <= 2
    assert agrees_with_header(tmp_path / f"x.{suffix}")


def test_wrong_suffix_and_foreign_letters_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "Zürich 東京 é" / "ß.jpg"
    path.parent.mkdir()
    Image.fromarray(noise(3, 4, 3)).save(path, format="PNG")
    assert np.array_equal(read(path), noise(3, 4, 3))
    for dtype in (np.uint8, np.uint16):
        write(path.with_suffix(".png"), noise(3, 4, 3, dtype=dtype))
        assert np.array_equal(read(path.with_suffix(".png")), noise(3, 4, 3, dtype=dtype))


CUT = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("GIF", {}),
]


@pytest.mark.parametrize(("kind", "options"), CUT)
def test_what_is_cut_off_is_refused(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(buffer, kind, **options)
    whole = buffer.getvalue()
    path = tmp_path / "x.jpg"
    for keep in (0.02, 0.3, 0.7, 0.97):
        path.write_bytes(whole[: int(len(whole) * keep)])
        with pytest.raises(BrokenImage) as refusal:
            read(path)
        assert str(refusal.value).startswith(f"{path}: ")
        assert "\n" not in str(refusal.value)
    path.write_bytes(whole)
    assert read(path).shape == (64, 64, 3)


@pytest.mark.parametrize("missing", [1, 2, 100])
def test_jpeg_without_its_last_bytes_is_refused(tmp_path: Path, missing: int) -> None:
    write(tmp_path / "x.jpg", smooth(64, 64))
    content = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(content[:-missing])
    with pytest.raises(BrokenImage, match="cut off"):
        read(tmp_path / "x.jpg")


def test_cut_off_16_bit_colour_is_refused(tmp_path: Path) -> None:
    for suffix in ("png", "tif"):
        path = tmp_path / f"x.{suffix}"
        write(path, noise(64, 64, 3, dtype=np.uint16))
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(BrokenImage):
            read(path)


def test_damage_within_a_png_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.png", noise(64, 64, 3))
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BrokenImage):
        read(tmp_path / "x.png")


def test_other_refusals_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.zeros((2, 2), np.int32)).save(tmp_path / "int.tif")
    reasons = {
        "empty.png": "is empty",
        "text.png": "no image of a known kind",
        "folder.jpg": "cannot be read",
        "none.png": "no such file",
        "float.tif": "floating-point",
        "int.tif": "32-bit",
    }
    for name, reason in reasons.items():
        for function in (read, read_info):
            with pytest.raises(BrokenImage, match=reason) as refusal:
                function(tmp_path / name)
            assert refusal.value.path == tmp_path / name


def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path) -> None:
    assert Image.MAX_IMAGE_PIXELS
    assert files.MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "bomb.png").write_bytes(body + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(BrokenImage, match="178,956,970 pixels"):
        read(tmp_path / "bomb.png")


Planes = Literal["contig", "separate"]


def write_tiff(
    path: Path,
    image: Pixels,
    planes: Planes = "contig",
    photometric: Literal["minisblack", "rgb"] = "minisblack",
    compression: Literal["zlib"] | None = None,
    extrasamples: list[int] | None = None,
) -> None:
    stored = image if planes == "contig" else np.ascontiguousarray(np.moveaxis(image, 2, 0))
    tifffile.imwrite(
        path,
        stored,
        photometric=photometric,
        planarconfig=planes,
        compression=compression,
        extrasamples=extrasamples,
        rowsperstrip=4,
        metadata=None,
    )


@pytest.mark.parametrize("channels", [5, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_many_channels_keep_every_bit(tmp_path: Path, channels: int, dtype: type) -> None:
    image = noise(7, 5, channels, dtype=dtype)
    write(tmp_path / "new" / "x.tif", image)
    assert os.listdir(tmp_path / "new") == ["x.tif"]
    assert np.array_equal(read(tmp_path / "new" / "x.tif"), image)
    assert read(tmp_path / "new" / "x.tif").dtype == dtype
    assert agrees_with_header(tmp_path / "new" / "x.tif")


@pytest.mark.parametrize("channels", [5, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_many_channels_of_other_writers(
    tmp_path: Path,
    channels: int,
    dtype: type,
    planes: Planes,
    compression: Literal["zlib"] | None,
    photometric: Literal["minisblack", "rgb"],
) -> None:
    path, image = tmp_path / "x.tif", noise(9, 6, channels, dtype=dtype)
    write_tiff(path, image, planes, photometric, compression)
    back = read(path)
    assert back.dtype == dtype
    assert np.array_equal(back, image)
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert agrees_with_header(path)


@pytest.mark.parametrize("orientation", STORED)
def test_many_channels_come_upright(tmp_path: Path, orientation: int) -> None:
    stored = np.array(STORED[orientation], np.uint16)[:, :, None] * np.arange(1, 7, dtype=np.uint16)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="minisblack", planarconfig="contig", extratags=[tag])
    assert read(tmp_path / "x.tif")[:, :, 2].tolist() == [[3, 6, 9], [12, 15, 18]]
    assert agrees_with_header(tmp_path / "x.tif")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_colour_in_separate_planes(tmp_path: Path, channels: int, compression: Literal["zlib"] | None) -> None:
    path, image = tmp_path / "x.tif", noise(9, 6, channels, dtype=np.uint16)
    write_tiff(path, image, "separate", "rgb", compression)
    assert np.array_equal(read(path), image)
    assert agrees_with_header(path)


def test_no_channel_of_a_tiff_is_taken_for_alpha_or_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    for channels, planes in ((3, "contig"), (3, "separate")):
        write_tiff(path, noise(9, 6, channels), planes, compression="zlib")  # type: ignore[arg-type]
        assert np.array_equal(read(path), noise(9, 6, channels))
    for channels in (2, 4):
        write_tiff(path, noise(9, 6, channels, dtype=np.uint16))
        with pytest.raises(BrokenImage, match=f"has {channels} channels, the last of which is not alpha"):
            read(path)
        write_tiff(path, noise(9, 6, channels, dtype=np.uint16), extrasamples=[0] * (channels - 2) + [2])
        assert np.array_equal(read(path), noise(9, 6, channels, dtype=np.uint16))
    write_tiff(path, noise(9, 6, 4, dtype=np.uint16), photometric="rgb", extrasamples=[0])
    assert np.array_equal(read(path), noise(9, 6, 4, dtype=np.uint16)[:, :, :3])  # as Pillow does in 8 bits
    assert agrees_with_header(path)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_many_channels_cut_off_are_refused(
    tmp_path: Path, planes: Planes, compression: Literal["zlib"] | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.tif"
    write_tiff(path, noise(32, 32, 6, dtype=np.uint16), planes, compression=compression)
    whole = path.read_bytes()
    for keep in (4, 9, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(BrokenImage) as refusal:
            read(path)
        assert str(refusal.value).startswith(f"{path}: is damaged")
        assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def replace_tag(path: Path, number: int, old: int, new: int) -> None:
    """Change the value of a TIFF's tag of one unsigned short."""
    content = path.read_bytes()
    assert content.count(struct.pack("<HHII", number, 3, 1, old)) == 1
    path.write_bytes(content.replace(struct.pack("<HHII", number, 3, 1, old), struct.pack("<HHII", number, 3, 1, new)))


def test_a_tiff_that_claims_too_much_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    for width, height, channels, reason in (
        (14_000, 13_000, 6, "178,956,970 pixels"),
        (12_000, 12_000, 20, "4 GiB"),
        (8, 8, 300, "300 channels; keep at most 64"),
    ):
        with tifffile.TiffWriter(path) as writer:
            strips = iter([zlib.compress(bytes(9))] * height)  # which would be found short if they were decoded
            writer.write(
                strips,
                shape=(height, width, channels),
                dtype=np.uint16,
                photometric="minisblack",
                planarconfig="contig",
                compression="zlib",
                rowsperstrip=1,
                metadata=None,
            )
        for function in (read, read_info):
            with pytest.raises(BrokenImage, match=reason):
                function(path)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (noise(4, 4, 6).astype(np.float32), "32 bits"),
        (noise(4, 4, 6).astype(np.int16), "16 bits .int16.*without sign"),
    ],
)
def test_other_values_of_many_channels_are_refused(tmp_path: Path, image: Pixels, reason: str) -> None:
    write_tiff(tmp_path / "x.tif", image)
    for function in (read, read_info):
        with pytest.raises(BrokenImage, match=reason):
            function(tmp_path / "x.tif")


def test_of_a_stack_the_first_page_counts(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise(6, 9, 8, dtype=np.uint16), photometric="minisblack", imagej=True)
    assert np.array_equal(read(tmp_path / "x.tif"), noise(6, 9, 8, dtype=np.uint16)[0, :, :, None])


def test_without_tifffile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.tif", noise(4, 4, 6))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    for function in (read, read_info):
        with pytest.raises(BrokenImage, match=r"pip install 'i2i\[tiff\]'"):
            function(tmp_path / "x.tif")
    with pytest.raises(UserError, match=r"6 channels .* pip install 'i2i\[tiff\]'"):
        write(tmp_path / "y.tif", noise(4, 4, 6))
    assert not (tmp_path / "y.tif").exists()
    for name, dtype in (("x.png", np.uint8), ("x.tif", np.uint8), ("deep.png", np.uint16), ("deep.tif", np.uint16)):
        write(tmp_path / name, noise(4, 4, 3, dtype=dtype))  # ordinary images do not need it
        assert np.array_equal(read(tmp_path / name), noise(4, 4, 3, dtype=dtype))
        assert agrees_with_header(tmp_path / name)


@pytest.mark.skipif(importlib.util.find_spec("imagecodecs") is not None, reason="imagecodecs decodes it")
def test_a_compression_that_takes_imagecodecs(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    write_tiff(path, noise(4, 4, 6), compression="zlib")
    replace_tag(path, 259, 8, 5)  # nobody can write LZW without imagecodecs either
    assert read_info(path).channels == 6
    with pytest.raises(BrokenImage, match=r"LZW.*pip install 'i2i\[tiff\]'"):
        read(path)


def test_pillow_images_are_read_as_pillow_holds_them(tmp_path: Path) -> None:
    deep = noise(7, 5, 3, dtype=np.uint16)
    write(tmp_path / "x.png", deep)
    with Image.open(tmp_path / "x.png") as image:
        assert np.abs(from_pil(image).astype(int) - to_uint8(deep)).max() <= 1
    write_tiff(tmp_path / "x.tif", noise(7, 5, 6), photometric="rgb")
    with Image.open(tmp_path / "x.tif") as image, pytest.raises(BrokenImage, match="does not read"):
        from_pil(image)


def test_listing_is_natural_recursive_and_skips_what_is_hidden(tmp_path: Path) -> None:
    names = ["10.png", "2.png", "a/1.JPG", "a/b/c.tiff", "x.jpg/y.webp"]
    for name in [*names, ".hidden.png", ".git/z.png", "._2.png", "notes.txt", "noimage"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    expected = ["2.png", "10.png", "a/1.JPG", "a/b/c.tiff", "x.jpg/y.webp"]
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == expected
    (tmp_path / "linked").symlink_to(tmp_path / "a" / "b", target_is_directory=True)
    assert len(list_images(tmp_path)) == len(expected)
    with pytest.raises(UserError, match="cannot be read"):
        list_images(tmp_path / "none")


def test_natural_order() -> None:
    names = ["b1", "a10", "a9", "A1", "a", "1", "01", "a1b2", "a1b10", ""]
    assert sorted(names, key=natural_key) == ["", "01", "1", "a", "A1", "a1b2", "a1b10", "a9", "a10", "b1"]


def test_writing_refuses_what_a_format_cannot_hold(tmp_path: Path) -> None:
    cases = [
        ("x.jpg", noise(2, 2, 3, dtype=np.uint16), "16-bit"),
        ("x.webp", noise(2, 2, 1, dtype=np.uint16), "16-bit"),
        ("x.jpg", noise(2, 2, 4), "transparency"),
        ("x.bmp", noise(2, 2, 2), "transparency"),
        ("x.png", noise(2, 2, 5), "\\.png holds at most 4 channels, and the image has 5; write a .tif"),
        ("x.tif", noise(2, 2, 65), "65 channels"),
        ("x.gif", noise(2, 2, 3), "not as '.gif'"),
        ("x.webp", noise(1, 17000, 3), "WEBP"),
    ]
    for name, image, reason in cases:
        with pytest.raises(UserError, match=reason):
            write(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def test_writing_makes_folders_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.png"
    write(path, noise(2, 2, 3))
    write(path, noise(4, 4, 1))
    assert read(path).shape == (4, 4, 1)
    assert os.listdir(path.parent) == ["x.png"]
    with pytest.raises(UserError, match="cannot be written"):
        write(path / "y.png", noise(2, 2, 3))
    (tmp_path / "z.png").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "z.png", noise(2, 2, 3))
    assert sorted(os.listdir(tmp_path)) == ["new", "z.png"]


def test_grey_is_the_luma_of_pillow() -> None:
    image = noise(50, 50, 3)
    assert np.array_equal(to_channels(image, 1)[:, :, 0], np.array(Image.fromarray(image).convert("L")))
    white = np.full((1, 1, 3), 65535, np.uint16)
    assert to_channels(white, 1).tolist() == [[[65535]]]


def test_channels_are_repeated_dropped_and_added() -> None:
    grey = np.array([[[7]]], np.uint8)
    assert to_channels(grey, 3).tolist() == [[[7, 7, 7]]]
    assert to_channels(grey, 4).tolist() == [[[7, 7, 7, 255]]]
    assert to_channels(np.array([[[7, 9]]], np.uint8), 4).tolist() == [[[7, 7, 7, 9]]]
    assert to_channels(np.array([[[10, 10, 10, 9]]], np.uint16), 2).tolist() == [[[10, 9]]]
    assert to_channels(np.array([[[1, 2, 3]]], np.uint16), 4).tolist() == [[[1, 2, 3, 65535]]]
    same = noise(2, 2, 3)
    assert to_channels(same, 3) is same
    many = noise(2, 2, 5)
    assert to_channels(many, 5) is many
    for image, wanted in ((many, 3), (many, 13), (same, 5)):
        with pytest.raises(UserError, match=f"{image.shape[2]} channels .* of {wanted}$"):
            to_channels(image, wanted)


def test_transparent_means_white() -> None:
    clear, half, solid = [0, 0, 0, 0], [0, 100, 255, 51], [1, 2, 3, 255]
    over = to_channels(np.array([[clear, half, solid]], np.uint8), 3)
    assert over.tolist() == [[[255, 255, 255], [204, 224, 255], [1, 2, 3]]]
    deep = to_channels(np.array([[[0, 0], [65535, 1], [123, 65535]]], np.uint16), 1)
    assert deep.tolist() == [[[65535], [65535], [123]]]


def test_alpha_is_taken_off_and_put_back() -> None:
    rgba = np.array([[[0, 100, 255, 51], [1, 2, 3, 255]]], np.uint8)
    colour, alpha = split_alpha(rgba)
    assert colour.tolist() == [[[204, 224, 255], [1, 2, 3]]]
    assert alpha is not None
    assert alpha.tolist() == [[[51], [255]]]
    assert with_alpha(colour, alpha).tolist() == [[[204, 224, 255, 51], [1, 2, 3, 255]]]
    grey, alpha = split_alpha(np.array([[[7, 65535]]], np.uint16))
    assert (grey.tolist(), None if alpha is None else alpha.tolist()) == ([[[7]]], [[[65535]]])
    for channels in (1, 3, 5):
        image = noise(2, 2, channels)
        whole, none = split_alpha(image)
        assert whole is image
        assert none is None
    with pytest.raises(UserError, match="5 channels"):
        with_alpha(noise(2, 2, 5), noise(2, 2, 1))


def test_alpha_takes_the_depth_of_the_image() -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    deep = with_alpha(noise(16, 16, 1, dtype=np.uint16), alpha)[:, :, 1:]
    assert deep.dtype == np.uint16
    assert np.array_equal(deep, alpha.astype(int) * 257)
    shallow = with_alpha(noise(16, 16, 3), deep)
    assert shallow.dtype == np.uint8
    assert np.array_equal(shallow[:, :, 3:], alpha)


def test_to_uint8_rounds() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(to_uint8(values), np.round(values / 257).astype(np.uint8))
    assert np.array_equal(to_uint8(noise(4, 4, 3).astype(np.uint16) * 257), noise(4, 4, 3))
