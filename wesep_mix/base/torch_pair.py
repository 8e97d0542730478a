"""Whether the installed torch and torchaudio load together, and one line for the user if they do not.

torchaudio's compiled part needs symbols of the torch that it was built for. Its metadata does not say which, so pip
can install two releases that fail at the first import, with a traceback that names neither. This module does not import
them at its top, so that it can be asked before anything else.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAIR = ("torch", "torchaudio")
LACKS = re.compile(r"undefined symbol: \w+|lib\w+\.so[\w.]*: cannot open shared object file")


def problem() -> str | None:
    """Import both; return one line on why that fails, None if it works."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError, RuntimeError) as err:
        return explain(err) or f"torchaudio does not import: {type(err).__name__}: {' '.join(str(err).split())}"
    return None


def explain(err: BaseException) -> str | None:
    """The line for the error of two releases that do not fit; None for any other error."""
    said = [str(one) for one in _chain(err)]
    if not any("libtorchaudio" in text or "_torchaudio" in text for text in said):
        return None
    found = next((lack for text in said if (lack := LACKS.search(text))), None)
    lacks = f" ({found[0]})" if found else ""
    torch, torchaudio = (_release(name) for name in PAIR)
    return (
        f"torch {torch} and torchaudio {torchaudio} do not load together{lacks}: torchaudio was built for another "
        f"torch; install the pair of tools/requirements.lock ({_shown(locked())}), or leave this environment "
        "(deactivate) and let run.sh make its own"
    )


def locked(lock: Path = Path(__file__).parents[2] / "tools" / "requirements.lock") -> dict[str, str]:
    """{torch: release, torchaudio: release} from the lock file; empty if there is none."""
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    rows = (line.split(";")[0].strip().partition("==") for line in lines)
    return {name: release for name, _, release in rows if name in PAIR}


def _chain(err: BaseException | None) -> Iterator[BaseException]:
    """The error, and the errors that led to it."""
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


def _release(name: str) -> str:
    """The installed release with its build, as in 2.14.1+cpu: a CPU and a GPU build do not fit each other either."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _shown(pair: dict[str, str]) -> str:
    return ", ".join(f"{name}=={release}" for name, release in pair.items()) or "not there"


def main(argv: list[str] | None = None) -> int:
    """Print the problem; return status 1 if there is one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--known",
        type=Path,
        help="lock file of two releases that are known to load: if these are installed, nothing is tried",
    )
    args = options.parse_args(argv)
    known = locked(args.known) if args.known else {}
    if known and known == {name: _release(name) for name in PAIR}:
        return 0
    if (found := problem()) is not None:
        print(found)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
