"""
Stage 5: compare every model of a task on the same test examples, and say which one to take.

A model cannot be compared if it was not trained, failed, is damaged, or belongs to another task
or other data. Its row has the reason instead of scores. The command fails if no model is left.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import bundle, command, experiment, paths, predictor, tracking
from pipeline.config import command_line, conf, schema, targets
from pipeline.config.settings import leaves, pick_settings
from pipeline.contestants import (
    SHUFFLED,
    TEST,
    TRAIN,
    Data,
    Scored,
    average_fit,
    predict_fits,
)
from pipeline.errors import UserError
from pipeline.evaluation.board import (
    make_board,
    model_digest,
    plain,
    prices_of,
    read_rows,
    test_scores,
)
from pipeline.evaluation.checks import Evidence, check_muted, run_checks
from pipeline.evaluation.comparison import Comparison, check_interval, compare
from pipeline.evaluation.controls import compare_tests, control_rows, fit_controls
from pipeline.evaluation.importance import measure_importance, sample_validation, shuffle_columns
from pipeline.evaluation.layout import console_page, format_score
from pipeline.evaluation.page import write_report
from pipeline.evaluation.photos import choose, describe_photo, image_input
from pipeline.evaluation.plots import FORMS, learning_points, plot_table, stack_models
from pipeline.evaluation.samples import Round
from pipeline.evaluation.slices import check_slices, find_hard, score_slices
from pipeline.evaluation.tuning import describe_tuning
from pipeline.evaluation.verdict import Verdict, check_verdict, describe_variant, write_verdict
from pipeline.files import dvc_digest, new_folder, read_json, read_table, write_json
from pipeline.models.fitting import SIZES, measure_latency
from pipeline.paths import ENSEMBLE
from pipeline.problems import Problem
from pipeline.progress import console, track, wording
from pipeline.sources.examples import inputs_of, meta_of
from pipeline.sources.rounds import Rounds
from pipeline.tracking.environment import machine
from pipeline.tracking.git import revision

# Families of models that are no baselines and no averages of others.
SINGLES = ("classical", "deep")
# What is read of the card of the ingested examples.
CARD = {
    "settings": dict,
    "target": dict,
    "slices": dict,
    "split": dict,
    "origin": list,
    "notes": list,
}


class Entry(NamedTuple):
    """
    One model on the leaderboard.

    Attributes
    ----------
    manifest : dict
        Manifest of its bundle.
    digest : str
        Hash of the manifest.
    run : Run
        Run that trained it.
    fits : list of Scored
        A fit per round and seed.
    costs : dict
        Seconds of a fit, bytes, and by the size of a batch the milliseconds to predict it.
    """

    manifest: dict[str, Any]
    digest: str
    run: tracking.Run
    fits: list[Scored]
    costs: dict[str, Any]

    @property
    def tuned(self) -> dict[str, Any]:
        """Trials and seconds of the search that found its settings, or nothing."""
        return self.manifest["settings"]["model"].get("tuned", {})


def main(cfg: schema.Evaluate) -> None:
    """Predict the test examples with every model, compare, report, and record the scores."""
    task = cfg.task
    check_interval(cfg.resamples, cfg.confidence)
    check_verdict(task.matters, task.cheapest)
    check_muted(task.mute)
    card, kind, data = read_data(task, cfg.seed)
    with tracking.recording(cfg.tracking.uri, cfg.tracking.required) as records:
        entries, failed = predict_all(cfg, records, kind, data)
        compared = {
            part: compare_part(cfg, kind, data, entries, part)
            for part in (TEST, *data.slices, *data.variants)
        }
        verdict = decide(task, kind, entries, compared, data.variants)
        earlier = records.count_comparisons(task.name, data.digest)
        facts = describe(cfg, kind, data, card, entries, failed, earlier)
        costs = {model: one.costs for model, one in entries.items()}
        board = make_board(facts, compared, verdict, costs, data.sizes())
        board["plots"] = plots(kind, entries)
        board |= plain(examine(cfg, kind, data, card, entries, compared[TEST], board))
        write_reports(task.name, board, predictions(data, entries))
        for model in track(entries, "recording", len(entries)):
            record(cfg, kind, board, model, entries[model])
        record_comparison(cfg, records, board)
    page = (paths.report_folder(task.name) / "leaderboard.txt").read_text(encoding="utf-8")
    console.print(wording.get()(page))


def read_data(task: schema.Task, seed: int) -> tuple[dict[str, Any], Problem, Data]:
    """
    Read the ingested examples, test included.

    Parameters
    ----------
    task : schema.Task
        The task.
    seed : int
        Seed of the order of shuffled columns.

    Returns
    -------
    card : dict
        Their description.
    kind : Problem
        Problem of the task, for its target.
    data : Data
        The examples.

    Raises
    ------
    UserError
        If a file is missing or damaged, or ``slice_by`` does not fit the examples.
    """
    ingested = paths.ingested_folder(task.name)
    card = read_json(ingested / "card.json", CARD)
    kind = experiment.problem_of(task, card["target"])
    slices = {name: read_table(ingested / f"{name}.parquet") for name in card["slices"]}
    variants = {name: targets.build(node) for name, node in task.variants.items()}
    rounds = Rounds.read(ingested, with_test=True)
    shuffled = shuffle_validation(kind, rounds, first_repeat(card, rounds), seed)
    data = Data(kind, rounds, slices, dvc_digest(ingested), variants, shuffled)
    check_slices(data.tested, task.slice_by)
    return card, kind, data


def first_repeat(card: Mapping[str, Any], rounds: Rounds) -> list[str]:
    """Return the rounds in which every test example is tested once."""
    return rounds.scored[: card["split"]["folds"] or 1]


def shuffle_validation(
    kind: Problem, rounds: Rounds, names: list[str], seed: int
) -> dict[str, pd.DataFrame]:
    """Shuffle each column of the validation examples of some rounds; of one input nothing."""
    if len(inputs_of(rounds.examples)) < 2:
        return {}
    parts = {name: rounds.part(name, "validation") for name in names}
    return {
        name: shuffle_columns(sample_validation(kind, part, seed), seed)
        for name, part in parts.items()
    }


def predict_all(
    cfg: schema.Evaluate, records: tracking.Recording, kind: Problem, data: Data
) -> tuple[dict[str, Entry], dict[str, dict[str, str]]]:
    """
    Predict the test examples with every model.

    Returns
    -------
    entries : dict of str to Entry
        The models that predicted.
    failed : dict of str to dict
        Family of each other model, and why it failed.

    Raises
    ------
    UserError
        If no model predicted.
    """
    entries: dict[str, Entry] = {}
    failed = {}
    models = [*cfg.models, *([ENSEMBLE] if has_ensemble(cfg) else [])]
    for model in track(models, "predicting", len(models)):
        try:
            entries[model] = entry(cfg, records, model, kind, data, entries)
        except UserError as error:
            family = conf.model_file(model).get("family", model)
            why = str(error).replace(f"{paths.ROOT}/", "")
            failed[model] = {"family": family, "failed": why}
    check_any(cfg.task.name, entries, failed)
    return entries, failed


def decide(
    task: schema.Task,
    kind: Problem,
    entries: Mapping[str, Entry],
    compared: Mapping[str, Comparison],
    variants: Iterable[str],
) -> Verdict:
    """Return the verdict, with what variants of the test examples change for the model to take."""
    verdict = write_verdict(
        compared[TEST],
        {model: prices_of(one.costs) for model, one in entries.items()},
        task.cheapest,
        matters=kind.margin(task.matters),
        families={model: one.manifest["family"] for model, one in entries.items()},
    )
    if verdict.take is None:
        return verdict
    kept = [
        describe_variant(name, verdict.take, kind.deciding.name, compared[TEST], compared[name])
        for name in variants
    ]
    return verdict._replace(sentences=[*verdict.sentences, *kept])


def check_any(
    task: str, entries: Mapping[str, Entry], failed: Mapping[str, Mapping[str, str]]
) -> None:
    """
    Check that there is a model to compare.

    Raises
    ------
    UserError
        If there is none. The message has the reason of the first.
    """
    if not entries:
        model, why = next(iter(failed.items()))
        others = f" ({len(failed) - 1} more cannot either)" if len(failed) > 1 else ""
        raise UserError(f"no model of {task} can be compared; {model}: {why['failed']}{others}")


def has_ensemble(cfg: schema.Evaluate) -> bool:
    """Return whether there is an ensemble of models that are compared."""
    folder = paths.model_folder(cfg.task.name, ENSEMBLE)
    if not (folder / bundle.MANIFEST).is_file():
        return False
    try:
        manifest = bundle.read(folder)
    except UserError:  # its row says why
        return True
    return manifest["status"] != bundle.FAILED and set(cfg.models) >= set(manifest["combined"])


def entry(
    cfg: schema.Evaluate,
    records: tracking.Recording,
    model: str,
    kind: Problem,
    data: Data,
    others: Mapping[str, Entry],
) -> Entry:
    """
    Predict raw test examples with each fit of a trained model, as serving does.

    Parameters
    ----------
    cfg : schema.Evaluate
        Settings of the comparison.
    records : tracking.Recording
        Knows the run that trained the model, or records it again.
    model : str
        Name of the model.
    kind : Problem
        Problem of the task, for its target.
    data : Data
        The examples of the task.
    others : mapping of str to Entry
        The models that an ensemble averages.

    Raises
    ------
    UserError
        If the model is missing, damaged or failed, or belongs to another task, target or
        data.
    """
    task = cfg.task
    folder = paths.model_folder(task.name, model)
    problem = (task.name, task.kind, kind.target)
    manifest = bundle.read_trained(folder, model, data.digest, problem, data.rounds.scored)
    trusted = conf.trusted_by(manifest)
    kept: Any = predictor.load(folder, trusted, data.featurizers)
    if model == ENSEMBLE:
        check_combined(manifest, others, task.name)
        of_others = {name: other.fits for name, other in others.items()}
        fits = [average_fit(data, one, of_others) for one in manifest["rounds"]]
    else:
        fits = predict_fits(data, manifest, kept, folder, trusted)
    found = records.find_run(task.name, bundle.digest(folder))
    run, metrics = found or (restore(cfg, records, model, manifest), {})
    tested = data.tested
    latency = measure_latency(kept.predict, tested[inputs_of(tested)])
    costs = {
        "fit_seconds": metrics.get("cost/fit_seconds", math.nan),
        "tune_seconds": manifest["settings"]["model"].get("tuned", {}).get("seconds", 0.0),
        "peak_bytes": metrics.get("cost/peak_bytes", math.nan),
        "energy_joules": metrics.get("cost/energy_joules", math.nan),
        "model_bytes": bundle.size(folder),
        "predict_ms": {str(size): latency.get(size, math.nan) for size in SIZES},
        "threads": int(machine()["machine.threads"]),
    }
    return Entry(manifest, bundle.digest(folder), run, fits, costs)


def check_combined(manifest: Mapping[str, Any], others: Mapping[str, Entry], task: str) -> None:
    """
    Check that an ensemble is of the models that are compared.

    Raises
    ------
    UserError
        If one of them was trained again, or failed.
    """
    for model, digest in manifest["combined"].items():
        if model not in others or others[model].digest != digest:
            raise UserError(
                f"it combines another {model} than the one that is compared: "
                f"python -m pipeline.combine task={task}"
            )


def compare_part(
    cfg: schema.Evaluate, kind: Problem, data: Data, entries: Mapping[str, Entry], part: str
) -> Comparison:
    """Compare the models on the test examples of all rounds, or on a slice."""
    rounds = []
    for name in data.rounds.scored:
        fits = {
            model: [fit for fit in entry.fits if fit.round == name]
            for model, entry in entries.items()
        }
        rounds.append(
            Round(
                test={m: [fit.predictions[part] for fit in of_m] for m, of_m in fits.items()},
                validation={
                    m: float(np.mean([fit.validation for fit in of_m])) for m, of_m in fits.items()
                },
                share=tested_per_trained(kind, data.rounds, name),
            )
        )
    return compare(
        rounds,
        kind.deciding,
        kind.reported,
        {model: entry.manifest["family"] for model, entry in entries.items()},
        matters=kind.margin(cfg.task.matters),
        seed=cfg.seed,
        resamples=cfg.resamples,
        confidence=cfg.confidence,
    )


def tested_per_trained(kind: Problem, rounds: Rounds, name: str) -> float:
    """Return how many test examples such as can be learned a round has per training example."""
    test, train = rounds.part(name, TEST), rounds.part(name, TRAIN)
    return float(kind.learned(test["label"].to_numpy()).sum() / len(train))


def describe(
    cfg: schema.Evaluate,
    kind: Problem,
    data: Data,
    card: Mapping[str, Any],
    entries: Mapping[str, Entry],
    failed: Mapping[str, Mapping[str, str]],
    earlier: int | None,
) -> dict[str, Any]:
    """Describe for ``board.json`` what was compared and how."""
    task = cfg.task
    first = next(iter(entries.values()))
    meta, code, about = meta_of(data.tested), revision(paths.ROOT), machine()
    seeds = first.manifest["settings"]["task"]["seeds"]
    return {
        "task": task.name,
        "kind": task.kind,
        "metric": kind.deciding.name,
        "unit": kind.unit_of(kind.deciding),
        "greater_is_better": kind.deciding.greater_is_better,
        "metrics": [one.name for one in kind.reported],
        "target": kind.target,
        "matters": kind.margin(task.matters),
        "confidence": cfg.confidence,
        "resamples": cfg.resamples,
        "cheapest": task.cheapest,
        "rounds": {
            **card["split"],
            "rounds": len(data.rounds.scored),
            "seeds": seeds,
            "examples": len(data.tested),
            "units": len(np.unique(meta.get("unit", meta["group"]))),
        },
        # This one included. Without the store nobody knows.
        "looks": 0 if earlier is None else 1 + earlier,
        "notes": [*card["notes"], *task.notes],
        "settings": pick_settings("evaluate", cfg),
        "models": {
            model: {
                "family": entry.manifest["family"],
                "failed": "",
                "settings": describe_tuning(entry.tuned),
                "digest": entry.digest,
                "run_id": entry.run.id,
                "validation": entry.manifest["scores"][kind.deciding.name],
                "curve": entry.manifest["curve"],
            }
            for model, entry in entries.items()
        }
        | {
            model: {**why, "digest": model_digest(paths.model_folder(task.name, model))}
            for model, why in failed.items()
        },
        "provenance": {
            "commit": code.commit,
            "dirty": bool(code.changes),
            "data": data.digest,
            "origin": card["origin"],
            "seeds": {"split": card["settings"]["task"]["split"]["seed"], "training": seeds},
            "versions": {"python": about.pop("python"), **versions(entries)},
            "machine": {key.removeprefix("machine."): value for key, value in about.items()},
            "commands": [f"git checkout {code.commit}", command_line.repeats(task.name)],
        },
    }


def versions(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Return the installed versions of the packages that the models need."""
    needed = {line for entry in entries.values() for line in entry.manifest["requirements"]}
    return {line.partition("==")[0]: line.partition("==")[2] for line in sorted(needed)}


