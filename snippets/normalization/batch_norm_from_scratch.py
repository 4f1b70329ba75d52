# ---
# timeout: 600
# data: fashion_mnist
# ---
# %% function
import copy
import io
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from reglab.batch_norm import BatchNorm as LibraryBatchNorm
from reglab.data import images

torch.set_num_threads(1)


def batch_norm(
    x,
    running_mean,
    running_var,
    weight,
    bias,
    training,
    momentum=0.1,
    eps=1e-5,
):
    per_channel = (1, -1, *[1] * (x.dim() - 2))  # (1, C) or (1, C, 1, 1)
    if training:
        # All axes but the channels: (N, C) over N, (N, C, H, W) over N, H
        # and W.
        over = (0, *range(2, x.dim()))
        num = x.numel() // x.shape[1]
        if num < 2:
            raise ValueError("one value a channel has no variance")
        mean = x.mean(over)  # (C,)
        var = x.var(over, correction=0)  # divides by num
        with torch.no_grad():  # a record, not a part of the graph
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(var * num / (num - 1), momentum)  # unbiased
    else:
        mean, var = running_mean, running_var
    std = torch.sqrt(var + eps)
    x_hat = (x - mean.view(per_channel)) / std.view(per_channel)
    return x_hat * weight.view(per_channel) + bias.view(per_channel)


# %% layer
class BatchNorm(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))  # gamma
        self.bias = nn.Parameter(torch.zeros(num_features))  # beta
        # State without a gradient: saved, loaded and moved with the layer.
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.num_batches_tracked += 1
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,  # what train() and eval() have set
            self.momentum,
            self.eps,
        )


# %% check_scratch
def everything(layer, x, upstream):
    # Output, gradients of the input and the parameters, buffers.
    leaf = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(leaf)
    y.backward(upstream)
    gradients = [parameter.grad for parameter in layer.parameters()]
    return [y, leaf.grad, *gradients, *layer.buffers()]


def all_close(one, other, **tolerance):
    return all(torch.allclose(a, b, **tolerance) for a, b in zip(one, other, strict=True))


layers_of_torch = {
    (6, 4): nn.BatchNorm1d,
    (6, 4, 5): nn.BatchNorm1d,
    (6, 4, 5, 3): nn.BatchNorm2d,
    (6, 4, 5, 3, 2): nn.BatchNorm3d,
}
torch.manual_seed(0)
for shape, layer_of_torch in layers_of_torch.items():
    theirs = layer_of_torch(4).double()
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    for ours in (BatchNorm(4).double(), LibraryBatchNorm(4).double()):
        ours.load_state_dict(theirs.state_dict())
        other = copy.deepcopy(theirs)
        for training in (True, True, False, True):
            x, upstream = 1e4 + torch.randn(shape).double(), torch.randn(shape).double()
            found, expected = (everything(layer.train(training), x, upstream) for layer in (ours, other))
            # claim: scratch-equals-torch
            assert all_close(found, expected, atol=1e-7)
        # claim: states-can-be-exchanged
        assert list(ours.state_dict()) == list(other.state_dict())
        fresh = layer_of_torch(4).double()
        fresh.load_state_dict(ours.state_dict())
        assert torch.allclose(fresh.eval()(x), ours.eval()(x), atol=1e-7)

# claim: batch-of-one-raises
for layer in (BatchNorm(4), LibraryBatchNorm(4), nn.BatchNorm1d(4)):
    try:
        layer(torch.randn(1, 4))
        raised = False
    except ValueError:
        raised = True
    assert raised

# claim: buffers-keep-no-graph
layer = BatchNorm(4)
layer(torch.randn(6, 4, requires_grad=True))
assert not any(buffer.requires_grad for buffer in layer.buffers())

# %% pixels
torch.manual_seed(0)
feature_maps = 5 + 2 * torch.randn(8, 3, 6, 6)  # 8 pictures, 3 channels
table = feature_maps.movedim(1, -1).reshape(-1, 3)  # a row for each pixel
num_rows = len(table)

layer = BatchNorm(3, momentum=1.0)  # records the batch as it is
with torch.no_grad():
    normalized = layer(feature_maps)
by_channel = normalized.mean((0, 2, 3))
of_one_pixel = normalized[0, :, 2, 3].mean()
print(f"the table has {num_rows} rows and {table.shape[1]} columns")
print("mean of each column   ", table.mean(0).numpy().round(3))
print("mean that BN subtracts", layer.running_mean.numpy().round(3))
print("behind BN, by channel ", by_channel.abs().numpy().round(3))
print(f"behind BN, one pixel   {of_one_pixel:.3f}")

