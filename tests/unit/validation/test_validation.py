"""A good folder has no problem; every kind of damage is found, by name, under its heading, and nothing else is."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pyloudnorm
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.mixing.plan import Noise, Plan, Source, read_plans
from wesep_mix.mixing.render import Rendered, render
from wesep_mix.preparation.activity import best_crops
from wesep_mix.validation import rendering
from wesep_mix.validation.check import check_folder
from wesep_mix.validation.problems import HEADINGS, Problem, listing

RATE = 16000


def found(folder, **options):
    """{heading: texts} of a folder's problems."""
    problems = check_folder(folder, **options).problems
    assert {problem.of for problem in problems} <= set(HEADINGS)
    return {
        heading: [problem.text for problem in problems if problem.of == heading]
        for heading in HEADINGS
        if any(problem.of == heading for problem in problems)
    }


def the_only(problems, heading):
    assert list(problems) == [heading] and len(problems[heading]) == 1, problems
    return problems[heading][0]


def first_source(folder):
    return read_plans(folder / "2mix" / "test" / "plan.jsonl")[0].sources[0]


@pytest.mark.parametrize("quick", (False, True))
def test_a_good_folder_passes(prepared, quick):
    checked = check_folder(prepared, quick=quick)
    assert checked.problems == []
    assert [each.title for each in checked.sets] == [
        f"{group}/{name}" for group in ("2mix", "lists", "single") for name in ("train", "dev", "test")
    ]
    assert len(checked.lengths) == 18 + 3 and set(checked.lengths.values()) == {16000, 19200, 20800}


@pytest.mark.parametrize("part", ("2mix", "2mix/test", "lists/train"))
def test_a_good_part_of_a_folder_passes(prepared, part):
    assert found(prepared / part) == {}


def test_processes_do_not_change_the_result(folder, edit):
    edit(folder / "2mix" / "dev" / "plan.jsonl", 0, lambda row: row["noise"].update(snr_db=math.nan))
    (folder / "speech" / "gus-0.wav").unlink()
    assert found(folder, nj=2) == found(folder, nj=1) != {}


def test_a_folder_without_sets(tmp_path):
    with pytest.raises(UserError, match="wanted a prepared folder"):
        check_folder(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        check_folder(tmp_path / "nothing")


class TestAudioFiles:
    def test_missing(self, folder):
        (folder / "noise" / "test.wav").unlink()
        text = the_only(found(folder), "audio files")
        assert f"{folder}/noise/test.wav: wanted an audio file, found none" in text and "noise test-noise" in text

    def test_truncated_is_seen_by_decoding(self, folder):
        path = folder / "speech" / "gus-0.wav"
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        content = path.with_suffix(".flac").read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert found(folder, quick=True) == {}
        assert f"{path}: " in the_only(found(folder), "audio files")

    def test_wrong_rate(self, folder):
        path = folder / "speech" / "ann-1.wav"
        samples, _ = soundfile.read(path)
        soundfile.write(path, samples, 8000)
        for quick in (True, False):
            text = the_only(found(folder, quick=quick), "audio files")
            assert f"{path}: wanted 16000 Hz, found 8000 Hz" in text and "utterance ann-1" in text

    def test_shorter_than_its_crops(self, folder):
        path = folder / "speech" / "ann-0.wav"
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[:4000], rate)
        problems = found(folder)
        assert set(problems) <= {"lists", "plans"}
        assert len(problems["lists"]) == 3  # in lists, single and 2mix
        assert all(f"ann-0: wanted {path} up to sample " in text for text in problems["lists"])
        assert all("found 4000 samples" in text for text in problems["lists"])

    def test_noise_of_another_length(self, folder):
        path = folder / "noise" / "dev.wav"
        samples, rate = soundfile.read(path)
        soundfile.write(path, np.concatenate([samples, samples]), rate)
        problems = found(folder)
        assert set(problems) == {"lists", "plans"}
        assert all(
            f"noise dev-noise: wanted 16000 samples in {path}, found 32000" in text
            for texts in problems.values()
            for text in texts
        )

    def test_root_that_is_not_there(self, folder):
        """One line for all of its files; after the line in roots.json is edited all is well."""
        write_json(folder / "roots.json", {"speech": str(folder / "speech"), "noise": str(folder / "noise")})
        for path in folder.rglob("*.jsonl"):
            text = path.read_text()
            for name in ("speech", "noise"):
                text = text.replace(f"{folder}/{name}/", f"{name}:")
            path.write_text(text)
        assert found(folder) == {} and ":" in (folder / "2mix/dev/plan.jsonl").read_text()
        (folder / "speech").rename(folder / "moved")
        problems = found(folder)
        (text,) = problems.pop("audio files")
        assert text == (
            f'{folder}/roots.json: wanted the folder of "speech", {folder}/speech, with 18 files of lists and plans, '
            "found none; where the corpus has moved, write its new folder there"
        )
        assert problems == {}
        write_json(folder / "roots.json", {"speech": str(folder / "moved"), "noise": str(folder / "noise")})
        problems = found(folder)
        assert list(problems) == ["lists"] and all("wav.scp" in text for text in problems["lists"])
        assert all("run stage 1 if the corpus or the project has moved, which mends this" in text
                   for text in problems["lists"])  # fmt: skip

    def test_root_that_nobody_names(self, folder, edit):
        path = folder / "2mix" / "test" / "plan.jsonl"
        edit(path, 0, lambda row: row["noise"].update(path="wham:tt/a.wav"))
        text = the_only(found(folder), "plans")
        assert text == (
            f'wham:tt/a.wav: wanted to know the folder of wham, write "wham": "FOLDER" into {folder}/roots.json'
        )


