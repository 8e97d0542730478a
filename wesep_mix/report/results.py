"""All that stages 7 and 8 wrote to an experiment's folder, as one dictionary: the content of results.json.

It holds no time and no path, its numbers are rounded, and its keys are sorted when written: two runs of one seed on one
machine with the same versions give the same file, `git` aside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json
from wesep_mix.base.installed import machine, versions
from wesep_mix.base.stage import damage_of, outdated_by
from wesep_mix.evaluation.analysis import FOLDER, INTERPOLATION, MARGINS, WORST, read_rows
from wesep_mix.evaluation.breakdown import BREAKDOWN, MIXTURES, TALKERS, read_properties
from wesep_mix.evaluation.scoring import SUMMARY, read_scored, summarise
from wesep_mix.inference.controls import CONTROLS, SEPARATED
from wesep_mix.report.ahead import differences
from wesep_mix.report.breakdown import extraction_breakdown
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS

ALWAYS = (*(metric for metric, column in EMBEDDING_COLUMNS.items() if not column.maybe), "num", "trainable")
MAYBE = (*(metric for metric, column in EMBEDDING_COLUMNS.items() if column.maybe), "num_missing")
CONDITIONS = ("matched", *CONTROLS, SEPARATED)
DIGITS = 6
ANALYSES = (INTERPOLATION, MARGINS, SEPARATED, WORST)


def gather(exp: Path, corpus: str, num_spk: int, seed: int, git: str) -> dict[str, Any]:
    """The results of all extractors and separators in `exp/<num_spk>mix`.

    Args:
        exp: folder of the experiment.
        corpus: its name.
        num_spk: talkers in a mixture.
        seed: of the run.
        git: revision.

    Returns:
        The content of results.json.

    Raises:
        UserError: there is nothing to report.
    """
    mixtures = exp / f"{num_spk}mix"
    embeddings, extraction = embedding_rows(mixtures), extraction_rows(mixtures)
    outdated = outdated_rows(mixtures)
    if not embeddings and not extraction and outdated:
        name, changed = next(iter(outdated.items()))
        raise UserError(
            f"stage 9 (report): {name} and all other results in {mixtures} are older than {changed}, run with "
            "--stage 4 first"
        )
    if not embeddings and not extraction:
        raise UserError(
            f"stage 9 (report) needs scores in {mixtures}, found none: stages 7 and 8 make them, "
            "run with --stage 7 --stop_stage 8 first"
        )
    head = {
        "corpus": corpus,
        "num_spk": num_spk,
        "seed": seed,
        "git": git,
        "versions": versions(),
        "machine": machine(),
        "trained_with": trained_with(exp, num_spk),
        "targets": scored_targets(mixtures),
    }
    rows = {"embeddings": embeddings, "extraction": extraction}
    return head | rows | breakdowns(mixtures) | {"ahead": compared_rows(mixtures), "analysis": analyses(mixtures)}


def embedding_rows(mixtures: Path) -> dict[str, dict[str, float]]:
    """The table of embeddings.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.

    Returns:
        {row: {acc, sep, nmi, sil, ari, eer, num, trainable}}, with what there is of acc_all, min_dcf, cos, count_acc
        and num_missing; empty when stage 8 was not run.
    """
    path = metrics_file(mixtures)
    rows = read_json(path) if _is_current(path) else {}
    rows |= {f"{name}/{SEPARATED}": found[SEPARATED] for name, found in _analysed(mixtures, SEPARATED).items()}
    return {
        name: _pick(row, (*ALWAYS, *(metric for metric in MAYBE if metric in row)), path) for name, row in rows.items()
    }


def analyses(mixtures: Path) -> dict[str, dict[str, Any]]:
    """What stage 8 found out about each extractor and separator beyond the tables.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.

    Returns:
        {model: {analysis: what its .json says, without single mixtures}}.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in ANALYSES:
        for name, says in _analysed(mixtures, kind).items():
            found.setdefault(name, {})[kind] = rounded({key: says[key] for key in says if key != "mixtures"})
    return found


