import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.gain import gain, normal_mean


def test_moments_of_the_normal_distribution() -> None:
    assert normal_mean(torch.ones_like) == pytest.approx(1, rel=1e-14)
    assert normal_mean(lambda z: z**4) == pytest.approx(3, rel=1e-13)
    assert normal_mean(torch.abs, std=2) == pytest.approx(2 * math.sqrt(2 / math.pi), rel=1e-13)


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.25, -1.0, 2.0])
def test_leaky_relu_has_torchs_gain(slope: float) -> None:
    found = gain(lambda z: F.leaky_relu(z, slope))
    assert found == pytest.approx(nn.init.calculate_gain("leaky_relu", slope), rel=1e-12)


def test_gelu_has_the_gain_of_the_closed_form() -> None:
    assert gain(F.gelu) == pytest.approx((1 / 3 + math.sqrt(3) / (6 * math.pi)) ** -0.5, rel=1e-12)


def test_kinks_at_whole_numbers_do_no_harm() -> None:
    torch.manual_seed(0)
    drawn = F.hardswish(torch.randn(4_000_000, dtype=torch.float64)).square().mean().item()
    assert gain(F.hardswish) == pytest.approx(drawn**-0.5, rel=3e-3)


def test_centred_takes_the_mean_off() -> None:
    assert gain(lambda z: F.relu(z) + 100, centred=True) == pytest.approx((1 / 2 - 1 / (2 * math.pi)) ** -0.5)


def test_a_constant_has_no_gain() -> None:
    with pytest.raises(ValueError, match="constant"):
        gain(torch.zeros_like)
    with pytest.raises(ValueError, match="constant"):
        gain(torch.ones_like, centred=True)
