"""The page of `wesep-mix page`, on Gradio: a recording is heard, its talkers are shown, picked, extracted and compared.

What is kept, and for how long: an upload is deleted as soon as its talkers have been extracted. The recording at 16 kHz
and what was extracted lie in temporary files without a name, which end with the process; those for the browser
(auditions, wavs) lie in a folder for each tab. All of it goes when the tab is closed or given another recording.
All folders lie in one, which is removed when the page ends. The browser is asked to keep nothing, and nobody else is
asked for anything: fonts are the system's, Gradio's analytics are off.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.inference.candidates import Talker, find_talkers
from wesep_mix.inference.listening import audition
from wesep_mix.inference.own_recordings import load_bundle
from wesep_mix.inference.sharing import extract_among
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.recording import Recording, read_recording, write_like
from wesep_mix.models.folder import Bundle
from wesep_mix.page import pictures

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
FONTS = [gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
TITLE = "Who speaks in this recording?"
HOW = "Drop a recording, or make one. Each talker is heard and shown; pick whom you want to hear alone."


@dataclass
class Visit:
    """What one browser tab has here.

    Attributes:
        folder: of the files that it plays.
        recording: that it gave.
        talkers: who was heard in it.
        speeches: of each talker by number, float32 [T] at 16 kHz.
        left: whether the tab is gone, so that nobody waits for the work.
    """

    folder: Path
    recording: Recording | None = None
    talkers: list[Talker] = field(default_factory=list)
    speeches: dict[int, np.ndarray] = field(default_factory=dict)
    left: bool = False

    def leave(self) -> None:
        """Remove its files; work that is going on stops at its next step."""
        self.left = True
        shutil.rmtree(self.folder, ignore_errors=True)


class Desk:
    """What the page does with recordings, one after the other.

    Attributes:
        bundle: the model.
        device: where it computes.
        folder: that holds all files.
    """

    def __init__(self, bundle: Bundle, device: str, folder: Path):
        self.bundle, self.device, self.folder = bundle, device, folder
        self.visits: dict[str, Visit] = {}

    def hear(self, upload: str | None, request: gr.Request, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
        """Read an upload, and find and extract its talkers.

        Args:
            upload: file that the browser sent; it is deleted.
            request: whose it is.
            progress: what the browser shows meanwhile.

        Returns:
            The places for files, emptied; what was found, in words; the talkers; the choice among them; the player,
            emptied.
        """
        if upload is None:
            return [gr.skip()] * 7
        self.leave(request)
        visit = Visit(Path(tempfile.mkdtemp(dir=self.folder)))
        self.visits[request.session_hash] = visit
        try:
            cards = self._heard(visit, Path(upload), progress)
            said = _summary(visit, self.bundle.use.window_s)
        except (UserError, OSError) as err:
            cards, said = "", _alert(err, Path(upload))
        finally:
            _remove_upload(Path(upload), self.folder)
            if visit.left:
                visit.leave()  # what was written since
        numbers = [f"Talker {talker.number}" for talker in visit.talkers] if cards else []
        choice = gr.CheckboxGroup(choices=numbers, value=numbers[:1])
        return [None, None, said, cards, choice, gr.Column(visible=bool(cards)), ""]

    def _heard(self, visit: Visit, upload: Path, progress: gr.Progress) -> str:
        """The talkers' cards; the visit holds what they are of."""

        def stepping(what: str) -> Callable[[int, int], None]:
            def step(done: int, total: int) -> None:
                if visit.left:
                    raise UserError("nobody waits for it any more")
                progress((done, total), desc=what, unit="parts")

            return step

        progress(None, desc="Reading")
        recording = visit.recording = read_recording(upload)
        samples, use = recording.samples, self.bundle.use
        visit.talkers = find_talkers(self.bundle.student, samples, use, self.device, stepping("Listening"))
        if not visit.talkers:
            return ""
        step = stepping("Extracting the talkers")
        step(0, 1)
        wanted = np.stack([talker.embedding for talker in visit.talkers])
        speeches = extract_among(self.bundle.extractor, samples, wanted, visit.talkers, use, self.device, step)
        cards = []
        for talker, speech in zip(visit.talkers, speeches, strict=True):
            visit.speeches[talker.number] = speech
            begin, end = audition(speech, samples)
            wav = visit.folder / f"audition-{talker.number}.wav"
            write_like(wav, speech[begin:end], recording, begin)
            cards.append(pictures.talker_card(talker, speech, recording, _address(wav)))
        return "".join(cards)

    def extract(self, picked: Sequence[str], request: gr.Request) -> list[str]:
        """Make the picked talkers' wavs, as `wesep-mix extract` does.

        Args:
            picked: "Talker N" of each.
            request: whose they are.

        Returns:
            What is wrong, in words, and the player.
        """
        visit = self.visits.get(request.session_hash)
        if visit is None or visit.recording is None:
            return ["<p role='alert'>The recording is gone from here; give it once more.</p>", ""]
        if not picked:
            return ["<p role='alert'>Pick at least one talker.</p>", ""]
        sounds = [("Recording", visit.recording.samples)]
        sounds += [(f"Talker {number}", speech) for number, speech in visit.speeches.items()]
        made = []
        try:
            for name, samples in sounds:
                if name in ("Recording", *picked):
                    wav = visit.folder / f"{visit.recording.name[:100]}-{name.lower().replace(' ', '-')}.wav"
                    write_like(wav, samples, visit.recording)
                    made.append((name, samples, _address(wav)))
        except (UserError, OSError) as err:
            return [_alert(err, visit.folder), ""]
        return ["", pictures.player(visit.recording, made)]

    def leave(self, request: gr.Request) -> None:
        """Forget what a browser tab had here."""
        visit = self.visits.pop(request.session_hash, None)
        if visit is not None:
            visit.leave()