# %% check_pixels
# claim: pixels-are-samples
assert num_rows == 8 * 6 * 6
as_table = BatchNorm(3)(table).reshape(8, 6, 6, 3).movedim(-1, 1)
assert torch.allclose(as_table, normalized, atol=1e-5)

# claim: statistics-are-of-one-channel
assert torch.allclose(layer.running_mean, feature_maps.mean((0, 2, 3)), atol=1e-5)
assert normalized.mean((0, 2, 3)).abs().max() < 1e-5
assert normalized.mean(1).abs().max() > 0.5

# claim: not-one-for-each-pixel
mean = feature_maps.mean((0, 2, 3), keepdim=True)
assert mean.shape == (1, 3, 1, 1)
assert mean.numel() == layer.running_mean.numel() == 3
assert feature_maps.mean(0, keepdim=True).numel() == 3 * 6 * 6

# claim: a-row-vector-has-one-axis
assert table.mean(dim=0).shape == (3,)
assert table.mean(dim=0, keepdim=True).shape == (1, 3)

# claim: gamma-is-a-standard-deviation
with torch.no_grad():
    layer.weight.copy_(torch.tensor([0.5, 2.0, -3.0]))
    layer.bias.copy_(torch.tensor([7.0, -1.0, 0.0]))
shifted = layer(feature_maps)
assert torch.allclose(shifted.mean((0, 2, 3)), layer.bias, atol=1e-4)
assert torch.allclose(shifted.std((0, 2, 3), correction=0), layer.weight.abs(), atol=1e-4)

# %% running
num_batches, small_batch, num_copies, true_var = 400, 16, 500, 4.0


def recorded(layer):
    # Each channel is an experiment of its own: the same law, other numbers.
    torch.manual_seed(1)
    history = []
    for _ in range(num_batches):
        layer(3 + math.sqrt(true_var) * torch.randn(small_batch, num_copies))
        history.append(layer.running_var.clone())
    return torch.stack(history)  # (batches, copies)


class Biased(nn.Module):
    # What the post records: the variance that divides by N.
    def __init__(self):
        super().__init__()
        self.running_var = torch.ones(num_copies)

    def forward(self, x):
        var = x.var(0, correction=0)
        self.running_var = 0.9 * self.running_var + 0.1 * var


with torch.no_grad():
    kept = {
        m: recorded(nn.BatchNorm1d(num_copies, momentum=m))
        for m in (0.1, 0.9, None)  # the last is the plain average
    }
    biased = recorded(Biased())[-1].mean().item()
    unbiased = kept[0.1][-1].mean().item()

sd_of_one_batch = true_var * math.sqrt(2 / (small_batch - 1))
theory = {m: sd_of_one_batch * math.sqrt(m / (2 - m)) for m in (0.1, 0.9)}
theory[None] = sd_of_one_batch / math.sqrt(num_batches)
spread = {m: history[-1].std().item() for m, history in kept.items()}
spread_small, theory_small = spread[0.1], theory[0.1]
spread_large = spread[0.9]
print("momentum   spread of running_var   theory")
for m in kept:
    print(f"{m!s:8} {spread[m]:22.3f} {theory[m]:8.3f}")

# %% running_curves
fig, ax = plt.subplots(figsize=(5.6, 3.4))
batches = range(1, num_batches + 1, 4)
for m, color, name in ((0.1, "C1", "momentum 0.1"), (None, "C0", "momentum None")):
    low, high = kept[m][::4].quantile(torch.tensor([0.05, 0.95]), dim=1)
    ax.fill_between(batches, low, high, color=color, alpha=0.2)
    ax.plot(batches, kept[m][::4, 0], color=color, label=name)
ax.axhline(true_var, color="black", linestyle=":", label="true variance")
ax.set_ylim(0, 6)
ax.set_xlabel("batch")
ax.set_ylabel("running variance")
ax.legend(loc="lower right")

# %% check_running
# claim: running-variance-keeps-fluctuating
early_batch = num_batches // 4
early, late = (kept[0.1][batch - 1].std().item() for batch in (early_batch, num_batches))
assert 0.85 < late / early < 1.15
assert abs(spread[0.1] / theory[0.1] - 1) < 0.15

# claim: plain-average-settles
assert spread[None] < spread[0.1] / 3
assert abs(spread[None] / theory[None] - 1) < 0.2

