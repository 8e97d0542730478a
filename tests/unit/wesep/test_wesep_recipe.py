"""WeSep's config: whole, and fitted to data; its programs' packages; whose its wavs are; the shim of a CPU."""

import csv
import io
import os
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile
import yaml
from places import ROOT

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table
from wesep_mix.bin import convert_wesep
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import dpccn, spexplus, wesep
from wesep_mix.wesep import recipe
from wesep_mix.wesep.outputs import write_beside, write_estimates
from wesep_mix.wesep.programs import Installation
from wesep_mix.wesep.settings import wesep_args

DATA = recipe.Data(embedding_dim=64, longest_silence=50000, mixtures={"train": 20, "dev": 8})
SHIM = ROOT / "egs" / "wesep" / "shim"
# What WeSep's train.py and infer.py take from the config by [], and load_model_local.
READ = ("seed", "loss_args", "dataset_args", "dataloader_args", "model", "model_args", "model_init", "optimizer_args",
        "optimizer", "scheduler_args", "scheduler", "num_epochs", "enable_amp", "clip_grad", "log_batch_interval",
        "save_epoch_interval", "num_avg", "exp_dir", "gpus")  # fmt: skip


@pytest.fixture
def theirs(tmp_path):
    """Function: content of a YAML of WeSep's recipe -> its file."""

    def write(args, model="BSRNN", **others):
        content = {"model": {"tse_model": model}, "model_args": {"tse_model": args}, **others}
        (tmp_path / "theirs.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "theirs.yaml"

    return write


def test_a_whole_config_has_what_weseps_programs_read():
    config = recipe.whole("BSRNN", {"spk_emb_dim": 64})
    assert [key for key in READ if key not in config] == []
    assert config["loss"] == "SISDR" and config["dataset_args"]["resample_rate"] == 16000


def test_what_is_known_goes_over_the_recipe_and_the_user_over_all(theirs):
    path = theirs(
        {"spk_emb_dim": 256, "joint_training": True, "multi_task": True, "spksInTrain": 251, "win": 256},
        loss=["SISDR", "CE"], loss_args={"loss_posi": [[0], [1]]}, num_epochs=7, dataset_args={"chunk_len": 16000},
    )  # fmt: skip
    made = recipe.fitted([path], DATA, ["num_epochs=3", "model_args.tse_model.num_repeat=1"])
    assert made["model_args"]["tse_model"] == {
        "spk_emb_dim": 64, "joint_training": False, "win": 256, "use_spk_transform": False, "num_repeat": 1,
    }  # fmt: skip
    assert (made["num_epochs"], made["dataset_args"]["chunk_len"]) == (3, 50001)
    assert (made["loss"], made["loss_args"], made["optimizer"]) == ("SISDR", {}, {"tse_model": "Adam"})


def test_spexplus_has_a_loss_of_each_window(theirs):
    made = recipe.fitted([theirs({"encoder_type": "Multi"}, "ConvTasNet")], DATA)
    assert made["loss_args"] == {"loss_posi": [[0, 1, 2]], "loss_weight": [[0.8, 0.1, 0.1]]}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            ["dataloader_args.batch_size=9"],
            "batch_size: wanted at most the 8 mixtures of dev .*, found 9",
        ),
        (["dataset_args.chunk_len=50000"], "chunk_len: wanted more than 50000 samples, the longest silence"),
        (["model_args.tse_model.joint_training=true"], "the embedding is given, wanted false"),
        (["num_epoch=3"], "--wesep_set num_epoch=3: no num_epoch in WeSep's config; it has model,"),
    ],
)
def test_what_wesep_would_do_wrong_in_silence_is_refused(chosen, said, theirs):
    with pytest.raises(UserError, match=said):
        recipe.fitted([theirs({})], DATA, chosen)


