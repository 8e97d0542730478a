"""The paper's teacher (arXiv 2604.03219, section on the teacher): frozen WavLM Base and one embedding head.

With 921 speakers 695,424 parameters are trained, 459,648 of the head and 235,776 of ArcFace: the paper's 0.69 M.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wesep_mix.base import config
from wesep_mix.models.teachers import asp


@dataclass(frozen=True)
class Config(asp.Config):
    """`frontend.source` may also be a local folder or a `.pt`; with `frontend.finetuned_layers: 6` it is the paper's
    fine-tuned teacher of 47.9 M parameters.
    """

    name: str = "wavlm_asp"
    frontend: Any = config.plugin(
        "frontends", default={"name": "ssl", "source": "microsoft/wavlm-base", "finetuned_layers": 0}
    )


Model = asp.Model
