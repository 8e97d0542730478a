"""report.html in a browser: what it shows, plays and sorts, at a phone's width and a projector's, in both themes.

Needs playwright and a Chromium (`chromium`, `chromium-browser` or `google-chrome` on the path).
"""

import functools
import http.server
import threading

import browser as chromium
import pytest
from finished import write_finished

from wesep_mix.bin import report

chromium.needed()

LOADED = """async () => {
  const sounds = [...document.querySelectorAll("audio")];
  const done = (sound) => new Promise((told) => {
    sound.onloadedmetadata = () => told(sound.duration);
    sound.onerror = () => told(sound.error.message);
    sound.preload = "metadata";
    sound.load();
  });
  const durations = [];
  for (const sound of sounds) durations.push([await done(sound), sound.readyState]);
  return durations;
}"""
SIGHTS = """() => [...document.querySelectorAll("img")].map((one) => [one.complete, one.naturalWidth > 0, one.alt])"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the report of a small run is served from a folder that holds nothing else."""
    exp, data = write_finished(tmp_path_factory.mktemp("run"))
    assert report.main(["--corpus", "mini", "--num_spk", "2", "--exp", str(exp), "--data", str(data)]) == 0
    folder = tmp_path_factory.mktemp("served")
    (exp / "report.html").rename(folder / "report.html")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/report.html"
    server.shutdown()


@pytest.fixture
def visit(address, browser):
    """Function: settings of a browser -> the page in it. At the end it must have asked for itself alone, in peace."""
    asked, said, contexts = [], [], []

    def make(**settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        return page

    yield make
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {address} and said == []


def column(page, table: str, number: int) -> list[str]:
    """The cells of a column without their links, from the top."""
    cells = page.locator(f"{table} tbody tr > :nth-child({number})").all()
    return [cell.inner_text().removesuffix("#").strip() for cell in cells]


def test_all_pictures_and_sounds_are_there(visit):
    page = visit()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    durations = page.evaluate(LOADED)
    # 12 mixtures of two talkers: the mixture, and of each talker the target, net, and two controls; 14 worst: 3 each
    assert len(durations) == 12 * (1 + 2 * 4) + 14 * 3
    assert all(duration == pytest.approx(1.0, abs=0.1) and ready >= 1 for duration, ready in durations)
    sights = page.evaluate(SIGHTS)
    assert len(sights) == 12 * 9 and all(complete and there and alt for complete, there, alt in sights)
    assert page.locator("figure svg").count() == 5


def test_every_player_says_whom_one_hears_in_which_mixture(visit):
    page = visit()
    names = page.evaluate("[...document.querySelectorAll('article audio')].map((one) => one.ariaLabel)")
    assert len(names) == len(set(names)) == 12 * 9
    assert {"m13: mixture", "m13: target, talker b", "m13: net, talker b", "m13: net/wrong, talker c"} <= set(names)


def test_a_column_sorts_by_click_and_by_keyboard(visit):
    page, table = visit(), "[aria-labelledby=extraction] table.sortable"
    head = page.locator(f"{table} thead th:nth-child(3)")
    assert column(page, table, 1) == ["net", "net/none", "net/wrong"] and head.get_attribute("aria-sort") is None
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, table, 1) == ["net", "net/wrong", "net/none"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, table, 1) == ["net/none", "net/wrong", "net"]
    name = page.locator(f"{table} thead th:nth-child(1)")
    name.locator("button").focus()
    page.keyboard.press("Space")
    assert name.get_attribute("aria-sort") == "ascending" and head.get_attribute("aria-sort") is None
    assert column(page, table, 1) == ["net", "net/none", "net/wrong"]


def test_numbers_are_sorted_as_numbers(visit):
    page, table = visit(), "table.listen"
    page.locator(f"{table} thead button").nth(1).click()
    means = [float(cell) for cell in column(page, table, 2)]
    assert means == sorted(means, reverse=True) and means[0] > 10 > means[-1]


def test_a_row_has_a_link_that_is_seen_when_it_has_the_focus(visit, address):
    page = visit()
    link = page.locator("#extraction-net-wrong a.anchor")
    assert link.evaluate("one => getComputedStyle(one).opacity") == "0"
    page.locator("#extraction-net-wrong th").hover()
    assert link.evaluate("one => getComputedStyle(one).opacity") == "1"
    page.mouse.move(0, 0)
    link.focus()
    page.keyboard.press("Enter")
    assert page.url == f"{address}#extraction-net-wrong"
    assert page.locator("tr:target").inner_text().startswith("net/wrong")


def test_the_keyboard_comes_past_the_contents_and_its_place_is_seen(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_it_fits_a_phone_and_a_projector_in_both_themes(visit, width, theme):
    page = visit(viewport={"width": width, "height": 800}, color_scheme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert chromium.is_theme(page, theme)
    button, other = page.locator("#theme"), {"light": "dark", "dark": "light"}[theme]
    while other not in button.inner_text():
        button.click()
    assert chromium.is_theme(page, other)
    page.reload()
    assert chromium.is_theme(page, other)


def test_one_sound_at_a_time(visit):
    page = visit()
    page.evaluate("document.querySelectorAll('audio')[0].play()")
    page.wait_for_function("document.querySelectorAll('audio')[0].currentTime > 0")
    page.evaluate("document.querySelectorAll('audio')[1].play()")
    page.wait_for_function(
        "document.querySelectorAll('audio')[0].paused && !document.querySelectorAll('audio')[1].paused"
    )


def test_who_wants_no_motion_gets_none(visit):
    page = visit(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
