# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% family
import math
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab import activations as library
from reglab.data import images, standardize
from reglab.decay_groups import decay_groups
from reglab.gain import gain, normal_mean

torch.set_num_threads(1)
first_slope = 0.25  # what PReLU starts from
functions = {
    "ReLU": F.relu,
    "LeakyReLU": F.leaky_relu,
    "PReLU": partial(F.leaky_relu, negative_slope=first_slope),
    "ELU": F.elu,
    "Softplus": F.softplus,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "Mish": F.mish,
    "Hardswish": F.hardswish,
}


def slope(function, x):
    # The derivative at every element of x, by automatic differentiation.
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


at = torch.tensor([-4.0, -1.0, 0.0, 1.0])
print("               value at -4, at -1      slope at -4, -1, 0, 1")
for name, function in functions.items():
    row = [*function(at[:2]).tolist(), *slope(function, at).tolist()]
    print(f"{name:11}" + "".join(f"{number:10.3f}" for number in row))

# %% shapes
x = torch.linspace(-4.5, 4.5, 181)
rows = {
    "a kink at zero": {
        "ReLU": ("black", ":", F.relu),
        "LeakyReLU, 0.01": ("C0", "-", F.leaky_relu),
        "PReLU, $a=0.25$": ("C1", "--", functions["PReLU"]),
    },
    "exponentials": {
        r"ELU, $\alpha=1$": ("C0", "-", F.elu),
        r"ELU, $\alpha=2$": ("C1", "--", partial(F.elu, alpha=2.0)),
        r"CELU, $\alpha=2$": ("C2", "-.", partial(F.celu, alpha=2.0)),
        "Softplus": ("C3", "-", F.softplus),
    },
    "$x$ times a gate": {
        "GELU": ("C0", "-", F.gelu),
        "SiLU": ("C1", "--", F.silu),
        "Mish": ("C2", "-.", F.mish),
        "Hardswish": ("C3", "-", F.hardswish),
    },
}
fig, axes = plt.subplots(3, 2, figsize=(5.6, 7.4), sharex=True)
for pair, (title, curves) in zip(axes, rows.items(), strict=True):
    for name, (color, line, function) in curves.items():
        style = {"color": color, "linestyle": line, "label": name}
        pair[0].plot(x, function(x), **style)
        pair[1].plot(x, slope(function, x), **style)
    pair[0].set_title(title)
    pair[1].set_title("derivative")
    pair[0].legend(loc="upper left", handlelength=1.5)
    pair[0].set_ylim(-2.3, 7)
for ax in axes[-1]:
    ax.set_xlabel("$x$")

# %% check_shapes
dense = torch.linspace(-12, 12, 240_001, dtype=torch.float64)

# claim: what-differs-is-the-left
far_right = torch.linspace(8, 30, 100, dtype=torch.float64)
for name, function in functions.items():
    assert torch.allclose(function(far_right), far_right, atol=0.01), name
left_values = [function(torch.tensor([-1.0])).item() for function in functions.values()]
assert max(left_values) - min(left_values) > 0.9

# claim: elu-mean-nearer-zero
assert 0 < normal_mean(F.elu) < 0.6 * normal_mean(F.relu)

# claim: elu-has-a-kink-unless-alpha-is-one
just_left, just_right = torch.tensor([[-1e-9], [1e-9]], dtype=torch.float64)
for alpha in (0.5, 1.0, 2.0):
    jump = slope(partial(F.elu, alpha=alpha), just_right) - slope(partial(F.elu, alpha=alpha), just_left)
    assert math.isclose(jump.item(), 1 - alpha, abs_tol=1e-6)
    smooth = slope(partial(F.celu, alpha=alpha), just_right) - slope(partial(F.celu, alpha=alpha), just_left)
    assert abs(smooth.item()) < 1e-6

# claim: hardswish-jumps-twice
for place, step in ((-3.0, -0.5), (3.0, -0.5)):
    sides = torch.tensor([place - 1e-7, place + 1e-7], dtype=torch.float64)
    assert math.isclose(slope(F.hardswish, sides).diff().item(), step, abs_tol=1e-5)


# %% scratch
def leaky_relu(x, a):
    return torch.where(x > 0, x, a * x)


def elu(x, alpha):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def celu(x, alpha):
    below = (x / alpha).clamp(max=0)
    return torch.where(x > 0, x, alpha * torch.expm1(below))


def softplus(x, beta=1.0, threshold=20.0):
    soft = torch.log1p(torch.exp((beta * x).clamp(max=threshold))) / beta
    return torch.where(beta * x > threshold, x, soft)


def gelu(x):
    return x * torch.erfc(-x / math.sqrt(2)) / 2


def gelu_tanh(x):
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x / 2 * (1 + torch.tanh(inner))


def silu(x):
    return x * torch.sigmoid(x)


def mish(x):
    return x * torch.tanh(softplus(x))


def hardswish(x):
    middle = x / 6 * (x.clamp(-3, 3) + 3)
    return torch.where(x <= -3, 0.0, torch.where(x < 3, middle, x))


ours_and_torchs = {
    "LeakyReLU": (partial(leaky_relu, a=0.01), F.leaky_relu),
    "ELU": (partial(elu, alpha=2.0), partial(F.elu, alpha=2.0)),
    "CELU": (partial(celu, alpha=2.0), partial(F.celu, alpha=2.0)),
    "Softplus": (softplus, F.softplus),
    "GELU": (gelu, F.gelu),
    "GELU, tanh": (gelu_tanh, partial(F.gelu, approximate="tanh")),
    "SiLU": (silu, F.silu),
    "Mish": (mish, F.mish),
    "Hardswish": (hardswish, F.hardswish),
}
torch.manual_seed(0)
edges = torch.tensor([0.0, 3.0, -3.0, 20.0, 21.0, 89.0, -89.0, 1e4, -1e4])
points = torch.cat([5 * torch.randn(1000), edges])
print("largest difference from torch: values, slopes")
scratch_errors = {}
for name, pair in ours_and_torchs.items():
    values = [f(points) for f in pair]
    slopes = [slope(f, points) for f in pair]
    errors = [(a - b).abs().max().item() for a, b in (values, slopes)]
    scratch_errors[name] = errors
    print("{:11} {:.0e}  {:.0e}".format(name, *scratch_errors[name]))

