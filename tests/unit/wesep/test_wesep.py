"""Weights and references of WeSep's: a reference of our own making, and those in ../shared/parity."""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from places import SHARED

from wesep_mix.base.config import to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need, Part
from wesep_mix.bin import check_parity, convert_wesep
from wesep_mix.models.extractors import dpccn, spexplus
from wesep_mix.models.layers.network import estimates
from wesep_mix.wesep import weights
from wesep_mix.wesep.names import to_wesep
from wesep_mix.wesep.settings import wesep_args

PARITY = sorted((SHARED / "parity").glob("*.npz"))
SPEXPLUS = spexplus.Config(embedding_dim=6, filters=8, channels=6, hidden=10, num_stacks=2, num_blocks=2)
DPCCN = dpccn.Config(embedding_dim=6, n_fft=256, hop=64, tcn_repeats=1, tcn_blocks=1, pool_sizes=(2, 3, 4, 5))


@pytest.fixture
def reference(tmp_path):
    """Function: config, changes of the arrays, of the settings -> path of a reference made with our own model."""

    def make(config=SPEXPLUS, settings=None, num_samples=1503, **arrays) -> Path:
        torch.manual_seed(0)
        model = (spexplus if config.name == "spexplus" else dpccn).Model(config).eval()
        mix, emb = torch.randn(2, num_samples), torch.randn(2, 6)
        with torch.inference_mode():
            ests = estimates(model, mix, emb)
        name, args = wesep_args(config)
        state = {f"state/{key}": value.numpy() for key, value in to_wesep(config, model.state_dict()).items()}
        outputs = {f"est/{k}": ests[:, k].numpy() for k in range(ests.shape[1])}
        whole = {**state, "mix": mix.numpy(), "emb": emb.numpy(), **outputs, **arrays}
        np.savez(tmp_path / "made.npz", **{key: value for key, value in whole.items() if value is not None})
        (tmp_path / "made.json").write_text(json.dumps({"model": name, "args": args} | (settings or {})))
        return tmp_path / "made.npz"

    return make


# references


@pytest.mark.parametrize(
    "path",
    PARITY or [pytest.param(None, marks=pytest.mark.skip("no ../shared/parity"))],
    ids=lambda path: path.stem if path else "none",
)
def test_weseps_own_outputs(path, capsys):
    assert check_parity.main([str(path)]) == 0
    assert "agrees" in capsys.readouterr().out


@pytest.mark.parametrize("config", [SPEXPLUS, DPCCN])
def test_a_reference_of_ours_agrees(config, reference, capsys):
    assert check_parity.main([str(reference(config))]) == 0
    said = capsys.readouterr().out
    assert "deviation over the reference's standard deviation 0.00e+00 (est/0 0.0e+00" in said and "agrees" in said


@pytest.mark.parametrize("over, status", [(0.5e-4, 0), (2e-4, 1)])
def test_the_largest_deviation_counts_in_the_references_spread(reference, over, status, capsys):
    est = np.load(reference())["est/2"]
    est[1, 7] += over * est.std()
    path = reference(**{"est/2": est})
    assert weights.parity(path)[:2] == [0.0, 0.0]
    assert weights.parity(path)[2] == pytest.approx(over, rel=0.05)
    assert check_parity.main([str(path)]) == status
    assert ("differs" if status else "agrees") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("hop", "place", "status"), [(100, -1, 0), (100, -256, 0), (100, -257, 1), (100, 3, 1), (96, -1, 1)]
)
def test_a_last_window_that_ends_in_a_click_does_not_count(hop, place, status, reference):
    config = dataclasses.replace(DPCCN, hop=hop)
    est = np.load(reference(config))["est/0"]
    est[1, place] += 1e-3 * est.std()
    assert check_parity.main([str(reference(config, **{"est/0": est}))]) == status


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_differs(reference, value):
    est = np.load(reference())["est/0"]
    est[0, 3] = value
    assert check_parity.main([str(reference(**{"est/0": est}))]) == 1


def test_a_constant_reference_has_no_spread_to_deviate_by(reference):
    assert weights.parity(reference(**{"est/0": np.zeros((2, 1503), np.float32)}))[0] == float("inf")


def test_weseps_outputs_may_end_with_the_last_frame(reference):
    ests = np.load(reference())
    cut = {f"est/{k}": ests[f"est/{k}"][:, :1500] for k in range(3)}
    assert weights.parity(reference(**cut)) == [0.0] * 3