# claim: momentum-means-the-opposite
x = torch.randn(32, 4) + 2
layer = BatchNorm(4, momentum=0.1)
layer(x)
posts_mean = 0.9 * torch.zeros(4) + (1 - 0.9) * x.mean(0)
assert torch.allclose(layer.running_mean, posts_mean, atol=1e-6)

# claim: nine-tenths-is-nearly-one-batch
assert spread[0.9] > 0.8 * sd_of_one_batch
assert spread[0.9] > 3 * spread[0.1]

# claim: biased-variance-is-too-small
assert abs(unbiased / true_var - 1) < 0.02
assert abs(biased / true_var - (1 - 1 / small_batch)) < 0.02


# %% lenet
def lenet(norm2d=None, norm1d=None):
    def norm(layer, num_features):
        return [layer(num_features)] if layer else []

    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5),
        *norm(norm2d, 6),
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        *norm(norm2d, 16),
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 120),
        *norm(norm1d, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        *norm(norm1d, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )


def xavier(layer):
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)


# %% shapes
shape_table = []


def record(layer, inputs, output):
    num = sum(parameter.numel() for parameter in layer.parameters())
    shapes = tuple(inputs[0].shape), tuple(output.shape)
    shape_table.append((type(layer).__name__, *shapes, num))


net = lenet(BatchNorm, BatchNorm)
hooks = [layer.register_forward_hook(record) for layer in net]
net(torch.randn(2, 1, 28, 28))  # batch norm needs more than one picture
for hook in hooks:
    hook.remove()

print(" # layer      input           output          parameters")
for number, row in enumerate(shape_table, start=1):
    print("{:2d} {:10} {!s:15} {!s:15} {:10d}".format(number, *row))
num_parameters = sum(row[3] for row in shape_table)
num_flat = shape_table[8][2][1]
num_of_norms = sum(row[3] for row in shape_table if row[0] == "BatchNorm")
print(f"{num_parameters:54d}, {num_of_norms} of them in BatchNorm")

# %% check_shapes
# claim: sixteen-rows
assert len(shape_table) == 16
assert [row[2][1:] for row in shape_table if row[0] == "MaxPool2d"] == [(6, 12, 12), (16, 4, 4)]
assert [row[2] for row in shape_table if row[0] == "Flatten"] == [(2, 256)]
assert all(row[1] == row[2] for row in shape_table if row[0] in ("BatchNorm", "Sigmoid"))

# claim: not-behind-every-layer
weighted = [index for index, row in enumerate(shape_table) if row[0] in ("Conv2d", "Linear")]
followed = [index for index in weighted if index + 1 < 16 and shape_table[index + 1][0] == "BatchNorm"]
assert (len(weighted), len(followed)) == (5, 4)
assert shape_table[-1][0] == "Linear"

# claim: few-parameters
assert num_of_norms == 2 * (6 + 16 + 120 + 84)
assert num_of_norms < 0.02 * num_parameters

# %% data
num_train, num_test, batch_size = 10_240, 1000, 256
train_set, test_set = images(num_train=num_train, num_test=num_test, seed=0)
source = train_set.source
steps_an_epoch = num_train // batch_size
full_steps = 10 * math.ceil(60_000 / batch_size)  # the post's ten epochs


def pool_first(net):
    # Sigmoid rises, so the largest of four sigmoids is the sigmoid of the
    # largest: pooling first gives the same with a quarter of the sigmoids.
    layers = list(net)
    for index, (one, two) in enumerate(itertools.pairwise(layers)):
        if isinstance(one, nn.Sigmoid) and isinstance(two, nn.MaxPool2d):
            layers[index : index + 2] = [two, one]
    return nn.Sequential(*layers)


def make_net(seed, normalized, norm2d=nn.BatchNorm2d, norm1d=nn.BatchNorm1d):
    # Norm layers draw no random numbers: same seed, same weights.
    torch.manual_seed(seed)
    net = lenet(norm2d, norm1d) if normalized else lenet()
    return pool_first(net.apply(xavier))


