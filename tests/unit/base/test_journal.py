import pytest

from wesep_mix.base.files import Journal


def test_rows_come_back_by_id(tmp_path):
    with Journal(tmp_path / "deep" / "j.jsonl") as journal:
        assert journal.rows == {}
        journal.add({"id": "a", "x": 0.1 + 0.2})
        journal.add({"id": "b", "x": None})
    with Journal(tmp_path / "deep" / "j.jsonl") as journal:
        assert journal.rows == {"a": {"id": "a", "x": 0.1 + 0.2}, "b": {"id": "b", "x": None}}


def test_rows_are_in_the_file_before_it_is_closed(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.add({"id": "a"})
        assert (tmp_path / "j.jsonl").read_text() == '{"id":"a"}\n'


@pytest.mark.parametrize("torn", [b'{"id":"c","x', b'{"id":"c"}', b'\xff\xfe{"id"\n', b'{"id":\n{"id":"d"}\n'])
def test_a_torn_end_is_cut_off(tmp_path, torn):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id":"b"}\n' + torn)
    with Journal(path) as journal:
        assert sorted(journal.rows) == ["a", "b"]
        journal.add({"id": "e"})
    assert path.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n{"id":"e"}\n'
