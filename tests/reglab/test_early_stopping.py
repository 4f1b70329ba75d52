import copy
import math

import pytest
import torch
from torch import nn

from reglab.early_stopping import EarlyStopping


def test_it_stops_after_patience_epochs_without_a_lower_loss() -> None:
    model = nn.Linear(1, 1)
    for patience in (1, 2, 5):
        stopping = EarlyStopping(patience)
        answers = [stopping.update(loss, model) for loss in [5.0, 4.0, 3.0, *[3.0] * patience]]
        assert answers == [False] * (2 + patience) + [True]
        assert (stopping.best_loss, stopping.best_epoch, stopping.epoch) == (3.0, 2, 3 + patience)


def test_a_lower_loss_starts_the_waiting_anew() -> None:
    model, stopping = nn.Linear(1, 1), EarlyStopping(2)
    assert [stopping.update(loss, model) for loss in (3.0, 4.0, 2.0, 4.0, 4.0)] == [False] * 4 + [True]


def test_min_delta_ignores_small_improvements() -> None:
    model, stopping = nn.Linear(1, 1), EarlyStopping(1, min_delta=0.1)
    assert not stopping.update(1.0, model)
    assert stopping.update(0.95, model)
    assert stopping.best_loss == 1.0


def test_nan_is_never_better() -> None:
    model, stopping = nn.Linear(1, 1), EarlyStopping(2)
    assert not stopping.update(math.nan, model)
    assert stopping.update(math.nan, model)
    with pytest.raises(RuntimeError, match="nothing to restore"):
        stopping.restore(model)


def test_restore_brings_back_parameters_and_buffers_of_the_best_epoch() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    stopping, optimizer = EarlyStopping(10), torch.optim.SGD(model.parameters(), lr=0.5)
    states = []
    for loss in (3.0, 1.0, 2.0, 4.0):
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
        stopping.update(loss, model)
        states.append(copy.deepcopy(model.state_dict()))
    stopping.restore(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[1][name])
    assert not torch.equal(model.state_dict()["0.weight"], states[3]["0.weight"])


def test_restore_twice_is_safe_though_training_goes_on_between() -> None:
    model, stopping = nn.Linear(2, 2), EarlyStopping(1)
    stopping.update(1.0, model)
    kept = model.weight.detach().clone()
    for _ in range(2):
        nn.init.zeros_(model.weight)
        stopping.restore(model)
        assert torch.equal(model.weight.detach(), kept)


def test_impossible_arguments() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="at least 0"):
        EarlyStopping(1, min_delta=-1.0)
