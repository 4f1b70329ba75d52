# ---
# timeout: 400
# data: fashion_mnist
# ---

# %% scratch
import copy
import inspect
import math
from functools import partial

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab import group_norm as library
from reglab.data import images, standardize
from reglab.stacked_cnn import StackedCNN

torch.set_num_threads(1)


class GroupNorm(nn.Module):
    def __init__(self, num_groups, num_channels, eps=1e-5):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError("num_groups must divide num_channels")
        self.num_groups, self.eps = num_groups, eps
        self.weight = nn.Parameter(torch.ones(num_channels))  # gamma
        self.bias = nn.Parameter(torch.zeros(num_channels))  # beta

    def forward(self, x):  # (N, C, H, W)
        # Neighbouring channels make a row: (N, G, C/G * H * W).
        groups = x.reshape(x.shape[0], self.num_groups, -1)
        mean = groups.mean(2, keepdim=True)
        variance = groups.var(2, keepdim=True, correction=0)
        x_hat = (groups - mean) / torch.sqrt(variance + self.eps)
        gamma, beta = self.weight.view(-1, 1, 1), self.bias.view(-1, 1, 1)
        return x_hat.view(x.shape) * gamma + beta


# %% check_scratch
def results(layer, x, upstream):
    # Output and gradients.
    leaf = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(leaf)
    y.backward(upstream)
    return [y, leaf.grad, layer.weight.grad, layer.bias.grad]


# claim: scratch-equals-torch
torch.manual_seed(0)
for num_samples in (6, 1):
    x, upstream = 2 + torch.randn(2, num_samples, 8, 3, 5).double()
    for num_groups in (1, 2, 4, 8):
        for training in (True, False):
            theirs = nn.GroupNorm(num_groups, 8).double().train(training)
            nn.init.normal_(theirs.weight)
            nn.init.normal_(theirs.bias)
            for kind in (GroupNorm, library.GroupNorm):
                ours = kind(num_groups, 8).double().train(training)
                ours.load_state_dict(theirs.state_dict())
                found = [results(layer, x, upstream) for layer in (ours, theirs)]
                for mine, other in zip(*found, strict=True):
                    assert torch.allclose(mine, other, atol=1e-10)

# claim: far-from-zero
far = 1e4 + torch.randn(6, 8, 16, 16)
exact = F.group_norm(far.double(), 2)
for y in (library.group_norm(far, 2), F.group_norm(far, 2)):
    assert (y - exact).abs().max() < 0.005

# claim: gradient-formula
x, upstream = torch.randn(2, 6, 8, 3, 5).double()
gamma = torch.randn(8).double()
g = (upstream * gamma[:, None, None]).view(6, 2, -1)
variance = x.view(6, 2, -1).var(2, keepdim=True, correction=0)
for eps in (0.1, 1e-5, 0.0):
    leaf = x.clone().requires_grad_()
    F.group_norm(leaf, 2, weight=gamma, eps=eps).backward(upstream)
    x_hat = F.group_norm(x, 2, eps=eps).view(6, 2, -1)
    mean_g, mean_gx = g.mean(2, keepdim=True), (g * x_hat).mean(2, keepdim=True)
    by_formula = (g - mean_g - x_hat * mean_gx) / torch.sqrt(variance + eps)
    assert torch.allclose(leaf.grad.view(6, 2, -1), by_formula, atol=1e-10)

# claim: no-modes-and-no-buffers
for layer in (nn.GroupNorm(2, 8), nn.LayerNorm([8, 3, 5]), nn.InstanceNorm2d(8)):
    assert not list(layer.buffers())
    assert torch.equal(layer.train()(x.float()), layer.eval()(x.float()))

# %% by_hand
torch.manual_seed(0)
feature_maps = torch.randn(2, 4, 3, 3)  # batch, channels, height, width
num_groups = 2
rows = feature_maps.reshape(2, num_groups, -1)
means, variances = rows.mean(2), rows.var(2, correction=0)
print("means: a row for each sample, a column for each group")
print(means)
print("variances")
print(variances)

