"""Parameter groups for an optimizer: what should decay, and what should not."""

from __future__ import annotations

from typing import Any

from torch import nn

_SPARED = (
    nn.modules.batchnorm._NormBase,  # BatchNorm1d…3d, SyncBatchNorm, InstanceNorm1d…3d
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.PReLU,
)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    r"""Split the trainable parameters of `model` into a group that decays and one that does not.

    Spared are biases (any parameter whose own name begins with `bias`, as in `nn.LSTM`, or ends with it, as in
    `nn.MultiheadAttention`), the affine parameters of normalization layers and the slope of `nn.PReLU`. Zero is a
    sensible place to pull a weight matrix to. For a scale it would silence the channel, and for PReLU's slope it
    would mean another activation function.

    The kind of module decides, not the number of dimensions: embeddings and the parameters of modules of one's own
    decay. A parameter that several modules share is listed once, and spared only if each of them spares it.

    Args:
        model: whose parameters; frozen ones (`requires_grad=False`) are left out.
        weight_decay: for the first group.

    Returns:
        Two groups, as the optimizers of `torch.optim` take them: first those that decay, then those that are spared.
        Either may be empty.

    Raises:
        ValueError: `weight_decay` is negative.

    Example:
        >>> from torch import nn
        >>> from reglab.decay_groups import decay_groups
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.PReLU(), nn.Linear(3, 1))
        >>> [(len(group["params"]), group["weight_decay"]) for group in decay_groups(net, 0.01)]
        [(2, 0.01), (5, 0.0)]
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay is {weight_decay}; it must be at least 0")
    decays: dict[nn.Parameter, bool] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            spared = isinstance(module, _SPARED) or name.startswith("bias") or name.endswith("bias")
            decays[parameter] = decays.get(parameter, False) or not spared
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if decays[p]], "weight_decay": weight_decay},
        {"params": [p for p in trained if not decays[p]], "weight_decay": 0.0},
    ]
