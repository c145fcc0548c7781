"""What the tests of the tasks on films share."""

import hashlib

import numpy as np
import pandas as pd
import pytest

FILMS = """\
movieId,title,genres
1,Alien (1979),Horror|Sci-Fi
2,"Crying Game, The (1992)",Drama|Romance|Thriller
3,Paterson,(no genres listed)
4,2001: A Space Odyssey (1968) ,Sci-Fi
5,Never Rated (2001),War
"""


@pytest.fixture(scope="session")
def films_like(downloaded):
    """Return the project with the likes of films ingested."""
    return downloaded("films_like")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Make a mirror of a few ratings, and give it with the files' manifest."""
    rng = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "userId": rng.integers(1, 11, n),
            "movieId": rng.integers(1, 5, n),
            "rating": rng.integers(1, 11, n) / 2,
            "timestamp": rng.integers(0, 200, n),
        }
    ).drop_duplicates(["userId", "movieId"])
    contents = {"films": FILMS, "ratings": table.to_csv(index=False)}
    rows = []
    for name, content in contents.items():
        path = tmp_path / "example.org" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        rows.append({"file": name, "url": f"https://example.org/{name}.csv", "sha256": digest})
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    monkeypatch.setenv("BAKEOFF_MIRROR", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def films(downloaded):
    """Return the project with the histories of users ingested."""
    return downloaded("films")
