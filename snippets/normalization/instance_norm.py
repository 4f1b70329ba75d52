# ---
# timeout: 300
# data: fashion_mnist
# ---

# %% light
import inspect
import math
import warnings

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab import instance_norm as library
from reglab.data import banknotes, images
from reglab.stacked_cnn import StackedCNN

torch.set_num_threads(1)
notes = banknotes(40, seed=3)
ones, hundreds = (notes.images[notes.labels == k] for k in (0, 1))
note = hundreds[1]  # (3, 32, 32), from 0 to 1


def rgb(red, green, blue):
    return torch.tensor([red, green, blue])[:, None, None]


# Each light multiplies a channel by one number and adds another.
lights = {
    "as taken": note,
    "dark": 0.35 * note,
    "pale": 0.3 * note + 0.6,
    "reddish": rgb(0.7, 0.3, 0.25) * note + rgb(0.3, 0.0, 0.0),
    "bluish": rgb(0.25, 0.45, 0.7) * note + rgb(0.0, 0.1, 0.3),
}
taken = torch.stack(list(lights.values()))  # (5, 3, 32, 32)
normed = nn.InstanceNorm2d(3)(taken)


# %% light_figure
def show(ax, picture):
    # 24 levels a colour are enough to look at, and make a small file.
    coarse = (picture.clamp(0, 1) * 23).round() / 23
    ax.imshow(coarse.permute(1, 2, 0).numpy(), interpolation="none")


fig, axes = plt.subplots(2, 5, figsize=(5.6, 2.7))
for column, name in enumerate(lights):
    show(axes[0, column], taken[column])
    # Values around 0, most of them between -2 and 2, shown as 0 to 1.
    show(axes[1, column], 0.5 + normed[column] / 4)
    axes[0, column].set_title(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("before")
axes[1, 0].set_ylabel("after")

# %% check_light
# claim: light-is-gone
assert (normed - normed[0]).abs().max() < 0.05
assert (taken - taken[0]).abs()[1:].flatten(1).mean(1).min() > 0.1
exact = F.instance_norm(taken.double(), eps=0)
assert (exact - exact[0]).abs().max() < 1e-4

# claim: each-picture-by-itself
alone = nn.InstanceNorm2d(3)(taken[2:3])
assert torch.allclose(alone, normed[2:3], atol=1e-5)
batch_norm = nn.BatchNorm2d(3)
together = batch_norm(taken)
assert not torch.allclose(batch_norm(taken[2:3]), together[2:3], atol=0.5)

# claim: batch-norm-keeps-differences-of-light
for y in (together, batch_norm.eval()(taken)):
    brightness = y.mean((1, 2, 3))
    contrast = y.std((2, 3)).mean(1)
    assert brightness.max() - brightness.min() > 0.5
    assert contrast.max() > 2 * contrast.min()
assert normed.mean((2, 3)).abs().max() < 1e-5
assert (normed.std((2, 3), correction=0) - 1).abs().max() < 0.02


# %% scratch
class InstanceNorm2d(nn.Module):
    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
    ):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        gamma, beta = torch.ones(num_features), torch.zeros(num_features)
        self.weight = nn.Parameter(gamma) if affine else None
        self.bias = nn.Parameter(beta) if affine else None
        # Buffers: saved with the model, but not learned.
        mean, variance = torch.zeros(num_features), torch.ones(num_features)
        tracked = track_running_stats
        self.register_buffer("running_mean", mean if tracked else None)
        self.register_buffer("running_var", variance if tracked else None)

    def forward(self, x):  # (N, C, H, W)
        if self.training or self.running_mean is None:
            mean = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
            variance = x.var((2, 3), keepdim=True, correction=0)
            if self.running_mean is not None:
                self.update(mean.detach(), x.detach().var((2, 3)))
        else:
            mean = self.running_mean.view(1, -1, 1, 1)
            variance = self.running_var.view(1, -1, 1, 1)
        y = (x - mean) / torch.sqrt(variance + self.eps)
        if self.weight is not None:
            y = y * self.weight.view(1, -1, 1, 1)
            y = y + self.bias.view(1, -1, 1, 1)
        return y

    def update(self, mean, unbiased_variance):
        # lerp_: (1 - momentum) * old + momentum * new, in place.
        self.running_mean.lerp_(mean.flatten(1).mean(0), self.momentum)
        self.running_var.lerp_(unbiased_variance.mean(0), self.momentum)


