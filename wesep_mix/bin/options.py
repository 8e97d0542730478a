"""Options that entry points share."""

from __future__ import annotations

import argparse
from pathlib import Path

from wesep_mix.base.environment import ONE, Processes
from wesep_mix.base.errors import UserError
from wesep_mix.base.jobs import TRAIN_CMD, wrapper


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with --set and --force; the description is the entry point's docstring."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value")
    options.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
    return options


def add_process_options(options: argparse.ArgumentParser) -> None:
    """Add --ngpu, --num_nodes and --num_procs to a training's parser; `processes_of` reads them."""
    options.add_argument("--ngpu", type=int, default=0, help="GPUs of each machine; 0 trains on the CPU")
    options.add_argument("--num_nodes", type=int, default=1, help="machines, each with a task for each process [1]")
    options.add_argument("--num_procs", type=int, default=1, help="processes of each machine, on the CPU [1]")


def processes_of(args: argparse.Namespace) -> Processes:
    """The processes that the options of `add_process_options` ask for."""
    try:
        return Processes(args.ngpu, args.num_nodes, args.num_procs)
    except UserError as err:
        raise SystemExit(f"error: {err}") from err


def processes_here(args: argparse.Namespace) -> Processes:
    """Those among which this process is: those of the training, or one that waits for its job."""
    return ONE if wrapper(TRAIN_CMD) else processes_of(args)


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


def recording_parser(description: str) -> argparse.ArgumentParser:
    """A parser for commands on a recording of one's own; the description is the module's docstring."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("recording", type=Path, help="audio file: any format, rate, channels and length")
    add_model_options(made)
    made.add_argument("--channel", default="mix", metavar="mix|N", help="mean of all channels, or one, from 1 [mix]")
    made.add_argument("--json", action="store_true", help="print the result as JSON on stdout, and nothing else there")
    return made


def add_model_options(made: argparse.ArgumentParser) -> None:
    """Add --model and --device to a parser."""
    made.add_argument(
        "--model",
        metavar="DIR",
        help="a model's folder or the name of one that came with the package "
        "[$WESEP_MIX_MODEL, else the first that came with it]",
    )
    made.add_argument("--device", default="cpu", help="as torch names it: cpu, cuda, cuda:1 [cpu]")
