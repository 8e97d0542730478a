"""The command line of run.sh that makes a document, for its reader to type.

RESULTS.md: what was run, both tables, what each row and number means, plots.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wesep_mix.base.installed import shown as shown_versions
from wesep_mix.report.breakdown import condition_tables
from wesep_mix.report.results import extractors, separators
from wesep_mix.report.tables import (
    EMBEDDING_COLUMNS,
    SPEECH_COLUMNS,
    embedding_table,
    extraction_table,
    ordered_rows,
    rules,
    shown,
)


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


EMBEDDING_NOTES = {
    "teacher": "noisy single speech of the test speakers: what the teacher can do where nobody overlaps",
    "teacher/clean": "the teacher on the clean sources of the test mixtures: the student's targets",
    "kmeans": "no training at all: k-means over each mixture's frames, of the front-end before the teacher's training",
    "kmeans/teacher": "no training for mixtures: the same with the front-end that the teacher has trained on speakers",
    "student": "the student on the test mixtures, heads matched to the clean sources by cosine, as `matching` says in "
    "conf/embeddings.yaml",
}
CONDITION_NOTES = {
    "": "given the student's embedding that was matched to the wanted speaker",
    "none": "the same network trained and run without an embedding; its one output is scored for all talkers",
    "wrong": "given the embedding of another talker of the same mixture: it should do badly",
    "random": "given the embedding of somebody else, from a random other mixture: it should do badly",
    "oracle": "given the teacher's embedding of the clean source: the bound for better embeddings",
    "separated": "all talkers at once, without embeddings; each output is scored as the talker that it fits best",
}

CONDITION_RULES = (
    "Acc: of one clustering of all embeddings, as above, the share of those of the mixtures named by the column that "
    "are in their speaker's cluster. Cos, SI-SDRi: their means. sexes: of all talkers of the mixture. SNR: speech over "
    "noise. overlap: mean over consecutive talkers of the share of the shorter one that both cover. num: embeddings, "
    "or talkers."
)


@dataclass(frozen=True)
class Context:
    """What RESULTS.md says beside the numbers."""

    commands: Sequence[str]
    plots: Mapping[str, str] = field(default_factory=dict)  # caption: path relative to the document
    left_out: Mapping[str, int] = field(default_factory=dict)  # row: utterances that could not be scored
    outdated: Sequence[str] = ()  # what is said of rows that are not there any more


def document(results: Mapping[str, Any], context: Context) -> str:
    """The whole of RESULTS.md."""
    blocks = [_head(results, context)]
    if results["embeddings"]:
        blocks += [
            "## Embeddings",
            embedding_table(results["embeddings"]).markdown(),
            _rows_explained(results["embeddings"]),
            _embedding_rules(results["embeddings"]),
        ]
    if results["extraction"]:
        blocks += [
            "## Extraction",
            extraction_table(results["extraction"]).markdown(),
            _rows_explained(results["extraction"]),
            _extraction_rules(results["extraction"], context),
        ]
    tables = condition_tables(results)
    if tables:
        blocks += ["## By condition", *(table.markdown() for table in tables), CONDITION_RULES]
    if context.plots:
        blocks.append("## Plots")
        blocks += [f"![{caption}]({path})\n\n{caption}." for caption, path in context.plots.items()]
    return "\n\n".join(blocks) + "\n"


def terminal(results: Mapping[str, Any]) -> str:
    """Both tables as plain text."""
    tables = (embedding_table(results["embeddings"]), extraction_table(results["extraction"]))
    return "\n\n".join(table.text() for table in tables if table.rows)


def commands(exp: Path, results: Mapping[str, Any], settings: Sequence[str]) -> list[str]:
    """The command line of run.sh for every extractor and separator that has results."""
    models = [("--extractor", name) for name in extractors(results)]
    models = models + [("--separator", name) for name in separators(results)] or [()]
    return [
        command(exp, results["corpus"], ("--num_spk", str(results["num_spk"]), *model), settings) for model in models
    ]


def _head(results: Mapping[str, Any], context: Context) -> str:
    made = "\n".join(context.commands)
    return (
        f"# Results: {results['corpus']}, {results['num_spk']} speakers\n\n"
        f"Made by\n\n```\n{made}\n```\n\n"
        f"Seed {results['seed']}, git revision {results['git']}, {shown_versions(results['versions'])}. Written by "
        "stage 9, like `results.json` with the same numbers. The ± is over the utterances of one run, it says "
        "nothing of other seeds."
        + "".join(
            f"\n\nTrained with other versions: `{name}`, {shown_versions(made_by)}."
            for name, made_by in results["trained_with"].items()
        )
        + "".join(f"\n\nLeft out: {line}." for line in context.outdated)
    )


def _rows_explained(rows: Mapping[str, Any]) -> str:
    return "\n".join(f"- `{name}`: {_note(name)}" for name in ordered_rows(rows))


def _note(name: str) -> str:
    if name == "mixture":
        return "the unprocessed mixture, scored against each of its sources"
    if name in EMBEDDING_NOTES:
        return EMBEDDING_NOTES[name]
    return CONDITION_NOTES.get(name.partition("/")[2], "a condition of its own")


def _embedding_rules(rows: Mapping[str, Any]) -> str:
    rule = (
        f"{rules(EMBEDDING_COLUMNS)} num: embeddings. trainable: parameters that training changed. Chance for Acc is "
        "not 0: it depends on the numbers of speakers and of embeddings."
    )
    missing = [f"`{name}` {row['num_missing']:.0f}" for name, row in rows.items() if row.get("num_missing")]
    left_out = "Talkers who got no head have no embedding and count in none of these but Count"
    return f"{rule} {left_out}: {', '.join(missing)}." if missing else rule


def _extraction_rules(rows: Mapping[str, Any], context: Context) -> str:
    rule = (
        "Every number is the mean ± standard deviation (divided by num) over all mixtures and speakers of "
        f"the test set, each of the `num` counting once. {rules(shown(SPEECH_COLUMNS, rows))} params: all parameters "
        "of the extractor alone, without the model that gives it the embedding."
    )
    bad = [f"`{name}` {count}" for name, count in context.left_out.items()]
    return f"{rule} Left out of every mean, could not be scored: {', '.join(bad)}." if bad else rule