# %% check_scratch
# claim: scratch-equals-torch
assert max(max(errors) for errors in scratch_errors.values()) < 1e-5
doubles = points.double()
for name, (ours, theirs) in ours_and_torchs.items():
    assert torch.allclose(ours(doubles), theirs(doubles), atol=1e-10), name
    assert torch.allclose(slope(ours, doubles), slope(theirs, doubles), atol=1e-10), name
for ours, theirs in (
    (library.leaky_relu, F.leaky_relu),
    (library.elu, F.elu),
    (library.celu, F.celu),
    (library.softplus, F.softplus),
    (library.gelu, F.gelu),
    (partial(library.gelu, approximate="tanh"), partial(F.gelu, approximate="tanh")),
    (library.silu, F.silu),
    (library.mish, F.mish),
    (library.hardswish, F.hardswish),
):
    assert torch.allclose(ours(doubles), theirs(doubles), atol=1e-10)
    assert torch.allclose(slope(ours, doubles), slope(theirs, doubles), atol=1e-10)

# claim: literal-formulas-fail
big = torch.tensor([100.0])
assert torch.log(1 + torch.exp(big)).isinf()
assert slope(lambda x: torch.where(x > 0, x, torch.exp(x) - 1), big).isnan()
assert softplus(big).item() == 100
assert slope(partial(elu, alpha=1.0), big).item() == 1

# %% minima
hollow_names = ["GELU", "SiLU", "Mish", "Hardswish"]
hollows = {name: functions[name] for name in hollow_names}
minima = {}
for name, function in hollows.items():
    low, high = -2.9, -0.1  # falling at one end and rising at the other
    for _ in range(60):
        middle = (low + high) / 2
        rising = slope(function, torch.tensor([middle]).double()).item() > 0
        low, high = (low, middle) if rising else (middle, high)
    minima[name] = [low, function(torch.tensor(low).double()).item()]
    place, value = minima[name]
    print(f"{name:10} lowest at x = {place:.4f}, where it is {value:.4f}")

# %% approximations
gap_tanh = (F.gelu(dense) - F.gelu(dense, approximate="tanh")).abs()
gap_sigmoid = (F.gelu(dense) - dense * torch.sigmoid(1.702 * dense)).abs()
gap_hard = (F.silu(dense) - F.hardswish(dense)).abs()
largest_gaps = {
    "tanh": gap_tanh.max().item(),
    "sigmoid": gap_sigmoid.max().item(),
    "hard": gap_hard.max().item(),
}
gap_at = dense[gap_tanh.argmax()].abs().item()
print(f"GELU and its tanh form differ by {largest_gaps['tanh']:.1e} at most")
print(f"GELU and x sigmoid(1.702 x)   by {largest_gaps['sigmoid']:.1e}")
print(f"SiLU and Hardswish            by {largest_gaps['hard']:.1e}")

# %% check_functions
# claim: not-monotone
for name, function in hollows.items():
    place, value = minima[name]
    wide = function(dense)
    assert math.isclose(wide.min().item(), value, abs_tol=1e-6)
    assert math.isclose(dense[wide.argmin()].item(), place, abs_tol=1e-3)
    assert slope(function, torch.tensor([place - 0.5]).double()).item() < 0
for name in ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softplus"):
    assert (functions[name](dense).diff() >= 0).all(), name

# claim: from-shallow-to-deep
depths = [minima[name][1] for name in hollow_names]
assert depths == sorted(depths, reverse=True)

# claim: minima-located
assert math.isclose(minima["GELU"][0], -0.7518, abs_tol=1e-4)
assert math.isclose(minima["SiLU"][0], -1.2785, abs_tol=1e-4)
assert math.isclose(minima["Mish"][0], -1.1924, abs_tol=1e-4)

# claim: tanh-form-is-close
assert 4e-4 < largest_gaps["tanh"] < 5e-4
assert largest_gaps["sigmoid"] > 30 * largest_gaps["tanh"]

# claim: hardswish-differs-most-at-three
assert math.isclose(dense[gap_hard.argmax()].abs().item(), 3, abs_tol=1e-3)
assert largest_gaps["hard"] > 0.1

# claim: mish-bends-twice-what-softplus-does-once
assert torch.allclose(F.mish(dense), dense * torch.tanh(F.softplus(dense)))
assert torch.allclose(slope(F.softplus, dense), torch.sigmoid(dense), atol=1e-8)


# %% prelu
class PReLU(nn.Module):
    def __init__(self, num_parameters=1, init=first_slope):
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_parameters,), init))

    def forward(self, x):
        a = self.weight
        if len(a) > 1:  # one slope for each channel, along dimension 1
            a = a.view(-1, *[1] * (x.dim() - 2))
        return torch.where(x > 0, x, a * x)


class PReLUExample(nn.Module):
    def __init__(self, num_parameters=1):
        super().__init__()
        self.linear, self.prelu = nn.Linear(10, 5), nn.PReLU(num_parameters)

    def forward(self, x):
        return self.prelu(self.linear(x))


print("num_parameters  slopes  all parameters")
for num_parameters in (1, 5):
    net = PReLUExample(num_parameters)
    total = sum(p.numel() for p in net.parameters())
    print(f"{num_parameters:14} {net.prelu.weight.numel():7} {total:15}")

# %% prelu_gradient
torch.manual_seed(0)
feature_maps, upstream = torch.randn(8, 6, 4, 5), torch.randn(8, 6, 4, 5)
by_hand = upstream * feature_maps.clamp(max=0)  # of each element
prelu_gradients = {}
for num_parameters, over in ((1, (0, 1, 2, 3)), (6, (0, 2, 3))):
    layer = nn.PReLU(num_parameters)
    layer(feature_maps).backward(upstream)
    summed = by_hand.sum(over).flatten()
    prelu_gradients[num_parameters] = layer.weight.grad, summed
    for name, found in (("torch ", layer.weight.grad), ("summed", summed)):
        print(name, " ".join(f"{g:8.3f}" for g in found.tolist()))

