"""What the four trainings share: optimiser and schedule, clipping, losses that are not finite, validation by EER.

`TrainingModule` is the Lightning module of all of them. `VerifiedTraining` is validated by verification: the voices of
the dev set are no classes of the training, so they can't be classified.
"""

from __future__ import annotations

import lightning
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.data.batch import MixBatch
from wesep_mix.metrics.verification import equal_error_rate, unfair_groups
from wesep_mix.mixing.plan import Plan, Source
from wesep_mix.training.conditioning import TeacherReferences
from wesep_mix.training.settings import OptimConfig, TrainingConfig

WORLD, REFERENCES = "num_processes", "references"  # in a checkpoint


def schedule_of(optim: OptimConfig, optimizer: Optimizer, num_steps: int) -> LRScheduler:
    """The schedule of the config, advanced once a step.

    Args:
        optim: the settings.
        optimizer: whose learning rate it sets.
        num_steps: optimiser steps of the whole training.

    Returns:
        A scheduler of torch.
    """
    if optim.schedule == "one_cycle":
        total = num_steps + 1
        warmup = max(optim.warmup, 2 / total)  # of a step at least: PyTorch divides by that
        return OneCycleLR(optimizer, optim.lr, total_steps=total, pct_start=warmup)
    warmup = max(1, round(optim.warmup * num_steps)) if optim.warmup else 0
    fall = optim.final_lr / optim.lr

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return fall ** ((step - warmup) / max(1, num_steps - warmup))

    return LambdaLR(optimizer, factor)


class TrainingModule(lightning.LightningModule):
    """Holds `self.model`, the network that is trained and saved; subclasses define the loss.

    Attributes:
        monitor: name of the score on the dev set; the best epoch has the lowest.
        references: embeddings that are kept from one batch to the next; None where there are none. Those of the first
            process are in its checkpoints.
    """

    monitor: str = "dev/loss"
    references: TeacherReferences | None = None

    def __init__(self, settings: TrainingConfig, model: torch.nn.Module):
        super().__init__()
        self.model, self.settings = model, settings
        self.register_buffer("num_bad_steps", torch.zeros((), dtype=torch.long))

    def loss(self, batch: MixBatch) -> Tensor:
        """The loss of a batch, a scalar."""
        raise NotImplementedError

    def training_step(self, batch: MixBatch, batch_index: int) -> Tensor:
        loss = self.loss(batch)
        self._latest = [plan.id for plan in batch.plans]
        self.log("train/loss", loss, batch_size=len(batch.plans), sync_dist=True)
        return loss

    def on_train_batch_start(self, batch: MixBatch, batch_index: int) -> None:
        """Seed dropout by batch and rank, so that a resumed training draws the masks that it would have drawn."""
        rng = rng_for(self.settings.seed, "dropout", self.current_epoch, batch_index, self.global_rank)
        torch.manual_seed(int(rng.integers(2**31)))

    def transfer_batch_to_device(self, batch: MixBatch, device: torch.device, dataloader_index: int) -> MixBatch:
        """Copy to a GPU from pinned memory, while the GPU is still at work."""
        return batch.pinned().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)

    def on_validation_start(self) -> None:
        """Give all processes the first one's buffers, which are saved: running means of a batch norm are each's own."""
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, 0)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Note in how many processes the training runs, and the references' embeddings."""
        checkpoint[WORLD] = self.trainer.world_size
        if self.references is not None:
            checkpoint[REFERENCES] = self.references.state_dict()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Take the references' embeddings, and say what another number of processes means."""
        if self.references is not None and REFERENCES in checkpoint:
            self.references.load_state_dict(checkpoint[REFERENCES])
        before, now = checkpoint.get(WORLD, 1), self.trainer.world_size
        if before != now and self.trainer.is_global_zero:
            print(
                f"processes: {before} before, {now} now; steps have the same mixtures, and their sums are rounded "
                "otherwise, so the last digits are not those of a training that was never stopped",
                flush=True,
            )

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        self.log("dev/loss", self.loss(batch), batch_size=len(batch.plans), sync_dist=True)

    def configure_optimizers(self) -> dict:
        optim, trainer = self.settings.optim, self.settings.trainer
        parameters = [p for p in self.parameters() if p.requires_grad]
        # Fused is quicker on a CPU; with fp16 a fused optimiser undoes the scale too late for the clipping.
        fused = True if self.device.type == "cpu" and trainer.precision == "32-true" else None
        optimizer = torch.optim.AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay, fused=fused)
        schedule = schedule_of(optim, optimizer, trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm over all gradients; where that is not finite, skip the step.

        It replaces Lightning's own clipping, which would compute the norm a second time. Gradients are equal on all
        ranks, so all ranks skip the same steps.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not norm.isfinite():
            self._skip(optimizer)
        elif gradient_clip_val:
            clip_grads_with_norm_(parameters, gradient_clip_val, norm)

    def _skip(self, optimizer: torch.optim.Optimizer) -> None:
        """Take no step, and count it; stop the training after too many."""
        most = self.settings.trainer.max_bad_steps
        optimizer.zero_grad(set_to_none=True)
        self.num_bad_steps += 1
        self.log("train/num_bad_steps", self.num_bad_steps.float())
        if self.num_bad_steps > most:
            raise UserError(
                f"step {self.global_step}: loss or gradient was not finite in {int(self.num_bad_steps)} steps "
                f"(trainer.max_bad_steps is {most}), last for mixtures {', '.join(self._latest[:3])}...; "
                "lower optim.lr or check these utterances"
            )


class VerifiedTraining(TrainingModule):
    """The best epoch has the lowest equal error rate over the embeddings that validation has collected."""

    monitor = "dev/eer"

    def on_validation_epoch_start(self) -> None:
        """Begin an empty collection."""
        self.collected: list[tuple[Tensor, str, str, str]] = []

    def collect(self, embedding: Tensor, plan: Plan, source: Source) -> None:
        """Add an embedding of the dev set.

        Args:
            embedding: float [D] on the CPU.
            plan: the mixture.
            source: the source of the mixture that the embedding is of.
        """
        self.collected.append((embedding, source.spk, plan.id, source.utt))

    def on_validation_epoch_end(self) -> None:
        embeddings, *names = zip(*_of_all_processes(self.collected), strict=True)
        rate = equal_error_rate(torch.stack(embeddings).numpy(), names[0], unfair_groups(*names))
        self.log("dev/eer", rate, sync_dist=True)  # equal in all processes


def _of_all_processes(rows: list) -> list:
    """The rows of every process of the training."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    shares: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, rows)
    return [row for share in shares for row in share]
