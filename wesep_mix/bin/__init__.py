"""One entry point a stage: `python -m wesep_mix.bin.NAME`, parse arguments, call the package, return a status."""

import sys

from wesep_mix.base.stops import end_at_once

if sys.argv[:1] == ["-m"]:  # Python looks for the entry point here; a program that imports this has signals of its own
    end_at_once()