def _remove_upload(path: Path, folder: Path) -> None:
    if folder in path.parents:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # another upload of the same bytes lies there
            path.parent.rmdir()


def _emptied() -> list[Any]:
    """What was shown of an earlier recording goes at once."""
    return ["", "", gr.Column(visible=False), ""]


def _address(path: Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _alert(err: Exception, upload: Path) -> str:
    text = str(err) if isinstance(err, UserError) else f"{upload.name}: {getattr(err, 'strerror', None) or err}"
    return f"<p role='alert'>{escape(text.replace(f'{upload.parent}/', ''))}</p>"


def _summary(visit: Visit, window_s: float) -> str:
    """What was heard, in words."""
    recording, num = visit.recording, len(visit.talkers)
    head = f"<strong>{escape(recording.name)}</strong>, {pictures.clock(recording.seconds)}: "
    if not num:
        return f"<p role='status'>{head}nobody was heard in it.</p>"
    near = f" Times are right to within {window_s:g} s." if recording.seconds > window_s else ""
    rate = recording.sample_rate
    above = f" Inside all works at 16 kHz: the {rate} Hz file loses what is above 8 kHz." if rate > SAMPLE_RATE else ""
    return f"<p role='status'>{head}{num} talker{'s' * (num > 1)} heard.{near}{above}</p>"


def build(desk: Desk) -> gr.Blocks:
    """The page.

    Args:
        desk: what does the work.

    Returns:
        Blocks, to be launched.
    """
    about = desk.bundle.about
    with gr.Blocks(title="wesep_mix", analytics_enabled=False) as page:
        gr.HTML(f"<h1>{TITLE}</h1><p>{HOW}</p>", elem_id="head")
        with gr.Row():
            file = gr.File(label="Recording: any audio file", height=160, elem_id="file")
            mic = gr.Audio(sources=["microphone"], type="filepath", label="Or record", editable=False, elem_id="mic")
        said = gr.HTML(elem_id="said")
        cards = gr.HTML(elem_id="cards", js_on_load=None)
        with gr.Column(visible=False) as choosing:
            picked = gr.CheckboxGroup(label="Whom do you want to hear alone?", elem_id="picked")
            button = gr.Button("Extract", variant="primary", elem_id="extract")
            wrong = gr.HTML(elem_id="wrong")
            player = gr.HTML(elem_id="player", js_on_load=SCRIPT)
        gr.HTML(
            f"<p>Model: {escape(about.name)}. Trained on: {escape(about.trained_on)}. Licence: {escape(about.licence)}."
            "</p>",
            elem_id="foot",
        )
        alone = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
        shown = [file, mic, said, cards, picked, choosing, player]
        for given, source in ((file.upload, file), (mic.stop_recording, mic)):
            emptied = given(_emptied, None, [said, cards, choosing, player], queue=False, api_visibility="private")
            emptied.then(desk.hear, source, shown, show_progress_on=said, **alone)
        button.click(desk.extract, picked, [wrong, player], show_progress_on=player, api_visibility="private")
        page.unload(desk.leave)
    return page


def serve(folder: Path, model: str | None, device: str, host: str, port: int | None) -> None:
    """Serve the page until Ctrl-C.

    Args:
        folder: for all files; the caller has told Gradio of it, and removes it.
        model: a model's folder or name, None for the usual one.
        device: where it computes, as torch names it.
        host: address to be reached at.
        port: None for the first free one from 7860 on.

    Raises:
        UserError: for a model or device that cannot be used, or where nothing can be served at that address.
    """
    _check_address(host, port)
    page = build(Desk(load_bundle(model, device), device, folder))
    theme = gr.themes.Default(font=FONTS, font_mono=[gr.themes.Font("monospace")])
    options = {"footer_links": [], "run_history": False, "ssr_mode": False, "quiet": True, "share": False}
    options |= {"theme": theme, "css": STYLE, "prevent_thread_lock": True}
    _, address, _ = page.launch(server_name=host, server_port=port, **options)
    try:
        print(f"page: {address} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("uploads and all that was made of them are deleted") from stop
    finally:
        page.close(verbose=False)


def _check_address(host: str, port: int | None) -> None:
    """Gradio tries a hundred ports, for minutes, where the address is wrong."""
    try:
        family = socket.getaddrinfo(host, None)[0][0]
        socket.create_server((host, port or 0), family=family).close()
    except (OSError, OverflowError) as err:
        where = f"--host {host}" + (f" --port {port}" if port else "")
        raise UserError(f"{where}: nothing can be served there ({err})") from err
