"""Read the diagnostic breast cancer data of Wisconsin, which is part of scikit-learn."""

import hashlib
from pathlib import Path

from sklearn import datasets

from pipeline.sources.examples import Source


def read() -> Source:
    """
    Read 569 patients, each with 30 measures of cell nuclei in a fine-needle aspirate.

    Returns
    -------
    Source
        With the labels ``malignant`` and ``benign``. Each patient is a group of its own.

    References
    ----------
    Street, Wolberg, Mangasarian, "Nuclear feature extraction for breast tumor
    diagnosis", SPIE 1993.
    """
    bunch = datasets.load_breast_cancer(as_frame=True)
    examples = bunch.data.copy()
    patient = [f"patient-{number:03d}" for number in range(len(examples))]
    examples.insert(0, "example_id", patient)
    examples["label"] = bunch.target_names[bunch.target]
    examples["label"] = examples["label"].astype(str)
    examples["group"] = patient
    content = Path(datasets.__file__).parent.joinpath("data", bunch.filename).read_bytes()
    origin = {
        "path": f"scikit-learn: {bunch.filename}",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return Source(examples, [origin])