# %% check_scratch
def results(layer, x, upstream):
    # Output, gradients, buffers.
    leaf = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(leaf)
    y.backward(upstream)
    grads = [parameter.grad for parameter in layer.parameters()]
    buffers = [b for b in layer.buffers() if b.dim()]
    return [y, leaf.grad, *grads, *buffers]


# claim: scratch-equals-torch
torch.manual_seed(0)
for spatial, space in {1: (7,), 2: (3, 5), 3: (2, 3, 4)}.items():
    x, upstream = 2 + torch.randn(2, 6, 4, *space).double()
    name = f"InstanceNorm{spatial}d"
    pairs = [(getattr(library, name), getattr(nn, name))]
    if spatial == 2:
        pairs.append((InstanceNorm2d, nn.InstanceNorm2d))
    for kind, torch_kind in pairs:
        for affine in (False, True):
            for tracked in (False, True):
                options = {"affine": affine, "track_running_stats": tracked}
                theirs = torch_kind(4, **options).double()
                for parameter in theirs.parameters():
                    nn.init.normal_(parameter)
                ours = kind(4, **options).double()
                whole = kind is not InstanceNorm2d  # ours here counts no batches
                ours.load_state_dict(theirs.state_dict(), strict=whole)
                for training in (True, True, False):
                    layers = [layer.train(training) for layer in (ours, theirs)]
                    found = [results(layer, x, upstream) for layer in layers]
                    assert len(found[0]) == 2 + 2 * affine + 2 * tracked
                    for mine, other in zip(*found, strict=True):
                        assert torch.allclose(mine, other, atol=1e-10)

# claim: gradient-formula
x, upstream = torch.randn(2, 6, 4, 3, 5).double()
gamma = torch.randn(4).double()
g = upstream * gamma[:, None, None]
mean_g = g.mean((2, 3), keepdim=True)
variance = x.var((2, 3), keepdim=True, correction=0)
for eps in (0.1, 1e-5, 0.0):
    leaf = x.clone().requires_grad_()
    F.instance_norm(leaf, weight=gamma, eps=eps).backward(upstream)
    x_hat = F.instance_norm(x, eps=eps)
    mean_gx = (g * x_hat).mean((2, 3), keepdim=True)
    by_formula = (g - mean_g - x_hat * mean_gx) / torch.sqrt(variance + eps)
    assert torch.allclose(leaf.grad, by_formula, atol=1e-10)

    # claim: gradient-of-a-map-sums-to-zero
    assert leaf.grad.sum((2, 3)).abs().max() < 1e-10

# claim: other-layers-are-this-one
as_torch = F.instance_norm(x)
per_map = F.layer_norm(x, x.shape[2:])  # each feature map is a row
one_group_a_channel = F.group_norm(x, num_groups=4)
one_sample = torch.cat([F.batch_norm(a[None], None, None, training=True) for a in x])
for same in (per_map, one_group_a_channel, one_sample):
    assert torch.allclose(same, as_torch)

# %% by_hand
torch.manual_seed(0)
feature_maps = torch.randn(3, 3, 2, 2)  # batch, channels, height, width
means = feature_maps.mean((2, 3))
variances = feature_maps.var((2, 3), correction=0)
print("means: a row for each sample, a column for each channel")
print(means)
print("variances")
print(variances)

value = feature_maps[2, 0, 1, 1]
by_hand = (value - means[2, 0]) / torch.sqrt(variances[2, 0] + 1e-5)
output = nn.InstanceNorm2d(3)(feature_maps)
print(f"\nthe entry [2, 0, 1, 1] is {value:.4f}")
print(f"by hand {by_hand:.4f}, by torch {output[2, 0, 1, 1]:.4f}")

