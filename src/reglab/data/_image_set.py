"""What all sets of pictures have in common, and the one preparation that networks ask for."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float32, Int64
from torch import Tensor

GARMENT_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures with their labels.

    Attributes:
        images: brightness from 0 (black) to 1 (white), as N×C×H×W.
        labels: the number of each picture's class.
        classes: the names of the classes; a label is an index into them.
        source: which data this is, for captions: "Fashion-MNIST", "garments", …

    Example:
        >>> import torch
        >>> from reglab.data import ImageSet
        >>> blank = ImageSet(torch.zeros(2, 1, 28, 28), torch.tensor([1, 0]), ("day", "night"), "blank pictures")
        >>> len(blank), blank.classes[blank.labels[0]]
        (2, 'night')
    """

    images: Float32[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.labels)

    def pick(self, indices: Int64[Tensor, " m"]) -> ImageSet:
        """The pictures at `indices`, in that order.

        Example:
            >>> import torch
            >>> from reglab.data import garments
            >>> ten = garments(1, seed=0)
            >>> len(ten.pick(torch.tensor([4, 2])))
            2
        """
        return ImageSet(self.images[indices], self.labels[indices], self.classes, self.source)


def standardize(
    images: Float32[Tensor, "n c h w"],
    *,
    train: Float32[Tensor, "m c h w"],
) -> Float32[Tensor, "n c h w"]:
    r"""Shift and scale each channel by the mean and the standard deviation of the training pictures.

    Formula: $\hat{x}_{nchw} = (x_{nchw} - \mu_c) / \sigma_c$, where $\mu_c$ and $\sigma_c$ are taken over all pixels of
    channel $c$ of all pictures in `train`. Test pictures are standardized by the training pictures' constants too: a
    network that has been trained must not depend on which other pictures it is tested with.

    Args:
        images: what to standardize.
        train: the training pictures.

    Raises:
        ValueError: a channel of `train` has the same value everywhere, so there is nothing to divide by.

    Example:
        >>> from reglab.data import garments, standardize
        >>> train, test = garments(20, seed=0), garments(20, seed=1)
        >>> x = standardize(train.images, train=train.images)
        >>> abs(x.mean().item()) < 1e-4, abs(x.std().item() - 1) < 1e-4
        (True, True)
        >>> standardize(test.images, train=train.images).mean().item() == 0
        False
    """
    over = (0, 2, 3)
    mean = train.mean(over, keepdim=True)  # (1, c, 1, 1)
    std = train.std(over, keepdim=True)  # (1, c, 1, 1)
    if not (std > 0).all():
        raise ValueError("a channel of the training pictures has the same value everywhere; its scale is undefined")
    return (images - mean) / std
