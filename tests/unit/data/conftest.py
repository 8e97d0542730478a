import pytest

from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool


@pytest.fixture(scope="session")
def pool(prepared):
    return load_pool(prepared / "2mix" / "train")


@pytest.fixture(scope="session")
def plans(prepared):
    return read_plans(prepared / "2mix" / "train" / "plan.jsonl")
