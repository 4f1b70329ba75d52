import time

import pytest
import torch
from torch import Tensor, nn

from reglab.data import ImageSet, garments, standardize
from reglab.data._raster import filled, stroked


def test_pictures_have_the_format_of_fashion_mnist() -> None:
    pictures = garments(7, seed=0)
    assert pictures.images.shape == (70, 1, 28, 28)
    assert pictures.images.dtype == torch.float32
    assert pictures.images.min() == 0
    assert 0.8 < pictures.images.max() <= 1
    assert pictures.labels.dtype == torch.int64
    assert pictures.labels.bincount().tolist() == [7] * 10
    assert len(pictures.classes) == 10
    assert pictures.source == "garments"
    assert not pictures.labels.equal(pictures.labels.sort().values), "the order should be random"


def test_the_seed_alone_decides_and_the_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first = garments(3, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    again, other = garments(3, seed=5), garments(3, seed=6)
    assert first.images.equal(again.images)
    assert first.labels.equal(again.labels)
    assert not first.images.equal(other.images)


def test_no_picture_comes_twice_and_none_is_empty() -> None:
    pictures = garments(60, seed=2).images.flatten(1)
    assert len(pictures.unique(dim=0)) == len(pictures)
    assert pictures.sum(1).min() > 5
    assert (pictures > 0).float().mean(1).max() < 0.7, "around each garment there is black"


def test_less_than_one_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        garments(0, seed=0)


def test_six_thousand_pictures_take_seconds() -> None:
    start = time.process_time()
    garments(600, seed=0)
    assert time.process_time() - start < 6


def test_a_small_convolutional_network_beats_a_linear_classifier_clearly() -> None:
    train, test = garments(200, seed=0), garments(100, seed=1)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU()),  # (n, 8, 12, 12)
        *(nn.Conv2d(8, 16, 5, stride=2), nn.ReLU()),  # (n, 16, 4, 4)
        *(nn.Flatten(), nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    linear_accuracy, network_accuracy = (accuracy(model, train, test) for model in (linear, network))
    assert 0.7 < linear_accuracy < 0.87
    assert network_accuracy > linear_accuracy + 0.04


def accuracy(model: nn.Module, train: ImageSet, test: ImageSet) -> float:
    """On `test`, after a short training that starts from the same random state for every model."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.reset_parameters()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    x = standardize(train.images, train=train.images)
    for _ in range(10):
        for batch in torch.randperm(len(train)).split(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), train.labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        guess = model(standardize(test.images, train=train.images)).argmax(1)
    return (guess == test.labels).float().mean().item()


def corners(*points: tuple[float, float]) -> Tensor:
    return torch.tensor([points], dtype=torch.float32)


def test_a_filled_rectangle_covers_its_pixels_half_of_those_on_its_edge_and_no_other() -> None:
    cover = filled(corners((5, 10), (20.5, 10), (20.5, 15), (5, 15)))[0]
    assert cover[11:14, 6:19].eq(1).all()
    torch.testing.assert_close(cover[12, 20], torch.tensor(0.5))  # its centre lies on the edge
    assert cover[:9].eq(0).all()
    assert cover[:, 22:].eq(0).all()
    assert cover.sum().item() == pytest.approx(15.5 * 5, rel=0.02)


def test_filling_leaves_a_notch_free() -> None:
    cover = filled(corners((4, 4), (24, 4), (24, 24), (14, 10), (4, 24)))[0]
    assert cover[20, 14] == 0
    assert cover[6, 14] == 1


def test_a_stroke_is_as_wide_as_its_pen_and_a_pen_of_no_width_draws_nothing() -> None:
    path = corners((4, 14.5), (24, 14.5))
    assert stroked(path, torch.tensor([3.0]))[0, :, 14].sum().item() == pytest.approx(3)
    assert stroked(path, torch.tensor([0.0])).eq(0).all()