# %% train
def train(net, lr, num_steps, seed, watch=None):
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    # Of the order of the pictures.
    generator = torch.Generator().manual_seed(seed)
    losses = []
    while len(losses) < num_steps:
        order = torch.randperm(num_train, generator=generator)
        for indices in order.split(batch_size)[: num_steps - len(losses)]:
            x = train_set.images[indices].to(net[0].weight.dtype)
            loss = F.cross_entropy(net(x), train_set.labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if watch is not None:
                watch(net, len(losses))
    return torch.tensor(losses, dtype=torch.double)


@torch.no_grad()
def accuracy(net, data=test_set):
    was_training = net.training
    guesses = net.eval()(data.images).argmax(1)
    net.train(was_training)
    return (guesses == data.labels).float().mean().item()


@torch.no_grad()
def measured_again(net, num_batches=4):
    # The same weights, with statistics taken from training pictures just now.
    net = copy.deepcopy(net).train()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain average
    for pictures in train_set.images.split(batch_size)[:num_batches]:
        net(pictures)
    return net


# %% ten_seeds
post_lr, num_steps, long_steps, num_long, every = 1.0, 100, 400, 3, 10
seeds = range(10)
num_seeds = len(seeds)
watched = list(range(every, num_steps + 1, every))
normed_nets, normed_losses, plain_losses = [], [], []
scores = {"running": [], "again": []}  # (seeds, times)

for seed in seeds:
    running, again = [], []

    def watch(net, step, running=running, again=again):
        if step % every == 0:
            running.append(accuracy(net))
            again.append(accuracy(measured_again(net)))

    net = make_net(seed, normalized=True)
    normed_losses.append(train(net, post_lr, num_steps, seed, watch))
    normed_nets.append(net)
    scores["running"].append(running)
    scores["again"].append(again)

    net = make_net(seed, normalized=False)
    # The first few go on until they have left the plateau.
    its_steps = long_steps if seed < num_long else num_steps
    plain_losses.append(train(net, post_lr, its_steps, seed))

scores = {name: torch.tensor(values) for name, values in scores.items()}
normed_curves = torch.stack(normed_losses)  # (seeds, steps)
plain_curves = torch.stack([losses[:num_steps] for losses in plain_losses])
long_curves = torch.stack(plain_losses[:num_long])
last = slice(num_steps - every, num_steps)
normed_last = normed_curves[:, last].mean(1)
plain_last = plain_curves[:, last].mean(1)
lower_wins = int((normed_last < plain_last).sum())
# Guessing among ten classes costs ln 10; a loss below 2 has left that behind.
guessing = math.log(10)


def first_below_2(losses):
    below = (losses < 2).nonzero()
    return int(below[0]) + 1 if len(below) else len(losses) + 1


normed_leaves = [first_below_2(losses) for losses in normed_losses]
plain_leaves = [first_below_2(losses) for losses in plain_losses]
slowest_normed = max(normed_leaves)
num_left = sum(leaves <= long_steps for leaves in plain_leaves[:num_long])
earliest = min(plain_leaves[:num_long])
long_last = long_curves[:, -every:].mean(1)

# %% losses
fig, ax = plt.subplots(figsize=(5.6, 3.6))


def band(ax, curves, color, width, **style):
    # Means of a few steps each, over seeds: median, smallest and largest.
    means = curves.unflatten(1, (-1, width)).mean(2)
    steps = [width * index + width / 2 for index in range(means.shape[1])]
    ax.fill_between(steps, *means.aminmax(dim=0), color=color, alpha=0.2)
    ax.plot(steps, means.median(0).values, color=color, **style)


band(ax, long_curves, "C1", 5, label="without batch norm", linestyle="--")
band(ax, normed_curves, "C0", 5, label="with batch norm")
ax.axhline(guessing, color="black", linestyle=":", label="guessing")
ax.set_ylim(0, 2.7)
ax.set_xlabel("step")
ax.set_ylabel("training loss")
ax.legend(loc="lower right")

# %% rates
rates, rate_steps, rate_seeds = (0.1, 1.0, 10.0), 30, 5


def curves_at(lr, normalized):
    if lr == post_lr:  # trained above
        curves = normed_curves if normalized else plain_curves
        return curves[:rate_seeds, :rate_steps]
    losses = [
        train(make_net(seed, normalized), lr, rate_steps, seed)
        for seed in range(rate_seeds)  # from the same weights at every rate
    ]
    return torch.stack(losses)


with_norm = {lr: curves_at(lr, normalized=True) for lr in rates}
without = {lr: curves_at(lr, normalized=False) for lr in rates}
print("loss over the last ten steps, smallest and largest of the seeds")
print("learning rate   with batch norm   without")
for lr in rates:
    row = f"{lr:13}"
    for curves in (with_norm, without):
        low, high = curves[lr][:, -10:].mean(1).aminmax()
        row += f"{low:9.2f} to {high:.2f}"
    print(row)

# %% rate_curves
fig, axes = plt.subplots(1, 3, figsize=(5.6, 3.0), sharey=True)
for ax, lr in zip(axes, rates, strict=True):
    band(ax, without[lr], "C1", 2, linestyle="--", label="without batch norm")
    band(ax, with_norm[lr], "C0", 2, label="with batch norm")
    ax.set_title(f"learning rate {lr:g}", fontsize=10)
    ax.set_ylim(0, 4)
    ax.set_xlabel("step")
axes[0].set_ylabel("training loss")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_training
# claim: same-start
for seed in (0, 1):
    normed, plain = make_net(seed, normalized=True), make_net(seed, normalized=False)
    one = [layer.weight for layer in normed if isinstance(layer, nn.Conv2d | nn.Linear)]
    two = [layer.weight for layer in plain if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))

