"""Which embedding an extractor is given in training: the student's, the teacher's, of an enrolment, or from stage 4."""

import copy
import dataclasses

import pytest
import torch
from stages import mark_done

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.bin import extract_embeddings, train_extractor
from wesep_mix.data.cues import KINDS, MixturesWithCues
from wesep_mix.data.datasets import FixedMixtures, fixed_loader, loader_in_order
from wesep_mix.io.embeddings import read_embeddings, write_embeddings
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import OwnReference
from wesep_mix.mixing.plan import read_plans, speaker_keys
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.models import checkpoint
from wesep_mix.training import conditioning
from wesep_mix.training.conditioning import Conditioning, TeacherReferences, stored_embeddings
from wesep_mix.training.extractor import ExtractorTraining, build_extractor
from wesep_mix.training.settings import CueConfig

YAML = """
model: {name: stft_tcn, window: 64, hop: 32, channels: 8, hidden: 8, num_blocks: 1, num_stacks: 1}
trainer: {max_steps: 4, steps_per_epoch: 2, num_workers: 0, plans: static}
batch_size: 2
chunk_s: 0.25
"""
MIXED = "cue: {predicted: 0.4, clean: 0.3, enrolment: 0.3}\n"


def by_kind(*probabilities: float) -> dict[str, float]:
    return dict(zip(KINDS, probabilities, strict=True))


@pytest.fixture
def plans(prepared):
    return read_plans(prepared / "2mix" / "train" / "plan.jsonl")


@pytest.fixture
def batch_of(prepared, plans):
    """Function: probabilities of the kinds -> one batch of all training plans."""
    pool = load_pool(prepared / "2mix" / "train")

    def make(*probabilities):
        (batch,) = loader_in_order(MixturesWithCues(FixedMixtures(plans), by_kind(*probabilities), pool, 0), 4)
        return batch

    return make


@pytest.fixture
def stage4(prepared, tmp_path, saved):
    """What stages 2 to 4 leave: (teacher's file, student's file, folder of embeddings of train and dev)."""
    mark_done(*(path.parent for path in saved))
    (tmp_path / "embeddings.yaml").write_text("sets: [dev, test]\nbatch_size: 3\n")
    assert (
        extract_embeddings.main(
            [
                f"--config={tmp_path / 'embeddings.yaml'}",
                f"--data={prepared / '2mix'}",
                f"--single={prepared / 'single'}",
                f"--teacher={saved[0]}",
                f"--student={saved[1]}",
                f"--out={tmp_path / 'embeddings'}",
                "--set",
                "embeddings.sets=[train,dev]",
            ]
        )
        == 0
    )
    return (*saved, tmp_path / "embeddings")


def test_by_default_it_is_the_students_embedding_whether_or_not_that_is_drawn(batch_of, plans, teacher, student):
    conditioning = Conditioning(teacher, student)
    (plain,) = fixed_loader(plans, 4)
    assert plain.cues is None
    assert torch.equal(conditioning(plain), conditioning(batch_of(1, 0, 0)))


def test_every_talker_is_given_the_embedding_of_its_kind(batch_of, teacher, student):
    conditioning, batch = Conditioning(teacher, student), batch_of(0.34, 0.33, 0.33)
    kinds = batch.cues.kinds
    assert set(kinds.flatten().tolist()) == {0, 1, 2}
    found, predicted = conditioning(batch), Conditioning(teacher, student)(batch_of(1, 0, 0))
    enrolments = iter(zip(batch.cues.wav, batch.cues.num_samples.tolist(), strict=True))
    for row, plan in enumerate(batch.plans):
        for place, source in enumerate(plan.sources):
            wanted = predicted[row, place]
            if kinds[row, place] == 1:
                wanted = teacher(batch.sources[row, place, source.offset :][: source.num_samples][None])[0]
            elif kinds[row, place] == 2:
                wav, size = next(enrolments)
                wanted = teacher(wav[None, :size])[0]
            torch.testing.assert_close(found[row, place], wanted, atol=1e-5, rtol=0)
    assert not found.requires_grad


@pytest.mark.parametrize("kind, asked", [(0, True), (1, False), (2, False)])
def test_the_student_is_asked_only_where_its_embedding_is_given(batch_of, teacher, student, kind, asked):
    calls = []
    student.register_forward_hook(lambda *_: calls.append(1))
    Conditioning(teacher, student)(batch_of(*(float(place == kind) for place in range(3))))
    assert bool(calls) == asked


