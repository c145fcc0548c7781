"""What is known of users and items when something is to be recommended."""

from typing import NamedTuple

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
