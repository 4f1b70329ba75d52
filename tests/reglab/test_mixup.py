import pytest
import torch
import torch.nn.functional as F

from reglab.mixup import mixup


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(8, 3), (8, 1, 5, 5), (1, 4)])
def test_samples_and_targets_are_mixed_alike(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(shape, dtype=dtype), torch.randint(4, shape[:1])
    targets = F.one_hot(labels, 4).to(dtype)
    torch.manual_seed(1)
    share = torch.distributions.Beta(0.7, 0.7).sample().to(dtype)
    other = torch.randperm(len(x))
    torch.manual_seed(1)
    mixed, mixed_targets = mixup(x, targets, alpha=0.7)
    torch.testing.assert_close(mixed, share * x + (1 - share) * x[other])
    torch.testing.assert_close(mixed_targets, share * targets + (1 - share) * targets[other])
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(len(x), dtype=dtype))
    # Cross entropy is linear in its targets: the mixed loss is the mixture of both losses.
    logits = torch.randn(len(x), 4, dtype=dtype)
    both = share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[other])
    torch.testing.assert_close(F.cross_entropy(logits, mixed_targets), both)


def test_small_alpha_hardly_mixes_and_the_mean_is_kept() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 3)
    shares = torch.stack([mixup(x, torch.eye(16), alpha=0.01)[1].amax(1).max() for _ in range(200)])
    assert (shares > 0.99).float().mean() > 0.9
    torch.testing.assert_close(mixup(x, torch.eye(16), alpha=1.0)[0].mean(0), x.mean(0))


def test_the_batch_itself_is_left_alone() -> None:
    x, targets = torch.randn(4, 2), torch.eye(4)
    before = x.clone(), targets.clone()
    mixup(x, targets, alpha=1.0)
    assert torch.equal(x, before[0])
    assert torch.equal(targets, before[1])


def test_alpha_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        mixup(torch.zeros(2, 2), torch.eye(2), alpha=0.0)