def plots(kind: Problem, entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """Describe the plots of the kind of problem with the data of all models."""
    by_model = {}
    for model, entry in entries.items():
        first = entry.fits[0].seed
        rounds = [fit.predictions[TEST] for fit in entry.fits if fit.seed == first]
        by_model[model] = kind.plot_data(kind.concatenate(rounds))
    described = []
    for plot in kind.PLOTS:
        rows = stack_models({model: data[plot["name"]] for model, data in by_model.items()})
        described.append({**plot, "rows": rows.to_dict("records")})
    return described


def examine(
    cfg: schema.Evaluate,
    kind: Problem,
    data: Data,
    card: Mapping[str, Any],
    entries: Mapping[str, Entry],
    comparison: Comparison,
    board: Mapping[str, Any],
) -> dict[str, Any]:
    """Look for what makes the answer doubtful: controls, slices, hard examples and checks."""
    task, rounds, metric = cfg.task, data.rounds, kind.deciding.name
    repeat = first_repeat(card, rounds)
    fits = {
        model: [
            fit
            for name in repeat
            for fit in entry.fits
            if (fit.round, fit.seed) == (name, entry.fits[0].seed)
        ]
        for model, entry in entries.items()
    }
    examples = [rounds.part(name, TEST) for name in repeat]
    tests = {model: [fit.predictions[TEST] for fit in of] for model, of in fits.items()}
    pooled = {model: kind.concatenate(ones) for model, ones in tests.items()}
    families = {model: entry.manifest["family"] for model, entry in entries.items()}
    contestants = {model: one for model, one in pooled.items() if families[model] != "baseline"}
    predicted = {
        model: np.concatenate([fit.frames[TEST]["label"] for fit in of])
        for model, of in fits.items()
    }
    calibrated = {
        model: kind.calibration(one, cfg.seed, cfg.confidence) for model, one in pooled.items()
    }
    best = comparison.scores.index[0]
    share = tested_per_trained(kind, rounds, repeat[0])
    compare_all = partial(
        compare_tests,
        share=share,
        matters=kind.margin(task.matters),
        seed=cfg.seed,
        confidence=cfg.confidence,
    )
    # The recommended model and the best network, but for averages of several.
    singles = [m for m in comparison.scores.index if families[m] in SINGLES]
    take = [m for m in singles if m == board["verdict"]["take"]]
    looked_into = list(dict.fromkeys([*take, *[m for m in singles if families[m] == "deep"][:1]]))
    fitted = fit_controls(kind, rounds, repeat, cfg.seed)
    controls = compare_all({**fitted, best: tests[best]}, kind.deciding)
    evidence = Evidence(
        kind=kind,
        rounds=rounds,
        repeat=repeat,
        families=families,
        train={
            model: kind.concatenate([fit.predictions[TRAIN] for fit in of])
            for model, of in fits.items()
        },
        validation={
            model: {
                "rounds": [
                    np.mean([fit.validation for fit in entry.fits if fit.round == name])
                    for name in rounds.scored
                ],
                "low": entry.manifest["scores"].get(f"{metric}_low", math.nan),
                "high": entry.manifest["scores"].get(f"{metric}_high", math.nan),
            }
            for model, entry in entries.items()
        },
        calibration=calibrated,
        comparison=comparison,
        controls=controls,
        take=board["verdict"]["take"],
        share=share,
        tuned=[model for model, entry in entries.items() if entry.tuned],
        edges={model: edges(task, model, entry.manifest) for model, entry in entries.items()},
        unread={model: entry.manifest.get("unread", 0.0) for model, entry in entries.items()},
        limited={model: entry.manifest.get("limited", 0) for model, entry in entries.items()},
        looks=board.get("looks", 0),
        matters=kind.margin(task.matters),
        confidence=cfg.confidence,
        seed=cfg.seed,
    )
    return {
        "controls": control_rows(controls, metric, best),
        "calibration": {model: one for model, one in calibrated.items() if one},
        "by": score_slices(kind, tests, examples, task.slice_by, compare_all),
        "hard": find_hard(kind, contestants, predicted, pd.concat(examples)),
        "checks": run_checks(evidence, task.mute),
        "importance": rank_columns(cfg, data, fits, families, share),
        "photos": show_photos(cfg, data, entries, repeat, pooled, predicted, looked_into),
    }


def rank_columns(
    cfg: schema.Evaluate,
    data: Data,
    fits: Mapping[str, list[Scored]],
    families: Mapping[str, str],
    share: float,
) -> dict[str, list[dict[str, Any]]]:
    """Measure how much each column matters to each model, on validation; of one input nothing."""
    kind = data.kind
    singles = [model for model in fits if families[model] in SINGLES] if data.shuffled else []
    return {
        model: measure_importance(
            [fit.predictions[SHUFFLED] for fit in fits[model]],
            inputs_of(data.rounds.examples),
            kind.deciding,
            share=share,
            matters=kind.margin(cfg.task.matters),
            seed=cfg.seed,
            confidence=cfg.confidence,
        )
        for model in track(singles, "measuring importance", len(singles))
    }


def show_photos(
    cfg: schema.Evaluate,
    data: Data,
    entries: Mapping[str, Entry],
    repeat: list[str],
    pooled: Mapping[str, Any],
    predicted: Mapping[str, np.ndarray],
    models: list[str],
) -> list[dict[str, Any]]:
    """Describe right and wrong answers of models for photos, if the inputs are photos."""
    tests = [data.parts(name) for name in repeat]
    examples = pd.concat([parts[TEST] for parts in tests], ignore_index=True)
    name = image_input(examples)
    if name is None or not models:
        return []
    changed = {v: pd.concat([parts[v] for parts in tests])[name].to_numpy() for v in data.variants}
    rounds = np.repeat(repeat, [len(parts[TEST]) for parts in tests])
    chosen = choose(data.kind, pooled[models[0]], examples)
    loaded: dict[tuple[str, str], Any] = {}

    def predict(model: str, of_round: str, files: list[bytes]) -> np.ndarray:
        if (model, of_round) not in loaded:
            manifest = entries[model].manifest
            fit = next(one for one in manifest["rounds"] if one["round"] == of_round)
            folder = paths.model_folder(cfg.task.name, model) / fit["folder"]
            loaded[model, of_round] = predictor.load_single(
                folder, data.kind, conf.trusted_by(manifest), {}
            )
        return loaded[model, of_round].outputs(pd.DataFrame({name: files}))

    return [
        {
            "example_id": examples["example_id"][row],
            "actual": examples["label"][row],
            **describe_photo(
                examples[name][row],
                {model: partial(predict, model, rounds[row]) for model in models},
                {model: predicted[model][row] for model in models},
                {variant: files[row] for variant, files in changed.items()},
            ),
        }
        for row in track(chosen, "looking into models", len(chosen))
    ]


def edges(task: schema.Task, model: str, manifest: Mapping[str, Any]) -> list[str]:
    """Return which adopted settings of a model are at an end of the range that was searched."""
    adopted = paths.adopted_file(task.name, model)
    searched = paths.CONF / "sweep" / f"{model}.yaml"
    if not adopted.is_file() or not searched.is_file():
        return []
    from pipeline.sweep.space import at_ends, parse  # only where a model was tuned

    sweep, settings = conf.read_yaml(searched)["sweep"], manifest["settings"]["model"]
    of_architecture = sweep.get("architecture_space", {}).get(settings.get("architecture"), {})
    ranges = sweep["space"] | of_architecture | task.spaces.get(model, {})
    chosen = dict(leaves(conf.read_yaml(adopted), "model"))
    used = dict(leaves(settings, "model"))
    kept = {key: value for key, value in used.items() if key in chosen}
    return at_ends(parse(ranges), kept)


def write_reports(task: str, board: dict[str, Any], predicted: pd.DataFrame) -> None:
    """Write the board, its pages, the metrics, the data of plots, and the predictions."""
    with new_folder(paths.report_folder(task)) as folder:
        write_json(folder / "board.json", board)
        rows = read_rows(board, TEST)
        rows.to_csv(folder / "leaderboard.csv", index=False)
        (folder / "leaderboard.txt").write_text(console_page(board), encoding="utf-8")
        write_report(board, folder)
        predicted.to_parquet(folder / "predictions.parquet", index=False)
        for model, parts in test_scores(board).items():
            shown = {
                part: {name: score for name, score in scores.items() if name in board["metrics"]}
                for part, scores in parts.items()
            }
            write_json(folder / "metrics" / f"{model}.json", shown)
        for form in FORMS:
            (folder / "plots" / form).mkdir(parents=True)
        for plot in board["plots"]:
            file = folder / "plots" / plot["form"] / f"{plot['name']}.csv"
            plot_table(plot).to_csv(file, index=False)
        curves = {
            model: learning_points(of_model["curve"])
            for model, of_model in board["models"].items()
            if not of_model["failed"]
        }
        stack_models(curves).to_csv(folder / "plots" / "learning.csv", index=False)


def record(
    cfg: schema.Evaluate, kind: Problem, board: dict[str, Any], model: str, entry: Entry
) -> None:
    """Record test scores and costs in the run that trained the model."""
    for part, scores in test_scores(board)[model].items():
        entry.run.log_scores({f"{part}/{name}": value for name, value in scores.items()})
    rounds = pd.DataFrame(
        {name: of.get("rounds", []) for name, of in board["models"][model]["scores"].items()}
    )
    entry.run.log_rounds({TEST: [row.dropna().to_dict() for _, row in rounds.iterrows()]})
    latency = {f"cost/predict_ms_{n}": ms for n, ms in entry.costs["predict_ms"].items()}
    entry.run.log_scores({name: ms for name, ms in latency.items() if not math.isnan(ms)})
    title = f"{cfg.task.name}, {model}, {TEST}"
    pooled = kind.concatenate([fit.predictions[TEST] for fit in entry.fits])
    entry.run.log_figure("test.png", kind.figure(title, pooled))
    if importance := board["importance"].get(model):
        entry.run.log_text("importance.csv", pd.DataFrame(importance).to_csv(index=False))


def record_comparison(
    cfg: schema.Evaluate, records: tracking.Recording, board: Mapping[str, Any]
) -> None:
    """Record the verdict and the pages in a run of their own, and mark the runs of the models."""
    task, folder = cfg.task.name, paths.report_folder(cfg.task.name)
    tags = {"task": task, "kind": "comparison", "data": board["provenance"]["data"]}
    tags |= {f"check.{one['code']}": one["severity"] for one in board["checks"]}
    with records.start_run(paths.ROOT, task, "comparison", board["settings"], tags) as run:
        run.log_comparison(folder, (folder / "report.md").read_text(encoding="utf-8"))
        run.log_board(**order(board))


def order(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the store shall list the runs of the models: as `Run.log_board` takes it."""
    rows = [row for row in board["slices"][TEST]["rows"] if not row["failed"]]
    models = [board["models"][row["model"]] for row in rows]
    curves = {name for model in models for point in model["curve"][:1] for name in point}
    return {
        "metric": f"{TEST}/{board['metric']}",
        "scores": {one["digest"]: format_score(one["scores"][board["metric"]]) for one in models},
        "verdicts": {one["digest"]: row["mark"] for one, row in zip(models, rows, strict=True)},
        "losses": sorted(f"curve/{name}" for name in curves if name.startswith("validation/")),
    }


def restore(
    cfg: schema.Evaluate, records: tracking.Recording, model: str, manifest: Mapping[str, Any]
) -> tracking.Run:
    """Record a model again whose run is not in the store, as after `dvc pull`."""
    trusted = conf.trusted_by(manifest)
    folder = paths.model_folder(cfg.task.name, model)
    identity = experiment.identity(manifest["settings"])
    identity["tags"]["restored"] = "true"
    digest = bundle.digest(folder)
    with records.start_run(paths.ROOT, **identity, trained=digest) as run:
        for point in manifest["curve"]:
            run.log_curve(point["step"], {key: point[key] for key in point if key != "step"})
        run.log_training(manifest, folder, digest, {}, trusted)
    console.print(
        f"{cfg.task.name} {model}: the run that trained it is not in this store; "
        f"recorded as run {run.id}"
    )
    return run


def predictions(data: Data, entries: Mapping[str, Entry]) -> pd.DataFrame:
    """
    Return every prediction for every example.

    Parameters
    ----------
    data : Data
        The examples.
    entries : mapping of str to Entry
        Models with their predictions.

    Returns
    -------
    DataFrame
        A row per example, model and fit: ``example_id``, ``group``, ``label``, ``part``
        (test or a slice), ``model``, ``round``, ``seed``, ``predicted``, and the further
        columns that the kind of problem serves.
    """
    tables = []
    for model, entry in entries.items():
        for fit in entry.fits:
            for part, examples in data.parts(fit.round).items():
                rows = examples[["example_id", "group", "label"]].reset_index(drop=True)
                rows = rows.assign(part=part, model=model, round=fit.round, seed=fit.seed)
                frame = fit.frames[part].rename(columns={"label": "predicted"})
                tables.append(rows.join(frame))
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    command.run("evaluate")