# %% check_prelu
# claim: one-slope-by-default
assert nn.PReLU().weight.shape == (1,)
assert nn.PReLU(num_parameters=1).weight.shape == nn.PReLU().weight.shape
assert nn.PReLU(5).weight.shape == (5,)

# claim: starts-at-a-quarter
assert nn.PReLU(5).weight.tolist() == [first_slope] * 5

# claim: slope-gradient-is-a-sum
for found, summed in prelu_gradients.values():
    assert torch.allclose(found, summed, atol=1e-4)

# claim: prelu-equals-torch
for num_parameters, shape in ((1, (7,)), (1, (4, 6)), (6, (4, 6)), (6, (4, 6, 5)), (6, (4, 6, 5, 3))):
    values, upstream = torch.randn(shape), torch.randn(shape)
    found = []
    for make in (PReLU, library.PReLU, nn.PReLU):
        layer, leaf = make(num_parameters), values.clone().requires_grad_()
        y = layer(leaf)
        y.backward(upstream)
        found.append([y, leaf.grad, layer.weight.grad])
    for ours in found[:2]:
        for mine, theirs in zip(ours, found[2], strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5)


# claim: the-second-prelu-gets-nothing
class PReLUExampleOfThePost(PReLUExample):
    def __init__(self):
        super().__init__()
        self.prelu_params = nn.PReLU(num_parameters=1)


as_posted = PReLUExampleOfThePost()
as_posted(torch.randn(4, 10)).sum().backward()
assert as_posted.prelu_params.weight.grad is None
assert as_posted.prelu.weight.grad is not None
assert "prelu_params.weight" in as_posted.state_dict()

# claim: three-special-slopes
x = torch.randn(100)
assert torch.equal(nn.PReLU(init=1.0)(x), x)
assert torch.equal(nn.PReLU(init=0.0)(x), F.relu(x))
assert torch.equal(nn.PReLU(init=-1.0)(x), x.abs())

# %% gains
depth, width, batch, num_seeds = 50, 256, 16, 20


def stability(function):
    # How a small deviation of the mean square from 1 is multiplied by one
    # layer.
    def behind(square):
        return normal_mean(lambda z: function(z) ** 2, math.sqrt(square))

    step = 1e-4
    change = behind(1 + step) - behind(1 - step)
    return gain(function) ** 2 * change / (2 * step)


print("              gain   torch   gradient²   deviation, a layer")
gains, gradient_factor, deviation_factor = {}, {}, {}
for name, function in functions.items():
    gains[name] = gain(function)
    mean_slope = normal_mean(lambda z, f=function: slope(f, z) ** 2)
    gradient_factor[name] = gains[name] ** 2 * mean_slope
    deviation_factor[name] = stability(function)
    try:
        called = {"LeakyReLU": "leaky_relu"}.get(name, name.lower())
        torchs = f"{nn.init.calculate_gain(called):.4f}"
    except ValueError:
        torchs = "none"
    row = gains[name], torchs, gradient_factor[name], deviation_factor[name]
    print("{:11} {:.4f} {:>7} {:10.3f} {:14.3f}".format(name, *row))


# %% depth
def passed_through(function, g, centre=0.0, layers=depth):
    # Mean square of the sums and of the gradient: (layers, seeds, samples).
    generator = torch.Generator().manual_seed(0)
    shape = num_seeds, width, width
    x = torch.randn(num_seeds, batch, width, generator=generator)
    x = x / x.square().mean(2, keepdim=True).sqrt()  # mean square exactly 1
    states, sums = [x.requires_grad_()], []
    for layer in range(layers):
        weight = torch.randn(shape, generator=generator) / math.sqrt(width)
        bias = torch.zeros(num_seeds, 1, width)
        if layer:  # in front of the first layer there is no activation
            weight = g * weight
            bias = -centre * weight.sum(1, keepdim=True)
        sums.append(torch.baddbmm(bias, states[-1], weight))
        states.append(function(sums[-1]))
    upstream = torch.randn(x.shape, generator=generator)
    slopes = torch.autograd.grad(states[-1], sums, upstream)
    forwards = torch.stack([s.detach().square().mean(2) for s in sums])
    return forwards, torch.stack([s.square().mean(2).sqrt() for s in slopes])


walks = {name: passed_through(f, gains[name]) for name, f in functions.items()}
softplus_mean = normal_mean(F.softplus)
softplus_gain = gain(F.softplus, centred=True)
centred_walk = passed_through(F.softplus, softplus_gain, softplus_mean)

shown_layer = 10
print(f"sums, mean square in layers {shown_layer} and {depth}; gradient in layer 1")
print("            5%, median, 95% of samples and seeds")
quantiles = torch.tensor([0.05, 0.5, 0.95])
ends = {}
for name, (forwards, slopes) in {**walks, "centred": centred_walk}.items():
    parts = forwards[shown_layer - 1], forwards[-1], slopes[0]
    found = [torch.quantile(part.flatten(), quantiles) for part in parts]
    ends[name] = [part.tolist() for part in found]
    columns = [" ".join(f"{q:5.0e}" for q in part) for part in ends[name]]
    print(f"{name:10}" + "   ".join(columns))

# %% depth_figure
fig, axes = plt.subplots(2, 2, figsize=(5.6, 5.8), sharex=True, sharey="row")
groups = (
    ("steady", (("PReLU", "C1", "-"), ("ELU", "C0", "--"), ("Softplus", "C3", "-."))),
    ("unsteady", (("GELU", "C0", "-"), ("SiLU", "C1", "--"), ("Mish", "C2", "-."))),
)
layers = list(range(1, depth + 1))
for column, (title, curves) in enumerate(groups):
    for name, color, line in curves:
        for row, values in enumerate(walks[name]):
            low, middle, high = torch.quantile(values.flatten(1), quantiles, dim=1)
            axes[row, column].fill_between(layers, low, high, color=color, alpha=0.25, linewidth=0)
            axes[row, column].plot(layers, middle, color=color, linestyle=line, label=name)
    axes[0, column].set_title(title)
    axes[1, column].set_xlabel("layer")
    axes[1, column].legend(loc="lower right")