value = feature_maps[1, 2, 0, 1]  # channel 2 is in the second group
by_hand = (value - means[1, 1]) / torch.sqrt(variances[1, 1] + 1e-5)
layer = nn.GroupNorm(num_groups, 4)
output = layer(feature_maps)
print(f"\nthe entry [1, 2, 0, 1] is {value:.4f}")
print(f"by hand {by_hand:.4f}, by torch {output[1, 2, 0, 1]:.4f}")

# %% post_example
steps = torch.arange(1.0, 5).view(4, 1, 1).expand(4, 2, 2)  # 1, 2, 3, 4
constant = torch.stack([steps, 2 * steps])  # (2, 4, 2, 2)
post_layer = nn.GroupNorm(2, 4)
post_output = post_layer(constant)
print("weight:", post_layer.weight.shape)
for sample in post_output:
    print("a number for each channel:", sample[:, 0, 0].detach())

# %% counts
print("input             groups  statistics  numbers in each  γ")
counts = {}
for shape, groups in (
    ((2, 4, 3, 3), 2),
    ((2, 4, 3, 3), 4),
    ((20, 64, 32, 32), 8),
):
    x = torch.randn(shape)
    layer = nn.GroupNorm(groups, shape[1])
    behind = layer(x).reshape(shape[0], groups, -1)
    # Each mean that was subtracted leaves one mean of 0.
    statistics = (behind.mean(2).abs() < 1e-5).sum().item()
    each, gammas = x.numel() // statistics, layer.weight.numel()
    counts[shape, groups] = statistics, each, gammas
    line = f"{shape!s:17} {groups:6d} {statistics:11d} {each:16d}"
    print(line, f"{gammas:2d}")

