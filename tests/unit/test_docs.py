"""README, docs and the pages beside recipes and benchmarks: short paragraphs, links that lead somewhere, options that
there are. The blocks that need nothing are executed by tests/recipe/test_recipe.py.
"""

import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import pages
import pytest
from places import ROOT
from tiny import bare_environment, stand_in_python

from wesep_mix.base import config

MAX_WORDS = 80
MAX_README = 130
# Runs recipes for real up to their calls of Python, which are written down; what reaches out is not run at all.
SHELL = r"""
git() { :; }; pip() { :; }; sbatch() { [ $# -gt 0 ] && eval "${@: -1}"; }
wesep-mix() { [[ $1 == --help ]] || python -m "wesep_mix.bin.$1" "${@:2}"; }
bash() {
    case $1 in
        run.sh | egs/*/run.sh) command bash "$@" ;;
        tools/download_corpora.sh) command bash "$@" --help ;;
        *) [ -f "$1" ] || { echo "no script $1" >&2 && return 1; } ;;
    esac
}
set -e
"""
PYTHON = r"""#!/usr/bin/env bash
[ "$1" = -c ] && exit 0
printf '%q ' "$@" >>"$CALLS" && echo >>"$CALLS"
"""
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b(?!\.md)")  # egs/CORPUS/conf
SECTIONS = "|".join([*config.SECTIONS, "trainer"])
SETTING = re.compile(rf"[`' ]((?:{SECTIONS})\.[\w.]+:?=[^`'\n]+)[`']")
OPTIONS_OF_THE_PAGE = re.compile(r"--([a-z][a-z_]*)")


@pytest.mark.parametrize("page", pages.PAGES)
def test_no_paragraph_is_long(page):
    long = [paragraph for paragraph in pages.paragraphs(page) if len(paragraph.split()) > MAX_WORDS]
    assert not long, f"paragraphs above {MAX_WORDS} words, split them: {long}"


def test_the_readme_is_one_page():
    assert len(pages.read("README.md").splitlines()) <= MAX_README


