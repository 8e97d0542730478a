"""What is said of a torch and a torchaudio that do not load together; the errors are those of real pairs."""

import builtins

import pytest

from wesep_mix.base import torch_pair

LIBRARY = "/env/lib/python3.11/site-packages/torchaudio/lib/libtorchaudio.so"
RELEASES = {"torch": "2.11.0", "torchaudio": "2.11.1"}


def wrapped() -> Exception:
    """As torch 2.11.0 says it of torchaudio 2.11.1: the symbol is in the error before."""
    err = OSError(f"Could not load this library: {LIBRARY}")
    err.__cause__ = OSError(f"{LIBRARY}: undefined symbol: torch_exception_get_what_without_backtrace")
    return err


def plain() -> Exception:
    """As torch 2.9 says it of torchaudio 2.8."""
    return OSError(f"{LIBRARY}: undefined symbol: _ZNK3c105Error4whatEv")


def without_library() -> Exception:
    """As torch 2.13.0's build for CPUs says it of torchaudio 2.11.1's for GPUs."""
    err = OSError("Could not load this library: /env/torchaudio/lib/_torchaudio.so")
    err.__cause__ = OSError("libc10_cuda.so: cannot open shared object file: No such file or directory")
    return err


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(torch_pair, "version", RELEASES.__getitem__)


@pytest.mark.parametrize(
    ("err", "symbol"),
    [
        (wrapped(), " (undefined symbol: torch_exception_get_what_without_backtrace)"),
        (plain(), " (undefined symbol: _ZNK3c105Error4whatEv)"),
        (without_library(), " (libc10_cuda.so: cannot open shared object file)"),
        (ImportError("torchaudio/lib/_torchaudio.so: invalid ELF header"), ""),
    ],
)
def test_one_line_names_both_releases_the_symbol_and_what_to_do(installed, err, symbol):
    said = torch_pair.explain(err)
    assert said.startswith(f"torch 2.11.0 and torchaudio 2.11.1 do not load together{symbol}: ")
    pair = torch_pair.locked()
    assert f"torch=={pair['torch']}, torchaudio=={pair['torchaudio']}" in said and "\n" not in said


@pytest.mark.parametrize("err", [OSError(28, "No space left on device"), ImportError("No module named 'pesq'")])
def test_other_errors_are_not_explained_by_it(err):
    assert torch_pair.explain(err) is None


def test_a_pair_that_loads_is_no_problem(capsys):
    assert torch_pair.main([]) == 0 and capsys.readouterr().out == ""


@pytest.fixture
def broken(installed, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "torchaudio":
            raise wrapped()
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_a_pair_that_does_not_load_is_one_line_and_a_status(broken, capsys):
    assert torch_pair.main([]) == 1
    assert capsys.readouterr().out.startswith("torch 2.11.0 and torchaudio 2.11.1 do not load together (undefined ")


def test_the_pair_of_a_lock_is_not_tried(broken, tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("# all\ntorch==2.11.0 ; python_full_version < '3.15'\ntorchaudio==2.11.1\ntorchmetrics==1.9.0\n")
    assert torch_pair.locked(lock) == {"torch": "2.11.0", "torchaudio": "2.11.1"}
    assert torch_pair.main(["--known", str(lock)]) == 0
    assert torch_pair.main(["--known", str(tmp_path / "none")]) == 1


def test_a_build_for_cpus_is_another_one_than_the_locks(broken, tmp_path, monkeypatch, capsys):
    lock = tmp_path / "lock"
    lock.write_text("torch==2.11.0\ntorchaudio==2.11.1\n")
    monkeypatch.setitem(RELEASES, "torch", "2.11.0+cpu")
    assert torch_pair.main(["--known", str(lock)]) == 1 and "torch 2.11.0+cpu and torchaudio" in capsys.readouterr().out
