"""Image files: every kind in, the pixels that a model takes out, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from cnnlab.datasets import images
from cnnlab.errors import CnnlabError

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (10, 14), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (10, 14, 3), dtype=np.uint8)
ANY = (None, None, 1)


def unit(array):
    return array.astype(np.float32).reshape(*array.shape[:2], -1) / np.float32(255)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".gif"])
def test_lossless_kinds_keep_every_value(tmp_path, suffix):
    Image.fromarray(GREY).save(tmp_path / f"x{suffix}", lossless=True)
    read = images.read_image(tmp_path / f"x{suffix}", ANY)
    np.testing.assert_array_equal(read.pixels, unit(GREY))


def test_jpeg_is_read_in_colour(tmp_path):
    smooth = np.stack([*np.meshgrid(np.linspace(0, 255, 32), np.linspace(0, 255, 24)), np.full((24, 32), 90)], -1)
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "x.jpg", quality=95)
    read = images.read_image(tmp_path / "x.jpg", (None, None, 3))
    assert np.abs(read.pixels - smooth / 255).mean() < 0.01
    assert read.notes == ()


def test_sixteen_bits_are_kept(tmp_path):
    deep = np.array([[0, 257, 65535], [1, 2, 40000]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(images.read_image(tmp_path / "deep.png", ANY).pixels[..., 0], deep / 65535, rtol=1e-6)
    np.save(tmp_path / "deep.npy", deep)
    np.testing.assert_allclose(images.read_image(tmp_path / "deep.npy", ANY).pixels[..., 0], deep / 65535, rtol=1e-6)


def test_a_palette_is_looked_up(tmp_path):
    indexed = Image.fromarray(COLOUR).quantize(16)
    indexed.save(tmp_path / "p.png")
    expected = unit(np.asarray(indexed.convert("RGB")))
    np.testing.assert_array_equal(images.read_image(tmp_path / "p.png", (None, None, 3)).pixels, expected)


def test_one_bit_images_are_black_and_white(tmp_path):
    Image.fromarray(GREY > 127).save(tmp_path / "b.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "b.png", ANY).pixels[..., 0], GREY > 127)


def test_transparent_parts_lie_on_white(tmp_path):
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[1:3, 1:3, 3] = 255
    Image.fromarray(ink).save(tmp_path / "t.png")
    read = images.read_image(tmp_path / "t.png", (None, None, 3))
    assert read.pixels[0, 0, 0] == 1
    assert read.pixels[1, 1, 0] == 0
    assert "laid on white" in read.notes[0]


def test_a_photograph_is_turned_as_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "turned.png", exif=exif)
    read = images.read_image(tmp_path / "turned.png", ANY)
    np.testing.assert_array_equal(read.pixels[..., 0], np.rot90(unit(GREY)[..., 0], -1))
    assert images.stored_shape(tmp_path / "turned.png") == (14, 10, 1)


def test_colour_for_a_grey_model_becomes_its_luma_with_a_note(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "c.png")
    read = images.read_image(tmp_path / "c.png", ANY)
    np.testing.assert_allclose(read.pixels[..., 0], unit(COLOUR) @ np.array([0.299, 0.587, 0.114]), rtol=1e-5)
    assert "converted to grey" in read.notes[0]


def test_grey_for_a_colour_model_is_repeated_with_a_note(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "g.png")
    read = images.read_image(tmp_path / "g.png", (None, None, 3))
    np.testing.assert_array_equal(read.pixels, np.repeat(unit(GREY), 3, axis=2))
    assert "three colour channels" in read.notes[0]


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_another_size_is_fitted_with_a_note(tmp_path, fit):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "w.png")
    read = images.read_image(tmp_path / "w.png", (10, 10, 1), fit=fit)
    assert read.pixels.shape == (10, 10, 1)
    assert "from 30x10 to 10x10" in read.notes[0]
    if fit == "crop":
        assert read.pixels.min() == 1, "the middle of it, which is white"
    elif fit == "pad":
        assert read.pixels[0].max() == 0
        assert read.pixels[4, 5] == 1
    else:
        assert read.pixels[0, 0] == 0
        assert read.pixels[0, 5] == 1


def test_shrinking_averages_over_the_area_of_each_pixel(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (16, 8))
    Image.fromarray(stripes).save(tmp_path / "s.png")
    read = images.read_image(tmp_path / "s.png", (4, 4, 1))
    np.testing.assert_allclose(read.pixels, 0.5, atol=0.05)


def test_invert_exchanges_black_and_white(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "g.png")
    read = images.read_image(tmp_path / "g.png", ANY, invert=True)
    np.testing.assert_allclose(read.pixels, 1 - unit(GREY))


def test_the_ground_is_the_brightness_of_the_border():
    image = np.zeros((8, 8, 1))
    image[2:6, 2:6] = 1
    assert images.ground(image) == 0
    assert images.ground(1 - image) == 1


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_written_and_read_again(tmp_path, suffix, array):
    images.write_image(tmp_path / f"out{suffix}", unit(array))
    channels = 1 if array.ndim == 2 else 3
    read = images.read_image(tmp_path / f"out{suffix}", (10, 14, channels), strict=True)
    np.testing.assert_array_equal(read.pixels, unit(array))
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


def test_a_folder_stands_for_its_images(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in images.expand([tmp_path])] == ["a.jpg", "b.png"]
    (tmp_path / "none").mkdir()
    with pytest.raises(CnnlabError, match="holds no images"):
        images.expand([tmp_path / "none"])


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.png", b"text", "not an image"),
        ("x.png", b"", "not an image"),
        ("x.png", png()[:60], "damaged"),
        ("x.npy", b"text", "cannot be read as an array"),
        ("x.npy", npy(np.array([{}], object)), "holds pickled Python objects"),
        ("x.npy", npy(np.zeros((2, 3, 4, 5))), "[2, 3, 4, 5]; expected [H, W]"),
        ("x.npy", npy(np.zeros((2, 3, 4))), "[2, 3, 4]; expected [H, W]"),
        ("x.npy", npy(np.full((2, 3), np.inf)), "NaN or infinity"),
        ("x.npy", npy(np.full((2, 3), 7.0)), "from 7 to 7; expected floats in [0, 1]"),
        ("x.npy", npy(np.zeros((2, 3), np.int64)), "int64; expected uint8"),
        ("missing.png", None, "no file"),
    ],
)
def test_what_is_no_image_gets_one_sentence(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CnnlabError) as refusal:
        images.read_image(tmp_path / name, ANY)
    assert message in str(refusal.value)
    assert name in str(refusal.value)


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    with pytest.raises(CnnlabError, match="more than the 64,000,000 pixels"):
        images.read_image(tmp_path / "bomb.png", ANY)


@pytest.mark.parametrize("shape", [(10, 14, 3), (28, 28, 1)])
def test_strict_refuses_what_does_not_fit(tmp_path, shape):
    Image.fromarray(GREY).save(tmp_path / "g.png")
    with pytest.raises(CnnlabError, match=r"14x10 pixels in grey; the model takes .*`strict=True`"):
        images.read_image(tmp_path / "g.png", shape, strict=True)


def test_floats_are_from_0_to_1(tmp_path):
    within = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(within).save(tmp_path / "within.tif")
    np.testing.assert_array_equal(images.read_image(tmp_path / "within.tif", ANY).pixels[..., 0], within)
    Image.fromarray(within * 255).save(tmp_path / "beyond.tif")
    with pytest.raises(CnnlabError, match="its values go from 0 to 255; expected 0 to 1"):
        images.read_image(tmp_path / "beyond.tif", ANY)


@pytest.mark.parametrize(("pixels", "channels"), [(GREY, 2), (COLOUR, 4)])
def test_other_numbers_of_channels_are_not_made_up(tmp_path, pixels, channels):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    with pytest.raises(CnnlabError, match=rf"channels and the model takes {channels}; no conversion is known"):
        images.read_image(tmp_path / "x.png", (None, None, channels))


@pytest.mark.parametrize("where", ["before", "after", "xmp"])
def test_a_png_file_says_how_it_is_turned_on_either_side_of_its_pixels(where, tmp_path):
    """Its stored shape is that of the image that is read."""
    exif, said = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    if where == "xmp":
        said.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    Image.new("L", (14, 10), 7).save(buffer, "PNG", pnginfo=said, **({"exif": exif} if where == "before" else {}))
    content = buffer.getvalue()
    if where == "after":
        chunk = b"eXIf" + exif.tobytes()[6:]
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        content = content[:-12] + chunk + content[-12:]
    (tmp_path / "turned.png").write_bytes(content)
    for file in (tmp_path / "turned.png", images.Encoded(content, "it")):
        assert images.stored_shape(file) == (14, 10, 1)
        assert images.decode_8bit(file, (14, 10, 1)).shape == (14, 10, 1)


def test_the_shape_of_a_png_file_is_told_from_its_header(tmp_path, monkeypatch):
    Image.new("RGB", (14, 10)).save(tmp_path / "plain.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    assert images.stored_shape(tmp_path / "plain.png") == (10, 14, 3)
