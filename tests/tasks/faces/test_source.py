"""Who is a stranger: drawn by a seed, with all photos."""

import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.tasks.faces.source import hide

NAMES = [f"person {number}" for number in range(8)]
PHOTOS = pd.DataFrame(
    [(f"{name}-{photo}", name, f"{name}-{photo}") for name in NAMES for photo in range(3)],
    columns=["example_id", "label", "group"],
)


def strangers(found):
    """Return who is hidden in examples."""
    return {*PHOTOS["label"][found["label"] == "somebody else"]}


def test_all_photos_of_a_stranger_are_hidden_and_kept_together():
    found = hide(PHOTOS, 3, "somebody else", seed=0)

    hidden = found["label"] == "somebody else"
    assert hidden.sum() == 9
    assert len(strangers(found)) == 3
    assert (found["group"][hidden] == PHOTOS["label"][hidden]).all()
    pd.testing.assert_frame_equal(found[~hidden], PHOTOS[~hidden])


def test_a_seed_draws_the_same_people_again_and_another_one_others():
    drawn = [strangers(hide(PHOTOS, 3, "somebody else", seed)) for seed in (0, 0, 1, 2, 3)]

    assert drawn[0] == drawn[1]
    assert len({frozenset(one) for one in drawn}) > 2


def test_without_strangers_everybody_is_known_and_with_some_they_need_a_label():
    pd.testing.assert_frame_equal(hide(PHOTOS, 0, None, seed=0), PHOTOS)
    with pytest.raises(UserError, match=r"task\.unknown: strangers need a label"):
        hide(PHOTOS, 3, None, seed=0)


@pytest.mark.parametrize("count", [-1, 7])
def test_a_number_that_leaves_nobody_to_tell_apart_is_refused(count):
    with pytest.raises(UserError, match=r"task\.source\.strangers: .* of 8 people .* 0 and 6"):
        hide(PHOTOS, count, "somebody else", seed=0)