# claim: pooling-first-changes-nothing
torch.manual_seed(0)
net = lenet().apply(xavier)
assert torch.allclose(net(test_set.images[:50]), pool_first(net)(test_set.images[:50]), atol=1e-6)

# claim: lower-on-every-seed
highest_normed, lowest_plain = normed_last.max().item(), plain_last.min().item()
assert num_seeds == 10
assert lower_wins == num_seeds
assert highest_normed < 1
assert lowest_plain > 2.2

# claim: plateau-without
assert slowest_normed <= 15
assert min(plain_leaves) > num_steps
assert earliest > 10 * slowest_normed

# claim: longer-without-is-still-worse
assert long_last.min() > normed_last.max()

# claim: learns-at-all-rates-with
assert all((with_norm[lr][:, -10:].mean(1) < 2.2).all() for lr in rates)

# claim: at-no-rate-without
assert all((without[lr][:, -10:].mean(1) > 2.2).all() for lr in rates)

# claim: posts-settings
assert (post_lr, batch_size, full_steps) == (1.0, 256, 2350)


# %% signal
def signal(net):
    # How much the outputs differ from picture to picture, before training.
    with torch.no_grad():
        return net(train_set.images[:batch_size]).std(0).mean().item()


signals = [
    (signal(make_net(seed, True)), signal(make_net(seed, False)))
    for seed in seeds  # with and without batch norm
]
signal_with, signal_without = torch.tensor(signals).mean(0).tolist()
print(f"outputs differ by {signal_with:.4f} with batch norm,")
print(f"and by {signal_without:.4f} without")

# %% score_curves
fig, ax = plt.subplots(figsize=(5.6, 3.4))
for name, color, line, label in (
    ("again", "C0", "-", "statistics measured again"),
    ("running", "C1", "--", "running statistics"),
):
    ax.fill_between(watched, *scores[name].aminmax(dim=0), color=color, alpha=0.2)
    middle = scores[name].median(0).values
    ax.plot(watched, middle, color=color, linestyle=line, marker="o", label=label)
ax.set_ylim(0, 1)
ax.set_xlabel("step")
ax.set_ylabel("test accuracy")
ax.legend(loc="lower right")

# %% last_batch
sizes, draws = (16, 96, 256), 3  # 16 are left over of 10,000, 96 of 60,000


def one_more_step(net, size, draw):
    net = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(100 + draw)
    indices = torch.randperm(num_train, generator=generator)[:size]
    optimizer = torch.optim.SGD(net.parameters(), lr=post_lr)
    outputs = net(train_set.images[indices])
    F.cross_entropy(outputs, train_set.labels[indices]).backward()
    optimizer.step()
    return accuracy(net)


scores_before = torch.tensor([accuracy(net) for net in normed_nets])
before = scores_before.mean().item()
after = {
    size: torch.tensor(
        [
            [one_more_step(net, size, draw) for draw in range(draws)]
            for net in normed_nets  # (nets, draws)
        ]
    )
    for size in sizes
}
after_16 = after[16].mean().item()
print(f"test accuracy after {num_steps} steps: {before:.3f}")
for size in sizes:
    print(f"after one more with {size:3d} pictures: {after[size].mean():.3f}")

# %% check_scores
gap = (scores["again"] - scores["running"])[:, 1:].mean(1)  # from the second look on
first_running, first_again = (scores[name][:, 0].median().item() for name in scores)
swings = {name: values[:, 4:].diff(dim=1).abs().mean().item() for name, values in scores.items()}

# claim: signal-is-larger-with
assert all(with_ > 3 * without_ for with_, without_ in signals)

# claim: running-statistics-lag
assert (gap > 0.02).all()
assert first_running < 0.3
assert first_again > first_running + 0.15

# claim: running-score-swings
assert swings["running"] > 1.5 * swings["again"]

# claim: small-last-batch-ruins-the-score
lowered = after[16].mean(1) < scores_before
num_lowered = int(lowered.sum())
assert num_lowered >= 9
assert after_16 < before - 0.1
assert after[16].mean() < after[96].mean() < after[256].mean()

