"""The command line of run.sh that makes a document, for its reader to type."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path


def command(exp: Path, corpus: str, options: Sequence[str], settings: Sequence[str]) -> str:
    """`bash run.sh --corpus ...`, quoted for the shell. exp: the experiment's folder, which tells the tag; options:
    words after the corpus; settings: the `--set` values of the run.
    """
    tag = tag_of(exp, corpus)
    words = ["bash", "run.sh", "--corpus", corpus, *options, *(["--tag", tag] if tag else [])]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", portable(setting)))])


def tag_of(exp: Path, corpus: str) -> str:
    """The `--tag` that named the folder `<corpus>_<tag>`; empty when there was none."""
    return exp.name.removeprefix(f"{corpus}_") if exp.name.startswith(f"{corpus}_") else ""


def portable(setting: str) -> str:
    """A `key=value` whose value, if an absolute path, is told from the current folder, the project's."""
    key, _, value = setting.partition("=")
    return f"{key}={os.path.relpath(value)}" if os.path.isabs(value) else setting
