"""The life of a training, shown on a tiny teacher: steps, checkpoints, stops, what is kept and logged."""

import csv
import errno
import os
import signal

import pytest
import torch
import yaml
from lives import notes, same, scored, state_of, stopping_at, weights
from tensorboard.summary.writer import record_writer

from wesep_mix.base.environment import Processes
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded
from wesep_mix.models import checkpoint
from wesep_mix.training import loop as fitting
from wesep_mix.training.settings import TrainerConfig
from wesep_mix.training.teacher import TeacherTraining


def log_of(folder, name="metrics.csv") -> list[dict]:
    with open(folder / "logs" / "csv" / name) as file:
        return list(csv.DictReader(file))


NAN, INF = float("nan"), float("inf")


def with_losses(factors: dict[int, float]) -> type[TeacherTraining]:
    """A training whose loss is multiplied at some steps, and that remembers the weights after each."""

    class Multiplied(TeacherTraining):
        after: list = []
        calls = -1

        def loss(self, batch):
            Multiplied.calls += 1
            return super().loss(batch) * factors.get(Multiplied.calls, 1.0)

        def on_train_batch_end(self, *_):
            Multiplied.after.append(state_of(self))

    return Multiplied


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
    first, again, other, longer = (
        weights(train(name, keep="last", seed=seed, max_steps=steps))
        for name, seed, steps in (("first", 0, 2), ("again", 0, 2), ("other", 1, 2), ("longer", 0, 4))
    )
    assert same(first, again)
    for different in (other, longer):
        assert not any(torch.equal(first[name], different[name]) for name in first if name.startswith("head"))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_stopped_training_goes_on_to_the_same_end(train, stopped, capsys, dropout):
    whole = train("whole", keep="last", dropout=dropout)
    for step in (3, 4):  # within an epoch, and between two
        name = f"stopped{step}"
        stopped(step, name, keep="last", dropout=dropout)
        assert not (whole.parent / name / "model.pt").exists()
        capsys.readouterr()
        resumed = with_losses({})
        parts = train(name, resumed, keep="last", dropout=dropout)
        assert f"{parts}: going on from {parts}/checkpoints/last.ckpt" in capsys.readouterr().out
        assert len(resumed.after) == 6 - (step - step % 2)  # steps after the last checkpoint, one every two
        assert notes(parts)["num_steps"] == 6
        assert same(weights(whole), weights(parts))


def test_before_the_first_checkpoint_it_begins_again(train, stopped, capsys):
    stopped(1)
    folder = train()
    assert "going on" not in capsys.readouterr().out and notes(folder)["num_steps"] == 6


def test_stopped_after_its_last_step_it_only_writes_the_model(train):
    folder = train()
    before = weights(folder)
    (folder / "model.pt").unlink()
    train(using=stopping_at(6, lambda: 1 / 0))
    assert notes(folder)["num_steps"] == 6 and same(weights(folder), before)


def test_the_log_of_the_stopped_part_is_kept(train, stopped):
    for step in (3, 5):
        stopped(step)
    folder = train()
    names = ("metrics.1.csv", "metrics.2.csv", "metrics.csv")
    steps = [int(row["step"]) for name in names for row in log_of(folder, name) if row["dev/eer"]]
    assert steps == [1, 3, 5]  # counted from 0, after each epoch of two


def test_ctrl_c_and_sigterm_are_told_as_interrupts_and_the_training_goes_on_later(train):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for step, stop in ((3, lambda: raise_(KeyboardInterrupt())), (5, lambda: os.kill(os.getpid(), signal.SIGTERM))):
        with pytest.raises(KeyboardInterrupt):
            train(using=stopping_at(step, stop))
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert notes(train())["num_steps"] == 6


@pytest.mark.parametrize(
    ("hook", "step", "said"),
    [("on_train_batch_start", 2, "/stopped.ckpt: step 3"), ("on_validation_start", 4, ": step 4")],
)
def test_a_signal_is_told_with_its_checkpoint_wherever_it_comes(train, capsys, hook, step, said):
    undisturbed = weights(train("undisturbed"))

    class Signalled(TeacherTraining):
        pass

    def come(self, *_):
        if self.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    setattr(Signalled, hook, come)
    with pytest.raises(KeyboardInterrupt):
        train(using=Signalled)
    assert f"/checkpoints{said}, SIGTERM came\n" in capsys.readouterr().out
    assert same(weights(train()), undisturbed)


def test_a_loss_that_is_not_finite_is_skipped_and_counted(train):
    bad = with_losses({1: NAN, 3: INF, 4: -INF})
    folder = train(using=bad)
    assert notes(folder)["num_steps"] == 6 and notes(folder)["num_bad_steps"] == 3
    after = bad.after
    assert [same(after[k], after[k - 1]) for k in range(1, 6)] == [True, False, True, True, False]
    assert all(weight.isfinite().all() for weight in weights(folder).values())


def test_bad_steps_after_the_best_epoch_are_counted_too(train):
    folder = train(using=scored(with_losses({4: NAN}), [1.0, 2.0, 3.0]))
    assert notes(folder)["num_bad_steps"] == 1


def test_the_count_of_bad_steps_survives_a_stop(train, stopped):
    stopped(3, using=with_losses({0: NAN}))
    assert notes(train(using=with_losses({0: NAN})))["num_bad_steps"] == 2


def test_many_bad_steps_are_an_error_that_names_mixtures(train, prepared):
    with pytest.raises(UserError) as err:
        train(using=with_losses(dict.fromkeys(range(6), NAN)), max_bad_steps=2)
    said = str(err.value)
    assert "not finite in 3 steps (trainer.max_bad_steps is 2)" in said and "\n" not in said
    named = said.split("last for mixtures ")[1].split("...")[0].split(", ")
    speakers = {"ann", "bob", "cem", "dee"}
    assert len(named) == 2 and {name.split("-")[0] for name in named} <= speakers