class TestLists:
    def test_duplicate_utterance(self, folder):
        path = folder / "lists" / "train" / "utterances.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([*lines, lines[0]]))
        assert the_only(found(folder), "lists").startswith(f"{path}: wanted every id once, found ann-0 2 times")

    def test_crop_before_the_file(self, folder, edit):
        path = folder / "lists" / "dev" / "utterances.jsonl"
        edit(path, 1, lambda row: row["crops"][0].update(start=-480))
        text = the_only(found(folder), "lists")
        assert text.startswith(f"{path}, utterance eva-1: wanted a crop that starts at sample 0") and "-480" in text

    @pytest.mark.parametrize(
        "change, wanted",
        (
            ({"lufs": math.nan}, "wanted a finite loudness"),
            ({"speech": 1.5}, "wanted a share of speech"),
            ({"start": "zero"}, "wanted int as start, found 'zero'"),
        ),
    )
    def test_crop_values(self, folder, edit, change, wanted):
        edit(folder / "single" / "dev" / "utterances.jsonl", 0, lambda row: row["crops"][0].update(change))
        assert any(wanted in text for text in found(folder)["lists"])

    def test_unsorted_table(self, folder):
        path = folder / "2mix" / "train" / "utt2spk"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(reversed(lines)))
        assert the_only(found(folder), "lists").startswith(f"{path}: wanted keys sorted as LC_ALL=C sort does")

    def test_table_that_says_something_else(self, folder):
        path = folder / "2mix" / "train" / "spk2utt"
        path.write_text(path.read_text().replace("ann ann-0 ann-1", "ann ann-0"))
        text = the_only(found(folder), "lists")
        assert f"{path}: ann: wanted 'ann-0 ann-1' as in utterances.jsonl, found 'ann-0'" in text

    def test_table_missing(self, folder):
        (folder / "single" / "dev" / "wav.scp").unlink()
        assert "wav.scp: no such file" in the_only(found(folder), "lists")

    def test_a_line_that_is_no_utterance(self, folder):
        path = folder / "lists" / "dev" / "utterances.jsonl"
        path.write_text('{"utt": "only"}\n')
        assert the_only(found(folder), "lists").startswith(f"{path}: a line is not what stage 1 writes")


