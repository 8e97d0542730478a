"""The mean of the best epochs' weights: of the right ones, and after a stop."""

import os
from contextlib import contextmanager

import pytest
import torch
from lives import notes, same, scored, stopping_at, weights

from wesep_mix.base.errors import UserError
from wesep_mix.training import loop as fitting
from wesep_mix.training.checkpoints import mean_state
from wesep_mix.training.teacher import TeacherTraining

NAN = float("nan")


@contextmanager
def disk_full_at(step: int):
    """Writing `last.ckpt` of that step fails, after the best ones were written."""
    saving = fitting.AtomicCheckpoints.save_checkpoint

    def save(self, checkpoint, path, storage_options=None):
        if os.path.basename(path) == "last.ckpt" and checkpoint["global_step"] == step:
            raise OSError(28, "No space left on device")
        saving(self, checkpoint, path, storage_options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting.AtomicCheckpoints, "save_checkpoint", save)
        yield


def is_the_mean(found: dict, parts: list[dict]) -> bool:
    return all(torch.allclose(found[name], sum(part[name] for part in parts) / len(parts), atol=1e-7) for name in found)


def names(folder) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize("scores, best", [([0.3, 0.1, 0.2], [1, 2]), ([0.1, 0.2, 0.3], [0, 1]), ([NAN, 0.3, NAN], [1])])
def test_the_saved_weights_are_the_mean_of_those_of_the_best_epochs(train, scores, best, capsys):
    by_best = scored(TeacherTraining, scores)
    folder = train(using=by_best, average=2)
    assert is_the_mean(weights(folder), [by_best.at[epoch] for epoch in best])
    assert not is_the_mean(weights(folder), by_best.at)
    assert notes(folder)["num_steps"] == 6
    named = ", ".join(f"step={2 * epoch + 2}" for epoch in best)
    assert f"the mean of the weights of {len(best)} epochs: {named}\n" in capsys.readouterr().out


def test_the_mean_of_one_is_the_best(train):
    by_best = scored(TeacherTraining, [0.3, 0.1, 0.2])
    assert same(weights(train(using=by_best, average=1)), by_best.at[1])


def test_without_a_finite_score_there_is_nothing_to_average(train):
    with pytest.raises(UserError, match="no epoch with a finite dev/eer, wanted up to 2 to average"):
        train(using=scored(TeacherTraining, [NAN] * 3), average=2)


def test_the_best_epochs_before_a_stop_are_remembered(train, stopped):
    first = scored(TeacherTraining, [0.1, 0.3])
    stopped(5, using=first, average=2)
    then = scored(TeacherTraining, [0.2])
    folder = train(using=then, average=2)
    assert is_the_mean(weights(folder), [first.at[0], then.at[0]])
    assert names(folder) == ["best-step=2.ckpt", "best-step=6.ckpt", "last.ckpt"]


@pytest.mark.parametrize("average", [0, 2])
def test_in_a_folder_that_was_moved_they_are_too(train, stopped, tmp_path, average):
    first = scored(TeacherTraining, [0.1, 0.3])
    stopped(5, using=first, average=average)
    (tmp_path / "teacher").rename(tmp_path / "moved")
    then = scored(TeacherTraining, [0.2])
    folder = train("moved", using=then, average=average)
    assert is_the_mean(weights(folder), [first.at[0], then.at[0]] if average else [first.at[0]])
    assert not (tmp_path / "teacher").exists()


def test_stopped_after_its_last_step_it_only_averages_again(train):
    folder = train(using=scored(TeacherTraining, [0.3, 0.1, 0.2]), average=2)
    before = weights(folder)
    (folder / "model.pt").unlink()
    train(using=stopping_at(6, lambda: 1 / 0), average=2)
    assert notes(folder)["num_steps"] == 6 and same(weights(folder), before)


@pytest.mark.parametrize("again", [0.1, 0.4])
def test_stopped_while_it_writes_checkpoints_it_goes_on_with_what_is_there(train, again):
    """The worst of the two was removed; where the repeated epoch is worse than that, there is one left."""
    first = scored(TeacherTraining, [0.3, 0.2, 0.1])
    with disk_full_at(6), pytest.raises(OSError, match="No space left"):
        train(using=first, average=2)
    then = scored(TeacherTraining, [again])
    folder = train(using=then, average=2)
    assert is_the_mean(weights(folder), [first.at[1], then.at[0]] if again == 0.1 else [first.at[1]])


def test_counts_are_not_averaged(tmp_path):
    paths = [tmp_path / f"{number}.ckpt" for number in range(3)]
    for number, path in enumerate(paths):
        state = {"weight": torch.tensor([1.0, 2.0]) * number, "count": torch.tensor(7 + number)}
        torch.save({"state_dict": state}, path)
    found = mean_state(paths)
    assert found["weight"].tolist() == [1.0, 2.0] and found["count"] == 7 and found["count"].dtype == torch.int64
