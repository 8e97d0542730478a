"""Single modules of another project's package, where the package as a whole does not import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from wesep_mix.base.errors import UserError


@contextmanager
def modules_of(
    package: str,
    bare: Sequence[str],
    otherwise: str,
    folder: Path | None = None,
    stand_ins: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[None]:
    """In it, modules of a package import without the `__init__` of some packages; after it, none is left imported.

    Args:
        package: its name.
        bare: the packages, itself or in it, whose own `__init__` is left out.
        otherwise: the error's words when something does not import; the reason goes where they have `{}`.
        folder: where the package lies; None: where Python finds it.
        stand_ins: {module: {name: object}} of other packages that its modules import and do not need here.

    Yields:
        Nothing.

    Raises:
        UserError: the package is not there, or a module does not import.
    """
    stand_ins = stand_ins or {}
    roots = {package, *(name.split(".")[0] for name in stand_ins)}
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in roots}
    if folder is not None:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        for name in bare:
            spec = importlib.util.find_spec(name)
            if spec is not None:
                sys.modules[name] = importlib.util.module_from_spec(spec)
        for name, content in stand_ins.items():
            _stand_in(name, content)
        yield
    except ImportError as err:
        raise UserError(otherwise.format(err)) from err
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in roots]:
            del sys.modules[name]
        sys.modules.update(before)
        if folder is not None:
            sys.path.remove(str(folder))


def _stand_in(name: str, content: Mapping[str, Any]) -> None:
    """Put an empty package in for each part of a dotted name, and the content into the last."""
    parts = name.split(".")
    for number in range(1, len(parts) + 1):
        whole = ".".join(parts[:number])
        module = sys.modules.setdefault(whole, ModuleType(whole))
        module.__path__ = []
    vars(sys.modules[name]).update(content)