def test_a_yaml_that_is_not_there_or_has_no_model_is_named(tmp_path, wesep_checkout):
    assert recipe.recipe_of(wesep_checkout, "bsrnn").parent.name == "confs"
    with pytest.raises(UserError, match="wanted dpccn.yaml in examples/librimix/tse/v1/confs or .*--wesep_config FILE"):
        recipe.recipe_of(wesep_checkout, "dpccn")
    (tmp_path / "odd.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError, match="odd.yaml: wanted model.tse_model and model_args.tse_model"):
        recipe.fitted([tmp_path / "odd.yaml"], DATA)


@pytest.mark.parametrize("network", sorted(recipe.NETWORKS))
def test_small_settings_leave_the_recipes_model(network, theirs):
    small = ROOT / "egs" / "wesep" / "small" / f"{network}.yaml"
    made = recipe.fitted([theirs({}, recipe.NETWORKS[network]), small], DATA)
    assert made["model"]["tse_model"] == recipe.NETWORKS[network] and made["num_epochs"] == 3


@pytest.mark.parametrize("config", [
    dpccn.Config(embedding_dim=6, tcn_blocks=1, tcn_repeats=1),
    spexplus.Config(embedding_dim=6, filters=8, channels=8, hidden=8, num_blocks=1, num_stacks=1),
])  # fmt: skip
def test_an_exported_model_has_a_whole_config(config, tmp_path):
    """As infer.py and load_model_local want it."""
    module = dpccn if config.name == "dpccn" else spexplus
    checkpoint.save_model(tmp_path / "model.pt", "extractors", module.Model(config))
    assert convert_wesep.main(["export", f"--model={tmp_path}/model.pt", f"--out={tmp_path}/out"]) == 0
    found = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert [key for key in READ if key not in found] == []
    assert found["model"]["tse_model"] == wesep_args(config)[0]
    assert ("loss_posi" in found["loss_args"]) == (config.name == "spexplus")


def test_a_class_of_weseps_own_is_imported_as_its_network(wesep_checkout, tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setenv("WESEP_DIR", str(wesep_checkout))  # is put back afterwards
    network = wesep.Model(wesep.Config(embedding_dim=6, folder=str(wesep_checkout), arguments={"win": 128})).network
    torch.save({"models": [network.state_dict()]}, tmp_path / "avg_model.pt")
    args = {"spk_emb_dim": 6, "joint_training": False, "use_spk_transform": False, "win": 128}
    recipe.write_config(tmp_path / "config.yaml", recipe.whole("BSRNN", args))
    take = ["import", f"--config={tmp_path}/config.yaml", f"--checkpoint={tmp_path}/avg_model.pt"]
    assert convert_wesep.main([*take, f"--wesep={wesep_checkout}", f"--out={tmp_path}/net"]) == 0
    model = checkpoint.load_model(tmp_path / "net" / "matched" / "model.pt", "extractors")
    mix, emb = 0.1 * torch.randn(2, 9000), torch.randn(2, 6)
    assert torch.equal(model(mix, emb), network.eval()(mix, emb)[0])
    recipe.write_config(tmp_path / "config.yaml", recipe.whole("BSRNN", args | {"joint_training": True}))
    assert convert_wesep.main([*take, f"--wesep={wesep_checkout}", f"--out={tmp_path}/joint"]) == 1
    assert "BSRNN: joint_training: wanted False, found True" in capsys.readouterr().err


# whose the wavs are


@pytest.fixture
def inferred(tmp_path):
    """WeSep's wavs of two mixtures, of names that its own table misreads: there all would be s2 of one key."""
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "utt2spk").write_text("f-0_m-1 f-x mT\nf-0_m-2 f-x m-T\n")
    (tmp_path / "audio").mkdir()
    for name in ("Utt1-f-0_m-1-Tf-x", "Utt1-f-0_m-1-TmT", "Utt3-f-0_m-2-Tf-x", "Utt3-f-0_m-2-Tm-T"):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.full(90, 0.5), 16000)
    soundfile.write(tmp_path / "reference.wav", np.zeros(100), 16000)
    keys = [f"s{number}/f-0_m-{mix}.wav" for number in (1, 2) for mix in (1, 2)]
    (tmp_path / "test" / "single.wav.scp").write_text("".join(f"{key} {tmp_path}/reference.wav\n" for key in keys))
    return tmp_path


def test_a_wav_that_is_shorter_than_its_reference_ends_in_zeros(inferred):
    """SpEx+'s are, and WeSep's scoring refuses them."""
    rows = read_table(write_estimates(inferred / "audio", inferred / "test"))
    samples, _ = soundfile.read(rows["s1/f-0_m-1.wav"])
    assert len(samples) == 100 and (samples[:90] == 0.5).all() and not samples[90:].any()


def test_each_wav_is_found_whose_it_is(inferred):
    rows = dict(
        line.split() for line in write_estimates(inferred / "audio", inferred / "test").read_text().splitlines()
    )
    assert {key: os.path.basename(path) for key, path in rows.items()} == {
        "s1/f-0_m-1.wav": "Utt1-f-0_m-1-Tf-x.wav",
        "s2/f-0_m-1.wav": "Utt1-f-0_m-1-TmT.wav",
        "s1/f-0_m-2.wav": "Utt3-f-0_m-2-Tf-x.wav",
        "s2/f-0_m-2.wav": "Utt3-f-0_m-2-Tm-T.wav",
    }


