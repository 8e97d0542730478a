"""Counts, hours and bins of a summary, on plans whose numbers are known."""

import dataclasses

import pytest
from PIL import Image

from wesep_mix.mixing.plan import Noise, Plan, Source
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.report.data_summary import (
    FolderContent,
    histograms,
    list_table,
    mixture_hours,
    mixture_table,
    summary_text,
)
from wesep_mix.report.plots import data_plot

HOUR = 16000 * 3600


def source(spk, sex, offset=0, lufs=-30.0):
    return Source(f"{spk}-0", spk, sex, f"/{spk}.wav", 0, HOUR, offset, 1.0, lufs)


def plan(first, second, overlap, snr_db):
    offset = round((1 - overlap) * HOUR)
    sources = (first, dataclasses.replace(second, offset=offset))
    return Plan(f"{first.spk}_{second.spk}", HOUR + offset, sources, Noise("n", "/n.wav", 0, HOUR, snr_db), (overlap,))


@pytest.fixture
def content():
    ann, bob, cem = source("ann", "F"), source("bob", "M", lufs=-26.0), source("cem", "M")
    plans = [plan(ann, bob, 0.5, 5.0), plan(bob, ann, 0.62, 10.0), plan(bob, cem, 0.8, 5.0)]
    speech = [SpeechEntry(s.utt, s.spk, s.sex, s.path, ()) for s in (ann, bob, cem)]
    return FolderContent("2mix", "train", speech, [NoiseEntry("n", "/n.wav", HOUR)], plans)


def test_tables(content):
    lengths = {"/ann.wav": HOUR, "/bob.wav": HOUR // 2, "/n.wav": HOUR // 4}  # cem's file is bad
    assert list(list_table([content], lengths).rows[0]) == ["2mix/train", "3", "3", "1", "2", "1.50", "1", "0.25"]
    assert list(mixture_table([content]).rows[0]) == [
        "2mix/train",
        "3",
        "2",
        "3",
        "1",
        "2",
        "4.08",
        "6.00",
        "0.640 (0.50 to 0.80)",
        "5, 10",
        "-30.0 to -26.0",
    ]
    assert mixture_hours(content) == (pytest.approx(4.08), 6.0)


def test_histograms_have_common_bins(content):
    other = dataclasses.replace(content, name="test", plans=content.plans[1:2])
    overlap, snr, sexes = histograms([content, other])
    assert overlap.bins == [
        "0.50 to 0.55",
        "0.55 to 0.60",
        "0.60 to 0.65",
        "0.65 to 0.70",
        "0.70 to 0.75",
        "0.75 to 0.80",
        "0.80 to 0.85",
    ]
    assert overlap.counts == {"train": [1, 0, 1, 0, 0, 0, 1], "test": [0, 0, 1, 0, 0, 0, 0]}
    assert (snr.bins, snr.counts) == (["5", "10"], {"train": [2, 1], "test": [0, 1]})
    assert (sexes.bins, sexes.counts) == (["FM", "MM"], {"train": [2, 1], "test": [1, 0]})


def test_many_different_snrs_are_binned(content):
    plans = [
        dataclasses.replace(each, noise=dataclasses.replace(each.noise, snr_db=value))
        for each, value in zip(content.plans * 4, [-1.0, 0, 0.1, 2.4, 2.5, 2.6, 3, 4, 5, 6, 7, 8], strict=True)
    ]
    snr = histograms([dataclasses.replace(content, plans=plans)])[1]
    assert snr.bins == ["-2.5 to 0.0", "0.0 to 2.5", "2.5 to 5.0", "5.0 to 7.5", "7.5 to 10.0"]
    assert snr.counts == {"train": [1, 3, 4, 3, 1]}
    assert "-1.0 to 8.0" in mixture_table([dataclasses.replace(content, plans=plans)]).rows[0]


def test_text_has_counts_shares_and_bars(content):
    text = summary_text([content], {})
    assert "FM     2  66.7 % ##########" in text and "MM     1  33.3 % #####" in text
    assert "2mix: overlap of the sets' plans" in text


def test_lists_alone_and_single_speakers(content):
    bare = dataclasses.replace(content, plans=[])
    assert "mixtures" not in summary_text([bare], {})
    alone = dataclasses.replace(content.plans[0], sources=content.plans[0].sources[:1], overlaps=())
    single = dataclasses.replace(content, group="single", plans=[alone])
    assert [histogram.title for histogram in histograms([single])] == ["SNR dB", "sexes"]
    assert mixture_table([single]).rows[0][8] == "-"


def test_picture(content, tmp_path):
    alone = dataclasses.replace(content.plans[0], sources=content.plans[0].sources[:1], overlaps=())
    single = dataclasses.replace(content, group="single", plans=[alone])
    data_plot([content], tmp_path / "one.png")
    data_plot([content, single], tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.format == "PNG" and two.height == 2 * one.height and one.width == two.width
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