# %% check_by_hand
# claim: as-many-statistics-as-samples-times-groups
assert means.shape == variances.shape == (2, 2)
assert torch.isclose(by_hand, output[1, 2, 0, 1], atol=1e-5)
assert output.reshape(2, 2, -1).mean(2).abs().max() < 1e-5
assert output.mean((2, 3)).abs().min() > 1e-3  # single channels have no mean 0
assert counts[(2, 4, 3, 3), 2][0] == 2 * 2
assert counts[(2, 4, 3, 3), 4][0] == 2 * 4 != 2 * (4 // 4)
assert counts[(20, 64, 32, 32), 8] == (160, 8192, 64)
for (shape, groups), (statistics, each, gammas) in counts.items():
    y = nn.GroupNorm(groups, shape[1])(5 + torch.randn(shape))
    assert y.shape == shape and gammas == shape[1]
    in_rows = y.reshape(shape[0], groups, -1)
    assert in_rows.shape == (shape[0], groups, each)
    assert in_rows.mean(2).abs().max() < 1e-5
    assert in_rows.mean(2).numel() == statistics
    first_part = in_rows[..., : each // 2].mean(2)  # parts have no mean of 0
    assert first_part.abs().max() > 0.01

# claim: affine-is-per-channel
assert nn.GroupNorm(2, 4).weight.shape == nn.GroupNorm(2, 4).bias.shape == (4,)
assert nn.GroupNorm(8, 64).weight.shape == (64,)

# claim: the-posts-code-has-another-shape
assert post_output.shape == (2, 4, 2, 2)
assert output.shape == (2, 4, 3, 3)

# claim: constants-hide-the-groups
expected = torch.tensor([-1.0, 1, -1, 1]).view(4, 1, 1)
assert (post_output - expected).abs().max() < 1e-3
assert (post_output.abs() < 1).all()
# Twice the numbers, almost the same output: which sample it was does not show.
assert (post_output[0] - post_output[1]).abs().max() < 1e-4

# claim: signature-of-today
signature = inspect.signature(nn.GroupNorm).parameters
first_four = ["num_groups", "num_channels", "eps", "affine"]
assert list(signature) == [*first_four, "device", "dtype", "bias"]
for name in first_four[:2]:
    assert signature[name].default is inspect.Parameter.empty
assert (signature["eps"].default, signature["affine"].default) == (1e-5, True)
assert signature["bias"].default is True
assert signature["bias"].kind is inspect.Parameter.KEYWORD_ONLY

# %% identities
torch.manual_seed(0)
x = 3 + 2 * torch.randn(6, 8, 5, 5)
one_group = nn.GroupNorm(1, 8)
whole_sample = nn.LayerNorm([8, 5, 5])
each_channel = nn.GroupNorm(8, 8)
instance_norm = nn.InstanceNorm2d(8)  # affine is off by default
for name, one, other in (
    ("G = 1, layer norm", one_group, whole_sample),
    ("G = C, instance norm", each_channel, instance_norm),
):
    gap = (one(x) - other(x)).abs().max()
    print(f"{name:20} gap {gap:.0e}")
print("γ of layer norm:", tuple(whole_sample.weight.shape))
print("γ of group norm:", tuple(one_group.weight.shape))

# %% check_identities
# claim: one-group-is-layer-norm-without-affine
assert torch.allclose(F.group_norm(x, 1), F.layer_norm(x, [8, 5, 5]), atol=1e-5)
for num_groups in (2, 4, 8):
    gap = F.group_norm(x, num_groups) - F.layer_norm(x, [8, 5, 5])
    assert gap.abs().max() > 0.01

# claim: as-many-groups-as-channels-is-instance-norm
assert torch.allclose(F.group_norm(x, 8), F.instance_norm(x), atol=1e-5)

# claim: affine-shapes-differ
gamma, beta = torch.randn(8), torch.randn(8)
spread = [values.view(8, 1, 1).expand(8, 5, 5) for values in (gamma, beta)]
by_group = F.group_norm(x, 1, gamma, beta)
assert torch.allclose(by_group, F.layer_norm(x, [8, 5, 5], *spread), atol=1e-5)


def message(make):
    try:
        make()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


state = whole_sample.state_dict()
assert "size mismatch" in message(lambda: one_group.load_state_dict(state))
affine_instance = nn.InstanceNorm2d(8, affine=True)
assert not message(lambda: each_channel.load_state_dict(affine_instance.state_dict()))

# claim: never-batch-norm
for num_groups in (1, 2, 4, 8):
    alone = F.group_norm(x[:1], num_groups)
    assert torch.allclose(F.group_norm(x, num_groups)[:1], alone, atol=1e-5)
    gap = F.group_norm(x, num_groups) - F.batch_norm(x, None, None, training=True)
    assert gap.abs().max() > 0.01

# %% noise
train, test = images(num_train=1280, num_test=1000, seed=0)
num_train, data_source = len(train), train.source
train_images = standardize(train.images, train=train.images)
test_images = standardize(test.images, train=train.images)

torch.manual_seed(0)
conv, linear = nn.Conv2d(1, 16, 5, stride=2), nn.Linear(28 * 28, 16)
with torch.no_grad():
    features = {
        "maps of 12×12": conv(train_images),
        "vectors": linear(train_images.flatten(1))[..., None, None],
    }
batch_sizes, num_pictures, num_draws = [2, 4, 8, 16, 32, 64, 128], 5, 40


def noise(values, size, norm):
    # How much the output for one picture varies with the rest of its batch.
    generator = torch.Generator().manual_seed(size)
    spreads = []
    for picture in values[:num_pictures].split(1):
        outputs = []
        for _ in range(num_draws):
            drawn = torch.randperm(len(values), generator=generator)
            batch = torch.cat([picture, values[drawn[: size - 1]]])
            outputs.append(norm(batch)[0])
        spreads.append(torch.stack(outputs).std(0).mean())
    return torch.stack(spreads).mean().item()


def batch_norm(batch):
    return F.batch_norm(batch, None, None, training=True)


def group_norm(batch):
    return F.group_norm(batch, num_groups=4)


batch_noise = {}
for name, values in features.items():
    batch_noise[name] = [noise(values, n, batch_norm) for n in batch_sizes]
vectors = features["vectors"]
group_noise = [noise(vectors, n, group_norm) for n in batch_sizes]

# %% noise_figure
fig, ax = plt.subplots(figsize=(5.6, 3.4))
ax.plot(
    batch_sizes,
    batch_noise["vectors"],
    color="C1",
    linestyle="--",
    marker="s",
    label="batch norm, vectors",
)
ax.plot(
    batch_sizes,
    batch_noise["maps of 12×12"],
    color="C1",
    marker="o",
    label="batch norm, maps",
)
ax.plot(batch_sizes, group_noise, color="C0", marker="o", label="group norm")
ax.set_xscale("log", base=2)
ax.set_xticks(batch_sizes, [str(size) for size in batch_sizes])
ax.minorticks_off()
ax.set_ylim(-0.02, None)
ax.set_xlabel("batch size")
ax.set_ylabel("spread of the output")
ax.legend()
noise_two = batch_noise["vectors"][0]

# %% check_noise
# claim: batch-norms-noise-falls-with-the-batch
for values in batch_noise.values():
    assert all(number > 2 * values[-1] for number in values[:3])

# claim: noise-is-like-one-over-the-root
for values in batch_noise.values():
    later = batch_sizes.index(8)
    slope = math.log(values[-1] / values[later]) / math.log(batch_sizes[-1] / 8)
    assert -0.65 < slope < -0.3

# claim: group-norm-has-none
for num_groups in (1, 4, 8):

    def norm(batch, num_groups=num_groups):
        return F.group_norm(batch, num_groups)

    for values in features.values():
        assert noise(values, 2, norm) < 1e-6
        assert noise(values, 32, norm) < 1e-6

# claim: not-because-it-has-more-numbers
maps = features["maps of 12×12"]
in_batch_norm = 2 * 12 * 12  # a batch of two
in_group_norm = 1 * 12 * 12  # sixteen groups of one channel
assert in_group_norm < in_batch_norm
assert noise(maps, 2, lambda batch: F.group_norm(batch, 16)) < 1e-6
assert noise(maps, 2, batch_norm) > 0.1


# %% nets
def make_net(norm, also_vectors):
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),  # 28×28 -> 12×12
        norm(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),  # -> 5×5
        norm(16),
        nn.ReLU(),
        nn.Conv2d(16, 64, 5),  # -> 1×1: a vector of 64 numbers
        norm(64) if also_vectors else nn.Identity(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def four_groups(num_channels):
    return nn.GroupNorm(4, num_channels)


# %% train
num_seeds, num_epochs = 10, 3
large, small = 32, 2  # batch sizes
lr_large, momentum = 0.05, 0.9


def fit(make, batch_size):
    nets = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)  # norms draw no numbers: equal weights
        nets.append(make())
    stack = StackedCNN(nets)  # all seeds' nets, computed side by side
    # The learning rate in proportion to the batch, and down to 0.
    lr = lr_large * batch_size / large
    optimizer = torch.optim.SGD(stack.parameters(), lr, momentum)
    num_steps = num_epochs * math.ceil(num_train / batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, num_steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_epochs):
        # Each seed shuffles for itself, in the same way for every norm.
        order = torch.rand(num_seeds, num_train, generator=generator)
        for chosen in order.argsort(dim=1).split(batch_size, dim=1):
            scores = stack(train_images[chosen]).flatten(0, 1)
            loss = F.cross_entropy(scores, train.labels[chosen].flatten())
            optimizer.zero_grad()
            # The sum over seeds gives each net the gradient of its loss.
            (num_seeds * loss).backward()
            optimizer.step()
            schedule.step()
    return stack.eval()


@torch.no_grad()
def accuracy(stack):
    scores = stack(test_images.expand(num_seeds, *test_images.shape))
    return (scores.argmax(-1) == test.labels).double().mean(1)  # (seeds,)


# %% small_batches
norms = {"batch norm": nn.BatchNorm2d, "group norm": four_groups}
stacks, accuracies = {}, {}
print("                batch  maps   maps and vectors")
for name, norm in norms.items():
    for size in (large, small):
        for also_vectors in (False, True):
            run = name, size, also_vectors
            stacks[run] = fit(partial(make_net, norm, also_vectors), size)
            accuracies[run] = accuracy(stacks[run])
        few = accuracies[name, size, False].mean()
        more = accuracies[name, size, True].mean()
        print(f"{name:15} {size:5d}  {few:.3f}  {more:.3f}")

# %% small_batches_figure
fig, ax = plt.subplots(figsize=(5.6, 3.4))
jitter = torch.linspace(-0.12, 0.12, num_seeds)
rows = [(name, size) for name in norms for size in (large, small)]
for also_vectors, color, marker, label in (
    (False, "C2", "s", "norms behind maps only"),
    (True, "C1", "o", "behind the vector as well"),
):
    for row, (name, size) in enumerate(rows):
        place = row + jitter + (0.17 if also_vectors else -0.17)
        shown = label if row == 0 else None
        values = accuracies[name, size, also_vectors]
        ax.plot(values, place, marker, color=color, markersize=4.5, label=shown)
ax.set_yticks(
    range(4),
    [
        "batch norm,\nbatches of 32",
        "batch norm,\nbatches of 2",
        "group norm,\nbatches of 32",
        "group norm,\nbatches of 2",
    ],
)
ax.invert_yaxis()
ax.set_xlabel("test accuracy")
ax.legend(loc="lower left")

bn_32, bn_2 = (accuracies["batch norm", n, True].mean().item() for n in (32, 2))
gn_32, gn_2 = (accuracies["group norm", n, True].mean().item() for n in (32, 2))
maps_32, maps_2 = (accuracies["batch norm", n, False].mean().item() for n in (32, 2))
won = accuracies["batch norm", 32, True] > accuracies["group norm", 32, True]
bn_wins = won.sum().item()

# %% pair
torch.manual_seed(0)
two_vectors = torch.randn(2, 6)
torch.set_printoptions(precision=2, sci_mode=False)
print("before\n", two_vectors)
print("behind batch norm\n", nn.BatchNorm1d(6)(two_vectors).detach())
print("behind group norm\n", F.group_norm(two_vectors, 2))

# %% precise
# Would better running statistics rescue what was trained on batches of 2?
rescued = stacks["batch norm", 2, True]
for layer in rescued.modules():
    if isinstance(layer, nn.BatchNorm2d):
        layer.reset_running_stats()
        layer.momentum = None  # average over all batches that follow
rescued.train()
with torch.no_grad():
    for part in train_images.split(500):
        rescued(part.expand(num_seeds, *part.shape))
precise_2 = accuracy(rescued.eval()).mean().item()
print(f"running statistics       {bn_2:.3f}")
print(f"of all training pictures {precise_2:.3f}")

# %% check_small_batches
# claim: batch-norm-fails-on-pairs
drop = accuracies["batch norm", 32, True] - accuracies["batch norm", 2, True]
assert (drop > 0.1).all()

# claim: group-norm-does-not-care
change = accuracies["group norm", 2, True] - accuracies["group norm", 32, True]
assert change.mean() > -0.02
assert (accuracies["group norm", 2, True] > accuracies["batch norm", 2, True]).all()

# claim: maps-have-numbers-enough
change = accuracies["batch norm", 2, False] - accuracies["batch norm", 32, False]
assert change.mean() > -0.02

# claim: batch-norm-is-no-worse-with-large-batches
assert bn_32 > gn_32 - 0.01
assert bn_wins >= num_seeds / 2

# claim: two-numbers-become-plus-and-minus-one
behind = F.batch_norm(torch.randn(2, 500), None, None, training=True)
assert (behind.abs() > 0.99).float().mean() > 0.8
assert torch.allclose(behind[0], -behind[1], atol=1e-3)

# claim: better-statistics-do-not-rescue-it
assert precise_2 < bn_32 - 0.1

# %% groups
group_counts = [1, 2, 4, 8, 16]


def make_grouped(num_groups):
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),  # -> 12×12
        nn.GroupNorm(num_groups, 16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2),  # -> 5×5
        nn.GroupNorm(num_groups, 16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 10),
    )


