"""Trainings of a tiny teacher that stop, or whose scores are given, and what they leave."""

import torch

from wesep_mix.models import checkpoint
from wesep_mix.training.teacher import TeacherTraining


def weights(folder) -> dict[str, torch.Tensor]:
    return checkpoint.load_model(folder / "model.pt", "teachers").state_dict()


def notes(folder) -> dict:
    return checkpoint.load_notes(folder / "model.pt", "teachers")


def state_of(module) -> dict[str, torch.Tensor]:
    """A copy of the model's weights as they are now."""
    return {name: weight.clone() for name, weight in module.model.state_dict().items()}


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stopping_at(step: int, stop, base: type[TeacherTraining] = TeacherTraining) -> type[TeacherTraining]:
    """A training that calls `stop` in the loss of that step."""

    class Stopping(base):
        def loss(self, batch):
            if self.global_step == step:
                stop()
            return super().loss(batch)

    return Stopping


def scored(base: type[TeacherTraining], scores: list[float]) -> type[TeacherTraining]:
    """A training whose score on the dev set is given, and that remembers the weights that got it."""

    class Scored(base):
        at: list = []

        def validation_step(self, batch, batch_index):
            pass

        def on_validation_epoch_end(self):
            self.log("dev/eer", scores[len(Scored.at)])
            Scored.at.append(state_of(self))

    return Scored
