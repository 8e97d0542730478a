"""Options that entry points share."""

from __future__ import annotations

import argparse


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with --set and --force; the description is the entry point's docstring."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value")
    options.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
    return options


def boolean(text: str) -> bool:
    """Read an option's true or false.

    Args:
        text: what the user wrote.

    Returns:
        Its value.

    Raises:
        ArgumentTypeError: it is neither.
    """
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"wanted true or false, found {text}")
    return text == "true"
