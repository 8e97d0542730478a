"""Validate every config of a recipe and every --set before any work starts."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path

from wesep_mix.analysis.settings import EmbeddingsConfig, ScoreConfig
from wesep_mix.bin.options import parser
from wesep_mix.config import SECTIONS, load_config, locate, parse_override, read_raw, section_of
from wesep_mix.errors import UserError
from wesep_mix.mixing.settings import CorpusConfig
from wesep_mix.stage import guarded
from wesep_mix.training.settings import ExtractorConfig, StudentConfig, TeacherConfig

CLASSES = (CorpusConfig, TeacherConfig, StudentConfig, EmbeddingsConfig, ExtractorConfig, ScoreConfig)  # as SECTIONS


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--extractor", required=True, help="a file of egs/CORPUS/conf/extractor")
    args = options.parse_args(argv)
    return guarded(lambda: check(args.egs / "conf", args.extractor, args.set), "configuration")


def check(conf: Path, extractor: str, overrides: list[str]) -> None:
    """Raises: UserError for the first config that is not valid, or the first override that fits no config."""
    paths = config_paths(conf, extractor)
    for override in overrides:
        _check_lands(override, {section_of(path): read_raw(path) for path in paths})
    for path, cls in zip(paths, CLASSES, strict=True):
        load_config(cls, path, overrides)


def config_paths(conf: Path, extractor: str) -> list[Path]:
    """The config files of a recipe, in the order of `config.SECTIONS`."""
    return [conf / (f"extractor/{extractor}.yaml" if name == "extractor" else f"{name}.yaml") for name in SECTIONS]


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