for row, (label, ticks) in enumerate(
    (
        ("mean square of the sums", ([1e-8, 1e-4, 1, 1e4], ["$10^{-8}$", "$10^{-4}$", "1", "$10^{4}$"])),
        ("size of the gradient", ([1e-12, 1e-6, 1], ["$10^{-12}$", "$10^{-6}$", "1"])),
    )
):
    axes[row, 0].set_ylabel(label)
    axes[row, 0].set_yscale("log")
    axes[row, 0].set_ylim((1e-10, 1e7) if row == 0 else (1e-13, 1e5))
    axes[row, 0].set_yticks(*ticks)
    axes[row, 0].minorticks_off()

# %% check_depth
spread_at_end = {name: forwards[-1].flatten() for name, (forwards, _) in walks.items()}
exploded = {name: (values > 10).float().mean().item() for name, values in spread_at_end.items()}
vanished = {name: (values < 0.1).float().mean().item() for name, values in spread_at_end.items()}
gelu_exploded, gelu_vanished = exploded["GELU"], vanished["GELU"]
elu_low, elu_middle, elu_high = ends["ELU"][1]
softplus_gradient, centred_gradient = ends["Softplus"][2][1], ends["centred"][2][1]
amplified = deviation_factor["GELU"] ** depth
softplus_lost = gradient_factor["Softplus"]

# claim: gain-of-the-leaky-family
for a in (0.0, 0.01, first_slope, 1.0):
    found = gain(partial(F.leaky_relu, negative_slope=a))
    assert math.isclose(found, math.sqrt(2 / (1 + a**2)), rel_tol=1e-9)
    assert math.isclose(found, nn.init.calculate_gain("leaky_relu", a), rel_tol=1e-9)

# claim: calculate-gain-lacks-most
for name in ("gelu", "silu", "mish", "elu", "softplus", "hardswish", "prelu"):
    try:
        nn.init.calculate_gain(name)
        known = True
    except ValueError:
        known = False
    assert not known, name

# claim: one-layer-keeps-the-mean-square
for name, (forwards, _) in walks.items():
    assert abs(forwards[1].mean() - 1) < 0.06, name

# claim: ten-layers-keep-the-order
for name in functions:
    assert 0.5 < ends[name][0][1] < 1.5, name

# claim: slope-family-is-neutral
for name in ("ReLU", "LeakyReLU", "PReLU"):
    assert math.isclose(deviation_factor[name], 1, rel_tol=1e-6)
    assert math.isclose(gradient_factor[name], 1, rel_tol=1e-6)
    assert 0.1 < ends[name][2][1] < 2

# claim: elu-is-steady
assert deviation_factor["ELU"] < 0.95
assert elu_low > 0.4
assert elu_high < 2.5
assert 1 < ends["ELU"][2][1] < 4

# claim: gates-are-unsteady
for name in ("GELU", "SiLU", "Mish", "Hardswish"):
    assert deviation_factor[name] > 1.05, name
    assert exploded[name] > 0.1, name
    assert vanished[name] > 0.3, name

# claim: some-explode-and-some-vanish
assert 0.15 < gelu_exploded < 0.6
assert 0.35 < gelu_vanished < 0.85
assert exploded["ELU"] == vanished["ELU"] == 0

# claim: softplus-keeps-the-size-and-loses-the-gradient
assert 0.6 < ends["Softplus"][1][1] < 1.6
assert softplus_lost < 0.35
assert softplus_mean**2 > 0.6 * normal_mean(lambda z: F.softplus(z) ** 2)
assert walks["Softplus"][1][0].max() < 1e-10

# claim: centring-saves-softplus
assert centred_walk[1][0].median() > 0.1
assert 0.5 < ends["centred"][0][1] < 1.5

# claim: at-ten-layers-gradients-are-fine
ten = {name: passed_through(function, gains[name], layers=10)[1][0] for name, function in functions.items()}
for name, sizes in ten.items():
    if name != "Softplus":
        assert 0.3 < sizes.median() < 1.6, name

# %% data
num_train, num_choose, num_test = 1000, 1000, 2000
num_other = num_choose + num_test
train_set, other_set = images(num_train=num_train, num_test=num_other, seed=0)


def prepare(pictures):
    # 14x14 by averaging, so that many nets train in seconds; (pictures, 196)
    standard = standardize(pictures, train=train_set.images)
    return F.avg_pool2d(standard, 2).flatten(1)


train_x, train_y = prepare(train_set.images), train_set.labels
choose_x, test_x = prepare(other_set.images).split([num_choose, num_test])
choose_y, test_y = other_set.labels.split([num_choose, num_test])
data_source = train_set.source
print(f"{data_source}: {num_train} pictures to train on,")
print(f"{num_choose} to choose by, {num_test} to test with")


# %% nets
def make_nets(sizes, g, seeds, num_slopes=0):
    # One net a seed, stacked; every gain scales the same normal draws.
    per_seed = []
    for seed in seeds:
        draws = torch.Generator().manual_seed(seed)
        layers = []
        for n, m in pairwise(sizes):
            layers.append(torch.randn(n, m, generator=draws) / math.sqrt(n))
        per_seed.append(layers)
    by_layer = zip(*per_seed, strict=True)
    weights = [g * torch.stack(layer) for layer in by_layer]
    weights[-1] = weights[-1] / g  # no activation follows the last layer
    biases = [torch.zeros(len(w), 1, w.shape[2]) for w in weights]
    slopes = []
    if num_slopes:
        slopes = [torch.full((len(w), 1, num_slopes), first_slope) for w in weights[:-1]]
    groups = weights, biases, slopes
    return [[p.requires_grad_() for p in group] for group in groups]


