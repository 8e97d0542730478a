"""Mixture-to-set speaker embeddings and the speech extraction they condition (arXiv 2604.03219).

`load`, `Model` and `Talker` are those of wesep_mix.api, which is imported when one of them is asked for.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Model", "Talker", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wesep_mix import api

    return getattr(api, name)
