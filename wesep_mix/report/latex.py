"""tables.tex: tables of results for a paper, to be included with the packages booktabs and graphicx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wesep_mix.report.tables import TARGETS, Table, embedding_table, extraction_table

HEAD = "% Written with RESULTS.md; needs \\usepackage{booktabs,graphicx}. Include it, or copy a table out of it.\n"
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # a wide table as wide as the text
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "→": r"$\to$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def escaped(text: str) -> str:
    """Text as LaTeX prints it.

    Args:
        text: of a cell or caption.

    Returns:
        The same with its special signs escaped, and the minus of a number as a minus.
    """
    printed = "".join(SPECIAL.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", printed)


def latex(table: Table, caption: str, label: str) -> str:
    r"""Write a table as a LaTeX float.

    Args:
        table: the numbers.
        caption: above it.
        label: for \ref.

    Returns:
        LaTeX, with a newline at its end.
    """
    header, *rows = (" & ".join(map(_cell, cells)) + r" \\" for cells in (table.header, *table.rows))
    columns = "l" + "r" * (len(table.header) - 1)
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{{label}}}",
        FITTED,
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        header,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return "--" if text == "-" else escaped(text)


def latex_document(tables: Mapping[tuple[str, str], Table]) -> str:
    """Write several tables into one file.

    Args:
        tables: {(caption, label): table}.

    Returns:
        LaTeX.
    """
    return "\n".join([HEAD, *(latex(table, *name) for name, table in tables.items() if table.rows)])


def results_latex(results: Mapping[str, Any]) -> str:
    """Write the tables of embeddings and of extraction.

    Args:
        results: as `report.results.gather` gives them.

    Returns:
        LaTeX.
    """
    of = f"{results['corpus']}, {results['num_spk']} talkers"
    over, _ = TARGETS[results["targets"]]
    extraction = f"Extraction, {of}: mean ± standard deviation, or a share, over {over}"
    return latex_document(
        {
            (f"Embeddings, {of}", "tab:embeddings"): embedding_table(results["embeddings"]),
            (extraction, "tab:extraction"): extraction_table(results["extraction"]),
        }
    )
