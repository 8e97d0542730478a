"""Whether a recipe can be run: all configs and every `--set` are valid, and the models to be trained can be built.

A model is run on a moment of noise. Models of stages that are not run are not built: only their configs are read.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wesep_mix.base.config import CHOSEN, SECTIONS, from_dict, load_config, locate, parse_override, read_raw, section_of
from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.inference.settings import EmbeddingsConfig, ExtractConfig
from wesep_mix.preparation.settings import CorpusConfig
from wesep_mix.tables import sessions, table1, table2
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig

TABLES = ("table1", "table2")
BESIDE = {**dict.fromkeys(TABLES, "--tables true"), sessions.NAME: "--sessions true"}  # which option reads them
CLASSES = {
    "corpus": CorpusConfig,
    "teacher": TeacherConfig,
    "student": StudentConfig,
    "embeddings": EmbeddingsConfig,
    "extractor": ExtractorConfig,
    "separator": SeparatorConfig,
    "extract": ExtractConfig,
    "score": ScoreConfig,
}
STAGES = {"teacher": 2, "student": 3, "extractor": 5, "separator": 5}  # which train the models of these sections


@dataclass(frozen=True)
class Run:
    """What is to be run: stages `stage` to `stop_stage` on mixtures of `num_spk` talkers.

    teacher: stage 2's folder. If that stage is not run, a student is tried with the teacher that lies there.
    """

    stage: int = 1
    stop_stage: int = 9
    num_spk: int = 2
    teacher: Path | None = None

    def trains(self, section: str) -> bool:
        """Whether this run trains the model of a section."""
        return self.stage <= STAGES[section] <= self.stop_stage


def check_recipe(
    conf: Path,
    chosen: Mapping[str, str],
    overrides: list[str],
    beside: Mapping[str, bool] | None = None,
    run: Run = Run(),
) -> None:
    """Check the configs of a recipe, the overrides, and the models of the stages to be run.

    Args:
        conf: egs/CORPUS/conf.
        chosen: {section: name} for sections that have a file a model; "" for one that is not part of this run.
        overrides: `key=value`, as in `--set key=value`.
        beside: `tables` and `sessions`: whether to check the configs of these, too.
        run: what is to be run.

    Raises:
        UserError: the first config that is not valid, override that fits no config, or model that cannot be built and
            run.
    """
    paths = config_paths(conf, chosen)
    wanted = beside or {}
    listed = [
        *paths,
        *(check_tables(conf, overrides, run) if wanted.get("tables") else ()),
        *(check_sessions(conf, overrides, run) if wanted.get(sessions.NAME) else ()),
    ]
    raws = [(section_of(path), read_raw(path)) for path in listed]
    for override in overrides:
        _check_override(override, raws, paths)
    settings = _load(paths, overrides)
    for path in paths:
        if getattr(getattr(settings[path], "model", None), "fusion", "") == "none":
            raise UserError(
                f"{path}: model.fusion: wanted a fusion, found none: stage 5 trains the same network "
                "without embedding beside it in any case"
            )
    _try_models(settings, run)


def _load(paths: Sequence[Path], overrides: list[str]) -> dict[Path, Any]:
    return {path: load_config(CLASSES[section_of(path)], path, overrides) for path in paths}


def _try_models(settings: Mapping[Path, Any], run: Run) -> None:
    """Raises: UserError for the first model that is to be trained and cannot be built and run."""
    of = {section_of(path): (path, given) for path, given in settings.items() if section_of(path) in STAGES}
    wanted = [section for section in of if run.trains(section)]
    if not wanted:
        return
    from wesep_mix.training import smoke

    if {"teacher", "student"} & {*wanted}:
        teacher = smoke.try_teacher(*(of["teacher"] if run.trains("teacher") else _trained(of["teacher"], run)))
    for section in wanted:
        if section == "student":
            smoke.try_student(*of[section], teacher, run.num_spk)
        elif section != "teacher":
            smoke.try_out(*of[section], run.num_spk)


def _trained(configured: tuple[Path, TeacherConfig], run: Run) -> tuple[Path, TeacherConfig]:
    """The teacher's config, with its model as stage 2's folder has it; the recipe's own if there is none yet."""
    path = run.teacher / "config.yaml" if run.teacher else None
    if path is None or not path.is_file():
        return configured
    return path, from_dict(TeacherConfig, {"model": read_raw(path).get("model")}, str(path))


