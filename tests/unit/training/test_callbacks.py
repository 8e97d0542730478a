"""Moving average and early stop, and both after a stop."""

import pytest
import torch
from lives import notes, same, scored, state_of, stopping_at, weights

from wesep_mix.training.loop import moving_average
from wesep_mix.training.teacher import TeacherTraining

DECAY = 0.8


def remembering(base: type[TeacherTraining]) -> type[TeacherTraining]:
    """A training that remembers the weights after each step, and those that are validated."""

    class Remembering(base):
        after: list = []
        validated: list = []

        def on_train_batch_end(self, *_):
            self.after.append(state_of(self))

        def validation_step(self, batch, batch_index):
            super().validation_step(batch, batch_index)
            if len(self.validated) < len(self.after) // 2:
                self.validated.append(state_of(self))

    return Remembering


def averages(states: list[dict]) -> list[dict]:
    found = [states[0]]
    for state in states[1:]:
        found.append({name: DECAY * found[-1][name] + (1 - DECAY) * state[name] for name in state})
    return found


def close(first: dict, second: dict) -> bool:
    return all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


# moving average


def test_the_moving_average_is_validated_and_saved_and_the_training_is_not_touched(train):
    plain, averaged = remembering(TeacherTraining), remembering(TeacherTraining)
    train("plain", plain, keep="last")
    folder = train("averaged", averaged, keep="last", ema=DECAY)
    assert len(averaged.after) == 6 and all(map(same, plain.after, averaged.after))
    wanted = averages(averaged.after)
    assert close(weights(folder), wanted[5]) and not close(weights(folder), averaged.after[5])
    assert len(averaged.validated) == 3 and all(map(close, averaged.validated, wanted[1::2]))


@pytest.mark.parametrize("step, trainer", [(3, {"keep": "last"}), (4, {"average": 2})])
def test_a_stopped_training_with_a_moving_average_goes_on_to_the_same_end(train, stopped, step, trainer):
    whole = train("whole", ema=DECAY, **trainer)
    stopped(step, "parts", ema=DECAY, **trainer)
    assert same(weights(whole), weights(train("parts", ema=DECAY, **trainer)))


def test_bad_steps_are_counted_beside_a_moving_average(train):
    class Bad(TeacherTraining):
        def loss(self, batch):
            return super().loss(batch) * (float("nan") if self.global_step in (1, 4) else 1.0)

    folder = train(using=Bad, ema=DECAY)
    assert notes(folder)["num_bad_steps"] == 2
    assert all(weight.isfinite().all() for weight in weights(folder).values())


def test_equal_weights_stay_as_they_are_and_counts_are_the_current_ones():
    update, weight = moving_average(0.999), torch.randn(1000)
    average = [weight.clone()]
    for step in range(50):
        update(average, [weight], torch.tensor(step + 1))
    assert torch.equal(average[0], weight)
    counts = [torch.tensor(3)]
    update(counts, [torch.tensor(5)], torch.tensor(1))
    assert counts[0] == 5


# early stop


@pytest.mark.parametrize(
    "scores, num_epochs, best",
    [
        ([0.3, 0.4, 0.3, 0.1], 3, 0),
        ([0.3, 0.2, 0.25, 0.2], 4, 1),
        ([0.3, float("nan"), 0.2, 0.4, float("inf")], 5, 2),
        ([0.5, 0.4, 0.3, 0.2, 0.1], 5, 4),
    ],
)
def test_a_training_ends_after_so_many_epochs_without_a_better_score(train, capsys, scores, num_epochs, best):
    by_score = scored(TeacherTraining, scores)
    folder = train(using=by_score, patience=2, max_steps=10)
    assert notes(folder)["num_steps"] == 2 * num_epochs and len(by_score.at) == num_epochs
    assert same(weights(folder), by_score.at[best])
    said = f"early stop: dev/eer was not better in 2 epochs, {2 * num_epochs} of 10 steps were taken"
    assert (said in capsys.readouterr().out) == (num_epochs < 5)


def test_patience_survives_a_stop(train, stopped):
    first = scored(TeacherTraining, [0.3, 0.4])
    stopped(5, using=first, patience=2, max_steps=10)
    folder = train(using=scored(TeacherTraining, [0.35]), patience=2, max_steps=10)
    assert notes(folder)["num_steps"] == 6 and same(weights(folder), first.at[0])


def test_killed_after_its_early_stop_it_only_writes_the_model(train):
    folder = train(using=scored(TeacherTraining, [0.3, 0.4, 0.5]), patience=2, max_steps=10)
    before = weights(folder)
    (folder / "model.pt").unlink()
    train(using=stopping_at(6, lambda: 1 / 0), patience=2, max_steps=10)
    assert notes(folder)["num_steps"] == 6 and same(weights(folder), before)


def test_early_stop_moving_average_and_mean_go_together(train):
    folder = train(using=scored(TeacherTraining, [0.3, 0.4, 0.5]), patience=2, average=3, ema=DECAY, max_steps=10)
    assert notes(folder)["num_steps"] == 6
    assert all(weight.isfinite().all() for weight in weights(folder).values())