def test_those_of_a_window_that_is_shorter_than_the_first_end_sooner(reference):
    config = dataclasses.replace(SPEXPLUS, windows=(100, 80, 160), stride=50)
    ests = np.load(reference(config))
    assert weights.parity(reference(config, **{"est/1": ests["est/1"][:, : 1503 - 69]})) == [0.0] * 3
    with pytest.raises(UserError, match="est/1: .*less than 70 samples fewer"):
        weights.parity(reference(config, **{"est/1": ests["est/1"][:, : 1503 - 70]}))


def test_weights_of_another_seed_differ(reference):
    path = reference()
    arrays = dict(np.load(path))
    arrays["state/decoder.mask1.weight"] = arrays["state/decoder.mask1.weight"] + 0.01
    np.savez(path, **arrays)
    assert check_parity.main([str(path)]) == 1


@pytest.mark.parametrize(
    "arrays, settings, said",
    [
        ({"mix": None}, {}, "made.npz: wanted an array mix"),
        ({"est/0": None}, {}, "wanted an array est/0"),
        ({"est/2": None}, {}, "wanted 3 outputs est/0, ..., found 2"),
        (
            {"est/1": np.zeros((2, 1504))},
            {},
            r"est/1: wanted the shape of mix, [2, 1503], or less than 10 samples fewer",
        ),
        ({"est/1": np.zeros((2, 1))}, {}, r"samples fewer, found [2, 1]"),
        ({"est/0": np.array([["a"]])}, {}, "est/0: wanted real numbers, found <U1 of shape [1, 1]"),
        ({"mix": np.zeros((0, 1503))}, {}, "mix: wanted real numbers, found float64 of shape [0, 1503]"),
        (
            {"state/decoder.mask1.bias": np.array(["a"] * 8)},
            {},
            "state/decoder.mask1.bias: wanted real numbers, found <U1",
        ),
        ({}, {"args": {"joint_training": False, "norm": [1]}}, "norm: wanted one of gLN, cLN, BN, found (1,)"),
        ({}, {"args": {"joint_training": False, "spk_fuse_type": {}}}, "spk_fuse_type: wanted one of concatConv"),
        ({"est/1": np.zeros(1503)}, {}, r"found [1503]"),
        ({"emb": np.zeros((2, 7))}, {}, r"spexplus: wanted an embedding of shape [2, 6], found [2, 7]"),
        (
            {"state/decoder.mask1.bias": None},
            {},
            "wanted the weights of ConvTasNet made with these settings, found others",
        ),
        ({"state/decoder.mask1.bias": np.zeros(9)}, {}, "size mismatch for masks.0.bias"),
        ({"state/spk_model.bias": np.zeros(9)}, {}, "spexplus has no place for WeSep's spk_model.bias"),
        ({}, {"model": "BSRNN"}, "BSRNN: wanted one of DPCCN, ConvTasNet"),
        ({}, {"args": {"joint_training": False, "hidden": 3}}, "hidden: unknown argument"),
        ({}, {"args": None}, "made.json: wanted `model` (a name) and `args` (a mapping)"),
    ],
)
def test_what_does_not_fit_is_one_line_and_status_1(reference, arrays, settings, said, capsys):
    assert check_parity.main([str(reference(settings=settings, **arrays))]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


def test_files_that_are_not_there_or_damaged(reference, tmp_path, capsys):
    assert check_parity.main([str(tmp_path / "none.npz")]) == 1
    path = reference()
    path.write_bytes(path.read_bytes()[:500])
    assert check_parity.main([str(path)]) == 1
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mix.npy", bytes(2000))
    content = bytearray(path.read_bytes())
    content[37:45] = bytes(range(100, 108))
    path.write_bytes(content)
    assert check_parity.main([str(path)]) == 1
    path.with_suffix(".json").unlink()
    assert check_parity.main([str(path)]) == 1
    error = capsys.readouterr().err
    assert error.count("error: ") == error.count("\n") == 4
    assert "none.npz: no such file" in error and "made.npz: wanted a readable .npz" in error
    assert "made.json: no such file" in error


# checkpoints


@pytest.mark.parametrize("config", [SPEXPLUS, DPCCN])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"models": [state], "optimizers": [{"lr": 1.0}]}])
def test_a_checkpoint_travels_both_ways(config, wrap, tmp_path):
    model = (spexplus if config.name == "spexplus" else dpccn).Model(config).eval()
    name, args = weights.write_checkpoint(tmp_path / "written.pt", model)
    state = torch.load(tmp_path / "written.pt", weights_only=True)["models"][0]
    torch.save(wrap(state), tmp_path / "theirs.pt")
    again = weights.build(name, args, weights.read_checkpoint(tmp_path / "theirs.pt"))
    assert again.config == config and not again.training
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


