"""File name -> module. A model, corpus or export format is added by adding its file; there is no central list."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

from wesep_mix.errors import UserError

KINDS = ("corpora", "frontends", "teachers", "students", "extractors", "separators", "exports")


def names(kind: str) -> list[str]:
    """Names of all plugins of a kind: the modules of `wesep_mix.<kind>` that define a `Config`."""
    package = importlib.import_module(f"wesep_mix.{kind}")
    modules = (info.name for info in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in modules if hasattr(_module(kind, name), "Config"))


def load(kind: str, name: str) -> ModuleType:
    """Return the module `wesep_mix.<kind>.<name>`.

    Raises: UserError with the names there are when there is no such plugin.
    """
    there = names(kind)
    if name not in there:
        near = difflib.get_close_matches(str(name), there, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise UserError(f"{kind}: no {name!r}{hint} (there are: {', '.join(there)})")
    return _module(kind, name)


def build(kind: str, config):
    """Build the model whose `Config` instance this is."""
    return load(kind, config.name).Model(config)


def _module(kind: str, name: str) -> ModuleType:
    return importlib.import_module(f"wesep_mix.{kind}.{name}")
