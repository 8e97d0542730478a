"""Sessions on a tiny corpus: the stages that run.sh gives with --sessions true, resumed and reported."""

import json
import re

import pytest
from tiny import commands, run_sh, the_error

from wesep_mix.bin import sessions

ROWS = (
    "{online: {title: memory, memory: {name: online}}, stitch: {title: stitched, memory: {name: stitch}}, "
    "average_known: {title: clusters, how: average, known: true}, chance: {title: chance, how: chance}, "
    "teacher: {title: whole windows, ear: teacher, memory: {name: online}}, "
    "separated: {title: separation first, ear: separated, memory: {name: online}}, "
    "frames: {title: frames, ear: frames, memory: {name: online}}, "
    "norm: {title: normalised, memory: {name: online, as_norm: true}}, "
    "no_merging: {title: unmerged, like: online, changes: {merge_every: 0}}}"
)
SETTINGS = {
    "sessions.rows": ROWS,
    "sessions.corpus": "{corpus.num_voices: {train: 3, dev: 3, test: 4}, mixtures: {train: 2, dev: 3, test: 4}, "
    "corpus.utterances_per_voice: {train: 2, dev: 8, test: 8}, single: {train: 3, dev: 6, test: 8}}",
    "sessions.drawn": "{dev: 2, test: 2, talkers: [2, 3], length_s: [9, 10], turn_s: [0.6, 2], away_s: [2, 3], "
    "regimes: {crowd: {deep: 1.0}, talk: {deep: 0.3, short: 0.35}}}",
    "sessions.mixed": "[2, 3]",
    "sessions.window_s": "2.0",
    "sessions.hop_s": "1.0",
    "sessions.extracted": "1",
    "sessions.students": "{two: {title: two talkers, num_spk: 2}, three: {title: up to three, num_spk: 3, student: "
    "{model.presence: true, min_talkers: 1}}}",
    "sessions.tracked": "three",
    "sessions.seeds": "[0]",
    "separator.trainer.num_workers": "0",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the stages that sessions need were run; stage 8 and 9 are only theirs."""
    made = tmp_path_factory.mktemp("sessions")
    for options in (("--stop_stage", 1, "--num_spk", 3), ("--stop_stage", 5, "--separator", "conv_tasnet")):
        done = run_sh(made, *options, *(("--sessions", "true") if 5 in options else ()), settings=settings(options))
        assert done.returncode == 0, done.stderr
    return made


def settings(options=()):
    own = {
        "separator.model": "{name: conv_tasnet, num_filters: 8, window: 64, bottleneck: 8, hidden: 8, num_blocks: 1, "
        "num_stacks: 1}"
    }
    wanted = {**SETTINGS, **own}
    return wanted if 5 in options or not options else {}


def calls(folder):
    """{stage: options of what run.sh calls for the sessions}."""
    options = ("--sessions", "true", "--separator", "conv_tasnet")
    return {
        int(argv[argv.index("--stage_number") + 1]): argv
        for entry, argv in commands(folder, *options, settings=settings())
        if entry == "wesep_mix.bin.sessions"
    }


def test_sessions_are_drawn_heard_tracked_extracted_and_reported(folder, capsys):
    stages = calls(folder)
    assert sorted(stages) == [1, 3, 8, 9]
    assert sessions.main(stages[9]) == 1 and "--sessions true --stage 8" in capsys.readouterr().err
    assert sessions.main(stages[8]) == 0
    assert sessions.main(stages[9]) == 0
    out = capsys.readouterr().out
    assert re.search(r"row +IDF1 %", out) and "separation first" in out
    exp = folder / "exp" / "mini"
    text = (exp / "TRACKING.md").read_text()
    for title in ("Regime `crowd`", "Regime `talk`", "Returns", "Extraction over sessions", "Drift of slots"):
        assert title in text
    for path in re.findall(r"\]\((sessions/plots/[^)]*)\)", text):
        assert (exp / path).read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((exp / "tracking.json").read_text())
    assert set(numbers["rows"]) == {
        "online",
        "stitch",
        "average_known",
        "chance",
        "teacher",
        "separated",
        "frames",
        "norm",
        "no_merging",
    }
    assert numbers["rows"]["chance"]["all"]["idf1"]["num"] == 4
    assert numbers["speech"]["heard"]["crowd"]["talkers"] == 2
    assert set(numbers["cardinalities"]["0"]["students"]) == {"two", "three"}


def test_what_is_done_is_not_done_again_and_the_same_once_more_where_it_is(folder, capsys):
    stages, exp = calls(folder), folder / "exp" / "mini" / "sessions"
    rows = exp / "seed0" / "tracking" / "rows"
    before = {path.name: path.read_bytes() for path in rows.iterdir()}
    assert sessions.main(stages[8]) == 0
    assert capsys.readouterr().out.count("done already") == len(sessions.parts(stages[8])) == 9
    assert sessions.main([*stages[8], "--force=true", "--nj=2"]) == 0
    assert {path.name: path.read_bytes() for path in rows.iterdir()} == before


def test_the_sessions_of_a_stopped_stage_are_kept(folder):
    stages, exp = calls(folder), folder / "exp" / "mini" / "sessions"
    part = next(part for part in sessions.parts(stages[8]) if part.out == exp / "heard" / "teacher")
    heard = sorted((part.out / "test").iterdir())
    wanted, kept = heard[0].read_bytes(), heard[1].stat().st_mtime_ns
    state = json.loads((part.out / ".stage.json").read_text())
    (part.out / ".stage.json").write_text(json.dumps(state | {"done": False, "files": None}))
    heard[0].unlink()
    assert sessions.main(stages[8]) == 0
    assert heard[0].read_bytes() == wanted and heard[1].stat().st_mtime_ns == kept


def test_a_config_that_is_wrong_is_told_before_any_work(folder):
    done = run_sh(folder, "--sessions", "true", settings={**settings(), "sessions.speech": "nobody"})
    assert "no row nobody in rows" in the_error(done)
    done = run_sh(folder, settings={"sessions.seeds": "[1]"})
    assert "sessions.yaml is read only with --sessions true" in the_error(done)