# The post's maps are constant, and its three samples are the same one.
constant = torch.arange(1.0, 4).view(1, 3, 1, 1).expand(3, 3, 2, 2)
hidden = nn.InstanceNorm2d(3)(constant)
print(f"constant maps give {hidden.abs().max():.4f} everywhere")

# %% shapes
print("layer           input              statistics  γ (affine=True)")
counts = {}
for name, shape in (
    ("InstanceNorm1d", (8, 16, 100)),
    ("InstanceNorm2d", (20, 64, 32, 32)),
    ("InstanceNorm3d", (2, 4, 8, 16, 16)),
):
    x = torch.randn(shape)
    layer = getattr(nn, name)(shape[1], affine=True)
    behind = layer(x).flatten(2)
    # Each mean that was subtracted leaves one mean of 0.
    statistics = (behind.mean(2).abs() < 1e-5).sum().item()
    counts[name] = statistics, gammas = statistics, layer.weight.numel()
    print(f"{name:15} {shape!s:18} {statistics:10d} {gammas:16d}")

# %% check_by_hand
# claim: three-by-three-statistics
assert means.shape == variances.shape == (3, 3)
whole = (feature_maps - means[..., None, None]) / torch.sqrt(variances[..., None, None] + 1e-5)
assert torch.allclose(whole, output, atol=1e-5)
assert torch.isclose(by_hand, output[2, 0, 1, 1], atol=1e-5)

# claim: constants-hide-everything
assert hidden.abs().max() < 1e-3  # rounding leaves a trace of 3 - 3
assert nn.BatchNorm2d(3)(constant).abs().max() < 1e-3
assert nn.LayerNorm([3, 2, 2])(constant).abs().max() > 1
assert nn.GroupNorm(1, 3)(constant).abs().max() > 1
assert torch.equal(constant[0], constant[1])
assert torch.equal(constant[0], constant[2])

# claim: one-statistic-a-map
assert counts == {
    "InstanceNorm1d": (8 * 16, 16),
    "InstanceNorm2d": (20 * 64, 64),
    "InstanceNorm3d": (2 * 4, 4),
}
for name, shape in (
    ("InstanceNorm1d", (8, 16, 100)),
    ("InstanceNorm2d", (20, 64, 32, 32)),
    ("InstanceNorm3d", (2, 4, 8, 16, 16)),
):
    x = 5 + torch.randn(shape)
    layer = getattr(nn, name)(shape[1], affine=True)
    y = layer(x)
    assert y.shape == shape and layer.weight.shape == shape[1:2]
    assert y.flatten(2).mean(2).abs().max() < 1e-5
    halves = y.flatten(2).unflatten(2, (2, -1)).mean(3)  # no mean of their own
    assert halves.abs().max() > 0.01

# claim: signature-of-today
whole_signature = inspect.signature(nn.InstanceNorm2d)
assert inspect.signature(nn.InstanceNorm1d) == whole_signature
assert inspect.signature(nn.InstanceNorm3d) == whole_signature
signature = whole_signature.parameters
first_five = ["num_features", "eps", "momentum", "affine", "track_running_stats"]
assert list(signature) == [*first_five, "device", "dtype", "bias"]
assert signature["num_features"].default is inspect.Parameter.empty
assert [signature[name].default for name in first_five[1:]] == [1e-5, 0.1, False, False]
assert signature["bias"].default is True
assert signature["bias"].kind is inspect.Parameter.KEYWORD_ONLY

# claim: affine-is-off-by-default
plain = nn.InstanceNorm2d(64)
assert not list(plain.parameters())
assert not list(plain.buffers())
for others in (nn.BatchNorm2d(64), nn.LayerNorm([64, 8, 8]), nn.GroupNorm(8, 64)):
    assert len(list(others.parameters())) == 2
lazy = inspect.signature(nn.LazyInstanceNorm2d).parameters
assert lazy["affine"].default
assert lazy["track_running_stats"].default

