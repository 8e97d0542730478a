"""egs/libri2mix and libri3mix on folders in the corpora's own layouts that the test makes: all stages, tiny models."""

import json
import os
import subprocess

import numpy as np
import pytest
import soundfile
from places import ROOT
from tiny import environment
from transformers import WavLMConfig, WavLMModel

RATE = 16000
SUBSETS = {
    "train-clean-360": "11 12 13 14".split(),
    "dev-clean": "21 22 23 24".split(),
    "test-clean": "31 32 33 34".split(),
}
SEXES = {"31": "F", "32": "M", "33": "F", "34": "M"}
TINY = {
    "corpus.corpus.whole": "false",
    "corpus.corpus.noises": "{train: [musan/noise], dev: [wham/cv], test: [wham/tt]}",
    "corpus.mixing.segment_s": "2.0",
    "corpus.mixtures": "{train: 4, dev: 3, test: 4}",
    "corpus.single": "{train: 4, dev: 8, test: 8}",
    "corpus.short": "drop",
    "teacher.model.projection": "8",
    "teacher.model.embedding_dim": "8",
    "teacher.model.bottleneck": "8",
    "student.model": "{name: parallel_heads, projection: 8, bottleneck: 8}",
    "student.finetuned_layers": "1",
    "extractor.model": "{name: dpccn, n_fft: 128, hop: 64, dense_channels: [4, 4], conv_channels: [8], dense_depth: 1, "
    "tcn_repeats: 1, tcn_blocks: 2, pool_sizes: [4]}",
    "trainer": "{max_steps: 2, steps_per_epoch: 1, num_workers: 0}",
    "batch_size": "2",
    "chunk_s": "1.0",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, buzz):
    """Options that name small LibriSpeech, MUSAN, WHAM!, LibriMix metadata and WavLM folders."""
    root, rng = tmp_path_factory.mktemp("corpora"), np.random.default_rng(0)
    for subset, speakers in SUBSETS.items():
        for number, spk in enumerate(speakers):
            for turn in range(2):
                path = root / f"LibriSpeech/{subset}/{spk}/7/{spk}-7-{turn:04d}.flac"
                write(path, buzz(90 + 9 * number + turn, 6))
    sexes = [
        f"{spk} | {sex} | x | 9 | Name"
        for speakers in SUBSETS.values()
        for spk, sex in zip(speakers, "FMFM", strict=True)
    ]
    (root / "LibriSpeech/SPEAKERS.TXT").write_text("\n".join(sexes) + "\n")
    noises = ["musan/noise/free-sound/a", "musan/noise/sound-bible/b", "wham_noise/cv/c", "wham_noise/tt/d"]
    for noise in noises:
        write(root / f"{noise}.wav", 0.1 * rng.standard_normal(8 * RATE).clip(-3, 3))
    write_metadata(root / "metadata" / "Libri2Mix")
    tiny = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    WavLMModel(tiny).save_pretrained(root / "wavlm")
    return root


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def write_metadata(folder):
    """Three rows a subset; the third has a speaker of each of the others."""
    header = "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain\n"
    folder.mkdir(parents=True)
    for subset, speakers in SUBSETS.items():
        noise = {"train-clean-360": "tr/x.wav", "dev-clean": "cv/c.wav", "test-clean": "tt/d.wav"}[subset]
        rows = ""
        for pair in ((0, 1), (2, 3), (0, 2)):
            first, second = (f"{speakers[place]}-7-{sum(pair) % 2:04d}" for place in pair)
            paths = [f"{subset}/{utt.split('-')[0]}/7/{utt}.flac" for utt in (first, second)]
            rows += f"{first}_{second},{paths[0]},0.5,{paths[1]},0.25,{noise},0.1\n"
        (folder / f"libri2mix_{subset}.csv").write_text(header + rows)


