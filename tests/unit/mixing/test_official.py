import dataclasses
import math

import pytest
from places import SHARED

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.librimix import Row, Rules, plans_of, read_lists
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

REAL = SHARED / "data" / "LibriMix"
SPEECH = [SpeechEntry(f"{spk}-0-{k}", spk, "FM"[int(spk) % 2], f"/s/dev-clean/{spk}/0/{spk}-0-{k}.flac",
                      (Crop(480 * k, 1.0, -20.0 - k), Crop(0, 0.9, -50.0)))
          for spk in "1234" for k in range(4)]  # fmt: skip
WHAM = [NoiseEntry(f"tt-{name}", f"/w/tt/{name}.wav", 90000, "wham/tt") for name in ("a", "b")]
MUSAN = [NoiseEntry(f"noise-{k}", f"/m/noise/free-sound/noise-{k}.wav", 50000, "musan/noise/free-sound") for k in "12"]
RULES = Rules(seed=0, short="replace", max_bad=0)
UNUSED = {"1-0-9": "1", "2-0-9": "2", "5-0-9": "5"}


def pool_of(noises=WHAM, speech=SPEECH) -> Pool:
    return Pool.of(speech, noises, MixingConfig())


def row(*utts, noise="tt/a.wav", gains=(0.5, 2.0, 1.5)) -> Row:
    return Row(f"list.csv, line {int(utts[-1][-1]) + 2}", "_".join(utts), utts, gains[: len(utts)], noise)


def plan(pool, *utts, rules=RULES, **how):
    (one,) = plans_of([row(*utts, **how)], pool, UNUSED, rules, "test")
    return one


def test_utterances_gains_and_noise_are_the_rows():
    one = plan(pool_of(), "1-0-1", "2-0-3", noise="tt/b.wav")
    assert one.id == "1-0-1_2-0-3" and one.sexes == "FM"
    assert [source.utt for source in one.sources] == ["1-0-1", "2-0-3"]
    assert [source.gain for source in one.sources] == [0.5, 2.0]
    assert [source.start for source in one.sources] == [480, 3 * 480]  # the best crops
    assert [source.lufs for source in one.sources] == pytest.approx([-21 - 6.0206, -23 + 6.0206], abs=1e-4)
    assert (one.noise.id, one.noise.start, one.noise.num_samples) == ("tt-b", 0, 90000)


def test_overlap_and_snr_are_drawn_by_our_rules_seeded_by_the_mixture():
    rows = [row(f"1-0-{k}", f"2-0-{j}", f"3-0-{i}") for k in range(4) for j in range(4) for i in range(4)]
    plans = plans_of(rows, pool_of(), {}, RULES, "test")
    overlaps = [share for one in plans for share in one.overlaps]
    assert 0.5 <= min(overlaps) < 0.53 and 0.77 < max(overlaps) <= 0.8
    assert {one.noise.snr_db for one in plans} == {5.0, 10.0, 15.0}
    for one in plans:
        assert one.sources[0].offset == 0 and one.num_samples == one.sources[-1].offset + 80000
        assert one.sources[1].offset == pytest.approx(80000 * (1 - one.overlaps[0]), abs=1)
    alone = plans_of(rows[5:6], pool_of(), {}, RULES, "test")
    assert alone[0] in plans and plans == plans_of(rows[::-1], pool_of(), {}, RULES, "test")
    assert [one.id for one in plans] == sorted(one.id for one in plans)
    other = plans_of(rows, pool_of(), {}, dataclasses.replace(RULES, seed=1), "test")
    assert not set(plans) & set(other)


def test_a_set_without_whams_noise_draws_its_own():
    plans = plans_of([row(f"1-0-{k}", f"2-0-{j}", noise="tr/x.wav") for k in range(4) for j in range(4)],
                     pool_of(MUSAN), {}, RULES, "train")  # fmt: skip
    assert {one.noise.id for one in plans} == {"noise-1", "noise-2"} and len({one.noise.start for one in plans}) > 10


@pytest.mark.parametrize("speed", ["sp08", "sp12"])
def test_a_noise_at_another_speed_is_the_recording_that_it_was_made_from(speed, capsys):
    assert plan(pool_of(), "1-0-1", "2-0-1", noise=f"tt/a{speed}.wav").noise.id == "tt-a"
    assert "note: test: 1 rows name a noise at another speed" in capsys.readouterr().out
    there = [*WHAM, NoiseEntry("fast", f"/w/tt/a{speed}.wav", 80000, "wham/tt")]
    assert plan(pool_of(there), "1-0-1", "2-0-1", noise=f"tt/a{speed}.wav").noise.id == "fast"


# utterances without a full segment


def test_a_short_utterance_is_replaced_by_another_of_its_speaker(capsys):
    rows = [row("1-0-9", "2-0-0"), row("3-0-1", "4-0-1")]
    plans = {one.id: one for one in plans_of(rows, pool_of(), UNUSED, RULES, "test")}
    assert len(plans) == 2 and "3-0-1_4-0-1" in plans
    (replaced,) = (one for one in plans.values() if one.sources[1].utt == "2-0-0")
    assert replaced.sources[0].spk == "1" and replaced.id == f"{replaced.sources[0].utt}_2-0-0"
    assert [source.gain for source in replaced.sources] == [0.5, 2.0]
    said = capsys.readouterr().out
    assert "note: test: 1 of 2 rows have an utterance without 5 s of speech (short: replace): 1 got another" in said


def test_a_replacement_makes_no_mixture_that_is_there_already():
    """Three of the four possible ones are."""
    there = [row(f"1-0-{k}", "2-0-0") for k in range(3)]
    for seed in range(10):
        plans = plans_of([row("1-0-9", "2-0-0"), *there], pool_of(), UNUSED, Rules(seed, "replace", 0), "test")
        assert sorted(one.id for one in plans) == [f"1-0-{k}_2-0-0" for k in range(4)]