def forward(nets, x, activation):
    # Outputs (nets, pictures, classes), and what each activation is given.
    weights, biases, slopes = nets
    sums = []
    for layer, weight in enumerate(weights[:-1]):
        z = torch.baddbmm(biases[layer], x, weight)
        x = activation(z) if activation else leaky_relu(z, slopes[layer])
        sums.append(z)
    return torch.baddbmm(biases[-1], x, weights[-1]), sums


def losses(nets, x, y, activation):
    outputs, _ = forward(nets, x, activation)
    return F.cross_entropy(outputs.mT, y, reduction="none").mean(1)  # (nets,)


def batches(seeds, first, last, size=50):
    # Each net draws its own order from its seed; epochs before the first are
    # skipped.
    orders = [torch.Generator().manual_seed(1000 + seed) for seed in seeds]
    for epoch in range(last):
        shuffled = [torch.randperm(num_train, generator=g) for g in orders]
        if epoch >= first:
            yield from torch.stack(shuffled).split(size, dim=1)


def train(nets, optimizer, seeds, activation, first, last):
    for picks in batches(seeds, first, last):
        optimizer.zero_grad()
        loss = losses(nets, train_x[picks], train_y[picks], activation).sum()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def score(nets, x, y, activation):
    outputs, _ = forward(nets, x.expand(len(nets[0][0]), -1, -1), activation)
    return (outputs.argmax(2) == y).float().mean(1)


# %% compare
rates, num_repeats, epochs, hidden = [0.03, 0.1, 0.3], 20, 8, [64, 64, 64]
sizes = [196, *hidden, 10]


def compare(name):
    # Every seed at every learning rate, side by side, by plain SGD.
    activation = None if name == "PReLU" else functions[name]
    seeds = list(range(num_repeats)) * len(rates)
    lr = torch.tensor(rates).repeat_interleave(num_repeats).view(-1, 1, 1)
    nets = make_nets(sizes, gains[name], seeds, int(name == "PReLU"))
    parameters = [parameter for group in nets for parameter in group]
    for picks in batches(seeds, 0, epochs):
        loss = losses(nets, train_x[picks], train_y[picks], activation).sum()
        steps = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, step in zip(parameters, steps, strict=True):
                parameter -= lr * step
    shape = len(rates), num_repeats
    choose = score(nets, choose_x, choose_y, activation).view(shape).mean(1)
    return nets, choose, score(nets, test_x, test_y, activation).view(shape)


compared = {name: compare(name) for name in functions}
chosen, accuracy = {}, {}
for name, (_, choose, test) in compared.items():
    chosen[name] = choose.argmax().item()
    accuracy[name] = test[chosen[name]]
print("test accuracy at the best rate, against ReLU of the same seed")
for name, values in accuracy.items():
    ahead = values - accuracy["ReLU"]
    better = int((ahead > 0).sum())
    print(f"{name:10} rate {rates[chosen[name]]:4}", end="")
    print(f" {values.mean():.4f} ± {values.std():.4f}", end="")
    print(f"  {100 * ahead.mean():+5.2f} points, better on {better:2}")

# %% compare_figure
relu = accuracy["ReLU"]
other_rate = (chosen["ReLU"] + 1) % 2
rows = {name: values - relu for name, values in accuracy.items() if name != "ReLU"}
rows["ReLU, another seed"] = relu.roll(1) - relu
rows[f"ReLU, rate {rates[other_rate]:g}"] = compared["ReLU"][2][other_rate] - relu

fig, ax = plt.subplots(figsize=(5.6, 4.4))
heights = list(range(len(rows)))[::-1]
for height, values in zip(heights, rows.values(), strict=True):
    color = "C0" if height > 1 else "C1"
    ax.plot(100 * values, [height] * num_repeats, "o", color=color, alpha=0.35, markersize=4)
    ax.plot([100 * values.mean()] * 2, [height - 0.32, height + 0.32], color=color, lw=2.4)
ax.axvline(0, color="black", linewidth=0.8)
ax.axhline(1.5, color="black", linewidth=0.8, linestyle=":")
ax.set_yticks(heights, list(rows))
ax.set_xlabel("test accuracy, points more than ReLU")
ax.grid(axis="y", visible=False)

# %% check_compare
relatives = [name for name in functions if name not in ("ReLU", "Softplus")]
ahead = {name: 100 * (accuracy[name] - relu).mean().item() for name in functions}
wins = {name: int((accuracy[name] > relu).sum()) for name in functions}
seed_sd = 100 * relu.std().item()
largest_ahead = max(abs(ahead[name]) for name in relatives)
rate_costs = 100 * (relu - compared["ReLU"][2][other_rate]).mean().item()
other_rate_shown = rates[other_rate]
another_seed = 100 * (relu.roll(1) - relu).abs().mean().item()

# claim: same-draws-for-all
for name in functions:
    first = make_nets(sizes, gains[name], [3])[0][0] / gains[name]
    assert torch.allclose(first, make_nets(sizes, 1.0, [3])[0][0], atol=1e-6)

# claim: differences-are-small
assert largest_ahead < 3
assert largest_ahead < 1.5 * seed_sd
assert largest_ahead < 100 * (relu.roll(1) - relu).std()

# claim: nobody-wins-on-every-seed
assert max(wins.values()) < num_repeats
assert min(wins[name] for name in relatives) > 0

# claim: most-are-a-little-ahead
assert sum(ahead[name] > 0 for name in relatives) >= 5

# claim: seed-and-rate-matter-as-much
assert another_seed > largest_ahead
assert rate_costs > 0.8 * largest_ahead

# claim: softplus-is-behind
assert ahead["Softplus"] < -1
assert wins["Softplus"] <= 4

# %% dead
dead_rates, dead_epochs = [0.003, 0.03, 0.1], 8
dead_sizes, dead_seeds = [196, 64, 64, 10], range(num_repeats)
dead_names = ["ReLU", "LeakyReLU", "PReLU", "ELU", "GELU"]