def test_a_student_that_is_its_own_reference_stands_for_the_teacher(batch_of, teacher, student):
    own = type(student)(dataclasses.replace(student.config, references="own")).eval()
    judge, batch = TeacherReferences(OwnReference(own)), batch_of(0, 0.5, 0.5)
    kinds, drawn = batch.cues.kinds, batch.cues
    found = Conditioning(teacher, own)(batch)
    torch.testing.assert_close(found[kinds == 1], judge(batch)[kinds == 1])
    torch.testing.assert_close(found[kinds == 2], OwnReference(own)(drawn.wav, drawn.num_samples))
    assert (kinds == 1).any() and (kinds == 2).any()
    assert not torch.allclose(judge(batch), TeacherReferences(teacher)(batch), atol=1e-2)


def test_embeddings_that_were_kept_come_back_from_a_checkpoint_to_the_last_bit(batch_of, teacher, tmp_path):
    """Computed anew, at another level or beside others, they would have other last digits."""
    batch, first, again = batch_of(1, 0, 0), TeacherReferences(teacher), TeacherReferences(teacher)
    first(batch)
    first.kept = dict.fromkeys(first.kept, torch.tensor([0.25, 0.5, 0.125]))
    torch.save(first.state_dict(), tmp_path / "state")
    again.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert list(again.kept) == list(first.kept) and torch.equal(again(batch), first(batch))
    older = {name: part for name, part in first.state_dict().items() if name != "speeds"}
    again.load_state_dict(older)  # of a training that was begun before there were speeds
    assert list(again.kept) == list(first.kept)
    again.load_state_dict(TeacherReferences(teacher).state_dict())
    assert again.kept == {}


def test_what_stage_4_wrote_of_such_a_student_is_its_own(tmp_path, plans):
    keys = [key for plan in plans for key in speaker_keys(plan)]
    for place, name in enumerate(("teacher", "reference", "matched")):
        write_embeddings(tmp_path / "train" / name, dict.fromkeys(keys, [float(place)] * 3))
    stored = stored_embeddings(tmp_path, {"train": plans}, by_kind(0.5, 0.5, 0.0))
    assert {kind: each.table[keys[0]][0] for kind, each in stored.items()} == {"predicted": 2.0, "clean": 1.0}


def test_embeddings_are_matched_as_the_settings_say(batch_of, teacher, student, monkeypatch):
    batch, asked = batch_of(1, 0, 0), []
    monkeypatch.setattr(conditioning, "match", lambda *given: asked.append(given[-1]) or match(*given))
    found = {way: Conditioning(teacher, student, matching=way)(batch) for way in ("assignment", "nearest")}
    assert asked == ["assignment", "nearest"]
    references, heads = TeacherReferences(teacher)(batch), student(batch.mix, batch.num_samples).embeddings
    nearest = torch.einsum("bnd,bsd->bsn", heads, references).argmax(-1)  # [B, S]
    wanted = heads[torch.arange(len(heads))[:, None], nearest]
    torch.testing.assert_close(found["nearest"], wanted.detach())


def test_it_works_in_full_precision_whatever_that_of_the_training(batch_of, teacher, student):
    batch = batch_of(0.34, 0.33, 0.33)
    wanted = Conditioning(teacher, student)(batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Conditioning(teacher, student)(batch), wanted)


def test_a_copy_of_a_training_shares_the_frozen_networks(extractor_settings, teacher, student):
    extractor = build_extractor(extractor_settings, student)
    module = ExtractorTraining(extractor_settings, extractor, Conditioning(teacher, student))
    copied = copy.deepcopy(module)
    assert copied.conditioning is module.conditioning and copied.model is not module.model
    references = TeacherReferences(teacher)
    assert copy.deepcopy(references) is references


# from stage 4


def test_embeddings_from_stage_4_give_the_same_losses(stage4, batch_of, plans, extractor_settings, teacher, student):
    for probabilities in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.4, 0.3, 0.3)):
        condition = CueConfig(*probabilities)
        settings = dataclasses.replace(extractor_settings, cue=condition, targets="all")
        extractor = build_extractor(settings, student)
        stored = stored_embeddings(stage4[2], {"train": plans}, by_kind(*probabilities))
        modules = [
            ExtractorTraining(settings, extractor, Conditioning(teacher, student, given)) for given in (None, stored)
        ]
        batch = batch_of(*probabilities)
        on_the_fly, from_ark = (module.loss(batch) for module in modules)
        torch.testing.assert_close(from_ark, on_the_fly, atol=1e-5, rtol=0)


