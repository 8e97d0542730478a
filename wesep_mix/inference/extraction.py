"""Stage 6: extraction and separation of a whole set to wav, each talker at the level that it has in the mixture.

`extract_condition` extracts the test set under a condition (inference.controls): mixture and embedding in, that talker
out. `separate_set` separates it: mixture in, all talkers out, each named after the talker that it fits best.

Mixtures of equal length may go through a network together, others never do: padding is not silence to networks whose
norms see the whole input, so the output would not be that of the mixture alone.

B mixtures, S talkers, T samples, D values of an embedding.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_table
from wesep_mix.base.jobs import wrapper
from wesep_mix.base.parallel import map_items
from wesep_mix.inference import chunked
from wesep_mix.inference.controls import ENROLMENTS, control_embeddings, model_of
from wesep_mix.inference.settings import USUAL, WHOLE, Chunks, ExtractConfig
from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import MATCHED, clean_scp, lookup, read_embeddings
from wesep_mix.losses.signal import in_order
from wesep_mix.mixing.plan import Plan, read_plans, speaker_keys
from wesep_mix.mixing.render import Rendered, render
from wesep_mix.models import checkpoint
from wesep_mix.models.layers.network import at_mixture_level

MAX_PROCESSES = 8  # of this machine, each with torch and the network in its memory
Estimate = Callable[[Sequence[Plan]], Sequence[Tensor]]  # mixtures of equal length -> [S, T] each


def extract_condition(
    condition: str,
    data: Path,
    embeddings: Path,
    extractor: Path,
    settings: ExtractConfig,
    device: str,
    seed: int,
    nj: int = 1,
) -> None:
    """Extract the test set under a condition into `extractor/test/<condition>/wav`.

    Args:
        condition: `matched`, on the right embeddings, or a control (inference.controls).
        data: folder with the test set's plan.jsonl.
        embeddings: the test set's folder of stage 4; for enrolments that of `extract_enrolments`.
        extractor: folder with the trained networks `matched` and `none`.
        settings: of the extraction.
        device: `cpu` or `cuda`.
        seed: draws the embeddings of `random`.
        nj: processes or, with WESEP_MIX_CMD, jobs of a cluster.
    """
    plans = read_plans(data / "plan.jsonl")
    extract_set(
        model_of(extractor, condition),
        plans,
        _embeddings_for(condition, plans, embeddings, seed),
        extractor / "test" / condition / "wav",
        device,
        settings,
        nj,
    )


def _embeddings_for(
    condition: str, plans: Sequence[Plan], embeddings: Path, seed: int
) -> Mapping[str, np.ndarray] | None:
    if condition == "none":
        return None
    if condition in ENROLMENTS:
        return read_embeddings(embeddings / f"{condition}.scp")
    matched = read_embeddings(embeddings / MATCHED)
    if condition == "matched":
        return matched
    clean, heads = read_embeddings(clean_scp(embeddings)), read_embeddings(embeddings / "student.scp")
    return control_embeddings(condition, plans, matched, clean, heads, seed)


def extract_set(
    model_path: Path,
    plans: Sequence[Plan],
    embeddings: Mapping[str, np.ndarray] | None,
    out: Path,
    device: str,
    settings: ExtractConfig = USUAL,
    nj: int = 1,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    Files of an interrupted run are kept.

    Args:
        model_path: the extractor's model file.
        plans: the mixtures.
        embeddings: {`<mix>-<speaker>`: [D]}; None for a network without embedding, whose one estimate of a mixture
            stands for all of its talkers.
        out: folder to write.
        device: `cpu` or `cuda`.
        settings: of the extraction.
        nj: processes or, with WESEP_MIX_CMD, jobs of a cluster, which share the mixtures.

    Raises:
        UserError: an embedding is missing, or an estimate is not finite.
    """
    share = partial(_extract_plans, model_path, embeddings, out, device, settings)
    _in_shares(share, plans, out, f"extracting {out.parent.name}", nj if device == "cpu" or wrapper() else 1)


def _extract_plans(
    model_path: Path,
    embeddings: Mapping[str, np.ndarray] | None,
    out: Path,
    device: str,
    settings: ExtractConfig,
    plans: Sequence[Plan],
) -> None:
    """The wavs of some mixtures (see `extract_set`)."""
    model, chunks = checkpoint.load_model(model_path, "extractors").to(device), settings.chunks

    def estimate(group: Sequence[Plan]) -> Sequence[Tensor]:
        mix = torch.stack([torch.from_numpy(render(plan).mix) for plan in group])  # [B, T]
        counts = torch.tensor([len(plan.sources) for plan in group])
        if embeddings is None:
            est = at_mixture_level(chunked.extract(model, mix, None, chunks, device), mix)
            return est.repeat_interleave(counts, 0).split(counts.tolist())
        keys = [key for plan in group for key in speaker_keys(plan)]
        emb, rows = torch.from_numpy(lookup(embeddings, keys, MATCHED)), mix.repeat_interleave(counts, 0)
        return at_mixture_level(chunked.extract(model, rows, emb, chunks, device), rows).split(counts.tolist())

    write_estimates(plans, estimate, out, settings.wav_subtype, "extracting", settings.batch_size)


