import pytest

from wesep_mix.bin import export_data


@pytest.fixture
def case(exportable, tmp_path):
    """Prepared sets of two talkers; `case.run(FORMAT, OPTION...)` exports the set test and returns the status."""
    case = exportable(tmp_path, 2)

    def run(name, *options, sets=("test",), out=case.out):
        return export_data.main(
            ["--format", name, "--data", str(case.data), "--set_name", *sets, "--out", str(out), *map(str, options)]
        )

    case.run = run
    return case
