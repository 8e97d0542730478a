"""Stage 4's matched embeddings for exports: by mixture, and as npy files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wesep_mix.base.files import atomic_path
from wesep_mix.exports.job import Export
from wesep_mix.io.embeddings import lookup, read_embeddings
from wesep_mix.mixing.plan import speaker_keys


def matched_embeddings(job: Export) -> dict[str, np.ndarray]:
    """Read the matched embeddings of a set.

    Args:
        job: the set.

    Returns:
        {mixture id: [S, D] in the plan's order of talkers}.

    Raises:
        UserError: stage 4's table is missing or damaged, or lacks a target.
    """
    scp = job.embeddings / "matched.scp"
    table = read_embeddings(scp)
    return {plan.id: lookup(table, speaker_keys(plan), str(scp)) for plan in job.plans}


def write_npy(folder: Path, job: Export, embeddings: Mapping[str, np.ndarray]) -> dict[str, list[Path]]:
    """Write each embedding to `FOLDER/<mix>-<speaker>.npy`, float32 [D].

    Args:
        folder: where to write.
        job: the set.
        embeddings: {mixture id: [S, D]}.

    Returns:
        {mixture id: its files}.
    """
    paths = {plan.id: [folder / f"{key}.npy" for key in speaker_keys(plan)] for plan in job.plans}
    for mix_id, files in paths.items():
        for path, vector in zip(files, embeddings[mix_id], strict=True):
            with atomic_path(path) as temporary:
                np.save(temporary, np.asarray(vector, dtype=np.float32))
    return paths