grouped = {n: fit(partial(make_grouped, n), large) for n in group_counts}
by_groups = torch.stack([accuracy(stack) for stack in grouped.values()])

# %% groups_figure
fig, ax = plt.subplots(figsize=(5.6, 3.2))
places = list(range(len(group_counts)))
ax.plot(places, by_groups.mean(1), color="C0", marker="o")
low, high = by_groups.aminmax(dim=1)
ax.fill_between(places, low, high, color="C0", alpha=0.2)
names = ["1\nlayer norm", "2", "4", "8", "16\ninstance norm"]
ax.set_xticks(places, names)
ax.set_xlabel("number of groups, of 16 channels")
ax.set_ylabel("test accuracy")
group_means = by_groups.mean(1).tolist()
worst_mean, best_mean = min(group_means), max(group_means)
group_range = best_mean - worst_mean
best_groups = group_counts[by_groups.mean(1).argmax().item()]

# %% check_groups
# claim: number-of-groups-matters-little
assert group_range < 0.08
assert group_means[group_counts.index(best_groups)] == max(group_means)

# claim: same-initial-weights
weights = []
for make in (
    partial(make_grouped, 1),
    partial(make_grouped, 16),
    partial(make_net, nn.BatchNorm2d, True),
    partial(make_net, four_groups, True),
):
    torch.manual_seed(0)
    weights.append([p for p in make().parameters() if p.dim() > 1])
