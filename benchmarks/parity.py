"""How far our DPCCN and SpEx+ are from WeSep's own with the same weights, over many settings.

    git clone https://github.com/wenet-e2e/wesep
    python benchmarks/parity.py wesep --num 150

Settings are drawn from CHOICES, weights and inputs at random; WeSep's outputs become references such as check_parity
reads, and go the same way. Settings that WeSep itself cannot run are counted and replaced.

Printed is a Markdown table: the largest deviation over the reference's standard deviation. Status 1 where one is over
check_parity's limit.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extractor_run import wesep_class
from torch import nn
from tqdm import tqdm

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.bin.check_parity import LIMIT
from wesep_mix.report.tables import Table
from wesep_mix.wesep.weights import parity

FUSIONS = ("concat", "additive", "multiply", "FiLM")
FRAMES = tuple(
    {"win": win, "stride": stride, "feature_dim": win // 2 + 1}
    for win, stride in ((256, 64), (256, 112), (256, 128), (256, 160), (512, 128), (512, 256), (1024, 256))
)
EMBEDDINGS = (  # WeSep's transform of the embedding takes 256 values only
    {"spk_emb_dim": 16, "use_spk_transform": False},
    {"spk_emb_dim": 64, "use_spk_transform": False},
    {"spk_emb_dim": 256, "use_spk_transform": True},
)
CHOICES: dict[str, dict[str, tuple]] = {  # by WeSep's class; `*` names several arguments at once
    "DPCCN": {
        "*frames": FRAMES,
        "*embedding": EMBEDDINGS,
        "spk_fuse_type": FUSIONS,
        "tcn_blocks": (1, 3),
        "tcn_layers": (1, 2),
        "causal": (False, True),
        "pool_size": ((4, 8, 16, 32), (2, 3, 5, 7), (1, 2, 4, 8)),
        "*kernel": ({"kernel_size": (3, 3), "paddings": (1, 1)}, {"kernel_size": (3, 5), "paddings": (1, 2)}),
    },
    "ConvTasNet": {
        "*embedding": EMBEDDINGS,
        "spk_fuse_type": ("concatConv", *FUSIONS),
        "N": (8, 24),
        "L": (16, 20, 40),
        "B": (6, 16),
        "H": (10, 24),
        "P": (3, 5),
        "X": (2, 4),
        "R": (1, 3),
        "norm": ("gLN", "cLN", "BN"),
        "activate": ("relu", "sigmoid"),
        "causal": (False, True),
        "skip_con": (False, True),
    },
}
TITLES = {"DPCCN": "DPCCN", "ConvTasNet": "SpEx+"}


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("wesep", type=Path, help="folder of a WeSep checkout")
    options.add_argument("--models", nargs="+", choices=CHOICES, default=list(CHOICES), help="WeSep's names")
    options.add_argument("--num", type=int, default=150, help="settings in all")
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args(argv)
    return guarded(lambda: _compare(args), "parity")


def _compare(args: argparse.Namespace) -> int:
    found: dict[tuple[str, str], list[float]] = {}
    failed: list[str] = []
    bar = tqdm(total=len(args.models) * (args.num // len(args.models)), unit="setting")
    for name in args.models:
        cls = wesep_class(args.wesep, name)
        for settings, deviation in _deviations(cls, name, args.num // len(args.models), args.seed, failed):
            found.setdefault((name, settings["spk_fuse_type"]), []).append(deviation)
            bar.update()
    bar.close()
    table = Table(
        ("model, fusion", "settings", "largest deviation", f"over {LIMIT:.0e}"),
        [
            (f"{TITLES[name]}, {fusion}", str(len(each)), f"{max(each):.1e}", str(sum(one >= LIMIT for one in each)))
            for (name, fusion), each in sorted(found.items())
        ],
    )
    print(
        f"Seed {args.seed}, revision {revision()}, {date.today()}; WeSep itself failed on {len(failed)} more.\n\n"
        f"{table.markdown()}"
    )
    return int(any(one >= LIMIT for each in found.values() for one in each))


def _deviations(
    cls: type[nn.Module], name: str, num: int, seed: int, failed: list[str]
) -> Iterator[tuple[dict[str, Any], float]]:
    draw = random.Random(f"{seed} {name}")
    while num:
        settings = drawn(CHOICES[name], draw)
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = reference(cls, name, settings, _length(settings, draw), Path(folder))
            except (RuntimeError, ValueError, TypeError) as err:
                failed.append(f"{name} {settings}: {err}")
                if len(failed) > 100 + num:
                    raise UserError(f"{name}: WeSep runs hardly any of these settings ({err})") from err
                continue
            yield settings, max(parity(path))
        num -= 1


def drawn(choices: Mapping[str, tuple], draw: random.Random) -> dict[str, Any]:
    """One value of each; `*` names hold several arguments."""
    settings: dict[str, Any] = {"joint_training": False}
    for key, values in choices.items():
        value = draw.choice(values)
        settings |= value if key.startswith("*") else {key: value}
    return settings


def reference(cls: type[nn.Module], name: str, settings: Mapping[str, Any], num_samples: int, folder: Path) -> Path:
    """WeSep's module with these settings and random weights, and what it makes of noise: the format of wesep.parity."""
    torch.manual_seed(num_samples)
    theirs = cls(**settings).eval()
    state = {key: _at_work(key, value) for key, value in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    mix, emb = torch.randn(2, num_samples), torch.randn(2, settings["spk_emb_dim"])
    with torch.inference_mode():
        ests = theirs(mix, emb)
    ests = [ests[0]] if name == "DPCCN" else ests  # the second is a prediction of who speaks
    np.savez(
        folder / "made.npz",
        mix=mix,
        emb=emb,
        **{f"state/{key}": value for key, value in state.items()},
        **{f"est/{place}": est.view(2, -1) for place, est in enumerate(ests)},
    )
    (folder / "made.json").write_text(json.dumps({"model": name, "args": dict(settings)}), encoding="utf-8")
    return folder / "made.npz"


def _length(settings: Mapping[str, Any], draw: random.Random) -> int:
    """Any length at which DPCCN does not end in a click (models.layers.stft), whose rounding would be compared."""
    num_samples = draw.randint(2000, 9000)
    if "stride" not in settings:
        return num_samples
    beyond = num_samples % settings["stride"]
    return num_samples - beyond + min(beyond, 3 * settings["win"] // 8)


def _at_work(key: str, value: torch.Tensor) -> torch.Tensor:
    """No norm or fusion that does nothing: what begins as nothing or as one is random."""
    if not value.is_floating_point():
        return value
    if key.endswith("running_var"):
        return value.uniform_(0.5, 2)
    return value + 0.1 * torch.randn_like(value)


if __name__ == "__main__":
    sys.exit(main())
