"""The real Fashion-MNIST, where this machine has it."""

from __future__ import annotations

from reglab.data import locate
from reglab.data._idx import read_idx
from reglab.data._image_set import GARMENT_CLASSES, ImageSet

PIXELS = (28, 28)


def fashion_mnist(*, train: bool) -> ImageSet:
    """Fashion-MNIST: 28×28 grey pictures of Zalando's articles in ten classes, 60,000 to train with and 10,000 to test.

    Read from the first complete set that `reglab.data.locate.fashion_mnist` finds; never downloaded here.

    Args:
        train: the training set if true, else the test set.

    Returns:
        Pictures of the shape `(n, 1, 28, 28)` with brightness from 0 to 1, in the order of the files.

    Raises:
        FileNotFoundError: there is no complete set on this machine. The message says how to get one.
        ValueError: a file is damaged, or there are not as many labels as pictures. The message names the file.

    Source:
        H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
        Algorithms, 2017, arXiv:1708.07747.

    Example:
        >>> from reglab.data import fashion_mnist
        >>> try:
        ...     test = fashion_mnist(train=False)
        ...     print(test.images.shape == (10_000, 1, 28, 28))
        ... except FileNotFoundError:
        ...     print(True)  # this machine does not have it
        True
    """
    folder = locate.fashion_mnist()
    if folder is None:
        raise FileNotFoundError(
            f"Fashion-MNIST is neither in {locate.download_folder()} nor in {locate.DEBIAN}\n"
            "    → run `python -m reglab.data fetch`, or install Debian's package dataset-fashion-mnist"
        )
    image_file, label_file = (folder / name for name in (locate.FILES[:2] if train else locate.FILES[2:]))
    images = read_idx(image_file, (None, *PIXELS))  # (n, 28, 28)
    labels = read_idx(label_file, (None,))  # (n,)
    if len(images) != len(labels):
        raise ValueError(
            f"{image_file} holds {len(images)} pictures, {label_file} {len(labels)} labels\n"
            "    → the two do not belong together: run `python -m reglab.data fetch`"
        )
    if labels.numel() and labels.max() >= len(GARMENT_CLASSES):
        raise ValueError(
            f"{label_file} holds the label {labels.max()}, the highest is {len(GARMENT_CLASSES) - 1}\n"
            "    → run `python -m reglab.data fetch` to replace it"
        )
    return ImageSet(images.unsqueeze(1) / 255, labels.long(), GARMENT_CLASSES, "Fashion-MNIST")
