"""Write the numbers of egs/mini/results.json into the tables of README.md and docs/results.md that are marked for it.

    cp exp/mini/results.json egs/mini/ && python tools/page_numbers.py

A marked table follows `<!-- numbers: NAME -->`; its first columns stay, so titles of rows are the pages' own. The list
behind `<!-- cautions -->` is what has to be said of PESQ and STOI in the table of extraction.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from wesep_mix.report.markdown import extraction_cautions  # noqa: E402
from wesep_mix.report.tables import embedding_table, extraction_table  # noqa: E402

RESULTS = ROOT / "egs" / "mini" / "results.json"
PAGES = ("README.md", "docs/results.md")
FRONT = (  # of the table on the front page: a row of embeddings and one of extraction, "" for none
    ("", "mixture"),
    ("student", "stft_tcn"),
    ("teacher/clean", "stft_tcn/oracle"),
    ("", "stft_tcn/enrolment"),
    ("", "stft_tcn/none"),
    ("", "stft_tcn/wrong"),
    ("", "stft_tcn/random"),
)


def front_rows(results: dict[str, Any]) -> list[list[str]]:
    """Acc %, EER % and SI-SDRi dB of each row of the front page."""
    rows = []
    for embedding, extraction in FRONT:
        row = results["embeddings"].get(embedding)
        acc, eer = ("-", "-") if row is None else (f"{100 * row['acc']:.1f}", f"{100 * row['eer']:.1f}")
        rows.append([acc, eer, f"{results['extraction'][extraction]['si_sdri']:.2f}"])
    return rows


def rewritten(text: str, results: dict[str, Any]) -> str:
    """A page with the numbers of these results, and their revision."""
    tables = {
        "embeddings": embedding_table(results["embeddings"]).markdown(),
        "extraction": extraction_table(results["extraction"]).markdown(),
    }

    def table(found: re.Match) -> str:
        name, lines = found[1], found[2].rstrip("\n").split("\n")
        if name in tables:
            return f"<!-- numbers: {name} -->\n{tables[name].rstrip()}\n"
        for place, row in enumerate(front_rows(results), start=2):
            first = lines[place].strip("|").split("|")[:2]
            lines[place] = "|" + "|".join([*first, *(f" {number} " for number in row)]) + "|"
        return f"<!-- numbers: {name} -->\n" + "\n".join(lines) + "\n"

    text = re.sub(r"<!-- numbers: (\w+) -->\n((?:\|.*\n)+)", table, text)
    said = "".join(f"- {sentence}\n" for sentence in extraction_cautions(results["extraction"]))
    text = re.sub(r"<!-- cautions -->\n(?:- .*\n)*", lambda _: f"<!-- cautions -->\n{said}", text)
    return re.sub(r"(?<=<!-- revision -->)\w+", results["git"], text)


def main() -> int:
    """Rewrite the pages."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for page in PAGES:
        path = ROOT / page
        path.write_text(rewritten(path.read_text(encoding="utf-8"), results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