@torch.no_grad()
def always_negative(nets, activation):
    # Units whose input is positive for no training picture:
    # (layers, nets, units).
    _, sums = forward(nets, train_x.expand(num_repeats, -1, -1), activation)
    return torch.stack([(z <= 0).all(1) for z in sums])


def without_gradient(nets, activation):
    # Units whose incoming weights get a gradient of exactly zero from all
    # pictures.
    x, y = train_x.expand(num_repeats, -1, -1), train_y.expand(num_repeats, -1)
    loss = losses(nets, x, y, activation).sum()
    found = torch.autograd.grad(loss, nets[0][:-1])
    return torch.stack([(g == 0).all(1) for g in found])


def share(units):
    return units.float().mean().item()


negative_share, silent_share, rough_accuracy, back_share = {}, {}, {}, {}
for name in dead_names:
    activation = None if name == "PReLU" else functions[name]
    for found in (negative_share, silent_share, rough_accuracy):
        found[name] = []
    for rate in dead_rates:
        nets = make_nets(dead_sizes, gains[name], dead_seeds, int(name == "PReLU"))
        parameters = [parameter for group in nets for parameter in group]
        adam = torch.optim.Adam(parameters, lr=rate, fused=True)
        train(nets, adam, dead_seeds, activation, 0, dead_epochs)
        negative = always_negative(nets, activation)
        negative_share[name].append(share(negative))
        silent_share[name].append(share(without_gradient(nets, activation)))
        rough_accuracy[name].append(score(nets, test_x, test_y, activation))
        if rate != dead_rates[1]:
            continue
        # Go on gently: who comes back in the first layer?
        back_share[name] = [int(negative[0].sum())]
        end = [parameter.detach().clone() for parameter in parameters]
        gentle_ways = (torch.optim.SGD, 0.01), (torch.optim.Adam, 0.003)
        for make, gentle_rate in gentle_ways:
            with torch.no_grad():
                for parameter, value in zip(parameters, end, strict=True):
                    parameter.copy_(value)
            gentle = make(parameters, lr=gentle_rate, fused=True)
            last = 2 * dead_epochs
            train(nets, gentle, dead_seeds, activation, dead_epochs, last)
            back = negative[0] & ~always_negative(nets, activation)[0]
            back_share[name].append(int(back.sum()))

print("share always negative, share without gradient, test accuracy")
for index, rate in enumerate(dead_rates):
    for name in dead_names:
        row = negative_share[name][index], silent_share[name][index]
        mean = rough_accuracy[name][index].mean()
        print("{:5} {:10} {:6.3f} {:6.3f} {:6.3f}".format(rate, name, *row, mean))
print("always negative in the first layer; back after gentle SGD, gentle Adam")
for name, row in back_share.items():
    print("{:10} {:6} {:10} {:6}".format(name, *row))

# %% check_dead
relu_silent, leaky_silent = silent_share["ReLU"][1], silent_share["LeakyReLU"][1]
relu_negative, leaky_negative = negative_share["ReLU"][1], negative_share["LeakyReLU"][1]
rough_means = {name: [values.mean().item() for values in found] for name, found in rough_accuracy.items()}
leaky_wins_rough = int((rough_accuracy["LeakyReLU"][2] > rough_accuracy["ReLU"][2]).sum())
middle_gap = 100 * (rough_means["LeakyReLU"][1] - rough_means["ReLU"][1])
middle_rate, rough_rate = dead_rates[1:]

# claim: leaky-units-go-negative-too
assert leaky_negative > 0.05
assert relu_negative > 0.1

# claim: but-keep-a-gradient
for name in ("LeakyReLU", "PReLU", "ELU"):
    assert silent_share[name][1] < 0.005, name
assert relu_silent > 0.1
assert abs(relu_silent - relu_negative) < 0.02

# claim: at-a-decent-rate-it-does-not-matter
assert abs(rough_means["LeakyReLU"][0] - rough_means["ReLU"][0]) < 0.02
assert abs(rough_means["LeakyReLU"][1] - rough_means["ReLU"][1]) < 0.02

# claim: at-a-rough-rate-it-does
assert leaky_wins_rough >= 11
assert rough_means["LeakyReLU"][2] > rough_means["ReLU"][2] + 0.03

# claim: relu-never-comes-back
assert back_share["ReLU"][0] > 50
assert back_share["ReLU"][1:] == [0, 0]

# claim: a-gradient-is-not-enough
for name in ("LeakyReLU", "ELU"):
    assert back_share[name][1] < 0.15 * back_share[name][0], name

# claim: adam-brings-them-back
for name in ("LeakyReLU", "PReLU", "ELU"):
    assert back_share[name][2] > 0.05 * back_share[name][0], name
    assert back_share[name][2] > back_share[name][1], name

# %% decay
strengths = [0.0, 0.005, 0.02]
decay_rate, decay_momentum, decay_epochs = 0.03, 0.9, 10
decay_steps = decay_epochs * num_train // 50


def decayed(num_slopes, strength, spare):
    nets = make_nets(dead_sizes, gains["PReLU"], dead_seeds, num_slopes)
    weights, biases, slopes = nets
    groups = [
        {"params": weights, "weight_decay": strength},
        {"params": biases, "weight_decay": 0.0},
        {"params": slopes, "weight_decay": 0.0 if spare else strength},
    ]
    options = {"lr": decay_rate, "momentum": decay_momentum, "fused": True}
    optimizer = torch.optim.SGD(groups, **options)
    train(nets, optimizer, dead_seeds, None, 0, decay_epochs)
    means = [s.detach().mean((1, 2)) for s in slopes]  # of each layer
    return torch.stack(means).mean(0), score(nets, test_x, test_y, None)


decay_runs = {}
for num_slopes in (64, 1):
    without = decayed(num_slopes, 0.0, spare=True)
    for spare in (False, True):
        runs = [decayed(num_slopes, s, spare) for s in strengths[1:]]
        decay_runs[num_slopes, spare] = [without, *runs]