for one, other in (weights[:2], weights[2:]):
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

# %% order
# Eight channels whose standard deviations are 1, 2, 4, …, 128.
torch.manual_seed(0)
sizes = 2.0 ** torch.arange(8)
ordered = sizes.view(8, 1, 1) * torch.randn(16, 8, 12, 12)
orders = {
    "ordered": torch.arange(8),
    "every fourth": torch.tensor([0, 4, 1, 5, 2, 6, 3, 7]),
}
behind = {}
for name, order in orders.items():
    y = F.group_norm(ordered[:, order], num_groups=4)
    back = order.argsort()
    behind[name] = y[:, back].std((0, 2, 3))  # in the order of the sizes

# %% order_figure
fig, ax = plt.subplots(figsize=(5.6, 3))
for (name, values), color, marker in zip(behind.items(), ("C0", "C1"), ("o", "s"), strict=True):
    label = "neighbours together" if name == "ordered" else "distant ones together"
    ax.plot(range(8), values, color=color, marker=marker, label=label)
ax.set_xticks(range(8), [f"{size:.0f}" for size in sizes.tolist()])
ax.set_xlabel("size of the channel before")
ax.set_ylabel("size behind group norm")
ax.set_ylim(0, 1.6)
ax.legend(loc="lower right")


# %% shuffle
class Shuffled(nn.Module):
    # A trained group norm that forms its groups from other channels.
    def __init__(self, norm, order):
        super().__init__()
        self.norm, self.order = norm, order

    def forward(self, x):  # (n, nets * channels, h, w)
        nets = x.unflatten(1, (num_seeds, len(self.order)))
        shuffled = nets[:, :, self.order].flatten(1, 2)
        y = F.group_norm(shuffled, self.norm.num_groups, eps=self.norm.eps)
        nets = y.unflatten(1, (num_seeds, len(self.order)))
        y = nets[:, :, self.order.argsort()].flatten(1, 2)
        gamma, beta = self.norm.weight, self.norm.bias
        return y * gamma.view(-1, 1, 1) + beta.view(-1, 1, 1)