class TestPlans:
    @pytest.mark.parametrize(
        "change, wanted",
        (
            (lambda row: row["overlaps"].__setitem__(0, 0.99), "wanted the overlap of"),
            (lambda row: row["overlaps"].append(0.5), "wanted 1 overlaps, found 2"),
            (lambda row: row["sources"][0].update(gain=math.inf), "wanted a finite gain above 0, found inf"),
            (lambda row: row["sources"][0].update(gain="loud"), "wanted float as gain, found 'loud'"),
            (lambda row: row["sources"][0].update(lufs=math.nan), "wanted a finite loudness, found nan"),
            (lambda row: row["sources"][1].update(offset=-1), "wanted start and offset of 0 or more"),
            (lambda row: row.update(num_samples=row["num_samples"] + 1), "where the last source ends"),
            (lambda row: row.update(sample_rate=8000), "wanted 16000 Hz, found 8000"),
            (lambda row: row["noise"].update(start=16000), "wanted a start inside its 16000 samples, found 16000"),
            (lambda row: row["noise"].update(snr_db=math.nan), "wanted a finite SNR"),
            (lambda row: row["noise"].update(id="other"), "wanted a noise of noises.jsonl, found other"),
            (lambda row: row["sources"][0].update(utt="other"), "wanted an utterance of utterances.jsonl, found other"),
            (lambda row: row["sources"].pop(), "wanted 2 sources in 2mix, found 1"),
        ),
    )
    def test_arithmetic(self, folder, edit, change, wanted):
        path = folder / "2mix" / "test" / "plan.jsonl"
        edit(path, 1, change)
        problems = found(folder)
        assert list(problems) == ["plans"]
        assert any(wanted in text for text in problems["plans"]), problems
        assert all(text.startswith(f"{path}, ") for text in problems["plans"])

    def test_points_past_the_end(self, folder, edit):
        path = folder / "2mix" / "test" / "plan.jsonl"
        row = edit(path, 2, lambda row: row["sources"][1].update(start=20000))
        text = the_only(found(folder), "plans")
        utt = row["sources"][1]["utt"]
        assert text.startswith(f"{path}, mixture {row['id']}, {utt}: wanted ") and "up to sample 28000" in text

    def test_one_speaker_twice(self, folder, edit):
        path = folder / "2mix" / "test" / "plan.jsonl"
        edit(
            path,
            0,
            lambda row: row["sources"][1].update(
                {key: row["sources"][0][key] for key in ("utt", "spk", "path", "start", "gain")}
            ),
        )
        spk = first_source(folder).spk
        assert any(f"wanted different speakers, found {spk}, {spk}" in text for text in found(folder)["plans"])

    def test_duplicate_id(self, folder):
        path = folder / "2mix" / "dev" / "plan.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([lines[0], *lines]))
        name = json.loads(lines[0])["id"]
        assert the_only(found(folder), "plans").startswith(f"{path}: wanted every id once, found {name} 2 times")

    def test_not_json(self, folder):
        path = folder / "2mix" / "dev" / "plan.jsonl"
        path.write_text(path.read_text()[:-20])
        assert f"{path}, line 3: not valid JSON" in the_only(found(folder), "plans")

    def test_overlap_may_be_a_sample_off(self, folder, edit):
        edit(
            folder / "2mix" / "test" / "plan.jsonl",
            0,
            lambda row: row["overlaps"].__setitem__(0, row["overlaps"][0] + 0.99 / 8000),
        )
        assert found(folder) == {}


class TestFolders:
    def test_set_missing(self, folder):
        shutil.rmtree(folder / "2mix" / "dev")
        assert the_only(found(folder), "folders").startswith(f"{folder / '2mix' / 'dev'}: wanted a set beside")

    def test_plans_missing(self, folder):
        (folder / "2mix" / "dev" / "plan.jsonl").unlink()
        assert "plan.jsonl: no such file" in the_only(found(folder), "plans")

    def test_no_plans(self, folder):
        (folder / "2mix" / "dev" / "plan.jsonl").write_text("")
        assert "wanted at least one mixture, found none" in the_only(found(folder), "folders")

    def test_unfinished_stage(self, folder):
        write_json(folder / "single" / STATE_FILE, {"done": False, "fingerprint": "x"})
        text = the_only(found(folder), "folders")
        assert text == f"{folder / 'single'}: its stage has not finished; run that stage, or the export, again"


class TestSets:
    def test_shared_speaker(self, folder):
        lists = folder / "lists" / "dev"
        for name, old, new in (
            ("utterances.jsonl", '"spk":"fay"', '"spk":"gus"'),
            ("utt2spk", " fay\n", " gus\n"),
            ("spk2utt", "fay fay-0", "gus fay-0"),
        ):
            text = (lists / name).read_text()
            assert old in text
            (lists / name).write_text(text.replace(old, new))
        assert the_only(found(folder), "sets") == (
            "speaker gus: wanted in one of the sets, found in 2mix/test and lists/dev; redo stage 1 with disjoint sets"
        )

    def test_shared_noise(self, folder):
        noises = folder / "lists" / "dev" / "noises.jsonl"
        noises.write_text((folder / "lists" / "train" / "noises.jsonl").read_text())
        text = the_only(found(folder), "sets")
        assert text.startswith(f"noise file {folder}/noise/train.wav: wanted in one of the sets, found in ")