@pytest.mark.parametrize("page", pages.PAGES)
def test_links_lead_to_what_is_there(page):
    lost = []
    for link in pages.links(page):
        file, _, anchor = link.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or (anchor and anchor not in pages.anchors(path)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", [page for page in pages.PAGES if page != pages.WALKTHROUGH])
def test_files_of_the_repository_that_are_named_are_there(page):
    named = re.findall(r"`((?:wesep_mix|tests|tools|egs|benchmarks)/[\w./-]*\w)`", pages.prose(page))
    assert [path for path in named if not PLACEHOLDER.search(path) and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_block_says_its_language_or_is_a_picture(page):
    commands = re.compile(r"^(bash|python|pip|git|sbatch) ", re.M)
    plain = [block for block in pages.blocks(page, "") if commands.search(block.text)]
    indented = re.findall(r"^    (?:bash|python|git|OMP\w*=\S+ python) .*", pages.prose(page), re.M)
    assert [str(block) for block in plain] + indented == []


def run_of(block, tmp_path):
    """The calls of Python that the block makes, or prints, run by bash with a stand-in for Python."""
    calls, text, folder = tmp_path / "calls", block.text, tmp_path / "checkout"
    folder.mkdir(parents=True)
    pages.make_checkout(folder)
    calls.touch()
    for place in sorted(set(re.findall(r"(?<=[ =\"])/[a-zA-Z][\w/]*", text)), key=len, reverse=True):
        (tmp_path / place[1:]).mkdir(parents=True, exist_ok=True)
        text = re.sub(rf"(?<=[ =\"]){place}(?![\w/])", str(tmp_path / place[1:]), text)
    (tmp_path / "path" / "to" / "wesep" / "wesep" / "bin").mkdir(parents=True)
    environment = bare_environment(
        CALLS=str(calls), VIRTUAL_ENV=str(stand_in_python(tmp_path / "env", PYTHON)), WESEP_MIX_UV="false"
    )
    environment["PATH"] = f"{tmp_path}/env/bin:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", SHELL + text], cwd=folder, env=environment, text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [line.removeprefix("python ") for line in done.stdout.splitlines() if line.startswith("python -m ")]
    return [shlex.split(line) for line in [*calls.read_text().splitlines(), *printed]]


@pytest.fixture
def parse_alone(monkeypatch, tmp_path):
    """Function: an entry point of wesep_mix.bin, its options -> its main reads them and does nothing else; but every
    --set is looked for in the configs.
    """

    def parse(entry, options):
        module = importlib.import_module(entry)
        if entry.endswith(".check_config"):
            options = [*options, "--stage", "9", "--stop_stage", "9"]  # of stages that are not run no model is built
        else:
            monkeypatch.setattr(module, "guarded", lambda *_: 0)
        checkout = tmp_path / "checkout"  # with the files that a block made
        monkeypatch.chdir(checkout if checkout.is_dir() else ROOT)
        return module.main(options)

    return parse


@pytest.mark.parametrize("block", pages.all_blocks("bash"), ids=str)
def test_options_of_a_command_are_those_that_there_are(block, tmp_path, parse_alone, capfd):
    for call in run_of(block, tmp_path):
        if call[:2] == ["-m", "wesep_mix.base.torch_pair"]:
            continue  # path.sh's own
        if call[0] == "-m":
            try:
                status = parse_alone(call[1], call[2:])
            except SystemExit as end:  # argparse: 2 for options that are not there, 0 behind --help
                status = end.code
            assert status == 0, f"{shlex.join(call)}\n{capfd.readouterr().err}"
        elif (ROOT / call[0]).is_file():
            text = (ROOT / call[0]).read_text()
            assert [name for name in OPTIONS_OF_THE_PAGE.findall(shlex.join(call)) if f'"--{name}"' not in text] == []
        else:
            assert block.needs, f"{call[0]}: no such file, and the block says nothing of what it needs"


@pytest.mark.parametrize("page", [page for page in pages.PAGES if SETTING.search(pages.prose(page))])
def test_settings_that_are_named_are_there(page, parse_alone, capfd):
    """In the page's own recipe, or in any. A value that does not go with others is no matter here, a key is."""
    recipes = [page.split("/")[1]] if page.startswith("egs/") else ["mini", "libri_small", "libri2mix"]
    found = {setting.replace("=N", "=1") for setting in SETTING.findall(pages.prose(page))}
    for setting in sorted(setting for setting in found if not PLACEHOLDER.search(setting.split("=")[0])):
        said = []
        for recipe in recipes:
            extractor = next((ROOT / "egs" / recipe / "conf" / "extractor").glob("*.yaml")).stem
            options = ["--egs", f"egs/{recipe}", "--extractor", extractor, f"--set={setting}"]
            parse_alone("wesep_mix.bin.check_config", options)
            said.append(capfd.readouterr().err)
        assert not all("unknown key" in err for err in said), f"{setting}: {said}"


def test_a_command_that_went_wrong_is_found(tmp_path, parse_alone):
    def block(text):
        return pages.Block("page", 1, "bash", text, "")

    with pytest.raises(AssertionError, match="unknown option --foo"):
        run_of(block("bash run.sh --foo 1\n"), tmp_path / "1")
    with pytest.raises(AssertionError, match="no script tools/nothing.sh"):
        run_of(block("bash tools/nothing.sh\n"), tmp_path / "2")
    with pytest.raises(AssertionError, match="unknown option --foo"):
        run_of(block("bash tools/download_corpora.sh --foo 1\n"), tmp_path / "3")
    calls = run_of(block("bash run.sh --dry_run true --set student.optim.rate=1\n"), tmp_path / "4")
    assert parse_alone(calls[0][1], calls[0][2:]) == 1


def test_a_long_paragraph_and_a_lost_link_are_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: x.py\n\n" + "word " * 81 + "\n\n- an item\n- [b](page.md#a-title-xpy) [c](no.md)\n\n| t |\n"
    )
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert [len(paragraph.split()) for paragraph in pages.paragraphs("page.md")] == [81, 3, 3]
    assert pages.links("page.md") == ["page.md#a-title-xpy", "no.md"]
    assert pages.anchors(Path(page)) == {"a-title-xpy"}


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_numbers_are_those_of_the_results(page):
    spec = importlib.util.spec_from_file_location("page_numbers", ROOT / "tools" / "page_numbers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text, results = pages.read(page), json.loads(module.RESULTS.read_text())
    assert module.rewritten(text, results) == text, "run `python tools/page_numbers.py`"
    results["extraction"]["stft_tcn"]["si_sdri"] += 1
    assert module.rewritten(text, results) != text
