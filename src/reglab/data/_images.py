"""The pictures that the experiments run on: real where they are present, drawn where not."""

from __future__ import annotations

import torch

from reglab.data import locate
from reglab.data._fashion_mnist import fashion_mnist
from reglab.data._garments import garments
from reglab.data._image_set import ImageSet


def images(*, num_train: int, num_test: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test pictures of ten classes of clothes: Fashion-MNIST where this machine has it, else `garments`.

    Both have the same shape, classes and number of pictures of each class, and no picture is in both sets. They are not
    equally hard: say in captions which it was (`train.source`). A snippet that calls this has `data: fashion_mnist`
    in its header, so that it runs again where the data has appeared.

    Args:
        num_train: how many training pictures, a multiple of ten; Fashion-MNIST has 60,000.
        num_test: how many test pictures, a multiple of ten; Fashion-MNIST has 10,000.
        seed: of the choice and the order of the pictures, or of their drawing.

    Returns:
        `(train, test)`, each in random order with equally many pictures of each class.

    Raises:
        ValueError: a number that is no positive multiple of ten, or more than there are; or a damaged file.

    Example:
        >>> from reglab.data import images
        >>> train, test = images(num_train=200, num_test=100, seed=0)
        >>> train.images.shape, test.labels.bincount().tolist()
        (torch.Size([200, 1, 28, 28]), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
        >>> train.source in ("Fashion-MNIST", "garments")
        True
    """
    for name, num in (("num_train", num_train), ("num_test", num_test)):
        if num < 10 or num % 10:
            raise ValueError(f"{name} is {num}; it must be a positive multiple of 10, as many of each class")
    if locate.fashion_mnist() is None:
        # Even and odd seeds keep the two sets apart, and apart from those of any other `seed`.
        return garments(num_train // 10, seed=2 * seed), garments(num_test // 10, seed=2 * seed + 1)
    generator = torch.Generator().manual_seed(seed)
    train = _balanced(fashion_mnist(train=True), num_train // 10, generator)
    return train, _balanced(fashion_mnist(train=False), num_test // 10, generator)


def _balanced(whole: ImageSet, num_per_class: int, generator: torch.Generator) -> ImageSet:
    """`num_per_class` pictures of each class, drawn without replacement and shuffled."""
    available = int(whole.labels.bincount(minlength=len(whole.classes)).min())
    if num_per_class > available:
        raise ValueError(f"{num_per_class} pictures a class are wanted, {whole.source} has {available} in this set")
    order = torch.randperm(len(whole), generator=generator)
    labels = whole.labels[order]
    chosen = torch.cat([order[labels == label][:num_per_class] for label in range(len(whole.classes))])
    return whole.pick(chosen[torch.randperm(len(chosen), generator=generator)])