def run(recipe, root, work, *options, **settings):
    command = [
        "bash",
        str(ROOT / f"egs/{recipe}/run.sh"),
        "--librispeech",
        str(root / "LibriSpeech"),
        "--musan",
        str(root / "musan"),
        "--wham",
        str(root / "wham_noise"),
        "--nj",
        "1",
        "--data_dir",
        str(work / "data"),
        "--exp_dir",
        str(work / "exp"),
        *map(str, options),
    ]
    frontend = f"{{name: ssl, source: {root / 'wavlm'}}}"
    for key, value in (TINY | {"teacher.model.frontend": frontend} | settings).items():
        command += ["--set", f"{key}={value}"]
    return subprocess.run(command, env=environment(), text=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def two_talkers(folders, tmp_path_factory):
    """A folder in which every stage was run. In stages 4 to 7 there is no WavLM folder, since model files need none;
    the k-means of stage 8 begins with its weights.
    """
    work = tmp_path_factory.mktemp("libri2mix")

    def stages(first, last):
        done = run(
            "libri2mix",
            folders,
            work,
            "--stage",
            first,
            "--stop_stage",
            last,
            "--librimix_metadata",
            folders / "metadata",
            "--write_wav",
            "true",
        )
        assert done.returncode == 0, done.stderr

    stages(1, 3)
    os.rename(folders / "wavlm", folders / "elsewhere")
    stages(4, 7)
    os.rename(folders / "elsewhere", folders / "wavlm")
    stages(8, 9)
    return work


def test_every_stage_runs_and_the_table_is_whole(two_talkers):
    results = json.loads((two_talkers / "exp/libri2mix/results.json").read_text())
    assert set(results["embeddings"]) == {"teacher", "teacher/clean", "kmeans", "kmeans/teacher", "student"}
    assert {row["num"] for row in results["extraction"].values()} == {6}
    assert results["embeddings"]["student"]["trainable"] > results["embeddings"]["teacher"]["trainable"] > 0


def test_official_pairs_keep_gains_and_noise(two_talkers):
    lines = (two_talkers / "data/libri2mix/2mix/test/plan.jsonl").read_text().splitlines()
    plans = [json.loads(line) for line in lines]
    assert [plan["id"] for plan in plans] == ["31-7-0000_33-7-0000", "31-7-0001_32-7-0001", "33-7-0001_34-7-0001"]
    for plan in plans:
        assert [source["gain"] for source in plan["sources"]] == [0.5, 0.25]
        assert {source["spk"]: source["sex"] for source in plan["sources"]}.items() <= SEXES.items()
        noise = plan["noise"]
        assert noise["path"].startswith("wham:") and noise["path"].endswith("tt/d.wav") and noise["start"] == 0


def test_the_teacher_hears_free_sound_only(two_talkers):
    for folder, parts in (("single", {"free-sound"}), ("2mix", {"free-sound", "sound-bible"})):
        rows = (two_talkers / f"data/libri2mix/{folder}/train/noises.jsonl").read_text().splitlines()
        assert {json.loads(row)["kind"].split("/")[-1] for row in rows} == parts


def test_the_librimix_tree_is_the_mixture(two_talkers):
    tree = two_talkers / "data/libri2mix/wav/Libri2Mix/wav16k/max/test"
    for path in sorted((tree / "mix_both").glob("*.wav")):
        parts = [soundfile.read(tree / part / path.name)[0] for part in ("s1", "s2", "noise")]
        assert np.abs(sum(parts) - soundfile.read(path)[0]).max() < 3 / 32768
    assert len(list((tree / "mix_both").glob("*.wav"))) == 3


def test_three_talkers_share_lists_and_teacher(two_talkers, folders):
    """Without metadata: the pairs of three talkers are drawn."""
    done = run("libri3mix", folders, two_talkers, "--stop_stage", 3)
    assert done.returncode == 0, done.stderr
    for part in ("stage 1 (lists)", "stage 1 (plans, 1 talker)", "stage 2 (teacher)"):
        assert f"{part}: done already in {two_talkers}" in done.stdout
    assert (two_talkers / "exp/libri3mix/3mix/student/model.pt").is_file()
