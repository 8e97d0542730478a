"""One entry point a stage: `python -m wesep_mix.bin.NAME` parses arguments, calls the package, returns a status."""

import sys

from wesep_mix.base.stops import end_at_once

if sys.argv[:1] == ["-m"]:  # while Python looks for the entry point; a program that imports this handles signals itself
    end_at_once()
