import pytest
import torch

from wesep_mix.training.module import schedule_of
from wesep_mix.training.settings import OptimConfig


def rates(optim: OptimConfig, num_steps: int) -> list[float]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=optim.lr)
    schedule, found = schedule_of(optim, optimizer, num_steps), []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_exponential_rises_then_falls_by_the_same_factor_to_the_final_rate():
    found = rates(OptimConfig(lr=1e-3, schedule="exponential", final_lr=1e-5, warmup=0.1), 100)
    assert found[:10] == pytest.approx([1e-4 * k for k in range(1, 11)])
    ratios = [later / earlier for earlier, later in zip(found[10:-1], found[11:], strict=True)]
    assert ratios == pytest.approx([0.01 ** (1 / 90)] * 89)
    assert found[10] == pytest.approx(1e-3) and found[-1] == pytest.approx(1e-5, rel=0.06)


def test_one_cycle_peaks_after_the_warmup_and_ends_near_nothing():
    found = rates(OptimConfig(lr=1e-3, warmup=0.1), 100)
    assert max(found) == pytest.approx(1e-3, rel=1e-3) and found.index(max(found)) in (9, 10)
    assert found[-1] < 1e-6


@pytest.mark.parametrize("warmup, num_steps", [(0.1, 9), (0.05, 19), (0.5, 1), (0.1, 1)])
def test_one_cycle_of_few_steps_rises_for_one(warmup, num_steps):
    found = rates(OptimConfig(lr=1e-3, warmup=warmup), num_steps)
    assert all(0 < rate <= 1e-3 for rate in found)
    assert num_steps == 1 or max(found) == found[1] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"schedule": "steps"}, "wanted one_cycle or exponential"),
        ({"warmup": 1.0}, "warmup: wanted a share of all steps from 0 to below 1, found 1.0"),
        ({"warmup": 0.0}, "warmup: wanted a share of all steps above 0 for one_cycle, found 0"),
        ({"schedule": "exponential"}, "final_lr"),
        ({"final_lr": 1e-5}, "final_lr"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        OptimConfig(**values)
