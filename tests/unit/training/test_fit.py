"""The life of a training, shown on a tiny teacher: steps, checkpoints, stops, what is kept and logged."""

import csv
import os
import signal

import pytest
import torch
import yaml
from lives import notes, same, scored, stopping_at, weights

from wesep_mix import checkpoint
from wesep_mix.errors import UserError
from wesep_mix.training import fit as fitting
from wesep_mix.training.settings import TrainerConfig
from wesep_mix.training.teacher import TeacherTraining


def log_of(folder, name="metrics.csv") -> list[dict]:
    with open(folder / "logs" / "csv" / name) as file:
        return list(csv.DictReader(file))


def with_bad_loss_at(*steps: int, value: float = float("nan")) -> type[TeacherTraining]:
    """A training whose loss is not finite at some steps, and that remembers the weights after each."""

    class Bad(TeacherTraining):
        after: list = []
        calls = -1

        def loss(self, batch):
            Bad.calls += 1
            return super().loss(batch) * (value if Bad.calls in steps else 1.0)

        def on_train_batch_end(self, *_):
            Bad.after.append({name: weight.clone() for name, weight in self.model.state_dict().items()})

    return Bad


def raise_(error: BaseException):
    raise error


def test_a_training_leaves_model_config_and_logs(train):
    folder = train()
    found = notes(folder)
    assert (found["num_steps"], found["num_bad_steps"]) == (6, 0)
    model = checkpoint.load_model(folder / "model.pt", "teachers")
    assert found["num_trainable"] == checkpoint.num_parameters(model) + 4 * 4  # ArcFace: four speakers
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["git"] == found["git"] and config["trainer"]["max_steps"] == 6
    assert config["model"]["frontend"]["channels"] == 8
    assert [float(row["dev/eer"]) <= 1 for row in log_of(folder) if row["dev/eer"]] == [True] * 3
    assert list((folder / "logs" / "tensorboard").glob("events.out.tfevents.*"))


def test_weights_move_and_the_seed_decides(train):
    first, again = weights(train("first", keep="last")), weights(train("again", keep="last"))
    assert same(first, again)
    fewer = weights(train("fewer", keep="last", max_steps=2))
    assert not any(torch.equal(first[name], fewer[name]) for name in first if name.startswith("head"))


@pytest.mark.parametrize("step", [3, 4, 5])
def test_a_stopped_training_goes_on_to_the_same_end(train, step, capsys):
    whole = train("whole", keep="last")
    with pytest.raises(ZeroDivisionError):
        train("parts", stopping_at(step, lambda: 1 / 0), keep="last")
    assert not (whole.parent / "parts" / "model.pt").exists()
    capsys.readouterr()
    resumed = with_bad_loss_at()
    parts = train("parts", resumed, keep="last")
    assert f"{parts}: going on from {parts}/checkpoints/last.ckpt" in capsys.readouterr().out
    assert len(resumed.after) == 6 - (step - step % 2)  # steps after the last checkpoint, one every two
    assert notes(parts)["num_steps"] == 6
    assert same(weights(whole), weights(parts))


def test_before_the_first_checkpoint_it_begins_again(train, capsys):
    with pytest.raises(ZeroDivisionError):
        train("parts", stopping_at(1, lambda: 1 / 0))
    parts = train("parts")
    assert "going on" not in capsys.readouterr().out and notes(parts)["num_steps"] == 6


def test_stopped_after_its_last_step_it_only_writes_the_model(train):
    folder = train()
    before = weights(folder)
    (folder / "model.pt").unlink()
    train(using=stopping_at(6, lambda: 1 / 0))
    assert notes(folder)["num_steps"] == 6 and same(weights(folder), before)


def test_the_log_of_the_stopped_part_is_kept(train):
    for step in (3, 5):
        with pytest.raises(ZeroDivisionError):
            train("parts", stopping_at(step, lambda: 1 / 0))
    folder = train("parts")
    names = ("metrics.1.csv", "metrics.2.csv", "metrics.csv")
    steps = [int(row["step"]) for name in names for row in log_of(folder, name) if row["dev/eer"]]
    assert steps == [1, 3, 5]  # counted from 0, after each epoch of two


@pytest.mark.parametrize("stop", [
    lambda: raise_(KeyboardInterrupt()), lambda: os.kill(os.getpid(), signal.SIGTERM),
])
def test_ctrl_c_and_sigterm_are_told_as_interrupts_and_the_training_goes_on_later(train, stop):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train("parts", stopping_at(3, stop))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert notes(train("parts"))["num_steps"] == 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_skipped_and_counted(train, value):
    bad = with_bad_loss_at(1, 4, value=value)
    folder = train(using=bad)
    assert notes(folder)["num_steps"] == 6 and notes(folder)["num_bad_steps"] == 2
    after = bad.after
    assert [same(after[k], after[k - 1]) for k in range(1, 6)] == [True, False, False, True, False]
    assert all(weight.isfinite().all() for weight in weights(folder).values())


