"""A model that travels is a folder: teacher, student and extractor, what they were trained on, and how they are used.

    model.yaml            configs, hashes of the weights, settings of their use, licence
    README.md             the card: data, figures, limits
    teacher.safetensors   student.safetensors   extractor.safetensors

Weights are read by safetensors, never by pickle, and only where their hash is that of model.yaml. A student's that are
the teacher's, such as those of the frozen part of a front-end that it copied, are stored with the teacher alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wesep_mix.base import config as configs
from wesep_mix.base import plugins
from wesep_mix.base.config import Checked, at_least, between
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, atomic_write
from wesep_mix.base.installed import revision, versions
from wesep_mix.io.weights import check_finite
from wesep_mix.models.checkpoint import load_model

FORMS = (1, 2, 3)  # of model.yaml; from 2 on a student may take weights of the teacher, in 3 some have 8 bits
SCALE, LEAST_8 = "#scale", 1024  # behind the name of a weight of 8 bits; smaller weights have 16
SETTINGS, CARD = "model.yaml", "README.md"
PARTS = {"teacher": "teachers", "student": "students", "extractor": "extractors"}  # part -> kind of plugin


@dataclass(frozen=True)
class SureConfig(Checked):
    """How sure it is that a candidate is a talker: the logistic function of a weighted sum, fitted on a dev set.

    Attributes:
        presence: weight of the logit of the mean presence of its heads.
        seen: of how often it was heard: in how many windows, of those with speech or of 4 where there are more.
        unity: of how alike its embeddings are: the mean cosine between two of them; 0 where there is one alone.
        near: of its cosine to the candidate that is nearest to it; 0 where it is the only one.
        offset: what the sum begins with.
    """

    presence: float = 1.0
    seen: float = 0.0
    unity: float = 0.0
    near: float = 0.0
    offset: float = 0.0


@dataclass(frozen=True)
class UseConfig(Checked):
    """How the model of a folder is used on recordings.

    Attributes:
        window_s: seconds of a window that the student hears at a time; shorter recordings are heard whole.
        hop_s: seconds from window to window.
        presence: least probability with which a head says that it speaks for a talker.
        join: least cosine of the embeddings of one talker in two windows.
        like: least cosine of a candidate to an enrolment of its own voice; none: not known, nothing is refused.
        sure: what a candidate's confidence is made of; of older folders slope and offset of the presence alone.
        least: confidence below which a candidate is not told, where the student has presence.
        trust: confidence from which on a candidate's extraction was its talker's in nine of ten, on the dev set; none:
            not known.
        chunk_s: seconds of a chunk that the extractor hears at a time.
        overlap_s: seconds that two chunks share.
        level: of the extracted speech. `mixture`: what fits the mixture best, for an extractor whose training left it
            open. `own`: as the extractor gives it, which was trained with loss.name `snr`; then whoever is not there
            stays silent.
        shared: each time and frequency of a recording is shared among the extractions of all who were heard
            (inference.sharing); else each is extracted alone, in less time.
        memory: settings of the memory of talkers (a plugin, wesep_mix.memory) that were chosen for this model, as they
            are; none: derived of these thresholds (inference.tracking.memory_config).
    """

    window_s: Annotated[float, at_least(1)] = 8.0
    hop_s: Annotated[float, at_least(0.5)] = 4.0
    presence: Annotated[float, between(0, 1)] = 0.5
    join: Annotated[float, between(-1, 1)] = 0.5
    like: Annotated[float, between(-1, 1)] | None = None
    sure: SureConfig = SureConfig()
    least: Annotated[float, between(0, 1)] = 0.0
    trust: Annotated[float, between(0, 1)] | None = None
    chunk_s: Annotated[float, at_least(1)] = 10.0
    overlap_s: Annotated[float, at_least(0)] = 4.0
    level: Literal["mixture", "own"] = "mixture"
    shared: bool = False
    memory: Any = configs.plugin("memory", required=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop_s > self.window_s:
            raise ValueError(f"hop_s: wanted at most window_s, {self.window_s:g}, found {self.hop_s:g}")
        if self.overlap_s > self.chunk_s / 2:
            raise ValueError(f"overlap_s: wanted at most half of chunk_s, {self.chunk_s:g}, found {self.overlap_s:g}")


@dataclass(frozen=True)
class About:
    """What a person wants to know of a model before using it.

    Attributes:
        name: what it is called.
        licence: of the weights.
        trained_on: the data, with their licences.
        figures: a line on how well it does, with the data it was measured on.
        limits: what it cannot do.
        measured: rows of a table of figures, as evaluation.bundles gives them.
        coverage: how often candidates are wrong, of those with the highest confidence, likewise.
    """

    name: str
    licence: str = "not stated"
    trained_on: str = "not stated"
    figures: str = "not measured"
    limits: str = "not stated"
    measured: tuple[dict[str, Any], ...] = ()
    coverage: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Bundle:
    """Networks that belong together, in eval mode, and how they are used."""

    teacher: nn.Module
    student: nn.Module
    extractor: nn.Module
    use: UseConfig = UseConfig()
    about: About = field(default_factory=lambda: About("unnamed"))

    def to(self, device: str) -> Bundle:
        """The same networks on a device, in place."""
        for part in PARTS:
            getattr(self, part).to(device)
        return self


def bundle_of(teacher: Path, student: Path, extractor: Path, about: About, use: UseConfig | None = None) -> Bundle:
    """Put models of an experiment together.

    Args:
        teacher: model.pt of stage 2.
        student: model.pt of stage 3.
        extractor: model.pt of stage 5, trained with embeddings.
        about: what to say of them.
        use: how they are used.

    Returns:
        The bundle, on the CPU.

    Raises:
        UserError: when a file is no such model, or the three do not fit each other.
    """
    parts = {
        part: load_model(path, PARTS[part])
        for part, path in (("teacher", teacher), ("student", student), ("extractor", extractor))
    }
    bundle = Bundle(**parts, use=use or UseConfig(), about=about)
    check_fit(bundle, str(extractor))
    return bundle


def check_fit(bundle: Bundle, where: str) -> None:
    """Raises: UserError, opening with `where`, when the three networks have embeddings of different sizes, or the
    extractor takes none.
    """
    sizes = {part: getattr(bundle, part).config.embedding_dim for part in PARTS}
    if bundle.extractor.config.fusion == "none":
        raise UserError(f"{where}: wanted an extractor that takes an embedding, found one of fusion none")
    if len(set(sizes.values())) > 1:
        raise UserError(f"{where}: wanted embeddings of one size in all of its networks, found {sizes}")


def write_folder(bundle: Bundle, out: Path, bits: int = 32) -> None:
    """Write a bundle as a folder; model.yaml, which makes it a model, comes last.

    Args:
        bundle: what to write.
        out: folder that is made, or whose model is replaced.
        bits: of a weight: 32, 16 or 8; all are read as float32 again. With 8 each output channel has a scale, and small
            weights have 16.

    Raises:
        UserError: when there is something else under that name.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: wanted a folder to write the model to, found a file")
    (out / SETTINGS).unlink(missing_ok=True)
    parts = {}
    states = {part: getattr(bundle, part).state_dict() for part in PARTS}
    alike = _alike(states["teacher"], states["student"])
    for part, kind in PARTS.items():
        path = out / f"{part}.safetensors"
        own = {name: value for name, value in states[part].items() if part != "student" or name not in alike}
        own = _stored(own, bits)
        with atomic_path(path) as temporary:
            save_file(own, temporary)
            temporary.chmod(0o666 & ~_umask())  # safetensors makes files that their owner alone can read
        parts[part] = {
            "file": path.name,
            "sha256": _hash(path),
            "config": configs.to_dict(getattr(bundle, part).config),
            "kind": kind,
        }
    if alike:
        parts["student"]["rest_of"] = "teacher"
    content = {
        "form": 3 if bits == 8 else 2 if alike else 1,
        "about": configs.to_dict(bundle.about),
        "use": configs.to_dict(bundle.use),
        "made_by": {"revision": revision(), **versions()},
        "parts": parts,
    }
    _write_texts(bundle, content, out)


