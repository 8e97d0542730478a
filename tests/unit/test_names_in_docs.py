"""What docs/architecture.md and docs/contributing.md name is there: rooms, arrows, files, modules, functions."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from places import ROOT
from unit.test_architecture import PACKAGE, ROOMS, modules

DOCS = [ROOT / "docs" / name for name in ("architecture.md", "contributing.md")]
TOPS = ("wesep_mix", "tests", "egs", "tools", "benchmarks", "docs", ".ci")
WRITTEN = re.compile(r"`([\w./]+)`:\n\n```(?:python|yaml)\n")  # what a walkthrough tells its reader to write
PATH = re.compile(rf"(?<![\w./])(?:{'|'.join(map(re.escape, TOPS))})/[\w./*-]*\w[/]?")
TOP_ROOMS = sorted({room.split(".")[0] for room in ROOMS})
NAME = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP_ROOMS)})(?:\.[A-Za-z_]\w*)+(?![\w/])")
ENDS = (".yaml", ".jsonl", ".json", ".md", ".sh", ".py")  # of files, which are no functions


def paths_in(text: str) -> set[str]:
    """Paths of the checkout that a text names, without those that its reader is to write."""
    own = set(WRITTEN.findall(text))
    folders = {"egs/by_speaker"}  # a recipe that a walkthrough makes
    found = {path.rstrip("/.") for path in PATH.findall(text)}
    return {path for path in found - own if not any(path == one or path.startswith(f"{one}/") for one in folders)}


def names_in(text: str) -> set[str]:
    """`room.module` and `room.module.function` that a text names, outside of code that its reader is to write."""
    prose = re.sub(r"^```(?:python|yaml|bash)\n.*?^```$", "", text, flags=re.M | re.S)
    return {name for name in NAME.findall(prose) if not name.endswith(ENDS)}


@cache
def members(path: Path) -> frozenset[str]:
    """What a module defines: NAME, and CLASS.NAME of methods and fields."""
    return frozenset(_defined(ast.parse(path.read_bytes())))


def _defined(node: ast.AST, prefix: str = "") -> set[str]:
    found = set()
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            found.add(prefix + child.name)
        if isinstance(child, ast.ClassDef):
            found |= _defined(child, f"{prefix}{child.name}.")
        targets = child.targets if isinstance(child, ast.Assign) else [getattr(child, "target", None)]
        found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
    return found


def is_there(name: str) -> bool:
    """Whether this is a room, a module or something that a module defines."""
    parts, files = name.split("."), modules()
    for size in range(len(parts), 0, -1):
        path = files.get(".".join(["wesep_mix", *parts[:size]]))
        if path is not None:
            return size == len(parts) or ".".join(parts[size:]) in members(path)
    return False


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first column is headed so."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", text, re.M)[1]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]


def floors(text: str) -> dict[str, int]:
    """Room -> its floor in the picture."""
    lines = re.findall(r"^(\d+) {3,4}(\S.*)$", text, re.M)
    return {room: int(floor) for floor, names in lines for room in names.split()}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_every_path_is_there(path):
    text = path.read_text()
    assert len(paths_in(text)) > 15
    assert [name for name in sorted(paths_in(text)) if not list(ROOT.glob(name))] == []


def test_every_name_is_there():
    text = "\n".join(path.read_text() for path in DOCS)
    assert len(names_in(text)) > 50
    assert [name for name in sorted(names_in(text)) if not is_there(name)] == []


def test_the_table_of_rooms_is_the_rule():
    listed = rows(DOCS[0].read_text(), "room")
    found = {cells[0].strip("`"): set(re.findall(r"`([\w.]+)`", cells[3])) for cells in listed}
    assert len(found) == len(listed)
    for room in sorted({*found, *ROOMS}):
        assert (room, found.get(room)) == (room, ROOMS.get(room))


def test_in_the_picture_every_room_stands_above_all_that_it_imports():
    found = floors(DOCS[0].read_text())
    assert set(found) == set(ROOMS)
    for room, below in ROOMS.items():
        others = below | ({"base"} - {room})
        assert found[room] == max((found[other] + 1 for other in others), default=0), room


def test_the_table_of_stages_has_all_of_them():
    listed = rows(DOCS[0].read_text(), "stage")
    assert [cells[0] for cells in listed] == [str(number) for number in range(1, 10)]
    script = (ROOT / "run.sh").read_text()
    for number, entry, _ in listed:
        assert re.search(rf"run_(stage|training) {number} {Path(entry.strip('`')).stem} ", script)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_links_lead_to_headings_and_pages(path):
    for page, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]*))?\)", path.read_text()):
        target = path.parent / page if page else path
        assert target.is_file(), page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_no_paragraph_is_longer_than_80_words(path):
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    paragraphs = [part for part in re.split(r"\n\s*\n|\n(?=[-|] |\d\. )", prose) if not part.startswith("|")]
    assert max(len(part.split()) for part in paragraphs) <= 80


@pytest.mark.parametrize(
    "name, there",
    [
        ("training.loop.run", True),
        ("training.loop.walk", False),
        ("training.student.StudentTraining.costs", True),
        ("training.student.StudentTraining.prices", False),
        ("models.layers.fast", True),
        ("matching.nothing", False),
    ],
)
def test_what_is_not_there_is_found(name, there):
    """So that the tests above can fail."""
    assert is_there(name) == there and names_in(f"see `{name}` and {PACKAGE.name}") == {name}
    assert paths_in("see `wesep_mix/no/such.py`, tests/run.sh.") == {"wesep_mix/no/such.py", "tests/run.sh"}
