"""Dropout1d, Dropout2d and Dropout3d from scratch: dropout whose mask is shared by the whole of a channel."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from reglab.dropout import Dropout, dropout


class _ChannelDropout(Dropout):
    """Dropout with a mask that has the size 1 along the `spatial` last axes; `inputs` are the shapes it takes."""

    inputs: ClassVar[tuple[str, ...]]
    spatial: ClassVar[int]

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """One number for each channel (of each sample, if there is a batch), to be broadcast to the shape of `x`."""
        if all(x.dim() != len(shape.split(",")) for shape in self.inputs):
            raise ValueError(f"{type(self).__name__} takes {' or '.join(self.inputs)}, not the shape {tuple(x.shape)}")
        return tuple(x.shape[: -self.spatial]) + (1,) * self.spatial

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The input with channels dropped, or the input itself."""
        shape = self.mask_shape(x)
        if not self.training or self.p == 0:
            return x
        factor = dropout(x.new_ones(shape), self.p)
        return x.mul_(factor) if self.inplace else x * factor


class Dropout1d(_ChannelDropout):
    r"""Inverted dropout of whole channels of sequences.

    Formula: $y_{ncl} = \frac{m_{nc}}{1-p}\,x_{ncl}$ in training mode, and $y = x$ in evaluation mode.

    Args:
        p: probability of dropping a channel.
        inplace: overwrite the input.

    Shape:
        `(N, C, L)`, or `(C, L)` without a batch. The output of a linear layer, `(N, features)`, looks like `(C, L)`:
        as in torch, its **samples** would be dropped.

    Raises:
        ValueError: `p` is no probability, or an input has another number of axes.

    Source:
        Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015, arXiv:1411.4280, section 3.2.

    Example:
        >>> import torch
        >>> from reglab.dropout_family import Dropout1d
        >>> Dropout1d(0.5).mask_shape(torch.ones(8, 16, 100))
        (8, 16, 1)
    """

    inputs = ("(C, L)", "(N, C, L)")
    spatial = 1


class Dropout2d(_ChannelDropout):
    r"""Inverted dropout of whole channels of pictures.

    Formula: $y_{nchw} = \frac{m_{nc}}{1-p}\,x_{nchw}$ in training mode, and $y = x$ in evaluation mode.

    Args:
        p: probability of dropping a channel.
        inplace: overwrite the input.

    Shape:
        `(N, C, H, W)`. Torch 2.13 takes three axes for `(N, C, L)`, with a warning that this will change to
        `(C, H, W)`; this layer refuses them.

    Raises:
        ValueError: `p` is no probability, or an input has another number of axes.

    Source:
        Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015, arXiv:1411.4280, section 3.2.

    Example:
        >>> import torch
        >>> from reglab.dropout_family import Dropout2d
        >>> Dropout2d(0.5).mask_shape(torch.ones(8, 16, 28, 28))
        (8, 16, 1, 1)
    """

    inputs = ("(N, C, H, W)",)
    spatial = 2


class Dropout3d(_ChannelDropout):
    r"""Inverted dropout of whole channels of volumes or films.

    Formula: $y_{ncdhw} = \frac{m_{nc}}{1-p}\,x_{ncdhw}$ in training mode, and $y = x$ in evaluation mode.

    Args:
        p: probability of dropping a channel.
        inplace: overwrite the input.

    Shape:
        `(N, C, D, H, W)`, or `(C, D, H, W)` without a batch. A batch of pictures, `(N, C, H, W)`, looks like the
        latter: as in torch, its **samples** would be dropped.

    Raises:
        ValueError: `p` is no probability, or an input has another number of axes.

    Source:
        Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015, arXiv:1411.4280, section 3.2.

    Example:
        >>> import torch
        >>> from reglab.dropout_family import Dropout3d
        >>> Dropout3d(0.5).mask_shape(torch.ones(8, 16, 4, 28, 28))
        (8, 16, 1, 1, 1)
    """

    inputs = ("(C, D, H, W)", "(N, C, D, H, W)")
    spatial = 3
