"""Version and dependencies of wesep_mix. `bash run.sh` installs this into .venv by itself."""

import re
from pathlib import Path

from setuptools import find_packages, setup

INIT = Path(__file__).parent / "wesep_mix" / "__init__.py"
VERSION = re.search(r'__version__ = "(.+)"', INIT.read_text()).group(1)

setup(
    name="wesep_mix",
    version=VERSION,
    description="Mixture-to-set speaker embeddings for enrolment-free target speech extraction",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["wesep_mix*"]),
    install_requires=[
        # torch and torchaudio must be the same release: torchaudio's compiled part loads only beside the
        # torch it was built for. torchaudio 2.11, its last release, does not say so in its metadata (older
        # ones do), so both have the same bounds here, and pip picks the newest, 2.11, of both.
        "torch>=2.6,<2.12",
        "torchaudio>=2.6,<2.12",
        "lightning>=2.6",
        "transformers>=5",
        "speechbrain>=1.1",  # ECAPA-TDNN: 8 MB with what it needs beside the rest
        "tensorboard",
        "numpy",
        "scipy",
        "scikit-learn",
        "pyyaml",
        "kaldiio",
        "soundfile",
        "webrtcvad-wheels",
        "pyloudnorm",
        "pesq",  # no wheels: built from source, the one package that needs a C compiler
        "pystoi",
        "speechmos",  # DNSMOS's networks, 9 MB; nothing of its code is used
        "onnxruntime",
        "espeakng-loader",
        "matplotlib",
        "tqdm",
    ],
    extras_require={"test": ["pytest", "pytest-timeout", "pytest-xdist"]},
)
