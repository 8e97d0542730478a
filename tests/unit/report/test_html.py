import re
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from wesep_mix.bin import report
from wesep_mix.report.html import Grid, Notes, Plot, page, read_sections, slug, spread, themed

TEXT = """# Results: mini

Produced by

```
bash run.sh
```

## Embeddings

| embedding | Acc % |
| --- | ---: |
| `a_b` | 1.5 ± 0.2 |
| <i>b</i> | - |

Rows:

- `a_b`: one

Each number is a mean:
of talkers.

## By this and that

| sexes | FF |
| --- | ---: |
| net | 1 |

| overlap | 0.5 |
| --- | ---: |
| net | 2 |

## Plots

![A picture](plots/x.png)

A picture.
"""


@pytest.fixture
def plots(tmp_path):
    (tmp_path / "x.svg").write_text('<?xml?>\n<svg width="9pt" height="9pt" viewBox="0 0 9 9"><g id="axes_1"/></svg>')
    return {"plots/x.png": tmp_path / "x.png"}


def test_the_text_is_read_section_by_section(plots):
    head, embeddings, by, drawn = read_sections(TEXT, plots)
    assert [one.title for one in (head, embeddings, by, drawn)] == [
        "Results: mini",
        "Embeddings",
        "By this and that",
        "Plots",
    ]
    grid, notes, rule = embeddings.parts
    assert isinstance(grid, Grid) and isinstance(notes, Notes) and notes.title == "Rows"
    assert [cell.text for cell in grid.rows[0]] == ["a_b", "1.5 ± 0.2"]
    assert grid.rows[0][0].html == "<code>a_b</code>" and grid.rows[1][0].html == "&lt;i&gt;b&lt;/i&gt;"
    assert rule == "<p>Each number is a mean:\nof talkers.</p>\n"
    assert [part.anchor for part in by.parts] == ["by-this-and-that", "by-this-and-that-overlap"]
    (plot,) = drawn.parts  # its caption is not repeated below
    assert isinstance(plot, Plot) and plot.image == '<svg viewBox="0 0 9 9"><g/></svg>'


def test_rows_have_names_that_links_can_use(plots):
    page_of = page(TEXT, plots, None, "no test set")
    assert 'href="#embeddings-a-b"' in page_of and '<tr id="embeddings-a-b">' in page_of
    anchors = re.findall(r'\bid="([^"]+)"', page_of)
    assert len(anchors) == len(set(anchors))
    targets = set(re.findall(r'href="#([^"]+)"', page_of))
    assert targets <= set(anchors)
    assert slug("By sexes, SNR and overlap") == "by-sexes-snr-and-overlap"


def test_what_is_no_markdown_stays_text(plots):
    text = TEXT.replace("a_b", "<script>alert(1)</script>").replace("mini", "<b>mini</b>")
    shown = page(text, plots, None, "<b>nothing</b>")
    assert "<script>alert" not in shown and "<b>" not in shown and "&lt;b&gt;nothing" in shown


def test_mean_and_deviation_stand_in_columns_of_their_own(plots):
    assert spread("1.5 ± 0.2") == ("1.5", "0.2") and spread("0.91 M") == ("0.91 M", "")
    shown = page(TEXT, plots, None, "no test set")
    assert '<span>1.5</span> <span class="std">± 0.2</span>' in shown


class Outside(HTMLParser):
    """Notes every address in a page that is neither in it nor in itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "srcset", "xlink:href") and not (value or "").startswith(("#", "data:")):
                self.found.append((tag, name, value))


def test_a_report_names_no_other_file_and_says_the_same_every_time(experiment):
    options = ["--corpus", "mini", "--num_spk", "2", "--exp", str(experiment)]
    assert report.main(options) == 0
    first = (experiment / "report.html").read_bytes()
    outside = Outside()
    outside.feed(first.decode())
    assert outside.found == [] and not re.search(rb"url\((?!#)|@import", first)
    report.main(options)
    assert (experiment / "report.html").read_bytes() == (experiment / "2mix" / "report.html").read_bytes() == first
    assert str(experiment).encode() not in first


def test_links_to_files_become_words_and_others_stay():
    text = "# x\n\n[WORST.md](2mix/WORST.md), [here](#top) and [there](https://example.org/)."
    (head,) = read_sections(text, {})
    assert head.parts == ['<p>WORST.md, <a href="#top">here</a> and <a href="https://example.org/">there</a>.</p>\n']


def test_colours_of_plots_are_those_of_the_page():
    svg = (
        '<?xml?><!DOCTYPE x>\n<svg height="1pt"><metadata>x</metadata><g style="fill: #1f77b4; stroke: #000000"/></svg>'
    )
    assert themed(svg) == '<svg><g style="fill: var(--c0); stroke: currentColor"/></svg>'


def test_a_plot_without_an_svg_is_shown_as_its_png(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    *_, drawn = read_sections(TEXT, {"plots/x.png": tmp_path / "x.png"})
    assert drawn.parts[0].image == Markup('<img alt="" src="data:image/png;base64,iVBORw==">')
