"""What the number of a row of the paper's tables is made of, mixture by mixture, read from its files."""

from __future__ import annotations

from wesep_mix.base.files import read_json
from wesep_mix.evaluation.outcomes import Outcomes, right_outcomes, score_outcomes
from wesep_mix.evaluation.scoring import read_scored
from wesep_mix.mixing.plan import read_plans
from wesep_mix.tables.table1 import TALKERS, Table1Layout
from wesep_mix.tables.table2 import TARGETS, Paper, Table2Layout


def acc_outcomes(layout: Table1Layout, name: str, seed: int) -> Outcomes:
    """A row of Table 1: embeddings in their speaker's cluster, of all embeddings.

    Args:
        layout: of the table.
        name: of the row, which is measured.
        seed: of the trainings.

    Returns:
        The sums.
    """
    return right_outcomes(read_json(layout.result(name, seed).with_name(TALKERS)))


def si_sdri_outcomes(layout: Table2Layout, name: str, seed: int) -> dict[Paper, Outcomes]:
    """A row of Tables 2 and 4: SI-SDRi of the targets that could be scored, and their number.

    Args:
        layout: of the tables.
        name: of the row, which is scored.
        seed: of the trainings.

    Returns:
        The sums, for each table that it is a row of.
    """
    folder = layout.result(name, seed).parent
    speakers = {plan.id: [source.spk for source in plan.sources] for plan in read_plans(layout.plans(name))}
    rows = {paper: read_scored(folder, TARGETS[paper])[0] for paper in layout.table.rows[name].tables}
    return {paper: score_outcomes(speakers, targets) for paper, targets in rows.items()}
