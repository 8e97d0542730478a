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
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"row & dB \\",
            r"\midrule",
            r"a\_b & $-$1.0 \\",
            r"none & -- \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def test_a_table_without_rows_is_left_out():
    full, empty = Table(("a", "b"), [("1", "2")]), Table(("a", "b"), [])
    text = latex_document({("full", "tab:full"): full, ("empty", "tab:empty"): empty})
    assert text.startswith("%") and text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    assert "tab:empty" not in text
