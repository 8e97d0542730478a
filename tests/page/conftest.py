import browser as chromium
import pytest


@pytest.fixture(scope="module")
def browser():
    yield from chromium.opened()