def check_tables(conf: Path, overrides: list[str], run: Run = Run()) -> list[Path]:
    """Check the configs of the paper's tables and every row's settings.

    Args:
        conf: egs/CORPUS/conf.
        overrides: `key=value`, as in `--set key=value`.
        run: what is to be run.

    Returns:
        table1.yaml, table2.yaml and the configs that the latter's rows name.

    Raises:
        UserError: naming the first row whose settings are not valid.
    """
    first, second = table2.load_tables(conf, overrides)
    table2.check_seeds(first, second)
    for name, row in first.rows.items():
        last = run.stop_stage if row.model == "student" else min(run.stop_stage, STAGES["teacher"])
        _check_row(
            f"{conf / 'table1.yaml'}: row {name}",
            [conf / f"{section}.yaml" for section in ("teacher", "student", "embeddings")],
            [*overrides, *table1.row_overrides(row)],
            Run(run.stage, last, row.num_trained),
        )
    named = {name: table2.config_path(conf, row) for name, row in second.rows.items() if row.config}
    for name, path in named.items():
        where = f"{conf / 'table2.yaml'}: row {name}"
        row = second.rows[name]
        (settings,) = _check_row(
            where, [path], [*overrides, *table2.row_overrides(row)], replace(run, num_spk=row.num_spk)
        )
        if getattr(settings, "embeddings", "") == "ark":
            raise UserError(
                f"{where}: embeddings: wanted on_the_fly, found ark: Table 1 writes those of the test set alone"
            )
    return [*(conf / f"{table}.yaml" for table in TABLES), *dict.fromkeys(named.values())]


def check_sessions(conf: Path, overrides: list[str], run: Run = Run()) -> list[Path]:
    """Check the config of sessions and every student's settings.

    Args:
        conf: egs/CORPUS/conf.
        overrides: `key=value`, as in `--set key=value`.
        run: what is to be run.

    Returns:
        sessions.yaml.

    Raises:
        UserError: naming the first student whose settings are not valid.
    """
    path = conf / f"{sessions.NAME}.yaml"
    config = sessions.load_sessions(conf, overrides)
    load_config(CorpusConfig, conf / "corpus.yaml", [*overrides, *table1.overrides("corpus", config.corpus)])
    for name, row in config.students.items():
        _check_row(
            f"{path}: student {name}",
            [conf / "teacher.yaml", conf / "student.yaml"],
            [*overrides, *table1.overrides("student", row.student)],
            replace(run, num_spk=row.num_spk),
        )
    return [path]


def _check_row(where: str, paths: Sequence[Path], overrides: list[str], run: Run) -> list[Any]:
    try:
        settings = _load(paths, overrides)
        _try_models(settings, run)
    except UserError as err:
        raise UserError(f"{where}: {err}") from err
    return list(settings.values())


def config_paths(conf: Path, chosen: Mapping[str, str]) -> list[Path]:
    """The config files of a recipe, in the order of `config.SECTIONS`.

    Args:
        conf: egs/CORPUS/conf.
        chosen: {section: name} for sections that have a file a model; one without a name is not part of this run.

    Returns:
        Their paths.
    """
    stems = [
        f"{name}/{chosen[name]}" if name in CHOSEN else name
        for name in SECTIONS
        if name not in CHOSEN or chosen.get(name)
    ]
    return [conf / f"{stem}.yaml" for stem in stems]


def _check_override(override: str, raws: Sequence[tuple[str, Mapping]], paths: Sequence[Path]) -> None:
    key, _ = parse_override(override)
    if any(locate(key, section, raw) is not None for section, raw in raws):
        return
    known = sorted({name for _, raw in raws for name in _keys(raw)} | set(SECTIONS))
    near = difflib.get_close_matches(".".join(key), known, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; keys begin with one of {', '.join(SECTIONS)}"
    accepting = [section for path in paths if _accepts(section := section_of(path), path, override)]
    if accepting:
        named = " or ".join(f"{name}.{override}" for name in accepting)
        hint = f"; the setting is there, but its YAML does not write it: use --set {named}"
    if key[0] in (*BESIDE, *CHOSEN) and key[0] not in dict(raws):
        hint = f"; {key[0]}.yaml is read only with {BESIDE.get(key[0], f'--{key[0]} NAME')}"
    raise UserError(f"--set {override}: unknown key in every config of this recipe{hint}")


def _accepts(section: str, path: Path, override: str) -> bool:
    """Whether a section has a setting of this name that its YAML does not write."""
    try:
        load_config(CLASSES[section], path, [f"{section}.{override}"])
    except UserError:
        return False
    return True


def _keys(raw: Mapping, prefix: str = "") -> list[str]:
    names = []
    for key, value in raw.items():
        names.append(prefix + str(key))
        if isinstance(value, Mapping):
            names += _keys(value, f"{prefix}{key}.")
    return names
