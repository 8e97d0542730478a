"""ECAPA-TDNN as teacher, the paper's strongest one for a single talker (arXiv 2604.03219, Table 1).

Source: Desplanques et al., "ECAPA-TDNN: Emphasized channel attention, propagation and aggregation in TDNN based
speaker verification", Interspeech 2020; the network is speechbrain's. The defaults make 15,643,904 parameters, and with
the ArcFace weights of 921 speakers 15,879,680: the paper's 15.9 M. Its sizes are not known from the paper (*open*);
these are the article's, an embedding of 256 like the other teachers' and an attention of 256.

Differs: log mel filterbanks (as speechbrain and WeSpeaker train it), not MFCCs.

B batch, T samples, D embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import how_to_get
from wesep_mix.models.layers.masking import by_length
from wesep_mix.models.layers.mel import fbank

LEAST = 3200  # samples: its convolutions need some frames


@dataclass(frozen=True)
class Config:
    """Numbers of channels.

    Attributes:
        channels: of the first layer and the blocks.
        aggregated: of the layer that joins the blocks.
        attention: of the bottleneck in the pooling.
        squeeze: of the bottlenecks in the blocks' squeeze-excitation.
    """

    name: str = "ecapa"
    num_mels: int = 80
    channels: int = 1024
    aggregated: int = 1536
    attention: int = 256
    squeeze: int = 128
    embedding_dim: int = 256


class Model(nn.Module):
    """Log mel filterbanks, speechbrain's ECAPA-TDNN, L2 norm."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.network = _network_class()(
            config.num_mels,
            lin_neurons=config.embedding_dim,
            channels=[config.channels] * 4 + [config.aggregated],
            attention_channels=config.attention,
            se_channels=config.squeeze,
        )

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, D].

        In training B is 2 or more, because of its batch norm.
        """
        return by_length(self._embed, wav, num_samples, LEAST)

    def _embed(self, wav: Tensor) -> Tensor:
        return functional.normalize(self.network(fbank(wav, self.config.num_mels))[:, 0], dim=-1)  # [B, 1, D] before


def _network_class() -> type[nn.Module]:
    try:
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    except ImportError as err:
        raise UserError(f"teacher ecapa: {how_to_get('ecapa')} ({err})") from err
    return ECAPA_TDNN
