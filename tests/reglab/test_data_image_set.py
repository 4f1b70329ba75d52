import pkgutil

import pytest
import torch

import reglab.data
from reglab.data import garments, standardize

MODULES = [name for _, name, _ in pkgutil.iter_modules(reglab.data.__path__, "reglab.data.") if "__main__" not in name]


def test_standardizing_gives_each_channel_of_the_training_pictures_mean_0_and_deviation_1() -> None:
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 5.0, 0.1]).reshape(1, 3, 1, 1)
    train = scale * (torch.rand(50, 3, 6, 6, generator=generator) + 2)
    x = standardize(train, train=train)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_test_pictures_are_standardized_by_the_constants_of_the_training_pictures() -> None:
    train, test = garments(5, seed=0).images, garments(5, seed=1).images
    torch.testing.assert_close(standardize(test, train=train), (test - train.mean()) / train.std())


def test_pictures_without_contrast_are_refused() -> None:
    flat = torch.full((4, 1, 2, 2), 0.5)
    with pytest.raises(ValueError, match="same value everywhere"):
        standardize(flat, train=flat)


def test_picking_keeps_pictures_and_labels_together() -> None:
    whole = garments(2, seed=0)
    part = whole.pick(torch.tensor([3, 11]))
    assert part.images.equal(whole.images[[3, 11]])
    assert part.labels.equal(whole.labels[[3, 11]])
    assert (part.classes, part.source, len(part)) == (whole.classes, whole.source, 2)


def test_every_public_name_can_be_imported_and_no_other() -> None:
    assert all(callable(getattr(reglab.data, name)) for name in reglab.data.__all__)
    misspelt = "noisy_lines"
    with pytest.raises(AttributeError, match="no attribute 'noisy_lines'"):
        getattr(reglab.data, misspelt)
    assert not {name.rsplit(".", 1)[1] for name in MODULES} & set(reglab.data.__all__), "a module would hide a name"