# %% same_training
twin_steps = 20
twin_losses, twins = {}, {}
for name, norms in (
    ("ours", (BatchNorm, BatchNorm)),
    ("torch's", (nn.BatchNorm2d, nn.BatchNorm1d)),
):
    net = make_net(0, True, *norms).double()
    twin_losses[name] = train(net, post_lr, twin_steps, seed=0)
    twins[name] = net

apart = (twin_losses["ours"] - twin_losses["torch's"]).abs().max().item()
print("step     ours  torch's")
for step in (1, 2, 5, 10, 20):
    pair = (losses[step - 1] for losses in twin_losses.values())
    print(f"{step:4d}", *(f"{loss:8.4f}" for loss in pair))

# %% check_same_training
# claim: same-curve-as-torch
assert 0 < apart < 1e-6
ours, theirs = (twins[name].state_dict() for name in ("ours", "torch's"))
assert list(ours) == list(theirs)
assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)

# claim: trained-states-can-be-exchanged
swapped = make_net(1, True).double()
swapped.load_state_dict(ours)
x = test_set.images[:100].double()
assert torch.allclose(swapped.eval()(x), twins["ours"].eval()(x), atol=1e-6)


# %% trap_layer
class AsInThePost(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        # Attributes, not buffers.
        self.running_mean = torch.zeros(num_features)
        self.running_var = torch.ones(num_features)

    def forward(self, x):
        per_channel = (1, -1, *[1] * (x.dim() - 2))
        mean, var = self.running_mean, self.running_var
        if torch.is_grad_enabled():  # not: if self.training
            over = (0, *range(2, x.dim()))
            mean, var = x.mean(over), x.var(over, correction=0)
            self.running_mean = (0.9 * self.running_mean + 0.1 * mean).data
            self.running_var = (0.9 * self.running_var + 0.1 * var).data
        std = torch.sqrt(var + 1e-5)
        x_hat = (x - mean.view(per_channel)) / std.view(per_channel)
        weight, bias = self.weight, self.bias
        return x_hat * weight.view(per_channel) + bias.view(per_channel)


def as_in_the_post(net):
    # The same trained net, with that layer in place of torch's.
    net = copy.deepcopy(net)
    for index, layer in enumerate(net):
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            net[index] = AsInThePost(layer.num_features)
            net[index].weight, net[index].bias = layer.weight, layer.bias
            net[index].running_mean = layer.running_mean.clone()
            net[index].running_var = layer.running_var.clone()
    return net.eval()


# %% trap_mode
trained = normed_nets[0]
right_score = accuracy(trained)
by_class = test_set.labels.argsort(stable=True)
as_drawn = torch.arange(num_test)
eval_sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
num_shown = 3


def evaluate(net, order, size):
    # No torch.no_grad(), as in the post; net.eval() has been called.
    hits = 0
    for indices in order.split(size):
        guesses = net(test_set.images[indices]).argmax(1)
        hits += (guesses == test_set.labels[indices]).sum().item()
    return hits / len(order)


def scores_over_sizes(order):
    nets = [as_in_the_post(net) for net in normed_nets[:num_shown]]
    found = [
        [evaluate(net, order, size) for net in nets]
        for size in eval_sizes  # (sizes, nets)
    ]
    return torch.tensor(found)


drawn_scores = scores_over_sizes(as_drawn)
class_scores = scores_over_sizes(by_class)
shown = normed_nets[:num_shown]
honest_scores = torch.tensor([accuracy(net) for net in shown])
for at in (0, 1, 4, 8):
    mixed, in_order = drawn_scores[at].mean(), class_scores[at].mean()
    size = eval_sizes[at]
    print(f"{size:4d} at a time: mixed {mixed:.3f}, sorted {in_order:.3f}")
print(f"running statistics: {honest_scores.mean():.3f}")

# %% trap_mode_curves
fig, ax = plt.subplots(figsize=(5.6, 3.4))
ax.axhline(honest_scores.mean(), color="black", linestyle=":", label="running statistics")
for found, color, marker, label in (
    (drawn_scores, "C0", "o", "by batch, pictures mixed"),
    (class_scores, "C1", "s", "by batch, sorted by class"),
):
    ax.fill_between(eval_sizes, *found.aminmax(dim=1), color=color, alpha=0.2)
    ax.plot(eval_sizes, found.mean(1), color=color, marker=marker, label=label)
ax.set_xscale("log", base=2)
ax.set_xticks([1, 4, 16, 64, 256, 1024], ["1", "4", "16", "64", "256", "1024"])
ax.set_ylim(0, 1)
ax.set_xlabel("pictures evaluated at a time")
ax.set_ylabel("test accuracy")
fig.legend(loc="outside upper center", ncols=2)

# %% trap_leak
boot = test_set.classes.index("Ankle boot")
boots = (test_set.labels == boot).nonzero()[:, 0]
leaked = []  # accuracy under no_grad, before and after a look at the test set
for net in normed_nets:
    wrong = as_in_the_post(net)
    row = [accuracy(wrong)]
    for order, size in ((as_drawn, 100), (boots, 4)):
        evaluate(wrong, order, size)  # we only wanted to know a score
        row.append(accuracy(wrong))
    leaked.append(row)
leaked = torch.tensor(leaked)
score_before, score_mixed, score_boots = leaked.mean(0).tolist()
print(f"before                        {score_before:.3f}")
print(f"evaluated on the test set     {score_mixed:.3f}")
print(f"and once more on ankle boots  {score_boots:.3f}")


# %% trap_save
def save_and_load(net, fresh):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file))
    return fresh


