"""What the fields of a config declare is held: of every recipe's settings, every plugin's, and the tables' rows."""

import dataclasses
import math
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest

from wesep_mix.base import config, plugins
from wesep_mix.base.config import Bounds, Checked, Filled, LowHigh, Parity
from wesep_mix.tables import recordings, table1, table2
from wesep_mix.validation.configs import CLASSES

KINDS = ("frontends", "teachers", "students", "extractors", "separators", "memory", "corpora", "exports")
PLUGINS = [plugins.load(kind, name).Config for kind in KINDS for name in plugins.names(kind)]
TABLES = [table1.Table1Config, table1.Table1Row, table2.Table2Config, table2.Table2Row]
TABLES += [recordings.RecordingsConfig, recordings.PaperRow]


def with_parts(classes: list[type]) -> list[type]:
    """These dataclasses, and those that their fields hold."""
    found: dict[str, type] = {}
    for cls in classes:
        parts = [hint for hint in typing.get_type_hints(cls).values() if dataclasses.is_dataclass(hint)]
        found |= {f"{one.__module__}.{one.__qualname__}": one for one in (cls, *with_parts(parts))}
    return list(found.values())


CONFIGS = with_parts([*CLASSES.values(), *PLUGINS, *TABLES])


def wrong_values(hint: Any) -> Iterator[Any]:
    """Values that the type does not take, one for each thing that it declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        yield "no such choice"
    elif origin is Annotated:
        yield from wrong_values(arguments[0])
        yield from (value for rule in arguments[1:] for value in outside(rule, arguments[0]))
    elif origin is tuple:
        length = 1 if Ellipsis in arguments else len(arguments)
        yield from ((value,) * length for value in wrong_values(arguments[0]))
        yield from () if Ellipsis in arguments else ((),)
    elif origin is dict:
        yield from ({"no such choice": 1} for value in wrong_values(arguments[0]))
        key = (*typing.get_args(arguments[0]), "key")[0]
        yield from ({key: value} for value in wrong_values(arguments[1]))
    elif type(None) in arguments:
        yield from wrong_values(next(each for each in arguments if each is not type(None)))


def outside(rule: Any, hint: Any) -> Iterator[Any]:
    if isinstance(rule, Parity):
        yield 1 - rule.rest + 2
    if isinstance(rule, LowHigh):
        yield from ((), (0.5,), (0.5, 0.2), (0.2, 0.3, 0.5))
    if isinstance(rule, Filled):
        yield {} if typing.get_origin(hint) is dict else ()
    if isinstance(rule, Bounds):
        yield math.nan
        yield from (rule.low - 1,) if rule.with_low else (rule.low,)
        if math.isfinite(rule.high):
            yield rule.high + 1 if rule.with_high else rule.high


def right_value(hint: Any) -> Any:
    """One that a field without default takes."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)[0]
    inside = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else None
    return {"x": None} if typing.get_origin(inside) is dict else 2


DECLARED = [(cls, name, hint) for cls in CONFIGS for name, hint in config.declared(cls).items()]


def named(case: Any) -> str:
    return f"{case.__module__.removeprefix('wesep_mix.')}.{case.__name__}" if isinstance(case, type) else str(case)[:20]


def test_there_is_something_declared():
    assert len(DECLARED) > 100 and {cls for cls, _, _ in DECLARED} > set(CLASSES.values())


@pytest.mark.parametrize("cls", CONFIGS, ids=named)
def test_a_config_that_declares_something_is_checked(cls):
    assert issubclass(cls, Checked) or not config.declared(cls)


@pytest.mark.parametrize("cls, name, hint", DECLARED, ids=named)
def test_what_a_field_declares_is_held(cls, name, hint):
    made = object.__new__(cls)  # with the defaults; a field without one is right in itself
    for field in dataclasses.fields(cls):
        value = field.default_factory() if callable(field.default_factory) else field.default
        if value is dataclasses.MISSING:
            value = right_value(config.declared(cls).get(field.name))
        object.__setattr__(made, field.name, value)
    values = list(wrong_values(hint))
    assert values
    for value in values:
        object.__setattr__(made, name, value)
        with pytest.raises(ValueError, match=f"{name}[^ ]*: wanted "):
            made.__post_init__()
