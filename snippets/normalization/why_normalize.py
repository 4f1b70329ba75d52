# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% scratch
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab.data import images, standardize
from reglab.signal_propagation import (
    batch_norm_relu_std,
    log_rms_walk,
    probe,
    relu_cosine,
    relu_gain,
)

torch.set_num_threads(1)
width, depth, batch_size = 256, 100, 16


def make_layers(init=None, *, batch_norm=False, depth=depth):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        if init is not None:  # otherwise torch's default stays
            init(linear.weight)
        norm = [nn.BatchNorm1d(width)] if batch_norm else []
        layers.append(nn.Sequential(linear, *norm, nn.ReLU()))
    return layers


def sizes(layers, x, upstream):
    h, outputs = x, []
    for layer in layers:
        h = layer(h)
        outputs.append(h)
    gradients = torch.autograd.grad(h, outputs, upstream)
    rms = [h.square().mean().sqrt().item() for h in outputs]
    return rms, [g.square().mean().sqrt().item() for g in gradients]


# %% check_scratch
# claim: scratch-equals-library
torch.manual_seed(0)
layers = [layer.double() for layer in make_layers(batch_norm=True, depth=5)]
x, upstream = torch.randn(2, batch_size, width).double()
signal = probe(layers, x, upstream)
forward_sizes, backward_sizes = sizes(layers, x, upstream)
assert torch.allclose(torch.tensor(forward_sizes).double(), signal.rms)
assert torch.allclose(torch.tensor(backward_sizes).double(), signal.gradient)

# claim: gain-by-hand
weight = nn.Linear(width, width, bias=False).weight
limit = 1 / math.sqrt(width)
assert weight.abs().max() <= limit
assert abs(weight.var() * 3 * width - 1) < 0.05  # U(-a, a) has the variance a²/3
default_gain = relu_gain(math.sqrt(1 / (3 * width)), width)
normal_gain = relu_gain(1.0, width)
assert math.isclose(default_gain, math.sqrt(1 / 6))
assert math.isclose(normal_gain, math.sqrt(width / 2))
assert math.isclose(relu_gain(math.sqrt(2 / width), width), 1)

# %% signals
num_seeds = 20
kinds = {
    "default": {},
    "N(0, 1)": {"init": nn.init.normal_},
    "Kaiming": {"init": nn.init.kaiming_normal_},
    "batch norm": {"batch_norm": True},
}


def measure(kind, seed):
    torch.manual_seed(seed)
    # In double precision, where nothing overflows or underflows.
    layers = [layer.double() for layer in make_layers(**kinds[kind])]
    x, upstream = torch.randn(2, batch_size, width).double()
    found = probe(layers, x, upstream)
    return torch.stack([found.rms, found.gradient, found.std, found.cosine])


seeds = range(num_seeds)
# (seeds, 4, layers): rms, gradient, std, cosine
signals = {k: torch.stack([measure(k, s) for s in seeds]) for k in kinds}

print("size of the signal (rms), median over the seeds")
print("layer     " + "".join(f"{layer:>10}" for layer in (1, 10, 50, 100)))
for kind, found in signals.items():
    at = found[:, 0].median(0).values[[0, 9, 49, 99]].tolist()
    print(f"{kind:10}" + "".join(f"{value:10.2g}" for value in at))
print("size of the gradient, likewise")
for kind, found in signals.items():
    at = found[:, 1].median(0).values[[0, 9, 49, 99]].tolist()
    print(f"{kind:10}" + "".join(f"{value:10.2g}" for value in at))

# %% hundred_layers
float32 = torch.finfo(torch.float32)
float32_max, float32_min = float32.max, float32.tiny
ends_and_middle = torch.tensor([0.0, 0.5, 1.0]).double()
numbers = torch.arange(1, depth + 1)
fig, (above, below) = plt.subplots(2, figsize=(5.6, 6.4), sharex=True)
looks = dict(zip(kinds, ("C0-", "C1-", "C2-", "C3--"), strict=True))
for kind, look in looks.items():
    found, color, line = signals[kind], look[:2], look[2:]
    for ax, row in ((above, 0), (below, 1)):
        low, middle, high = found[:, row].quantile(ends_and_middle, dim=0)
        ax.plot(numbers, middle, color=color, linestyle=line, label=kind)
        ax.fill_between(numbers, low, high, color=color, alpha=0.25)
# Of the gradient, for large batches.
bn_gain = math.sqrt(math.pi / (math.pi - 1))
for gain in (default_gain, normal_gain):
    there, back = gain ** numbers.double(), gain ** (depth - numbers).double()
    above.plot(numbers, there, color="black", linestyle=":", lw=1)
    below.plot(numbers, back, color="black", linestyle=":", lw=1)
for ax in (above, below):
    ax.axhspan(float32_min, float32_max, color="C4", alpha=0.12)
    ax.set_yscale("log")
    ax.set_ylim(1e-45, 1e110)
    ax.set_yticks([1e-40, 1, 1e40, 1e80])
above.text(99, 1e30, "range of float32", ha="right")
above.set_ylabel("size of the signal")
below.set_ylabel("size of the gradient")
below.set_xlabel("layer")
above.legend(loc="upper left")