@pytest.mark.parametrize(
    "scores, best", [([0.3, 0.1, 0.2], 1), ([0.1, 0.2, 0.3], 0), ([0.3, 0.2, 0.1], 2), ([NAN, 0.3, NAN], 1)]
)
def test_the_best_epochs_weights_are_kept(train, scores, best):
    by_best = scored(TeacherTraining, scores)
    assert same(weights(train(using=by_best, keep="best")), by_best.at[best])
    assert not same(by_best.at[best], by_best.at[(best + 1) % 3])


def test_the_last_weights_are_kept_where_they_are_asked_for(train):
    by_last = scored(TeacherTraining, [0.1, 0.3, 0.2])
    assert same(weights(train(using=by_last, keep="last")), by_last.at[2])
    assert not same(by_last.at[2], by_last.at[0])


def test_a_best_epoch_before_the_stop_is_remembered(train, stopped):
    first = scored(TeacherTraining, [0.2, 0.1])
    stopped(5, using=first)
    folder = train(using=scored(TeacherTraining, [0.3]))
    assert same(weights(folder), first.at[1])


def test_a_checkpoint_that_was_half_written_does_not_replace_the_old_one(tmp_path, monkeypatch):
    path, io = tmp_path / "last.ckpt", fitting.AtomicCheckpoints()
    io.save_checkpoint({"step": torch.tensor(1)}, path)

    def full(content, target):
        target.write(b"half")
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


def spoilt(data: bytes, how: str) -> bytes:
    middle, some = len(data) // 2, bytes(byte ^ 255 for byte in data[len(data) // 2 :][:512])
    return {
        "halved": data[:middle],
        "zeroed": bytes(len(data)),
        "random": os.urandom(len(data)),
        "some bytes": data[:middle] + some + data[middle + len(some) :],
    }[how]


@pytest.mark.parametrize("how, average", [("halved", 0), ("zeroed", 0), ("some bytes", 2)])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before_it(train, stopped, capsys, how, average):
    def using():
        return scored(TeacherTraining, [0.2, 0.1, 0.3])

    whole = train("whole", using=using(), average=average)
    stopped(5, using=using(), average=average)  # two epochs are done
    folder = whole.with_name("teacher") / "checkpoints"
    last, before = folder / "last.ckpt", folder / ("best-step=4.ckpt" if average else "best.ckpt")
    last.write_bytes(spoilt(last.read_bytes(), how))
    capsys.readouterr()
    after = scored(TeacherTraining, [0.3])
    found = train(using=after, average=average)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{last}: damaged (") and said[0].endswith("); the checkpoint before it is taken")
    assert said[1] == f"{found}: going on from {before}"
    assert notes(found)["num_steps"] == 6 and len(after.at) == 1 and same(weights(found), weights(whole))


@pytest.mark.parametrize("how, spoil", [("random", ["best.ckpt"]), ("some bytes", ["best.ckpt", "last.ckpt"])])
def test_a_damaged_best_checkpoint_is_named_before_any_step(train, stopped, tmp_path, how, spoil):
    stopped(3)
    for name in spoil:
        path = tmp_path / "teacher" / "checkpoints" / name
        path.write_bytes(spoilt(path.read_bytes(), how))
    with pytest.raises(UserError, match=r"^.*/best.ckpt: damaged \(.*\), and no other .* anew with --force true$"):
        train()


def test_where_the_last_weights_are_kept_the_best_ones_may_be_damaged(train, stopped, tmp_path):
    stopped(3, keep="last")
    best = tmp_path / "teacher" / "checkpoints" / "best.ckpt"
    best.write_bytes(b"")
    assert notes(train(keep="last"))["num_steps"] == 6


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_disk_that_fills_while_a_log_is_written_is_named_without_a_traceback(train, monkeypatch, tmp_path, capfd):
    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(record_writer.RecordWriter, "write", full)
    assert guarded(train, "stage 2 (teacher)") == 1
    said = capfd.readouterr().err
    assert "Traceback" not in said and said.splitlines()[-1] == (
        f"error: stage 2 (teacher): No space left on device ({tmp_path / 'teacher' / 'logs'}); free space or mend the "
        "file, then run again"
    )


def test_more_gpus_than_there_are_is_one_line(train, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="^--ngpu 2: wanted as many GPUs that torch can use, found 1$"):
        fitting.fit(None, "teachers", None, None, None, Processes(ngpu=2))


@pytest.mark.parametrize(
    "raw, said",
    [
        ({"max_steps": 0}, "max_steps: wanted 1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch: wanted 1"),
        ({"max_steps": 150}, r"max_steps \(150\) must be a multiple of trainer.steps_per_epoch \(100\)"),
        ({"keep": "all"}, "keep: wanted best or last, found 'all'"),
        ({"average": -1}, "average: wanted 0 or more, found -1"),
        ({"average": 11}, "average: wanted 0 to 10, the number of epochs, found 11"),
        ({"average": 2, "keep": "last"}, "trainer.average: .* wanted trainer.keep: best, found last"),
        ({"ema": 1.0}, "ema: wanted a decay from 0 to below 1, found 1.0"),
        ({"ema": -0.1}, "ema: wanted a decay"),
        ({"ema": float("nan")}, "ema: wanted a decay"),
        ({"patience": -1}, "patience: wanted a number of epochs, or 0, found -1"),
        ({"patience": 1, "keep": "last"}, "trainer.patience: .* wanted trainer.keep: best, found last"),
    ],
)
def test_settings_that_make_no_sense(raw, said):
    with pytest.raises(ValueError, match=said):
        TrainerConfig(**raw)
