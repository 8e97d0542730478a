"""YAML -> frozen dataclasses, strictly: unknown, duplicate, missing and wrongly typed keys stop the run.

A file may begin with `base: PATH`, from its own folder: it is that file but for the keys that it writes itself. Its
*section* is its stem (`teacher` for `conf/teacher.yaml`), or `extractor` for `conf/extractor/NAME.yaml`, and
`separator` likewise. An override `section.key=value` goes to that section alone,
`key=value` to every section whose YAML has the key. This module knows neither torch nor any model; plugin fields are
resolved by name.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a number may be, beside a field's type: `Annotated[int, at_least(1)]`, which `Checked` holds."""

    low: float = -math.inf
    high: float = math.inf
    with_low: bool = True  # false: only what is above `low`
    with_high: bool = True

    def hold(self, value: float) -> bool:
        """Whether the number is one of them; NaN is none."""
        from_low = value >= self.low if self.with_low else value > self.low
        return from_low and (value <= self.high if self.with_high else value < self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{self.low:g} or more" if self.with_low else f"a number above {self.low:g}"
        low = f"from {self.low:g}" if self.with_low else f"above {self.low:g}"
        return f"a number {low} to {'' if self.with_high else 'below '}{self.high:g}"


def at_least(low: float) -> Bounds:
    """Numbers from `low` on."""
    return Bounds(low)


def above(low: float) -> Bounds:
    """Numbers greater than `low`."""
    return Bounds(low, with_low=False)


def between(low: float, high: float, with_low: bool = True, with_high: bool = True) -> Bounds:
    """Numbers from `low` to `high`, both among them unless told otherwise."""
    return Bounds(low, high, with_low, with_high)


class Checked:
    """For a dataclass: its fields hold what their types declare, a `Literal`'s choices and the bounds of an
    `Annotated` number, also of tuples and of fields that may be None. A subclass with a `__post_init__` of its own
    calls this one.
    """

    def __post_init__(self) -> None:
        """Raises: ValueError naming the first field that holds something else, what was wanted and what was found."""
        for name, hint in _declared(type(self)).items():
            if (wanted := _broken(getattr(self, name), hint)) is not None:
                raise ValueError(f"{name}: wanted {wanted}, found {getattr(self, name)!r}")


@functools.cache
def _declared(cls: type) -> dict[str, Any]:
    """The type of each field that says more than a type."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if _says_more(hints[field.name])}


def _says_more(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Literal, typing.Annotated) or any(map(_says_more, typing.get_args(hint)))


def _broken(value: Any, hint: Any) -> str | None:
    """What a type declares and the value is not; None where it is all that."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return None if value in arguments else _either(arguments)
    if origin is typing.Annotated:
        return next(
            (str(wanted) for wanted in arguments[1:] if isinstance(wanted, Bounds) and not wanted.hold(value)),
            _broken(value, arguments[0]),
        )
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _broken(value, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        return next((f"each {wanted}" for item in value if (wanted := _broken(item, arguments[0])) is not None), None)
    return None


def _either(choices: Iterable[Any]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


SECTIONS = ("corpus", "teacher", "student", "embeddings", "extractor", "separator", "score")
CHOSEN = ("extractor", "separator")  # sections of which a recipe has several files, conf/SECTION/NAME.yaml


def plugin(kind: str, required: bool = True, default: Mapping[str, Any] | None = None) -> Any:
    """A dataclass field that holds the `Config` of a plugin; in YAML a mapping whose `name:` chooses the file.

    default: such a mapping, for where the YAML has none. Without it, one that is not `required` may be None.
    """
    metadata = {"plugin": kind}
    if default is not None:
        return dataclasses.field(
            default_factory=lambda: _plugin_config(default, kind, "default"), kw_only=True, metadata=metadata
        )
    return dataclasses.field(default=dataclasses.MISSING if required else None, kw_only=True, metadata=metadata)


def load_config(cls: type[T], path: str | Path, overrides: Iterable[str] = ()) -> T:
    """Read a YAML file, apply the overrides that concern it, and build the dataclass `cls`.

    Raises: UserError naming file, key, what was wanted and what was found.
    """
    return from_dict(cls, read_raw(path, overrides), str(path))


def read_raw(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The YAML mapping after overrides, unchecked against any dataclass (cheap: used for fingerprints)."""
    path = Path(path)
    raw = _over_its_base(path)
    for override in overrides:
        key, value = parse_override(override)
        target = locate(key, section_of(path), raw)
        if target is not None:
            _set(raw, target, value, f"--set {override}")
    return raw


def section_of(path: str | Path) -> str:
    path = Path(path)
    return path.parent.name if path.parent.name in CHOSEN else path.stem


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split `a.b=value` into its key parts and its value, read as YAML; that of `a.b:=value` is text as it stands.

    Raises: UserError when it is not of that form.
    """
    key, equals, value = text.partition("=")
    as_it_stands = key.endswith(":")  # a folder may be called `corpus #1`, `a: b` or `null`
    key = key.removesuffix(":")
    if not equals or not all(key.split(".")):
        raise UserError(f"--set {text}: wanted key=value, as in --set optim.lr=5e-4")
    if as_it_stands:
        return key.split("."), value
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
        read = yaml.safe_load(value)
    except yaml.YAMLError as err:
        raise UserError(f"--set {text}: the value is not valid YAML ({_first_line(err)})") from err
    if isinstance(node, yaml.ScalarNode) and (rest := value[node.end_mark.index :].strip()):
        raise UserError(
            f"--set {text}: wanted a value, found a comment of YAML's behind it, {rest}; "
            f"--set '{key}:={value}' takes it as it stands"
        )
    return key.split("."), read


def locate(key: list[str], section: str, raw: Mapping[str, Any]) -> list[str] | None:
    """Where in this section's mapping an override's key goes; None when it does not concern the section."""
    if key[0] == section and len(key) > 1:
        return key[1:]
    if key[0] in SECTIONS and key[0] not in raw:
        return None
    return key if _has(raw, key) else None


def from_dict(cls: type[T], raw: Any, where: str) -> T:
    """Build a (nested) frozen dataclass from plain YAML values. Raises: UserError."""
    if not isinstance(raw, Mapping):
        raise UserError(f"{where}: wanted a mapping of settings, found {raw!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in raw:
        if key not in fields:
            raise UserError(f"{where}: {_unknown(str(key), fields)}")
    hints, values = typing.get_type_hints(cls), {}
    for name, field in fields.items():
        if name in raw:
            values[name] = _convert(raw[name], hints[name], field.metadata.get("plugin"), f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{where}: {name} is missing")
    try:
        return cls(**values)
    except ValueError as err:
        raise UserError(f"{where}: {err}") from err


def to_dict(config: Any) -> Any:
    """A config as plain mappings, lists and scalars, ready for YAML or a checkpoint."""
    if dataclasses.is_dataclass(config):
        return {field.name: to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {key: to_dict(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_dict(value) for value in config]
    return config


def _convert(value: Any, kind: Any, plugin_kind: str | None, where: str) -> Any:
    if plugin_kind is not None and value is not None:
        return _plugin_config(value, plugin_kind, where)
    if dataclasses.is_dataclass(kind):
        return from_dict(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if value not in arguments or isinstance(value, bool):
            raise UserError(f"{where}: wanted {_either(arguments)}, found {value!r}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)), None, where)
    if origin in (tuple, list):
        return _sequence(value, kind, arguments[0], where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: wanted a mapping, found {value!r}")
        return {key: _convert(item, arguments[1], None, f"{where}.{key}") for key, item in value.items()}
    return _scalar(value, kind, where)


def _plugin_config(value: Any, kind: str, where: str) -> Any:
    if not isinstance(value, Mapping) or "name" not in value:
        raise UserError(f"{where}: wanted a mapping with `name:` ({plugins.listed(kind)}), found {value!r}")
    try:
        module = plugins.load(kind, value["name"])
    except UserError as err:
        raise UserError(f"{where}: {err}") from err
    return from_dict(module.Config, value, where)


def _sequence(value: Any, kind: Any, item_kind: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{where}: wanted a list, found {value!r}")
    items = [_convert(item, item_kind, None, f"{where}[{place}]") for place, item in enumerate(value)]
    return tuple(items) if typing.get_origin(kind) is tuple else items


def _scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is Any or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if kind is float and not isinstance(value, bool):
        try:  # PyYAML reads 1e-3 as text
            return float(value)
        except (TypeError, ValueError):
            pass
    raise UserError(f"{where}: wanted {kind.__name__}, found {value!r}")


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself lets a later duplicate key win silently."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            raw = yaml.load(file, Loader=_UniqueKeyLoader)  # a SafeLoader
    except FileNotFoundError as err:
        raise UserError(f"{path}: no such config file") from err
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise UserError(f"{path}: not valid YAML ({_first_line(err)})") from err
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UserError(f"{path}: wanted a mapping of settings, found {type(raw).__name__}")
    return raw


def _over_its_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file's mapping, laid over that of its base if it names one. Raises: UserError."""
    raw = _read_yaml(path)
    if "base" not in raw:
        return raw
    named = raw.pop("base")
    base = Path(os.path.normpath(path.parent / str(named)))
    if not isinstance(named, str) or not base.is_file() or base in (path, *above):
        raise UserError(f"{path}: base: wanted another config file, from {path.parent}, found {named!r}")
    return _over_its_base(base, (path, *above)) | raw


def _set(raw: dict[str, Any], key: list[str], value: Any, where: str) -> None:
    for part in key[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise UserError(f"{where}: {part} is a single value, it has no keys inside")
    raw[key[-1]] = value


def _has(raw: Any, key: list[str]) -> bool:
    for part in key:
        if not isinstance(raw, Mapping) or part not in raw:
            return False
        raw = raw[part]
    return True


def _unknown(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    return f"{key}: unknown key, {hint}"


def _first_line(err: Exception) -> str:
    return " ".join(str(err).split())
