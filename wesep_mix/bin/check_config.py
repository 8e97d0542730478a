"""Validate every config of a recipe and every --set before any work starts."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.analysis.settings import EmbeddingsConfig, ScoreConfig
from wesep_mix.bin.options import boolean, parser
from wesep_mix.config import CHOSEN, SECTIONS, load_config, locate, parse_override, read_raw, section_of
from wesep_mix.errors import UserError
from wesep_mix.mixing.settings import CorpusConfig
from wesep_mix.stage import guarded
from wesep_mix.tables import table1, table2
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig

TABLES = ("table1", "table2")
CLASSES = {
    "corpus": CorpusConfig, "teacher": TeacherConfig, "student": StudentConfig, "embeddings": EmbeddingsConfig,
    "extractor": ExtractorConfig, "separator": SeparatorConfig, "score": ScoreConfig,
}


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--extractor", required=True, help="a file of egs/CORPUS/conf/extractor")
    options.add_argument("--separator", default="", help="a file of egs/CORPUS/conf/separator [none]")
    options.add_argument("--tables", type=boolean, default=False, metavar="true|false",
                         help="also table1.yaml and table2.yaml [false]")
    args = options.parse_args(argv)
    chosen = {"extractor": args.extractor, "separator": args.separator}
    return guarded(lambda: check(args.egs / "conf", chosen, args.set, args.tables), "configuration")


def check(conf: Path, chosen: Mapping[str, str], overrides: list[str], tables: bool = False) -> None:
    """Raises: UserError for the first config that is not valid, or the first override that fits no config."""
    paths = config_paths(conf, chosen)
    listed = [*paths, *(check_tables(conf, overrides) if tables else ())]
    raws = [(section_of(path), read_raw(path)) for path in listed]
    for override in overrides:
        _check_lands(override, raws, paths)
    for path in paths:
        settings = _check_config(path, overrides)
        if isinstance(settings, ExtractorConfig) and settings.model.fusion == "none":
            raise UserError(f"{path}: model.fusion: wanted a fusion, found none: stage 5 trains the same network "
                            "without embedding beside it in any case")


def _check_config(path: Path, overrides: list[str]) -> Any:
    section = section_of(path)
    settings = load_config(CLASSES[section], path, overrides)
    if section in CHOSEN:
        from wesep_mix.training.trial import try_out

        try_out(path, settings)
    return settings


def check_tables(conf: Path, overrides: list[str]) -> list[Path]:
    """conf/table1.yaml, table2.yaml and the configs that the latter's rows name.

    Raises: UserError naming the first row whose settings are not valid.
    """
    first, second = table2.load_tables(conf, overrides)
    table2.check_seeds(first, second)
    for name, row in first.rows.items():
        for section in ("teacher", "student"):
            _check_row(f"{conf / 'table1.yaml'}: row {name}", conf / f"{section}.yaml",
                       [*overrides, *table1.row_overrides(row)])
    named = {name: table2.config_path(conf, row) for name, row in second.rows.items() if row.config}
    for name, path in named.items():
        where = f"{conf / 'table2.yaml'}: row {name}"
        settings = _check_row(where, path, [*overrides, *table2.row_overrides(second.rows[name])])
        if getattr(settings, "embeddings", "") == "ark":
            raise UserError(f"{where}: embeddings: wanted on_the_fly, found ark: Table 1 writes those of the test set "
                            "alone")
    return [*(conf / f"{table}.yaml" for table in TABLES), *dict.fromkeys(named.values())]


def _check_row(where: str, path: Path, overrides: list[str]) -> Any:
    try:
        return _check_config(path, overrides)
    except UserError as err:
        raise UserError(f"{where}: {err}") from err


def config_paths(conf: Path, chosen: Mapping[str, str]) -> list[Path]:
    """The config files of a recipe, in the order of `config.SECTIONS`.

    chosen: {section: name} of those that have a file a model; one without a name has no part in this run.
    """
    stems = [f"{name}/{chosen[name]}" if name in CHOSEN else name for name in SECTIONS
             if name not in CHOSEN or chosen.get(name)]
    return [conf / f"{stem}.yaml" for stem in stems]


def _check_lands(override: str, raws: Sequence[tuple[str, Mapping]], paths: Sequence[Path]) -> None:
    key, _ = parse_override(override)
    if any(locate(key, section, raw) is not None for section, raw in raws):
        return
    known = sorted({name for _, raw in raws for name in _keys(raw)} | set(SECTIONS))
    near = difflib.get_close_matches(".".join(key), known, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; first parts there are: {', '.join(SECTIONS)}"
    takers = [section for path in paths if _takes(section := section_of(path), path, override)]
    if takers:
        named = " or ".join(f"{name}.{override}" for name in takers)
        hint = f"; a config that does not write it takes it as --set {named}"
    if key[0] in (*TABLES, *CHOSEN) and key[0] not in dict(raws):
        hint = f"; {key[0]}.yaml takes part with {'--tables true' if key[0] in TABLES else f'--{key[0]} NAME'} alone"
    raise UserError(f"--set {override}: unknown key in every config of this recipe{hint}")


def _takes(section: str, path: Path, override: str) -> bool:
    """Whether the section has a setting of this name, which its YAML does not write."""
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


if __name__ == "__main__":
    sys.exit(main())
