import pytest
import torch
from jaxtyping import TypeCheckError

from reglab.data import Points, noisy_line


def test_both_sets_have_the_shapes_and_the_grid_of_the_docstring() -> None:
    train, test = noisy_line(num_points=7, seed=0)
    for points in (train, test):
        assert points.x.shape == points.y.shape == (7, 1)
        assert points.x.dtype == points.y.dtype == torch.float32
        torch.testing.assert_close(points.x.flatten(), torch.linspace(-1, 1, 7))
    assert train.x.data_ptr() != test.x.data_ptr()


def test_without_noise_the_points_lie_on_the_line() -> None:
    train, test = noisy_line(num_points=4, slope=-2.0, train_noise=0.0, test_noise=0.0, seed=0)
    torch.testing.assert_close(train.y, -2 * train.x)
    torch.testing.assert_close(test.y, -2 * test.x)


def test_the_noise_has_the_standard_deviations_asked_for() -> None:
    train, test = noisy_line(num_points=20_000, seed=3)
    train_noise, test_noise = train.y - 1.5 * train.x, test.y - 1.5 * test.x
    assert train_noise.std().item() == pytest.approx(0.5, rel=0.03)
    assert test_noise.std().item() == pytest.approx(0.3, rel=0.03)
    assert train_noise.mean().item() == pytest.approx(0, abs=0.02)
    correlation = torch.corrcoef(torch.cat([train_noise, test_noise], dim=1).T)[0, 1]
    assert abs(correlation.item()) < 0.03


def test_the_seed_alone_decides_and_the_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, _ = noisy_line(seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    again, _ = noisy_line(seed=5)
    other, _ = noisy_line(seed=6)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.y, other.y)


@pytest.mark.parametrize("arguments", [{"num_points": 1}, {"train_noise": -0.1}, {"test_noise": -0.1}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        noisy_line(**arguments, seed=0)


def test_shapes_in_annotations_are_checked_while_tests_run() -> None:
    with pytest.raises(TypeCheckError):
        Points(x=torch.zeros(3, 1), y=torch.zeros(4, 1))
