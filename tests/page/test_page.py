"""The page in a browser: from an upload to a download, wrong files, what is asked of whom, and what stays.

Needs gradio, playwright and a Chromium (`chromium`, `chromium-browser` or `google-chrome` on the path).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import browser as chromium
import numpy as np
import pytest
import soundfile
from small_model import write_small_experiment

from wesep_mix.__main__ import main

pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[page]'")
chromium.needed()

# The command, in a process that notes whom it wants to reach beside this machine, and is refused.
SERVER = """
import socket, sys
connect, look_up, log = socket.socket.connect, socket.getaddrinfo, sys.argv.pop(1)
def refused(host):
    open(log, "a").write(f"{host}\\n")
    raise OSError(f"{host}: refused")
def to_here(self, address):
    here = not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")
    return connect(self, address) if here else refused(address)
def of_here(host, *args, **options):
    here = host in (None, "127.0.0.1", "::1", "localhost", b"127.0.0.1")
    return look_up(host, *args, **options) if here else refused(host)
socket.socket.connect, socket.getaddrinfo = to_here, of_here
from wesep_mix.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return exp / "model"


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    """The command at work: its address, the folder of its temporary files, its process, whom it wanted to reach."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary, work = tmp_path_factory.mktemp("temporary"), tmp_path_factory.mktemp("work")
    command = [sys.executable, "-c", SERVER, str(work / "reached"), "page", "--model", str(model), "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=work, env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    address = f"http://127.0.0.1:{port}/"
    said = process.stdout.readline().decode()
    assert said == f"page: {address} (Ctrl-C ends it)\n", said + process.stderr.read().decode()
    yield SimpleNamespace(address=address, temporary=temporary, work=work, process=process, reached=work / "reached")
    process.kill()
    process.wait()


@pytest.mark.parametrize("where", [["--host", "203.0.113.7"], ["--port", "99999"], ["--port", "taken"]])
def test_an_address_where_nothing_can_be_served_is_one_sentence(where, model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = [str(other.getsockname()[1]) if part == "taken" else part for part in where]
        assert main(["page", "--model", str(model), *where]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --host ") and "nothing can be served there (" in said and said.count("\n") == 1


@pytest.fixture
def visit(served, browser):
    """Function: settings of a browser -> the page in it. At the end all it asked for must have been of this machine."""
    asked, contexts = [], []

    def make(**settings):
        contexts.append(browser.new_context(accept_downloads=True, permissions=["microphone"], **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda one: asked.append(one.url))
        page.goto(served.address)
        page.wait_for_selector("#file input[type=file]", state="attached")
        return page

    yield make
    for context in contexts:
        context.close()
    assert asked and {url for url in asked if not url.startswith((served.address, "data:", "blob:"))} == set()
    assert not served.reached.exists(), served.reached.read_text()


def give(page, path, timeout_s=60) -> str:
    """Upload a file; what is then said of it."""
    page.set_input_files("#file input[type=file]", path)
    said = page.locator("#said p[role]")
    said.wait_for(timeout=1000 * timeout_s)
    return said.inner_text()


def extract(page) -> None:
    for box in page.locator("#picked input").all():
        box.check()
    page.click("#extract")
    page.locator("#player audio").first.wait_for(state="attached")


def playing(page, place: int) -> tuple[float, bool]:
    """Where one of the player's sounds is, and whether it plays."""
    return tuple(
        page.evaluate(f"(a => [a.currentTime, !a.paused])(document.querySelectorAll('#player audio')[{place}])")
    )


@pytest.fixture
def talk(tmp_path, buzz):
    """Function: rate, channels, seconds -> file with two voices."""

    def make(rate=16000, channels=1, seconds=3.0):
        both = buzz(120, seconds) + buzz(190, seconds)
        samples = np.interp(np.arange(round(seconds * rate)) / rate, np.arange(len(both)) / 16000, both)
        path = tmp_path / f"talk {rate}.wav"
        soundfile.write(path, np.stack([samples] * channels, 1), rate)
        return path

    return make


def test_from_an_upload_to_a_download(visit, talk, model, tmp_path):
    page, recording = visit(), talk(44100, 2)
    assert give(page, recording).startswith("talk 44100, 0:03: 2 talkers heard. Times are right to within 2 s.")
    assert page.locator("#cards article .wave").count() == page.locator("#cards .when i").count() == 2
    whole = "[...document.querySelectorAll('#cards audio')].every(a => Math.abs(a.duration - 3) < 0.01)"
    page.wait_for_function(whole)
    extract(page)
    main(["extract", str(recording), "--model", str(model), "--all", "--out", str(tmp_path / "speech")])
    for number, link in enumerate(page.locator("#player a").all(), start=1):
        with page.expect_download() as download:
            link.click()
        assert download.value.suggested_filename == f"talk 44100-talker-{number}.wav"
        assert download.value.path().read_bytes() == (tmp_path / "speech" / f"talker-{number}.wav").read_bytes()
    assert page.locator("#player img").count() == 3
    sizes = page.evaluate("[...document.querySelectorAll('#player img')].map(i => [i.naturalWidth, i.naturalHeight])")
    assert sizes == [[187, 256]] * 3


