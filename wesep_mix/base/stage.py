"""The life of a stage: check its inputs, skip finished work, redo changed work, report errors in one line.

A stage owns a folder with two files about itself. `.stage.json` holds all that defines the result (the settings, and
the states of the stages that it builds on), a fingerprint of that, how many times the work was forced, and whether it
is done. Forced work outdates what was built on it, even if no setting changed; where folders lie, and how many data
workers there are, does not matter. `.stage.files` records every file that the stage wrote (base.record): if one is
damaged, the stage makes it again when it is next asked, and stages that read it refuse to. This module imports no
torch, so that a finished stage answers at once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wesep_mix.base import record
from wesep_mix.base.environment import ONE, Processes, rank, settle
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, remove_leftovers, write_json
from wesep_mix.base.locks import alone_in, is_held
from wesep_mix.base.record import STATE_FILE
from wesep_mix.base.stops import UNREAD, Terminated, nobody_reads, terminable

MACHINE = ("num_workers",)  # settings that change no result
GO_ON = "the same command goes on from the last checkpoint"
GO_ON_FORCED = (
    "the same command without --force true goes on from here (with it, all is done anew); parts not yet begun are "
    "unchanged"
)
QUICKLY_SEEN = 2000  # files
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EIO), "; free space or mend the file, then run again"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM), "; make it writable for you, or name another folder, then run again"
    ),
    errno.ENOENT: "; if it was removed meanwhile, run again",
    errno.EFBIG: "; raise the size that a file may have (ulimit -f), then run again",
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "; raise the number of files that may be open (ulimit -n), then run again"
    ),
}


_AT_WORK: ContextVar[str] = ContextVar("at work", default="")


@dataclass(frozen=True)
class Need:
    """A file or folder that a stage reads, and the number of the stage that makes it.

    large: only the sizes of its audio files are checked, not every byte.
    """

    path: Path
    stage: int
    large: bool = False


@dataclass(frozen=True)
class Part:
    """One folder of a stage: what it is called, where it lies, and what defines its content.

    index: files outside the folder that name what is in it; they are removed before it is.
    """

    number: int
    title: str
    out: Path
    settings: dict[str, Any]
    needs: Sequence[Need] = ()
    index: Sequence[Path] = ()

    def made_of(self) -> dict[str, Any]:
        """{what: value} of all settings and of the states of all inputs."""
        inputs = {f"stage {need.stage}, {need.path.name}": _version(_state_of(need.path)) for need in self.needs}
        return _flat(self.settings) | inputs

    def fingerprint(self) -> str:
        """Hash of what the part is made of."""
        return hashlib.sha256(json.dumps(self.made_of(), sort_keys=True).encode()).hexdigest()

    def check_needs(self) -> None:
        """Check that every input is there, finished and up to date.

        Raises:
            UserError: naming the first input that is not, and the stage that makes it.
        """
        for need in self.needs:
            there, finished = need.path.exists(), _state_of(need.path).get("done", False)
            if not there or not finished:
                found = "not finished" if there else "gone, though it was made" if finished else "not there"
                force = " --force true" if finished and "files" not in _state_of(need.path) else ""
                raise UserError(
                    f"stage {self.number} ({self.title}) needs {need.path}, which is {found}: stage {need.stage} "
                    f"makes it, run with --stage {need.stage} --stop_stage {need.stage}{force} first"
                )
            if (changed := outdated_by(need.path)) is not None:
                raise UserError(
                    f"stage {self.number} ({self.title}) needs {need.path}, which is out of date, since {changed} "
                    f"was made anew after it; run with --stage {need.stage} first"
                )

    def check_inputs(self) -> None:
        """Check that the files of every input are as their stage wrote them.

        Raises:
            UserError: naming the first file that is not.
        """
        for folder, need in {_folder_of(need.path): need for need in self.needs}.items():
            if folder and (fault := _fault(folder, whole=not need.large)):
                raise UserError(
                    f"stage {self.number} ({self.title}) needs {need.path}, but {fault}: stage {need.stage} makes it "
                    f"again, run with --stage {need.stage} --stop_stage {need.stage} first"
                )

    def is_done(self) -> bool:
        """Whether the work is done, and its files are as they were written."""
        return self._has_ended() and _fault(self.out, whole=False) is None

    def is_other(self) -> bool:
        """Whether the folder holds work of other settings or inputs, which `begin` would remove."""
        state = _own_state(self.out)
        return bool(state) and state.get("fingerprint") != self.fingerprint()

    def begin(self, force: bool) -> None:
        """Prepare the folder: keep unfinished work of the same settings, remove work of others.

        If it is killed while it removes, nothing old is left that could be taken for new.

        Args:
            force: remove work of the same settings too.

        Raises:
            UserError: the folder holds files that no stage made, or its state cannot be read.
        """
        state, fingerprint = _own_state(self.out), self.fingerprint()
        if not state and self.out.is_dir() and any(not path.name.startswith(".") for path in self.out.iterdir()):
            raise UserError(
                f"{self.out}: holds files, but no {STATE_FILE} that says what they were made of; move them "
                "away, or choose another folder"
            )
        forced = state.get("forced", 0) + (force and bool(state))
        old = self.out.with_name(f".{self.out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        damage = None if force or not self._has_ended() else _fault(self.out, whole=False)
        if force or state.get("fingerprint") != fingerprint:
            for path in self.index:
                path.unlink(missing_ok=True)
            if state:
                why = "--force true" if force else _difference(state.get("made_of", {}), self.made_of())
                print(f"stage {self.number} ({self.title}): {why}, {self.out} is made anew", flush=True)
                self.out.rename(old)
        if damage:
            print(f"stage {self.number} ({self.title}): {damage}, it is made again", flush=True)
        self.out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.out)
        settled = _own_state(self.out).get("files")  # known if it was done once, and is redone because it was damaged
        self._write_state(forced, settled, done=False)
        if settled is not None:
            record.remove_for_redoing(self.out)
        shutil.rmtree(old, ignore_errors=True)

    def end(self) -> None:
        """Note that the work is done.

        If it was redone because it was damaged, what was built on it is outdated only if the files came out
        differently.
        """
        state, (num_files, changed) = _own_state(self.out), record.settle(self.out)
        forced = state.get("forced", 0) + (changed and state.get("files") is not None)
        self._write_state(forced, num_files, done=True)

    def note_error(self, text: str) -> None:
        """Note in the folder why the work failed, if it is still there and can be written to."""
        with suppress(OSError):
            if state := _own_state(self.out):
                write_json(self.out / STATE_FILE, state | {"error": text})

    def standing(self) -> str:
        """How the work stands: `done`, `running`, `failed: WHY`, `stopped`, `made of other settings or inputs`, `out of
        date`, `damaged` or `not begun`. Where there are thousands of files, damage is not looked for.
        """
        state = _own_state(self.out)
        if is_held(self.out):
            return "running"
        if not state:
            return "not begun"
        if self.is_other():
            return "made of other settings or inputs"
        if not state.get("done"):
            return f"failed: {state['error']}" if "error" in state else "stopped"
        if outdated_by(self.out) is not None:
            return "out of date"
        return "damaged" if (state.get("files") or 0) <= QUICKLY_SEEN and _fault(self.out, whole=False) else "done"

    def _has_ended(self) -> bool:
        state = _own_state(self.out)
        return bool(state.get("done")) and state.get("fingerprint") == self.fingerprint()

    def _write_state(self, forced: int, num_files: int | None, done: bool) -> None:
        inputs = {os.path.relpath(need.path, self.out): _version(_state_of(need.path)) for need in self.needs}
        write_json(
            self.out / STATE_FILE,
            {
                "fingerprint": self.fingerprint(),
                "made_of": self.made_of(),
                "inputs": inputs,
                "forced": forced,
                "files": num_files,
                "done": done,
            },
        )


def run_part(part: Part, force: bool, work: Callable[[], None], elsewhere: Callable[[], None] | None = None) -> None:
    """Do the work of a part's folder, unless it is done already.

    Of the processes of one distributed training only the first manages the folder.

    Args:
        part: the folder and what defines it.
        force: do the work even if it is done.
        work: imports by itself what is heavy. It finds the folder empty, or with the unfinished result of an
            interrupted run of the same settings, which it continues.
        elsewhere: has the part done by a job that calls this function without force (base.jobs.training_job).

    Raises:
        UserError: an input is missing or damaged, or another process is at work in the folder.
    """
    part.check_needs()
    if part.is_done() and not force:  # all processes see the same: none ends before all are at work
        if rank() == 0:
            print(f"stage {part.number} ({part.title}): done already in {part.out}; --force true redoes it", flush=True)
        return
    if rank() > 0:
        work()
        return
    start = time.monotonic()
    try:
        if elsewhere is None:
            _do(part, force, work)
        else:
            _have_done(part, force, elsewhere)
    except KeyboardInterrupt as stop:
        raise type(stop)(GO_ON_FORCED if force else GO_ON) from stop
    print(f"stage {part.number} ({part.title}): done in {time.monotonic() - start:.0f} s, see {part.out}", flush=True)


def at_work() -> str:
    """What this process makes: the part's folder, and what it is made of and how often; empty outside of any."""
    return _AT_WORK.get()


