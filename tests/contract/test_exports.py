"""Every export format, read back as its consumer reads it, for mixtures of two and of three talkers.

The readers here are small ones of our own, written from what the consumers do with the files.
"""

import csv
import io
import json
import re
import tarfile
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import yaml

from wesep_mix.base import plugins
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.bin import export_data
from wesep_mix.exports.wesep import file_labels

TALKERS = (2, 3)
STEP = 1 / 32768
NEEDS = {name: plugins.load("exports", name).EMBEDDINGS for name in plugins.names("exports")}


@pytest.fixture(scope="module", params=TALKERS)
def made(request, tmp_path_factory, exportable):
    """The prepared sets, and all formats of them, train and test, under `out`."""
    case = exportable(tmp_path_factory.mktemp("made"), request.param)
    case.num_spk = request.param
    for name, use in NEEDS.items():
        assert run(case, name, *([] if use == "unused" else ["--embeddings", str(case.embeddings)])) == 0
    return case


def run(case, name, *options, sets=("train", "test")) -> int:
    return export_data.main(
        ["--format", name, "--data", str(case.data), "--set_name", *sets, "--out", str(case.out), *options]
    )


def folder(case, name, set_name):
    return case.out / name / f"{case.num_spk}mix" / set_name


def table(path) -> dict[str, str]:
    """A Kaldi table, which must be sorted as `LC_ALL=C sort` does and have each key once."""
    rows = [line.split(" ", 1) for line in path.read_text().splitlines()]
    keys = [key for key, _ in rows]
    assert keys == sorted(set(keys), key=str.encode)
    return dict(rows)