def test_another_choice_plays_on_at_the_same_place(visit, talk):
    page = visit()
    give(page, talk())
    extract(page)
    page.evaluate("document.querySelector('#player audio').play()")
    page.wait_for_function("document.querySelector('#player audio').currentTime > 0.3")
    page.locator("#player input").nth(2).check()
    page.wait_for_function("document.querySelectorAll('#player audio')[2].currentTime > 0.3")
    stopped, was_playing = playing(page, 0)
    at, plays = playing(page, 2)
    assert not was_playing and plays and at >= stopped > 0.3
    page.evaluate("document.querySelectorAll('#player audio')[2].pause()")
    page.locator("#player .over").first.click(position={"x": 1, "y": 20})
    page.wait_for_function("document.querySelectorAll('#player audio')[2].currentTime < 0.1")
    page.locator("#player input").nth(0).check()
    assert playing(page, 0) == (pytest.approx(playing(page, 2)[0]), False)


@pytest.mark.parametrize(("rate", "channels", "top"), [(48000, 2, "0 to 8 kHz"), (8000, 1, "0 to 4 kHz")])
def test_any_rate(visit, talk, rate, channels, top):
    page = visit()
    said = give(page, talk(rate, channels))
    assert f"talk {rate}, 0:03: 2 talkers heard." in said and ("loses what is above 8 kHz" in said) == (rate > 16000)
    extract(page)
    assert top in page.inner_text("#player .axis")


def test_ten_minutes(visit, talk):
    page = visit()
    page.set_input_files("#file input[type=file]", talk(seconds=600.0))
    page.wait_for_function("/[1-9]\\d*\\/\\d+ parts/.test(document.querySelector('#said').innerText)")  # progress
    said = page.locator("#said p[role]")
    said.wait_for(timeout=600000)
    assert ", 10:00: " in said.inner_text()
    extract(page)
    assert page.inner_text("#player .axis").endswith("10:00")
    page.evaluate("document.querySelector('#player audio').currentTime = 550")
    page.wait_for_function(
        "(a => !a.seeking && a.currentTime >= 550 && a.readyState > 1)(document.querySelector('#player audio'))"
    )


def test_silence_and_files_that_are_no_recording_are_told_in_a_sentence(visit, talk, tmp_path):
    page = visit()
    soundfile.write(tmp_path / "silence.wav", np.zeros(48000), 16000)
    soundfile.write(tmp_path / "short.wav", np.zeros(480), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    (tmp_path / "corrupt.wav").write_bytes(os.urandom(5000))
    (tmp_path / "<i>{{7}}.txt").write_text("no audio")
    assert give(page, tmp_path / "silence.wav") == "silence, 0:03: nobody was heard in it."
    wrong = {
        "short.wav": "short.wav: wanted at least 0.5 s of audio, found 0.03 s",
        "nan.wav": "nan.wav: sample 0 is not finite (NaN or infinite); mend the file",
        "corrupt.wav": "corrupt.wav: cannot be read as audio (",
    }
    for name, said in wrong.items():
        page.set_input_files("#file input[type=file]", tmp_path / name)
        page.locator("#said p[role=alert]", has_text=name).wait_for()
        assert page.inner_text("#said").startswith(said)
        assert not page.locator("#picked").is_visible()
    page.set_input_files("#file input[type=file]", tmp_path / "<i>{{7}}.txt")
    page.locator("#said p[role=alert]", has_text=".txt: cannot be read as audio").wait_for()
    assert page.locator("#said i").count() == 0
    page.set_input_files("#file input[type=file]", talk())  # and the next one is heard
    page.locator("#cards article").first.wait_for()


def test_a_recording_of_the_microphone(visit):
    page = visit()
    page.click("#mic button:has-text('Record')")
    page.wait_for_timeout(2000)
    page.click("#mic button:has-text('Stop')")
    page.locator("#said p[role=status]").wait_for()
    assert "audio, 0:0" in page.inner_text("#said")


def test_by_keyboard_alone(visit, talk):
    page = visit()

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        pytest.fail(f"the Tab key does not reach {selector}")

    tab_to("#file button")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(talk())
    page.locator("#cards article").first.wait_for()
    tab_to("#cards audio")
    tab_to("#picked input")
    page.keyboard.press("Space")  # the first is picked already
    tab_to("#picked input")
    page.keyboard.press("Space")
    tab_to("#extract")
    page.keyboard.press("Enter")
    page.locator("#player audio").first.wait_for(state="attached")
    assert page.locator("#player figure").count() == 2
    tab_to("#player input")
    page.keyboard.press("ArrowRight")
    assert page.locator("#player audio").nth(1).is_visible() and page.locator("#player audio").nth(0).is_hidden()
    tab_to("#player audio")
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelectorAll('#player audio')[1].currentTime > 0")
    tab_to("#player a")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_in_both_themes(visit, talk, theme):
    page = visit(viewport={"width": 390, "height": 800}, color_scheme=theme)
    give(page, talk())
    extract(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert chromium.is_theme(page, theme)


def test_uploads_go_when_they_are_read_and_all_else_with_the_tab(visit, talk, served):
    page = visit()
    give(page, talk())
    extract(page)

    def files() -> list[str]:
        """Gradio leaves one without a byte of every upload."""
        return sorted(path.name for path in served.temporary.rglob("*") if path.is_file() and path.stat().st_size)

    made = ("recording", "talker-1", "talker-2")
    assert files() == ["audition-1.wav", "audition-2.wav", *(f"talk 16000-{name}.wav" for name in made)]
    page.close()
    end = time.monotonic() + 60
    while files() and time.monotonic() < end:
        time.sleep(0.2)
    assert files() == []


def test_at_the_end_nothing_is_left(served):
    """The last test: it ends the command."""
    served.process.send_signal(signal.SIGTERM)
    _, said = served.process.communicate(timeout=60)
    assert said.decode().endswith("page: ended by SIGTERM; uploads and all that was made of them are deleted\n")
    assert "Traceback" not in said.decode() and list(served.temporary.iterdir()) == []
    assert [path.name for path in served.work.iterdir()] == []
