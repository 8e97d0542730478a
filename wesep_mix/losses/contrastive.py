"""Contrastive losses of embeddings that are matched to talkers, without weights of their own.

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2: an anchor's loss is the mean of -log softmax
over its positives, the softmax being over all candidates; with one positive it is InfoNCE (van den Oord et al. 2018).
What differs: whose embedding an anchor is, is not known yet, so each anchor has a loss for every talker that it may be
of. Memory: Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020, section 3.2.

B mixtures, N heads (anchors), S talkers, R references, D embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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

    @torch.no_grad()
    def add(self, embeddings: Tensor, labels: Tensor) -> None:
        """Remember embeddings in place of the oldest; such that are not finite are left out.

        Args:
            embeddings: [M, D].
            labels: int64 [M].
        """
        finite = embeddings.isfinite().all(-1)
        size = len(self.labels)
        embeddings, labels = embeddings[finite][-size:], labels[finite][-size:]
        places = (self.place + torch.arange(len(labels), device=self.labels.device)) % size
        self.embeddings[places] = embeddings.to(self.embeddings.dtype)
        self.labels[places] = labels
        self.place.copy_((self.place + len(labels)) % size)
