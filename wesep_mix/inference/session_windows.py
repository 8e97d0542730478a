"""What a session's windows say of its talkers, one embedding a head: by a student, or by what it is compared with.

A window is heard alone, as a student that was trained on short mixtures hears them. Windows without speech are not
heard. `references` are the teacher's embeddings of what each talker says in a window, alone and clean: with them one
tells which head is whose, for scores and bounds only.

W windows, N heads, K talkers, T samples, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wesep_mix.inference.candidates import BATCH, heads_of
from wesep_mix.inference.chunked import chunk_starts
from wesep_mix.inference.voice import is_speech
from wesep_mix.io.arrays import read_arrays, write_arrays
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.session import Session, render_range
from wesep_mix.preparation.activity import Stretch

LEAST_S = 0.5  # of a talker's speech in a window, from which on it has a reference
Cut = Callable[[int, int], np.ndarray]  # first sample and the one after the last -> float32 [T]
Heads = Callable[[torch.Tensor], tuple[np.ndarray, np.ndarray]]  # [B, T] -> embeddings [B, N, D], presence [B, N]


@dataclass(frozen=True)
class Windows:
    """A session's windows; rows of those that are not heard are zeros.

    Attributes:
        starts: first sample of each, int64 [W].
        size: samples of a window.
        heard: whether there is speech in it, bool [W].
        embeddings: float32 [W, N, D].
        presence: probability that a head speaks for a talker, float32 [W, N].
    """

    starts: np.ndarray
    size: int
    heard: np.ndarray
    embeddings: np.ndarray
    presence: np.ndarray

    @property
    def times(self) -> np.ndarray:
        """When each window is over, in seconds: float [W]."""
        return (self.starts + self.size) / SAMPLE_RATE


def hear_windows_of(num_samples: int, cut: Cut, heads: Heads, window_s: float, hop_s: float) -> Windows:
    """Hear a session or recording window by window; of its audio a few windows are held at a time.

    Args:
        num_samples: its length.
        cut: its samples in a range.
        heads: what is heard, of a few windows of equal length.
        window_s: seconds of a window.
        hop_s: seconds from window to window.

    Returns:
        What was heard.
    """
    starts, size = window_starts(num_samples, window_s, hop_s)
    heard, found = np.zeros(len(starts), dtype=bool), {}
    for first in range(0, len(starts), BATCH):
        mixes = {
            place: np.asarray(cut(starts[place], starts[place] + size), dtype=np.float32)
            for place in range(first, min(first + BATCH, len(starts)))
        }
        spoken = {place: mix for place, mix in mixes.items() if is_speech(mix)}
        heard[list(spoken)] = True
        if spoken:
            batch = torch.from_numpy(np.stack(list(spoken.values())))
            found |= dict(zip(spoken, zip(*heads(batch), strict=True), strict=True))
    return Windows(np.array(starts), size, heard, *_stacked(found, len(starts)))


def hear_session(session: Session, heads: Heads, window_s: float, hop_s: float) -> Windows:
    """`hear_windows_of` a session.

    Args:
        session: the session.
        heads: what is heard.
        window_s: seconds of a window.
        hop_s: seconds from window to window.

    Returns:
        What was heard.
    """
    return hear_windows_of(
        session.num_samples, lambda start, stop: render_range(session, start, stop).mix, heads, window_s, hop_s
    )


def window_starts(num_samples: int, window_s: float, hop_s: float) -> tuple[list[int], int]:
    """Where windows begin.

    Args:
        num_samples: of the session.
        window_s: seconds of a window.
        hop_s: seconds from window to window.

    Returns:
        First sample of each window, the last of which ends with the session, and the samples of a window.
    """
    size = min(round(window_s * SAMPLE_RATE), num_samples)
    return chunk_starts(num_samples, size, size - round(hop_s * SAMPLE_RATE), 1), size


def _stacked(found: Mapping[int, tuple[np.ndarray, np.ndarray]], count: int) -> Iterator[np.ndarray]:
    """Embeddings and presence of `count` windows, of which some are found."""
    for part in range(2):
        one = next((each[part] for each in found.values()), np.zeros((1, 1) if part == 0 else 1, dtype=np.float32))
        rows = np.zeros((count, *one.shape), dtype=np.float32)
        for place, each in found.items():
            rows[place] = each[part]
        yield rows


def of_student(student: nn.Module, device: str) -> Heads:
    """What a student's heads say; without presence all of them speak.

    Args:
        student: mixture -> set of embeddings.
        device: where it is.

    Returns:
        The function.
    """

    def heads(mix: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        embeddings, presence = heads_of(student, mix, device)
        return embeddings, np.ones(embeddings.shape[:2], dtype=np.float32) if presence is None else presence

    return heads


def of_teacher(teacher: nn.Module, device: str) -> Heads:
    """One embedding of the mixture as a whole, as diarisation by windows has it.

    Args:
        teacher: speech -> embedding.
        device: where it is.

    Returns:
        The function.
    """

    @torch.inference_mode()
    def heads(mix: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        embeddings = teacher(mix.to(device))[:, None].float().cpu().numpy()
        return embeddings, np.ones(embeddings.shape[:2], dtype=np.float32)

    return heads


def of_separated(separator: nn.Module, teacher: nn.Module, device: str) -> Heads:
    """The teacher's embeddings of what a separator makes of the mixture.

    The presence of an output is its power's share of the loudest one's, 0.5 at 20 dB below it.

    Args:
        separator: mixture -> talkers.
        teacher: speech -> embedding.
        device: where both are.

    Returns:
        The function.
    """

    @torch.inference_mode()
    def heads(mix: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        outputs = separator(mix.to(device))  # [B, N, T]
        embeddings = teacher(outputs.flatten(0, 1)).view(*outputs.shape[:2], -1)
        power = outputs.square().mean(-1).clamp(min=1e-12)
        below = 10 * torch.log10(power / power.max(1, keepdim=True).values)
        return embeddings.float().cpu().numpy(), torch.sigmoid((below + 20) / 3).float().cpu().numpy()

    return heads


def of_frames(centroids: Callable[[np.ndarray], np.ndarray]) -> Heads:
    """Centroids of a mixture's frames, [T] -> [N, D], all of them present."""

    def heads(mix: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        embeddings = np.stack([centroids(one) for one in mix.numpy()]).astype(np.float32)
        return embeddings, np.ones(embeddings.shape[:2], dtype=np.float32)

    return heads


@torch.inference_mode()
def references(
    session: Session, turns: Mapping[str, Sequence[Stretch]], teacher: nn.Module, windows: tuple[list[int], int]
) -> np.ndarray:
    """The teacher's embeddings of each talker's own speech in each window.

    Args:
        session: of K talkers.
        turns: when each talker speaks (mixing.activity.Activity.turns).
        teacher: clean speech -> embedding.
        windows: from `window_starts`.

    Returns:
        float32 [W, K, D]; NaN where a talker speaks for less than half a second.
    """
    device = next(teacher.parameters()).device
    rows: dict[tuple[int, int], np.ndarray] = {}
    starts, size = windows
    for place, start in enumerate(starts):
        sources = None
        for number, talker in enumerate(session.talkers):
            inside = [(max(a, start), min(b, start + size)) for a, b in turns[talker] if a < start + size and b > start]
            if sum(b - a for a, b in inside) >= LEAST_S * SAMPLE_RATE:
                if sources is None:
                    sources = render_range(session, start, start + size).sources
                speech = np.concatenate([sources[number, a - start : b - start] for a, b in inside])
                rows[place, number] = teacher(torch.from_numpy(speech)[None].to(device))[0].float().cpu().numpy()
    dim = len(next(iter(rows.values()))) if rows else 1
    found = np.full((len(starts), len(session.talkers), dim), np.nan, dtype=np.float32)
    for (place, number), row in rows.items():
        found[place, number] = row
    return found


def write_windows(path: Path, windows: Windows) -> None:
    """Write what was heard of a session; `read_windows` reads it.

    Args:
        path: the npz to write.
        windows: of the session.
    """
    write_arrays(path, {each.name: getattr(windows, each.name) for each in fields(Windows)})


def read_windows(path: Path) -> Windows:
    """Read what `write_windows` wrote. Raises: UserError when it is not there or damaged."""
    arrays = read_arrays(path)
    return Windows(**{each.name: arrays[each.name] for each in fields(Windows)} | {"size": int(arrays["size"])})
