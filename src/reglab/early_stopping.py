"""Early stopping: when to stop training, and which weights to keep."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch import nn


class EarlyStopping:
    """Keeps the weights of the epoch with the lowest validation loss, and tells when to stop waiting for a lower one.

    A loss counts as lower if it is lower by more than `min_delta`. The weights are copied, buffers included: a
    `state_dict` alone would go on changing with the model.

    Args:
        patience: how many epochs in a row may pass without a lower loss; training should stop at the last of them.
        min_delta: how much lower a loss must be.

    Attributes:
        best_loss: the lowest loss so far, infinite at first.
        best_epoch: its epoch, counted from 0; -1 at first.
        epoch: how many epochs have been reported.

    Raises:
        ValueError: `patience` is below 1, or `min_delta` is negative.

    Source:
        Prechelt, Early Stopping – But When?, 1998, the third class of stopping criteria, with strips of one epoch.

    Example:
        >>> from torch import nn
        >>> from reglab.early_stopping import EarlyStopping
        >>> model, stopping = nn.Linear(1, 1), EarlyStopping(patience=2)
        >>> [stopping.update(loss, model) for loss in (3.0, 1.0, 2.0, 1.5)]
        [False, False, False, True]
        >>> stopping.restore(model)
        >>> stopping.best_epoch
        1
    """

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}; it must be at least 1")
        if min_delta < 0:
            raise ValueError(f"min_delta is {min_delta}; it must be at least 0")
        self.patience, self.min_delta = patience, min_delta
        self.best_loss, self.best_epoch, self.epoch = math.inf, -1, 0
        self._best_state: dict[str, Any] | None = None

    def update(self, loss: float, model: nn.Module) -> bool:
        """Report an epoch's validation loss; the answer is whether to stop. A loss that is `nan` is never lower."""
        if loss < self.best_loss - self.min_delta:
            self.best_loss, self.best_epoch = loss, self.epoch
            self._best_state = copy.deepcopy(model.state_dict())
        self.epoch += 1
        return self.epoch - 1 - self.best_epoch >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Give `model` the best weights back; a `RuntimeError` if no loss has been reported that was a number."""
        if self._best_state is None:
            raise RuntimeError("there is nothing to restore: no validation loss has been reported, or all were nan")
        model.load_state_dict(self._best_state)
