import pytest
import torch
from torch import nn

from reglab.data import ImageSet, banknotes, standardize


def test_pictures_have_the_format_that_the_lenet_of_the_post_takes() -> None:
    notes = banknotes(20, seed=0)
    assert notes.images.shape == (40, 3, 32, 32)
    assert notes.images.dtype == torch.float32
    assert 0 <= notes.images.min() < 0.1
    assert 0.8 < notes.images.max() <= 1
    assert notes.labels.bincount().tolist() == [20, 20]
    assert notes.classes == ("1 yuan", "100 yuan")
    assert notes.source == "banknotes"
    assert not notes.labels.equal(notes.labels.sort().values), "the order should be random"


def test_the_seed_alone_decides_and_the_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first = banknotes(3, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    again, other = banknotes(3, seed=5), banknotes(3, seed=6)
    assert first.images.equal(again.images)
    assert first.labels.equal(again.labels)
    assert not first.images.equal(other.images)


def test_less_than_one_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        banknotes(0, seed=0)


def test_on_average_the_hundred_is_redder_but_single_pictures_may_have_lost_their_colour() -> None:
    notes = banknotes(300, seed=0)
    red = notes.images[:, 0].mean((1, 2)) - notes.images[:, 1].mean((1, 2))
    one, hundred = red[notes.labels == 0], red[notes.labels == 1]
    assert hundred.mean() > one.mean() + 0.02
    assert (hundred < one.median()).float().mean() > 0.02


def test_a_small_convolutional_network_beats_a_linear_classifier_clearly() -> None:
    train, test = banknotes(300, seed=0), banknotes(300, seed=1)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU()),  # (n, 8, 14, 14)
        *(nn.Conv2d(8, 16, 5, stride=2), nn.ReLU()),  # (n, 16, 5, 5)
        *(nn.Flatten(), nn.Linear(400, 60), nn.ReLU(), nn.Linear(60, 2)),
    )
    linear_accuracy, network_accuracy = (accuracy(model, train, test) for model in (linear, network))
    assert linear_accuracy < 0.9
    assert network_accuracy > linear_accuracy + 0.04


def accuracy(model: nn.Module, train: ImageSet, test: ImageSet) -> float:
    """On `test`, after a short training that starts from the same random state for every model."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.reset_parameters()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    x = standardize(train.images, train=train.images)
    for _ in range(20):
        for batch in torch.randperm(len(train)).split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), train.labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        guess = model(standardize(test.images, train=train.images)).argmax(1)
    return (guess == test.labels).float().mean().item()
