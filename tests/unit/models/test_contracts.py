"""A part that a plugin lacks is found, whichever it is."""

from types import SimpleNamespace

import pytest
from torch import nn

from wesep_mix.base.errors import UserError
from wesep_mix.models import contracts

CONFIG, MODEL = 0, 1
PARTS = [
    (kind, which, part)
    for kind, duties in contracts.DUTIES.items()
    for which in (CONFIG, MODEL)
    for part in contracts.parts(duties[which])
    if part not in ("forward", "config")
]  # every torch.nn.Module has a forward; a config is needed to look at one


def config_of(kind: str, without: str = "") -> SimpleNamespace:
    parts = contracts.parts(contracts.DUTIES[kind][CONFIG])
    return SimpleNamespace(**{part: None for part in parts if part != without})


def model_of(kind: str, without: str = "") -> nn.Module:
    model = nn.Module()
    for part in contracts.parts(contracts.DUTIES[kind][MODEL]):
        if part not in ("forward", without):
            setattr(model, part, None)
    model.config = config_of(kind, without)
    return model


@pytest.mark.parametrize("kind", contracts.DUTIES)
def test_one_that_has_all_is_accepted(kind):
    contracts.check(kind, model_of(kind))


@pytest.mark.parametrize("kind, which, part", PARTS)
def test_a_part_that_is_missing_is_named(kind, which, part):
    protocol = contracts.DUTIES[kind][which].__name__
    with pytest.raises(UserError, match=f"^{kind}: .*wanted `{part}`, found none; see {protocol} in .*contracts.py$"):
        if which == CONFIG:
            contracts.check_config(kind, config_of(kind, part))
        else:
            contracts.check(kind, model_of(kind, part))


def test_a_model_that_is_no_module_is_told():
    with pytest.raises(UserError, match="^teachers: .*wanted a torch.nn.Module, found SimpleNamespace"):
        contracts.check("teachers", SimpleNamespace(config=config_of("teachers")))


def test_of_a_class_the_methods_are_looked_at():
    class Model(nn.Module):
        pass

    contracts.check_class("teachers", Model)
    with pytest.raises(UserError, match="^frontends: .*Model: wanted `fresh`, found none; see FrontEnd in"):
        contracts.check_class("frontends", Model)
