from wesep_mix.data import prepared as room
from wesep_mix.data.cues import with_cues
from wesep_mix.data.datasets import FixedMixtures, dev_plans, training_mixtures
from wesep_mix.data.prepared import PreparedSet

KINDS = {"predicted": 0.5, "clean": 0.0, "enrolment": 0.5}


def test_a_set_is_read_once_for_all_that_is_made_of_it(prepared, monkeypatch):
    read = []

    def counted(name):
        function = getattr(room, name)

        def call(folder):
            read.append(name)
            return function(folder)

        return call

    for name in ("load_pool", "read_plans"):
        monkeypatch.setattr(room, name, counted(name))
    whole = PreparedSet(prepared / "2mix" / "train")
    stream = with_cues(training_mixtures(whole, 2, 0), whole, KINDS, 0, "all")
    with_cues(FixedMixtures(dev_plans(whole, 2, min_talkers=1)), whole, KINDS, 0, "all")
    assert sorted(read) == ["load_pool", "read_plans"]
    assert stream.pool is stream.mixtures.pool
