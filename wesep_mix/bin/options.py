"""Options that all entry points share."""

from __future__ import annotations

import argparse


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with --set and --force; the description is the module's docstring."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value")
    made.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
    return made


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"wanted true or false, found {text}")
    return text == "true"