# %% check_signals
per_layer = {}  # by what factor a layer changes signal and gradient, for each seed
for kind, found in signals.items():
    forward = (found[:, 0, -1] / found[:, 0, 0]) ** (1 / (depth - 1))
    backward = (found[:, 1, 0] / found[:, 1, -1]) ** (1 / (depth - 1))
    per_layer[kind] = forward, backward
bn_growth = per_layer["batch norm"][1].mean().item()
bn_times = signals["batch norm"][:, 1, 0].median().item()
default_end = signals["default"][:, 0, -1].median().item()
normal_end = signals["N(0, 1)"][:, 0, -1].median().item()

# claim: default-shrinks-both-ways
for factor in per_layer["default"]:
    assert (factor / default_gain - 1).abs().max() < 0.03
assert (signals["default"][:, 0, -1] < float32_min).all()

# claim: normal-grows-both-ways
for factor in per_layer["N(0, 1)"]:
    assert (factor / normal_gain - 1).abs().max() < 0.03
assert (signals["N(0, 1)"][:, 0, -1] > 1e60 * float32_max).all()

# claim: kaiming-keeps-the-order
for row in (0, 1):
    assert signals["Kaiming"][:, row].min() > 0.02
    assert signals["Kaiming"][:, row].max() < 20

# claim: batch-norm-forward-is-steady
assert (signals["batch norm"][:, 0] - math.sqrt(0.5)).abs().max() < 0.03

# claim: batch-norm-gradient-explodes
assert (signals["batch norm"][:, 1, 0] > 1e8).all()
for kind in ("default", "Kaiming"):
    assert (signals[kind][:, 1, 0] < 20).all()

# claim: gradient-largest-near-the-data
backward_bn = signals["batch norm"][:, 1]
assert (backward_bn.argmax(1) < 3).all()
assert (backward_bn[:, 0] > 1e6 * backward_bn[:, -1]).all()

# claim: normal-is-kaiming-rescaled
torch.manual_seed(0)
layers = [layer.double() for layer in make_layers(nn.init.normal_, depth=10)]
x, upstream = torch.randn(2, batch_size, width).double()
wild = probe(layers, x, upstream)
for layer in layers:
    layer[0].weight.data *= math.sqrt(2 / width)
tame = probe(layers, x, upstream)
powers = math.sqrt(width / 2) ** torch.arange(1, 11).double()
assert torch.allclose(wild.rms, tame.rms * powers)
assert torch.allclose(wild.cosine, tame.cosine)

# %% first_nan
nan_seeds = 30


@torch.no_grad()
def until_std_is_nan(seed):
    torch.manual_seed(seed)
    layers = make_layers(nn.init.normal_, depth=45)  # float32, as usual
    x, history = torch.randn(batch_size, width), []
    for number, layer in enumerate(layers, 1):
        x = layer(x)
        std = x.std()
        num_inf, num_nan = x.isinf().sum().item(), x.isnan().sum().item()
        history.append((number, std.item(), num_inf, num_nan))
        if std.isnan():  # the post's test
            return history
    return history


histories = [until_std_is_nan(seed) for seed in range(nan_seeds)]
print("layer       std  inf  nan   of", batch_size * width)
for number, std, num_inf, num_nan in histories[0][-4:]:
    print(f"{number:5d} {std:9.2g} {num_inf:4d} {num_nan:4d}")
nan_layers = [history[-1][0] for history in histories]
nan_first, nan_last = min(nan_layers), max(nan_layers)
num_without_nan = sum(history[-1][3] == 0 for history in histories)
overflow_layer = math.log(float32_max) / math.log(normal_gain)

# %% check_first_nan
# claim: nan-after-three-dozen-layers
assert all(abs(number - overflow_layer) < 3 for number in nan_layers)

# claim: the-alarm-rings-at-inf
assert all(history[-1][2] + history[-1][3] > 0 for history in histories)
assert num_without_nan >= 3
assert all(history[-2][2] == history[-2][3] == 0 for history in histories)

# claim: std-of-inf-is-nan
assert torch.tensor([1.0, 2.0, math.inf]).std().isnan()
assert (torch.tensor(math.inf) - torch.tensor(math.inf)).isnan()

# %% intervals
num_nets = 200


@torch.no_grad()
def first_outside(seed, low, high, **options):
    # The first layer whose std is outside; None if all are inside.
    torch.manual_seed(seed)
    x = torch.randn(batch_size, width)
    for number in range(1, depth + 1):
        (layer,) = make_layers(depth=1, **options)
        x = layer(x)
        if not low <= x.std() <= high:
            return number
    return None


