"""The pages that a user reads: their paragraphs, links and blocks of commands.

A block of commands is executed by tests/recipe/test_recipe.py, in a folder in which the tiny recipe was run. One that
needs what a test does not have says so in a comment in front of it, `<!-- needs: LibriSpeech -->`; of such a block the
options are checked alone (tests/unit/test_docs.py does that for all blocks).
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from places import ROOT

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README.md", "docs/*.md", "egs/*/README.md", "benchmarks/README.md")
    for path in ROOT.glob(pattern)
)
WALKTHROUGH = "docs/contributing.md"  # followed step by step by tests/recipe/test_walkthroughs.py
COPIED = ("run.sh", "path.sh", "cmd.sh", "setup.py", "conf", "tools", "egs", "benchmarks")
BLOCK = re.compile(r"(?:^<!-- needs: (?P<needs>.+?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ +(.*)$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, text, the line it begins at, and what it needs ("": nothing)."""

    page: str
    line: int
    language: str
    text: str
    needs: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[Block]:
    """The fenced blocks of a page that are in this language."""
    text = read(page)
    return [
        Block(page, text.count("\n", 0, match.start("text")), language, match["text"], match["needs"] or "")
        for match in BLOCK.finditer(text)
        if match["language"] == language
    ]


def all_blocks(*languages: str) -> list[Block]:
    """Those of all pages but the walkthrough, where what one block needs another one writes."""
    return [
        block for page in PAGES if page != WALKTHROUGH for language in languages for block in blocks(page, language)
    ]


def make_checkout(folder: Path) -> Path:
    """Make a user's checkout of a folder, in which commands may write what they like."""
    for name in filter(lambda name: (ROOT / name).exists(), COPIED):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for name in ("wesep_mix", "tests"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def prose(page: str) -> str:
    """A page without its blocks and comments."""
    return re.sub(r"<!--.*?-->", "", BLOCK.sub("", read(page)), flags=re.S)


def paragraphs(page: str) -> list[str]:
    """Paragraphs and items of lists; headings and tables are none."""
    found = [""]
    for line in prose(page).splitlines():
        if not line.strip() or line.startswith(("#", "|")):
            found.append("")
        elif re.match(r" *([-*+]|\d+\.) ", line):
            found.append(line)
        else:
            found[-1] += f"\n{line}"
    return [paragraph for paragraph in found if paragraph.strip()]


def links(page: str) -> list[str]:
    """Where a page's links and pictures point, those to other sites left out."""
    found = ("".join(match.groups("")) for match in LINK.finditer(prose(page)))
    return [link for link in found if not re.match(r"\w+:", link)]


def anchors(path: Path) -> set[str]:
    """The names by which a page's headings are linked to, made as GitHub makes them; of equal ones the first."""
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in HEADING.findall(text)}