def _analysed(mixtures: Path, kind: str) -> dict[str, dict[str, Any]]:
    """{model: its .json} of those that are no older than their inputs."""
    paths = sorted(mixtures.glob(f"*/{FOLDER}/{kind}.json"))
    return {path.parent.parent.name: read_json(path) for path in paths if _is_current(path)}


def compared_rows(mixtures: Path) -> dict[str, list[dict[str, Any]]]:
    """By how much rows of both tables are ahead of others (report.ahead)."""
    path = metrics_file(mixtures).with_name(TALKERS)
    talkers = read_json(path) if _is_current(path) else {}
    for name in _analysed(mixtures, SEPARATED) if talkers else ():
        of_separated: dict[str, dict[str, bool]] = {}
        for row in read_rows(mixtures / name / FOLDER / f"{SEPARATED}.csv"):
            if row["a"] == SEPARATED:
                of_separated.setdefault(row["mix"], {})[row["speaker"]] = bool(row["right"])
        talkers[f"{name}/{SEPARATED}"] = of_separated
    scores = {name: read_scored(folder)[0] for name, folder in scored_conditions(mixtures).items()}
    return rounded(differences(talkers, scores))


def breakdowns(mixtures: Path) -> dict[str, dict]:
    """{"embeddings_by", "extraction_by"}: {row: {property: {value: {measure: number}}}}, empty without stage 8."""
    folder = metrics_file(mixtures).parent
    embeddings = read_json(folder / BREAKDOWN) if _is_current(folder / BREAKDOWN) else {}
    scores = {name: read_scored(place)[0] for name, place in scored_conditions(mixtures).items() if name != "mixture"}
    properties = read_properties(folder / MIXTURES) if _is_current(folder / MIXTURES) else None
    extraction = {} if properties is None else extraction_breakdown(scores, properties)
    return {"embeddings_by": rounded(embeddings), "extraction_by": rounded(extraction)}


def extraction_rows(mixtures: Path) -> dict[str, dict[str, float]]:
    """{row: {metric, metric_std, num, params}} of all conditions that are scored."""
    return {name: _speech_row(folder) for name, folder in scored_conditions(mixtures).items()}


def _speech_row(folder: Path) -> dict[str, float]:
    """The summary's numbers of the metrics that the table of scores has a value of."""
    rows, summary = read_scored(folder)
    there = summarise(rows)
    metrics = [metric for metric, column in SPEECH_COLUMNS.items() if metric in there or not column.maybe]
    return _pick(summary, (*metrics, *(f"{metric}_std" for metric in metrics), "num", "params"), folder / SUMMARY)


def scored_targets(mixtures: Path) -> str:
    """Which talkers the means of extraction are of.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.

    Returns:
        `one` of each mixture, or `all`; `all` where nothing is scored.

    Raises:
        UserError: rows differ in it, and so cannot stand in one table.
    """
    found = {name: read_scored(folder)[1]["targets"] for name, folder in scored_conditions(mixtures).items()}
    if len(set(found.values())) > 1:
        told = "; ".join(
            f"targets {each}: {', '.join(name for name in found if found[name] == each)}"
            for each in sorted(set(found.values()))
        )
        raise UserError(
            f"{mixtures}: wanted rows of the same score.targets, found {told}; run again with --stage 7, once for each "
            "extractor and separator"
        )
    return next(iter(found.values()), "all")


def scored_conditions(mixtures: Path) -> dict[str, Path]:
    """The folders of scores, without those that are older than their models, embeddings or test set.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.

    Returns:
        {row: folder}: `<extractor>` (matched), `<extractor>/none` and so on, `mixture`.
    """
    return {name: folder for name, folder in _all_scored(mixtures).items() if _is_current(folder / SUMMARY)}


def outdated_rows(mixtures: Path) -> dict[str, Path]:
    """{row: input that is newer}, of the rows that are left out for it; `clustering` stands for all embeddings."""
    found = {"clustering": metrics_file(mixtures)} | {
        name: folder / SUMMARY for name, folder in _all_scored(mixtures).items()
    }
    return {name: changed for name, path in found.items() if path.is_file() and (changed := outdated_by(path))}


