"""RESULTS.md: what was run, both tables, what each row and number means, plots.

Also the command line of run.sh that produces a document, for its reader to type; the paper's tables use it too.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wesep_mix.base.installed import shown as shown_versions
from wesep_mix.report.ahead import ahead_block
from wesep_mix.report.analysis import analysis_sections, captions
from wesep_mix.report.breakdown import breakdown_tables
from wesep_mix.report.cautions import FOREIGN, Kin, cautions
from wesep_mix.report.results import extractors, separators
from wesep_mix.report.tables import (
    EMBEDDING_COLUMNS,
    SPEECH_COLUMNS,
    TARGETS,
    embedding_table,
    extraction_table,
    ordered_rows,
    rules,
    shown,
)

EMBEDDING_NOTES = {
    "teacher": "the teacher on noisy single speech of the test speakers: what it can do where nobody overlaps",
    "teacher/clean": "the teacher on the clean sources of the test mixtures: the student's targets",
    "kmeans": "no training: the centroids of k-means over each mixture's frames, of the front-end before the teacher's "
    "training",
    "kmeans/teacher": "the same with the front-end after the teacher's training, which has seen single speakers, no "
    "mixtures",
    "student": "the student on the test mixtures; its embeddings are matched to those of the clean sources by cosine, "
    "as `matching` says in conf/embeddings.yaml",
}
CONDITION_NOTES = {
    "": "the extractor is given the student's embedding that is matched to the wanted talker",
    "none": "the same network trained and run without an embedding; its one output is scored for all talkers",
    "wrong": "given the embedding of another talker of the same mixture; it should do badly",
    "random": "given the embedding of a speaker of another mixture, drawn at random; it should do badly",
    "oracle": "given the teacher's embedding of the clean source: a bound for better embeddings",
    "enrolment": "given the teacher's embedding of another utterance of the talker, clean: what an enrolment gives",
    "enrolment_noisy": "the same utterance in noise, at an SNR drawn as a mixture's",
    "separated": "all talkers at once, without embeddings; each output is scored as the talker that it fits best",
}

SEPARATED_NOTE = "the teacher on the outputs of a separator, each under the talker that it fits best"
BREAKDOWN = "By sexes, SNR, overlap and voices"  # the heading
BREAKDOWN_RULES = """Each column stands for the test mixtures with this property.

- Acc: of all embeddings of these mixtures, the share that is in their speaker's cluster. The clusters are those of the
  table above, of all embeddings together.
- Cos, SI-SDRi: means over these mixtures.
- sexes: of all talkers of the mixture. SNR: of speech over noise. overlap: what two talkers that follow each other
  share, as a fraction of the shorter one; the mean over the mixture. cosine: of the teacher's embeddings of the clean
  sources, the highest of two talkers.