def test_bad_steps_after_the_best_epoch_are_counted_too(train):
    folder = train(using=scored(with_bad_loss_at(4), [1.0, 2.0, 3.0]))
    assert notes(folder)["num_bad_steps"] == 1


def test_the_count_of_bad_steps_survives_a_stop(train):
    bad = with_bad_loss_at(0, 3)
    with pytest.raises(ZeroDivisionError):
        train("parts", type("Both", (stopping_at(3, lambda: 1 / 0), bad), {}))
    assert notes(train("parts", with_bad_loss_at(0)))["num_bad_steps"] == 2


def test_many_bad_steps_are_an_error_that_names_mixtures(train, prepared):
    with pytest.raises(UserError) as err:
        train(using=with_bad_loss_at(*range(6)), max_bad_steps=2)
    said = str(err.value)
    assert "not finite in 3 steps (trainer.max_bad_steps is 2)" in said and "\n" not in said
    named = said.split("last for mixtures ")[1].split("...")[0].split(", ")
    speakers = {"ann", "bob", "cem", "dee"}
    assert len(named) == 2 and {name.split("-")[0] for name in named} <= speakers


@pytest.mark.parametrize("scores, best", [([0.3, 0.1, 0.2], 1), ([0.1, 0.2, 0.3], 0), ([0.3, 0.2, 0.1], 2),
                                          ([float("nan"), 0.3, float("nan")], 1)])
def test_the_best_epochs_weights_are_kept_or_the_last_ones(train, scores, best):
    by_best = scored(TeacherTraining, scores)
    assert same(weights(train("best", by_best, keep="best")), by_best.at[best])
    by_last = scored(TeacherTraining, scores)
    assert same(weights(train("last", by_last, keep="last")), by_last.at[2])
    assert not same(by_best.at[best], by_best.at[(best + 1) % 3])


def test_a_best_epoch_before_the_stop_is_remembered(train):
    first = scored(stopping_at(5, lambda: 1 / 0), [0.2, 0.1])
    with pytest.raises(ZeroDivisionError):
        train("parts", first)
    folder = train("parts", scored(TeacherTraining, [0.3]))
    assert same(weights(folder), first.at[1])


def test_a_checkpoint_that_was_half_written_does_not_replace_the_old_one(tmp_path, monkeypatch):
    path, io = tmp_path / "last.ckpt", fitting.AtomicCheckpoints()
    io.save_checkpoint({"step": torch.tensor(1)}, path)

    def full(content, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="No space left"):
            io.save_checkpoint({"step": torch.tensor(2)}, path)
    assert torch.load(path, weights_only=True) == {"step": torch.tensor(1)} and list(tmp_path.iterdir()) == [path]


def test_checkpoints_are_written_atomically(train, monkeypatch):
    written = []

    def save(self, checkpoint, path, storage_options=None):
        written.append(os.path.basename(path))
        saving(self, checkpoint, path, storage_options)

    saving = fitting.AtomicCheckpoints.save_checkpoint
    monkeypatch.setattr(fitting.AtomicCheckpoints, "save_checkpoint", save)
    train(max_steps=2)
    assert written == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("raw, said", [
    ({"max_steps": 0}, "must be at least 1"), ({"steps_per_epoch": 0}, "must be at least 1"),
    ({"max_steps": 150}, r"max_steps \(150\) must be a multiple of trainer.steps_per_epoch \(100\)"),
    ({"keep": "all"}, "keep: wanted best or last, found all"),
    ({"average": -1}, "average: wanted 0 to 10, the number of epochs, found -1"),
    ({"average": 11}, "average: wanted 0 to 10, the number of epochs, found 11"),
    ({"average": 2, "keep": "last"}, "trainer.average: .* wanted trainer.keep: best, found last"),
    ({"ema": 1.0}, "ema: wanted a decay of 0 or more and below 1, found 1.0"), ({"ema": -0.1}, "trainer.ema"),
    ({"ema": float("nan")}, "trainer.ema"), ({"patience": -1}, "patience: wanted a number of epochs, or 0, found -1"),
    ({"patience": 1, "keep": "last"}, "trainer.patience: .* wanted trainer.keep: best, found last"),
])
def test_settings_that_make_no_sense(raw, said):
    with pytest.raises(ValueError, match=said):
        TrainerConfig(**raw)
