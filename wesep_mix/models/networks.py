"""Where the three networks of a trained model lie: in a model's folder, or in an experiment of the recipe.

Nothing is read here, and torch is not imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need
from wesep_mix.models.shipped import find_model

SETTINGS = "model.yaml"  # of a model's folder
STAGES = {"teacher": 2, "student": 3, "extractor": 5}  # which make an experiment's model files


@dataclass(frozen=True)
class Networks:
    """The model files of a trained model.

    Attributes:
        name: what it is called in tables: the folder's name, or `<experiment>_<N>mix_<extractor>`.
        teacher: file of the teacher, which need not be there for what needs no enrolment.
        student: of the student.
        extractor: of the extractor.
    """

    name: str
    teacher: Path
    student: Path
    extractor: Path

    @property
    def folder(self) -> Path | None:
        """The model's folder; None for the files of an experiment."""
        return self.student.parent if (self.student.parent / SETTINGS).is_file() else None

    def needs(self, *parts: str) -> list[Need]:
        """What stages made of some networks; those of a model's folder are of no stage.

        Args:
            parts: `teacher`, `student`, `extractor`.

        Returns:
            A need each.
        """
        return [] if self.folder else [Need(getattr(self, part), STAGES[part]) for part in parts]

    def settings(self) -> dict[str, str]:
        """What tells one model's folder from another: the hash of its settings, which have those of its weights."""
        if self.folder is None:
            return {"model": self.name}
        digest = hashlib.sha256((self.folder / SETTINGS).read_bytes()).hexdigest()
        return {"model": self.name, "model.yaml": digest[:16]}


def find_networks(
    model: str | Path | None, num_spk: int | None = None, extractor: str = "", teacher: Path | None = None
) -> Networks:
    """Find a trained model.

    Args:
        model: a model's folder, the name of one that came with the package, or an experiment, exp/CORPUS.
        num_spk: which of an experiment's students, exp/CORPUS/Nmix; None: the only one.
        extractor: which of the extractors beside it; "": the only one.
        teacher: model file of stage 2, where it is another experiment's.

    Returns:
        Its networks.

    Raises:
        UserError: there is no such model, or several from which to choose.
    """
    folder = find_model(model)
    if (folder / SETTINGS).is_file():
        return Networks(folder.name, *(folder / f"{part}.safetensors" for part in STAGES))
    mixes, name = f"{num_spk}mix" if num_spk else "*mix", extractor or "*"
    found = sorted(path.parents[1] for path in folder.glob(f"{mixes}/{name}/matched/model.pt"))
    if len(found) == 1:
        (own,) = found
        named = f"{folder.absolute().name}_{own.parent.name}_{own.name}"
        student, speech = own.parent / "student" / "model.pt", own / "matched" / "model.pt"
        return Networks(named, teacher or folder / "teacher" / "model.pt", student, speech)
    if found:
        told = ", ".join(f"--num_spk {one.parent.name.removesuffix('mix')} --extractor {one.name}" for one in found)
        raise UserError(f"--model {folder}: wanted one of its extractors, found {len(found)}: choose by {told}")
    raise UserError(
        f"--model {folder}: wanted a model's folder with {SETTINGS}, or an experiment with {mixes}/{name}/matched/"
        f"model.pt, found {'neither' if folder.is_dir() else 'no such folder'}; `wesep-mix models` lists those that "
        "came with the package"
    )
