"""benchmarks/kernels.py at a size that costs nothing."""

import pytest
import torch
import yaml
from benchmark import beside_wesep, cells

TINY = {
    "spexplus": {"filters": 8, "channels": 6, "hidden": 10, "num_stacks": 1, "num_blocks": 2, "embedding_dim": 5},
    "dpccn": {
        "embedding_dim": 5,
        "n_fft": 128,
        "hop": 32,
        "dense_channels": [4, 6],
        "conv_channels": [8, 8],
        "dense_depth": 2,
        "tcn_repeats": 1,
        "tcn_blocks": 2,
        "pool_sizes": [4, 8],
        "pool_channels": 3,
    },
    "asp": {"frontend": {"name": "logmel", "num_mels": 20, "channels": 16, "num_layers": 1, "num_heads": 2}},
    "stft_tcn": {"embedding_dim": 5, "channels": 8, "hidden": 8, "num_blocks": 1, "num_stacks": 1},
}


@pytest.fixture
def bench(monkeypatch):
    yield from beside_wesep("kernels", monkeypatch)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def recipe(folder, name):
    path = folder / f"{name}.yaml"
    model = {"name": name, **TINY[name]}
    path.write_text(yaml.safe_dump({"model": model, "batch_size": 2, "chunk_s": 0.2}), encoding="utf-8")
    return str(path)


def test_every_way_of_every_model_is_left_out(bench, tmp_path, capsys):
    given = [recipe(tmp_path, name) for name in TINY]
    assert bench.main([*given, "--rounds", "1"]) == 0
    rows = cells(capsys.readouterr().out)
    assert [row[1] for row in rows[1:]] == [
        way for name in TINY for way in (list(bench.WAYS[name]) if name in bench.WAYS else ["takes none"])
    ]
    assert all(float(row[2]) > 0 and float(row[3]) >= 0 for row in rows[1:] if row[2])


@pytest.mark.parametrize("name", ["spexplus", "dpccn", "asp"])
def test_what_is_left_out_is_computed_all_the_same(bench, tmp_path, name):
    """With the same loss, and the functions are back afterwards."""
    losses = []

    def loss_of(*args):
        losses.append(plain(*args))
        return losses[-1]

    plain, bench.loss_of = bench.loss_of, loss_of
    try:
        args = bench.argparse.Namespace(batch_size=None, seconds=None)
        for parts in ([], *bench.WAYS[name].values(), []):
            with bench.left_out(parts):
                bench.training_step(recipe(tmp_path, name), args)[0]()
    finally:
        bench.loss_of = plain
    for loss in losses[1:-1]:
        torch.testing.assert_close(loss, losses[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(losses[0], losses[-1])


def test_ways_are_chosen_by_parts_of_their_names(bench, tmp_path, capsys):
    assert bench.main([recipe(tmp_path, "dpccn"), "--rounds", "1", "--ways", "TCN: frames"]) == 0
    assert [row[1] for row in cells(capsys.readouterr().out)[1:]] == ["TCN: frames last"]
