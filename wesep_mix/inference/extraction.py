"""Levels of estimates.

Extraction of a whole set to wav: mixture and embedding in, that talker out, at the level it has in the mixture.

Mixtures of equal length may go through a network together. Others never do: padding is not silence to networks whose
norms hear the whole input, so the output would not be that of the mixture alone.

Separation of a whole set to wav: mixture in, all talkers out, each under the name of the talker it fits best.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_table
from wesep_mix.inference import chunked
from wesep_mix.inference.chunked import at_mixture_level
from wesep_mix.inference.controls import control_embeddings, model_of
from wesep_mix.inference.settings import WHOLE, Chunks, ExtractConfig
from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import MATCHED, clean_scp, lookup, read_embeddings
from wesep_mix.losses.signal import in_order
from wesep_mix.mixing.plan import Plan, read_plans, speaker_keys
from wesep_mix.mixing.render import Rendered, render
from wesep_mix.models import checkpoint


def extract_set(
    model_path: Path,
    plans: Sequence[Plan],
    embeddings: Mapping[str, np.ndarray] | None,
    out: Path,
    device: str,
    subtype: str = "PCM_16",
    chunks: Chunks = WHOLE,
    batch_size: int = 1,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    embeddings: {`<mix>-<speaker>`: [D]}, or None for a model without embedding, whose one estimate of a mixture
    stands for all of its talkers. batch_size: mixtures of equal length that are extracted together. Files of an
    interrupted run are kept.
    Raises: UserError when an embedding is missing or an estimate is not finite.
    """
    model = checkpoint.load_model(model_path, "extractors").to(device)

    def estimate(group: Sequence[Plan]) -> Sequence[Tensor]:
        signals = torch.stack([torch.from_numpy(render(plan).mix) for plan in group])  # [B, T]
        counts = torch.tensor([len(plan.sources) for plan in group])
        if embeddings is None:
            est = at_mixture_level(chunked.extract(model, signals, None, chunks, device), signals)
            return est.repeat_interleave(counts, 0).split(counts.tolist())
        keys = [key for plan in group for key in speaker_keys(plan)]
        emb, rows = torch.from_numpy(lookup(embeddings, keys, MATCHED)), signals.repeat_interleave(counts, 0)
        return at_mixture_level(chunked.extract(model, rows, emb, chunks, device), rows).split(counts.tolist())

    write_estimates(plans, estimate, out, subtype, "extracting", batch_size)


def write_estimates(
    plans: Sequence[Plan],
    estimate: Callable[[Sequence[Plan]], Sequence[Tensor]],
    out: Path,
    subtype: str,
    doing: str,
    batch_size: int = 1,
) -> None:
    """Write what `estimate` gives for mixtures of equal length, [S, T] each in the order of its sources, unless it is
    there already.

    What an integer format would clip is written in FLOAT: one loud estimate is no reason to lose the others.

    Raises: UserError that begins with the mixture whose estimates cannot be made, or the file that cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = {plan.id: [out / f"{key}.wav" for key in speaker_keys(plan)] for plan in plans}
    waiting = [plan for plan in plans if not all(path.is_file() for path in paths[plan.id])]
    with tqdm(
        desc=f"{doing} {out.parent.name}",
        unit="mix",
        total=len(plans),
        mininterval=1.0,
        initial=len(plans) - len(waiting),
    ) as bar:
        for group in _of_equal_length(waiting, batch_size):
            for plan, ests in zip(group, _estimated(estimate, group), strict=True):
                for path, est in zip(paths[plan.id], ests.numpy(), strict=True):
                    write_audio(path, est, plan.sample_rate, "FLOAT" if np.abs(est).max() > 1.0 else subtype)
            bar.update(len(group))
    write_table(out / "wav.scp", {path.stem: str(path) for each in paths.values() for path in each})


def _of_equal_length(plans: Sequence[Plan], batch_size: int) -> Iterator[list[Plan]]:
    """All plans, the shorter first, in groups of up to batch_size."""
    length = operator.attrgetter("num_samples")
    for _, alike in itertools.groupby(sorted(plans, key=length), key=length):
        group = list(alike)
        yield from (group[first : first + batch_size] for first in range(0, len(group), batch_size))


def _estimated(estimate: Callable[[Sequence[Plan]], Sequence[Tensor]], group: Sequence[Plan]) -> Sequence[Tensor]:
    try:
        return estimate(group)
    except UserError as err:
        if len(group) == 1:
            raise UserError(f"{group[0].id}: {err}") from err
        return [_estimated(estimate, [plan])[0] for plan in group]  # whose fault it is shows when each is alone


def separate_set(
    model_path: Path,
    plans: Sequence[Plan],
    out: Path,
    device: str,
    subtype: str = "PCM_16",
    chunks: Chunks = WHOLE,
    batch_size: int = 1,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    The names, and nothing else, are taken from the sources: the permutation with the largest mean SI-SDR.
    batch_size: mixtures of equal length that are separated together.
    Raises: UserError when the separator has another number of outputs than a mixture has talkers, or an estimate
        cannot be written without clipping.
    """
    model = checkpoint.load_model(model_path, "separators").to(device)

    def estimate(group: Sequence[Plan]) -> Sequence[Tensor]:
        for plan in group:
            if len(plan.sources) != model.config.num_spk:
                raise UserError(
                    f"has {len(plan.sources)} talkers, found {model.config.num_spk} outputs in "
                    f"{model_path}; train a separator for as many"
                )
        return separate_group(model, [render(plan) for plan in group], device, chunks)

    write_estimates(plans, estimate, out, subtype, "separating", batch_size)


def separate_group(model: torch.nn.Module, group: Sequence[Rendered], device: str, chunks: Chunks = WHOLE) -> Tensor:
    """Mixtures of equal length -> estimates float32 [B, S, T] in the order of their sources, at the talkers' levels."""
    signals, sources = (
        torch.from_numpy(np.stack([getattr(each, name) for each in group])) for name in ("mix", "sources")
    )  # [B, T], [B, S, T]
    est = in_order(chunked.separate(model, signals, chunks, device), sources)
    return at_mixture_level(est, signals[:, None])


def extract_condition(
    condition: str,
    data: Path,
    embeddings: Path,
    extractor: Path,
    settings: ExtractConfig,
    device: str,
    seed: int,
) -> None:
    """Extract the test set on the right embeddings, `matched`, or as a control into `extractor/test/<condition>/wav`.

    data: folder with the test set's plan.jsonl; embeddings: its folder of stage 4;
    extractor: folder with the trained `matched` and `none` models; seed: draws the embeddings of `random`.
    """
    plans = read_plans(data / "plan.jsonl")
    given = _given(condition, plans, embeddings, seed)
    extract_set(
        model_of(extractor, condition),
        plans,
        given,
        extractor / "test" / condition / "wav",
        device,
        settings.wav_subtype,
        settings.chunks,
        settings.batch_size,
    )


def _given(condition: str, plans: Sequence[Plan], embeddings: Path, seed: int) -> Mapping[str, np.ndarray] | None:
    if condition == "none":
        return None
    matched = read_embeddings(embeddings / MATCHED)
    if condition == "matched":
        return matched
    return control_embeddings(
        condition, plans, matched, *map(read_embeddings, (clean_scp(embeddings), embeddings / "student.scp")), seed
    )
