"""`wesep-mix COMMAND [OPTION...]`, or `python -m wesep_mix COMMAND`: runs an entry point of wesep_mix.bin."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

from wesep_mix.base.stage import guarded

BIN = Path(__file__).parent / "bin"
NO_COMMANDS = ("__init__", "options", "status")  # the last is run.sh's
OWN = ("candidates", "extract", "pick", "track", "page", "models")  # for people with a recording; else: the recipe's


def main(argv: list[str] | None = None) -> int:
    """Run a command with the options behind it; return its status, or 2 if there is no such command."""
    command, *options = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in ("-h", "--help"):
        return guarded(lambda: print(_help()), "wesep-mix")
    if command not in commands():
        print(f"wesep-mix: no command {command!r}; there are: {', '.join(commands())}", file=sys.stderr)
        return 2
    sys.argv[0] = f"wesep-mix {command}"  # as usage lines begin
    return importlib.import_module(f"wesep_mix.bin.{command}").main(options)


def commands() -> list[str]:
    """Names of all commands: the files in wesep_mix/bin."""
    return sorted(path.stem for path in BIN.glob("*.py") if path.stem not in NO_COMMANDS)


def _help() -> str:
    """Every command with the first line of its module's docstring; no module is imported for this."""
    wide = max(map(len, commands()))
    lines = {name: f"  {name:{wide}}  {_first_line(BIN / f'{name}.py')}" for name in commands()}
    own, others = [lines.pop(name) for name in OWN], lines.values()
    usage = "usage: wesep-mix COMMAND [OPTION...]; wesep-mix COMMAND --help lists its options"
    return "\n".join([usage, "", "on a recording of your own:", *own, "", "the recipe:", *others])


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
