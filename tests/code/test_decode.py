"""Images of any usual kind become pixels; what is none is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.features.decode import FORMATS, NoImageError, decode, encode, read

RNG = np.random.default_rng(0)
# Smooth, so that JPEG changes little.
RAMP = np.add.outer(np.arange(24) * 4, np.arange(32) * 4)
PHOTO = np.stack([RAMP, 255 - RAMP, RAMP // 2], axis=2).astype(np.uint8)

NOISE = RNG.integers(0, 256, (24, 32, 3)).astype(np.uint8)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(24, 32), (1, 1), (7, 50), (112, 92)])
def test_what_was_encoded_is_decoded_to_the_same_pixels(size):
    pixels = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)

    np.testing.assert_array_equal(decode(encode(pixels), size), pixels)
    np.testing.assert_array_equal(read(encode(pixels)), pixels)


@pytest.mark.parametrize("size", [(24, 32), (10, 20), (50, 40), (64, 64)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_original_and_what_is_stored_of_it_have_the_same_pixels(size, kind):
    original = saved(Image.fromarray(PHOTO), kind)

    pixels = decode(original, size)

    assert pixels.shape == (*size, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(decode(encode(pixels), size), pixels)


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"GIF", "PPM"}))
def test_every_kind_of_file_is_decoded(kind):
    options = {"lossless": True} if kind == "WEBP" else {}

    pixels = decode(saved(Image.fromarray(PHOTO), kind, **options), (24, 32))

    assert np.abs(pixels.astype(int) - PHOTO).mean() < 5


def test_the_first_frame_of_several_is_used():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert (decode(content, (8, 8)) == [255, 0, 0]).all()


def test_what_exif_turns_is_turned():
    """Orientation 6: the camera was held upright, rows of the file are columns of the photo."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(PHOTO), exif=exif)

    np.testing.assert_array_equal(decode(content, (32, 24)), np.rot90(PHOTO, -1))


def test_grey_becomes_equal_parts_of_all_colours():
    grey = PHOTO[:, :, 0]

    pixels = decode(saved(Image.fromarray(grey)), (24, 32))

    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, 2))


def test_a_pgm_is_grey():
    grey = PHOTO[:, :, 0]
    content = b"P5\n32 24\n255\n" + grey.tobytes()

    np.testing.assert_array_equal(decode(content, (24, 32))[..., 1], grey)


def test_16_bits_keep_the_whole_range():
    grey = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)

    pixels = decode(saved(Image.fromarray(grey)), (24, 32))

    assert (pixels.min(), pixels.max()) == (0, 255)
    np.testing.assert_array_equal(pixels[..., 2], grey // 257)


def test_what_is_clear_is_white():
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    clear[0, 0] = [10, 20, 30, 255]

    pixels = decode(saved(Image.fromarray(clear)), (4, 4))

    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert (pixels[1:] == 255).all()


def test_a_clear_colour_of_a_palette_is_white():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.putpixel((0, 0), 0)

    pixels = decode(saved(image, transparency=1), (4, 4))

    assert pixels[0, 0].tolist() == [0, 0, 255]
    assert (pixels[1:] == 255).all()


def test_cmyk_is_converted():
    content = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")

    red, green, blue = decode(content, (8, 8))[4, 4]

    assert red > 240
    assert max(green, blue) < 15


def test_black_and_white_is_converted():
    content = saved(Image.fromarray(PHOTO[:, :, 0] > 100))

    assert set(np.unique(decode(content, (24, 32)))) == {0, 255}


def test_what_stands_out_on_two_sides_is_cut_off():
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200

    assert (decode(saved(Image.fromarray(wide)), (10, 10)) == 200).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "is no image of the kinds .*, PNG, .*%PDF-1.7"),
        (b"", "is no image of the kinds"),
        (b"hello", "is no image .* it begins with b'hello'"),
        (saved(Image.fromarray(NOISE))[:-500], "is a damaged image"),
        (saved(Image.fromarray(PHOTO), "JPEG")[:600], "is a damaged image"),
        (png_that_claims(10_000, 10_000), "has more than 89,478,485 pixels: scale it down"),
        (png_that_claims(60_000, 60_000), "has more than 89,478,485 pixels: scale it down"),
        (png_that_claims(100, 100), "is a damaged image"),
        (saved(Image.new("F", (4, 4)), "TIFF"), "has pixels of 32 bits"),
    ],
    ids=["pdf", "empty", "text", "half a png", "half a jpeg", "100 MP", "bomb", "short", "floats"],
)
def test_what_is_no_image_is_refused(content, reason):
    with pytest.raises(NoImageError, match=reason):
        decode(content, (8, 8))