four = grouped[4]
trained_norm = four.layers[4]  # the second one
generator = torch.Generator().manual_seed(0)
whole_groups = torch.tensor([2, 0, 3, 1]).repeat_interleave(4) * 4
whole_groups += torch.arange(4).repeat(4)
shuffles = {
    "as trained": [torch.arange(16)],
    "whole groups": [whole_groups],
    "single channels": [],
}
for _ in range(10):
    order = torch.randperm(16, generator=generator)
    shuffles["single channels"].append(order)
shuffled_accuracy = {}
for name, chosen in shuffles.items():
    found = []
    for order in chosen:
        four.layers[4] = Shuffled(trained_norm, order)
        found.append(accuracy(four))
    shuffled_accuracy[name] = torch.stack(found).mean(0)  # (seeds,)
    print(f"{name:15} {shuffled_accuracy[name].mean():.3f}")
four.layers[4] = trained_norm
as_trained = shuffled_accuracy["as trained"].mean().item()
when_shuffled = shuffled_accuracy["single channels"].mean().item()

# %% check_order
# claim: neighbours-of-one-size-are-levelled
assert behind["ordered"].min() > 0.5
assert behind["ordered"].max() < 1.5

# claim: distant-ones-keep-their-difference
assert (behind["every fourth"][:4] < 0.2).all()
assert (behind["every fourth"][4:] > 1.2).all()