# %% tracking
torch.manual_seed(0)
# Eight pictures of one channel, each with a level of its own.
levels = torch.linspace(-6, 6, 8).view(8, 1, 1, 1)
pictures = 5 + levels + torch.randn(8, 1, 4, 4)
post_momentum = 0.3  # the momentum of the post
options = {"momentum": post_momentum, "track_running_stats": True}
tracked = nn.InstanceNorm2d(1, **options)
tracked(pictures)

running_mean = tracked.running_mean.item()
running_var = tracked.running_var.item()
mean_by_hand = 0.7 * 0 + 0.3 * pictures.mean((2, 3)).mean()
var_by_hand = 0.7 * 1 + 0.3 * pictures.var((2, 3)).mean()  # unbiased
print(f"running_mean {running_mean:.4f}, by hand {mean_by_hand:.4f}")
print(f"running_var  {running_var:.4f}, by hand {var_by_hand:.4f}")

batch_tracked = nn.BatchNorm2d(1, momentum=post_momentum)
batch_tracked(pictures)
batch_var = batch_tracked.running_var.item()
print(f"batch norm would have running_var {batch_var:.4f}")

own, running = tracked.train()(pictures), tracked.eval()(pictures)
print("\nmean of the first and the last picture behind the layer")
for name, y in (("training", own), ("evaluation", running)):
    print(f"{name:10} {y[0].mean():8.4f} {y[-1].mean():8.4f}")

# %% check_tracking
# claim: how-running-statistics-are-updated
once = nn.InstanceNorm2d(1, **options)
once(pictures)
assert torch.isclose(once.running_mean, mean_by_hand, atol=1e-5)
assert torch.isclose(once.running_var, var_by_hand, atol=1e-5)
biased = 0.7 + 0.3 * pictures.var((2, 3), correction=0).mean()
assert not torch.isclose(once.running_var, biased, atol=1e-2)

# claim: spread-between-samples-is-left-out
assert once.running_var < 1.5
assert batch_var > 3 * once.running_var.item()

# claim: tracking-changes-evaluation
mean, variance = tracked.running_mean, tracked.running_var
expected = (pictures - mean.item()) / math.sqrt(variance.item() + 1e-5)
assert torch.allclose(tracked.eval()(pictures), expected, atol=1e-4)
assert own.mean((1, 2, 3)).abs().max() < 1e-5
assert running.mean((1, 2, 3)).abs().max() > 3
saved = mean.clone()
tracked.train()(pictures)
assert not torch.equal(tracked.running_mean, saved)
saved = tracked.running_mean.clone()
tracked.eval()(pictures)
assert torch.equal(tracked.running_mean, saved)

# claim: no-modes-without-tracking
untracked = nn.InstanceNorm2d(1)
assert torch.equal(untracked.train()(pictures), untracked.eval()(pictures))

# claim: training-never-uses-running-statistics
assert torch.equal(tracked.train()(pictures), untracked(pictures))

# claim: momentum-does-nothing-by-default
for momentum in (0.0, 0.3, 1.0):
    layer = nn.InstanceNorm2d(1, momentum=momentum)
    for _ in range(2):  # it remembers nothing
        assert torch.equal(layer(pictures), untracked(pictures))
    assert not layer.state_dict()


# %% nets
def make_net(norm, num_classes=10):
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),  # 28×28 -> 12×12, no padding
        norm(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),  # -> 5×5
        norm(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, num_classes),
    )


def no_norm(num_channels):
    return nn.Identity()


def instance_norm(num_channels):
    return nn.InstanceNorm2d(num_channels, affine=True)


def tracked_norm(num_channels):
    return nn.InstanceNorm2d(
        num_channels,
        affine=True,
        track_running_stats=True,
    )


num_seeds = 12


def make_stack(norm, num_classes=10):
    nets = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)  # norms draw no numbers: equal weights
        nets.append(make_net(norm, num_classes))
    return StackedCNN(nets)  # all seeds' nets, computed side by side


# %% train
train, test = images(num_train=2000, num_test=1000, seed=0)
num_train, num_test = len(train), len(test)
num_epochs, batch_size, lr, momentum = 5, 50, 0.05, 0.9


