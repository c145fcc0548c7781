"""What is known of users and items when something is to be recommended."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd


class Catalogue(NamedTuple):
    """
    The histories of users, and the names of items.

    Attributes
    ----------
    histories : DataFrame
        Indexed by the name of the user, a text: ``seen`` and ``liked``, sequences of items.
    names : dict of int to str
        The name of each item.
    what : str
        What the items are, in the plural.
    """

    histories: pd.DataFrame
    names: dict[int, str]
    what: str

    def numbered(self, names: Sequence[str]) -> Self:
        """
        Return the catalogue with items numbered as a model does, which may have read other data.

        Parameters
        ----------
        names : sequence of str
            The name of each item by its number. Items without one are numbered -1.
        """
        places = {name: place for place, name in enumerate(names)}
        moved = {item: places.get(name, -1) for item, name in self.names.items()}
        histories = self.histories.map(
            lambda items: np.array([moved[int(item)] for item in items]),
            na_action="ignore",
        )
        return self._replace(histories=histories, names=dict(enumerate(names)))