def test_no_other_utterance_leaves_the_row_out(capsys):
    rows = [row("5-0-9", "2-0-0"), row("1-0-9", "2-0-1"), *(row(f"1-0-{k}", "2-0-1") for k in range(4))]
    plans = plans_of(rows, pool_of(), UNUSED, RULES, "test")
    assert sorted(one.id for one in plans) == [f"1-0-{k}_2-0-1" for k in range(4)]
    assert "2 of 6 rows" in (said := capsys.readouterr().out) and "0 got another of that speaker, 2 are left" in said


def test_short_drop_leaves_them_out(capsys):
    rows = [row("1-0-9", "2-0-0"), row("1-0-1", "2-0-9"), row("3-0-1", "4-0-1")]
    plans = plans_of(rows, pool_of(), UNUSED, Rules(0, "drop", 0), "test")
    assert [one.id for one in plans] == ["3-0-1_4-0-1"]
    assert "2 of 3 rows have" in (said := capsys.readouterr().out) and "(short: drop): 0 got" in said


def test_nothing_left_is_an_error():
    with pytest.raises(UserError, match="csv, line 2: wanted rows of this corpus, found none of 1 for the set test"):
        plans_of([row("1-0-9", "2-0-0")], pool_of(), UNUSED, Rules(0, "drop", 0), "test")


# files that are missing


@pytest.mark.parametrize(
    "bad, said",
    [
        (row("1-0-7", "2-0-1"), "mixture 1-0-7_2-0-1: wanted utterance 1-0-7, found no such file"),
        (row("1-0-1", "2-0-1", noise="tt/z.wav"), "mixture 1-0-1_2-0-1: wanted noise tt/z.wav, found no such file"),
    ],
)
def test_missing_files_are_named_counted_and_fail_above_max_bad(bad, said, capsys):
    rows = [bad, row("3-0-1", "4-0-1"), row("1-0-8", "2-0-2")]
    with pytest.raises(UserError) as err:
        plans_of(rows, pool_of(), UNUSED, Rules(0, "replace", 1), "test")
    assert str(err.value).startswith(f"list.csv, line 3: {said}") and "(2 such rows, max_bad is 1)" in str(err.value)
    assert "--set corpus.max_bad=2" in str(err.value) and "\n" not in str(err.value)
    capsys.readouterr()
    plans = plans_of(rows, pool_of(), UNUSED, Rules(0, "replace", 2), "test")
    assert [one.id for one in plans] == ["3-0-1_4-0-1"]
    heard = capsys.readouterr()
    assert heard.err.count("warning: test: left out: list.csv, line ") == 2 and said in heard.err
    assert "2 rows of LibriMix's lists are left out, since their files are missing" in heard.out


def test_a_noise_of_no_list_is_not_missing_where_the_set_has_none_of_whams():
    assert plan(pool_of(MUSAN), "1-0-1", "2-0-1", noise="tt/z.wav").noise.id.startswith("noise-")


# the real lists


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not there")
@pytest.mark.parametrize("num_spk", [2, 3])
def test_gains_of_the_real_test_lists_are_kept(num_spk):
    rows = read_lists(REAL, num_spk, ["test-clean"])
    utts = sorted({utt for one in rows for utt in one.utts})
    speech = [SpeechEntry(utt, utt.split("-")[0], "F", f"/s/{utt}.flac", (Crop(0, 1.0, -25.0),)) for utt in utts]
    paths = sorted({one.noise_path for one in rows})
    pool = pool_of([NoiseEntry(path, f"/w/{path}", 80000, "wham/tt") for path in paths], speech)
    plans = {one.id: one for one in plans_of(rows, pool, {}, RULES, "test")}
    assert len(plans) == 3000
    for one in rows:
        made = plans[one.id]
        assert tuple(source.gain for source in made.sources) == one.gains and made.noise.id == one.noise_path
        assert tuple(source.utt for source in made.sources) == one.utts
        for source in made.sources:
            assert source.lufs == pytest.approx(-25 + 20 * math.log10(source.gain))


def test_a_row_whose_noise_is_silent_is_bad(capsys):
    ends = (90000 - 100, 900)
    silent = [dataclasses.replace(noise, silent=((0, end),)) for noise, end in zip(WHAM, ends, strict=True)]
    rows = [row("1-0-0", "2-0-0", noise="tt/a.wav"), row("1-0-1", "2-0-1", noise="tt/b.wav")]
    with pytest.raises(UserError, match="wanted noise tt/a.wav at an SNR, found that its first segment is silent"):
        plans_of(rows, pool_of(silent), UNUSED, RULES, "test")
    (one,) = plans_of(rows, pool_of(silent), UNUSED, dataclasses.replace(RULES, max_bad=1), "test")
    assert (one.noise.id, one.noise.start) == ("tt-b", 0)


def test_offsets_are_kept_as_librimix_keeps_them_and_told(capsys):
    speech = [
        dataclasses.replace(entry, crops=tuple(dataclasses.replace(crop, dc=0.03) for crop in entry.crops))
        for entry in SPEECH[:2]
    ] + SPEECH[2:]
    wham = [dataclasses.replace(noise, dc=0.1) for noise in WHAM]
    rows = [row("1-0-0", "2-0-3"), row("1-0-1", "2-0-3"), row("1-0-2", "2-0-3")]
    with_dc = plans_of(rows, pool_of(wham, speech), UNUSED, RULES, "test")
    assert with_dc == plans_of(rows, pool_of(), UNUSED, RULES, "test")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "offset" in line)
    assert "test: the crops of 2 files have a constant offset" in line and "1-0-0.flac" in line
