"""WeSep's own programs, run as they are: in which environment, from which checkout, and what their packages are."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.base.errors import UserError

# {what a program imports: the package that has it}; wespeaker and silero_vad are imported too, and stood in for
IMPORTED = {
    "torch": "torch",
    "torchaudio": "torchaudio",
    "auraloss": "auraloss",
    "fire": "fire",
    "joblib": "joblib",
    "kaldiio": "kaldiio",
    "matplotlib": "matplotlib",
    "mir_eval": "mir_eval",
    "pesq": "pesq",
    "pystoi": "pystoi",
    "requests": "requests",
    "scipy": "scipy",
    "soundfile": "soundfile",
    "tableprint": "tableprint",
    "torchmetrics": "torchmetrics",
    "tqdm": "tqdm",
    "yaml": "pyyaml",
}
PATIENCE_S = 30  # for a launcher to end its processes
ASK = "import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"


@dataclass(frozen=True)
class Installation:
    """A checkout of WeSep and how it is run.

    Attributes:
        checkout: its folder, which is read only.
        python: the Python that has WeSep's packages.
        shim: a folder whose sitecustomize.py does what a machine without a GPU needs.
        on_gpu: whether it may see GPUs.
        threads: of each process.
    """

    checkout: Path
    python: str
    shim: Path
    on_gpu: bool = False
    threads: int = 1

    def check(self) -> None:
        """Look for WeSep and its packages. Raises: UserError naming what is not there."""
        for name in ("wesep/bin/train.py", "wesep/bin/infer.py"):
            if not (self.checkout / name).is_file():
                raise UserError(
                    f"{self.checkout}: wanted a checkout of WeSep's legacy layout, found no {name}; "
                    "git clone https://github.com/wenet-e2e/wesep"
                )
        try:
            asked = subprocess.run([self.python, "-c", ASK, *IMPORTED], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as err:
            raise UserError(f"{self.python}: wanted the Python that WeSep runs in, it does not run ({err})") from err
        missing = [IMPORTED[name] for name in asked.stdout.split()]
        if missing:
            raise UserError(
                f"WeSep needs packages that {self.python} does not have: {', '.join(missing)}; install them there "
                f"({self.python} -m pip install {' '.join(missing)}), or name another Python with --wesep_python"
            )

    def environment(self) -> dict[str, str]:
        """The variables that its programs run with; nothing is written into the checkout."""
        paths = [str(self.shim.resolve()), str(self.checkout), os.environ.get("PYTHONPATH", "")]
        hidden = {} if self.on_gpu else {"CUDA_VISIBLE_DEVICES": ""}
        return {
            **os.environ,
            **hidden,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "UTF-8",
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": str(self.threads),
        }

    def run(self, command: Sequence[str], what: str) -> None:
        """Run a program, whose output goes where ours does.

        Args:
            command: the program and its options.
            what: what it does, for the error.

        Raises:
            UserError: it failed.
        """
        print(f"+ {shlex.join(command)}", flush=True)
        with subprocess.Popen(list(command), env=self.environment()) as child:
            try:
                status = child.wait()
            except BaseException:
                child.send_signal(signal.SIGTERM)  # its own processes end with it
                try:
                    child.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    child.kill()
                raise
        if status:
            raise UserError(f"WeSep's {what} ended with status {status}; what it said stands above")

    def version(self) -> str:
        """A number of its sources' content, which changes with them."""
        digest = hashlib.sha256()
        for path in sorted((self.checkout / "wesep").rglob("*.py")):
            digest.update(str(path.relative_to(self.checkout)).encode() + path.read_bytes())
        return digest.hexdigest()


def default_python() -> str:
    """The Python that runs this program."""
    return sys.executable