inside, half_out = {}, {}
for kind, low, high in (("Kaiming", 0.6, 0.9), ("batch norm", 0.58, 0.59)):
    options = kinds[kind]
    exits = [first_outside(s, low, high, **options) for s in range(num_nets)]
    left = sorted(number for number in exits if number is not None)
    inside[kind] = num_nets - len(left)
    half_out[kind] = left[len(left) // 2]
    print(f"{kind}: {inside[kind]} of {num_nets} nets stay in [{low}, {high}];")
    print(f"  half of those that leave are out by layer {half_out[kind]}")


# %% walk
@torch.no_grad()
def log_size(seed):
    torch.manual_seed(seed)
    x = torch.randn(batch_size, width)
    weight = torch.empty(width, width)
    for _ in range(depth):
        x = F.relu(x @ nn.init.kaiming_normal_(weight).T)
    return x.square().mean().sqrt().log()


ends = torch.tensor([log_size(seed) for seed in range(num_nets)])
walk_mean, walk_std = log_rms_walk(depth, width)
kaiming_low, kaiming_high = signals["Kaiming"][:, 2, -1].aminmax()
kaiming_low, kaiming_high = kaiming_low.item(), kaiming_high.item()
bn_low, bn_high = signals["batch norm"][:, 2].aminmax()
bn_low, bn_high = bn_low.item(), bn_high.item()
bn_std = signals["batch norm"][:, 2].mean().item()
bn_theory, bn_limit = batch_norm_relu_std(batch_size), batch_norm_relu_std()
print(f"log of the rms behind layer {depth}")
print(f"  measured          {ends.mean():.2f} ± {ends.std():.2f}")
print(f"  as a random walk  {walk_mean:.2f} ± {walk_std:.2f}")
print("std behind batch norm and ReLU")
print(f"  measured          {bn_std:.4f}")
print(f"  theory            {bn_theory:.4f}, for large batches {bn_limit:.4f}")

cosines_theory, c = [], 0.0
for _ in range(depth):
    c = relu_cosine(c)
    cosines_theory.append(c)
bn_cosine_theory = relu_cosine(-1 / (batch_size - 1))
kaiming_cosine = signals["Kaiming"][:, 3, -1].mean().item()
bn_cosine = signals["batch norm"][:, 3].mean().item()

# %% std_and_cosine
every = slice(0, None, 4)
fig, (above, below) = plt.subplots(2, figsize=(5.6, 6), sharex=True)
for ax, row in ((above, 2), (below, 3)):
    for kind in ("Kaiming", "batch norm"):
        color, line = looks[kind][:2], looks[kind][2:]
        found = signals[kind][:, row]
        low, middle, high = found.quantile(ends_and_middle, dim=0)
        ax.plot(numbers, middle, color=color, linestyle=line, label=kind)
        ax.fill_between(numbers, low, high, color=color, alpha=0.2)
name = "the post's interval for Kaiming"
above.axhspan(0.6, 0.9, color="C1", alpha=0.25, label=name)
# The median of a lognormal, times what the ReLU leaves of the rms.
left_over = math.sqrt(1 - 1 / math.pi)
median = [left_over * math.exp(log_rms_walk(n, width)[0]) for n in numbers]
above.plot(numbers[every], median[every], "k.", ms=5, label="theory")
above.set_yscale("log")
above.set_ylim(0.08, 30)
above.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
above.minorticks_off()
above.set_ylabel("std about the mean")
above.legend(loc="upper left")
below.plot(numbers[every], cosines_theory[every], "k.", ms=5)
level = torch.full_like(numbers[every], bn_cosine_theory, dtype=torch.double)
below.plot(numbers[every], level, "k.", ms=5, label="theory")
below.set_ylim(0, 1.05)
below.set_ylabel("cosine of two samples")
below.set_xlabel("layer")
below.legend(loc="center right")

# %% check_walk
# claim: kaiming-never-stays
assert inside["Kaiming"] == 0
assert half_out["Kaiming"] < 40

# claim: batch-norm-never-stays-either
assert inside["batch norm"] == 0
assert half_out["batch norm"] <= 3
assert bn_low < 0.575 < 0.585 < bn_high

# claim: kaiming-is-a-random-walk
assert abs(ends.mean() - walk_mean) < 0.25
assert 0.75 < ends.std() / walk_std < 1.25
early = signals["Kaiming"][:, 0, 9].log().std()
assert ends.std() > 1.5 * early  # the spread grows with depth

# claim: std-behind-batch-norm
assert abs(bn_std - bn_theory) < 0.003
assert bn_low > 0.54
assert bn_high < 0.62

# claim: std-is-smaller-than-rms
for kind in ("Kaiming", "batch norm"):
    shrink = signals[kind][:, 2] / signals[kind][:, 0]
    assert abs(shrink.mean() - math.sqrt(1 - 1 / math.pi)) < 0.02
    assert (shrink - math.sqrt(1 - 1 / math.pi)).abs().max() < 0.15

# claim: samples-become-collinear
assert (signals["Kaiming"][:, 3, -1] > 0.95).all()
drift = signals["Kaiming"][:, 3].mean(0) - torch.tensor(cosines_theory)
assert drift.abs().max() < 0.05

# claim: batch-norm-keeps-them-apart
assert (signals["batch norm"][:, 3] < 0.35).all()
assert (signals["batch norm"][:, 3].mean(0) - bn_cosine_theory).abs().max() < 0.02

# %% spread_of_a_unit
spread_seeds = 10


@torch.no_grad()
def spreads(kind, seed):
    torch.manual_seed(seed)
    h = torch.randn(batch_size, width)
    for layer in make_layers(**kinds[kind]):
        h = layer(h)
    within = h.var(0, correction=0).mean().sqrt()  # of a unit
    return [h.square().mean().sqrt().item(), h.std().item(), within.item()]


print(f"behind layer {depth}    rms    std   std of a unit over the batch")
unit_share = {}
for kind in ("Kaiming", "batch norm"):
    found = torch.tensor([spreads(kind, s) for s in range(spread_seeds)])
    rms, std, within = found.median(0).values.tolist()
    unit_share[kind] = found[:, 2] / found[:, 1]
    print(f"{kind:16} {rms:6.3f} {std:6.3f} {within:6.3f}")
kaiming_share = unit_share["Kaiming"].mean().item()

# %% check_spread
# claim: std-hides-the-collapse
assert (unit_share["Kaiming"] < 0.5).all()
assert kaiming_share < 0.3
assert (unit_share["batch norm"] > 0.95).all()

# %% growth
growth_depth, growth_seeds = 20, 8


def growth(num_samples, seed):
    torch.manual_seed(seed)
    layers = make_layers(batch_norm=True, depth=growth_depth)
    x, upstream = torch.randn(2, num_samples, width)
    gradient = probe(layers, x, upstream).gradient
    return (gradient[2] / gradient[-6]) ** (1 / (growth_depth - 8))


batch_sizes = (4, 8, 16, 64, 256)
growths = torch.tensor(
    [[growth(b, seed) for seed in range(growth_seeds)] for b in batch_sizes],
)
print("batch   growth of the gradient per layer (rms)")
for b, found in zip(batch_sizes, growths, strict=True):
    print(f"{b:5d}   {found.mean():.3f} ± {found.std():.3f}")
print(f"theory for large batches: {bn_gain:.3f}")

# %% check_growth
# claim: growth-tends-to-the-theory
assert abs(growths[-1].mean() / bn_gain - 1) < 0.02
assert (growths[:-1].mean(1) > growths[1:].mean(1)).all()

# claim: rate-of-the-square
bn_square_gain = math.pi / (math.pi - 1)
assert (growths[-1] ** 2 / bn_square_gain - 1).abs().max() < 0.05
assert (growths[-1] - bn_square_gain).abs().min() > 0.2

# claim: batch-norm-is-scale-free
torch.manual_seed(0)
layer = make_layers(batch_norm=True, depth=1)[0].double()
layer[1].eps = 1e-12
x, upstream = torch.randn(2, batch_size, width).double()
before = layer(x)
(gradient,) = torch.autograd.grad(before, layer[0].weight, upstream)
assert (gradient * layer[0].weight).sum().abs() < 1e-8
layer[0].weight.data *= 10
after = layer(x)
(smaller,) = torch.autograd.grad(after, layer[0].weight, upstream)
assert torch.allclose(before, after)
assert torch.allclose(10 * smaller, gradient)

# %% data
train_set, test_set = images(num_train=2000, num_test=1000, seed=0)


def features(pictures):
    # 14×14 pixels, one column a picture: (196, pictures)
    standard = standardize(pictures.images, train=train_set.images)
    return F.avg_pool2d(standard, 2).flatten(1).T.contiguous()


x_train, x_test = features(train_set), features(test_set)
num_train, data_source = len(train_set), train_set.source
num_units, num_classes, net_batch = 32, 10, 32

# %% nets


def initial_weights(seed, num_hidden):
    # Kaiming's scale, but for the last layer, which has no ReLU behind it.
    generator = torch.Generator().manual_seed(seed)
    sizes = [len(x_train), *[num_units] * num_hidden, num_classes]
    weights = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        gain = 2 if i < num_hidden else 1
        draw = torch.randn(fan_out, fan_in, generator=generator)
        weights.append(draw * math.sqrt(gain / fan_in))
    return weights


class Nets(nn.Module):
    # Many nets side by side: activations are (nets, units, batch).
    def __init__(self, seeds, scales, *, num_hidden=8, norm="", noise=0):
        super().__init__()
        self.num, self.num_hidden = len(seeds), num_hidden
        self.norm, self.noise = norm, noise
        each = [initial_weights(seed, num_hidden) for seed in seeds]
        stacked = [torch.stack(same) for same in zip(*each, strict=True)]
        self.weights = nn.ParameterList(stacked)
        for weight in self.weights[:-1]:
            weight.data *= torch.tensor(scales).view(-1, 1, 1)
        biases = [torch.zeros(self.num, w.shape[1], 1) for w in stacked]
        self.biases = nn.ParameterList(biases)
        # To BatchNorm1d, every unit of every net is a channel of one sample.
        channels = self.num * num_units
        num_norms = num_hidden if norm else 0
        norms = [nn.BatchNorm1d(channels) for _ in range(num_norms)]
        self.norms = nn.ModuleList(norms)

    def normalize(self, i, h):
        y = self.norms[i](h.reshape(1, self.num * num_units, -1)).view_as(h)
        if self.noise and self.training:
            # One shift and one scale for each unit, new in every pass.
            uniform = 2 * torch.rand(2, self.num, num_units, 1) - 1
            shift, scale = self.noise * uniform
            y = (1 + scale / 2) * y + shift
        return y

    def forward(self, x, hidden=None):
        h = x
        for i in range(self.num_hidden):
            h = torch.baddbmm(self.biases[i], self.weights[i], h)
            h = self.normalize(i, h) if self.norm == "before" else h
            h = F.relu(h)
            h = self.normalize(i, h) if self.norm == "after" else h
            if hidden is not None:
                hidden.append(h)
        return torch.baddbmm(self.biases[-1], self.weights[-1], h)


# %% train
def cross_entropies(nets, x, labels):
    # The loss of each net; labels are (nets, batch).
    scores = nets(x)
    scores = scores.mT.flatten(0, 1)
    loss = F.cross_entropy(scores, labels.flatten(), reduction="none")
    return loss.view(labels.shape).mean(1)


@torch.no_grad()
def test_accuracy(nets):
    nets.eval()
    scores = nets(x_test.expand(nets.num, -1, -1))
    nets.train()
    return (scores.argmax(1) == test_set.labels).double().mean(1)


def train(nets, seeds, learning_rates, num_steps, each_step=None):
    new = torch.Generator
    generators = {seed: new().manual_seed(1000 + seed) for seed in set(seeds)}
    rates = torch.tensor(learning_rates).view(-1, 1)
    parameters, losses = list(nets.parameters()), []
    for step in range(num_steps):
        chosen = {
            # Nets with the same seed see the same pictures.
            seed: torch.randint(num_train, (net_batch,), generator=generator)
            for seed, generator in generators.items()
        }
        index = torch.stack([chosen[seed] for seed in seeds])
        x = x_train[:, index].transpose(0, 1)  # (nets, pixels, batch)
        loss = cross_entropies(nets, x, train_set.labels[index])
        # For each net, the sum of all losses has the gradient of its own.
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                rows = p.view(nets.num, -1)  # of one net each
                rows -= rates * g.view(nets.num, -1)
        losses.append(loss.detach())
        if each_step is not None:
            each_step(step, nets)
    return torch.stack(losses)


# %% grid
grid_seeds, grid_steps = 10, 100
scales = [0.25, 0.5, 1.0, 2.0, 4.0]
rates = [0.01, 0.04, 0.16, 0.64, 2.56]
runs = [(s, a, r) for a in scales for r in rates for s in range(grid_seeds)]
run_seeds, run_scales, run_rates = map(list, zip(*runs, strict=True))

accuracy = {}  # (scales, rates, seeds)
for name, norm in (("no norm", ""), ("batch norm", "before")):
    nets = Nets(run_seeds, run_scales, norm=norm)
    train(nets, run_seeds, run_rates, grid_steps)
    shape = len(scales), len(rates), grid_seeds
    accuracy[name] = test_accuracy(nets).view(shape)
middle = {name: found.median(2).values for name, found in accuracy.items()}

# %% heat
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.3), sharey=True)
for ax, (name, found) in zip(axes, middle.items(), strict=True):
    ax.imshow(found.numpy(), vmin=0.1, vmax=0.8, origin="lower")
    for row in range(len(scales)):
        for column in range(len(rates)):
            percent = f"{100 * found[row, column]:.0f}"
            ink = "black" if found[row, column] > 0.5 else "white"
            ax.text(column, row, percent, ha="center", va="center", c=ink)
    ax.set_title(name)
    names = [f"{rate:g}" for rate in rates]
    ax.set_xticks(range(len(rates)), names, rotation=45)
    ax.set_xlabel("learning rate")
