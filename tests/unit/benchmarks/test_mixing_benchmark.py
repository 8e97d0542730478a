"""benchmarks/mixing.py on five buzzes; in LibriMix's place a script that takes the same options."""

import pytest
from benchmark import cells, script

from wesep_mix.io.audio import write_audio

STAND_IN = """
import argparse, csv, os
options = argparse.ArgumentParser()
for name in ("librispeech_dir", "wham_dir", "metadata_dir", "librimix_outdir", "n_src", "freqs", "modes"):
    options.add_argument(f"--{name}", required=True)
options.add_argument("--types", nargs="+", required=True)
args = options.parse_args()
assert (args.n_src, args.freqs, args.modes) == ("2", "16k", "min")
(table,) = os.listdir(args.metadata_dir)
rows = list(csv.DictReader(open(os.path.join(args.metadata_dir, table))))
assert len({row["mixture_ID"] for row in rows}) == len(rows)
for row in rows:
    for number in (1, 2):
        float(row[f"source_{number}_gain"])
        assert os.path.isfile(os.path.join(args.librispeech_dir, row[f"source_{number}_path"]))
    assert os.path.isfile(os.path.join(args.wham_dir, row["noise_path"]))
    for kind in args.types:
        os.makedirs(f"{args.librimix_outdir}/{kind}", exist_ok=True)
        with open(f"{args.librimix_outdir}/{kind}/{row['mixture_ID']}.wav", "wb") as file:
            file.write(bytes(32000 * 3))
"""


@pytest.fixture(scope="module")
def bench():
    return script("mixing")


@pytest.fixture(scope="module")
def speech(tmp_path_factory, buzz):
    root = tmp_path_factory.mktemp("speech")
    for spk in range(5):
        write_audio(root / f"{spk}" / "1" / f"{spk}-1-0.flac", buzz(100 + 20 * spk, 5.2))
    return root


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_table_of_all_ways(bench, speech, tmp_path, capsys):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "create_librimix_from_metadata.py").write_text(STAND_IN)
    status = bench.main(["--librispeech", str(speech), "--librimix", str(tmp_path), "--num", "12", "--rounds", "1"])
    said = capsys.readouterr().out
    assert status == 0
    _, *rows = cells(said)
    assert [row[0] for row in rows] == [
        "rendered from FLAC",
        "rendered from decoded audio",
        "LibriMix, mix_both",
        "LibriMix, its default, 3 mixtures each",
    ]
    assert [row[-1] for row in rows] == ["none", "none", "0.10", "0.29"]  # MB: 3 s of 16 bits, once and three times
    assert [row[5] for row in rows[2:]] == ["3.0", "3.0"]
    for row in rows[:2]:
        assert 0 < int(row[2].removesuffix(" %")) < 100 and 6 < float(row[5]) < 7.6
    assert any(line.startswith("DataLoader, 2 workers") for line in said.splitlines())
    assert any(line.startswith("Lists: ") for line in said.splitlines())


def test_a_script_that_fails_is_told_with_its_last_line(bench, speech, tmp_path, capsys):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "create_librimix_from_metadata.py").write_text("raise SystemExit('no pandas')")
    assert bench.main(["--librispeech", str(speech), "--librimix", str(tmp_path), "--num", "2", "--rounds", "1"]) == 1
    assert "create_librimix_from_metadata.py: ended with status 1 (no pandas)" in capsys.readouterr().err


def test_a_folder_that_is_no_checkout_is_refused(bench, speech, tmp_path, capsys):
    assert bench.main(["--librispeech", str(speech), "--librimix", str(tmp_path)]) == 1
    assert "wanted a checkout of LibriMix" in capsys.readouterr().err