wrong = as_in_the_post(trained)
saved_wrong = accuracy(wrong)
fresh = make_net(1, normalized=True)
loaded_wrong = accuracy(save_and_load(wrong, as_in_the_post(fresh)))
loaded_right = accuracy(save_and_load(trained, fresh))
print("            names   before saving   after loading")
for name, net, saved, loaded in (
    ("attributes", wrong, saved_wrong, loaded_wrong),
    ("buffers", trained, right_score, loaded_right),
):
    num_names = len(net.state_dict())
    print(f"{name:10} {num_names:6d} {saved:15.3f} {loaded:15.3f}")

# %% check_traps
# claim: same-output-in-training
torch.manual_seed(0)
x = 3 + torch.randn(64, 4)
assert torch.allclose(AsInThePost(4)(x), BatchNorm(4)(x), atol=1e-5)

# claim: mode-by-gradients-leaves-eval-without-effect
wrong, x = as_in_the_post(trained), test_set.images[:64]
assert not wrong.training
assert torch.equal(wrong.eval()(x), wrong.train()(x))

# claim: score-depends-on-the-batch
assert abs(drawn_scores[0].mean() - 0.1) < 0.05
assert drawn_scores[1].mean() < drawn_scores[-1].mean() - 0.1
of_16 = class_scores[eval_sizes.index(16)]
sorted_score, honest_score = of_16.mean().item(), honest_scores.mean().item()
alone_score, pair_score, mixed_score = (drawn_scores[at].mean().item() for at in (0, 1, -1))
assert (of_16 < honest_scores - 0.3).all()

# claim: single-picture-gives-a-constant
wrong = as_in_the_post(trained)
alone = torch.cat([wrong(x[index : index + 1]) for index in range(8)])
assert (alone - alone[0]).abs().max() < 1e-5
with torch.no_grad():
    assert wrong(x[:8]).std(0).max() > 0.1

# claim: evaluating-leaks-test-data
leak_wins = int((leaked[:, 1] > leaked[:, 0]).sum())
assert (leaked[:, 1] != leaked[:, 0]).sum() >= 9
assert leak_wins >= 7
assert score_mixed > score_before + 0.01
assert score_boots < score_mixed - 0.05

# claim: evaluating-with-buffers-changes-nothing
net = copy.deepcopy(trained).eval()
net(test_set.images)  # with gradients, but in evaluation mode
assert all(torch.equal(a, b) for a, b in zip(net.buffers(), trained.buffers(), strict=True))

# claim: running-statistics-come-from-training
alone = torch.cat([net(x[index : index + 1]) for index in range(len(x))])
assert torch.allclose(alone, net(x), atol=1e-4)
backwards = net(x.flip(0)).flip(0)
assert torch.allclose(backwards, net(x), atol=1e-4)

# claim: no-grad-in-training-records-nothing
wrong = AsInThePost(4)
right = BatchNorm(4)
with torch.no_grad():
    wrong(3 + torch.randn(64, 4))
    right(3 + torch.randn(64, 4))
assert wrong.running_mean.abs().max() == 0
assert right.running_mean.min() > 0.1

# claim: checkpointing-goes-wrong
x = (3 + torch.randn(64, 4)).requires_grad_()
for layer, is_right in ((AsInThePost(4), False), (BatchNorm(4), True)):
    in_a_checkpoint = checkpoint(layer, x, use_reentrant=True)
    assert torch.allclose(in_a_checkpoint, layer(x), atol=1e-5) == is_right

