"""Read the diabetes data of Efron et al., which are part of scikit-learn."""

import hashlib
from pathlib import Path

from sklearn import datasets

from pipeline.sources.examples import Source


def read() -> Source:
    """
    Read 442 patients, each with age, sex, body mass index, blood pressure and six blood values.

    Returns
    -------
    Source
        The label is a measure of how far the disease has gone a year later, from 25 to 346. Each
        patient is a group of its own.

    References
    ----------
    Efron, Hastie, Johnstone, Tibshirani, "Least angle regression", Annals of Statistics 2004.
    """
    bunch = datasets.load_diabetes(as_frame=True, scaled=False)
    examples = bunch.data.copy()
    patient = [f"patient-{number:03d}" for number in range(len(examples))]
    examples.insert(0, "example_id", patient)
    examples["label"] = bunch.target
    examples["group"] = patient
    folder = Path(datasets.__file__).parent / "data"
    origin = [
        {
            "path": f"scikit-learn: {name}",
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in (bunch.data_filename, bunch.target_filename)
    ]
    return Source(examples, origin)
