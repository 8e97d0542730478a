"""Real meetings without clean sources: who is heard when beside the reference, and a page to listen.

    python benchmarks/meetings.py MEETINGS --model DIR --out DIR
    python benchmarks/meetings.py MEETINGS --model DIR --out DIR --segmentation

MEETINGS holds audio files and reference.rttm, as excerpts of the AMI Meeting Corpus. A window counts a talker of the
reference who speaks in it for half a second at least; of the model, a candidate who was heard in it. Diarisation error
rates, without a collar and over all excerpts together, are of these ways to say who speaks when:

    one             one talker, wherever there is voice activity
    windows         candidates, in the windows in which they were heard
    track           the command of that name
    extracted       candidates, by what is extracted of each (inference.turns)
    segmentation    the network of the package whisperx (--segmentation), which hears each excerpt at once

OUT gets counts.png, and index.html with six excerpts, each beside its candidates' speech. The page holds the recordings
themselves: whoever passes it on gives their licence and authors.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from meetings_segmentation import load_segmentation, segments

from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.inference.candidates import Talker, find_talkers
from wesep_mix.inference.chunked import chunk_starts
from wesep_mix.inference.sharing import extract_among
from wesep_mix.inference.tracking import Account, Tracker, follow
from wesep_mix.inference.turns import turns_of
from wesep_mix.io.audio import SAMPLE_RATE, read_audio, write_audio
from wesep_mix.io.rttm import Segment, read_rttm
from wesep_mix.metrics.diarisation import diarisation_error
from wesep_mix.models.folder import Bundle, UseConfig, read_folder
from wesep_mix.report.tables import Table

LEAST_S = 0.5  # that a talker of the reference speaks in a window to count there
HEADER = ("excerpt", "talkers", "found", "windows", "mean of reference", "mean of model", "equal", "off by one at most")
ERRORS = ("who speaks when by", "DER %", "missed %", "false alarm %", "confused %", "seconds of speech")
EXAMPLES = 6


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("meetings", type=Path, help="folder of audio files with reference.rttm")
    options.add_argument("--model", type=Path, required=True, help="a model's folder")
    options.add_argument("--out", type=Path, required=True, help="folder to write")
    options.add_argument("--segmentation", action="store_true", help="the network of whisperx beside it")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), "benchmark")


def _run(args: argparse.Namespace) -> None:
    meetings, out = args.meetings, args.out
    bundle, reference = read_folder(args.model), read_rttm(meetings / "reference.rttm")
    network = load_segmentation() if args.segmentation else None
    rows, series, parts, errors = [], {}, [], []
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for path in meetings.iterdir() if path.suffix in (".flac", ".wav", ".opus", ".ogg")):
        samples, turns = read_audio(path), reference.get(path.stem, [])
        talkers = find_talkers(bundle.student, samples, bundle.use)
        starts, true, found = counts(len(samples), turns, talkers, bundle.use)
        series[path.stem] = (starts, true, found)
        rows.append(_row(path.stem, len({one.speaker for one in turns}), len(talkers), true, found))
        speeches = extracted(bundle, samples, talkers)
        found_by = ways(bundle, samples, talkers, speeches)
        if network is not None:
            found_by["segmentation"] = segments(network, samples)
        whole = [(0.0, len(samples) / SAMPLE_RATE)]
        errors.append({name: diarisation_error(turns, own, whole) for name, own in found_by.items()})
        if len(parts) < EXAMPLES and talkers:
            parts.append(_example(path.stem, samples, turns, talkers, speeches, out))
    true, found = (np.concatenate([each[place] for each in series.values()]) for place in (1, 2))
    rows.append(_row("all", sum(int(row[1]) for row in rows), sum(int(row[2]) for row in rows), true, found))
    print(f"revision {revision()}, model {bundle.about.name}")
    print(Table(HEADER, rows).markdown())
    print()
    print(Table(ERRORS, [error_row(name, [one[name] for one in errors]) for name in errors[0]]).markdown())
    _plot(series, out / "counts.png")
    with atomic_write(out / "index.html") as file:
        file.write(_page(bundle.about.name, parts))
    print(f"{out}/index.html: {len(parts)} examples to listen to")


def extracted(bundle: Bundle, samples: np.ndarray, talkers: Sequence[Talker]) -> list[np.ndarray]:
    """The speech of all candidates, float32 [T] each."""
    if not talkers:
        return []
    wanted = np.stack([talker.embedding for talker in talkers])
    return extract_among(bundle.extractor, samples, wanted, talkers, bundle.use)


def ways(
    bundle: Bundle, samples: np.ndarray, talkers: Sequence[Talker], speeches: Sequence[np.ndarray]
) -> dict[str, list[tuple[float, float, str]]]:
    """Who speaks when, in several ways.

    Args:
        bundle: the model.
        samples: of the recording, float32 [T] at 16 kHz.
        talkers: candidates.
        speeches: what was extracted of each, [T].

    Returns:
        {way: (begin, end) in seconds and the talker's name}.
    """
    spans = {
        "one": [turns_of(samples, [samples])[0]],
        "windows": [talker.spans for talker in talkers],
        "track": [talker.spans for talker in follow(Tracker(bundle.student, bundle.use), Account(), samples).talkers],
        "extracted": turns_of(samples, speeches),
    }
    return {
        way: [(begin, end, str(place)) for place, own in enumerate(each) for begin, end in own]
        for way, each in spans.items()
    }


def error_row(name: str, errors: Sequence[dict[str, float | None]]) -> tuple[str, ...]:
    """A way's errors over all excerpts, as shares of the seconds that the reference's talkers speak."""
    total = sum(one["total"] for one in errors)
    parts = [100 * sum(one[part] for one in errors) / total for part in ("miss", "false_alarm", "confusion")]
    return (name, *(f"{share:.1f}" for share in (sum(parts), *parts)), f"{total:.0f}")


def counts(
    num_samples: int, turns: Sequence[Segment], talkers: Sequence[Talker], use: UseConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of talkers over time.

    Args:
        num_samples: of the recording.
        turns: of the reference.
        talkers: candidates.
        use: windows.

    Returns:
        The windows' first seconds, and in each the number of talkers of the reference and of the candidates, [W] each.
    """
    size = min(round(use.window_s * SAMPLE_RATE), num_samples)
    starts = chunk_starts(num_samples, size, size - round(use.hop_s * SAMPLE_RATE), 1)
    begins = np.array(starts) / SAMPLE_RATE
    ends, middles = begins + size / SAMPLE_RATE, begins + size / SAMPLE_RATE / 2
    spoken = {one.speaker: np.zeros(len(starts)) for one in turns}
    for begin, end, spk in turns:
        spoken[spk] += (np.minimum(end, ends) - np.maximum(begin, begins)).clip(min=0)
    true = sum(((seconds >= LEAST_S).astype(int) for seconds in spoken.values()), np.zeros(len(starts), int))
    heard = [np.any([(b <= middles) & (middles <= e) for b, e in talker.spans], axis=0) for talker in talkers]
    return begins, true, sum((one.astype(int) for one in heard), np.zeros(len(starts), int))


def _row(name: str, talkers: int, found: int, true: np.ndarray, heard: np.ndarray) -> tuple[str, ...]:
    off = np.abs(true - heard)
    shares = (f"{np.mean(off == 0):.2f}", f"{np.mean(off <= 1):.2f}")
    return (name, str(talkers), str(found), str(len(true)), f"{true.mean():.2f}", f"{heard.mean():.2f}", *shares)


def _plot(series: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(-(-len(series) // 3), 3, figsize=(12, 2.2 * -(-len(series) // 3)), squeeze=False)
    for axis, (name, (begins, true, found)) in zip(axes.flat, series.items(), strict=False):
        axis.step(begins, true, where="post", label="reference", color="black", linewidth=2)
        axis.step(begins, found, where="post", label="candidates", color="tab:orange", linestyle="--", linewidth=2)
        axis.set(title=name, ylim=(-0.2, 4.3), yticks=range(5), xlabel="window's start, s")
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _example(
    name: str, samples: np.ndarray, turns: Sequence[Segment], talkers: Sequence[Talker],
    speeches: Sequence[np.ndarray], out: Path,
) -> str:  # fmt: skip
    write_audio(out / f"{name}.wav", samples)
    lines = [f"<h2>{html.escape(name)}</h2>", f"<p>{len({one.speaker for one in turns})} talkers speak in it.</p>"]
    lines.append(_player("the recording", f"{name}.wav"))
    for talker, speech in zip(talkers, speeches, strict=True):
        wav = f"{name}-talker-{talker.number}.wav"
        write_audio(out / wav, speech / max(1.0, float(np.abs(speech).max(initial=0))))
        lines.append(_player(f"talker {talker.number}, {talker.share:.0%} of the windows", wav))
    return "\n".join(lines)


def _player(title: str, wav: str) -> str:
    return f'<p>{html.escape(title)}<br><audio controls preload="none" src="{html.escape(wav)}"></audio></p>'


def _page(model: str, parts: Sequence[str]) -> str:
    head = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Talkers of real meetings</title>\n'
        "<style>body{font:16px system-ui;max-width:44em;margin:2em auto;padding:0 1em;color-scheme:light dark}</style>"
    )
    body = [f"<h1>Talkers of real meetings</h1><p>Found and extracted by the model {html.escape(model)}.</p>", *parts]
    return "\n".join([head, *body, '<p><img src="counts.png" alt="talkers over time" style="max-width:100%"></p>', ""])


if __name__ == "__main__":
    sys.exit(main())
