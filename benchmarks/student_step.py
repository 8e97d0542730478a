"""One training step of a student of WavLM's size, measured in a process of its own; prints JSON, or where time goes.

    python benchmarks/student_step.py --gradient training
    python benchmarks/student_step.py --device cuda --gradient training --profile

Mixtures of --seconds go through a WavLM of Base size with random weights and two heads; then come the loss, the
backward pass, and AdamW on the part that the paper fine-tunes. The teacher's embeddings are given. --gradient says how
far the backward pass goes: `everything` gives all weights a gradient; `training` those that the paper fine-tunes, the
top six layers and the positional convolution; `layers` only the top six layers. On a GPU a large product of matrices is
timed beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.matching.assignment import cosine_costs, set_loss
from wesep_mix.models.frontends import ssl
from wesep_mix.models.students import parallel_heads

WAVLM_BASE = json.dumps({"model_type": "wavlm", "do_normalize": False, "layerdrop": 0.0, "apply_spec_augment": False})
GRADIENTS = {  # which weights get one, by their names and whether the paper fine-tunes them
    "everything": lambda name, finetuned: True,
    "training": lambda name, finetuned: finetuned,
    "layers": lambda name, finetuned: finetuned and "pos_conv_embed" not in name,
}
DEFAULTS = {"cpu": (2, 4.0, "float32"), "cuda": (32, 7.0, "bf16")}  # mixtures, seconds of each, precision


def main(argv: list[str] | None = None) -> int:
    args = parsed(argv)
    return guarded(lambda: print(step_profile(args) if args.profile else json.dumps(step_cost(args))), "student step")


def parsed(argv: list[str] | None) -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", choices=DEFAULTS, default="cpu")
    options.add_argument("--gradient", choices=GRADIENTS, default="training")
    options.add_argument("--batch_size", type=int, help="mixtures; 2, on a GPU 32")
    options.add_argument("--seconds", type=float, help="length of a mixture; 4, on a GPU 7")
    options.add_argument("--precision", choices=("float32", "bf16"), help="float32; on a GPU bf16, under autocast")
    options.add_argument("--steps", type=int, default=3, help="steps, of which the median is taken, after one more")
    options.add_argument("--architecture", default=WAVLM_BASE, help="JSON of a model of `transformers`")
    options.add_argument("--finetuned_layers", type=int, default=6)
    options.add_argument("--profile", action="store_true", help="print what takes most of a step")
    args = options.parse_args(argv)
    for name, value in zip(("batch_size", "seconds", "precision"), DEFAULTS[args.device], strict=True):
        setattr(args, name, getattr(args, name) or value)
    return args


def step_cost(args: argparse.Namespace) -> dict[str, float]:
    """Seconds of CPU and of the clock; bytes held before the first step and at most; operations of a step, and what
    the device does in a second of a large product (0 on the CPU).

    On the CPU the bytes are all of this process's, on a GPU its tensors'. Raises: UserError without the device.
    """
    _, step = training_step(args)
    before = memory(args.device, at_most=False)
    flops = count_flops(step)  # in the step that is not timed: memory is laid out, kernels are chosen
    times = [timed(step, args.device) for _ in range(args.steps)]
    cpu_s, wall_s = (statistics.median(one) for one in zip(*times, strict=True))
    peak = memory(args.device, at_most=True)
    product = product_speed(args.device) if args.device == "cuda" else 0.0
    return {"cpu_s": cpu_s, "wall_s": wall_s, "before": before, "peak": peak, "flops": flops, "product": product}


def training_step(args: argparse.Namespace) -> tuple[nn.Module, Callable[[], None]]:
    """A student, and a function that takes a step on made mixtures."""
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: wanted a GPU for cuda, found none; leave --device out to measure on the CPU")
    torch.manual_seed(0)
    frontend = ssl.Config(architecture=args.architecture, finetuned_layers=args.finetuned_layers)
    student = plugins.build("students", parallel_heads.Config(frontend=frontend, num_spk=2)).to(args.device).train()
    optimizer = torch.optim.AdamW([weight for weight in student.parameters() if weight.requires_grad], lr=1e-5)
    for name, weight in student.named_parameters():
        weight.requires_grad_(GRADIENTS[args.gradient](name, weight.requires_grad))
    mix = 0.1 * torch.randn(args.batch_size, round(args.seconds * SAMPLE_RATE), device=args.device)
    reference = torch.randn(args.batch_size, 2, student.config.embedding_dim, device=args.device)
    reference = torch.nn.functional.normalize(reference, dim=-1)

    def step() -> None:
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = set_loss(cosine_costs(student(mix).embeddings, reference))
        loss.backward()
        optimizer.step()
        student.zero_grad()

    return student, step


def timed(work: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds of CPU (all threads) and of the clock; a GPU is waited for."""
    begin = time.process_time(), time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.process_time() - begin[0], time.perf_counter() - begin[1]


def count_flops(step: Callable[[], object]) -> int:
    """Floating point operations of products, convolutions and LSTMs, forward and back, as PyTorch counts them.

    In the backward pass of a convolution in groups it takes each group for all of them, and LSTMs it leaves out; here
    a convolution's costs what the forward pass does, once for each gradient that is wanted, and an LSTM's twice that.
    """

    def conv_backward(grad: Sequence[int], wav: Sequence[int], weight: Sequence[int], *more, **_) -> int:
        transposed, wanted = more[4], more[-1]  # the gradients of input, weight and bias
        places = torch.Size((wav if transposed else grad)[2:]).numel()  # each meets the whole weight
        return 2 * grad[0] * places * torch.Size(weight).numel() * sum(wanted[:2])

    def lstm(frames: Sequence[int], weights: Sequence[Sequence[int]], passes: int = 1) -> int:
        matrices = [torch.Size(weight).numel() for weight in weights if len(weight) == 2]
        return passes * 2 * frames[0] * frames[1] * sum(matrices)

    aten = torch.ops.aten
    formulas = {
        aten.convolution_backward: conv_backward,
        aten._cudnn_rnn: lambda frames, weights, *_, **__: lstm(frames, weights),
        aten._cudnn_rnn_backward: lambda frames, weights, *_, **__: lstm(frames, weights, passes=2),
        aten.mkldnn_rnn_layer: lambda frames, one, other, *_, **__: lstm(frames, (one, other)),
        aten.mkldnn_rnn_layer_backward: lambda frames, one, other, *_, **__: lstm(frames, (one, other), passes=2),
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        step()
    return counter.get_total_flops()


def product_speed(device: str, dtype: torch.dtype = torch.bfloat16, size: int = 8192, repeats: int = 20) -> float:
    """Floating point operations a second of products of square matrices, best of three tries."""
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def products() -> None:
        for _ in range(repeats):
            one @ other

    timed(products, device)
    return 2 * size**3 * repeats / min(timed(products, device)[1] for _ in range(3))


def step_profile(args: argparse.Namespace) -> str:
    """The operations that take most of a step."""
    _, step = training_step(args)
    timed(step, args.device)
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if args.device == "cuda" else [])
    with profile(activities=activities) as found:
        for _ in range(args.steps):
            timed(step, args.device)
    return found.key_averages().table(sort_by=f"self_{args.device}_time_total", row_limit=20)


def memory(device: str, at_most: bool) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() if at_most else torch.cuda.memory_allocated()
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(rows["VmHWM" if at_most else "VmRSS"].split()[0])  # resource's figure has the parent's in it


if __name__ == "__main__":
    sys.exit(main())