def update_folder(bundle: Bundle, folder: Path) -> None:
    """Write how a model is used and what is said of it anew; its weights stay.

    Args:
        bundle: the model of the folder, with another `use` or `about`.
        folder: of the model.
    """
    told = {"about": configs.to_dict(bundle.about), "use": configs.to_dict(bundle.use)}
    _write_texts(bundle, read_settings(folder) | told, folder)


def _write_texts(bundle: Bundle, content: Mapping[str, Any], folder: Path) -> None:
    with atomic_write(folder / CARD) as file:
        file.write(_card(bundle, content["made_by"]["revision"]))
    with atomic_write(folder / SETTINGS) as file:
        yaml.safe_dump(dict(content), file, sort_keys=False, allow_unicode=True)


def _stored(state: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """The weights as a file has them."""
    stored = {}
    for name, value in state.items():
        if bits == 8 and value.is_floating_point() and value.dim() > 1 and value.numel() >= LEAST_8:
            stored[name], stored[name + SCALE] = _in_8_bits(value)
        else:
            stored[name] = (value.half() if bits < 32 and value.is_floating_point() else value).contiguous()
    return stored


def _in_8_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[C, ...] -> int8 of that shape, and the scale of each output channel, float32 [C, 1, ...]."""
    scale = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True).clamp(min=1e-12) / 127
    return (weight / scale).round().to(torch.int8).contiguous(), scale.float().contiguous()


def _restored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `_stored` made of weights, those of 8 bits as float32."""
    return {
        name: value.float() * state[name + SCALE] if name + SCALE in state else value
        for name, value in state.items()
        if not name.endswith(SCALE)
    }


def _alike(teacher: Mapping[str, Tensor], student: Mapping[str, Tensor]) -> set[str]:
    """Names of the student's weights that the teacher has too, with the same values."""
    return {
        name
        for name, value in student.items()
        if name in teacher and value.dtype == teacher[name].dtype and torch.equal(value, teacher[name])
    }


def read_folder(folder: Path) -> Bundle:
    """Read what `write_folder` wrote.

    Args:
        folder: with model.yaml.

    Returns:
        The bundle, on the CPU and in eval mode.

    Raises:
        UserError: naming the file that is missing, damaged, has another hash or a weight that is not finite.
    """
    content = read_settings(folder)
    where = str(folder / SETTINGS)
    parts = {part: _read_part(folder, part, content["parts"]) for part in PARTS}
    bundle = Bundle(
        **parts,
        use=configs.from_dict(UseConfig, content.get("use", {}), f"{where}: use"),
        about=configs.from_dict(About, content.get("about", {}), f"{where}: about"),
    )
    check_fit(bundle, where)
    return bundle


def load_network(path: Path, kind: str) -> nn.Module:
    """Load a network, be it a stage's model.pt or a part of a model's folder such as DIR/student.safetensors.

    Args:
        path: the file.
        kind: of the model, such as `students`.

    Returns:
        The network, on the CPU and in eval mode.

    Raises:
        UserError: the file is missing, damaged, or of another kind.
    """
    if path.suffix != ".safetensors":
        return load_model(path, kind)
    if PARTS.get(path.stem) != kind:
        raise UserError(f"{path}: wanted a network of {kind}, found another part of a model's folder")
    return _read_part(path.parent, path.stem, read_settings(path.parent)["parts"])


def read_settings(folder: Path) -> dict[str, Any]:
    """model.yaml of a folder as plain values; no weights are read.

    Raises: UserError when it is not there, is no YAML, or of a later form.
    """
    path = folder / SETTINGS
    if not path.is_file():
        found = "no such folder" if not folder.exists() else "a file" if folder.is_file() else f"none with {SETTINGS}"
        raise UserError(f"{folder}: wanted a model's folder, found {found}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(err).split())}); copy the folder again") from err
    if not isinstance(content, Mapping) or not isinstance(content.get("parts"), Mapping):
        raise UserError(f"{path}: wanted a model's settings with `parts`, found none; copy the folder again")
    if content.get("form") not in FORMS:
        raise UserError(
            f"{path}: wanted form {FORMS[0]} to {FORMS[-1]}, found {content.get('form')!r}; another version of "
            "wesep_mix made it, install that one"
        )
    return dict(content) | ({"use": _renewed(content["use"])} if isinstance(content.get("use"), Mapping) else {})


def _renewed(use: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of use as older folders have them, with a confidence of slope and offset, as they are now."""
    sure = use.get("sure")
    if isinstance(sure, list) and len(sure) == 2:
        return {**use, "sure": {"presence": sure[0], "offset": sure[1]}}
    return dict(use)


def _read_part(folder: Path, part: str, parts: Mapping[str, Any]) -> nn.Module:
    where, told = f"{folder / SETTINGS}: {part}", parts.get(part)
    path, state = _read_state(folder, part, told)
    kind = PARTS[part]
    if not isinstance(told["config"], Mapping) or "name" not in told["config"]:
        raise UserError(f"{where}: config: wanted a mapping with a name, found {told['config']!r}")
    module = plugins.load(kind, told["config"]["name"])
    model = module.Model(configs.from_dict(module.Config, told["config"], f"{where}: config"))
    if told.get("rest_of") == "teacher":
        _, lent = _read_state(folder, "teacher", parts.get("teacher"))
        state |= {name: lent[name] for name in model.state_dict() if name not in state and name in lent}
    try:
        model.load_state_dict(state)
    except RuntimeError as err:
        raise UserError(f"{path}: its weights do not fit its config: {' '.join(str(err).split())}") from err
    return model.eval()


def _read_state(folder: Path, part: str, told: Any) -> tuple[Path, dict[str, Tensor]]:
    """A part's file and its weights."""
    where = f"{folder / SETTINGS}: {part}"
    if not isinstance(told, Mapping) or not {"file", "sha256", "config"} <= set(told):
        raise UserError(f"{where}: wanted file, sha256 and config, found {told!r}; copy the folder again")
    path = folder / Path(str(told["file"])).name  # of this folder, whatever the file says
    if not path.is_file():
        raise UserError(f"{path}: missing; a model's folder has all of its files, copy it again")
    if (found := _hash(path)) != told["sha256"]:
        raise UserError(
            f"{path}: wanted the file of hash {str(told['sha256'])[:12]}..., found {found[:12]}...; it was "
            "changed or damaged, copy the folder again"
        )
    try:
        state = load_file(path)
    except (SafetensorError, ValueError) as err:
        raise UserError(f"{path}: no file of safetensors ({err}); copy the folder again") from err
    check_finite(path, state)
    return path, _restored(state)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _hash(path: Path) -> str:
    digest = hashlib.sha256()  # hashlib.file_digest is not in Python 3.10
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def _card(bundle: Bundle, made_by: str) -> str:
    about, student = bundle.about, bundle.student.config
    heads = f"{student.num_spk} heads" + (", which say whether they speak for a talker" if student.presence else "")
    lines = [
        f"# {about.name}",
        "",
        "Proposes the talkers of a recording and extracts any of them, without an enrolment. Made with wesep_mix.",
        "",
        "| | |",
        "|---|---|",
        f"| trained on | {about.trained_on} |",
        f"| licence of the weights | {about.licence} |",
        f"| figures | {about.figures} |",
        f"| limits | {about.limits} |",
        f"| student | {student.name}, {heads} |",
        f"| extractor | {bundle.extractor.config.name} |",
        f"| made by | revision {made_by} |",
        "",
        "```bash",
        "wesep-mix candidates recording.wav --model FOLDER",
        "```",
        "",
        *_table("Figures", about.measured),
        *_table("How often candidates are wrong, of those with the highest confidence", about.coverage),
    ]
    return "\n".join(lines)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    names = list(rows[0])
    cells = [" | ".join(_cell(row[name]) for name in names) for row in rows]
    head = [f"| {' | '.join(names)} |", f"| {' | '.join('---:' for _ in names)} |"]
    told = "What the columns are: `pydoc wesep_mix.evaluation.bundles`; talkers that no training has heard."
    return [f"## {title}", "", *head, *(f"| {one} |" for one in cells), "", told, ""]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)