# claim: whole-groups-may-move
gap = shuffled_accuracy["whole groups"] - shuffled_accuracy["as trained"]
assert gap.abs().max() < 0.003
z = torch.randn(6, 16, 5, 5)
moved = F.group_norm(z[:, whole_groups], 4)
assert torch.allclose(moved, F.group_norm(z, 4)[:, whole_groups], atol=1e-5)

# claim: other-groups-cost-a-little
lost = shuffled_accuracy["as trained"] - shuffled_accuracy["single channels"]
assert (lost > 0).double().mean() >= 0.7
assert 0.002 < lost.mean() < 0.06

# %% trap_divide
for groups, channels in ((32, 48), (64, 32)):
    try:
        nn.GroupNorm(groups, channels)
    except ValueError as error:
        print(error)
groups = math.gcd(32, 48)  # at most 32, and divides 48
print(nn.GroupNorm(groups, 48))

# %% trap_single
vectors = torch.randn(5, 16)  # what a linear layer returns
nothing = nn.GroupNorm(16, 16)(vectors)
something = nn.GroupNorm(4, 16)(vectors)
print(f"16 groups: at most {nothing.abs().max():.4f}")
print(f" 4 groups: at most {something.abs().max():.4f}")
try:
    nn.GroupNorm(16, 16)(vectors[:1])
except ValueError as error:
    print(error)

# %% trap_sequences
sequence = torch.randn(1, 8, 10)  # batch, channels, length
padded = F.pad(sequence, (0, 10))  # ten zeros behind it
for name, norm in (
    ("GroupNorm(1, 8)", nn.GroupNorm(1, 8)),
    ("LayerNorm(8)", lambda x: nn.LayerNorm(8)(x.mT).mT),
):
    gap = (norm(padded)[..., :10] - norm(sequence)).abs().max().item()
    print(f"{name:15} changed by at most {gap:.3f}")

# %% trap_no_batch
picture = torch.randn(4, 8, 8)  # one picture of 4 channels, no batch
silent = nn.GroupNorm(2, 4, affine=False)(picture)
right = nn.GroupNorm(2, 4, affine=False)(picture[None])[0]
print(f"affine=False: wrong by up to {(silent - right).abs().max():.2f}")

# %% check_traps
# claim: what-does-not-divide-raises
for g, c in ((32, 48), (64, 32), (3, 4)):
    assert "must be divisible by" in message(lambda g=g, c=c: nn.GroupNorm(g, c))
assert not message(lambda: nn.GroupNorm(2, 4))  # 2 divides 4, and not 4 divides 2
assert not message(lambda: nn.GroupNorm(4, 8))
assert message(lambda: nn.GroupNorm(8, 4))

# claim: a-single-number-becomes-nothing
assert nothing.abs().max() < 1e-3
assert "Expected more than 1 value" in message(lambda: nn.GroupNorm(16, 16)(vectors[:1]))

