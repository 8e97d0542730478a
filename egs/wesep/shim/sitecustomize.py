"""What WeSep's programs need besides themselves. Python imports it by itself where this folder is on PYTHONPATH.

Where no GPU is seen, calls of CUDA do their work on the CPU, and processes speak through gloo instead of nccl. Where
torchaudio reads no file by itself (from 2.9 on without torchcodec), soundfile reads it. Packages that are imported, but
not called when the embedding is given, have stand-ins where they lack, which say so when they are called.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NEVER_CALLED = {"wespeaker"}  # it does not import beside torchaudio 2.9
SELDOM_CALLED = {"h5py", "librosa", "lmdb", "silero_vad", "thop"}  # noise, DNSMOS, enrolments, sizes of networks


class Absent:
    """What a stand-in's name leads to."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *_, **__):
        raise ImportError(f"{self.name} is called, which needs the package {self.name.partition('.')[0]}: install it")


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the packages of these names, with all modules and names that are asked for."""

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        def absent(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Absent(f"{module.__name__}.{name}")

        module.__getattr__ = absent


def strtobool(text):
    """distutils had it up to Python 3.11."""
    if text.lower() in ("y", "yes", "t", "true", "on", "1"):
        return 1
    if text.lower() in ("n", "no", "f", "false", "off", "0"):
        return 0
    raise ValueError(f"no truth value: {text}")


def stand_in():
    sys.meta_path.insert(0, StandIns(NEVER_CALLED))
    sys.meta_path.append(StandIns(SELDOM_CALLED))
    if sys.version_info >= (3, 12) and importlib.util.find_spec("distutils") is None:
        sys.meta_path.append(StandIns({"distutils"}))
        importlib.import_module("distutils.util").strtobool = strtobool


def on_the_cpu(torch):
    """CUDA's calls of WeSep's training, on the CPU."""
    from torch import distributed

    def here(value):
        cuda = isinstance(value, (str, torch.device)) and str(value).startswith("cuda")
        return torch.device("cpu") if cuda else value

    def moved(to):
        def call(self, *args, **options):
            return to(self, *map(here, args), **{key: here(value) for key, value in options.items()})

        return call

    begin, wait = distributed.init_process_group, distributed.barrier
    distributed.init_process_group = lambda backend=None, **options: begin(backend="gloo", **options)
    distributed.barrier = lambda *args, **options: wait(*args, **{**options, "device_ids": None})
    torch.cuda.set_device = lambda device: None
    torch.Tensor.to, torch.nn.Module.to = moved(torch.Tensor.to), moved(torch.nn.Module.to)
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self


def read_by_soundfile(torch, torchaudio):
    """torchaudio.load for wavs, as WeSep calls it: a path or an open file -> float32 [channels, T], rate."""
    import soundfile

    def load(file, *_, **__):
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), rate

    torchaudio.load = load


def others():
    """The sitecustomize that would have been imported without this one."""
    paths = [path for path in sys.path if os.path.abspath(path or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def prepare():
    others()
    stand_in()
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if not torch.cuda.is_available():
        on_the_cpu(torch)
    if importlib.util.find_spec("torchaudio") is not None and importlib.util.find_spec("torchcodec") is None:
        import torchaudio

        if hasattr(torchaudio, "load_with_torchcodec"):
            read_by_soundfile(torch, torchaudio)


prepare()