axes[0].set_yticks(range(len(scales)), [f"{scale:g}" for scale in scales])
axes[0].set_ylabel("scale of the initial weights")

# %% check_grid
plain, normed = accuracy["no norm"], accuracy["batch norm"]
learned = {name: int((found > 0.5).sum()) for name, found in middle.items()}
num_cells = len(scales) * len(rates)
one, low_rate, high_rate = scales.index(1.0), rates.index(0.04), rates.index(2.56)
best_plain, best_normed = middle["no norm"].max().item(), middle["batch norm"].max().item()

# claim: plain-needs-the-right-scale
wrong = plain[[0, 3, 4]]  # a quarter, twice, four times
assert (middle["no norm"][[0, 3, 4]] < 0.15).all()  # chance is 0.1
assert (wrong < 0.25).double().mean() > 0.95
assert middle["no norm"][one].max() > 0.4

# claim: batch-norm-learns-at-every-scale
best_rate = normed.median(2).values.max(1).values
assert (best_rate > 0.55).all()
assert learned["batch norm"] >= 14 > 5 >= learned["no norm"]

# claim: batch-norm-bears-larger-rates
assert (plain[one, 3:] < 0.3).all()
assert (normed[one, 3:].median(1).values > 0.3).all()
assert (normed[one, 3] > 0.4).all()