def _is_current(path: Path) -> bool:
    """Whether the file is there and no older than its inputs. Damage to its stage's files is an error."""
    if outdated_by(path.parent) is not None:
        return False
    if (damage := damage_of(path.parent)) is not None:
        raise UserError(
            f"stage 9 (report): {damage}: stages 7 and 8 make it again, run with --stage 7 --stop_stage 8 first"
        )
    return path.is_file()


def _all_scored(mixtures: Path) -> dict[str, Path]:
    found = {}
    for model in sorted(mixtures.iterdir()) if mixtures.is_dir() else ():
        for condition in CONDITIONS:
            name = model.name if condition == "matched" else f"{model.name}/{condition}"
            found[name] = model / "test" / condition / "scores"
    found["mixture"] = mixtures / "mixture" / "test" / "mixture" / "scores"
    return found


def left_out(mixtures: Path) -> dict[str, int]:
    """{row: number of utterances that could not be scored}, of the rows that have some."""
    counts = {
        name: read_json(folder / SUMMARY).get("num_bad", 0) for name, folder in scored_conditions(mixtures).items()
    }
    return {name: count for name, count in counts.items() if count}


def empty_cells(mixtures: Path) -> dict[str, dict[str, int]]:
    """{row: {metric: number of talkers for whom it has no value}}."""
    return {name: read_scored(folder)[1].get("empty", {}) for name, folder in scored_conditions(mixtures).items()}


def metrics_file(mixtures: Path) -> Path:
    """Where stage 8 writes the clustering metrics."""
    return mixtures / "clustering" / "metrics.json"


def extractors(results: dict[str, Any]) -> list[str]:
    """Names of the extractors that have a row."""
    return sorted({name.split("/")[0] for name in results["extraction"]} - {"mixture", *separators(results)})


def separators(results: dict[str, Any]) -> list[str]:
    """Names of the separators that have a row."""
    return sorted(name.removesuffix("/separated") for name in results["extraction"] if name.endswith("/separated"))


def training_seed(exp: Path) -> int:
    """The seed that the teacher was trained with.

    Args:
        exp: folder of the experiment.

    Returns:
        As the config beside the teacher says; 0 where it says none.

    Raises:
        UserError: it is no whole number.
    """
    path = exp / "teacher" / "config.yaml"
    if not path.is_file():
        return 0
    seed = read_raw(path).get("seed", 0)
    if not isinstance(seed, int):
        raise UserError(f"{path}: seed: wanted a whole number, found {seed!r}; redo stage 2 with --force true")
    return seed


def trained_with(exp: Path, num_spk: int) -> dict[str, dict[str, str]]:
    """The models that were trained with other versions of the packages than there are now.

    Args:
        exp: folder of the experiment.
        num_spk: talkers in a mixture.

    Returns:
        {model: {package: version}}.
    """
    patterns = ("teacher/config.yaml", f"{num_spk}mix/*/config.yaml", f"{num_spk}mix/*/*/config.yaml")
    configs = {
        path.parent.relative_to(exp).as_posix(): read_raw(path)
        for pattern in patterns
        for path in sorted(exp.glob(pattern))
    }
    # older revisions did not note them
    found = {name: config["versions"] for name, config in configs.items() if "versions" in config}
    return {name: made_by for name, made_by in found.items() if made_by != versions()}


def rounded(value: Any) -> Any:
    """Round floats, also inside mappings and lists, so that two runs of one seed give the same file."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _pick(row: dict[str, float], columns: tuple[str, ...], path: Path) -> dict[str, float]:
    missing = [column for column in columns if column not in row]
    if missing:
        raise UserError(f"{path}: wanted {', '.join(columns)}, found no {', '.join(missing)}; redo its stage")
    odd = [column for column in columns if not isinstance(row[column], (int, float)) or not math.isfinite(row[column])]
    if odd:
        raise UserError(f"{path}: {odd[0]}: wanted a number, found {row[odd[0]]}; redo its stage with --force true")
    return {column: round(row[column], DIGITS) for column in columns}
