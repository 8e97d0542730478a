"""What every training module shares: optimiser, schedule, and care for losses that are not finite."""

from __future__ import annotations

import lightning
import torch
from torch import Tensor

from wesep_mix.data.batch import MixBatch
from wesep_mix.errors import UserError
from wesep_mix.training.schedules import schedule_of
from wesep_mix.training.settings import OptimConfig, TrainerConfig


class TrainingModule(lightning.LightningModule):
    """Holds `self.model`, the network that is trained and saved; subclasses define the loss and the validation."""

    def __init__(self, model: torch.nn.Module, optim: OptimConfig, trainer: TrainerConfig):
        super().__init__()
        self.model = model
        self.optim, self.settings = optim, trainer
        self.register_buffer("num_bad_steps", torch.zeros((), dtype=torch.long))

    def loss(self, batch: MixBatch) -> Tensor:
        raise NotImplementedError

    def training_step(self, batch: MixBatch, batch_index: int) -> Tensor:
        loss = self.loss(batch)
        self._latest = [plan.id for plan in batch.plans]
        self.log("train/loss", loss, batch_size=len(batch.plans))
        return loss

    def configure_optimizers(self) -> dict:
        parameters = [p for p in self.parameters() if p.requires_grad]
        # A quarter of the time on a CPU; in mixed precision Lightning would not clip such an optimiser's gradients.
        fused = True if self.device.type == "cpu" and self.settings.precision == "32-true" else None
        optimizer = torch.optim.AdamW(parameters, lr=self.optim.lr, weight_decay=self.optim.weight_decay, fused=fused)
        schedule = schedule_of(self.optim, optimizer, self.settings.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Skip the step when a gradient is not finite; gradients are equal on all ranks, so all skip alike."""
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        if torch.nn.utils.get_total_norm(gradients).isfinite():  # of one pass over them all
            return
        optimizer.zero_grad(set_to_none=True)
        self.num_bad_steps += 1
        self.log("train/num_bad_steps", self.num_bad_steps.float())
        if self.num_bad_steps > self.settings.max_bad_steps:
            raise UserError(
                f"step {self.global_step}: loss or gradient was not finite in {int(self.num_bad_steps)} steps "
                f"(trainer.max_bad_steps is {self.settings.max_bad_steps}), last for mixtures "
                f"{', '.join(self._latest[:3])}...; lower optim.lr or check these utterances"
            )