# claim: one-group-is-not-the-layer-norm-of-transformers
by_group = F.group_norm(padded, 1)[..., :10] - F.group_norm(sequence, 1)
assert by_group.abs().max() > 0.1
by_position = F.layer_norm(padded.mT, [8]).mT[..., :10]
assert torch.allclose(by_position, F.layer_norm(sequence.mT, [8]).mT)

# claim: no-batch-is-not-noticed
assert "Expected weight" in message(lambda: nn.GroupNorm(2, 4)(picture))
assert (silent - right).abs().max() > 0.1
as_batch = F.group_norm(picture, 2)  # 4 samples of 8 channels
assert torch.equal(silent, as_batch)

# %% solution_count
x, counted = torch.randn(20, 64, 32, 32), {}
for groups in (1, 8, 64):
    in_rows = F.group_norm(x, groups).reshape(20, groups, -1)
    means = in_rows.mean(2)
    statistics = (means.abs() < 1e-5).sum().item()
    counted[groups] = statistics, each = statistics, in_rows.shape[2]
    print(f"{groups:2d} groups: {statistics:4d} means of {each:5d} numbers")

# %% solution_bias
torch.manual_seed(0)
pictures = torch.randn(8, 3, 12, 12)
bias_share, sum_share = {}, {}
for groups in (16, 4, 1):
    conv = nn.Conv2d(3, 16, 3)
    F.group_norm(conv(pictures), groups).pow(3).mean().backward()
    of_weight = conv.weight.grad.abs().max()
    in_groups = conv.bias.grad.view(groups, -1).sum(1)
    bias_share[groups] = (conv.bias.grad.abs().max() / of_weight).item()
    sum_share[groups] = (in_groups.abs().max() / of_weight).item()
    print(f"{groups:2d} groups: bias {bias_share[groups]:.4f}", end="")
    print(f" times the weight's gradient, sum {sum_share[groups]:.4f}")


# %% solution_convert
def to_group_norm(net, num_groups):
    for name, child in net.named_children():
        if isinstance(child, nn.BatchNorm2d):
            groups = math.gcd(num_groups, child.num_features)
            norm = nn.GroupNorm(groups, child.num_features, child.eps)
            norm.weight, norm.bias = child.weight, child.bias
            setattr(net, name, norm)
        else:
            to_group_norm(child, num_groups)
    return net


net = nn.Sequential(
    nn.Conv2d(3, 24, 3),
    nn.BatchNorm2d(24),
    nn.Sequential(nn.ReLU(), nn.Conv2d(24, 16, 3), nn.BatchNorm2d(16)),
)
for _ in range(100):  # running statistics that fit the weights
    net(torch.randn(32, 3, 12, 12))
most_groups, converted = 32, to_group_norm(copy.deepcopy(net), 32)
print(converted)
conversion_gaps = {}
for mode in (True, False):
    before, after = net.train(mode)(pictures), converted.train(mode)(pictures)
    gap = (after - before).std() / before.std()
    conversion_gaps["train()" if mode else "eval()"] = gap.item()
for mode, gap in conversion_gaps.items():
    print(f"{mode:8} the outputs differ by {gap:.0%} of their spread")

# %% check_solutions
# claim: means-times-numbers-is-the-size
assert counted == {1: (20, 65536), 8: (160, 8192), 64: (1280, 1024)}
for groups, (statistics, each) in counted.items():
    assert statistics == 20 * groups and each == 64 // groups * 32 * 32
    assert statistics * each == x.numel()

# claim: only-the-common-part-of-biases-is-lost
assert bias_share[16] < 1e-3
assert bias_share[4] > 1e-3 and bias_share[1] > 1e-3
assert all(share < 1e-3 for share in sum_share.values())

# claim: conversion-changes-the-outputs
assert not any(isinstance(layer, nn.BatchNorm2d) for layer in converted.modules())
kept = zip(converted.parameters(), net.parameters(), strict=True)
assert all(torch.equal(a, b) for a, b in kept)
assert converted(pictures[:1]).shape == (1, 16, 8, 8)
assert all(gap > 0.02 for gap in conversion_gaps.values())
