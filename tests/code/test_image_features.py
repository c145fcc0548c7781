"""Descriptors of images: known answers; and what serving refuses."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import storage
from pipeline.errors import UserError
from pipeline.features import images
from pipeline.features.decode import encode
from pipeline.features.images import Pixels, engineered

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 48, 40, 3)).astype(np.uint8)
TABLE = pd.DataFrame({"image": [encode(pixels) for pixels in PIXELS]})


def test_pixels_are_those_of_the_images():
    np.testing.assert_array_equal(Pixels([48, 40]).fit_transform(TABLE), PIXELS)


def test_an_original_is_treated_as_what_was_ingested_of_it():
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).resize((100, 90)).save(file, "JPEG")
    featurizer = engineered([48, 40]).fit(TABLE)

    sent = pd.DataFrame({"image": [file.getvalue()]})
    stored = pd.DataFrame({"image": [encode(featurizer[0].transform(sent)[0])]})

    np.testing.assert_array_equal(featurizer.transform(sent), featurizer.transform(stored))


def test_what_is_served_as_an_image_and_is_none_is_named():
    served = pd.DataFrame({"image": [TABLE["image"][0], b"%PDF-1.7"]})

    with pytest.raises(UserError, match="column 'image', row 2: it is no image of the kinds"):
        Pixels([48, 40]).fit(TABLE).transform(served)


@pytest.mark.parametrize("table", [TABLE.assign(age=1.0), pd.DataFrame({"image": ["a"] * 6})])
def test_a_view_of_images_reads_images_only(table):
    with pytest.raises(UserError, match="reads one column of files"):
        Pixels([48, 40]).fit(table)


def test_a_featurizer_is_stored_and_read(tmp_path):
    featurizer = engineered([48, 40]).fit(TABLE)
    storage.dump(featurizer, tmp_path / "view.skops")

    read = storage.load(tmp_path / "view.skops")

    found = read.transform(TABLE)
    np.testing.assert_array_equal(found, featurizer.transform(TABLE))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_colours_of_one_colour_are_in_one_bin_of_each_channel():
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[:] = [255, 0, 0]

    hue, saturation, value, *rgb = images.describe_colours(red).reshape(6, 16)

    assert hue[0] == saturation[15] == value[15] == 1
    assert [int(channel.argmax()) for channel in rgb] == [15, 0, 0]


def test_shapes_tell_directions_apart():
    across = np.tile(np.arange(64, dtype=np.uint8) * 2, (64, 1))

    one, other = (images.describe_shapes(grey).reshape(-1, 9).sum(0) for grey in (across, across.T))

    assert one.argmax() != other.argmax()
    assert one.max() == pytest.approx(one.sum())


def test_patterns_do_not_change_with_a_quarter_turn_and_sum_to_1():
    grey = PIXELS[0, :40, :, 0]

    one, other = images.describe_patterns(grey), images.describe_patterns(np.rot90(grey))

    np.testing.assert_allclose(one, other, atol=0.02)
    assert one[:10].sum() == one[10:28].sum() == one[28:].sum() == pytest.approx(1)


def test_textures_of_a_flat_image():
    contrast, homogeneity, energy, correlation = images.describe_textures(
        np.full((16, 16), 100, dtype=np.uint8)
    ).reshape(4, 4)

    assert (contrast == 0).all()
    assert (homogeneity == 1).all()
    assert (energy == 1).all()
    assert (correlation == 1).all()
