"""The teacher's cosine of estimate and target, with a teacher that can be followed by hand."""

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation import voices
from wesep_mix.evaluation.scoring import VOICE, Trial, Voices, read_scored, score_condition
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.render import render


class ByHand(torch.nn.Module):
    """An embedding of two values: of a signal of a constant c and n samples, (c, n / 16000)."""

    def forward(self, wav, num_samples):
        there = torch.arange(wav.shape[1]) < num_samples[:, None]
        assert not wav[~there].any()  # padding
        return torch.stack([(wav * there).sum(1) / num_samples, num_samples / 16000], dim=1)


@pytest.fixture
def by_hand(monkeypatch):
    monkeypatch.setattr(voices, "load_model", lambda path, kind: ByHand())


@pytest.fixture
def trials(plans, tmp_path):
    """Two estimates of constants 1 and 0.75 where their source speaks, one second each, and 9 outside of it."""
    (plan, *_), found = plans, []
    for index, (key, constant) in enumerate(zip(speaker_keys(plan), (1.0, 0.75), strict=True)):
        est, source = np.full(plan.num_samples, 9.0, np.float32), plan.sources[index]
        est[source.offset : source.offset + source.num_samples] = constant
        write_audio(tmp_path / f"{key}.wav", est, subtype="FLOAT")
        found.append(Trial(plan, index, tmp_path / f"{key}.wav"))
    return found


@pytest.mark.parametrize("size", [1, 8])
def test_the_cosine_of_estimate_and_clean_source(by_hand, trials, tmp_path, monkeypatch, size):
    monkeypatch.setattr(voices, "BATCH_SIZE", size)
    first, second = speaker_keys(trials[0].plan)
    write_embeddings(tmp_path / "teacher", {first: np.array([1.0, 0.0]), second: np.array([0.75, 1.0])})
    # (1, 1) and (1, 0): cos 45 degrees; (0.75, 1) and itself: 1
    found = voices.voice_cosines(trials, tmp_path / "model.pt", tmp_path / "teacher.scp")
    assert found == pytest.approx([0.5**0.5, 1.0], abs=1e-6)


def test_a_missing_embedding_of_a_target_is_named(by_hand, trials, tmp_path):
    write_embeddings(tmp_path / "teacher", {speaker_keys(trials[0].plan)[0]: np.ones(2)})
    with pytest.raises(UserError, match="teacher.scp: a_b-b is not among the 1 embeddings"):
        voices.voice_cosines(trials, tmp_path / "model.pt", tmp_path / "teacher.scp")


def test_it_is_a_column_of_the_scores_where_a_teacher_is_given(by_hand, plans, tmp_path):
    clean = {}
    for plan in plans:
        for key, source, place in zip(speaker_keys(plan), render(plan).sources, plan.sources, strict=True):
            alone = torch.from_numpy(source[place.offset : place.offset + place.num_samples])[None]
            clean[key] = ByHand()(alone, torch.tensor([alone.shape[1]]))[0].numpy()
            write_audio(tmp_path / "wav" / f"{key}.wav", source, subtype="FLOAT")
    write_embeddings(tmp_path / "teacher", clean)
    given = Voices(tmp_path / "model.pt", tmp_path / "teacher.scp")
    score_condition(plans, tmp_path / "wav", tmp_path / "scores", 0, ScoreConfig(), 1, False, given)
    rows, summary = read_scored(tmp_path / "scores")
    assert [row[VOICE] for row in rows] == pytest.approx([1.0] * 6, abs=1e-5)  # the clean sources themselves
    assert summary[VOICE] == pytest.approx(1.0, abs=1e-5)