# claim: batch-norm-wins-at-its-best
at_best = {name: found.flatten(0, 1)[middle[name].argmax()] for name, found in accuracy.items()}
wins = (at_best["batch norm"] > at_best["no norm"]).sum().item()
assert wins >= grid_seeds - 1

# claim: larger-weights-want-larger-rates
best = middle["batch norm"].argmax(1)
assert best[-1] >= best[0] + 2
assert (normed[-1, 0] < normed[0, 0] - 0.3).all()  # care is needed after all
assert middle["batch norm"][-1, 0] < 0.25


# %% scale_is_rate
def tiny_net():
    torch.manual_seed(0)
    parts = []
    for _ in range(4):
        norm = nn.BatchNorm1d(20, eps=1e-12)
        parts += [nn.Linear(20, 20, bias=False), norm, nn.ReLU()]
    return nn.Sequential(*parts).double()


def outputs_in_training(scale, rate_of_weights, num_steps=20):
    net, x = tiny_net(), torch.randn(64, 20).double()
    target, outputs = x.roll(1, 1).relu(), []
    for layer in net[::3]:
        layer.weight.data *= scale
    matrices = [layer.weight for layer in net[::3]]
    rest = [p for p in net.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [
            {"params": matrices, "lr": rate_of_weights},
            {"params": rest, "lr": 0.1},
        ]
    )
    for _ in range(num_steps):
        output = net(x)
        optimizer.zero_grad()
        F.mse_loss(output, target).backward()
        optimizer.step()
        outputs.append(output.detach())
    return torch.stack(outputs)


