"""A Chromium without a window, for tests of pages; tests that need it skip themselves where there is none."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream "
    "--autoplay-policy=no-user-gesture-required"
).split()


def needed() -> None:
    """Skip the test file that calls this where playwright or a Chromium is missing."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the path", allow_module_level=True)


def opened():
    """Yield a browser, for a fixture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def is_theme(page, theme: str) -> bool:
    """Whether the page's ground is as dark, or as light, as the theme's name says."""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return (max(ground[:3]) < 64) if theme == "dark" else (min(ground[:3]) > 192)
