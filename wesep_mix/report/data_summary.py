"""What prepared sets contain: counts, hours, and histograms of overlap, SNR and sex pairs, as text.

The histograms are of the fixed plans; training draws fresh mixtures by the same rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.plan import Plan
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.report.tables import Table

OVERLAP_BIN = 0.05
SNR_BIN_DB = 2.5
MAX_VALUES = 8  # up to so many different SNRs are counted one by one
BAR = 10  # characters of the longest bar


@dataclass(frozen=True)
class FolderContent:
    """A set to be summarised.

    Attributes:
        group: such as 2mix.
        name: such as train.
        speech: its list of speech.
        noises: its list of noises.
        plans: its fixed mixtures.
    """

    group: str
    name: str
    speech: Sequence[SpeechEntry]
    noises: Sequence[NoiseEntry]
    plans: Sequence[Plan]

    @property
    def title(self) -> str:
        """Group and name."""
        return f"{self.group}/{self.name}"


@dataclass(frozen=True)
class Histogram:
    """How many of each set's values are in each bin: {set name: [bins]}."""

    title: str
    bins: Sequence[str]
    counts: Mapping[str, Sequence[int]]

    def table(self) -> Table:
        """A row a bin, a column a set: the count, the share in per cent, and a bar."""
        columns = [self._column(counts) for counts in self.counts.values()]
        return Table(
            [self.title, *(f"{name}{' ' * (BAR + 1)}" for name in self.counts)],
            list(zip(self.bins, *columns, strict=True)),
        )

    @staticmethod
    def _column(counts: Sequence[int]) -> list[str]:
        total, most = max(1, sum(counts)), max(1, *counts)
        return [f"{count} {100 * count / total:5.1f} % {'#' * round(BAR * count / most):<{BAR}}" for count in counts]


def summary_text(contents: Sequence[FolderContent], lengths: Mapping[str, int]) -> str:
    """Tables of lists and of mixtures, and the histograms of every group.

    Args:
        contents: the sets.
        lengths: samples of each readable audio file.

    Returns:
        Text for a terminal.
    """
    listed = [content for content in contents if content.speech or content.noises]
    mixed = [content for content in contents if content.plans]
    blocks = [list_table(listed, lengths).text()] if listed else []
    blocks += [mixture_table(mixed).text()] if mixed else []
    blocks += [
        f"{group}: {histogram.title} of the sets' plans\n{histogram.table().text()}"
        for group, members in by_group(mixed).items()
        for histogram in histograms(members)
    ]
    return "\n\n".join(blocks)


def list_table(contents: Sequence[FolderContent], lengths: Mapping[str, int]) -> Table:
    """What could be mixed: utterances, speakers, noises, hours.

    Args:
        contents: the sets.
        lengths: samples of each readable audio file.

    Returns:
        A row a set.
    """
    header = ("lists", "utterances", "speakers", "F", "M", "speech h", "noises", "noise h")
    return Table(header, [_list_cells(content, lengths) for content in contents])


def mixture_table(contents: Sequence[FolderContent]) -> Table:
    """What is mixed in the fixed plans; overlap as mean (lowest to highest), loudness of the sources as a range."""
    header = ("plans", "mixtures", "talkers", "speakers", "F", "M", "mixture h", "source h", "overlap", "SNR dB")
    return Table((*header, "LUFS"), [_mixture_cells(content) for content in contents])


def histograms(contents: Sequence[FolderContent]) -> list[Histogram]:
    """Overlap (none for single speakers), SNR and sex pairs of a group's sets over common bins."""
    overlaps = {content.name: [share for plan in content.plans for share in plan.overlaps] for content in contents}
    snrs = {content.name: [plan.noise.snr_db for plan in content.plans] for content in contents}
    pairs = {content.name: [plan.sexes for plan in content.plans] for content in contents}
    drawn = [_in_bins("overlap", overlaps, OVERLAP_BIN, 2)] if any(overlaps.values()) else []
    few = len({value for values in snrs.values() for value in values}) <= MAX_VALUES
    drawn.append(
        _one_by_one("SNR dB", {name: [f"{value:g}" for value in values] for name, values in snrs.items()}, key=float)
        if few
        else _in_bins("SNR dB", snrs, SNR_BIN_DB, 1)
    )
    return [*drawn, _one_by_one("sexes", pairs)]


def by_group(contents: Sequence[FolderContent]) -> dict[str, list[FolderContent]]:
    """The sets of each group."""
    groups: dict[str, list[FolderContent]] = {}
    for content in contents:
        groups.setdefault(content.group, []).append(content)
    return groups


def hours(num_samples: int) -> float:
    """Samples in hours."""
    return num_samples / SAMPLE_RATE / 3600


def mixture_hours(content: FolderContent) -> tuple[float, float]:
    """Hours of the set's mixtures, and of the speech of all their sources."""
    of_sources = sum(source.num_samples for plan in content.plans for source in plan.sources)
    return hours(sum(plan.num_samples for plan in content.plans)), hours(of_sources)


def _list_cells(content: FolderContent, lengths: Mapping[str, int]) -> list[str]:
    speech, noise = (
        hours(sum(lengths.get(entry.path, 0) for entry in entries)) for entries in (content.speech, content.noises)
    )
    sexes = {entry.spk: entry.sex for entry in content.speech}
    return [
        content.title,
        str(len(content.speech)),
        *_speaker_cells(sexes),
        f"{speech:.2f}",
        str(len(content.noises)),
        f"{noise:.2f}",
    ]


def _mixture_cells(content: FolderContent) -> list[str]:
    sources = [source for plan in content.plans for source in plan.sources]
    overlaps = [share for plan in content.plans for share in plan.overlaps]
    talkers = sorted({len(plan.sources) for plan in content.plans})
    mean = f"{np.mean(overlaps):.3f} ({min(overlaps):.2f} to {max(overlaps):.2f})" if overlaps else "-"
    return [
        content.title,
        str(len(content.plans)),
        ", ".join(map(str, talkers)),
        *_speaker_cells({source.spk: source.sex for source in sources}),
        *(f"{value:.2f}" for value in mixture_hours(content)),
        mean,
        _values_or_span([plan.noise.snr_db for plan in content.plans]),
        _span([source.lufs for source in sources]),
    ]


def _speaker_cells(sexes: Mapping[str, str]) -> list[str]:
    counts = Counter(sexes.values())
    return [str(len(sexes)), str(counts["F"]), str(counts["M"])]


def _values_or_span(values: Sequence[float]) -> str:
    different = sorted(set(values))
    return ", ".join(f"{value:g}" for value in different) if len(different) <= MAX_VALUES else _span(values)


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if values else "-"


def _one_by_one(title: str, values: Mapping[str, Sequence[str]], key=None) -> Histogram:
    bins = sorted({value for named in values.values() for value in named}, key=key)
    counters = {name: Counter(named) for name, named in values.items()}
    return Histogram(title, bins, {name: [counter[each] for each in bins] for name, counter in counters.items()})


def _in_bins(title: str, values: Mapping[str, Sequence[float]], width: float, digits: int) -> Histogram:
    """Bins of `width`, on its multiples; a value on an edge (rounded to a thousandth of a bin) is in the upper bin."""
    places = {name: np.floor(np.round(np.array(named) / width, 3)).astype(int) for name, named in values.items()}
    taken = np.concatenate(list(places.values()))
    span = range(int(taken.min()), int(taken.max()) + 1)
    bins = [f"{place * width:.{digits}f} to {(place + 1) * width:.{digits}f}" for place in span]
    return Histogram(
        title, bins, {name: [int((place == each).sum()) for each in span] for name, place in places.items()}
    )