reference = outputs_in_training(scale=1, rate_of_weights=0.1)
same_rate = outputs_in_training(scale=4, rate_of_weights=0.1)
rate_by_16 = outputs_in_training(scale=4, rate_of_weights=0.1 * 4**2)
print("weights × 4: how far the outputs of 20 steps are from those of × 1")
print(f"same learning rate    {(same_rate - reference).abs().max():.1e}")
print(f"learning rate × 4²    {(rate_by_16 - reference).abs().max():.1e}")

# %% check_scale_is_rate
# claim: scale-becomes-learning-rate
assert torch.allclose(same_rate[0], reference[0])  # the first forward pass is the same
assert (rate_by_16 - reference).abs().max() < 1e-6
assert (same_rate - reference).abs().max() > 0.01

# %% deeper
deep_seeds, deep_steps = list(range(10)), 150
hidden_layers, deep_rates = (8, 24, 48), (0.04, 0.16, 0.64)
deep_runs = [(r, s) for r in deep_rates for s in deep_seeds]
deep_run_rates, deep_run_seeds = map(list, zip(*deep_runs, strict=True))
deep = []  # for each depth: (rates, seeds)
print("hidden layers   accuracy at its best learning rate, with batch norm")
for num_hidden in hidden_layers:
    ones = [1.0] * len(deep_runs)
    nets = Nets(deep_run_seeds, ones, num_hidden=num_hidden, norm="before")
    train(nets, deep_run_seeds, deep_run_rates, deep_steps)
    deep.append(test_accuracy(nets).view(len(deep_rates), len(deep_seeds)))
    best = deep[-1].median(1).values.max()
    print(f"{num_hidden:13d}   {best:.2f}")
deep_best = [found.median(1).values.max().item() for found in deep]

# %% check_deeper
# claim: too-deep-for-batch-norm
assert (deep[0].amax(0) > 0.6).all()
assert (deep[2].amax(0) < 0.4).all()
assert (deep[0].amax(0) > deep[1].amax(0)).all()
assert (deep[1].amax(0) > deep[2].amax(0)).all()

# %% noise
noise_seeds, noise_steps = list(range(20)), 200
noise_rate, noise = 0.16, 0.6
# The same pictures at every step.
watched = x_train[:, :64].expand(len(noise_seeds), -1, -1)
variants = {
    "no norm": {},
    "batch norm": {"norm": "before"},
    "batch norm and noise": {"norm": "before", "noise": noise},
    "batch norm after ReLU": {"norm": "after"},
}


class Watch:
    # After each step: how far the mean of each hidden unit has moved, in units
    # of the layer's standard deviation; and, now and then, the test accuracy.
    def __init__(self):
        self.means, self.moves, self.accuracies = None, [], []

    @torch.no_grad()
    def __call__(self, step, nets):
        if step % 20 == 19:
            self.accuracies.append(test_accuracy(nets))
        hidden = []
        for norm in nets.norms:
            norm.momentum = 0.0  # the running statistics stay as they are
        nets(watched, hidden)
        for norm in nets.norms:
            norm.momentum = 0.1
        hidden = torch.stack(hidden)  # (layers, nets, units, batch)
        means, stds = hidden.mean(3), hidden.var(3).mean(2).sqrt()
        if self.means is not None:
            moved = (means - self.means).square().mean(2).sqrt()
            self.moves.append(moved / stds)
        self.means = means


watches, early_losses = {}, {}
for name, options in variants.items():
    torch.manual_seed(0)  # of the noise
    nets = Nets(noise_seeds, [1.0] * len(noise_seeds), **options)
    watches[name] = Watch()
    rates_of_all = [noise_rate] * len(noise_seeds)
    watch = watches[name]
    losses = train(nets, noise_seeds, rates_of_all, noise_steps, watch)
    early_losses[name] = losses[40:60].mean(0)