def read(path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float64")
    assert rate == 16000 and soundfile.info(path).subtype == "PCM_16"
    return samples


def assert_sum(mix, parts):
    """16-bit signals each are half a step off at most."""
    assert np.abs(mix).max() > 0.05
    np.testing.assert_allclose(mix, np.sum(parts, axis=0), atol=(len(parts) + 1) * 0.51 * STEP)


def wavs(case, set_name, mix_id, root):
    names = [f"s{number}" for number in range(1, case.num_spk + 1)]
    return [read(root / name / f"{mix_id}.wav") for name in ("mix_both", *names, "noise")]


# --- LibriMix


def librimix_rows(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["mix_both", "mix_clean", "mix_single"])
def test_librimix_rows_name_signals_that_sum_to_the_mixture(made, kind):
    tree = made.out / f"Libri{made.num_spk}Mix" / "wav16k" / "max"
    rows = librimix_rows(tree / "metadata" / f"mixture_test_{kind}.csv")
    assert [row["mixture_ID"] for row in rows] == [plan.id for plan in made.plans["test"]]
    parts = [f"source_{k}_path" for k in range(1, made.num_spk + 1)] + ["noise_path"]
    if kind == "mix_clean":
        parts.remove("noise_path")
    if kind == "mix_single":
        parts = ["source_1_path", "noise_path"]
    for row in rows:
        assert list(row) == ["mixture_ID", "mixture_path", *parts, "length"]
        mix = read(row["mixture_path"])
        assert len(mix) == int(row["length"]) and row["mixture_path"].endswith(f"/test/{kind}/{row['mixture_ID']}.wav")
        assert_sum(mix, [read(row[part]) for part in parts])


def test_librimix_metrics_are_each_part_over_the_rest(made):
    tree = made.out / f"Libri{made.num_spk}Mix" / "wav16k" / "max"
    for row in librimix_rows(tree / "metadata" / "metrics_train_mix_both.csv"):
        mix, *parts = wavs(made, "train", row["mixture_ID"], tree / "train")
        names = [f"source_{k}_SNR" for k in range(1, made.num_spk + 1)] + ["noise_SNR"]
        assert list(row) == ["mixture_ID", *names]
        for name, part in zip(names, parts, strict=True):
            wanted = 10 * np.log10(np.sum(part**2) / np.sum((mix - part) ** 2))
            assert float(row[name]) == pytest.approx(wanted, abs=1e-3)


def test_librimix_keeps_planned_offsets_and_level(made):
    tree = made.out / f"Libri{made.num_spk}Mix" / "wav16k" / "max"
    for plan in made.plans["test"]:
        _, *sources, noise = wavs(made, "test", plan.id, tree / "test")
        for source, samples in zip(plan.sources, sources, strict=True):
            heard = np.flatnonzero(samples)
            assert heard[0] >= source.offset and heard[-1] < source.offset + source.num_samples
            file = read(source.path)[source.start : source.start + source.num_samples] * source.gain
            np.testing.assert_allclose(samples[source.offset : source.offset + source.num_samples], file, atol=2 * STEP)
        snr = 10 * np.log10(np.sum(np.sum(sources, axis=0) ** 2) / np.sum(noise**2))
        assert snr == pytest.approx(plan.noise.snr_db, abs=0.01)


# --- Kaldi and ESPnet


@pytest.mark.parametrize("name", ["kaldi", "espnet"])
def test_kaldi_tables_name_the_same_mixtures(made, name):
    place = folder(made, name, "test")
    mixtures = table(place / "wav.scp")
    assert list(mixtures) == sorted(plan.id for plan in made.plans["test"])
    assert table(place / "utt2spk") == table(place / "spk2utt") == {mix: mix for mix in mixtures}
    parts = [table(place / f"spk{k}.scp") for k in range(1, made.num_spk + 1)] + [table(place / "noise1.scp")]
    durations, talkers = table(place / "utt2dur"), table(place / "mix2spk")
    for plan in made.plans["test"]:
        mix = read(mixtures[plan.id])
        assert_sum(mix, [read(part[plan.id]) for part in parts])
        assert round(float(durations[plan.id]) * 16000) == len(mix)
        assert talkers[plan.id].split() == [source.spk for source in plan.sources]


@pytest.mark.parametrize("set_name", ["train", "test"])
def test_espnet_enrolments_are_the_embedding_of_that_target(made, set_name):
    place = folder(made, "espnet", set_name)
    for number in range(made.num_spk):
        for mix_id, path in table(place / f"enroll_spk{number + 1}.scp").items():
            found = np.load(path)[None, :]  # TSEPreprocessor with load_spk_embedding
            assert found.dtype == np.float32 and " " not in path
            np.testing.assert_array_equal(found[0], made.vectors[set_name][mix_id][number])


# --- WeSep, legacy layout


def embeddings_by_label(place):
    """{label: embeddings}, as WeSep's load_speaker_embeddings has them; its training draws any one of a label's."""
    labels = {line.split()[0]: line.split()[1] for line in (place / "single.utt2spk").read_text().splitlines()}
    by_label = {}
    for key, vector in kaldiio.load_scp_sequential(str(place / "embed.scp")):
        by_label.setdefault(labels[key], []).append(vector)
    return by_label


def legacy_groups(tar_path):
    """Mixtures of a shard as WeSep's legacy reader groups them: a new one where the last key isn't in the next."""
    groups, group, last = [], {}, None
    with tarfile.open(tar_path) as tar:
        for member in tar:
            prefix, suffix = member.name.rsplit(".", 1)
            if last is not None and last not in prefix:
                groups.append((last, group))
                group = {}
            data = tar.extractfile(member).read()
            if suffix.startswith("spk"):
                group[suffix] = data.decode()
            elif prefix[-5:-1] == "_spk":
                group["wav" + prefix[-5:]] = data
                prefix = prefix[:-5]
            else:
                group["wav_mix"] = data
            last = prefix
    return [*groups, (last, group)]


@pytest.mark.parametrize("name", ["wesep", "wesep_shards"])
def test_wesep_training_draws_the_right_embedding_of_every_target(made, name):
    place = folder(made, name, "train")
    drawn_from = embeddings_by_label(place)
    if name == "wesep":
        targets = {key: value.split() for key, value in table(place / "utt2spk").items()}
    else:
        targets = {
            key: [group[f"spk{k}"] for k in range(1, made.num_spk + 1)]
            for tar in (place / "shard.list").read_text().split()
            for key, group in legacy_groups(tar)
        }
    assert set(targets) == set(made.vectors["train"])
    for mix_id, labels in targets.items():
        for vector, label in zip(made.vectors["train"][mix_id], labels, strict=True):
            np.testing.assert_array_equal(drawn_from[label], [vector])


@pytest.mark.parametrize("name", ["wesep", "wesep_shards"])
def test_wesep_evaluation_follows_the_enrolment_tables(made, name):
    place = folder(made, name, "test")
    embeddings = dict(kaldiio.load_scp_sequential(str(place / "embed.scp")))
    for number in range(made.num_spk):
        enrolled = table(place / f"spk{number + 1}.enroll")
        assert enrolled == {mix: f"s{number + 1}/{mix}.wav" for mix in made.vectors["test"]}
        for mix_id, key in enrolled.items():
            np.testing.assert_array_equal(embeddings[key], made.vectors["test"][mix_id][number])
    labels = table(place / "single.utt2spk")
    for plan in made.plans["test"]:  # inference puts the label into a file name
        assert [labels[f"s{k}/{plan.id}.wav"] for k in range(1, made.num_spk + 1)] == file_labels(plan)


def test_wesep_rows_name_mixture_and_sources(made):
    place = folder(made, "wesep", "test")
    single = table(place / "single.wav.scp")
    for mix_id, row in table(place / "wav.scp").items():
        mix, *sources = row.split()
        assert sources == [single[f"s{k}/{mix_id}.wav"] for k in range(1, made.num_spk + 1)]
        noise = read(place / "wav" / "noise" / f"{mix_id}.wav")
        assert_sum(read(mix), [*map(read, sources), noise])


def test_wesep_shards_hold_the_wavs_of_the_folder(made):
    place, loose = folder(made, "wesep_shards", "test"), folder(made, "wesep", "test") / "wav"
    groups = [group for tar in (place / "shard.list").read_text().split() for group in legacy_groups(tar)]
    assert sorted(key for key, _ in groups) == [plan.id for plan in made.plans["test"]]
    for key, group in groups:
        names = {"wav_mix": "mix_both"} | {f"wav_spk{k}": f"s{k}" for k in range(1, made.num_spk + 1)}
        assert set(group) == {*names, *(f"spk{k}" for k in range(1, made.num_spk + 1))}
        for member, name in names.items():
            assert group[member] == (loose / name / f"{key}.wav").read_bytes()


@pytest.mark.parametrize("name", ["wesep", "wesep_v01"])
def test_a_folder_of_weseps_is_whole(made, name):
    """Of shards for training and wavs for scoring; the shards are those of the format that has nothing else."""
    place, alone = folder(made, name, "train"), folder(made, f"{name}_shards", "train")
    shards = [Path(path) for path in (place / "shard.list").read_text().split()]
    others = [Path(path) for path in (alone / "shard.list").read_text().split()]
    assert [path.parent for path in shards] == [place / "shards"] * len(others)
    assert [path.read_bytes() for path in shards] == [path.read_bytes() for path in others]
    single = table(place / "single.wav.scp")
    assert {key: str(place / "wav" / key) for key in single} == single
    assert len(single) == made.num_spk * len(made.plans["train"])


# --- WeSep v0.1


def v01_embedding(place, key, spk):
    """The cue as v0.1's reader finds it: policy fixed, key mix_spk_id, npy / spk_embedding."""
    cue = yaml.safe_load((place / "cues.yaml").read_text())["cues"]["audio"]
    policy = cue.pop("policy")
    assert cue == {"type": "npy", "format": "spk_embedding", "scope": "speaker", "guaranteed": True}
    assert (policy["type"], policy["key"]) == ("fixed", "mix_spk_id")
    with open(policy["resource"]) as file:
        items = json.load(file)[f"{key}::{spk}"]
    vector = np.load(items[0]["path"])
    assert len(items) == 1 and vector.ndim == 1 and vector.dtype == np.float32
    return vector


@pytest.mark.parametrize("set_name", ["train", "test"])
def test_wesep_v01_rows_and_cues(made, set_name):
    place = folder(made, "wesep_v01", set_name)
    assert (place / "raw.list").read_text() == (place / "samples.jsonl").read_text()
    rows = [json.loads(line) for line in (place / "raw.list").read_text().splitlines()]
    assert [row["key"] for row in rows] == [plan.id for plan in made.plans[set_name]]
    for row, plan in zip(rows, made.plans[set_name], strict=True):
        assert row["spk"] == file_labels(plan) and list(row["mix"]) == ["default"]
        noise = read(place / "wav" / "noise" / f"{plan.id}.wav")
        (mix,), sources = row["mix"]["default"], [row["src"][spk] for spk in row["spk"]]
        assert_sum(read(mix), [*(read(path) for (path,) in sources), noise])
        for spk, vector in zip(row["spk"], made.vectors[set_name][plan.id], strict=True):
            np.testing.assert_array_equal(v01_embedding(place, plan.id, spk), vector)


def v01_groups(tar_path):
    """Mixtures of a shard as v0.1's reader parses names; members of one must follow each other."""
    groups = {}
    with tarfile.open(tar_path) as tar:
        for member in tar:
            prefix, suffix = member.name.rsplit(".", 1)
            source = re.fullmatch(r"(.*)_spk(\d+)", prefix) if suffix == "wav" else None
            key = source[1] if source else prefix
            assert key not in groups or key == list(groups)[-1]
            groups.setdefault(key, {})[source[2] if source else suffix] = tar.extractfile(member).read()
    return groups


def test_wesep_v01_shards(made):
    place, plans = folder(made, "wesep_v01_shards", "test"), {plan.id: plan for plan in made.plans["test"]}
    assert len((place / "samples.jsonl").read_text().splitlines()) == len(plans)
    groups = {}
    for tar in (place / "shard.list").read_text().split():
        groups |= v01_groups(tar)
    assert set(groups) == set(plans)
    for key, group in groups.items():
        numbers = [str(k) for k in range(1, made.num_spk + 1)]
        speakers = [group[f"spk{number}"].decode() for number in numbers]
        assert speakers == file_labels(plans[key])
        lengths = {len(soundfile.read(io.BytesIO(group[name]))[0]) for name in ("wav", *numbers)}
        assert lengths == {plans[key].num_samples}
        for spk, vector in zip(speakers, made.vectors["test"][key], strict=True):
            np.testing.assert_array_equal(v01_embedding(place, key, spk), vector)


# --- All formats


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_second_call_finds_it_done(made, name, capsys):
    options = [] if NEEDS[name] == "unused" else ["--embeddings", str(made.embeddings)]
    assert run(made, name, *options) == 0
    assert capsys.readouterr().out.count("done already") == 2


@pytest.mark.parametrize("name", ["librimix", "wesep_shards"])
def test_parallel_jobs_change_no_byte(made, name):
    options = [] if NEEDS[name] == "unused" else ["--embeddings", str(made.embeddings)]
    before = contents(made.out)
    assert run(made, name, *options, "--nj", "2", "--force", "true", sets=["test"]) == 0
    assert contents(made.out) == before


def contents(place) -> dict[str, bytes]:
    """All files but the state, which tells how often it was made."""
    return {
        str(path): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file() and path.name != STATE_FILE
    }


@pytest.mark.parametrize("name", sorted(name for name, use in NEEDS.items() if use == "required"))
def test_a_target_without_embedding_is_named_in_one_line(exportable, tmp_path, capsys, name):
    from wesep_mix.io.embeddings import read_embeddings, write_embeddings

    case = exportable(tmp_path, 2)
    scp = case.embeddings / "test" / "matched.scp"
    embeddings = read_embeddings(scp)
    gone = sorted(embeddings)[3]
    write_embeddings(scp.with_suffix(""), {key: embeddings[key] for key in embeddings if key != gone})
    assert run(case, name, "--embeddings", str(case.embeddings), sets=["test"]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and gone in error and str(scp) in error
    assert run(case, name, sets=["test"]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert "--embeddings" in error
