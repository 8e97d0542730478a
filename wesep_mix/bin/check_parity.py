"""Compare outputs of our DPCCN or SpEx+ with those of WeSep's own with the same weights.

    python -m wesep_mix.bin.check_parity FILE.npz

FILE.npz holds WeSep's weights, inputs and outputs, FILE.json beside it its settings (see wesep_mix/wesep/weights.py).
Prints the largest deviation over the reference's standard deviation; the status is 0 when that is under 1e-4. Of a
DPCCN with a hop over 3/8 of n_fft, whose output ends in a click, the last window does not count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.stage import guarded

LIMIT = 1e-4


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("file", type=Path, help="the reference: state/NAME, mix, emb and est/0, ...")
    args = options.parse_args(argv)
    return guarded(lambda: _check(args.file), "check_parity")


def _check(path: Path) -> int:
    from wesep_mix.wesep.weights import parity

    deviations = parity(path)
    largest = max(deviations)
    agrees = largest < LIMIT
    each = ", ".join(f"est/{place} {value:.1e}" for place, value in enumerate(deviations))
    print(
        f"{path}: largest deviation over the reference's standard deviation {largest:.2e} ({each}): "
        f"{'agrees' if agrees else 'differs'}, limit {LIMIT:.0e}"
    )
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