def test_only_what_can_be_drawn_is_read(stage4, plans):
    for path in stage4[2].glob("train/teacher.*"):
        path.unlink()
    assert set(stored_embeddings(stage4[2], {"train": plans}, by_kind(0.5, 0.0, 0.5))) == {"predicted"}
    with pytest.raises(UserError, match=r"train/teacher.scp: no such file; stage 4 makes it with --set embeddings"):
        stored_embeddings(stage4[2], {"train": plans}, by_kind(0.5, 0.5, 0.0))


def test_an_embedding_that_is_missing_is_named_before_the_training(stage4, plans):
    stem = stage4[2] / "train" / "matched"
    table, gone = read_embeddings(f"{stem}.scp"), speaker_keys(plans[1])[1]
    write_embeddings(stem, {key: vector for key, vector in table.items() if key != gone})
    with pytest.raises(UserError, match=f"matched.scp: wanted an embedding {gone} of .*, found 7 others; stage 4 "):
        stored_embeddings(stage4[2], {"train": plans}, by_kind(1.0, 0.0, 0.0))


@pytest.fixture
def train(prepared, tmp_path, stage4):
    """Function: folder's name, options -> status of stage 5, for extractors on matched embeddings."""
    (tmp_path / "extractor").mkdir()
    (tmp_path / "extractor" / "tiny.yaml").write_text(YAML + MIXED + "embeddings: on_the_fly\n")

    def run(name, *options) -> int:
        return train_extractor.main(
            [
                f"--config={tmp_path / 'extractor' / 'tiny.yaml'}",
                f"--data={prepared / '2mix'}",
                f"--teacher={stage4[0]}",
                f"--student={stage4[1]}",
                "--num_spk=2",
                f"--out={tmp_path / name}",
                "--condition=matched",
                *options,
            ]
        )

    return run


def test_both_ways_train_the_same_extractor(train, tmp_path, stage4, capsys):
    assert train("fly") == 0
    assert train("ark", "--set", "extractor.embeddings=ark", f"--embeddings={stage4[2]}") == 0
    states = [
        checkpoint.load_model(tmp_path / name / "matched" / "model.pt", "extractors").state_dict()
        for name in ("fly", "ark")
    ]
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, atol=1e-4, rtol=1e-3)
    capsys.readouterr()
    assert train("fly", f"--embeddings={stage4[2]}") == 0  # which are not used
    assert "done already" in capsys.readouterr().out


def test_embeddings_are_matched_as_in_stage_4(train, tmp_path, capsys, monkeypatch):
    asked, config = [], tmp_path / "matching.yaml"
    monkeypatch.setattr(conditioning, "match", lambda *given: asked.append(given[-1]) or match(*given))
    config.write_text("sets: [dev, test]\n")
    assert train("fly", f"--embeddings_config={config}") == 0
    assert set(asked) == {"assignment"}
    asked.clear()
    config.write_text("sets: [dev, test]\nmatching: nearest\n")
    capsys.readouterr()
    assert train("fly", f"--embeddings_config={config}") == 0
    assert set(asked) == {"nearest"} and "matching changed (not set to 'nearest')" in capsys.readouterr().out
    assert train("fly", f"--embeddings_config={config}", "--condition=none") == 0
    assert train("fly", "--condition=none") == 0  # which has no embedding to match
    assert "fly/none; --force true" in capsys.readouterr().out


def test_embeddings_from_stage_4_are_asked_for(train, stage4, capsys):
    assert train("ark", "--set", "extractor.embeddings=ark") == 1
    assert "embeddings: ark: wanted the folder that stage 4 wrote them to, found none; give" in capsys.readouterr().err
    write_json(stage4[2] / STATE_FILE, {"done": False, "fingerprint": ""})
    assert train("ark", "--set", "extractor.embeddings=ark", f"--embeddings={stage4[2]}") == 1
    assert "embeddings, which is not finished: stage 4 makes it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"embeddings": "file"}, "embeddings: wanted on_the_fly or ark, found 'file'"),
        ({"embeddings": "ark"}, "wanted trainer.plans: static, found dynamic"),
        ({"chunk_s": -1.0}, "chunk_s: wanted seconds, or 0 for whole mixtures, found -1.0"),
    ],
)
def test_settings_that_make_no_sense(extractor_settings, settings, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(extractor_settings, **settings)


@pytest.mark.parametrize(
    "probabilities",
    [
        (0.5, 0.0, 0.0),
        (1.0, 0.5, 0.0),
        (1.5, -0.5, 0.0),
        (float("nan"), 0.5, 0.5),
        (0.0, 0.0, 0.0),
    ],
)
def test_probabilities_sum_to_1(probabilities):
    with pytest.raises(ValueError, match="wanted (probabilities that sum to 1|a probability from 0 to 1), found"):
        CueConfig(*probabilities)
