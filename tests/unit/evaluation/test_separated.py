"""Separated speech: outputs with a known lag and gain, and the log of a training."""

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.separated import STEPS, dev_history, stretches
from wesep_mix.evaluation.trials import Trial
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.render import render


def test_steps_lead_from_the_clean_source_to_the_aligned_output(mixture_of, tmp_path):
    plan = mixture_of("a", "b")
    rendered, source = render(plan), plan.sources[1]
    output = 0.5 * np.roll(rendered.sources[1], 40) + 0.1 * rendered.sources[0]
    write_audio(tmp_path / "est.wav", output, subtype="FLOAT")
    found, lag, gain = stretches(Trial(plan, 1, tmp_path / "est.wav"), rendered)
    assert found.shape == (1 + len(STEPS), source.num_samples) and found.dtype == np.float32
    assert lag == 40 and 1 < gain < 2.5
    place = slice(source.offset, source.offset + source.num_samples)
    np.testing.assert_allclose(found[0], output[place], atol=1e-6)  # as it is
    clean = rendered.sources[1][place]
    np.testing.assert_allclose(found[1], clean, atol=1e-6)
    np.testing.assert_allclose(found[3], 0.6 * clean + 0.4 * found[-1], atol=1e-6)
    aligned = gain * np.roll(output, -40)[place]
    np.testing.assert_allclose(found[-1][:-40], aligned[:-40], atol=1e-5)
    assert np.square(found[-1] - clean).sum() < 0.2 * np.square(clean).sum()


def test_a_silent_output_is_named(mixture_of, tmp_path):
    plan = mixture_of("a", "b")
    write_audio(tmp_path / "est.wav", np.zeros(plan.num_samples))
    with pytest.raises(UserError, match="a_b-a: est is silent"):
        stretches(Trial(plan, 0, tmp_path / "est.wav"), render(plan))


def log(folder, name, rows):
    folder.mkdir(exist_ok=True)
    lines = ["dev/loss,epoch,step,train/loss", *(f"{loss},{epoch},9,1.0" for epoch, loss in rows)]
    (folder / name).write_text("\n".join(lines) + "\n")


def test_whether_a_training_had_stopped_rising(tmp_path):
    losses = [5.0, 3.0, 2.0, 1.0, 0.5, 0.25, 0.0, -0.5, -1.0, -1.5]
    log(tmp_path / "rising", "metrics.csv", [("0", ""), *enumerate(losses)])
    assert dev_history(tmp_path / "rising") == {"epochs": 10, "last_is_best": True, "gain_db": 0.5, "last_epochs": 1}
    log(tmp_path / "done", "metrics.csv", enumerate([*losses[:-1], -0.75]))
    assert dev_history(tmp_path / "done") == {"epochs": 10, "last_is_best": False, "gain_db": -0.25, "last_epochs": 1}
    assert dev_history(tmp_path) is None


def test_a_training_that_was_resumed_has_two_logs(tmp_path):
    log(tmp_path / "csv", "metrics.1.csv", [(0, 3.0), (1, 2.0)])
    log(tmp_path / "csv", "metrics.csv", [(2, 1.0)])
    assert dev_history(tmp_path / "csv") == {"epochs": 3, "last_is_best": True, "gain_db": 1.0, "last_epochs": 1}