class TestRendering:
    def test_level_that_the_gain_does_not_give(self, folder, edit):
        path = folder / "2mix" / "test" / "plan.jsonl"
        row = edit(path, 0, lambda row: row["sources"][1].update(lufs=row["sources"][1]["lufs"] + 0.5))
        text = the_only(found(folder), "rendering")
        assert text.startswith(f"{path}, mixture {row['id']}: {row['sources'][1]['utt']}: wanted a loudness of ")
        assert found(folder, quick=True) == {}

    def test_loud_mixtures_are_scaled_alike(self, folder, edit):
        """20 dB more for both: beyond the peak limit, so that both are measured lower than stated."""

        def louder(row):
            for source in row["sources"]:
                source.update(gain=source["gain"] * 10, lufs=source["lufs"] + 20)

        edit(folder / "2mix" / "test" / "plan.jsonl", 0, louder)
        assert np.abs(render(read_plans(folder / "2mix" / "test" / "plan.jsonl")[0]).mix).max() > 0.89
        assert found(folder) == {}

    def test_silent_noise(self, folder):
        path = folder / "noise" / "test.wav"
        soundfile.write(path, np.zeros(16000), 16000)
        problems = found(folder)
        assert list(problems) == ["rendering"] and len(problems["rendering"]) == 6
        assert "the noise test-noise is silent here" in problems["rendering"][0]

    def test_loudness_is_that_before_the_gain(self, tmp_path):
        """-10 dB put the quiet half under the absolute gate of BS.1770, which moves the relative one: 2.8 LU here."""
        levels = np.repeat([1.0, 0.2, 0.0056, 0.0056], RATE).astype(np.float32)
        noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
        samples, gain = noise * levels, 10 ** (-10 / 20)
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / "n.wav", noise, RATE)
        meter = pyloudnorm.Meter(RATE)
        stated = meter.integrated_loudness(samples.astype(np.float64)) - 10
        assert abs(meter.integrated_loudness(samples.astype(np.float64) * gain) - stated) > 1
        source = Source("a-0", "a", "U", str(tmp_path / "a.wav"), 0, 4 * RATE, 0, gain, stated)
        noise = Noise("n", str(tmp_path / "n.wav"), 0, 4 * RATE, 10.0)
        assert rendering.rendering_faults(Plan("a", 4 * RATE, (source,), noise, ())) == []

    @pytest.mark.parametrize(
        "spoil, wanted",
        (
            (lambda r: Rendered(r.mix[:-1], r.sources, r.noise), "wanted a mixture and sources of shapes"),
            (lambda r: Rendered(r.mix, r.sources, r.noise * np.float32(np.nan)), "wanted finite samples"),
            (lambda r: Rendered(r.mix + np.float32(3e-6), r.sources, r.noise), "to sum to the mixture within 1e-06"),
            (lambda r: Rendered(*(part * np.float32(100) for part in (r.mix, r.sources, r.noise))), "wanted a peak of"),
            (lambda r: Rendered(r.mix, r.sources, r.noise * np.float32(1.02)), "wanted an SNR"),
        ),
    )
    def test_a_renderer_that_errs(self, prepared, monkeypatch, spoil, wanted):
        plan = read_plans(prepared / "2mix" / "test" / "plan.jsonl")[0]
        assert rendering.rendering_faults(plan) == []
        monkeypatch.setattr(rendering, "render", lambda plan: spoil(render(plan)))
        assert any(wanted in fault for fault in rendering.rendering_faults(plan))


def test_long_lists_are_cut_and_the_rest_is_counted():
    problems = [Problem("lists", f"text {number}") for number in range(5)] + [Problem("folders", "one")]
    assert listing(problems, 2).splitlines() == [
        "folders: 1 problem",
        "  one",
        "lists: 5 problems",
        "  text 0",
        "  text 1",
        "  ... and 3 more of lists (--show 0 prints all)",
    ]
    assert len(listing(problems, 0).splitlines()) == 8


