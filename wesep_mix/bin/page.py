"""A page in the browser for recordings of one's own: drop one or make one, hear its talkers, pick, compare, download.

    wesep-mix page --model my_model

It is served on this machine alone, unless --host says otherwise (0.0.0.0: to all who reach this machine, without a
password; browsers let such pages record only over https). An upload is deleted when its talkers were extracted, what is
made of it when its browser tab closes, and all of it when the page ends.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import how_to_get, is_there
from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import add_model_options


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--port", type=int, metavar="N", help="[the first free one from 7860 on]")
    options.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to be reached at [127.0.0.1]")
    add_model_options(options)
    args = options.parse_args(argv)
    return guarded(lambda: _page(args), "page")


def _page(args: argparse.Namespace) -> None:
    if not is_there("page"):
        raise UserError(f"page: {how_to_get('page')}")
    with tempfile.TemporaryDirectory(prefix="wesep_mix.page.") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}  # are read on import
        from wesep_mix.page.app import serve

        serve(Path(folder), args.model, args.device, args.host, args.port)


if __name__ == "__main__":
    sys.exit(main())
