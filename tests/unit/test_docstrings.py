"""Public names say what they take, give and raise in sections that tools can read, with a type for each.

A public name is one without a leading underscore, of a class or module without one. It has a docstring whose first
paragraph says what it is or does. A function of two or more parameters, or whose docstring has more than one paragraph,
lists them under `Args:`, and what it gives under `Returns:` or `Yields:`; one that raises by itself says so under
`Raises:`. Methods whose meaning a base class or a protocol sets need none of it (HOOKS).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from places import ROOT

WANTED = 0.95  # share of public names
HOOKS = {  # Lightning's, torch's, Python's and our protocols', which say there what they take and give
    "forward",
    "train",
    "to",
    "training_step",
    "validation_step",
    "on_fit_start",
    "on_fit_end",
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_end",
    "on_train_end",
    "on_validation_epoch_end",
    "on_exception",
    "save_checkpoint",
    "configure_optimizers",
    "configure_gradient_clipping",
    "set_epoch",
    "fresh",
    "with_finetuned",
    "for_trial",
    "loss",
    "costs",
    "validate",
    "main",
    "parts",
    "state_dict",
    "load_state_dict",
    "setup",
}
NOT_GIVEN = {"None", "NoReturn", ""}


def public(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Dotted name and node of every public class, function and method of a file."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if any(part.startswith("_") and part != "__main__" for part in module.split(".")):
        return
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield f"{module}.{node.name}", node
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield f"{module}.{node.name}.{method.name}", method


def faults(node: ast.AST) -> list[str]:
    """What a public name lacks."""
    said = ast.get_docstring(node) or ""
    hook = node.name in HOOKS
    lacking = [] if said or hook and node.name != "forward" else ["no docstring"]
    if isinstance(node, ast.ClassDef):
        return lacking
    names = [
        one
        for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if one.arg not in ("self", "cls")
    ]
    lacking += [f"{one.arg} has no type" for one in names if one.annotation is None]
    lacking += ["no type of what it gives"] if node.returns is None else []
    is_property = any("property" in ast.unparse(one) for one in node.decorator_list)
    if hook or is_property or lacking:
        return lacking
    sections = set(re.findall(r"^(Args|Returns|Yields|Raises):", said, re.M))
    long = len(names) > 1 or len(said.split("\n\n")) > 1
    if long and names:
        listed = _section(said, "Args")
        lacking += [f"{one.arg} is not under Args" for one in names if not re.search(rf"\b{one.arg}\b[^:\n]*:", listed)]
    if (
        long
        and ast.unparse(node.returns or ast.Constant(None)) not in NOT_GIVEN
        and not sections & {"Returns", "Yields"}
    ):
        lacking.append("no Returns")
    if _raises(node) and "Raises" not in sections:
        lacking.append("no Raises")
    return lacking


def _section(said: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*\n?(.*?)(?=^\S|\Z)", said, re.M | re.S)
    return found[1] if found else ""


def _raises(node: ast.AST) -> bool:
    return any(
        isinstance(one, ast.Raise)
        and one.exc is not None
        and "Error" in ast.unparse(one.exc)
        and "NotImplementedError" not in ast.unparse(one.exc)
        for one in ast.walk(node)
    )


def told() -> tuple[int, dict[str, list[str]]]:
    """Number of public names, and what is lacking where."""
    names = [pair for path in sorted((ROOT / "wesep_mix").rglob("*.py")) for pair in public(path)]
    return len(names), {name: lacking for name, node in names if (lacking := faults(node))}


def test_public_names_say_what_they_take_give_and_raise():
    number, lacking = told()
    share = 1 - len(lacking) / number
    lines = "\n".join(f"{name}: {', '.join(what)}" for name, what in lacking.items())
    assert share >= WANTED, (
        f"{share:.1%} of {number} public names are whole; docs/contributing.md, Style; others:\n{lines}"
    )


def test_what_is_lacking_is_found():
    """So that the test above can fail."""

    def of(text: str) -> list[str]:
        return faults(ast.parse(text).body[0])

    whole = '"""Sum.\n\n    Args:\n        a: one.\n        b: other.\n\n    Returns:\n        both.\n    """'
    assert of(f"def add(a: int, b: int) -> int:\n    {whole}\n    return a + b") == []
    assert of(f"def add(a: int, b: int, c: int) -> int:\n    {whole}") == ["c is not under Args"]
    assert of(f"def add(a: int, b) -> int:\n    {whole}") == ["b has no type"]
    assert of(f"def add(a: int, b: int) -> int:\n    {whole}\n    raise ValueError(a)") == ["no Raises"]
    assert of('def add(a: int, b: int) -> int:\n    """Sum."""') == [
        "a is not under Args",
        "b is not under Args",
        "no Returns",
    ]
    assert of('def half(a: int) -> int:\n    """Half of it."""') == []
    assert of("class Sum: pass") == ["no docstring"]
    assert of("class Sum:\n    def forward(self, a: int) -> int: return a").__len__() == 1
