"""Contrastive losses of embeddings that are matched to talkers, without weights of their own.

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2: an anchor's loss is the mean of -log softmax
over its positives, the softmax being over all candidates; with one positive it is InfoNCE (van den Oord et al. 2018).
What differs: whose embedding an anchor is, is not known yet, so each anchor has a loss for every talker that it may be
of. Memory: Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020, section 3.2.

B mixtures, N heads (anchors), S talkers, R references, M matched heads of all mixtures together, D embedding size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wesep_mix.matching.assignment import best_assignment


class Labelled(NamedTuple):
    """Embeddings and whose they are."""

    embeddings: Tensor  # [R, D], unit vectors
    labels: Tensor  # int64 [R]


def contrastive_costs(
    anchors: Tensor, references: Tensor, positives: Tensor, candidates: Tensor, temperature: float
) -> Tensor:
    """The loss of each head as the embedding of each talker, in float32 at least.

    Args:
        anchors: unit vectors [B, N, D].
        references: unit vectors [R, D].
        positives: which references are of the talker, bool [B, S, R].
        candidates: which references a head is compared with, bool [B, N, R]; all positives are among them.
        temperature: what cosines are divided by.

    Returns:
        [B, N, S]; 0, without a gradient, for a talker without a positive.
    """
    dtype = torch.promote_types(references.dtype, torch.float32)
    with torch.autocast(anchors.device.type, enabled=False):  # which would round cosines to bf16
        logits = torch.einsum("bnd,rd->bnr", anchors.to(dtype), references.to(dtype)) / temperature
        # not -inf: of no candidates at all the gradient would be NaN
        total = logits.masked_fill(~candidates, torch.finfo(dtype).min).logsumexp(-1)  # [B, N]
        counts = positives.sum(-1)[:, None]  # [B, 1, S]
        attraction = torch.einsum("bnr,bsr->bns", logits, positives.to(dtype)) / counts.clamp(min=1)
    return (total[..., None] - attraction).masked_fill(counts == 0, 0)


def set_contrastive_costs(
    embeddings: Tensor, labels: Tensor, counts: Tensor, references: Labelled, temperature: float
) -> tuple[Tensor, Labelled]:
    """The loss of each head as each talker, beside given references and the batch's other embeddings.

    A head as a talker is pulled to all that has the talker's label in the references and in other mixtures; it is
    pushed from all else, also from the other heads of its own mixture. Whose the batch's embeddings are is taken from
    their best assignment against the references alone; heads that are left over in it are nobody's.

    Args:
        embeddings: unit vectors of N heads, [B, N, D].
        labels: of the talkers, int64 [B, S]; no two of a mixture are equal.
        counts: how many talkers each mixture has, int64 [B].
        references: without a gradient, and with their labels.
        temperature: what cosines are divided by.

    Returns:
        Losses [B, N, S], 0 for a talker whose label nobody else has; and the M embeddings of the batch that are
        somebody's by that first assignment.
    """
    num_heads = embeddings.shape[1]
    of_talker = labels[..., None] == references.labels  # [B, S, R]
    everyone = of_talker.new_ones(len(labels), num_heads, len(references.labels))
    with torch.no_grad():
        first = contrastive_costs(embeddings, references.embeddings, of_talker, everyone, temperature)
        heads = best_assignment(first, counts)[1]  # [B, S]
    row, talker = (heads >= 0).nonzero(as_tuple=True)  # [M]
    head = heads[row, talker]
    found = Labelled(embeddings[row, head], labels[row, talker])
    elsewhere = torch.arange(len(labels), device=row.device)[:, None, None] != row  # [B, 1, M]
    another = torch.arange(num_heads, device=row.device)[:, None] != head  # [N, M]
    same = (labels[..., None] == found.labels) & elsewhere  # [B, S, M]
    costs = contrastive_costs(
        embeddings,
        torch.cat([references.embeddings, found.embeddings.to(references.embeddings.dtype)]),
        torch.cat([of_talker, same], dim=-1),
        torch.cat([everyone, elsewhere | another], dim=-1),
        temperature,
    )
    return costs, found


class LabelledMemory(nn.Module):
    """The latest `size` embeddings, and whose they are; a buffer, so that checkpoints hold it.

    Attributes:
        embeddings: float32 [size, D].
        labels: int64 [size], -1 where nothing is remembered yet.
    """

    def __init__(self, size: int, embedding_dim: int):
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(size, embedding_dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))  # of the next one

    def known(self) -> Labelled:
        """A copy of what is remembered."""
        filled = self.labels >= 0
        return Labelled(self.embeddings[filled], self.labels[filled])

    @torch.no_grad()
    def add(self, latest: Labelled) -> None:
        """Remember embeddings in place of the oldest; such that are not finite are left out.

        Args:
            latest: the embeddings and whose they are, the latest last.
        """
        finite = latest.embeddings.isfinite().all(-1)
        size = len(self.labels)
        embeddings, labels = (rows[finite][-size:] for rows in latest)
        places = (self.place + torch.arange(len(labels), device=self.labels.device)) % size
        self.embeddings[places] = embeddings.to(self.embeddings.dtype)
        self.labels[places] = labels
        self.place.copy_((self.place + len(labels)) % size)
