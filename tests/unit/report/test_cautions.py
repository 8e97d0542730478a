"""What is said of PESQ and STOI, on tables of a few rows that can be followed by hand."""

import pytest

from wesep_mix.report.cautions import Kin, cautions

KIN = Kin({"net": "mixture", "net/wrong": "mixture", "old": "mixture"}, {"net/wrong": "net"})
MIXTURE = {"si_sdr": -1.0, "pesq": 1.07, "stoi": 0.730}
NET = {"si_sdr": 5.0, "pesq": 1.23, "stoi": 0.765}
WRONG = {"si_sdr": -14.0, "pesq": 1.34, "stoi": 0.432}


def test_each_sentence_is_of_the_tables_own_numbers():
    rows = {"mixture": MIXTURE, "net": NET, "old": {"si_sdr": 2.0, "pesq": 1.10, "stoi": 0.716}, "net/wrong": WRONG}
    # pairs: wrong contradicts each of the other three; the other three pairs agree
    assert cautions(rows, KIN) == [
        "PESQ says little at SI-SDRs of -14.00 to 5.00 dB: it is 1.07 to 1.34 over 4 rows, on a scale from 1.0 to "
        "4.64; it puts 3 of 6 pairs of them in the other order than SI-SDR does. No row is to be ranked by it alone.",
        "Of somebody else's embedding against the right one it puts `net/wrong` (1.34 at -14.00 dB) above `net` (1.23 "
        "at 5.00 dB): there it measures nothing.",
        "STOI hardly moves: by -0.014 to +0.035 from the unprocessed mixtures over 2 rows, those of somebody else's "
        "embedding aside.",
        "STOI is below that of the unprocessed mixtures, the second number, in `old` (0.716; 0.730).",
    ]


def test_nothing_is_said_that_the_numbers_do_not_show():
    high = {"si_sdr": 12.0, "pesq": 2.5, "stoi": 0.9}
    rows = {"mixture": MIXTURE, "net": high, "net/wrong": WRONG | {"pesq": 1.05}}
    assert cautions(rows, KIN) == [
        "PESQ, at SI-SDRs of -14.00 to 12.00 dB, is 1.05 to 2.50 over 3 rows, on a scale from 1.0 to 4.64. No row is "
        "to be ranked by it alone.",
        "STOI moves: by +0.170 from the unprocessed mixtures over one row, those of somebody else's embedding aside.",
    ]


def test_rows_of_other_mixtures_are_not_ordered():
    """Of three talkers all is lower but PESQ: pairs across the two sets would contradict SI-SDR."""
    three = {"mix3": {"si_sdr": -5.0, "pesq": 1.5, "stoi": 0.6}, "net3": {"si_sdr": -2.0, "pesq": 1.6, "stoi": 0.7}}
    kin = Kin({"net": "mixture", "net3": "mix3"})
    assert "pairs" not in cautions({"mixture": MIXTURE, "net": NET, **three}, kin)[0]
    three["net3"]["pesq"] = 1.4
    assert "it puts 1 of 2 pairs of them" in cautions({"mixture": MIXTURE, "net": NET, **three}, kin)[0]


@pytest.mark.parametrize("rows", [{}, {"net": {"si_sdr": 5.0}}])
def test_without_pesq_there_is_nothing_to_say(rows):
    assert cautions(rows, KIN) == []


def test_rows_that_were_not_rated_and_titles_of_ones_own():
    titles = Kin(KIN.mixture, KIN.right, {"net": "'ours'", "net/wrong": "'other'"})
    rows = {"mixture": {"si_sdr": -1.0}, "net": NET, "net/wrong": WRONG}
    assert cautions(rows, titles)[1:] == [
        "Of somebody else's embedding against the right one it puts 'other' (1.34 at -14.00 dB) above 'ours' (1.23 at "
        "5.00 dB): there it measures nothing."
    ]