final = {name: w.accuracies[-1] for name, w in watches.items()}
moves = {name: torch.stack(w.moves).mean(0) for name, w in watches.items()}
print(f"after {noise_steps} steps        test accuracy   movement per step")
for name in variants:
    mean, std = final[name].mean(), final[name].std()
    print(f"{name:22} {mean:.3f} ± {std:.3f}   {moves[name].mean():.3f}")
mean_final = {name: found.mean().item() for name, found in final.items()}
mean_moves = {name: found.mean().item() for name, found in moves.items()}
noisy_wins = (final["batch norm and noise"] > final["no norm"]).sum().item()
noisy_gain = mean_final["batch norm and noise"] - mean_final["no norm"]
kept_share = noisy_gain / (mean_final["batch norm"] - mean_final["no norm"])

# %% noise_curves
fig, (above, below) = plt.subplots(2, figsize=(5.6, 6))
when = range(20, noise_steps + 1, 20)
for name, color, line in (
    ("no norm", "C0", "-"),
    ("batch norm", "C3", "-"),
    ("batch norm and noise", "C1", "--"),
):
    found = torch.stack(watches[name].accuracies)
    mean, spread = found.mean(1), found.std(1)
    above.plot(when, mean, color=color, linestyle=line, label=name)
    low, high = mean - spread, mean + spread
    above.fill_between(when, low, high, color=color, alpha=0.2)
    by_layer = moves[name].mean(1)
    below.plot(range(1, 9), by_layer, color=color, linestyle=line, marker="o")
above.set_xlabel("step")
above.set_ylabel("test accuracy")
above.legend()
below.set_yscale("log")
below.set_xlabel("hidden layer")
below.set_ylabel("movement per step")

# %% check_noise
# claim: noisy-nets-move-more
by_layer = {name: found.mean(1) for name, found in moves.items()}
noisy_by_layer = by_layer["batch norm and noise"]
assert (noisy_by_layer[:4] > 1.1 * by_layer["no norm"][:4]).all()
assert mean_moves["batch norm and noise"] > 1.05 * mean_moves["no norm"]

# claim: batch-norm-does-move-less
assert (by_layer["batch norm"] < 0.3 * by_layer["no norm"]).all()

# claim: noisy-nets-learn-better
assert noisy_wins >= 14
assert kept_share > 0.5

# claim: noise-costs-a-little
assert (final["batch norm"] > final["no norm"]).sum() >= 18
assert mean_final["batch norm"] > mean_final["batch norm and noise"]

# claim: two-different-problems
# Before any step there is no shift, and yet the size is lost; and the other way round.
assert (signals["default"][:, 0, -1] < 1e-30).all()
torch.manual_seed(0)
noisy, hidden = Nets([0], [1.0], norm="before", noise=noise), []
with torch.no_grad():
    noisy(x_train[:, :64].unsqueeze(0), hidden)
for h in hidden:
    assert 0.3 < h.square().mean().sqrt() < 2

# claim: relu-does-not-mind-size
a = torch.randn(1000)
assert torch.equal(F.relu(1024 * a), 1024 * F.relu(a))
assert torch.equal(F.relu(a / 1024), F.relu(a) / 1024)

# %% placement
before, after = "batch norm", "batch norm after ReLU"
placement_gap = abs(mean_final[before] - mean_final[after])
before_better = (final[before] > final[after]).sum().item()
after_faster = (early_losses[after] < early_losses[before]).sum().item()
num_noise = len(noise_seeds)
early = {name: found.mean().item() for name, found in early_losses.items()}
print("batch norm     training loss of      test accuracy")
print("               steps 41 to 60        at the end")
for where, name in (("before ReLU", before), ("after ReLU", after)):
    print(f"{where:14} {early[name]:.2f}                  {mean_final[name]:.3f}")
print(f"better         after in {after_faster} of {num_noise}", end="")
print(f"        before in {before_better} of {num_noise}")

torch.manual_seed(0)
first, second = make_layers(nn.init.kaiming_normal_, depth=2)
with torch.no_grad():
    a = second[0](first(torch.randn(1000, width)))  # before the second ReLU


def skewness(values):
    z = (values - values.mean(0)) / values.std(0)
    return z.pow(3).mean().item()


skew_before, skew_after = skewness(a), skewness(F.relu(a))
print(f"skewness       {skew_before:.2f} before ReLU, {skew_after:.2f} after")

# %% check_placement
# claim: after-relu-starts-faster
assert after_faster >= 12
assert early_losses[after].mean() < early_losses[before].mean()

# claim: placement-hardly-matters
assert placement_gap < 0.03
what_a_norm_brings = min(mean_final[before], mean_final[after]) - mean_final["no norm"]
assert placement_gap < 0.4 * what_a_norm_brings
assert 0 < before_better < num_noise

# claim: more-symmetric-before-relu
assert abs(skew_before) < 0.1 < 1 < skew_after

# %% trap_default
linear = nn.Linear(width, width, bias=False)
torch.manual_seed(0)
# As nn.Linear does it.
nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
by_default = linear.weight.std().item()
nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
for_relu = linear.weight.std().item()
for name, std in (("as nn.Linear starts", by_default), ("for a ReLU", for_relu)):
    print(f"{name:19}  std {std:.4f}, gain {relu_gain(std, width):.3f}")