def _do(part: Part, force: bool, work: Callable[[], None]) -> None:
    part.check_inputs()
    with alone_in(part.out):
        part.begin(force)
        token = _AT_WORK.set(f"{part.out}: {_version(_own_state(part.out))}")
        try:
            work()
        except Exception as err:
            part.note_error(_line_of(err, part.title) or f"{type(err).__name__}: {err}")
            raise
        finally:
            _AT_WORK.reset(token)
        part.end()


def _have_done(part: Part, force: bool, elsewhere: Callable[[], None]) -> None:
    if force:  # here, since the job may be run twice, and goes on the second time
        part.check_inputs()
        with alone_in(part.out):
            part.begin(force)
    elsewhere()


def damage_of(folder: Path) -> str | None:
    """What is wrong with a finished stage's files, all of them read; None if nothing is, or if it is not known."""
    return _fault(folder, whole=True) if _own_state(folder).get("done") else None


def settings_of(folder: Path) -> dict[str, Any]:
    """{"corpus.seed": 0, ...}: what the stage of this folder was begun with; empty where none was."""
    return _own_state(folder).get("made_of", {})


def outdated_by(path: Path) -> Path | None:
    """Find what was made anew after the work that a file or folder belongs to.

    Args:
        path: a stage's folder, or a file or folder in it.

    Returns:
        The input that changed since, of its stage or of one that it builds on; its own folder if that is not finished;
        None if all is up to date. An input that has moved elsewhere counts as unchanged.
    """
    folder = _folder_of(path)
    state = _own_state(folder) if folder else {}
    if folder and not state.get("done"):
        return folder
    for place, version in state.get("inputs", {}).items():
        need = Path(os.path.normpath(folder / place))
        now = _state_of(need)
        if now and _version(now) != version:
            return need
        if (earlier := outdated_by(need)) is not None:
            return earlier
    return None


