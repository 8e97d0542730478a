"""Validate every config of a recipe and every --set before any work starts."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path

from wesep_mix.analysis.settings import EmbeddingsConfig, ScoreConfig
from wesep_mix.bin.options import boolean, parser
from wesep_mix.config import CHOSEN, SECTIONS, load_config, locate, parse_override, read_raw, section_of
from wesep_mix.errors import UserError
from wesep_mix.mixing.settings import CorpusConfig
from wesep_mix.stage import guarded
from wesep_mix.table1 import TABLE, Table1Config, row_overrides
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig

CLASSES = {
    "corpus": CorpusConfig, "teacher": TeacherConfig, "student": StudentConfig, "embeddings": EmbeddingsConfig,
    "extractor": ExtractorConfig, "separator": SeparatorConfig, "score": ScoreConfig,
}


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--extractor", required=True, help="a file of egs/CORPUS/conf/extractor")
    options.add_argument("--separator", default="", help="a file of egs/CORPUS/conf/separator [none]")
    options.add_argument("--tables", type=boolean, default=False, metavar="true|false", help="also table1.yaml [false]")
    args = options.parse_args(argv)
    chosen = {"extractor": args.extractor, "separator": args.separator}
    return guarded(lambda: check(args.egs / "conf", chosen, args.set, args.tables), "configuration")


def check(conf: Path, chosen: Mapping[str, str], overrides: list[str], tables: bool = False) -> None:
    """Raises: UserError for the first config that is not valid, or the first override that fits no config."""
    paths = config_paths(conf, chosen)
    listed = [*paths, conf / TABLE] if tables else paths
    for override in overrides:
        _check_lands(override, {section_of(path): read_raw(path) for path in listed})
    for path in paths:
        load_config(CLASSES[section_of(path)], path, overrides)
    if tables:
        check_table(conf, overrides)


def check_table(conf: Path, overrides: list[str]) -> Table1Config:
    """The rows of conf/table1.yaml. Raises: UserError naming the first row whose settings are not valid."""
    table = load_config(Table1Config, conf / TABLE, overrides)
    for name in table.rows:
        for section in ("teacher", "student"):
            settings = row_overrides(table.rows[name], section)
            try:
                load_config(CLASSES[section], conf / f"{section}.yaml", [*overrides, *settings])
            except UserError as err:
                raise UserError(f"{conf / TABLE}: row {name}: {err}") from err
    return table


def config_paths(conf: Path, chosen: Mapping[str, str]) -> list[Path]:
    """The config files of a recipe, in the order of `config.SECTIONS`.

    chosen: {section: name} of those that have a file a model; one without a name has no part in this run.
    """
    stems = [f"{name}/{chosen[name]}" if name in CHOSEN else name for name in SECTIONS
             if name not in CHOSEN or chosen.get(name)]
    return [conf / f"{stem}.yaml" for stem in stems]


def _check_lands(override: str, raws: Mapping[str, Mapping]) -> None:
    key, _ = parse_override(override)
    if any(locate(key, section, raw) is not None for section, raw in raws.items()):
        return
    known = sorted({name for section, raw in raws.items() for name in _keys(raw)} | set(SECTIONS))
    near = difflib.get_close_matches(".".join(key), known, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; first parts there are: {', '.join(SECTIONS)}"
    raise UserError(f"--set {override}: unknown key in every config of this recipe{hint}")


def _keys(raw: Mapping, prefix: str = "") -> list[str]:
    names = []
    for key, value in raw.items():
        names.append(prefix + str(key))
        if isinstance(value, Mapping):
            names += _keys(value, f"{prefix}{key}.")
    return names


if __name__ == "__main__":
    sys.exit(main())
