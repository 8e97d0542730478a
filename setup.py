"""Version and dependencies of wesep_mix. `bash run.sh` installs this into .venv by itself, at the versions of
tools/requirements.lock; `bash tools/lock.sh` renews that file from the bounds here.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

INIT = Path(__file__).parent / "wesep_mix" / "__init__.py"
VERSION = re.search(r'__version__ = "(.+)"', INIT.read_text()).group(1)

# What one optional feature alone needs; together 150 MB.
OPTIONAL = {
    "dnsmos": ["speechmos"],  # score.dnsmos: of speechmos only the networks are used
    "ecapa": ["speechbrain>=1.1"],  # the teacher ecapa of Table 1
    "rooms": ["pyroomacoustics>=0.10.1"],  # simulated rooms, for trainer.effects
    "tensorboard": ["tensorboard"],  # training curves there too, beside the CSV files
}
PAGE = {"page": ["gradio>=6.31,<7"]}  # `wesep-mix page`, 140 MB; its tests skip themselves without it

WESEP = "wesep @ git+https://github.com/wenet-e2e/wesep@cf8ee7fe4a517c515deefebe822fe60517ff9b87"
WESPEAKER = "wespeaker @ git+https://github.com/wenet-e2e/wespeaker@dfa741957e5c11f477623b6e583d67d0af25ee88"

setup(
    name="wesep_mix",
    version=VERSION,
    description="Mixture-to-set speaker embeddings for enrolment-free target speech extraction",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["wesep_mix*"]),
    package_data={
        "wesep_mix": ["pretrained/*/*"],
        "wesep_mix.page": ["*.css", "*.js"],
        "wesep_mix.report": ["report.*"],
    },
    entry_points={"console_scripts": ["wesep-mix = wesep_mix.__main__:main"]},
    install_requires=[
        # torchaudio's compiled part loads only beside a torch that has what it was built with, and its metadata asks
        # for less: 2.11.1 loads beside torch 2.13.0, 2.14.0, 2.14.1 and 2.15.0, not beside 2.11.0, 2.12.0 and 2.12.1
        # (seen on 2026-11-28). So every pair within these bounds is one that loads; torch 2.15 has no build for
        # Python 3.10.
        "torch>=2.13,<2.15",
        "torchaudio==2.11.1",
        "lightning>=2.6,<3",
        "transformers>=5,<6",
        "numpy",
        "scipy",
        "soxr",
        "scikit-learn",
        "joblib>=1.3",  # the first that gives results as they come
        "pyyaml",
        "kaldiio",
        "soundfile>=0.13",  # the first that chooses how large an MP3 becomes
        "safetensors",
        "webrtcvad-wheels",
        "silero-vad>=6.2.3",  # whose network for many frames at a time is an ONNX file
        "onnxruntime",
        "pyloudnorm",
        "pesq",  # no wheels: built from source, the one package that needs a C compiler
        "pystoi",
        "jinja2",  # report.html
        "markdown-it-py",  # reads RESULTS.md's text for it
        "pyannote-metrics>=4.1,<5",  # diarisation error rate
        "espeakng-loader",
        "matplotlib",
        "tqdm",
    ],
    extras_require={
        **OPTIONAL,
        **PAGE,
        "test": [
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "playwright",  # drives the Chromium that is on the path; it fetches none by itself
            "ruff",
            "fast-bss-eval",  # SDR is compared with it; its last release is of 2022 and half of it works with numpy 2
            *(name for names in OPTIONAL.values() for name in names),
        ],
        "campplus": [],  # only files of a package, without what it needs: tools/make_env.sh
        "build": ["setuptools", "cython", "numpy"],  # what pesq and this package are built with
        # Not on PyPI, not needed here. Both install beside the lock's packages; with torchaudio 2.9 or newer neither
        # imports as a whole: s3prl, which WeSpeaker needs, calls torchaudio.set_audio_backend, which is gone. The
        # teacher `wespeaker` imports the networks of WeSpeaker alone, which load.
        "wesep": [WESEP, WESPEAKER],
        "wespeaker": [WESPEAKER],
    },
)