def other_light(x, strength, generator):
    # Each picture loses a random part of its contrast and gains a random
    # brightness; values stay between 0 and 1.
    shape = (*x.shape[:-3], 1, 1, 1)
    contrast = 1 - strength * torch.rand(shape, generator=generator)
    brightness = (1 - contrast) * torch.rand(shape, generator=generator)
    return contrast * x + brightness


def fit(norm, pictures, labels, num_classes=10, strength=0.0):
    stack = make_stack(norm, num_classes).train()
    optimizer = torch.optim.SGD(stack.parameters(), lr, momentum)
    num_steps = num_epochs * len(labels) // batch_size
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, num_steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_epochs):
        # Each seed shuffles for itself, in the same way for every norm.
        noise = torch.rand(num_seeds, len(labels), generator=generator)
        for chosen in noise.argsort(dim=1).split(batch_size, dim=1):
            x = other_light(pictures[chosen], strength, generator)
            scores = stack(x).flatten(0, 1)  # (seeds * pictures, classes)
            loss = F.cross_entropy(scores, labels[chosen].flatten())
            optimizer.zero_grad()
            # The sum over seeds gives each net the gradient of its loss.
            (num_seeds * loss).backward()
            optimizer.step()
            schedule.step()
    return stack.eval()


@torch.no_grad()
def accuracy(stack, pictures, labels):
    scores = stack(pictures.expand(num_seeds, *pictures.shape))
    return (scores.argmax(-1) == labels).double().mean(1)  # (seeds,)


# %% other_light
strengths = [0.0, 0.2, 0.4, 0.6, 0.8]
strongest = strengths[-1]
data = train.images, train.labels
unnormed, batch = fit(no_norm, *data), fit(nn.BatchNorm2d, *data)
augmented = fit(nn.BatchNorm2d, *data, strength=strongest)
running = fit(tracked_norm, *data)
# Without its running statistics, the last is an ordinary instance norm.
instance = make_stack(instance_norm).eval()
left_out = instance.load_state_dict(running.state_dict(), strict=False)

arms = {
    "no normalization": unnormed,
    "batch norm": batch,
    "batch norm, trained in such light": augmented,
    "instance norm": instance,
    "instance norm, running statistics": running,
}
found = {name: [] for name in arms}
for strength in strengths:
    generator = torch.Generator().manual_seed(1)
    seen = other_light(test.images, strength, generator)
    for name, stack in arms.items():
        found[name].append(accuracy(stack, seen, test.labels))
accuracies = {name: torch.stack(rows) for name, rows in found.items()}
print("mean accuracy     in the light of training  in other light")
for name, rows in accuracies.items():
    print(f"{name:34} {rows[0].mean():7.3f} {rows[-1].mean():15.3f}")

# %% other_light_figure
fig, ax = plt.subplots(figsize=(5.6, 3.9))
for name, color, line, marker in (
    ("instance norm", "C0", "-", "o"),
    ("instance norm, running statistics", "C0", "--", "s"),
    ("batch norm", "C1", "-", "o"),
    ("batch norm, trained in such light", "C1", "--", "s"),
    ("no normalization", "C2", ":", "^"),
):
    rows = accuracies[name]  # (strengths, seeds)
    low, high = rows.aminmax(dim=1)
    look = {"color": color, "linestyle": line, "marker": marker}
    ax.plot(strengths, rows.mean(1), **look, label=name)
    ax.fill_between(strengths, low, high, color=color, alpha=0.12)
ax.set_ylim(0.3, 0.9)
ax.set_xticks(strengths)
ax.set_xlabel("how much contrast is lost at most")
ax.set_ylabel("test accuracy")
ax.legend(loc="lower left")
data_source = train.source
strongest_own = accuracies["instance norm"][-1].mean().item()
strongest_batch = accuracies["batch norm"][-1].mean().item()
strongest_plain = accuracies["no normalization"][-1].mean().item()
strongest_augmented = accuracies["batch norm, trained in such light"][-1].mean().item()
usual_own = accuracies["instance norm"][0].mean().item()
usual_batch = accuracies["batch norm"][0].mean().item()
wins = (accuracies["instance norm"][0] > accuracies["batch norm"][0]).sum().item()
usual_running = accuracies["instance norm, running statistics"][0].mean().item()

