import shutil
import subprocess

import pytest

from wesep_mix.report.latex import escaped, latex, latex_document
from wesep_mix.report.tables import Table


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Acc %", r"Acc \%"),
        ("stft_tcn/none", r"stft\_tcn/none"),
        ("2.66 ± 3.68", r"2.66 $\pm$ 3.68"),
        ("-1.12 ± 3.17", r"$-$1.12 $\pm$ 3.17"),
        ("0.5-0.6", "0.5-0.6"),
        ("wrong-talker", "wrong-talker"),
        (r"a\b{c}^~#&$", r"a\textbackslash{}b\{c\}\textasciicircum{}\textasciitilde{}\#\&\$"),
    ],
)
def test_signs_that_mean_something_in_latex_are_escaped(text, printed):
    assert escaped(text) == printed


def test_a_table_by_hand():
    table = Table(("row", "dB"), [("a_b", "-1.0"), ("none", "-")])
    assert latex(table, "Of A & B", "tab:x") == "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            r"\caption{Of A \& B}",
            r"\label{tab:x}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"row & dB \\",
            r"\midrule",
            r"a\_b & $-$1.0 \\",
            r"none & -- \\",
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_sets_a_wide_table_within_the_text(tmp_path):
    wide = Table(tuple(f"column {k}" for k in range(20)), [("row_1", *["2.66 ± 3.68"] * 19)])
    (tmp_path / "tables.tex").write_text(latex_document({("Wide & a_b", "tab:wide"): wide}))
    (tmp_path / "booktabs.sty").write_text(r"\let\toprule\hline\let\midrule\hline\let\bottomrule\hline")  # its names
    text = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{tables}\end{document}"
    (tmp_path / "paper.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and (tmp_path / "paper.pdf").is_file()


def test_a_table_without_rows_is_left_out():
    full, empty = Table(("a", "b"), [("1", "2")]), Table(("a", "b"), [])
    text = latex_document({("full", "tab:full"): full, ("empty", "tab:empty"): empty})
    assert text.startswith("%") and text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    assert "tab:empty" not in text
