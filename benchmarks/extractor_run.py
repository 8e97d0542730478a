"""DPCCN or SpEx+ at work in a process of its own, as ours or as WeSep's, with the same weights; prints JSON.

    python benchmarks/extractor_run.py --model spexplus --work step
    python benchmarks/extractor_run.py --model spexplus --work step --wesep WESEP

A step is estimates, SI-SNR with WeSep's weights, the backward pass, Adam; inference is on one mixture. With --results
what came out is kept: the estimate, or the loss and all gradients of the first step under WeSep's names.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from student_step import count_flops, memory, product_speed, timed
from torch import Tensor, nn

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.losses.signal import extraction_loss
from wesep_mix.models.layers.network import estimates
from wesep_mix.wesep import weights
from wesep_mix.wesep.names import to_wesep
from wesep_mix.wesep.settings import config_from_wesep

MODELS: dict[str, tuple[str, dict[str, Any]]] = {  # WeSep's class, and its keyword arguments in WeSep's recipes
    "dpccn": ("DPCCN", {"joint_training": False}),
    "spexplus": (
        "ConvTasNet",
        {"N": 256, "L": 20, "B": 256, "H": 512, "R": 4, "joint_training": False, "use_spk_transform": False},
    ),
}
WEIGHTS = {1: (1.0,), 3: (0.8, 0.1, 0.1)}  # of the estimates in the loss
DEFAULTS = {"step": (2, 3.0), "inference": (1, 5.0)}  # mixtures, seconds of each
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def main(argv: list[str] | None = None) -> int:
    args = parsed(argv)
    return guarded(lambda: print(json.dumps(cost(args))), "extractor run")


def parsed(argv: list[str] | None) -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", choices=MODELS, required=True)
    options.add_argument("--work", choices=DEFAULTS, default="step")
    options.add_argument("--wesep", type=Path, help="folder of a WeSep checkout: its module, not ours")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--precision", choices=DTYPES, default="float32", help="bf16: under autocast")
    options.add_argument("--batch_size", type=int, help="mixtures; 2 in a step, 1 in inference")
    options.add_argument("--seconds", type=float, help="length of a mixture; 3 in a step, 5 in inference")
    options.add_argument("--repeats", type=int, default=3, help="of which the median is taken, after one more")
    options.add_argument("--threads", type=int, default=2, help="of the CPU")
    options.add_argument("--settings", type=json.loads, default={}, help="JSON of changes to WeSep's recipe")
    options.add_argument("--results", type=Path, help="where to keep what came out, .npz")
    args = options.parse_args(argv)
    for name, value in zip(("batch_size", "seconds"), DEFAULTS[args.work], strict=True):
        setattr(args, name, getattr(args, name) or value)
    return args


def cost(args: argparse.Namespace) -> dict[str, float]:
    """Seconds of CPU and of the clock; bytes held before the work and at most; on a GPU its operations as well, and
    what the device does in a second of a large product.

    On the CPU the bytes are all of this process's, on a GPU its tensors'. Raises: UserError without the device.
    """
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: wanted a GPU for cuda, found none; leave --device out to measure on the CPU")
    torch.set_num_threads(args.threads)
    network = built(args)
    work = Step(args, network) if args.work == "step" else Inference(args, network)
    before = memory(args.device, at_most=False)
    flops, product = 0, 0.0
    if args.device == "cuda":
        flops, product = count_flops(work), product_speed(args.device, DTYPES[args.precision])
        torch.cuda.reset_peak_memory_stats()
    else:
        work()
    if args.results:
        np.savez(args.results, **work.results())
    times = [timed(work, args.device) for _ in range(args.repeats)]
    cpu_s, wall_s = (statistics.median(one) for one in zip(*times, strict=True))
    peak = memory(args.device, at_most=True)
    return {"cpu_s": cpu_s, "wall_s": wall_s, "before": before, "peak": peak, "flops": flops, "product": product}


def built(args: argparse.Namespace) -> Network:
    """Our extractor or WeSep's, with weights that depend on the settings only."""
    name, settings = MODELS[args.model]
    settings = {**settings, **args.settings}
    config = config_from_wesep(name, settings)
    torch.manual_seed(0)
    ours = plugins.build("extractors", config)
    with torch.no_grad():
        for weight in ours.parameters():  # no norm or fusion that does nothing
            weight += 0.01 * torch.randn_like(weight)
    state = to_wesep(config, ours.state_dict())
    if args.wesep is None:
        return Network(weights.build(name, settings, state), config)
    theirs = wesep_class(args.wesep, name)(**settings)
    theirs.load_state_dict(state)
    return Network(theirs, config)


