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
import itertools
import math
import operator
import os
import sys
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a number may be, beside a field's type: `Annotated[int, at_least(1)]`, which `Checked` holds.

    Attributes:
        low: the least number; with `with_low` false, only what is above it.
        high: the greatest number; with `with_high` false, only what is below it.
        also: a number that is allowed beside those.
        says: what an error says was wanted, where the numbers alone don't tell enough (units).
    """

    low: float = -math.inf
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True
    also: float | None = None
    says: str = ""

    def hold(self, value: float) -> bool:
        """Whether the number is one of them; NaN and a bool are none."""
        if isinstance(value, bool):
            return False
        from_low = value >= self.low if self.with_low else value > self.low
        to_high = value <= self.high if self.with_high else value < self.high
        return from_low and to_high or value == self.also

    def __str__(self) -> str:
        return self.says or self._told() + ("" if self.also is None else f", or {self.also:g}")

    def _told(self) -> str:
        if math.isinf(self.high):
            return f"{self.low:g} or more" if self.with_low else f"a number above {self.low:g}"
        low = f"from {self.low:g}" if self.with_low else f"above {self.low:g}"
        return f"a number {low} to {'' if self.with_high else 'below '}{self.high:g}"


def at_least(low: float, also: float | None = None, says: str = "") -> Bounds:
    """Numbers from `low` on.

    Args:
        low: the least number.
        also: a number that is allowed beside them.
        says: what an error says was wanted.

    Returns:
        The rule, for `Annotated`.
    """
    return Bounds(low, also=also, says=says)


def above(low: float, says: str = "") -> Bounds:
    """Numbers greater than `low`.

    Args:
        low: the number that they are above.
        says: what an error says was wanted.

    Returns:
        The rule, for `Annotated`.
    """
    return Bounds(low, with_low=False, says=says)


def between(low: float, high: float, with_low: bool = True, with_high: bool = True, says: str = "") -> Bounds:
    """Numbers from `low` to `high`.

    Args:
        low: the least number.
        high: the greatest number.
        with_low: whether `low` is one of them.
        with_high: whether `high` is one of them.
        says: what an error says was wanted.

    Returns:
        The rule, for `Annotated`.
    """
    return Bounds(low, high, with_low, with_high, says=says)


@dataclasses.dataclass(frozen=True)
class Parity:
    """Even or odd numbers alone: `Annotated[int, EVEN]`."""

    rest: int

    def hold(self, value: int) -> bool:
        """Whether the number is one of them."""
        return value % 2 == self.rest

    def __str__(self) -> str:
        return "an odd number" if self.rest else "an even number"


class Filled:
    """Lists and mappings with something in them: `Annotated[tuple[int, ...], FILLED]`."""

    def hold(self, value: Collection) -> bool:
        """Whether there is something in it."""
        return len(value) > 0

    def __str__(self) -> str:
        return "one or more"


class LowHigh:
    """Pairs in order, for a range: `Annotated[tuple[float, ...], LOW_HIGH]`."""

    def hold(self, value: Sequence[float]) -> bool:
        """Whether it is such a pair."""
        return len(value) == 2 and value[0] <= value[1]

    def __str__(self) -> str:
        return "[low, high]"


EVEN, ODD, FILLED, LOW_HIGH = Parity(0), Parity(1), Filled(), LowHigh()
Count, CountOrZero = Annotated[int, at_least(1)], Annotated[int, at_least(0)]
Counts = Annotated[tuple[Count, ...], FILLED]


class Checked:
    """For a dataclass: its fields hold what their types declare.

    That is a `Literal`'s choices, the length of a `tuple[int, int]`, and what stands beside a type in `Annotated`
    (Bounds, Parity, Filled, LowHigh); also inside of tuples, of dicts and of fields that may be None. A subclass with a
    `__post_init__` of its own calls this one.
    """

    def __post_init__(self) -> None:
        """Raises: ValueError naming the first field that holds something else, what was wanted and what was found."""
        for name, hint in declared(type(self)).items():
            for fault in _faults(getattr(self, name), hint, name):
                raise ValueError(fault)


@functools.cache
def declared(cls: type) -> dict[str, Any]:
    """The types of those fields of a dataclass whose types say more than a type: {field: type}."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if _says_more(hints[field.name])}