# %% check_other_light
# claim: same-initial-weights
first = {
    name: make_stack(norm).state_dict()["layers.0.weight"]
    for name, norm in (
        ("none", no_norm),
        ("batch", nn.BatchNorm2d),
        ("instance", instance_norm),
    )
}
assert torch.equal(first["none"], first["batch"])
assert torch.equal(first["none"], first["instance"])

# claim: instance-norm-does-not-see-the-light
own = accuracies["instance norm"]
assert (own - own[0]).abs().max() <= 0.005
a, b = test.images[:50], other_light(test.images[:50], strongest, torch.Generator())
with torch.no_grad():
    scores = [instance(x.expand(num_seeds, *x.shape)) for x in (a, b)]
assert (scores[0] - scores[1]).abs().mean() < 0.01 * scores[0].std()

# claim: level-in-the-light-of-training
assert abs(usual_own - usual_batch) < 0.03

# claim: the-others-fall
for name in ("no normalization", "batch norm"):
    rows = accuracies[name]
    assert (rows[0] - rows[-1] > 0.04).all()
    assert (own[-1] - rows[-1] > 0.05).all()

# claim: training-in-such-light-helps-batch-norm-as-well
rows = accuracies["batch norm, trained in such light"]
assert (rows[-1] - accuracies["batch norm"][-1] > 0.05).all()
assert (rows[0] - rows[-1]).mean() < 0.03

# claim: running-statistics-give-it-away
assert left_out.missing_keys == []
assert all("running" in k or "num_batches" in k for k in left_out.unexpected_keys)
rows = accuracies["instance norm, running statistics"]
assert (rows[-1] < own[-1] - 0.03).all()
assert (rows[0] < own[0]).all()

# %% exposure
# Each picture is exposed for a full, a half or a quarter of the time; which
# it was is the label.
exposures = torch.tensor([1.0, 0.5, 0.25])
chance = 1 / len(exposures)


def expose(pictures, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(pictures)) % len(exposures)
    labels = labels[torch.randperm(len(labels), generator=generator)]
    return exposures[labels].view(-1, 1, 1, 1) * pictures, labels


exposed, times = expose(train.images, seed=0)
exposed_test, times_test = expose(test.images, seed=1)
by_norm = {}
for name, norm in (
    ("no normalization", no_norm),
    ("batch norm", nn.BatchNorm2d),
    ("instance norm", instance_norm),
):
    stack = fit(norm, exposed, times, num_classes=len(exposures))
    by_norm[name] = accuracy(stack, exposed_test, times_test)

# %% exposure_figure
exposure_plain = by_norm["no normalization"].mean().item()
exposure_batch = by_norm["batch norm"].mean().item()
exposure_own = by_norm["instance norm"].mean().item()
fig, ax = plt.subplots(figsize=(5.6, 2.6))
jitter = torch.linspace(-0.15, 0.15, num_seeds)
for row, (name, color) in enumerate(zip(by_norm, ("C2", "C1", "C0"), strict=True)):
    ax.plot(by_norm[name], row + jitter, "o", color=color)
ax.axvline(chance, color="black", linestyle=":", label="guessing")
ax.set_yticks(range(3), list(by_norm))
ax.invert_yaxis()
ax.set_xlim(0, 1)
ax.set_xlabel("test accuracy")
ax.legend(loc="lower right")

# %% check_exposure
# claim: instance-norm-erases-the-label
assert (by_norm["instance norm"] - chance).abs().max() < 0.08
assert abs(exposure_own - chance) < 0.03
for name in ("no normalization", "batch norm"):
    assert by_norm[name].min() > 0.7


# %% adain
def adain(content, style, eps=1e-5):
    # The mean and the standard deviation of each channel of `style`.
    mean = style.mean((2, 3), keepdim=True)
    std = torch.sqrt(style.var((2, 3), keepdim=True, correction=0) + eps)
    return std * F.instance_norm(content, eps=eps) + mean


one, hundred = ones[3:4], hundreds[33:34]
swapped = adain(one, hundred), adain(hundred, one)

