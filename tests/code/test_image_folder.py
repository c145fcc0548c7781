"""A folder per class or a table of paths: images, what belongs together, and what is wrong."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.features.decode import read as pixels_of
from pipeline.sources.image_folder import read
from pipeline.sources.images import NEAR, difference_hash, join, near_pairs

RNG = np.random.default_rng(0)


def photo(number):
    """Draw a photo without likeness to others: noise at the scale of a difference hash."""
    small = np.random.default_rng(number).integers(0, 256, (17, 17, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((68, 68), Image.Resampling.NEAREST)


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    for number, name in enumerate(["cat/a.png", "cat/tom/b.jpg", "cat/tom/c.png", "dog/a.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photo(number).save(folder / name)
    return folder


def test_the_folder_is_the_label_and_a_folder_in_it_the_group(album):
    examples = read(album, [32, 32]).examples

    assert examples[["example_id", "label", "group"]].to_numpy().tolist() == [
        ["cat/a.png", "cat", "cat/a.png"],
        ["cat/tom/b.jpg", "cat", "tom"],
        ["cat/tom/c.png", "cat", "tom"],
        ["dog/a.png", "dog", "dog/a.png"],
    ]
    assert [pixels_of(image).shape for image in examples["image"]] == [(32, 32, 3)] * 4


def test_the_hash_is_that_of_the_original(album):
    examples = read(album, [32, 32]).examples

    assert (
        examples["meta:sha256"][1]
        == hashlib.sha256((album / "cat/tom/b.jpg").read_bytes()).hexdigest()
    )


def test_other_files_and_hidden_ones_are_not_read(album):
    (album / "cat/notes.txt").write_text("tom is shy")
    (album / "cat/.thumbnail.png").write_bytes(b"")
    (album / ".cache").mkdir()
    (album / ".cache/x.png").write_bytes(b"")

    source = read(album, [32, 32])

    assert len(source.examples) == 4
    assert source.warnings == [
        "files that are not named as images were not read: 1, such as cat/notes.txt"
    ]


def test_a_table_names_paths_relative_to_it(album):
    table = pd.DataFrame(
        {"file": ["dog/a.png", "cat/a.png"], "kind": ["dog", "cat"], "litter": ["x", "y"]}
    )
    table.to_csv(album / "table.csv", index=False)

    found = read(album / "table.csv", [32, 32], image="file", label="kind", group="litter")

    of_folder = read(album, [32, 32]).examples.set_index("example_id")["image"]
    assert found.examples["image"].tolist() == of_folder[["dog/a.png", "cat/a.png"]].tolist()
    assert found.examples[["label", "group"]].to_numpy().tolist() == [["dog", "x"], ["cat", "y"]]


def test_a_row_without_its_file_is_named(album):
    pd.DataFrame({"image": ["cat/a.png", "cat/z.png"], "label": ["a", "b"]}).to_csv(
        album / "table.csv", index=False
    )

    with pytest.raises(UserError, match=r"row 2 .*cat/z\.png is no file"):
        read(album / "table.csv", [32, 32])


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"", b"\xff\xd8\xff\xe0 but not to its end"])
def test_a_file_that_is_no_image_is_named(album, content):
    (album / "dog/b.jpg").write_bytes(content)

    with pytest.raises(UserError, match=r"dog/b\.jpg is "):
        read(album, [32, 32])


def test_an_empty_folder_and_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no image: expected"):
        read(tmp_path, [32, 32])
    with pytest.raises(UserError, match="is not a folder or a file"):
        read(tmp_path / "nowhere", [32, 32])


@pytest.mark.parametrize("size", [[32], [32, 0], [32, 32, 3], ["a", 3]])
def test_a_size_that_is_none_is_refused(album, size):
    with pytest.raises(UserError, match=r"task\.source\.size: .* is not a height and a width"):
        read(album, size)


def test_photos_that_are_nearly_the_same_are_in_one_group(album):
    brighter = photo(0).point(lambda value: min(255, value + 3)).resize((80, 80))
    brighter.save(album / "dog/again.jpg", quality=95)

    source = read(album, [68, 68], near=24)

    group = source.examples.set_index("example_id")["group"]
    assert group["dog/again.jpg"] == group["cat/a.png"]
    assert group.nunique() == 3
    assert source.joined == {NEAR: 2}


def test_nothing_is_joined_if_nothing_is_near_or_it_is_not_looked_for(album):
    assert read(album, [68, 68], near=24).joined == {}
    photo(0).save(album / "dog/again.png")
    assert read(album, [68, 68]).joined == {}


def test_near_pairs_are_those_of_brute_force(monkeypatch):
    monkeypatch.setattr("pipeline.sources.images.PAIRS_AT_ONCE", 7 * 40)
    bits = RNG.integers(0, 2, (40, 256)).astype(np.uint8)
    for copy, original in enumerate(range(0, 20, 2), 20):
        bits[copy] = bits[original]
        bits[copy, : original + 1] ^= 1

    first, second = near_pairs(np.packbits(bits, axis=1), 10)

    expected = [
        (i, j) for i in range(40) for j in range(i + 1, 40) if (bits[i] != bits[j]).sum() <= 10
    ]
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == expected
    assert len(expected) == 5


def test_a_difference_hash_has_a_bit_for_each_rise_in_brightness():
    rising = np.repeat(np.arange(17, dtype=np.uint8)[None, :, None] * 10, 16, axis=0)

    assert np.unpackbits(difference_hash(np.repeat(rising, 3, 2))).all()
    assert not difference_hash(np.repeat(rising[:, ::-1], 3, 2)).any()


def test_groups_are_joined_along_chains():
    groups = pd.Series(["a", "b", "c", "a", "d"])

    joined = join(groups, np.array([1, 3]), np.array([2, 1]))

    assert joined.tolist() == ["a", "a", "a", "a", "d"]