- num: embeddings, or talkers."""


@dataclass(frozen=True)
class Context:
    """What RESULTS.md says beside the numbers.

    Attributes:
        commands: that produced the results.
        plots: {caption: path relative to the document}.
        left_out: {row: number of utterances that could not be scored}.
        empty: {row: {metric: number of talkers for whom it has no value}}.
        outdated: a sentence for each row that is left out, since its models have changed.
        worst: WORST.md, as a path relative to the document; empty where there is none.
    """

    commands: Sequence[str]
    plots: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    empty: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    outdated: Sequence[str] = ()
    worst: str = ""


def document(results: Mapping[str, Any], context: Context) -> str:
    """Write the text of RESULTS.md.

    Args:
        results: as `report.results.gather` gives them.
        context: what stands beside the numbers.

    Returns:
        Markdown.
    """
    blocks = [_head(results, context)]
    if results["embeddings"]:
        blocks += [
            "## Embeddings",
            embedding_table(results["embeddings"]).markdown(),
            *filter(None, [ahead_block(results["ahead"]["embeddings"], "embeddings")]),
            _rows_explained(results["embeddings"], _embedding_note),
            _embedding_rules(results["embeddings"]),
        ]
    if results["extraction"]:
        blocks += [
            "## Extraction",
            extraction_table(results["extraction"]).markdown(),
            *extraction_cautions(results["extraction"]),
            *filter(None, [ahead_block(results["ahead"]["extraction"], "extraction")]),
            _rows_explained(results["extraction"], _extraction_note),
            _extraction_rules(results["extraction"], results["targets"], context),
        ]
    tables = breakdown_tables(results)
    if tables:
        blocks += [f"## {BREAKDOWN}", *(table.markdown() for table in tables), BREAKDOWN_RULES]
    blocks += analysis_sections(results, context.plots, context.worst)
    plots = {caption: path for caption, path in context.plots.items() if caption not in captions(results)}
    if plots:
        blocks.append("## Plots")
        blocks += [f"![{caption}]({path})\n\n{caption}." for caption, path in plots.items()]
    return "\n\n".join(blocks) + "\n"


def terminal(results: Mapping[str, Any]) -> str:
    """Both tables as plain text."""
    tables = (embedding_table(results["embeddings"]), extraction_table(results["extraction"]))
    return "\n\n".join(table.text() for table in tables if table.rows)


def _head(results: Mapping[str, Any], context: Context) -> str:
    lines = "\n".join(context.commands)
    return (
        f"# Results: {results['corpus']}, {results['num_spk']} speakers\n\n"
        f"Produced by\n\n```\n{lines}\n```\n\n"
        f"Seed {results['seed']}, git revision {results['git']}, {shown_versions(results['versions'])}, reported on "
        f"{results['machine']}. Stage 9 writes this file, `report.html` with audio, `results.json` with the same "
        "numbers and `tables.tex`. The ± is over the utterances of one run; it says nothing about other seeds."
        + "".join(
            f"\n\nTrained with other versions: `{name}`, {shown_versions(made_by)}."
            for name, made_by in results["trained_with"].items()
        )
        + "".join(f"\n\nLeft out: {line}." for line in context.outdated)
    )


def _rows_explained(rows: Mapping[str, Any], note: Callable[[str], str]) -> str:
    return "Rows:\n\n" + "\n".join(f"- `{name}`: {note(name)}" for name in ordered_rows(rows))


def _embedding_note(name: str) -> str:
    return EMBEDDING_NOTES.get(name, SEPARATED_NOTE)


def _extraction_note(name: str) -> str:
    if name == "mixture":
        return "the unprocessed mixture, scored against each of its sources"
    return CONDITION_NOTES.get(name.partition("/")[2], "a condition of its own")


def _embedding_rules(rows: Mapping[str, Any]) -> str:
    meanings = rules(shown(EMBEDDING_COLUMNS, rows), num="embeddings", trainable="parameters that training changed")
    rule = (
        "Each number is of all embeddings of its row together, so it has no ±.\n\n"
        f"Columns:\n\n{meanings}\n\nChance for Acc is not 0: it depends on the numbers of speakers and of embeddings."
    )
    missing = [f"`{name}` {row['num_missing']:.0f}" for name, row in rows.items() if row.get("num_missing")]
    left_out = "Talkers without a head have no embedding and are in no number but Acc of all, as wrong ones, and Count"
    return f"{rule} {left_out}: {', '.join(missing)}." if missing else rule


def extraction_cautions(rows: Mapping[str, Any]) -> list[str]:
    """What is to be said of PESQ and STOI below the table of extraction.

    Args:
        rows: as `results["extraction"]`.

    Returns:
        A sentence each.
    """
    mixture = {name: "mixture" for name in rows if name != "mixture"}
    right = {name: name.partition("/")[0] for name in rows if name.partition("/")[2] in FOREIGN}
    return cautions(rows, Kin(mixture, right))


def _extraction_rules(rows: Mapping[str, Any], targets: str, context: Context) -> str:
    params = "all parameters of the extractor or separator, without the model that computes the embedding"
    over, num = TARGETS[targets]
    meanings = rules(shown(SPEECH_COLUMNS, rows), num=num, params=params)
    rule = (
        f"Every number is the mean ± standard deviation (of the population: divided by num), or a share, over {over}."
        f"\n\nColumns:\n\n{meanings}"
    )
    bad = [f"`{name}` {count}" for name, count in context.left_out.items()]
    unscored = [f"Utterances that could not be scored and are in no mean: {', '.join(bad)}."] if bad else []
    return "\n\n".join([rule, *unscored, *empty_told(context.empty)])


def empty_told(empty: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Which means leave talkers out.

    Args:
        empty: {row: {metric: number of talkers for whom it has no value}}.

    Returns:
        A sentence, or none where all talkers have all metrics.
    """
    rows = [
        f"`{name}` "
        + ", ".join(f"{column.name} {counts[key]}" for key, column in SPEECH_COLUMNS.items() if key in counts)
        for name, counts in empty.items()
        if counts
    ]
    told = "Talkers for whom a metric has no value, such as PESQ where it finds no speech; its mean is over the others"
    return [f"{told}: {'; '.join(rows)}."] if rows else []


def commands(exp: Path, results: Mapping[str, Any], settings: Sequence[str]) -> list[str]:
    """The command lines of run.sh that produce the results.

    Args:
        exp: folder of the experiment.
        results: as `report.results.gather` gives them.
        settings: the `--set` values of the run.

    Returns:
        One for every extractor and separator that has results.
    """
    models = [("--extractor", name) for name in extractors(results)]
    models = models + [("--separator", name) for name in separators(results)] or [()]
    return [
        command(exp, results["corpus"], ("--num_spk", str(results["num_spk"]), *model), settings) for model in models
    ]


def command(exp: Path, corpus: str, options: Sequence[str], settings: Sequence[str]) -> str:
    """A command line of run.sh, quoted for the shell.

    Args:
        exp: folder of the experiment, whose name has the tag.
        corpus: its name.
        options: words after the corpus.
        settings: the `--set` values of the run.

    Returns:
        `bash run.sh --corpus ...`.
    """
    tag = tag_of(exp, corpus)
    words = ["bash", "run.sh", "--corpus", corpus, *options, *(["--tag", tag] if tag else [])]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", portable(setting)))])


def tag_of(exp: Path, corpus: str) -> str:
    """The `--tag` of an experiment.

    Args:
        exp: its folder, `<corpus>` or `<corpus>_<tag>`.
        corpus: its name.

    Returns:
        The tag; empty when there was none.
    """
    return exp.name.removeprefix(f"{corpus}_") if exp.name.startswith(f"{corpus}_") else ""


def portable(setting: str) -> str:
    """A `key=value` whose value, if an absolute path, is made relative to the current folder, the project's."""
    key, _, value = setting.partition("=")
    return f"{key}={os.path.relpath(value)}" if os.path.isabs(value) else setting