fig, axes = plt.subplots(2, 2, figsize=(4.2, 4.4))
for ax, picture, name in zip(
    axes.flat,
    (one, hundred, *swapped),
    ("A", "B", "A with B's statistics", "B with A's statistics"),
    strict=True,
):
    show(ax, picture[0])
    ax.set_title(name)
    ax.set(xticks=[], yticks=[])

# %% check_adain
# claim: statistics-are-transferred
for content, style, y in ((one, hundred, swapped[0]), (hundred, one, swapped[1])):
    assert (y.mean((2, 3)) - style.mean((2, 3))).abs().max() < 1e-4
    spread = style.std((2, 3), correction=0)
    assert (y.std((2, 3), correction=0) / spread - 1).abs().max() < 0.01
    assert (content.mean((2, 3)) - style.mean((2, 3))).abs().max() > 0.1
    assert torch.allclose(y, library.adaptive_instance_norm(content, style), atol=1e-5)

# claim: adain-keeps-the-content
for content, y in ((one, swapped[0]), (hundred, swapped[1])):
    for channel in range(3):
        both = torch.stack([content[0, channel].flatten(), y[0, channel].flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.999
assert torch.allclose(adain(one, one), one, atol=1e-3)

# %% trap_average
torch.manual_seed(0)
sizes = torch.arange(1.0, 9).view(8, 1, 1)
features = sizes * F.relu(torch.randn(4, 8, 6, 6))
average = nn.AdaptiveAvgPool2d(1)
wrong = average(nn.InstanceNorm2d(8)(features)).flatten(1)
right = average(F.relu(nn.InstanceNorm2d(8)(features))).flatten(1)
print(f"norm, average        from {wrong.min():7.4f} to {wrong.max():7.4f}")
print(f"norm, ReLU, average  from {right.min():7.4f} to {right.max():7.4f}")

# %% trap_fresh
x = 5 + 2 * torch.randn(8, 3, 6, 6)
fresh = nn.InstanceNorm2d(3, track_running_stats=True).eval()
frozen = nn.InstanceNorm2d(3, momentum=None, track_running_stats=True)
for _ in range(100):
    frozen(x)
untracked = nn.InstanceNorm2d(3).eval()
for name, layer in (
    ("fresh", fresh),
    ("momentum=None", frozen.eval()),
    ("not tracked", untracked),
):
    y = layer(x)
    print(f"{name:13} mean {y.mean():5.2f}, standard deviation {y.std():.2f}")

# %% trap_features
square = 3 * torch.arange(16.0) + torch.randn(16, 16)  # (samples, features)
print("largest mean     of a sample  of a feature")
for layer in (nn.InstanceNorm1d(16), nn.BatchNorm1d(16)):
    y = layer(square)
    by_sample, by_feature = y.mean(1).abs().max(), y.mean(0).abs().max()
    print(f"{type(layer).__name__:15} {by_sample:12.4f} {by_feature:13.4f}")

# %% trap_padding
picture = test.images[:1]
brighter = 0.4 * picture + 0.5
changes = {}
for mode in ("zeros", "reflect"):
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 8, 5, padding=2, padding_mode=mode)
    with torch.no_grad():
        before = F.instance_norm(conv(picture))
        after = F.instance_norm(conv(brighter))
    changes[mode] = (before - after).abs().max().item()
    print(f"padded with {mode:8} largest change {changes[mode]:.3f}")

# %% check_traps
# claim: average-behind-the-norm-is-nothing
assert wrong.abs().max() < 1e-5
assert right.std() > 1e-3
normed_with_beta = nn.InstanceNorm2d(8, affine=True)
nn.init.normal_(normed_with_beta.bias)
behind = average(normed_with_beta(features)).flatten(1)
assert torch.allclose(behind, normed_with_beta.bias.expand(4, 8), atol=1e-5)

# claim: fresh-statistics-do-nothing
assert torch.allclose(fresh(x), x, atol=1e-3)
assert torch.allclose(frozen(x), x, atol=1e-3)

# claim: no-momentum-means-frozen
assert frozen.running_mean.abs().max() == 0
assert frozen.num_batches_tracked == 0
cumulative = nn.BatchNorm2d(3, momentum=None)
cumulative(x)
assert torch.allclose(cumulative.running_mean, x.mean((0, 2, 3)), atol=1e-4)
counted = nn.InstanceNorm2d(3, track_running_stats=True)
counted(x)
assert counted.num_batches_tracked == 0
assert cumulative.num_batches_tracked == 1


def message(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            make()
        except (ValueError, UserWarning) as error:
            return str(error)
    return ""


# claim: features-are-read-as-channels
layer = nn.InstanceNorm1d(16)
assert layer(square).mean(1).abs().max() < 1e-5
assert layer(square).mean(0).abs().max() > 1
assert torch.equal(layer(square), layer(square[None])[0])
assert "does not match num_features" in message(lambda: layer(torch.randn(32, 16)))
affine = nn.InstanceNorm1d(16, affine=True)
assert "to match num_features" in message(lambda: affine(torch.randn(32, 16)))

# claim: one-position-raises
for mode in (True, False):
    single = nn.InstanceNorm2d(8).train(mode)
    found = message(lambda single=single: single(torch.randn(4, 8, 1, 1)))
    assert "Expected more than 1 spatial element" in found
tracked = nn.InstanceNorm2d(8, track_running_stats=True).eval()
assert not message(lambda: tracked(torch.randn(4, 8, 1, 1)))

# claim: zero-padding-lets-the-light-in
assert changes["zeros"] > 0.3
assert changes["reflect"] < 0.1

# %% solution_invariant
y = F.instance_norm(test.images[:100], eps=1e-8)
x = test.images[:100]
changed = {
    "0.3 x + 0.5": 0.3 * x + 0.5,
    "1 - x": 1 - x,
    "x²": x.square(),
    "turned": x.rot90(1, (2, 3)),
}
gaps = {}
for name, other in changed.items():
    gap = F.instance_norm(other, eps=1e-8) - y
    gaps[name] = gap.abs().mean().item()
    print(f"{name:12} mean change {gaps[name]:.4f}")

# %% solution_bias
torch.manual_seed(0)
conv = nn.Conv2d(1, 8, 5, padding=2)
loss = F.instance_norm(conv(x)).pow(3).mean()
loss.backward()
print(f"weight: largest gradient {conv.weight.grad.abs().max():.0e}")
print(f"bias:   largest gradient {conv.bias.grad.abs().max():.0e}")

# %% solution_reshape
maps = torch.randn(6, 4, 5, 5)
as_channels = maps.view(1, 6 * 4, 5, 5)
by_batch_norm = F.batch_norm(as_channels, None, None, training=True)
reshaped = by_batch_norm.view(6, 4, 5, 5)
gap = (reshaped - F.instance_norm(maps)).abs().max()
print(f"one sample of 24 channels differs by {gap:.5f}")

# %% check_solutions
# claim: what-it-cannot-take-away
assert gaps["0.3 x + 0.5"] < 1e-3
negative = F.instance_norm(1 - x, eps=1e-8)
assert torch.allclose(negative, -y, atol=1e-3)
assert gaps["1 - x"] > 0.5
assert gaps["x²"] > 0.05
both = torch.stack([F.instance_norm(x.square()).flatten(), y.flatten()])
assert torch.corrcoef(both)[0, 1] < 0.995
turned = F.instance_norm(x.rot90(1, (2, 3)), eps=1e-8)
assert torch.allclose(turned, y.rot90(1, (2, 3)), atol=1e-4)
assert gaps["turned"] > 0.5

# claim: bias-in-front-is-idle
assert conv.bias.grad.abs().max() < 1e-3 * conv.weight.grad.abs().max()
with torch.no_grad():
    before = F.instance_norm(conv(x))
    conv.bias += 7
    assert torch.allclose(F.instance_norm(conv(x)), before, atol=1e-3)

# claim: instance-norm-out-of-batch-norm
assert torch.allclose(reshaped, F.instance_norm(maps), atol=1e-5)
