"""File name -> module. A model, corpus or export format is added by adding its file; there is no central list.

Files are looked at, and only the one that is asked for is imported: one that is half written stops itself alone.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import pkgutil
import traceback
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from wesep_mix.base.errors import UserError

PACKAGES = {  # kind -> where its files lie
    "corpora": "wesep_mix.corpora",
    **{kind: f"wesep_mix.models.{kind}" for kind in ("frontends", "teachers", "students", "extractors", "separators")},
    "exports": "wesep_mix.exports",
}


def names(kind: str) -> list[str]:
    """Names of all plugins of a kind: the files of a kind's package that define a `Config`, whether they work or not.

    A file that is not Python counts too, since nobody can say what it was to define.
    """
    return sorted(name for name, path in _files(kind).items() if _defines_config(path))


def listed(kind: str) -> str:
    """The names for a user to choose from; those whose file cannot be imported are marked. Imports them all."""
    return ", ".join(name if _works(kind, name) else f"{name} (broken)" for name in names(kind))


def load(kind: str, name: str) -> ModuleType:
    """Return the module of that kind and name.

    Raises: UserError with the names there are when there is no such plugin; with its file and the cause when it cannot
    be imported or its `Config` is no dataclass.
    """
    path = _files(kind).get(name) if isinstance(name, str) else None
    if path is not None and _defines_config(path):
        return _imported(kind, name, path)
    near = difflib.get_close_matches(str(name), names(kind), n=1)
    hint = f", {path} defines no Config" if path else f", did you mean {near[0]}?" if near else ""
    raise UserError(f"{kind}: no {name!r}{hint} (there are: {listed(kind)})")


def build(kind: str, config):
    """Build the model whose `Config` instance this is."""
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
        content = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # which importing it tells
        return True
    return "Config" in _top_level_names(content)


def _top_level_names(node: ast.AST) -> Iterator[str]:
    """What a module's statements bind; those inside of `if`, `try` and `with` too."""
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
        typing.get_type_hints(module.Config)  # which reading a config asks for
    except (Exception, SystemExit) as err:  # whatever a file does that is not finished
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
    """Where in the file importing it ended, for a message; nothing where that is not known."""
    lines = [frame.lineno for frame in traceback.extract_tb(err.__traceback__) if frame.filename == str(path)]
    if isinstance(err, SyntaxError) and err.filename == str(path):
        lines = [err.lineno]
    return f", line {lines[-1]}" if lines else ""
