import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.report.curves import curve_plot, learning_curves, read_curves


def write_log(folder, *lines, name="metrics.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("dev/loss,epoch,step,train/loss\n" + "".join(f"{line}\n" for line in lines))
    return folder


def test_each_measure_is_a_curve_of_its_own_steps(tmp_path):
    folder = write_log(tmp_path, ",0,9,2.5", ",0,19,2.0", "1.5,0,19,")
    assert read_curves(folder) == {"train/loss": [(9, 2.5), (19, 2.0)], "dev/loss": [(19, 1.5)]}


def test_a_run_that_went_on_after_a_stop_is_one_curve_and_its_later_part_counts(tmp_path):
    write_log(tmp_path, ",0,9,3.0", ",0,19,2.0", name="metrics.1.csv")
    write_log(tmp_path, ",0,19,2.1", ",0,29,1.0", name="metrics.2.csv")
    write_log(tmp_path, ",0,39,0.5")
    assert read_curves(tmp_path)["train/loss"] == [(9, 3.0), (19, 2.1), (29, 1.0), (39, 0.5)]


def test_a_damaged_log_is_named(tmp_path):
    with pytest.raises(UserError, match=r"metrics.csv: not a log of a training"):
        read_curves(write_log(tmp_path, ",0,9,much"))


def test_the_teacher_comes_first_and_what_has_no_log_is_left_out(tmp_path):
    mixtures = tmp_path / "2mix"
    write_log(tmp_path / "teacher" / "logs" / "csv", ",0,9,2.5")
    for name in ("net/none", "net/matched", "conv/separated"):
        write_log(mixtures / name / "logs" / "csv", ",0,9,2.5", "0.5,0,9,")
    (mixtures / "student").mkdir()
    curves = learning_curves(mixtures)
    assert list(curves) == ["teacher", "conv/separated", "net/matched", "net/none"]
    curve_plot(curves, tmp_path / "curves.png")
    assert sorted(path.suffix for path in tmp_path.glob("curves.*")) == [".pdf", ".png", ".svg"]
    assert ">conv/separated</text>" in (tmp_path / "curves.svg").read_text()


def test_no_logs_give_no_curves(tmp_path):
    assert learning_curves(tmp_path / "2mix") == {}