def separate_set(
    model_path: Path,
    plans: Sequence[Plan],
    out: Path,
    device: str,
    settings: ExtractConfig = USUAL,
    nj: int = 1,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    The sources serve to name the outputs (the permutation with the largest mean SI-SDR) and for nothing else.

    Args:
        model_path: the separator's model file.
        plans: the mixtures.
        out: folder to write.
        device: `cpu` or `cuda`.
        settings: of the extraction.
        nj: processes or, with WESEP_MIX_CMD, jobs of a cluster, which share the mixtures.

    Raises:
        UserError: the separator has another number of outputs than a mixture has talkers.
    """
    share = partial(_separate_plans, model_path, out, device, settings)
    _in_shares(share, plans, out, f"separating {out.parent.name}", nj if device == "cpu" or wrapper() else 1)


def _separate_plans(model_path: Path, out: Path, device: str, settings: ExtractConfig, plans: Sequence[Plan]) -> None:
    """The wavs of some mixtures (see `separate_set`)."""
    model, chunks = checkpoint.load_model(model_path, "separators").to(device), settings.chunks

    def estimate(group: Sequence[Plan]) -> Sequence[Tensor]:
        for plan in group:
            if len(plan.sources) != model.config.num_spk:
                raise UserError(
                    f"has {len(plan.sources)} talkers, found {model.config.num_spk} outputs in "
                    f"{model_path}; train a separator for as many"
                )
        return separate_group(model, [render(plan) for plan in group], device, chunks)

    write_estimates(plans, estimate, out, settings.wav_subtype, "separating", settings.batch_size)


def separate_group(model: torch.nn.Module, group: Sequence[Rendered], device: str, chunks: Chunks = WHOLE) -> Tensor:
    """Separate mixtures of equal length.

    Args:
        model: the separator.
        group: B mixtures with their sources.
        device: `cpu` or `cuda`.
        chunks: how long mixtures are cut.

    Returns:
        float32 [B, S, T] in the order of the sources, at the talkers' levels.
    """
    mix, sources = (
        torch.from_numpy(np.stack([getattr(each, name) for each in group])) for name in ("mix", "sources")
    )  # [B, T], [B, S, T]
    est = in_order(chunked.separate(model, mix, chunks, device), sources)
    return at_mixture_level(est, mix[:, None])


def write_estimates(
    plans: Sequence[Plan], estimate: Estimate, out: Path, subtype: str, doing: str, batch_size: int = 1
) -> None:
    """Write the estimates of every mixture to wav, unless they are there already.

    What an integer format would clip is written as FLOAT: one loud estimate is no reason to lose the others.

    Args:
        plans: the mixtures.
        estimate: mixtures of equal length -> [S, T] for each, in the order of its sources.
        out: folder to write.
        subtype: of the wavs, `PCM_16` or `FLOAT`.
        doing: title of the progress bar.
        batch_size: mixtures of equal length that are estimated together.

    Raises:
        UserError: names the mixture whose estimates cannot be computed, or the file that cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = _wavs_of(plans, out)
    waiting = [plan for plan in plans if not all(path.is_file() for path in paths[plan.id])]
    with tqdm(
        desc=f"{doing} {out.parent.name}",
        unit="mix",
        total=len(plans),
        mininterval=1.0,
        initial=len(plans) - len(waiting),
    ) as bar:
        for group in _of_equal_length(waiting, batch_size):
            for plan, ests in zip(group, _estimate_or_name(estimate, group), strict=True):
                for path, est in zip(paths[plan.id], ests.numpy(), strict=True):
                    write_audio(path, est, plan.sample_rate, "FLOAT" if np.abs(est).max() > 1.0 else subtype)
            bar.update(len(group))


def _wavs_of(plans: Sequence[Plan], out: Path) -> dict[str, list[Path]]:
    """The wavs of each mixture, in the order of its sources."""
    return {plan.id: [out / f"{key}.wav" for key in speaker_keys(plan)] for plan in plans}


def _in_shares(share: Callable[[Sequence[Plan]], None], plans: Sequence[Plan], out: Path, title: str, nj: int) -> None:
    """Have the wavs of all mixtures written, and `out/wav.scp`. Raises: UserError naming a wav that is not there."""
    if not wrapper():
        nj = min(nj, MAX_PROCESSES)
    if nj == 1 and not wrapper():
        share(plans)
    else:
        map_items(share, [plans[first::nj] for first in range(min(nj, len(plans)))], nj, title)
    wavs = [path for each in _wavs_of(plans, out).values() for path in each]
    if missing := [path for path in wavs if not path.is_file()]:
        raise UserError(
            f"{title}: wanted {len(wavs)} wavs, found {len(missing)} missing, such as {missing[0]}; run the stage again"
        )
    write_table(out / "wav.scp", {path.stem: str(path) for path in wavs})


def _of_equal_length(plans: Sequence[Plan], batch_size: int) -> Iterator[list[Plan]]:
    """All plans, the shorter first, in groups of up to batch_size."""
    length = operator.attrgetter("num_samples")
    for _, alike in itertools.groupby(sorted(plans, key=length), key=length):
        group = list(alike)
        yield from (group[first : first + batch_size] for first in range(0, len(group), batch_size))


def _estimate_or_name(estimate: Estimate, group: Sequence[Plan]) -> Sequence[Tensor]:
    """The estimates of a group; an error names the mixture at fault, which is found by trying each alone."""
    try:
        return estimate(group)
    except UserError as err:
        if len(group) == 1:
            raise UserError(f"{group[0].id}: {err}") from err
        return [_estimate_or_name(estimate, [plan])[0] for plan in group]
