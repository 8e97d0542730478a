import dataclasses
import itertools
import tarfile

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.exports.job import Export
from wesep_mix.exports.shards import write_shards
from wesep_mix.exports.wesep import file_labels
from wesep_mix.exports.wesep_shards import Config


def shards_of(case, out, plans, **options) -> list[list[str]]:
    """Names in each shard, in the order of shard.list."""
    write_shards(Export(Config(**options), plans, case.data / "test", out, None), file_labels)
    names = []
    for path in (out / "shard.list").read_text().splitlines():
        with tarfile.open(path) as tar:
            names.append(tar.getnames())
    return names


def renamed(case, *ids):
    return [dataclasses.replace(case.plans["test"][0], id=name) for name in ids]


def test_members_follow_each_other_and_all_but_the_last_shard_are_full(case, tmp_path):
    plans = case.plans["test"]
    shards = shards_of(case, tmp_path, plans, shard_size=2)
    assert [len(names) for names in shards] == [10, 10, 5]
    members = [".spk1", ".spk2", ".wav", "_spk1.wav", "_spk2.wav"]
    names = sum(shards, [])
    assert sorted(names[::5]) == sorted(f"{plan.id}.spk1" for plan in plans)
    for first in range(0, len(names), 5):
        key = names[first].removesuffix(".spk1")
        assert names[first : first + 5] == [f"{key}{suffix}" for suffix in members]


def test_no_key_follows_one_that_it_holds(case, tmp_path):
    """WeSep's legacy reader would take both for one mixture."""
    plans = renamed(case, "u1_u2", "u1_u20", "xu1_u2", "b", "u1")
    (names,) = shards_of(case, tmp_path, plans)
    keys = [name.removesuffix(".spk1") for name in names if name.endswith(".spk1")]
    assert sorted(keys) == sorted(plan.id for plan in plans)
    assert not any(last in following for last, following in itertools.pairwise(keys))


def test_an_id_that_reads_as_a_source_is_refused(case, tmp_path):
    with pytest.raises(UserError, match="mixture a_spk2: .*rename"):
        shards_of(case, tmp_path, renamed(case, "a_spk2"))
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_bytes_carry_no_time_and_no_owner(case, tmp_path, monkeypatch, subtype):
    plans = renamed(case, "x" * 120)  # longer than a plain tar header takes
    shards_of(case, tmp_path / "a", plans, wav_subtype=subtype)
    monkeypatch.setattr("os.getuid", lambda: 4321)
    first = (tmp_path / "a" / "shards" / "shards_000000000.tar").read_bytes()
    with tarfile.open(tmp_path / "a" / "shards" / "shards_000000000.tar") as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}
        wav = tar.extractfile("x" * 120 + ".wav").read()
    place = wav.find(b"PEAK")
    assert (place > 0) == (subtype == "FLOAT")
    assert place < 0 or wav[place + 12 : place + 16] == bytes(4)
    assert wav[place + 16 :] and first


def test_shards_of_an_interrupted_export_are_kept(case, tmp_path):
    shards_of(case, tmp_path, case.plans["test"], shard_size=2)
    paths = sorted((tmp_path / "shards").iterdir())
    kept, gone = paths[0].stat().st_ino, paths[1].read_bytes()
    paths[1].unlink()
    (tmp_path / "shards" / ".half.12.tmp.tar").write_bytes(b"left by a kill")
    (tmp_path / "shards" / ".left").mkdir()
    shards_of(case, tmp_path, case.plans["test"], shard_size=2)
    assert paths[0].stat().st_ino == kept and paths[1].read_bytes() == gone
    assert sorted((tmp_path / "shards").iterdir()) == paths
