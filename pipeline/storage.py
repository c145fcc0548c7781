"""Fitted scikit-learn objects on disk, through skops: nothing is pickled or unpickled."""

import importlib
import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sklearn.utils
from sklearn.base import BaseEstimator

from pipeline.errors import UserError
from pipeline.files import damaged, missing

# To list the types that it trusts, skops imports every module of scikit-learn and
# with them torch: seconds. `_trusted` asks about the types at hand instead.
with patch.object(sklearn.utils, "all_estimators", return_value=[]):
    import skops.io as skops

# Where estimators are trusted for what they are: scikit-learn's, as by skops, and the project's.
ESTIMATORS = ("sklearn.", "pipeline.features.", "pipeline.models.")
# What they are made of.
TRUSTED = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "lightgbm.basic.Booster",
    "numpy.dtype",
    "lightgbm.sklearn.LGBMClassifier",
    "sklearn.tree._tree.Tree",
}
# What reading a zip file whose bytes were changed can raise.
DAMAGE = (
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump(fitted: Any, path: Path) -> None:
    """
    Write a fitted object; the same object always gives the same bytes.

    skops names things by their address in memory and stamps the time. Both
    are replaced here, so that DVC sees a change only where there is one.

    Parameters
    ----------
    fitted : object
        An estimator or transformer made of trusted types.
    path : Path
        File to write, ``.skops``.

    Raises
    ------
    UserError
        When it holds a type that `load` would refuse.
    """
    content = skops.dumps(fitted)
    strange = [name for name in skops.get_untrusted_types(data=content) if not _trusted(name)]
    if strange:
        raise UserError(
            f"{type(fitted).__name__} holds types that are not trusted: {', '.join(strange)}; "
            "add them to TRUSTED in pipeline/storage.py if they are safe to load"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as raw:
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
        types = skops.get_untrusted_types(data=content)
        strange = [name for name in types if not _trusted(name)]
        if strange:
            raise UserError(f"{path} holds types that are not trusted: {', '.join(strange)}")
        return skops.loads(content, trusted=types)
    except DAMAGE as error:
        raise damaged(path, error) from None


def _trusted(name: str) -> bool:
    if name in TRUSTED:
        return True
    module, _, attribute = name.rpartition(".")
    if not f"{module}.".startswith(ESTIMATORS):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, BaseEstimator)
