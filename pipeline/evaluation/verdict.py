from typing import NamedTuple

PRICES = {"fit": "fit_seconds", "predict": "predict_ms", "size": "model_bytes"}


class Verdict(NamedTuple):
    take: str
    contenders: list
    sentences: list


def write_verdict(comparison, costs, cheapest):
    return Verdict(comparison.contenders[0], comparison.contenders, ["Take it."])
