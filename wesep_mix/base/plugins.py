"""File name -> module: a model, corpus or export format is added by adding its file; there is no central list.

Only the file that is asked for is imported. The others are read as text, so that one that is half written stops
nobody but itself.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import importlib
import pkgutil
import traceback
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from wesep_mix.base.errors import UserError

PACKAGES = {  # kind -> where its files lie
    "corpora": "wesep_mix.corpora",
    **{kind: f"wesep_mix.models.{kind}" for kind in ("frontends", "teachers", "students", "extractors", "separators")},
    "memory": "wesep_mix.memory",
    "exports": "wesep_mix.exports",
}


def names(kind: str) -> list[str]:
    """Names of all plugins of a kind: the files in its package that define a `Config`, whether they work or not.

    A file that is not valid Python counts too: nobody can say what it was to define.

    Args:
        kind: one of PACKAGES.

    Returns:
        The names, sorted.
    """
    return sorted(name for name, path in _files(kind).items() if _defines_config(path))


def listed(kind: str) -> str:
    """The names for a user to choose from, with a mark on those that cannot be imported. This imports them all."""
    return ", ".join(name if _works(kind, name) else f"{name} (broken)" for name in names(kind))


def load(kind: str, name: str) -> ModuleType:
    """Import the plugin of a kind and name.

    Args:
        kind: one of PACKAGES.
        name: the name of its file.

    Returns:
        Its module.

    Raises:
        UserError: there is no such plugin (the message lists those there are), it cannot be imported (file and cause
            are named), or its `Config` is not a dataclass.
    """
    path = _files(kind).get(name) if isinstance(name, str) else None
    if path is not None and _defines_config(path):
        return _imported(kind, name, path)
    near = difflib.get_close_matches(str(name), names(kind), n=1)
    hint = f", {path} defines no Config" if path else f", did you mean {near[0]}?" if near else ""
    raise UserError(f"{kind}: no {name!r}{hint} (there are: {listed(kind)})")


def build(kind: str, config: Any) -> Any:
    """Build a model from its config.

    Args:
        kind: one of PACKAGES.
        config: an instance of the plugin's `Config`, whose `name` says which plugin.

    Returns:
        The model.
    """
    return load(kind, config.name).Model(config)


def _files(kind: str) -> dict[str, Path]:
    """Every module of a kind's package, helpers too."""
    package = importlib.import_module(PACKAGES[kind])
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        folder = Path(info.module_finder.path)
        found[info.name] = folder / info.name / "__init__.py" if info.ispkg else folder / f"{info.name}.py"
    return found


def _defines_config(path: Path) -> bool:
    try:
        return _binds_config(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # importing it says what is wrong
        return True


@functools.lru_cache(maxsize=256)
def _binds_config(source: bytes) -> bool:
    return "Config" in _top_level_names(ast.parse(source))


def _top_level_names(node: ast.AST) -> Iterator[str]:
    """Names that a module's statements bind, also inside `if`, `try` and `with`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child.name
        elif isinstance(child, ast.alias):
            yield child.asname or child.name
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        else:
            yield from _top_level_names(child)


def _works(kind: str, name: str) -> bool:
    try:
        load(kind, name)
    except UserError:
        return False
    return True


def _imported(kind: str, name: str, path: Path) -> ModuleType:
    try:
        module = importlib.import_module(f"{PACKAGES[kind]}.{name}")
        typing.get_type_hints(module.Config)  # reading a config needs them
    except (Exception, SystemExit) as err:  # an unfinished file may do anything
        said = err.msg if isinstance(err, SyntaxError) else str(err)
        reason = " ".join(f"{type(err).__name__}: {said}".split())
        raise UserError(
            f"{path}{_line_in(path, err)}: cannot be imported ({reason}); mend or remove this file, the "
            f"other {kind} work without it"
        ) from err
    if not dataclasses.is_dataclass(module.Config):
        raise UserError(
            f"{path}: Config: wanted a frozen dataclass, found {type(module.Config).__name__} {module.Config!r}"
        )
    return module


def _line_in(path: Path, err: BaseException) -> str:
    """The line at which importing the file failed, for a message; empty where it is not known."""
    lines = [frame.lineno for frame in traceback.extract_tb(err.__traceback__) if frame.filename == str(path)]
    if isinstance(err, SyntaxError) and err.filename == str(path):
        lines = [err.lineno]
    return f", line {lines[-1]}" if lines else ""