def guarded(call: Callable[[], int | None], who: str, processes: Processes = ONE) -> int:
    """Run an entry point's work and turn what ends it early into one line and an exit status.

    Args:
        call: the work; what it returns is the status, None for 0.
        who: the entry point, as messages name it.
        processes: of the work, as `environment.settle` wants them.

    Returns:
        The status of `call`; 1 after an error that the user can mend, which is one line on stderr; 128 + the signal
        after Ctrl-C or SIGTERM, or where the output is no longer read. Any other error is raised.
    """
    with terminable() as stop:
        try:
            settle(processes)
            status = call() or 0
            sys.stdout.flush()
            return status
        except (KeyboardInterrupt, Exception) as err:
            interrupted = isinstance(err, KeyboardInterrupt)
            if interrupted or stop.number:
                if isinstance(err, Terminated):
                    stop.number = signal.SIGTERM  # which the work has handled by itself
                if rank() == 0:
                    print(f"\n{who}: {stop.word}; {(interrupted and str(err)) or GO_ON}", file=sys.stderr)
                return stop.status
            if isinstance(err, BrokenPipeError) and nobody_reads():
                return UNREAD
            line = _line_of(err, who)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            return 1


def _line_of(err: Exception, who: str) -> str | None:
    """What to say about an error that the user can mend; None for any other."""
    if isinstance(err, UserError):
        return str(err)
    if isinstance(err, OSError):
        place = f" ({os.fsdecode(err.filename)})" if err.filename else ""
        return f"{who}: {err.strerror or err}{place}{ADVICE.get(err.errno, '')}"
    return None