@pytest.mark.parametrize("content", [{"models": []}, {"models": [3]}, [1], {"step": 3}])
def test_what_is_no_checkpoint_is_named(content, tmp_path):
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(UserError, match="odd.pt: wanted a state dict"):
        weights.read_checkpoint(tmp_path / "odd.pt")
    (tmp_path / "odd.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="odd.pt: not a readable model file"):
        weights.read_checkpoint(tmp_path / "odd.pt")
    with pytest.raises(UserError, match="gone.pt: no such model file"):
        weights.read_checkpoint(tmp_path / "gone.pt")


def test_a_model_of_weseps_goes_through_an_experiment_and_back(tmp_path, capsys):
    torch.manual_seed(0)
    name, args = weights.write_checkpoint(tmp_path / "theirs.pt", dpccn.Model(DPCCN))
    (tmp_path / "theirs.yaml").write_text(
        yaml.safe_dump(
            {
                "model": {"tse_model": name},
                "num_avg": 5,
                "model_args": {"tse_model": {**to_dict(args), "spksInTrain": 251, "multi_task": False}},
            }
        )
    )
    take = [
        "import",
        f"--config={tmp_path}/theirs.yaml",
        f"--checkpoint={tmp_path}/theirs.pt",
        f"--out={tmp_path}/exp/net",
    ]
    assert convert_wesep.main(take) == 0
    made = tmp_path / "exp/net/matched/model.pt"
    Part(6, "extraction", tmp_path, {}, [Need(made, 5)]).check_needs()
    assert convert_wesep.main(["export", f"--model={made}", f"--out={tmp_path}/back"]) == 0
    back, wanted = (weights.read_checkpoint(path) for path in (tmp_path / "back/avg_model.pt", tmp_path / "theirs.pt"))
    assert list(back) == list(wanted) and all(torch.equal(back[key], value) for key, value in wanted.items())
    found, settings = weights.read_settings(tmp_path / "back/config.yaml")
    assert found == name and settings == to_dict(args)
    capsys.readouterr()
    assert convert_wesep.main(take) == 0 and "done already" in capsys.readouterr().out
    torch.save({key: value + 1 for key, value in wanted.items()}, tmp_path / "theirs.pt")
    assert convert_wesep.main(take) == 0 and "is made anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, said",
    [
        (
            {"model": {"tse_model": "BSRNN"}, "model_args": {"tse_model": {"joint_training": False}}},
            "wanted WeSep with BSRNN, it does not import",
        ),
        ({"model_args": {"tse_model": {"joint_training": True}}}, "joint_training: wanted False, found True"),
        ({"model_args": None}, "(a mapping), found 'DPCCN' and None among model, model_args"),
        (
            {"model_args": {"tse_model": {"joint_training": False}}},
            "theirs.pt: wanted the weights of DPCCN made with thes",
        ),
    ],
)
def test_what_cannot_be_imported_is_named(changes, said, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("WESEP_DIR", raising=False)
    name, args = weights.write_checkpoint(tmp_path / "theirs.pt", dpccn.Model(DPCCN))
    settings = {"model": {"tse_model": name}, "model_args": {"tse_model": to_dict(args)}, **changes}
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump(settings))
    assert (
        convert_wesep.main(
            [
                "import",
                f"--config={tmp_path}/theirs.yaml",
                f"--checkpoint={tmp_path}/theirs.pt",
                f"--out={tmp_path}/net",
            ]
        )
        == 1
    )
    assert said in capsys.readouterr().err and not (tmp_path / "net/matched/model.pt").exists()


@pytest.mark.parametrize(
    "wrap, said",
    [
        (lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}}, None),
        (
            lambda state: state | {name: value * float("nan") for name, value in list(state.items())[-1:]},
            "values are not finite",
        ),
    ],
)
def test_a_wrapped_model_is_imported_and_one_that_is_not_finite_is_not(wrap, said, tmp_path, capsys):
    model = dpccn.Model(DPCCN)
    name, args = weights.write_checkpoint(tmp_path / "theirs.pt", model)
    (tmp_path / "theirs.yaml").write_text(
        yaml.safe_dump({"model": {"tse_model": name}, "model_args": {"tse_model": to_dict(args)}})
    )
    torch.save(wrap(to_wesep(DPCCN, model.state_dict())), tmp_path / "theirs.pt")
    status = convert_wesep.main(
        ["import", f"--config={tmp_path}/theirs.yaml", f"--checkpoint={tmp_path}/theirs.pt", f"--out={tmp_path}/net"]
    )
    assert status == (said is not None) and (said or "") in capsys.readouterr().err
    assert (tmp_path / "net/matched/model.pt").exists() == (said is None)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"models": [Trap()]}, tmp_path / "trap.pt")
    with pytest.raises(UserError, match="trap.pt"):
        weights.read_checkpoint(tmp_path / "trap.pt")
    assert not (tmp_path / "touched").exists()