def _says_more(hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    return origin in (typing.Literal, Annotated) or _is_of_one_length(hint) or any(map(_says_more, arguments))


def _is_of_one_length(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple and Ellipsis not in typing.get_args(hint)


def _faults(value: Any, hint: Any, where: str) -> Iterator[str]:
    """What a type declares and the value is not: where, what was wanted and what was found."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal and not _is_among(value, arguments):
        yield _fault(where, _either(arguments), value)
    elif origin is Annotated:
        yield from _faults(value, arguments[0], where)
        yield from (_fault(where, wanted, value) for wanted in arguments[1:] if not wanted.hold(value))
    elif origin in (typing.Union, types.UnionType) and value is not None:
        yield from _faults(value, _of_value(arguments), where)
    elif _is_of_one_length(hint) and len(value) != len(arguments):
        yield _fault(where, f"a list of {len(arguments)}", value)
    elif origin in (tuple, list):
        for place, (item, item_hint) in enumerate(zip(value, _item_hints(hint), strict=False)):
            yield from _faults(item, item_hint, f"{where}[{place}]")
    elif origin is dict:
        for key, item in value.items():
            yield from _faults(key, arguments[0], where)
            yield from _faults(item, arguments[1], f"{where}.{key}")


def _fault(where: str, wanted: object, found: Any) -> str:
    """A tuple is told as one writes it in YAML, a list."""
    return f"{where}: wanted {wanted}, found {list(found) if isinstance(found, tuple) else found!r}"


def _item_hints(hint: Any) -> Iterable[Any]:
    """The type of each item of a list or tuple; the same for ever where it has no length."""
    arguments = typing.get_args(hint)
    return arguments if _is_of_one_length(hint) else itertools.repeat(arguments[0])


def _is_among(value: Any, choices: Iterable[Any]) -> bool:
    """Whether it is one of the choices, and of its type: True is not 1, nor is 1.0."""
    return any(value == choice and type(value) is type(choice) for choice in choices)


def _of_value(arguments: Iterable[Any]) -> Any:
    """X of the type `X | None`."""
    return next(argument for argument in arguments if argument is not type(None))


def _either(choices: Iterable[Any]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = (str(choice) or "''" for choice in choices)
    return f"{', '.join(others)} or {last}" if others else last


SECTIONS = ("corpus", "teacher", "student", "embeddings", "extractor", "separator", "extract", "score")
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
    raw = read_raw(path, overrides)
    try:
        return from_dict(cls, raw, str(path))
    except UserError as err:
        if bases := [str(file) for file, _ in _with_bases(Path(path))[1:]]:
            raise UserError(f"{err} (what it does not write itself is from {' and '.join(bases)})") from err
        raise


def read_raw(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The YAML mapping after overrides, unchecked against any dataclass (cheap: used for fingerprints)."""
    path = Path(path)
    raw = functools.reduce(operator.or_, (own for _, own in reversed(_with_bases(path))))
    for override in overrides:
        key, value = parse_override(override)
        target = locate(key, section_of(path), raw)
        if target is not None:
            _set(raw, target, value, f"--set {override}")
        elif key[0] in raw:  # it may be another stage's; whoever meant this one is not to believe that it was taken
            whole = f"{section_of(path)}.{'.'.join(key)}"
            _note(f"note: --set {override} changes nothing in {path}, which has no such key; {whole} would add it")
    return raw


@functools.cache
def _note(text: str) -> None:
    """Say it once."""
    print(text, file=sys.stderr, flush=True)


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
    """Build a (nested) frozen dataclass from plain YAML values.

    A class may have a dict `MOVED`, {a key that was its own: where that is now}, for the error.
    Raises: UserError.
    """
    if not isinstance(raw, Mapping):
        raise UserError(f"{where}: wanted a mapping of settings, found {raw!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in raw:
        if key not in fields:
            raise UserError(f"{where}: {_unknown(str(key), fields, getattr(cls, 'MOVED', {}))}")
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
        if not _is_among(value, arguments):
            raise UserError(_fault(where, _either(arguments), value))
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(value, _of_value(arguments), None, where)
    if origin in (tuple, list):
        return _sequence(value, kind, where)
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


def _sequence(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{where}: wanted a list, found {value!r}")
    if _is_of_one_length(kind) and len(value) != (length := len(typing.get_args(kind))):
        raise UserError(_fault(where, f"a list of {length}", value))
    items = [
        _convert(item, item_kind, None, f"{where}[{place}]")
        for place, (item, item_kind) in enumerate(zip(value, _item_hints(kind), strict=False))
    ]
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


def _with_bases(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """A file, its base, the base of that and so on, each with what it writes itself. Raises: UserError."""
    files = [(path, _read_yaml(path))]
    while "base" in files[-1][1]:
        last, raw = files[-1]
        named = raw.pop("base")
        base = Path(os.path.normpath(last.parent / str(named)))
        if not isinstance(named, str) or not base.is_file() or base in (file for file, _ in files):
            raise UserError(f"{last}: base: wanted another config file, from {last.parent}, found {named!r}")
        files.append((base, _read_yaml(base)))
    return files


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


def _unknown(key: str, known: Iterable[str], moved: Mapping[str, str]) -> str:
    if key in moved:
        return f"{key}: unknown key, it is {moved[key]}"
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    return f"{key}: unknown key, {hint}"


def _first_line(err: Exception) -> str:
    return " ".join(str(err).split())