# %% trap_finite
x = torch.tensor([1.0, 2.0, math.inf])
print("isnan(x.std())    ", x.std().isnan().item())  # no element is NaN, though
print("isnan(x).any()    ", x.isnan().any().item())  # misses the inf
print("isfinite(x).all() ", x.isfinite().all().item())  # right


# %% trap_commented_out
class WithBatchNorm(nn.Module):
    def __init__(self, use_batch_norm):
        super().__init__()
        linears = [nn.Linear(width, width, bias=False) for _ in range(depth)]
        self.linears = nn.ModuleList(linears)
        bns = [nn.BatchNorm1d(width) for _ in range(depth)]
        self.bns = nn.ModuleList(bns)
        self.use_batch_norm = use_batch_norm

    def forward(self, x):
        for linear, bn in zip(self.linears, self.bns, strict=True):
            x = linear(x)
            if self.use_batch_norm:
                x = bn(x)
            x = torch.relu(x)
        return x


class WithoutBatchNorm(WithBatchNorm):
    def __init__(self):
        super().__init__(use_batch_norm=False)
        # Right: what is not used is not there.
        self.bns = nn.ModuleList(nn.Identity() for _ in range(depth))


unused = {}
for name, net in (
    ("left out of forward", WithBatchNorm(False)),
    ("not there", WithoutBatchNorm()),
):
    net(torch.randn(batch_size, width)).sum().backward()
    idle = [p.numel() for p in net.parameters() if p.grad is None]
    unused[name] = sum(idle)
    num_buffers = len(list(net.buffers()))
    print(f"{name:20} {sum(idle):6d} idle parameters, {num_buffers:3d} buffers")

# %% check_traps
# claim: linear-starts-below-kaiming
assert math.isclose(relu_gain(by_default, width), math.sqrt(1 / 6), rel_tol=0.02)
assert math.isclose(relu_gain(for_relu, width), 1, rel_tol=0.02)

# claim: finite-is-the-test
assert torch.isnan(x.std())
assert not torch.isnan(x).any()
assert not torch.isfinite(x).all()

# claim: left-out-norms-stay
num_unused = unused["left out of forward"]
assert num_unused == depth * 2 * width
assert unused["not there"] == 0

# %% solution_half
torch.manual_seed(0)
overflows = {}
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    predicted = math.log(torch.finfo(dtype).max) / math.log(normal_gain)
    x = torch.randn(batch_size, width).to(dtype)
    for number in range(1, 50):
        weight = torch.randn(width, width).to(dtype)
        x = torch.relu(x @ weight.T)
        if not x.isfinite().all():
            break
    overflows[dtype] = predicted, number
    print(f"{dtype!s:15} predicted {predicted:5.1f}, first in layer {number}")
assert all(abs(p - number) < 2.5 for p, number in overflows.values())

# %% solution_euler
torch.manual_seed(0)
x, upstream = torch.randn(2, batch_size, width).double()
for name in ("Kaiming", "batch norm"):
    layers = [layer.double() for layer in make_layers(depth=6, **kinds[name])]
    weights = [layer[0].weight for layer in layers]
    y = nn.Sequential(*layers)(x)
    gradients = torch.autograd.grad(y, weights, upstream)
    pairs = zip(weights, gradients, strict=True)
    products = [(w * g).sum().item() for w, g in pairs]
    print(f"{name:10}", " ".join(f"{product:8.3f}" for product in products))
    if name == "Kaiming":
        expected = (y * upstream).sum().item()
        assert all(math.isclose(p, expected, rel_tol=1e-9) for p in products)
    else:  # all but zero; what is left comes from eps
        assert all(abs(p) < 0.1 for p in products)

# %% solution_scale
for scale in (0.1, 1, 10):
    torch.manual_seed(0)
    layers = make_layers(batch_norm=True, depth=growth_depth)
    for layer in layers:
        layer[0].weight.data *= scale
    gradient = probe(layers, *torch.randn(2, 64, width)).gradient
    rate = ((gradient[2] / gradient[-6]) ** (1 / (growth_depth - 8))).item()
    print(f"weights × {scale:<4} growth per layer {rate:.3f}")
    assert abs(rate / bn_gain - 1) < 0.05

# %% solution_layer_norm
torch.manual_seed(0)
layers = []
for _ in range(depth):
    linear = nn.Linear(width, width, bias=False)
    layer = nn.Sequential(linear, nn.LayerNorm(width), nn.ReLU())
    layers.append(layer.double())
with_layer_norm = probe(layers, *torch.randn(2, batch_size, width).double())
print("layer     rms  cosine  gradient")
for number in (1, 10, 50, 100):
    i, found = number - 1, with_layer_norm
    print(f"{number:5d} {found.rms[i]:7.3f} {found.cosine[i]:7.3f}", end="")
    print(f" {found.gradient[i]:9.3f}")
assert (with_layer_norm.rms - math.sqrt(0.5)).abs().max() < 0.08
assert with_layer_norm.cosine[-1] > 0.95
assert 0.03 < with_layer_norm.gradient[0] < 30