# claim: attributes-are-not-saved
names = set(trained.state_dict()) - set(as_in_the_post(trained).state_dict())
assert len(names) == 4 * 3
assert loaded_wrong < 0.3
assert loaded_wrong < saved_wrong - 0.3
assert abs(saved_wrong - right_score) < 1e-6
assert loaded_right == right_score

# claim: buffers-move-by-themselves
layer, wrong = BatchNorm(4), AsInThePost(4)
assert not any(isinstance(buffer, nn.Parameter) for buffer in layer.buffers())
assert layer.to("meta").running_var.device.type == "meta"
assert wrong.to("meta").running_var.device.type == "cpu"

# claim: attributes-keep-their-dtype
assert BatchNorm(4).double().running_var.dtype == torch.float64
assert AsInThePost(4).double().running_var.dtype == torch.float32

# claim: statistics-change-at-every-step
layer = BatchNorm(4)
old_mean, old_weight = layer.running_mean.clone(), layer.weight.clone()
layer(3 + torch.randn(64, 4)).square().sum().backward()
assert not torch.equal(layer.running_mean, old_mean)  # the forward pass did it
assert torch.equal(layer.weight, old_weight)  # that takes an optimizer

# claim: without-data-the-graph-grows
kept_mean = torch.zeros(4)
weight = torch.ones(4, requires_grad=True)
for _ in range(3):
    kept_mean = 0.9 * kept_mean + 0.1 * (weight * torch.randn(64, 4)).mean(0)
assert kept_mean.requires_grad
links, node = 0, kept_mean.grad_fn
while node is not None and (node := node.next_functions[0][0]) is not None:
    links += 1
assert links == 2 * (3 - 1)  # all three batches are still attached


# %% solution_fold
def folded(conv, norm):
    # conv, then norm in evaluation mode, as one convolution.
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    one = copy.deepcopy(conv)
    with torch.no_grad():
        one.weight *= factor.view(-1, *[1] * (conv.weight.dim() - 1))
        one.bias.copy_((conv.bias - norm.running_mean) * factor + norm.bias)
    return one


net, layers = copy.deepcopy(trained).eval(), []
for layer in net:
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        layers[-1] = folded(layers[-1], layer)
    else:
        layers.append(layer)
short_net = nn.Sequential(*layers)
with torch.no_grad():
    difference = short_net(test_set.images) - net(test_set.images)
difference = difference.abs().max().item()
print(f"{len(net)} layers became {len(short_net)}")
print(f"outputs differ by at most {difference:.0e}")
assert difference < 1e-3
assert not any("BatchNorm" in type(layer).__name__ for layer in short_net)

# %% solution_merge
torch.manual_seed(0)
x = (1e4 + torch.randn(1000, 3)).float()
parts = x[:300], x[300:]  # as two devices would hold them


def merge(a, b):
    # Means and variances of two parts, without a second look at the data.
    share = len(b) / (len(a) + len(b))
    delta = b.mean(0) - a.mean(0)
    mean = a.mean(0) + share * delta
    var_a, var_b = (part.var(0, correction=0) for part in (a, b))
    within = (1 - share) * var_a + share * var_b
    return mean, within + share * (1 - share) * delta.square()


mean, var = merge(*parts)
exact = x.double().var(0, correction=0)
short_cut = sum(p.square().sum(0) for p in parts) / 1000 - x.mean(0).square()
print("true variance       ", exact.numpy().round(4))
print("merged              ", var.numpy().round(4))
print("E[x²] - E[x]² merged", short_cut.numpy().round(4))
assert torch.allclose(var.double(), exact, rtol=1e-3)
assert (short_cut - exact).abs().max() > 0.3

# %% solution_two
torch.manual_seed(0)
layer = BatchNorm(5)
pairs = layer(100 * torch.randn(2, 5)).detach()
print(pairs.numpy().round(3))
assert torch.allclose(pairs.abs(), torch.ones(2, 5), atol=1e-3)

# %% solution_start
alpha = 0.1
batches_needed = next(k for k in range(1000) if (1 - alpha) ** k < 0.01)
layer = BatchNorm(1, momentum=alpha)
with torch.no_grad():
    for _ in range(batches_needed):
        layer(1 + torch.tensor([[-1.0], [1.0]]))  # always mean 1
reached = layer.running_mean.item()
print(f"after {batches_needed} batches running_mean is {reached:.4f}")
assert abs(reached - 1) < 0.01
assert batches_needed == math.ceil(math.log(0.01) / math.log(1 - alpha))