each = decay_rate * decay_steps / (1 - decay_momentum)
untouched = [first_slope * math.exp(-strength * each) for strength in strengths]
print("weight decay            " + "".join(f"{s:16}" for s in strengths))
print("mean slope (accuracy)")
for (num_slopes, spare), runs in decay_runs.items():
    kind = "one a channel" if num_slopes > 1 else "one a layer"
    kind += ", spared" if spare else ", decayed"
    row = [f"{s.mean():8.2f} ({a.mean():.3f})" for s, a in runs]
    print(f"{kind:24}" + "".join(row))
row = [f"{slope_left:8.2f}        " for slope_left in untouched]
print(f"{'a slope without gradient':24}" + "".join(row).rstrip())

# %% decay_figure
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.6))
places = list(range(len(strengths)))
for ax, num_slopes, title in zip(axes, (64, 1), ("one slope a channel", "one slope a layer"), strict=True):
    for spare, color, marker, label in ((True, "C0", "o", "slopes spared"), (False, "C1", "s", "slopes decayed")):
        means = torch.stack([s for s, _ in decay_runs[num_slopes, spare]])  # (strengths, nets)
        ax.plot(places, means, marker, color=color, alpha=0.3, markersize=3)
        ax.plot(places, means.mean(1), color=color, marker=marker, label=label)
    ax.plot(places, untouched, color="black", linestyle=":", label="without gradient")
    ax.set_title(title)
    ax.set_xticks(places, [f"{s:g}" for s in strengths])
    ax.set_xlabel("strength of weight decay")
axes[0].set_ylabel("mean slope")
axes[0].set_ylim(0, 0.4)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %% check_decay
strongest = strengths[-1]
slope_of = {key: [s.mean().item() for s, _ in runs] for key, runs in decay_runs.items()}
channel_decayed, channel_spared = slope_of[64, False][-1], slope_of[64, True][-1]
shared_decayed, shared_spared = slope_of[1, False][-1], slope_of[1, True][-1]
untouched_last = untouched[-1]
lowest_decayed = decay_runs[64, False][-1][0]
channel_wins = int((lowest_decayed < decay_runs[64, True][-1][0]).sum())
shared_wins = int((decay_runs[1, False][-1][0] < decay_runs[1, True][-1][0]).sum())
decay_costs = abs(100 * (decay_runs[64, True][-1][1] - decay_runs[64, False][-1][1]).mean().item())

# claim: decay-pulls-channel-slopes-to-zero
assert channel_wins == num_repeats
assert channel_decayed < 0.6 * channel_spared
assert abs(channel_decayed - untouched_last) < 0.06

# claim: a-shared-slope-resists
assert shared_decayed > 1.5 * first_slope
assert shared_spared > slope_of[1, True][0]
assert shared_wins >= 18

# claim: accuracy-does-not-care
assert decay_costs < 1.0

# claim: groups-spare-prelu
net = nn.Sequential(nn.Linear(4, 4), nn.PReLU(4), nn.Linear(4, 2))
decaying, spared = decay_groups(net, 0.01)
assert any(parameter is net[1].weight for parameter in spared["params"])
assert not any(parameter is net[1].weight for parameter in decaying["params"])
assert spared["weight_decay"] == 0

# %% trap_gain
kept = {}
print("mean square of the sums behind ten layers, median")
for name in ("PReLU", "ELU", "GELU", "SiLU", "Hardswish"):
    found = []
    for g in (math.sqrt(2), gains[name]):
        forwards, _ = passed_through(functions[name], g, layers=10)
        found.append(forwards[-1].median().item())
    kept[name] = found
    print("{:10} gain of ReLU {:8.3f}   own gain {:.2f}".format(name, *found))

# %% trap_channels
torch.manual_seed(0)
sentences = torch.randn(2, 7, 5)  # (N, words, features) from a linear layer
messages = []
try:
    nn.PReLU(5)(sentences)
except RuntimeError as error:
    messages.append(str(error))
    print(error)
square = torch.randn(2, 5, 5)  # as many words as features: no error
layer = nn.PReLU(5)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4]))
by_word = layer(square)
by_feature = layer(square.mT).mT
along_words = leaky_relu(square, layer.weight[:, None])
along_features = leaky_relu(square, layer.weight)
print("slopes follow the words:        ", torch.equal(by_word, along_words))
print("transposed, follow the features:", torch.equal(by_feature, along_features))

# %% trap_max
x = torch.tensor([-2.0, 2.0])
for a in (0.25, 1.5):
    by_prelu, by_max = F.prelu(x, torch.tensor([a])), torch.maximum(x, a * x)
    print(f"a = {a:4}: PReLU {by_prelu.tolist()}, max(x, ax) {by_max.tolist()}")

# %% trap_mixed
gelu_nets, _, _ = compared["GELU"]
with torch.no_grad():
    pictures = test_x.expand(len(gelu_nets[0][0]), -1, -1)
    exact, _ = forward(gelu_nets, pictures, F.gelu)
    flips, moves = {}, {}
    for name, other in (
        ("tanh form", partial(F.gelu, approximate="tanh")),
        ("x sigmoid(1.702 x)", lambda x: x * torch.sigmoid(1.702 * x)),
    ):
        outputs, _ = forward(gelu_nets, pictures, other)
        changed = outputs.argmax(2) != exact.argmax(2)
        flips[name] = changed.float().mean().item()
        moves[name] = (outputs - exact).abs().mean().item()
        print(f"{name:19} predictions changed {flips[name]:.3%},", end="")
        print(f" logits by {moves[name]:.4f}")

# %% trap_softplus
edge = torch.tensor(20.0, dtype=torch.float64)
above = torch.nextafter(edge, edge + 1)
jump = (F.softplus(above) - F.softplus(edge)).item()
lowered = F.softplus(torch.tensor([0.99, 1.01]), threshold=1.0)
both_slopes = slope(F.softplus, torch.stack([edge, above])).tolist()
print(f"step at the threshold of 20: {jump:.1e}, slopes {both_slopes}")
print(f"with threshold=1, softplus of 0.99 and 1.01: {lowered.tolist()}")
for beta in (1.0, 5.0):
    at_zero = F.softplus(torch.zeros(1), beta=beta).item()
    print(f"beta = {beta}: {at_zero:.3f} at 0, linear from x = {20 / beta:g}")


