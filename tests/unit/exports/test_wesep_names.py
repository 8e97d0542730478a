"""Labels that WeSep's inference and scoring read back out of the names of wavs."""

from types import SimpleNamespace

import pytest

from wesep_mix.exports.wesep import file_labels


def plan_of(*utterances):
    """What of a mixture of (speaker, utterance) pairs labels are made of, with the id that stage 1 gives it."""
    sources = [SimpleNamespace(spk=spk, utt=utt) for spk, utt in utterances]
    return SimpleNamespace(id="_".join(utt for _, utt in utterances), sources=sources)


def read_back(key: str, label: str) -> str:
    """What scoring takes an output for, by the rule of WeSep's `generate_enahnced_scp`."""
    stem = f"Utt17-{key}-T{label}"
    first, target = stem.split("-")[1], stem.split("T")[1]
    name = stem[stem.find("-") + 1 : stem.rfind("-")]
    return f"{'s1' if target == first else 's2'}/{name}.wav"


LIBRISPEECH = (("61", "61-70968-0000"), ("8455", "8455-210777-0021"))
OTHERS = [
    (("test-f000", "test-f000-002"), ("test-f007", "test-f007-006")),  # the mini corpus
    (("p225", "p225_001"), ("p226", "p226_003")),  # VCTK
    (("ann", "ann-1"), ("ann-2", "ann-2-1")),
    (("a-b", "a-b-1"), ("-", "x-2")),
]


def test_names_in_librispeechs_form_stay_the_speakers():
    assert file_labels(plan_of(*LIBRISPEECH)) == ["61", "8455"]


@pytest.mark.parametrize("utterances", [LIBRISPEECH, *OTHERS])
def test_every_output_is_read_back_as_its_own_source(utterances):
    plan = plan_of(*utterances)
    labels = file_labels(plan)
    assert len(set(labels)) == len(labels) == 2
    assert [read_back(plan.id, label) for label in labels] == [f"s1/{plan.id}.wav", f"s2/{plan.id}.wav"]


def test_three_talkers_have_three_labels():
    assert file_labels(plan_of(*LIBRISPEECH, ("845-5", "845-5-3"))) == ["61", "8455", "8455x"]