def _fault(folder: Path, whole: bool) -> str | None:
    """The first file of the folder that is not as it was written, and why; `whole` is that of `record.faults`."""
    wanted, found = _own_state(folder).get("files") or 0, len(record.read(folder))
    if found < wanted:
        return f"{folder / record.RECORD} names {found} files, but {wanted} were written"
    return next((f"{folder / name} {fault}" for name, fault in record.faults(folder, whole)), None)


def _own_state(folder: Path) -> dict[str, Any]:
    path, advice = folder / STATE_FILE, f"remove the folder {folder}, and run its stage again"
    state = read_json(path, advice) if path.is_file() else {}
    if not isinstance(state, dict):
        raise UserError(f"{path}: wanted a mapping, found {str(state)[:80]}; {advice}")
    if path.is_file() and not isinstance(state.get("fingerprint"), str):
        raise UserError(f"{path}: wanted a fingerprint in it, found {', '.join(state) or 'nothing'}; {advice}")
    return state


def _flat(settings: Any, name: str = "") -> dict[str, Any]:
    """Nested settings as {"optim.lr": 0.002, ...}, without those of the machine.

    What means the same number is the same number: 2e-3, which YAML reads as text, and 2.0 for 2.
    """
    if isinstance(settings, Mapping):
        parts = {f"{name}.{key}" if name else str(key): part for key, part in settings.items() if key not in MACHINE}
        flat = {key: value for place, part in parts.items() for key, value in _flat(part, place).items()}
        return flat or ({name: {}} if name else {})
    if isinstance(settings, (list, tuple)):
        return {name: [_flat(item) for item in settings]}
    if isinstance(settings, (int, float, str)) and not isinstance(settings, bool):
        try:
            return {name: float(settings)}
        except ValueError:
            pass
    return {name: settings if isinstance(settings, (bool, type(None))) else str(settings)}


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first difference, in words."""
    names = sorted(name for name in {*old, *new} if name not in old or name not in new or old[name] != new[name])
    if not old or not names:
        return "its settings or inputs changed"
    name, more = names[0], f" and {len(names) - 1} more" if len(names) > 1 else ""
    if name.startswith("stage "):
        return f"its input of {name} changed{more}"
    was, now = (_shown(values[name]) if name in values else "not set" for values in (old, new))
    return f"{name}{more} changed ({was} to {now})"


def _shown(value: Any) -> str:
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)


def _version(state: dict[str, Any]) -> str:
    """What stages that build on this one take into their fingerprints."""
    forced = state.get("forced", 0)
    return state.get("fingerprint", "") + (f", forced {forced}" if forced else "")


def _state_of(path: Path) -> dict[str, Any]:
    """State of the stage folder that `path` is or lies in; empty if there is none."""
    folder = _folder_of(path)
    return _own_state(folder) if folder else {}


def _folder_of(path: Path) -> Path | None:
    """The nearest stage folder that `path` is or lies in; None if there is none."""
    return next((folder for folder in (path, *path.parents) if _own_state(folder)), None)
