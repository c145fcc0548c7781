"""Decode images of any usual kind to pixels of one size, as ingest and every model do."""

import io
import struct
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# What Pillow raises for bytes that it cannot decode, or not to their end.
DAMAGE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class NoImageError(ValueError):
    """Bytes that are no image which can be used. The message continues ``<its name> ...``."""


def decode(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """
    Decode an image.

    Parameters
    ----------
    content : bytes
        A file of one of `FORMATS`, of any size up to Pillow's limit (89 megapixels). It may
        be turned by EXIF, grey, with a palette, transparent, CMYK, or of 16 bits. Of several
        frames the first is used.
    size : tuple of (height, width)
        Size of the result, in pixels. The image is scaled until it fills that, and what
        stands out on two sides is cut off.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Red, green and blue. What is transparent is white. An image of this size without
        transparency is returned as it is, so that what `encode` wrote is decoded to the same
        pixels.

    Raises
    ------
    NoImageError
        If the bytes are no image, are truncated, or have more pixels than the limit.
    """
    height, width = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF, and other things that do not matter
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image)
                coloured = to_rgb(upright)
            resized = ImageOps.fit(coloured, (width, height), Image.Resampling.BICUBIC)
        except BOMBS:
            limit = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
            raise NoImageError(f"has more than {limit} pixels: scale it down") from None
        except UnidentifiedImageError:
            raise NoImageError(
                f"is no image of the kinds {', '.join(FORMATS)}; it begins with {content[:8]!r}"
            ) from None
        except NoImageError:
            raise
        except DAMAGE as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NoImageError(f"is a damaged image ({reason})") from None
    return np.asarray(resized)


def read(stored: bytes) -> np.ndarray:
    """Read the pixels of an image that `encode` wrote."""
    with Image.open(io.BytesIO(stored), formats=["PNG"]) as image:
        return np.asarray(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to red, green and blue, with white behind what is clear."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise NoImageError("has pixels of 32 bits, whose range is not known: save it with 8 or 16")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(ground, clear).convert("RGB")
    return image.convert("RGB")


def encode(pixels: np.ndarray) -> bytes:
    """
    Encode an image as PNG, without loss.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        Red, green and blue.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
