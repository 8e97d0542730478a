"""report.html: RESULTS.md as a page that sorts, plots and plays, in one file that asks no network for anything.

The text is that of RESULTS.md, so both say the same: its sections are read as Markdown, and report.html.jinja makes a
page of their parts. Beside them stands what a text cannot have: players with waveforms and spectrograms.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from wesep_mix.report.examples import KINDS, Listening

HERE = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = "report.html.jinja", "report.css", "report.js"
GLOSSES = ("Rows", "Columns")  # what stands above lists that are shown when asked for
COLOURS = (  # matplotlib's, C0 to C9
    "#1f77b4 #ff7f0e #2ca02c #d62728 #9467bd #8c564b #e377c2 #7f7f7f #bcbd22 #17becf"
).split()
SINGULAR = re.compile(r' id="[^"]*_\d+"')  # names that matplotlib gives the parts of every figure alike


@dataclass(frozen=True)
class Cell:
    """A cell of a table: as HTML, and as the plain text that it is sorted by."""

    html: Markup
    text: str


@dataclass(frozen=True)
class Grid:
    """A table: its name for links, what it is called, the titles of its columns, and its rows."""

    anchor: str
    caption: str
    header: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]

    def row_anchor(self, row: Sequence[Cell]) -> str:
        """The name of a row for links."""
        return f"{self.anchor}-{slug(row[0].text)}"


@dataclass(frozen=True)
class Plot:
    """A plot, inline."""

    caption: str
    image: Markup


@dataclass(frozen=True)
class Notes:
    """What a list explains, which is shown when asked for."""

    title: str
    html: Markup


@dataclass
class Section:
    """A heading and the parts below it: Grid, Plot, Notes, or HTML."""

    title: str
    anchor: str
    parts: list[Grid | Plot | Notes | Markup] = field(default_factory=list)

    def add_table(self, header: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> None:
        """Add a table; the second one of a section is told from the first by its first column's title."""
        others = sum(isinstance(part, Grid) for part in self.parts)
        anchor = f"{self.anchor}-{slug(header[0].text)}" if others else self.anchor
        several = any(part.anchor == anchor for part in self.parts if isinstance(part, Grid))
        self.parts.append(Grid(f"{anchor}-{others}" if several else anchor, self.title, header, rows))


def page(text: str, plots: Mapping[str, Path], heard: Listening | None, silent: str = "") -> str:
    """Write report.html.

    Args:
        text: of RESULTS.md.
        plots: {link of an image in it: file, with an SVG beside it}.
        heard: the mixtures to listen to.
        silent: why there are none.

    Returns:
        HTML without a reference to any other file.
    """
    head, *sections = read_sections(text, plots)
    place = next((number for number, one in enumerate(sections, start=1) if one.title == "Extraction"), len(sections))
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests |= {name.__name__.lower(): _is_a(name) for name in (Grid, Plot, Notes)}
    environment.globals["spread"] = spread
    rendered = environment.get_template(TEMPLATE).render(
        head=head,
        before=sections[:place],
        after=sections[place:],
        heard=heard,
        silent=silent,
        kinds=KINDS,
        style=Markup((HERE / STYLE).read_text(encoding="utf-8")),
        script=Markup((HERE / SCRIPT).read_text(encoding="utf-8")),
    )
    return rendered.lstrip()  # macros leave empty lines


def _is_a(kind: type):
    return lambda part: isinstance(part, kind)


def slug(text: str) -> str:
    """A text as a name for links: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "none"


def spread(text: str) -> tuple[str, str]:
    """A number and its deviation: `1.5 ± 0.2` as ("1.5", "0.2"), any other text as (text, "")."""
    mean, _, deviation = text.partition(" ± ")
    return mean, deviation


def read_sections(text: str, plots: Mapping[str, Path]) -> list[Section]:
    """The parts of a Markdown text, section by section; the first one is what stands before the first `##`.

    Args:
        text: Markdown without HTML in it.
        plots: {link of an image: file}.

    Returns:
        The sections.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    parsed = markdown.parse(text)
    for token in parsed:
        token.children = token.children and _without_links_to_files(token.children)
    sections, intro, caption = [Section("", "top")], None, None
    for tokens in _blocks(parsed):
        kind, section = tokens[0].type, sections[-1]
        inline = tokens[1] if len(tokens) > 1 and tokens[1].type == "inline" else None
        told, intro = intro, None
        if kind == "heading_open" and tokens[0].tag == "h1":
            section.title = inline.content
        elif kind == "heading_open" and tokens[0].tag == "h2":
            sections.append(Section(inline.content, slug(inline.content)))
        elif kind == "table_open":
            header, *rows = _cells(tokens, markdown)
            section.add_table(header, rows)
        elif kind == "bullet_list_open" and told in GLOSSES:
            section.parts[-1] = Notes(told, Markup(markdown.renderer.render(tokens, markdown.options, {})))
        elif inline and (image := _only_image(inline)):
            caption = image.content
            section.parts.append(Plot(caption, _inline_image(plots[image.attrs["src"]])))
        elif inline and inline.content == f"{caption}.":  # which the figure has already
            caption = None
        else:
            section.parts.append(Markup(markdown.renderer.render(tokens, markdown.options, {})))
            intro = inline.content[:-1] if inline and inline.content.endswith(":") else None
    return sections


def _without_links_to_files(tokens: Sequence[Token]) -> list[Token]:
    """Inline tokens with the words of links to other files instead of the links: a page may lie anywhere."""
    kept, left_out = [], 0
    for token in tokens:
        if token.type == "link_open" and not re.match(r"#|https?:", token.attrs["href"]):
            left_out += 1
        elif token.type == "link_close" and left_out:
            left_out -= 1
        else:
            kept.append(token)
    return kept


def _blocks(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens of each outermost block."""
    blocks: list[list[Token]] = []
    depth = 0
    for token in tokens:
        if depth == 0:
            blocks.append([])
        blocks[-1].append(token)
        depth += token.nesting
    return blocks


def _cells(tokens: Sequence[Token], markdown: MarkdownIt) -> list[list[Cell]]:
    """The rows of a table, its header first."""
    rows: list[list[Cell]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            html = markdown.renderer.renderInline(token.children or [], markdown.options, {})
            rows[-1].append(Cell(Markup(html), re.sub(r"<[^>]*>", "", Markup(html).unescape())))
    return rows


def _only_image(inline: Token) -> Token | None:
    children = inline.children or []
    return children[0] if len(children) == 1 and children[0].type == "image" else None


def _inline_image(png: Path) -> Markup:
    """The SVG beside a plot, in the page's colours; where there is none, the PNG."""
    svg = png.with_suffix(".svg")
    if svg.is_file():
        return Markup(themed(svg.read_text(encoding="utf-8")))
    return Markup(f'<img alt="" src="data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}">')


def themed(svg: str) -> str:
    """An SVG of matplotlib's for a page: of any size, in colours that the page's style names.

    Args:
        svg: the file's content.

    Returns:
        Its `svg` element: black as the text's colour, white as nothing, C0 to C9 as `--c0` to `--c9`.
    """
    opening, rest = svg[svg.index("<svg") :].split(">", 1)
    rest = SINGULAR.sub("", re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.S))
    element = re.sub(r' (width|height)="[^"]*"', "", opening) + ">" + rest
    swaps = {"#000000": "currentColor", "#ffffff": "none", "#b0b0b0": "var(--line)", "#cccccc": "var(--line)"}
    swaps |= {colour: f"var(--c{number})" for number, colour in enumerate(COLOURS)}
    return re.sub("#[0-9a-f]{6}", lambda found: swaps.get(found[0], found[0]), element)