# %% trap_inplace
def bytes_kept(net, x):
    # What autograd stores for the way back, each storage once, without
    # parameters.
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        # alive, or its address is reused
        kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks
    with hooks(pack, lambda tensor: tensor):
        net(x)
    for p in net.parameters():
        kept.pop(p.untyped_storage().data_ptr(), None)
    return sum(size for size, _ in kept.values())


print("bytes kept for the way back: plain, inplace")
x, kept_bytes = torch.randn(64, 256), {}
for make in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Mish, nn.Hardswish):
    found = []
    for inplace in (False, True):
        pairs = [(nn.Linear(256, 256), make(inplace=inplace)) for _ in range(2)]
        net = nn.Sequential(*[part for pair in pairs for part in pair])
        found.append(bytes_kept(net, x))
    kept_bytes[make.__name__] = found
    print("{:10} {:8,} {:8,}".format(make.__name__, *found))

# %% check_traps
# claim: own-gain-or-fade
assert max(kept["SiLU"][0], kept["Hardswish"][0]) < 0.02
assert kept["GELU"][0] < 0.1
assert all(0.4 < own < 1.5 for _, own in kept.values())

# claim: wrong-gain-matters-little-for-some
assert 0.7 < kept["PReLU"][0] < 2.5
assert 2 < kept["ELU"][0] < 8

# claim: channels-are-dimension-one
assert "channel size = 7" in messages[0]
assert torch.equal(by_word, along_words)
assert torch.equal(by_feature, along_features)
assert not torch.equal(by_word, by_feature)

# claim: max-only-up-to-one
x = torch.randn(100)
assert torch.equal(F.prelu(x, torch.tensor([0.25])), torch.maximum(x, 0.25 * x))
assert not torch.equal(F.prelu(x, torch.tensor([1.5])), torch.maximum(x, 1.5 * x))
assert (decay_runs[1, True][-1][0] > 1).any()

# claim: mixing-the-tanh-form-is-nearly-harmless
assert flips["tanh form"] < 0.002
assert 0 < moves["tanh form"] < 0.02

# claim: mixing-the-sigmoid-form-is-not
assert flips["x sigmoid(1.702 x)"] > 3 * flips["tanh form"]
assert flips["x sigmoid(1.702 x)"] > 0.001

# claim: threshold-makes-a-small-step
step_down = -jump
assert -3e-9 < jump < -1e-9
small = torch.tensor(20.0)
assert F.softplus(small) == small  # not visible in float32
assert lowered[1] < lowered[0] - 0.2

# claim: threshold-is-of-beta-x
assert F.softplus(torch.tensor([4.5]).double(), beta=5.0).item() == 4.5
assert F.softplus(torch.tensor([4.5]).double(), beta=1.0).item() > 4.5

# claim: inplace-saves-for-some
assert kept_bytes["ReLU"][0] == kept_bytes["ReLU"][1]
for name in ("LeakyReLU", "ELU"):
    assert kept_bytes[name][1] < kept_bytes[name][0], name
for name in ("SiLU", "Mish", "Hardswish"):
    assert kept_bytes[name][0] == kept_bytes[name][1], name

# claim: inplace-refuses-negative-slopes
try:
    nn.LeakyReLU(-0.1, inplace=True)(1 * torch.randn(3, requires_grad=True)).sum().backward()
    refused = False
except RuntimeError:
    refused = True
assert refused

# %% solution_closed_form
closed_square = 1 / 3 + math.sqrt(3) / (6 * math.pi)
print(f"closed form {closed_square**-0.5:.10f}")
print(f"quadrature  {gains['GELU']:.10f}")

# %% solution_between
wide = torch.linspace(-6, 6, 2401, dtype=torch.float64)


def swish(x, beta):
    return x * torch.sigmoid(beta * x)


def best(target, function):
    # The beta with the least largest difference, and that difference.
    betas = torch.linspace(1.5, 2.1, 601, dtype=torch.float64)
    worst = [(function(wide, beta) - target).abs().max() for beta in betas]
    worst = torch.stack(worst)
    return betas[worst.argmin()].item(), worst.min().item()


to_half = (swish(wide, 1e-6) - wide / 2).abs().max()
to_relu = (swish(wide, 1e3) - F.relu(wide)).abs().max()
gate = torch.special.ndtr(wide)
best_for_gate = best(gate, lambda x, beta: torch.sigmoid(beta * x))
best_for_gelu = best(F.gelu(wide), swish)
print(f"beta = 1e-6: {to_half:.0e} from x/2")
print(f"beta = 1e3:  {to_relu:.0e} from ReLU")
for name, found in (("the gate", best_for_gate), ("GELU", best_for_gelu)):
    print("nearest to {:8} beta = {:.3f}, off by {:.4f}".format(name, *found))

# %% solution_inverse
x = torch.randn(1000).double()
quarter, four = torch.tensor([[0.25], [4.0]]).double()
there_and_back = F.prelu(F.prelu(x, quarter), four)
same_again = torch.allclose(there_and_back, x)
print("PReLU of 0.25, then of 4, returns its input:", same_again)

# %% check_solutions
# claim: gelu-gain-in-closed-form
assert math.isclose(closed_square**-0.5, gains["GELU"], rel_tol=1e-9)

# claim: swish-lies-between
assert to_half < 1e-4
assert to_relu < 1e-3

# claim: the-constant-is-for-the-gate
assert math.isclose(best_for_gate[0], 1.702, abs_tol=2e-3)
assert best_for_gelu[0] > 1.75
assert best_for_gelu[1] < 0.8 * largest_gaps["sigmoid"]

# claim: slopes-invert
assert torch.allclose(there_and_back, x)
