from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
import yaml

from wesep_mix.base import config
from wesep_mix.base.config import from_dict, load_config, plugin, read_raw, section_of, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.models.frontends import logmel


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-3
    steps: int = 10


@dataclass(frozen=True)
class Settings:
    seed: int
    model: Any = plugin("frontends", required=False)
    optim: Optim = Optim()
    names: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    limit: float | None = None
    flag: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed: wanted 0 or more, found {self.seed}")


@pytest.fixture
def file(tmp_path):
    """Function: text -> path of teacher.yaml with that text."""

    def write(text: str, name: str = "teacher.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_every_kind_of_value_is_read(file):
    path = file(
        "seed: 3\noptim: {lr: 1e-3, steps: 5}\nnames: [a, b]\nsizes: {train: 2}\nlimit: 4\nflag: true\n"
        "model: {name: logmel, channels: 32}\n"
    )
    wanted = Settings(
        3,
        optim=Optim(0.001, 5),
        names=("a", "b"),
        sizes={"train": 2},
        limit=4.0,
        flag=True,
        model=logmel.Config(channels=32),
    )
    found = load_config(Settings, path)
    assert found == wanted
    assert type(found.optim.lr) is float and type(found.limit) is float


def test_what_is_not_given_keeps_its_default(file):
    assert load_config(Settings, file("seed: 0\nlimit: null\n")) == Settings(0)


def test_a_plugin_may_have_a_default_with_settings(file):
    @dataclass(frozen=True)
    class Chosen:
        model: Any = plugin("frontends", default={"name": "logmel", "channels": 16})

    assert Chosen().model == load_config(Chosen, file("")).model == logmel.Config(channels=16)
    assert load_config(Chosen, file("model: {name: logmel}\n")).model == logmel.Config()


@pytest.mark.parametrize(
    "text, said",
    [
        ("seed: 0\nsed: 1\n", "sed: unknown key, did you mean seed?"),
        ("seed: 0\noptim: {lrr: 1}\n", "optim: lrr: unknown key, did you mean lr?"),
        ("seed: 0\nqqq: 1\n", "qqq: unknown key, there are: seed, model, optim"),
        ("optim: {lr: 1}\n", "seed is missing"),
        ("", "seed is missing"),
        ("seed: 0\nseed: 1\n", "key 'seed' is there twice"),
        ("seed: 0\noptim: {lr: 1, lr: 2}\n", "key 'lr' is there twice"),
        ("seed: abc\n", "seed: wanted int, found 'abc'"),
        ("seed: 1.5\n", "seed: wanted int, found 1.5"),
        ("seed: true\n", "seed: wanted int, found True"),
        ("seed: null\n", "seed: wanted int, found None"),
        ("seed: 0\nflag: 1\n", "flag: wanted bool, found 1"),
        ("seed: 0\nflag: 'true'\n", "flag: wanted bool, found 'true'"),
        ("seed: 0\noptim: {lr: fast}\n", "optim: lr: wanted float, found 'fast'"),
        ("seed: 0\noptim: {lr: true}\n", "optim: lr: wanted float, found True"),
        ("seed: 0\noptim: 3\n", "optim: wanted a mapping of settings, found 3"),
        ("seed: 0\nnames: a\n", "names: wanted a list, found 'a'"),
        ("seed: 0\nnames: [a, 2]\n", "names[1]: wanted str, found 2"),
        ("seed: 0\nsizes: [1]\n", "sizes: wanted a mapping, found [1]"),
        ("seed: 0\nsizes: {dev: x}\n", "sizes.dev: wanted int, found 'x'"),
        ("seed: 0\nlimit: far\n", "limit: wanted float, found 'far'"),
        ("seed: 0\nmodel: logmel\n", "model: wanted a mapping with `name:` (campplus, ge2e, logmel"),
        ("seed: 0\nmodel: {channels: 3}\n", "model: wanted a mapping with `name:` (campplus, ge2e, logmel"),
        ("seed: 0\nmodel: {name: logmul}\n", "model: frontends: no 'logmul', did you mean logmel?"),
        ("seed: 0\nmodel: {name: logmel, chanels: 3}\n", "model: chanels: unknown key, did you mean channels?"),
        ("seed: -1\n", "seed: wanted 0 or more, found -1"),
        ("- 1\n", "wanted a mapping of settings, found list"),
        ("seed: [\n", "not valid YAML"),
        ("seed: 0\n\tflag: true\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_the_file(file, text, said):
    path = file(text)
    with pytest.raises(UserError) as err:
        load_config(Settings, path)
    assert said in str(err.value) and "\n" not in str(err.value)
    assert str(err.value).startswith(f"{path}: ")


def test_a_missing_file_and_one_that_is_not_text(tmp_path):
    with pytest.raises(UserError, match="nothere.yaml: no such config file"):
        load_config(Settings, tmp_path / "nothere.yaml")
    (tmp_path / "teacher.yaml").write_bytes(b"seed: \xff\xfe\n")
    with pytest.raises(UserError, match="teacher.yaml: not valid YAML"):
        load_config(Settings, tmp_path / "teacher.yaml")


@pytest.mark.parametrize(
    "name, section",
    [
        ("teacher.yaml", "teacher"),
        ("corpus.yaml", "corpus"),
        ("extractor/dpccn.yaml", "extractor"),
        ("separator/conv_tasnet.yaml", "separator"),
    ],
)
def test_the_section_is_the_files_stem_or_its_folder(name, section):
    assert section_of(f"egs/mini/conf/{name}") == section


@pytest.mark.parametrize(
    "overrides, wanted",
    [
        (["optim.lr=5e-4"], {"lr": "5e-4"}),
        (["teacher.optim.lr=5e-4"], {"lr": "5e-4"}),
        (["optim.lr=1", "optim.lr=2"], {"lr": 2}),
        (["optim={lr: 3}"], {"lr": 3}),
        (["student.optim.lr=5"], {"lr": 1}),  # another section's
        (["optim.steps=5"], {"lr": 1}),  # without its section an override adds no key
        (["teacher.optim.steps=5"], {"lr": 1, "steps": 5}),
        (["trainer.max_steps=5"], {"lr": 1}),
        (["optim.lr:=a: b #1 "], {"lr": "a: b #1 "}),  # text as it stands
        (["teacher.optim.lr:="], {"lr": ""}),
        (["optim.lr='x' "], {"lr": "x"}),
    ],
)
def test_overrides_go_where_they_belong(file, overrides, wanted):
    assert read_raw(file("seed: 0\noptim: {lr: 1}\n"), overrides) == {"seed": 0, "optim": wanted}


def test_an_override_of_an_extractor_reaches_the_file_in_that_folder(file):
    path = file("seed: 0\n", "extractor/net.yaml")
    assert read_raw(path, ["extractor.seed=4"]) == {"seed": 4}
    assert read_raw(path, ["net.seed=4"]) == {"seed": 0}


def test_overridden_values_are_checked_like_the_files(file):
    path = file("seed: 0\noptim: {lr: 1}\n")
    assert load_config(Settings, path, ["optim.lr=5e-4", "teacher.names=[x, y]"]) == Settings(
        0, optim=Optim(5e-4), names=("x", "y")
    )
    with pytest.raises(UserError, match="sed: unknown key, did you mean seed"):
        load_config(Settings, path, ["teacher.sed=1"])
    with pytest.raises(UserError, match="seed: wanted int, found 'one'"):
        load_config(Settings, path, ["seed=one"])


@pytest.mark.parametrize(
    "override, said",
    [
        ("seed", "--set seed: wanted key=value"),
        ("=3", "--set =3: wanted key=value"),
        ("optim..lr=3", "wanted key=value"),
        ("seed=[1", "the value is not valid YAML"),
        (
            "seed=1 #2",
            "wanted a value, found a comment of YAML's behind it, #2; --set 'seed:=1 #2' takes it as it stands",
        ),
        (":=3", "wanted key=value"),
        ("teacher.seed.deep=1", "seed is a single value, it has no keys inside"),
    ],
)
def test_what_is_no_override(file, override, said):
    with pytest.raises(UserError) as err:
        read_raw(file("seed: 0\n"), [override])
    assert said in str(err.value) and "\n" not in str(err.value)


# a file on another


@pytest.fixture
def based(tmp_path):
    """Writes files of a recipe's folder; returns the path of the last."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/") / "conf" / "teacher.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path

    return write


def test_a_file_is_its_base_but_for_the_keys_that_it_writes(based):
    path = based(
        two="seed: 1\noptim: {lr: 1e-4, steps: 5}\nflag: true\n",
        three="base: ../../two/conf/teacher.yaml\noptim: {lr: 1e-2}\n",
        four="base: ../../three/conf/teacher.yaml\nseed: 4\n",
    )
    found = load_config(Settings, path, ["optim.steps=3"])
    assert (found.seed, found.flag, found.optim) == (1 + 3, True, Optim(1e-2, 10))  # optim is three's as a whole
    assert load_config(Settings, path, ["optim.lr=3"]).optim == Optim(3.0, 10)
    assert list(read_raw(path)) == ["seed", "optim", "flag"]


def test_the_folder_that_one_stands_in_does_not_matter(based, monkeypatch):
    path = based(two="seed: 1\n", three="base: ../../two/conf/teacher.yaml\n")
    monkeypatch.chdir(path.parent)
    assert read_raw("teacher.yaml") == {"seed": 1}


@pytest.mark.parametrize(
    "base, found",
    [
        ("../../none/conf/teacher.yaml", "'../../none/conf/teacher.yaml'"),
        ("3", "3"),
        ("", "None"),
        (".", "'.'"),
        ("teacher.yaml", "'teacher.yaml'"),
        ("../../two/conf/teacher.yaml", "'../../three/conf/teacher.yaml'"),
    ],
)
def test_a_base_that_is_no_other_file_is_told(based, base, found):
    path = based(two="base: ../../three/conf/teacher.yaml\n", three=f"base: {base}\nseed: 1\n")
    with pytest.raises(UserError, match=f"teacher.yaml: base: wanted another config file, from .*, found {found}$"):
        read_raw(path)


def test_base_is_no_setting(based):
    path = based(two="seed: 1\n", three="base: ../../two/conf/teacher.yaml\n")
    assert load_config(Settings, path, ["base=4"]).seed == 1  # concerns no key: check_config refuses it
    with pytest.raises(UserError, match="base: unknown key"):
        from_dict(Settings, {"seed": 1, "base": "x"}, "conf")


def test_a_wrong_value_may_stand_in_a_base(based):
    path = based(
        two="seed: -1\n", three="base: ../../two/conf/teacher.yaml\n", four="base: ../../three/conf/teacher.yaml\n"
    )
    two, three = (path.parents[2] / name / "conf" / "teacher.yaml" for name in ("two", "three"))
    with pytest.raises(UserError) as err:
        load_config(Settings, path)
    told = f"(what it does not write itself is from {three} and {two})"
    assert str(err.value) == f"{path}: seed: wanted 0 or more, found -1 {told}"


def test_a_config_survives_the_way_to_yaml_and_back():
    before = Settings(2, model=logmel.Config(channels=8), names=("a",), sizes={"dev": 1}, limit=0.5)
    text = yaml.safe_dump(to_dict(before))
    assert from_dict(Settings, yaml.safe_load(text), "text") == before


# what a type declares


@dataclass(frozen=True)
class Part(config.Checked):
    share: Annotated[float, config.between(0, 1, with_low=False)] = 1.0


@dataclass(frozen=True)
class Declared(config.Checked):
    count: config.Count = 1
    lr: Annotated[float, config.above(0)] = 1.0
    margin: Annotated[float, config.between(0, 2, with_high=False, says="radians from 0 to below 2")] = 0.0
    chunk: Annotated[float, config.at_least(0.5, also=0)] = 0.0
    kind: Literal["mean", "max", "none"] = "mean"
    num: Literal[1, 2] = 1
    kernel: Annotated[int, config.at_least(1), config.ODD] = 3
    width: Annotated[int, config.EVEN] = 2
    limit: config.CountOrZero | None = None
    sizes: config.Counts = (1,)
    pair: tuple[float, Annotated[float, config.above(1)]] = (0.0, 2.0)
    span: Annotated[tuple[float, ...], config.LOW_HIGH] = (0.0, 1.0)
    grid: tuple[tuple[Literal[0, 1], ...], ...] = ()
    sets: dict[Literal["dev", "test"], config.Count] = field(default_factory=dict)
    part: Part = Part()
    free: float = -1.0


REFUSED = [
    ({"count": 0}, "count: wanted 1 or more, found 0"),
    ({"lr": 0.0}, "lr: wanted a number above 0, found 0.0"),
    ({"lr": float("nan")}, "lr: wanted a number above 0, found nan"),
    ({"margin": 2.0}, "margin: wanted radians from 0 to below 2, found 2.0"),
    ({"margin": float("nan")}, "margin: wanted radians from 0 to below 2, found nan"),
    ({"chunk": 0.1}, "chunk: wanted 0.5 or more, or 0, found 0.1"),
    ({"chunk": float("nan")}, "chunk: wanted 0.5 or more, or 0, found nan"),
    ({"kind": "min"}, "kind: wanted mean, max or none, found 'min'"),
    ({"kind": None}, "kind: wanted mean, max or none, found None"),
    ({"kind": ["mean"]}, "kind: wanted mean, max or none, found ['mean']"),
    ({"num": True}, "num: wanted 1 or 2, found True"),
    ({"num": 1.0}, "num: wanted 1 or 2, found 1.0"),
    ({"kernel": 4}, "kernel: wanted an odd number, found 4"),
    ({"kernel": -1}, "kernel: wanted 1 or more, found -1"),
    ({"width": 3}, "width: wanted an even number, found 3"),
    ({"limit": -1}, "limit: wanted 0 or more, found -1"),
    ({"sizes": (3, 0)}, "sizes[1]: wanted 1 or more, found 0"),
    ({"sizes": ()}, "sizes: wanted one or more, found []"),
    ({"pair": (1.0,)}, "pair: wanted a list of 2, found [1.0]"),
    ({"pair": (1.0, 1.0)}, "pair[1]: wanted a number above 1, found 1.0"),
    ({"span": (1.0, 0.0)}, "span: wanted [low, high], found [1.0, 0.0]"),
    ({"span": (1.0,)}, "span: wanted [low, high], found [1.0]"),
    ({"grid": ((0, 1), (1, 2))}, "grid[1][1]: wanted 0 or 1, found 2"),
    ({"sets": {"dev": 1, "train": 1}}, "sets: wanted dev or test, found 'train'"),
    ({"sets": {"test": 0}}, "sets.test: wanted 1 or more, found 0"),
]


@pytest.mark.parametrize("values, said", REFUSED)
def test_a_field_holds_what_its_type_declares(values, said):
    with pytest.raises(ValueError) as err:
        Declared(**values)
    assert str(err.value) == said


@pytest.mark.parametrize("values, said", REFUSED)
def test_and_so_it_is_told_of_a_file(values, said):
    with pytest.raises(UserError) as err:
        from_dict(Declared, yaml.safe_load(yaml.safe_dump(to_dict(values))), "f.yaml")
    assert str(err.value) == f"f.yaml: {said}"


@pytest.mark.parametrize("key", ["count", "limit"])
def test_true_is_no_count(key):
    """Python takes it for 1."""
    with pytest.raises(ValueError, match=f"^{key}: wanted [01] or more, found True$"):
        Declared(**{key: True})
    with pytest.raises(UserError, match=f"^f.yaml: {key}: wanted int, found True$"):
        from_dict(Declared, {key: True}, "f.yaml")


def test_what_is_inside_the_bounds_is_taken():
    values = {
        "chunk": 0.5,
        "margin": 0.0,
        "limit": 0,
        "kernel": 1,
        "pair": (-5.0, 1.5),
        "sets": {"dev": 1},
        "free": -9.0,
    }
    assert dataclasses.asdict(Declared(**values)) == dataclasses.asdict(Declared()) | values
    assert from_dict(Declared, values, "f") == Declared(**values)
    assert Declared(limit=None, lr=float("inf")).lr == float("inf")


def test_a_part_is_checked_where_it_is_made():
    with pytest.raises(UserError, match="^f: part: share: wanted a number above 0 to 1, found 0.0$"):
        from_dict(Declared, {"part": {"share": 0}}, "f")


def test_only_what_says_more_than_a_type_is_looked_at():
    assert set(config.declared(Declared)) == {field.name for field in dataclasses.fields(Declared)} - {"part", "free"}


@pytest.mark.parametrize(
    "bounds, said",
    [
        (config.at_least(1), "1 or more"),
        (config.at_least(0.5, also=0), "0.5 or more, or 0"),
        (config.above(0), "a number above 0"),
        (config.between(0, 1), "a number from 0 to 1"),
        (config.between(0, 1, with_low=False), "a number above 0 to 1"),
        (config.between(0, 1, with_high=False), "a number from 0 to below 1"),
        (config.between(0, 1, says="a share"), "a share"),
    ],
)
def test_bounds_say_what_they_are(bounds, said):
    assert str(bounds) == said


def test_a_key_that_has_moved_says_where_it_is():
    @dataclass(frozen=True)
    class Moved:
        MOVED = {"chunk_s": "extract.chunk_s (conf/extract.yaml)"}
        seed: int = 0

    with pytest.raises(UserError, match=r"^f: chunk_s: unknown key, it is extract.chunk_s \(conf/extract.yaml\)$"):
        from_dict(Moved, {"chunk_s": 8}, "f")
    with pytest.raises(UserError, match="^f: sed: unknown key, did you mean seed"):
        from_dict(Moved, {"sed": 8}, "f")


def test_sections_are_those_of_the_recipe():
    assert config.SECTIONS == (
        "corpus",
        "teacher",
        "student",
        "embeddings",
        "extractor",
        "separator",
        "extract",
        "score",
    )


def test_an_override_that_a_file_does_not_take_is_said_once(tmp_path, capsys):
    path = tmp_path / "student.yaml"
    path.write_text("model: {name: a}\n")
    for _ in range(2):
        assert config.read_raw(path, ["model.hidden=3", "lr=1", "student.model.size=4"]) == {
            "model": {"name": "a", "size": 4}
        }
    wanted = (
        f"note: --set model.hidden=3 changes nothing in {path}, which has no such key; student.model.hidden would "
        "add it\n"
    )
    assert capsys.readouterr().err == wanted  # lr is no key of this file, so it is another's