def wesep_class(folder: Path, name: str) -> type[nn.Module]:
    """A model's class from a checkout. Of its packages only what the model needs is read: the rest of them wants
    software that has no part in this. Raises: UserError when the folder is not a checkout.
    """
    file = {"DPCCN": "dpccn", "ConvTasNet": "convtasnet"}[name]
    if not (folder / "wesep" / "models" / f"{file}.py").is_file():
        raise UserError(f"{folder}: wanted the folder of a WeSep checkout, found no wesep/models/{file}.py in it")
    for package in ("wesep", "wesep.models"):  # in place of an __init__ that imports everything
        sys.modules[package] = stand_in = ModuleType(package)
        stand_in.__path__ = [str(folder.joinpath(*package.split(".")))]
    for package in ("wespeaker", "wespeaker.models", "wespeaker.models.speaker_model"):
        sys.modules[package] = ModuleType(package)
    sys.modules["wespeaker.models.speaker_model"].get_speaker_model = None  # the embedding is given, nothing is made
    return getattr(importlib.import_module(f"wesep.models.{file}"), name)


class Network(nn.Module):
    """Either side's extractor with our interface for the loss."""

    def __init__(self, extractor: nn.Module, config: Any):
        super().__init__()
        self.extractor, self.config = extractor, config
        self.ours = type(extractor).__module__.startswith("wesep_mix.")

    def forward(self, mix: Tensor, emb: Tensor, count: int | None = None) -> Tensor:
        """float32 [B, T], [B, D] -> the first `count` of the estimates, float32 [B, K, T]."""
        if self.ours:
            return self.extractor(mix, emb).unsqueeze(1) if count == 1 else estimates(self.extractor, mix, emb)
        found = self.extractor(mix, emb)
        if isinstance(found, tuple):  # with a prediction of who speaks
            found = [found[0]]
        return torch.stack([est.view(mix.shape[0], -1).float() for est in found[:count]], 1)

    def gradients(self) -> dict[str, Tensor]:
        found = {name: weight.grad for name, weight in self.extractor.named_parameters()}
        return to_wesep(self.config, found) if self.ours else found


class Work:
    def __init__(self, args: argparse.Namespace, network: Network):
        torch.manual_seed(1)
        length = round(args.seconds * SAMPLE_RATE)
        self.network = network.to(args.device)
        self.mix, self.target = (0.1 * torch.randn(args.batch_size, length).to(args.device) for _ in range(2))
        self.emb = torch.randn(args.batch_size, network.config.embedding_dim).to(args.device)
        self.autocast = lambda: torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16")


class Step(Work):
    def __init__(self, args: argparse.Namespace, network: Network):
        super().__init__(args, network.train())
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        with self.autocast():
            ests = self.network(self.mix, self.emb)
        weights = WEIGHTS[ests.shape[1]]
        loss = extraction_loss(ests.float(), self.target[:, : ests.shape[2]], "si_snr", weights)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()  # with its graph it would hold memory in the next step

    def results(self) -> dict[str, np.ndarray]:
        """Of the step that was just taken."""
        found = {name: grad.cpu().numpy() for name, grad in self.network.gradients().items() if grad is not None}
        return {"loss": self.loss.cpu().numpy(), **found}


class Inference(Work):
    def __init__(self, args: argparse.Namespace, network: Network):
        super().__init__(args, network.eval())

    def __call__(self) -> None:
        with torch.inference_mode(), self.autocast():
            self.est = self.network(self.mix, self.emb, 1)[:, 0]

    def results(self) -> dict[str, np.ndarray]:
        return {"estimate": self.est.cpu().numpy()}


if __name__ == "__main__":
    sys.exit(main())