def test_a_target_without_a_wav_and_a_wav_too_many_are_named(inferred):
    (inferred / "audio" / "Utt3-f-0_m-2-Tm-T.wav").rename(inferred / "audio" / "Utt3-f-0_m-2-Tz.wav")
    with pytest.raises(UserError, match="f-0_m-2-Tm-T has none or is none"):
        write_estimates(inferred / "audio", inferred / "test")


def test_scores_stand_beside_each_other_and_pesq_may_lack(tmp_path):
    (tmp_path / "scores.csv").write_text("mix,speaker,si_snr,pesq,stoi\na_b,a,1.0,1.5,0.5\na_b,b,3.0,,0.7\n")
    (tmp_path / "SI_SNR_spk1").write_text("s1/a_b.wav 1.5\ns2/a_b.wav 3.5\n")
    (tmp_path / "STOI_spk1").write_text("s1/a_b.wav 51\ns2/a_b.wav 71\n")
    (tmp_path / "PESQ_WB_spk1").write_text("s1/a_b.wav 1.6\n")
    means = write_beside(tmp_path, tmp_path / "scores.csv", {"a_b": ["a", "b"]}, tmp_path / "beside.csv")
    assert means["si_snr"] == (2.0, 2.5) and means["pesq"] == (1.5, 1.6)
    assert means["stoi"] == pytest.approx((0.6, 0.61))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "beside.csv").read_text())))
    assert rows[1]["si_snr_wesep"] == "3.5" and rows[1]["pesq_wesep"] == ""
    (tmp_path / "SI_SNR_spk1").write_text("s1/a_b.wav 1.5\n")
    with pytest.raises(UserError, match="wanted WeSep's SI_SNR of s2/a_b.wav, found none"):
        write_beside(tmp_path, tmp_path / "scores.csv", {"a_b": ["a", "b"]}, tmp_path / "beside.csv")


# its programs


def test_a_checkout_or_a_python_that_is_none_is_said(tmp_path, wesep_checkout):
    with pytest.raises(UserError, match="found no wesep/bin/train.py; git clone"):
        Installation(tmp_path, sys.executable, SHIM).check()
    with pytest.raises(UserError, match="wanted the Python that WeSep runs in"):
        Installation(wesep_checkout, str(tmp_path / "python"), SHIM).check()


def test_a_program_that_fails_is_an_error(wesep_checkout):
    with pytest.raises(UserError, match="WeSep's training ended with status 3"):
        Installation(wesep_checkout, sys.executable, SHIM).run(
            [sys.executable, "-c", "raise SystemExit(3)"], "training"
        )


CPU = """
import io, sys
import torch, torchaudio
import torch.distributed as dist
from silero_vad import load_silero_vad
from wespeaker.models.speaker_model import get_speaker_model
torch.cuda.set_device(0)
dist.init_process_group(backend="nccl", init_method="tcp://127.0.0.1:{port}", rank=0, world_size=1)
dist.barrier(device_ids=[0])
network, device = torch.nn.Linear(2, 2), torch.device("cuda")
parallel = torch.nn.parallel.DistributedDataParallel(network.cuda())
assert parallel(torch.ones(1, 2).to(device, torch.float32)).device.type == "cpu"
assert network.to("cuda:0").weight.device.type == "cpu"
samples, rate = torchaudio.load(io.BytesIO(sys.stdin.buffer.read()))
assert (samples.shape, samples.dtype, rate) == ((1, 3), torch.float32, 16000) and samples[0, 1] == 0.5
try:
    get_speaker_model("ResNet34")
except ImportError as err:
    assert "needs the package wespeaker" in str(err)
else:
    raise SystemExit("the stand-in was called")
"""


def test_the_shim_does_on_the_cpu_what_wesep_asks_a_gpu_for(tmp_path, free_tcp_port):
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((1, 2, 16000, 0, "NONE", ""))
        wav.writeframes(b"\x00\x00\x00\x40\x00\x00")
    (tmp_path / "sitecustomize.py").write_text("print('the other one')\n")
    done = subprocess.run(
        [sys.executable, "-c", CPU.replace("{port}", str(free_tcp_port))],
        input=file.getvalue(),
        env={**os.environ, "PYTHONPATH": f"{SHIM}{os.pathsep}{tmp_path}", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"the other one" in done.stdout
