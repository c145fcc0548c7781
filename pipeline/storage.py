"""Fitted scikit-learn objects on disk, through skops: nothing is pickled or unpickled."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sklearn.utils

from pipeline.errors import UserError
from pipeline.files import damaged, missing

# To list the types that it trusts, skops imports every module of scikit-learn and
# with them torch: seconds. TRUSTED below says what this project trusts instead.
with patch.object(sklearn.utils, "all_estimators", return_value=[]):
    import skops.io as skops

TRUSTED = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "pipeline.features.text.StyleMeasures",
    "pipeline.features.text.Tfidf",
    "pipeline.features.text.TokenIds",
    "pipeline.features.text.WordCount",
    "pipeline.models.baseline.WordCountRule",
    "pipeline.models.trees.LightGBM",
    "pipeline.models.trees.RandomForest",
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.dummy.DummyClassifier",
    "sklearn.feature_extraction.text.TfidfTransformer",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._tree.Tree",
]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump(fitted: Any, path: Path) -> None:
    """
    Write a fitted object; the same object always gives the same bytes.

    skops names things by their address in memory and stamps the time. Both
    are replaced here, so that DVC sees a change only where there is one.

    Parameters
    ----------
    fitted : object
        An estimator or transformer made of types in `TRUSTED`.
    path : Path
        File to write, ``.skops``.
    """
    with zipfile.ZipFile(io.BytesIO(skops.dumps(fitted))) as raw:
        schema = raw.read("schema.json").decode()
        numbers: dict[str, str] = {}

        def renumber(match: re.Match[str]) -> str:
            return match[1] + numbers.setdefault(match[2], str(len(numbers) + 1))

        schema = re.sub(r'("__id__": |"file": "|"id": )(\d+)', renumber, schema)
        parts = {"schema.json": schema.encode()}
        for name in raw.namelist():
            if name != "schema.json":
                stem, _, suffix = name.partition(".")
                parts[f"{numbers[stem]}.{suffix}"] = raw.read(name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])


def load(path: Path) -> Any:
    """
    Read what `dump` wrote.

    Raises
    ------
    UserError
        When the file is missing, damaged, or holds a type that is not trusted.
    """
    if not path.is_file():
        raise missing(path)
    try:
        content = path.read_bytes()
        strange = sorted(set(skops.get_untrusted_types(data=content)) - set(TRUSTED))
        if strange:
            raise UserError(f"{path} holds types that are not trusted: {', '.join(strange)}")
        return skops.loads(content, trusted=TRUSTED)
    except (
        zipfile.BadZipFile,
        json.JSONDecodeError,
        KeyError,
        ValueError,
        TypeError,
    ) as error:
        raise damaged(path, error) from None
