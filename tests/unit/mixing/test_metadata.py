import dataclasses

import pytest
from places import SHARED

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.librimix import read_lists

REAL = SHARED / "data" / "LibriMix"
HEADER = "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain"
ONE = "1-2-3_4-5-6,dev-clean/1/2/1-2-3.flac,0.78,dev-clean/4/5/4-5-6.flac,1.4352834120507272,cv/a_1.7_b_-1.7.wav,1.8"
TWO = "7-8-9_4-5-7,dev-clean/7/8/7-8-9.flac,0.5,dev-clean/4/5/4-5-7.flac,2e-1,cv/c.wav,1.8"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize("place", ["", "Libri2Mix", "metadata", "metadata/Libri2Mix"])
def test_rows_are_read_from_any_of_librimixs_folders(tmp_path, place):
    path = write(tmp_path / place / "libri2mix_dev-clean.csv", HEADER, ONE, TWO)
    one, two = read_lists(tmp_path, 2, ["dev-clean"])
    assert one.id == "1-2-3_4-5-6" and one.utts == ("1-2-3", "4-5-6") and one.noise_path == "cv/a_1.7_b_-1.7.wav"
    assert one.gains == (0.78, 1.4352834120507272) and two.gains == (0.5, 0.2)
    assert (one.where, two.where) == (f"{path}, line 2", f"{path}, line 3")


def test_columns_are_found_by_name_and_subsets_come_in_order(tmp_path):
    turned = ",".join([*HEADER.split(",")[1:], "mixture_ID"])
    write(tmp_path / "libri2mix_dev-clean.csv", HEADER, ONE)
    write(tmp_path / "libri2mix_dev-other.csv", turned, ",".join([*TWO.split(",")[1:], "7-8-9_4-5-7"]))
    assert [row.id for row in read_lists(tmp_path, 2, ["dev-other", "dev-clean"])] == ["7-8-9_4-5-7", "1-2-3_4-5-6"]
    assert read_lists(tmp_path, 2, ["dev-other"])[0].utts == ("7-8-9", "4-5-7")


@pytest.mark.parametrize(
    "lines, said",
    [
        ([], "line 1: wanted the column mixture_ID, found an empty file"),
        ([HEADER], "csv: wanted a line for each mixture, found none"),
        ([HEADER.replace("source_2_gain", "gain"), ONE], "line 1: wanted the column source_2_gain, found mixture_ID, "),
        ([HEADER, ONE, TWO[:40]], "line 3: wanted 7 values, found 3"),
        ([HEADER, ONE + ",1"], "line 2: wanted 7 values, found 8"),
        ([HEADER, ONE, TWO.replace("2e-1", "loud")], "line 3: wanted a positive gain, found 'loud'"),
        ([HEADER, TWO.replace("2e-1", "nan")], "line 2: wanted a positive gain, found 'nan'"),
        ([HEADER, TWO.replace("2e-1", "-1")], "line 2: wanted a positive gain, found '-1'"),
        ([HEADER, TWO.replace("cv/c.wav", "")], "line 2: a value is empty"),
        ([HEADER, ONE, TWO, ONE], "line 4: mixture 1-2-3_4-5-6 is there twice"),
        ([HEADER, ONE, '"' + TWO], "line 3 or later: not a CSV file"),
    ],
)
def test_a_damaged_list_names_its_line(tmp_path, lines, said):
    path = write(tmp_path / "libri2mix_dev-clean.csv", *lines)
    with pytest.raises(UserError) as err:
        read_lists(tmp_path, 2, ["dev-clean"])
    assert str(path) in str(err.value) and said in str(err.value) and "\n" not in str(err.value)


def test_a_list_that_is_no_text_is_named(tmp_path):
    (tmp_path / "libri2mix_dev-clean.csv").write_bytes(HEADER.encode() + b"\n\xff\xfe\n")
    with pytest.raises(UserError, match="libri2mix_dev-clean.csv, line 2 or later: not a CSV file"):
        read_lists(tmp_path, 2, ["dev-clean"])


@pytest.mark.parametrize("num_spk, hint", [(2, False), (4, True)])
def test_a_list_that_is_missing_is_said(tmp_path, num_spk, hint):
    with pytest.raises(UserError) as err:
        read_lists(tmp_path, num_spk, ["dev-clean"])
    assert f"{tmp_path}: wanted LibriMix's Libri{num_spk}Mix/libri{num_spk}mix_dev-clean.csv" in str(err.value)
    assert ("lists for 2 and 3 talkers" in str(err.value)) == hint


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not there")
@pytest.mark.parametrize(
    "num_spk, subset, num_rows",
    [
        (2, "dev-clean", 3000),
        (2, "test-clean", 3000),
        (2, "train-clean-100", 13900),
        (3, "dev-clean", 3000),
        (3, "test-clean", 3000),
        (3, "train-clean-100", 9300),
    ],
)
def test_the_real_lists(num_spk, subset, num_rows):
    rows = read_lists(REAL, num_spk, [subset])
    assert len(rows) == num_rows
    lines = (REAL / f"Libri{num_spk}Mix" / f"libri{num_spk}mix_{subset}.csv").read_text().splitlines()[1:]
    for row, line in zip(rows, lines, strict=True):
        assert "_".join(row.utts) == row.id == line.split(",")[0]
        assert len({utt.split("-")[0] for utt in row.utts}) == num_spk
        assert [repr(gain) for gain in row.gains] == line.split(",")[2 : 2 * num_spk + 1 : 2]
        assert row.noise_path == line.split(",")[-2]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ", "),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text.replace(",", " ; ").replace("\n", " \r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "\n".join(", ".join(f'"{value}"' for value in line.split(",")) for line in text.splitlines()),
    ],
)
def test_a_list_that_was_written_again_elsewhere_reads_as_before(tmp_path, change):
    text = f"{HEADER}\n{ONE}\n{TWO}\n"
    for folder, content in (("plain", text), ("changed", change(text))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "libri2mix_dev-clean.csv").write_bytes(content.encode())
    plain, changed = (
        [dataclasses.replace(row, where="") for row in read_lists(tmp_path / folder, 2, ["dev-clean"])]
        for folder in ("plain", "changed")
    )
    assert changed == plain


def test_columns_that_nothing_known_separates_have_a_hint(tmp_path):
    write(tmp_path / "libri2mix_dev-clean.csv", HEADER.replace(",", "|"), ONE.replace(",", "|"))
    with pytest.raises(UserError, match="wanted the column mixture_ID, found mixture_ID.source_1.*; separate columns"):
        read_lists(tmp_path, 2, ["dev-clean"])
