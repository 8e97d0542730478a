"""Table 1 on a tiny corpus: the commands that run.sh gives with --tables true, all kinds of rows."""

import json
import re
import shlex
import subprocess

import pytest
from tiny import ROOT, environment, run_sh

ROWS = {
    "teacher": {"title": "one: teacher", "num_spk": 1, "model": "teacher", "paper": 96.49},
    "kmeans3": {"title": "three: k-means", "num_spk": 3, "model": "kmeans"},
    "labels2": {"title": "two: labels, frozen", "num_spk": 2, "model": "student",
                "student": {"supervision": "labels", "finetuned_layers": 0}},
    "labels2_on3": {"title": "three: trained on two", "num_spk": 3, "trained_on": 2, "model": "student",
                    "student": {"supervision": "labels", "finetuned_layers": 0}},
    **{f"presence{n}": {"title": f"{n}: presence", "num_spk": n, "trained_on": 3, "model": "student",
                        "student": {"model.presence": True, "min_talkers": 1}} for n in (1, 2, 3)},
}
STATEMENTS = {"table1.shares": "[{row: labels2, of: teacher, wanted: 0.5}]", "table1.ahead": "[[presence3, kmeans3]]",
              "table1.counts": "{rows: [presence1, presence2, presence3], wanted: 0.9}"}


def settings(**changed):
    rows = {name: row | ({"student": changed[name]} if name in changed else {}) for name, row in ROWS.items()}
    return {"table1.rows": json.dumps(rows), "table1.seeds": "[3]", **STATEMENTS}


def table(folder, stage, *more, **changed):
    """Run what run.sh calls for Table 1 in this stage."""
    printed = run_sh(folder, "--stage", stage, "--stop_stage", stage, "--tables", "true", "--dry_run", "true",
                     settings=settings(**changed))
    (line,) = [line for line in printed.stdout.splitlines() if "wesep_mix.bin.table1 " in line]
    done = subprocess.run(["bash", "-c", f". ./path.sh && {line} {shlex.join(more)}"], cwd=ROOT, env=environment(),
                          text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which every stage has made its part of the table, and what each said."""
    folder = tmp_path_factory.mktemp("table1")
    done = run_sh(folder, "--stop_stage", 1, "--tables", "true", settings=settings())
    assert done.returncode == 0, done.stderr
    return folder, {stage: table(folder, stage) for stage in (2, 3, 4, 8)}


def test_every_row_is_in_the_table(made):
    folder, said = made
    found = json.loads((folder / "exp/mini/table1.json").read_text())
    assert list(found["by_seed"]) == ["3"] and set(found["rows"]) == set(ROWS) and found["left_out"] == []
    document = (folder / "exp/mini/TABLE1.md").read_text()
    for row in ROWS.values():
        assert f"| {row['title']} |" in document and re.search(f"^{row['title']} ", said[8], flags=re.M)
    assert "96.5" in document
    assert [name for name in ROWS if "count_acc" in found["rows"][name]] == ["presence1", "presence2", "presence3"]
    assert found["rows"]["labels2_on3"]["num_missing"]["mean"] == found["rows"]["labels2_on3"]["num"]["mean"] / 2
    assert [each["holds"] is None for each in found["statements"]] == [False, True, False]  # one seed


def test_what_rows_share_is_made_once(made):
    folder, said = made
    assert [len(re.findall(r"done in \d+ s", said[stage])) for stage in (2, 3, 4, 8)] == [1, 2, 6, 7]
    models = {str(path.parent.relative_to(folder / "exp/mini/table1")) for path in folder.rglob("model.pt")}
    assert models == {"seed3/teacher/teacher", "seed3/student/labels2", "seed3/student/presence1"}


def test_what_is_done_is_skipped_and_what_changed_is_redone(made):
    folder, _ = made
    new = {"supervision": "labels", "finetuned_layers": 0, "optim.lr": 1e-4}
    said = table(folder, 3, labels2=new, labels2_on3=new)
    assert len(re.findall("done already", said)) == 1 and "student/presence1; --force" in said
    assert "settings or inputs changed" in said and len(re.findall(r"done in \d+ s", said)) == 1
    assert table(folder, 2, "--rows", "labels2", labels2=new, labels2_on3=new).count("done already") == 1
