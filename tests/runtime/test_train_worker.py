import pytest
import torch

from roi_ray.errors import UsageError
from roi_ray.runtime.train_worker import (
    ModuleTraining,
    _mean_losses,
    average_gradients,
    rank_and_world_size,
    select_local_batch,
)


def test_without_workers_a_process_is_rank_0_of_1_and_gets_the_whole_batch():
    assert rank_and_world_size() == (0, 1)
    assert select_local_batch([1, 2, 3]) == [1, 2, 3]
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    average_gradients([weight])
    assert torch.equal(weight.grad, torch.ones(2))


def test_each_rank_gets_an_equal_part_of_the_batch_or_a_usage_error(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert select_local_batch([1, 2, 3, 4, 5, 6]) == [3, 4]
    with pytest.raises(UsageError, match="a batch of 8 cannot be divided among 3 workers"):
        select_local_batch(list(range(8)))


def test_module_training_restores_networks_and_optimisers():
    class Linear(ModuleTraining):
        def __init__(self, seed):
            torch.manual_seed(seed)
            self.network = torch.nn.Linear(2, 1)
            self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.1 * (1 + seed))

        def modules(self):
            return {"network": self.network, "optimiser": self.optimiser}

    first, second = Linear(0), Linear(1)
    second.load(first.state())
    assert torch.equal(second.network.weight, first.network.weight)
    assert second.optimiser.param_groups[0]["lr"] == 0.1


def test_losses_that_begin_late_are_averaged_over_their_own_steps():
    losses = [{"d": 1.0}, {"d": 2.0, "l1": 4.0}, {"d": 3.0, "l1": 6.0}]
    assert _mean_losses(losses) == {"d": 2.0, "l1": 5.0}
