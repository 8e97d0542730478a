"""benchmarks/parity.py at a size that costs nothing; a stand-in is WeSep's checkout."""

import pytest
from benchmark import beside_wesep, cells

STAND_IN = """
import torch
from wesep_mix.models.extractors import spexplus
from wesep_mix.wesep.names import from_wesep, to_wesep
from wesep_mix.wesep.settings import config_from_wesep


class ConvTasNet(torch.nn.Module):  # ours, with WeSep's interface
    def __init__(self, **settings):
        super().__init__()
        if settings["N"] == 24:
            raise RuntimeError("as WeSep fails now and then")
        self.config = config_from_wesep("ConvTasNet", settings)
        self.inside = spexplus.Model(self.config)

    def state_dict(self):
        return to_wesep(self.config, self.inside.state_dict())

    def load_state_dict(self, state):
        self.inside.load_state_dict(from_wesep(self.config, state))

    def forward(self, mix, emb):
        return [FACTOR * est for est in self.inside.estimates(mix, emb).unbind(1)]
"""


@pytest.fixture
def sweep(monkeypatch):
    yield from beside_wesep("parity", monkeypatch)


@pytest.mark.parametrize("factor, status", [("1.0", 0), ("1.001", 1)])
def test_the_largest_deviation_of_each_fusion(sweep, tmp_path, capsys, factor, status):
    (tmp_path / "wesep" / "models").mkdir(parents=True)
    (tmp_path / "wesep" / "models" / "convtasnet.py").write_text(STAND_IN.replace("FACTOR", factor))
    assert sweep.main([str(tmp_path), "--models=ConvTasNet", "--num=8"]) == status
    said = capsys.readouterr().out
    _, *rows = cells(said)
    assert sum(int(row[1]) for row in rows) == 8 and {row[0].partition(",")[0] for row in rows} == {"SpEx+"}
    assert all(float(row[2]) < 1e-6 and row[3] == "0" or status and row[3] == row[1] for row in rows)
    assert int(said.split(" more.")[0].rsplit(" ", 1)[1]) > 0


def test_a_folder_that_is_no_checkout_is_told(sweep, tmp_path, capsys):
    assert sweep.main([str(tmp_path), "--num=2"]) == 1
    assert "wanted the folder of a WeSep checkout" in capsys.readouterr().err