class TestOffsets:
    def moved(self, path, dc):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples + dc, rate)

    def test_of_speech_that_the_plan_does_not_take_out(self, folder):
        source = first_source(folder)
        self.moved(source.path, 0.2)
        texts = found(folder)["rendering"]
        assert any(f"{source.utt}: wanted no constant offset above -20 dB of its power" in text for text in texts)
        assert all("redo stage 1 with --force true" in text for text in texts)

    def test_of_noise_that_lists_and_plans_do_not_know(self, folder):
        self.moved(folder / "noise" / "test.wav", 0.2)
        problems = found(folder)
        assert list(problems) == ["lists", "plans"] and len(problems["lists"]) == 3 and len(problems["plans"]) == 6
        assert all(
            "noise test-noise: wanted no constant offset above -20 dB" in text
            for texts in problems.values()
            for text in texts
        )

    def test_none_where_it_is_taken_out(self, tmp_path, buzz):
        samples = buzz(120, 2.0)
        soundfile.write(tmp_path / "a.wav", samples + 0.1, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / "n.wav", np.random.default_rng(0).normal(0.1, 0.1, 2 * RATE), RATE, subtype="FLOAT")
        (crop,) = best_crops(samples + np.float32(0.1), 2 * RATE, 1)
        source = Source("a-0", "a", "U", str(tmp_path / "a.wav"), 0, 2 * RATE, 0, 1.0, crop.lufs, crop.dc)
        noise = Noise("n", str(tmp_path / "n.wav"), 0, 2 * RATE, 10.0, 0.1)
        plan = Plan("a", 2 * RATE, (source,), noise, ())
        assert rendering.rendering_faults(plan) == []
        kept = rendering.rendering_faults(dataclasses.replace(plan, sources=(dataclasses.replace(source, dc=0.0),)))
        assert len(kept) == 1 and "wanted no constant offset" in kept[0]


class TestSilentStretches:
    @pytest.mark.parametrize(
        "silent, wanted",
        [
            ([[0, 16000]], "wanted a noise that sounds, found a silent one"),
            ([[500, 20000]], "wanted silent stretches in order"),
            ([[500, 100]], "wanted silent stretches in order"),
            ([[-1, 100]], "wanted silent stretches in order"),
        ],
    )
    def test_of_a_list_that_was_edited(self, folder, edit, silent, wanted):
        edit(folder / "lists" / "dev" / "noises.jsonl", 0, lambda row: row.update(silent=silent))
        assert f"noise dev-noise: {wanted}" in the_only(found(folder), "lists")


def test_an_order_of_speakers_that_kaldi_refuses(folder):
    path = folder / "lists" / "train" / "utt2spk"
    for name in ("utterances.jsonl", "utt2spk", "spk2utt"):
        text = (path.parent / name).read_text()
        for utt in ("ann-0", "ann-1"):
            text = text.replace(f'"utt": "{utt}", "spk": "ann"', f'"utt": "{utt}", "spk": "zoe"')
            text = text.replace(f'"utt":"{utt}","spk":"ann"', f'"utt":"{utt}","spk":"zoe"')
        text = text.replace("ann-0 ann\n", "ann-0 zoe\n").replace("ann-1 ann\n", "ann-1 zoe\n")
        if name == "spk2utt":
            lines = text.replace("ann ann-0", "zoe ann-0").splitlines(keepends=True)
            text = "".join(sorted(lines))
        (path.parent / name).write_text(text)
    texts = found(folder)["lists"]
    assert any(
        text.startswith(
            f"{path}: wanted the order of utterances to be that of speakers, as Kaldi wants it, "
            "found ann-1 of zoe before bob-0 of bob"
        )
        for text in texts
    )


def test_tables_with_the_relative_paths_of_older_revisions_are_good(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for path in folder.rglob("*"):
        if path.suffix in (".jsonl", ".scp"):
            path.write_text(path.read_text().replace(f"{folder}/", ""))
    assert found(folder) == {}


def test_an_id_that_no_file_can_be_called_after(folder, edit):
    """As revisions that did not shorten them planned mixtures of long names."""
    edit(folder / "2mix" / "dev" / "plan.jsonl", 0, lambda row: row.update(id="u" * 240))
    assert "wanted an id whose files have names of at most 255 bytes, found 261" in the_only(found(folder), "plans")
