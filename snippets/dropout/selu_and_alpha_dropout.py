# ---
# timeout: 300
# data: fashion_mnist
# ---
# %% constants
import copy
import math
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from reglab import alpha_dropout as library
from reglab.data import images, standardize
from reglab.selu import SELU

# Gauss-Legendre nodes on both sides of 0, where SELU has its kink.
nodes, node_weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(100))
half = 5 * (nodes + 1)  # from (-1, 1) to (0, 10); beyond 10, the normal density is below 1e-22
z = torch.cat([-half, half])
density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
mass = 5 * node_weights.repeat(2) * density


def normal_mean(values):
    # E[f(z)] for a standard normal z, given f at the nodes.
    return (mass * values).sum().item()


# Mean 0: lambda cancels, and what is left is linear in alpha.
alpha = normal_mean(z.clamp(min=0)) / -normal_mean(torch.expm1(z.clamp(max=0)))
# Variance 1 then fixes lambda.
unscaled = torch.where(z > 0, z, alpha * torch.expm1(z))
scale = 1 / math.sqrt(normal_mean(unscaled**2))
saturation = -scale * alpha

print(f"alpha      {alpha:.12f}")
print(f"lambda     {scale:.12f}")
print(f"saturation {saturation:.12f}")


# %% selu
def selu(x):
    # The exponential must not see large x: it would overflow there, although its branch is not taken.
    return scale * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


x = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0])
print("from scratch", selu(x))
print("torch       ", F.selu(x))

# %% check_selu
# claim: constants-equal-torchs
assert math.isclose(scale, F.selu(torch.ones(1, dtype=torch.float64)).item(), rel_tol=1e-12)
assert math.isclose(saturation, F.selu(torch.tensor(-1e3, dtype=torch.float64)).item(), rel_tol=1e-12)

# claim: saturation-rounds-to-17581
assert round(saturation, 4) == -1.7581

# claim: selu-equals-torch
torch.manual_seed(0)
points = torch.cat([torch.randn(1000) * 3, torch.tensor([-1e4, -0.0, 0.0, 1e4])])
upstream = torch.randn(len(points))
results = []
for function in (selu, SELU(), F.selu, nn.SELU().train(), nn.SELU().eval()):
    leaf = points.clone().requires_grad_()
    output = function(leaf)
    output.backward(upstream)
    results.append((output.detach(), leaf.grad))
for output, gradient in results:
    assert torch.allclose(output, results[2][0], rtol=1e-6, atol=1e-6)
    assert torch.allclose(gradient, results[2][1], rtol=1e-6, atol=1e-6)

# claim: selu-alone-does-not-normalize
wide = selu(2 + 3 * torch.randn(200_000))
wide_mean, wide_variance = wide.mean().item(), wide.var().item()
assert wide_mean > 1.5
assert wide_variance > 3


# %% fixed_point
def next_square(square):
    # Mean square of the activations behind one more layer whose weights have variance 1 / inputs.
    return normal_mean(selu(math.sqrt(square) * z) ** 2)


squares = {start: [start] for start in (0.1, 10.0)}
for path in squares.values():
    for _ in range(20):
        path.append(next_square(path[-1]))

step_size = 1e-4
contraction = (next_square(1 + step_size) - next_square(1 - step_size)) / (2 * step_size)
gradient_growth = normal_mean(torch.where(z > 0, scale, -saturation * torch.exp(z)) ** 2)

print("layers  from 0.1  from 10")
for layer in (0, 1, 2, 5, 10, 20):
    print(f"{layer:6d} {squares[0.1][layer]:9.3f} {squares[10.0][layer]:8.3f}")
print(f"a small deviation shrinks by {contraction:.4f} a layer")
print(f"the squared gradient grows by {gradient_growth:.4f} a layer")

# %% check_fixed_point
ten_after_one, ten_after_two = squares[10.0][1:3]
tenth_after_two = squares[0.1][2]

# claim: one-is-a-fixed-point
assert math.isclose(next_square(1.0), 1, rel_tol=1e-12)

# claim: fixed-point-attracts
assert 0.75 < contraction < 0.82
for path in squares.values():
    assert all(abs(after - 1) < abs(before - 1) for before, after in pairwise(path))

# claim: one-layer-is-not-enough
assert ten_after_two > 3
assert tenth_after_two < 0.5

# claim: gradients-grow-a-little
assert 1.05 < gradient_growth < 1.1


# %% alpha_dropout
def factors(p):
    q = 1 - p
    a = (q + saturation**2 * q * (1 - q)) ** -0.5
    return a, -a * (1 - q) * saturation


def alpha_dropout(x, kept, p):
    a, b = factors(p)
    return a * (x * kept + saturation * (1 - kept)) + b


p_demo = 0.3
torch.manual_seed(4)
x = torch.randn(8)
torchs = nn.AlphaDropout(p_demo)(x)

# Torch hides its mask, but all dropped elements come out as one number, known in advance.
a_demo, b_demo = factors(p_demo)
dropped_value = a_demo * saturation + b_demo
kept = (torchs - dropped_value).abs().gt(1e-6).float()

for label, row in {"input": x, "torch": torchs, "mask": kept, "ours": alpha_dropout(x, kept, p_demo)}.items():
    print(f"{label:6s}" + "".join(f"{number:8.4f}" for number in row.tolist()))
print(f"a = {a_demo:.4f}, b = {b_demo:.4f}; a dropped element comes out as {dropped_value:.4f}")

# %% kept_moments
probabilities = [0.05, 0.1, 0.2, 0.3, 0.5]
num_draws = 400_000
torch.manual_seed(0)
normal = torch.randn(num_draws)
inputs = {"normal": normal, "ReLU of it": normal.relu(), "mean 2, variance 9": 2 + 3 * normal}

print("input                 mean  variance   p     mean  variance, behind AlphaDropout")
moments = {}
for name, values in inputs.items():
    before = values.mean().item(), values.var().item()
    for p in (0.1, 0.5):
        output = F.alpha_dropout(values, p, training=True)
        moments[name, p] = output.mean().item(), output.var().item()
        print("{:20s} {:5.2f} {:9.2f} {:4.1f} {:7.2f} {:9.2f}".format(name, *before, p, *moments[name, p]))

# %% check_alpha_dropout
torch.manual_seed(0)
sample, upstream = torch.randn(64, 50), torch.randn(64, 50)

# claim: alpha-dropout-equals-torch-given-its-mask
for p in probabilities:
    leaf, same = (sample.clone().requires_grad_() for _ in range(2))
    theirs = nn.AlphaDropout(p)(leaf)
    theirs.backward(upstream)
    a, b = factors(p)
    mask = (theirs - (a * saturation + b)).abs().gt(1e-5).float()
    ours = alpha_dropout(same, mask, p)
    ours.backward(upstream)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(same.grad, leaf.grad, atol=1e-6)
    assert torch.allclose(leaf.grad, a * mask * upstream, atol=1e-6)
    assert abs(mask.mean() - (1 - p)) < 0.05

# claim: library-draws-torchs-mask
for ours, theirs in ((library.AlphaDropout, nn.AlphaDropout), (library.FeatureAlphaDropout, nn.FeatureAlphaDropout)):
    for p in (0.0, *probabilities, 1.0):
        for training in (True, False):
            results = []
            for layer in (ours(p), theirs(p)):
                leaf = sample.clone().requires_grad_()
                torch.manual_seed(1)
                output = layer.train(training)(leaf)
                output.backward(upstream)
                results.append((output.detach(), leaf.grad))
            assert torch.allclose(results[0][0], results[1][0], atol=1e-5)
            assert torch.allclose(results[0][1], results[1][1], atol=1e-6)

# claim: eval-returns-the-input
assert nn.AlphaDropout(0.5).eval()(sample) is sample
assert nn.FeatureAlphaDropout(0.5).eval()(sample) is sample

# claim: dropped-value-is-not-the-saturation
dropped_values = {p: factors(p)[0] * saturation * (1 - p) for p in probabilities}
for p in probabilities:
    far = F.alpha_dropout(torch.full((200,), 1e3), p, training=True)
    assert math.isclose(far.min().item(), dropped_values[p], rel_tol=1e-3)
assert dropped_values[0.5] > -0.8 > -1 > dropped_values[0.2]
assert all(value > saturation + 0.15 for value in dropped_values.values())

dropped_tenth, dropped_fifth, dropped_half = (dropped_values[p] for p in (0.1, 0.2, 0.5))
relu_before = inputs["ReLU of it"].mean().item(), inputs["ReLU of it"].var().item()
relu_after = moments["ReLU of it", 0.5]

# claim: moments-kept-for-standard-input
for p in (0.1, 0.5):
    assert abs(moments["normal", p][0]) < 0.02
    assert abs(moments["normal", p][1] - 1) < 0.02
    assert abs(normal_mean(selu(z))) < 1e-9
behind_selu = F.alpha_dropout(selu(normal), 0.5, training=True)
assert abs(behind_selu.mean()) < 0.02
assert abs(behind_selu.var() - 1) < 0.02

# claim: moments-not-kept-otherwise
assert relu_after[1] > 2 * relu_before[1]
assert relu_after[0] < 0.6 * relu_before[0]
assert moments["mean 2, variance 9", 0.5][1] < 0.8 * 9
assert moments["mean 2, variance 9", 0.5][0] < 0.6 * 2


# %% noise
def share_kept(p):
    # What is left of the input's variance once the mask is averaged out; ordinary dropout keeps 1 - p of its output's.
    return (factors(p)[0] * (1 - p)) ** 2


like_ordinary = {p: 1 - share_kept(p) for p in probabilities}
print("   p       a   dropped   kept of the input's variance   as noisy as ordinary dropout with")
for p in probabilities:
    row = p, factors(p)[0], dropped_values[p], share_kept(p), like_ordinary[p]
    print("{:4.2f} {:7.3f} {:9.3f} {:18.3f} {:30.2f}".format(*row))

# %% check_noise
like_twentieth, like_tenth, like_fifth, like_half = (like_ordinary[p] for p in (0.05, 0.1, 0.2, 0.5))
kept_tenth, kept_fifth = share_kept(0.1), share_kept(0.2)

# claim: mean-over-masks-shrinks-the-input
passes = 20_000
few = torch.tensor([-1.5, -0.5, 0.5, 2.0])
for p in probabilities:
    average = F.alpha_dropout(few.expand(passes, -1), p, training=True).mean(0)
    assert torch.allclose(average, factors(p)[0] * (1 - p) * few, atol=0.05)
    assert torch.allclose(F.dropout(few.expand(passes, -1), p).mean(0), few, atol=0.1)

# claim: noise-share-measured
for p in probabilities:
    for function, expected in ((partial(F.alpha_dropout, training=True), share_kept(p)), (F.dropout, 1 - p)):
        one, other = (function(normal, p) for _ in range(2))
        correlation = torch.corrcoef(torch.stack([one, other]))[0, 1]
        assert abs(correlation - expected) < 0.01

# claim: alpha-is-noisier-at-the-same-p
assert all(like > 1.5 * p for p, like in like_ordinary.items())
assert like_twentieth > 0.15
assert 0.48 < like_fifth < 0.53
assert nn.AlphaDropout().p == 0.5
assert like_half > 0.78

# %% feature
torch.manual_seed(0)
maps = torch.randn(2, 6, 8, 8)
behind = nn.FeatureAlphaDropout(0.5)(maps)
print("standard deviation within each channel, one row a sample")
print(behind.std((2, 3)))

a_half, b_half = factors(0.5)
channel_kept = behind.std((2, 3), keepdim=True).gt(1e-6).float()  # (2, 6, 1, 1)
rebuilt = alpha_dropout(maps, channel_kept, 0.5)

# %% check_feature
# claim: feature-alpha-dropout-is-the-same-formula
assert torch.allclose(rebuilt, behind, atol=1e-5)
assert 0 < channel_kept.sum() < channel_kept.numel()
assert torch.allclose(behind[channel_kept.expand_as(maps) == 0], torch.tensor(dropped_values[0.5]), atol=1e-5)


# %% nets
def lecun(linear):
    # Variance 1 / inputs; of torch's names for gains, "linear" stands for 1.
    nn.init.kaiming_normal_(linear.weight, nonlinearity="linear")
    nn.init.zeros_(linear.bias)


class SelfNormalizingNet(nn.Sequential):
    def __init__(self, sizes, make_dropout=nn.Identity, *, initialize=lecun, activation=nn.SELU):
        layers = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes[:-1]):
            layers += [nn.Linear(inputs, outputs), activation(), make_dropout()]
        super().__init__(*layers, nn.Linear(*sizes[-2:]))  # no SELU behind the last one
        for layer in self:
            if isinstance(layer, nn.Linear):
                initialize(layer)


p_post, p_small_post = 0.2, 0.3
post_sizes = [784, 512, 512, 10]
torch.manual_seed(0)
nets = {
    "SELUNet": SelfNormalizingNet([100, 50, 10]),
    "AlphaDropoutNet": SelfNormalizingNet([100, 50, 10], partial(nn.AlphaDropout, p_small_post)),
    "SelfNormalizingNet": SelfNormalizingNet(post_sizes, partial(nn.AlphaDropout, p_post)),
}
for name, net in nets.items():
    x = torch.randn(32, 1, 28, 28) if name == "SelfNormalizingNet" else torch.randn(32, 100)
    print(f"{name}: input {tuple(x.shape)}, {sum(p.numel() for p in net.parameters()):,} parameters")
    for layer in net:
        x = layer(x)
        if not isinstance(layer, nn.Identity):
            print(f"    {type(layer).__name__:14s}{tuple(x.shape)}")

# %% data
num_train, num_test = 500, 1000
train_set, test_set = images(num_train=num_train, num_test=num_test, seed=0)
train_x = standardize(train_set.images, train=train_set.images)
test_x = standardize(test_set.images, train=train_set.images)
train_y, test_y = train_set.labels, test_set.labels
data_source = train_set.source


def no_change(linear):
    # Leave what nn.Linear drew itself: uniform, variance 1 / (3 inputs), biases too.
    return linear


@torch.no_grad()
def variances(net, x):
    found = []
    for layer in net.eval():
        x = layer(x)
        if isinstance(layer, nn.SELU):
            found.append(x.var().item())
    return found


torch.manual_seed(0)
as_posted = SelfNormalizingNet(post_sizes, initialize=no_change)
as_needed = SelfNormalizingNet(post_sizes)
post_variances, needed_variances = variances(as_posted, train_x), variances(as_needed, train_x)
raw_variances = variances(as_needed, train_set.images)
print(f"data: {data_source}")
print("variance behind the first and the second SELU")
for label, row in {
    "LeCun, standardized": needed_variances,
    "LeCun, raw pixels": raw_variances,
    "torch's default, standardized": post_variances,
}.items():
    print(f"{label:30s}" + "".join(f"{number:8.3f}" for number in row))

# %% check_nets
# claim: post-net-starts-too-small
assert post_variances[0] < 0.55
assert post_variances[1] < 0.35
assert post_variances[1] < post_variances[0]

# claim: needed-net-starts-near-one
assert all(0.6 < variance < 1.5 for variance in needed_variances)

# claim: raw-pixels-start-too-small
assert all(raw < 0.75 * needed for raw, needed in zip(raw_variances, needed_variances, strict=True))

# claim: post-net-takes-no-pictures
net_without_flatten = nn.Sequential(*list(as_needed)[1:])
try:
    net_without_flatten(train_x)
    takes_pictures = True
except RuntimeError:
    takes_pictures = False
assert not takes_pictures

# claim: outputs-are-linear
for net in nets.values():
    assert isinstance(net[-1], nn.Linear)
    assert net.eval()(10 * torch.randn(500, net[1].in_features)).min() < 2 * saturation

# %% depth
depth, width, num_samples, num_seeds = 50, 256, 64, 10


def push(x, initialize, join=lambda x, linear: F.selu(linear(x)), depth=depth):
    activations = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        initialize(linear)
        x = join(x, linear)
        activations.append(x)
    return activations


def with_gain(nonlinearity, linear):
    nn.init.kaiming_normal_(linear.weight, nonlinearity=nonlinearity)
    nn.init.zeros_(linear.bias)


starts = {
    "LeCun": lecun,
    "Kaiming, selu gain": partial(with_gain, "selu"),
    "torch's default": no_change,
    "Kaiming, relu gain": partial(with_gain, "relu"),
}


def spread(x):
    # Over all units and samples; and, within a unit, between samples.
    return x.var().item(), x.var(0).mean().item()


variance, between, gradient = {}, {}, {}
for name, initialize in starts.items():
    runs = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        x = torch.randn(num_samples, width, requires_grad=True)
        layers = push(x, initialize)
        slopes = torch.autograd.grad(layers[-1], [x, *layers], torch.randn(num_samples, width))
        runs.append(([spread(layer.detach()) for layer in layers], [g.square().mean().item() for g in slopes]))
    both = torch.tensor([forward for forward, _ in runs])  # (seeds, layers, 2)
    variance[name], between[name] = both.unbind(2)
    gradient[name] = torch.tensor([backward for _, backward in runs])  # (seeds, layers + 1)

print(f"behind layer {depth}, median of {num_seeds} seeds [least, most]")
print("                          variance              gradient at the input")
for name in starts:
    cells = []
    for values in (variance[name][:, -1], gradient[name][:, 0]):
        cells.append(f"{values.median():9.3g} [{values.min():.3g}, {values.max():.3g}]")
    print(f"{name:21s} {cells[0]:28s} {cells[1]}")


# %% theory
def predicted(weight_gain, bias_variance):
    # Infinitely wide layers: pre-activations are normal, with the mean square of the activations before them.
    path, square = [], 1.0
    for _ in range(depth):
        behind = selu(math.sqrt(weight_gain * square + bias_variance) * z)
        square = normal_mean(behind**2)
        path.append(square - normal_mean(behind) ** 2)
    return path


theory = {
    "LeCun": predicted(1, 0),
    "Kaiming, selu gain": predicted(nn.init.calculate_gain("selu") ** 2, 0),
    "torch's default": predicted(1 / 3, 1 / (3 * width)),
    "Kaiming, relu gain": predicted(2, 0),
}

# %% moments
layer_numbers = list(range(1, depth + 1))


def draw_runs(ax, at, runs, color, label):
    ax.fill_between(at, runs.amin(0), runs.amax(0), color=color, alpha=0.25, linewidth=0)
    ax.plot(at, runs.median(0).values, color=color, label=label)


fig, ax = plt.subplots(figsize=(5.6, 4.2))
for name, color in zip(starts, ("C0", "C3", "C2", "C1"), strict=True):
    draw_runs(ax, layer_numbers, variance[name], color, name)
    ax.plot(layer_numbers, theory[name], color="black", linewidth=1, linestyle=":")
ax.plot([], [], color="black", linewidth=1, linestyle=":", label="theory")
ax.set_yscale("log")
ax.set_yticks([1e-2, 1, 1e2, 1e4], ["0.01", "1", "100", "10,000"])
ax.set_xlabel("layer")
ax.set_ylabel("variance of the activations")
fig.legend(loc="outside lower center", ncols=2)

# %% signal
fig, axes = plt.subplots(2, 1, figsize=(5.6, 6.2), sharex=True)
for name, color in zip(starts, ("C0", "C3", "C2", "C1"), strict=True):
    draw_runs(axes[0], layer_numbers, between[name], color, name)
    draw_runs(axes[1], [0, *layer_numbers], gradient[name], color, name)
axes[0].set_title("forward: variance between samples")
axes[1].set_title("backward: mean square of the gradient")
for ax in axes:
    ax.set_yscale("log")
    ax.set_ylim(1e-11, 1e6)
    ax.set_yticks([1e-10, 1e-5, 1, 1e5], ["$10^{-10}$", "$10^{-5}$", "1", "$10^{5}$"])
axes[1].set_xlabel("layer")
fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_depth
at_end = {name: variance[name][:, -1] for name in starts}
end_median = {name: values.median().item() for name, values in at_end.items()}
between_median = {name: between[name][:, -1].median().item() for name in starts}
gradient_median = {name: gradient[name][:, 0].median().item() for name in starts}
lecun_least, lecun_most = variance["LeCun"].min().item(), variance["LeCun"].max().item()
relu_least, relu_most = at_end["Kaiming, relu gain"].min().item(), at_end["Kaiming, relu gain"].max().item()
gradient_theory = gradient_growth**depth

# claim: lecun-keeps-the-variance
assert 0.75 < lecun_least < lecun_most < 1.3
assert 0.9 < end_median["LeCun"] < 1.1

# claim: default-fades
assert at_end["torch's default"].max() < 0.03

# claim: relu-gain-explodes
assert relu_least > 100

# claim: selu-gain-fades
assert at_end["Kaiming, selu gain"].max() < 0.1

# claim: theory-agrees
for name in starts:
    assert 1 / 2 < end_median[name] / theory[name][-1] < 2

# claim: default-keeps-only-biases
assert between_median["torch's default"] < 1e-7 * end_median["torch's default"]

# claim: relu-gain-keeps-little-signal
assert between_median["Kaiming, relu gain"] < 0.4 * end_median["Kaiming, relu gain"]

# claim: lecun-gradient-grows-mildly
assert 0.4 * gradient_theory < gradient_median["LeCun"] < 2.5 * gradient_theory
assert gradient["LeCun"][:, 0].max() < 150

# claim: other-gradients-vanish-or-explode
assert gradient["torch's default"][:, 0].max() < 1e-7
assert gradient["Kaiming, selu gain"][:, 0].max() < 0.3
assert gradient["Kaiming, relu gain"][:, 0].min() > 1e3

# %% conditions
scaled_by, shifted_by, pixel_mean, pixel_sd, p_plain = 10, 5, 0.3, 0.35, 0.2


def selu_then_dropout(x, linear):
    return F.dropout(F.selu(linear(x)), p_plain)


def relu_instead(x, linear):
    return linear(x).relu()


def with_skip(x, linear):
    return x + F.selu(linear(x))


def plain_layer(x, linear):
    return F.selu(linear(x))


# Each row breaks one condition: the input, then the initialization, then the layer.
broken = {
    "all kept": (lambda x: x, lecun, plain_layer),
    "input times 10": (lambda x: scaled_by * x, lecun, plain_layer),
    "input plus 5": (lambda x: x + shifted_by, lecun, plain_layer),
    "input like raw pixels": (lambda x: pixel_mean + pixel_sd * x, lecun, plain_layer),
    "skip connections": (lambda x: x, lecun, with_skip),
    "ordinary dropout": (lambda x: x, lecun, selu_then_dropout),
    "ReLU for SELU": (lambda x: x, lecun, relu_instead),
}


@torch.no_grad()
def walk(prepare, initialize, join):
    runs = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        runs.append([spread(layer) for layer in push(prepare(torch.randn(num_samples, width)), initialize, join)])
    return torch.tensor(runs, dtype=torch.float64)  # (seeds, layers, 2)


walks = {name: walk(*way) for name, way in broken.items()}
shown = (1, 2, 10, 50)
print("median variance behind layer" + "".join(f"{layer:10d}" for layer in shown) + "   between samples")
for name, runs in walks.items():
    total, within = runs.median(0).values.unbind(1)
    share = (runs[:, -1, 1] / runs[:, -1, 0]).median()
    print(f"{name:28s}" + "".join(f"{total[layer - 1]:10.3g}" for layer in shown) + f"{share:18.2f}")

# %% check_conditions
scaled_second = walks["input times 10"][:, 1, 0].median().item()
shifted_share = (walks["input plus 5"][:, :, 1] / walks["input plus 5"][:, :, 0]).median(0).values
shifted_share_first, shifted_share_end = shifted_share[0].item(), shifted_share[-1].item()
pixel_second = walks["input like raw pixels"][:, 1, 0].median().item()
skip_end = walks["skip connections"][:, -1, 0].median().item()
relu_end = walks["ReLU for SELU"][:, -1, 0].median().item()
dropout_end = walks["ordinary dropout"][:, -1, 0].median().item()
within_tenth = ((walks["input times 10"][:, :, 0].median(0).values - 1).abs() < 0.1).tolist()
recovered_layer = within_tenth.index(True) + 1

# claim: wrong-scale-recovers-late
assert scaled_second > 10
assert pixel_second < 0.5
assert 10 < recovered_layer < 30
for name in ("input times 10", "input plus 5", "input like raw pixels"):
    assert 0.8 < walks[name][:, -1, 0].median() < 1.2

# claim: shift-drowns-the-signal
assert shifted_share_first < 0.15
assert shifted_share_end < 0.7

# claim: skip-connections-explode
assert walks["skip connections"][:, -1, 0].min() > 1e12

# claim: relu-with-lecun-fades
assert walks["ReLU for SELU"][:, -1, 0].max() < 1e-9

# claim: ordinary-dropout-raises-the-variance
assert walks["ordinary dropout"][:, -1, 0].min() > 2
assert walks["ordinary dropout"][:, -1, 0].max() < 4

# %% train
learning_rate, momentum, batch_size, post_epochs, deep_epochs = 0.01, 0.9, 50, 5, 12


def batches(seed, epochs):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        yield from torch.randperm(num_train, generator=generator).split(batch_size)


def train(net, seed, epochs):
    optimizer = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=momentum)
    net.train()
    for batch in batches(seed, epochs):
        loss = F.cross_entropy(net(train_x[batch]), train_y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


torch.manual_seed(0)
one_net = train(SelfNormalizingNet(post_sizes, partial(nn.AlphaDropout, p_post)), seed=0, epochs=post_epochs)
with torch.inference_mode():
    one_accuracy = (one_net(test_x).argmax(1) == test_y).float().mean().item()
print(f"{data_source}, {num_train} training pictures: test accuracy {one_accuracy:.3f}")


# %% train_all
def train_all(sizes, make_dropout=nn.Identity, *, epochs, **options):
    # Ten nets side by side: the same loop, with the weights of all of them in one tensor.
    nets = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        nets.append(SelfNormalizingNet(sizes, make_dropout, **options))
    weights, _ = stack_module_state(nets)
    shape = copy.deepcopy(nets[0])

    def forward(weights, x):
        return functional_call(shape, weights, (x,))

    together = vmap(forward, randomness="different")
    optimizer = torch.optim.SGD(weights.values(), lr=learning_rate, momentum=momentum, fused=True)
    torch.manual_seed(1000)
    shape.train()
    train_losses = []
    for batch in zip(*(batches(seed, epochs) for seed in range(num_seeds)), strict=True):
        picks = torch.stack(batch)  # (nets, batch)
        outputs = together(weights, train_x[picks])
        losses = F.cross_entropy(outputs.mT, train_y[picks], reduction="none").mean(1)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        train_losses.append(losses.detach())
    found = {"weights": weights, "shape": shape, "train_losses": torch.stack(train_losses)}  # (steps, nets)
    with torch.no_grad():
        on_test = vmap(forward, in_dims=(0, None), randomness="different")
        in_train = on_test(weights, test_x)
        shape.eval()
        in_eval = on_test(weights, test_x)  # (nets, pictures, classes)
    labels = test_y.expand(num_seeds, -1)
    found["accuracy"] = (in_eval.argmax(2) == labels).float().mean(1)
    found["loss"] = F.cross_entropy(in_eval.mT, labels, reduction="none").mean(1)
    found["logit_ratio"] = in_eval.std((1, 2)) / in_train.std((1, 2))
    return found


def wins(one, other, key="accuracy"):
    better = one[key] > other[key] if key == "accuracy" else one[key] < other[key]
    return int(better.sum())


# %% post_net
post = {
    "AlphaDropout": train_all(post_sizes, partial(nn.AlphaDropout, p_post), epochs=post_epochs),
    "Dropout": train_all(post_sizes, partial(nn.Dropout, p_post), epochs=post_epochs),
}


def table(results):
    print("                     accuracy          loss    logits, evaluation / training")
    for name, found in results.items():
        accuracy, loss = found["accuracy"], found["loss"]
        print(
            f"{name:18s} {accuracy.mean():.3f} ± {accuracy.std():.3f} "
            f"{loss.mean():.3f} ± {loss.std():.3f} {found['logit_ratio'].mean():12.2f}"
        )


print(f"784-512-512-10, p = {p_post}, {post_epochs} epochs, {num_seeds} seeds, test pictures")
table(post)

# %% deep
deep_sizes = [784] + [64] * 8 + [10]
num_hidden = len(deep_sizes) - 2
alpha_tried = [0.05, 0.1, 0.2]
plain_tried = [0.1, 0.2, round(like_ordinary[0.1], 4)]
p_matched = plain_tried[-1]
deep = {"no dropout": train_all(deep_sizes, epochs=deep_epochs)}
for layer, tried in ((nn.AlphaDropout, alpha_tried), (nn.Dropout, plain_tried)):
    for p in tried:
        deep[f"{layer.__name__} {p:.2f}"] = train_all(deep_sizes, partial(layer, p), epochs=deep_epochs)
print(f"{num_hidden} hidden layers of 64, {deep_epochs} epochs")
table(deep)

# %% trained
fig, axes = plt.subplots(2, 2, figsize=(5.6, 5.4), sharex="col", sharey="row")
series = {
    "AlphaDropout": ("C1", "o", alpha_tried, [like_ordinary[p] for p in alpha_tried]),
    "Dropout": ("C0", "s", plain_tried, plain_tried),
}
for row, (key, label) in enumerate((("accuracy", "test accuracy"), ("loss", "test loss"))):
    for name, (color, marker, tried, noise_shares) in series.items():
        values = torch.stack([deep["no dropout"][key]] + [deep[f"{name} {p:.2f}"][key] for p in tried])
        for ax, at in zip(axes[row], (tried, noise_shares), strict=True):
            at = [0, *at]
            ax.plot(at, values, marker, color=color, alpha=0.25, markersize=3)
            ax.plot(at, values.median(1).values, marker=marker, color=color, label=name)
    axes[row, 0].set_ylabel(label)
axes[1, 0].set_xlabel("drop probability")
axes[1, 1].set_xlabel("noise in one layer")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)

# %% speed
speed_epochs = 5
ways = {
    "SELU, LeCun": deep["no dropout"],
    "SELU, torch's default": train_all(deep_sizes, epochs=speed_epochs, initialize=no_change),
    "ReLU, Kaiming": train_all(
        deep_sizes, epochs=speed_epochs, initialize=partial(with_gain, "relu"), activation=nn.ReLU
    ),
}
per_epoch = num_train // batch_size
early = {name: found["train_losses"][: speed_epochs * per_epoch][-per_epoch:].mean(0) for name, found in ways.items()}
print(f"training loss in epoch {speed_epochs}, mean of {num_seeds} seeds")
for name, losses in early.items():
    print(f"{name:22s} {losses.mean():.3f}")


# %% check_training
accuracy, loss, logits = (
    {name: found[key].mean().item() for name, found in deep.items()} for key in ("accuracy", "loss", "logit_ratio")
)
post_accuracy, post_loss = (
    {name: found[key].mean().item() for name, found in post.items()} for key in ("accuracy", "loss")
)
post_wins = wins(post["AlphaDropout"], post["Dropout"])
post_loss_wins = wins(post["Dropout"], post["AlphaDropout"], "loss")
same_p_wins = {p: wins(deep[f"Dropout {p:.2f}"], deep[f"AlphaDropout {p:.2f}"]) for p in (0.1, 0.2)}
same_p_loss_wins = {p: wins(deep[f"Dropout {p:.2f}"], deep[f"AlphaDropout {p:.2f}"], "loss") for p in (0.1, 0.2)}
matched_wins = wins(deep["AlphaDropout 0.10"], deep[f"Dropout {p_matched:.2f}"])
matched_loss_wins = wins(deep["AlphaDropout 0.10"], deep[f"Dropout {p_matched:.2f}"], "loss")
fifth_wins, tenth_loss_wins, fifth_loss_wins = same_p_wins[0.2], same_p_loss_wins[0.1], same_p_loss_wins[0.2]
none_wins = wins(deep["no dropout"], deep["AlphaDropout 0.20"])
small_alpha_wins = wins(deep["AlphaDropout 0.05"], deep["no dropout"])
least_logit_ratio = deep["AlphaDropout 0.20"]["logit_ratio"].min().item()
relu_speed_wins = int((early["SELU, LeCun"] < early["ReLU, Kaiming"]).sum())
default_speed_wins = int((early["SELU, LeCun"] < early["SELU, torch's default"]).sum())
relu_over_default_wins = int((early["ReLU, Kaiming"] < early["SELU, torch's default"]).sum())

# claim: side-by-side-equals-alone
side_by_side = train_all([784, 16, 10], epochs=1)
for seed in (0, num_seeds - 1):
    torch.manual_seed(seed)
    alone = train(SelfNormalizingNet([784, 16, 10]), seed, epochs=1)
    for name, weight in alone.named_parameters():
        assert torch.allclose(weight, side_by_side["weights"][name][seed], atol=1e-3)

# claim: post-net-accuracy-undecided
assert abs(post_accuracy["AlphaDropout"] - post_accuracy["Dropout"]) < 0.04

# claim: same-p-alpha-loses-at-depth
assert fifth_wins >= 9
assert none_wins >= 9
assert accuracy["AlphaDropout 0.20"] < accuracy["Dropout 0.20"] - 0.08

# claim: same-p-alpha-has-the-higher-loss
assert tenth_loss_wins >= 8
assert fifth_loss_wins >= 9

# claim: matched-noise-alpha-wins
assert matched_wins >= 9
assert accuracy["AlphaDropout 0.10"] > accuracy[f"Dropout {p_matched:.2f}"] + 0.05

# claim: matched-noise-loss-undecided
assert 1 <= matched_loss_wins <= 9
assert abs(loss["AlphaDropout 0.10"] - loss[f"Dropout {p_matched:.2f}"]) < 0.2

# claim: small-p-does-no-harm
assert abs(accuracy["AlphaDropout 0.05"] - accuracy["no dropout"]) < 0.04

# claim: alpha-logits-swell-in-evaluation
assert least_logit_ratio > 1.8
assert logits["Dropout 0.20"] < 1.4
assert logits["AlphaDropout 0.05"] < logits["AlphaDropout 0.10"] < logits["AlphaDropout 0.20"]

# claim: selu-learns-faster
assert relu_speed_wins >= 9
assert default_speed_wins == num_seeds

# claim: selu-without-lecun-is-slower-than-relu
assert relu_over_default_wins >= 9

# %% trap_gain
torch.manual_seed(0)
linear = nn.Linear(width, width)
nn.init.kaiming_normal_(linear.weight, nonlinearity="selu")
wrong_variance = width * linear.weight.var().item()
nn.init.kaiming_normal_(linear.weight, nonlinearity="linear")
right_variance = width * linear.weight.var().item()
print(f"inputs x variance of the weights: {wrong_variance:.3f}, should be 1")
print(f"inputs x variance of the weights: {right_variance:.3f}")

# %% trap_output
line_x = torch.linspace(-1, 1, 64).unsqueeze(1)
line_y = 3 * line_x


def fit(*layers):
    torch.manual_seed(0)
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.Linear):
            lecun(layer)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(300):
        error = F.mse_loss(net(line_x), line_y)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return net(line_x).min().item(), error.item()


with_selu_output = fit(nn.Linear(1, 16), nn.SELU(), nn.Linear(16, 1), nn.SELU())
with_linear_output = fit(nn.Linear(1, 16), nn.SELU(), nn.Linear(16, 1))
print("SELU on the output   least prediction {:6.3f}, error {:.4f}".format(*with_selu_output))
print("linear output        least prediction {:6.3f}, error {:.4f}".format(*with_linear_output))

# %% trap_functional
x = torch.randn(5)
print("F.alpha_dropout(x, 0.5) changes x:               ", not torch.equal(F.alpha_dropout(x, 0.5), x))
print("F.alpha_dropout(x, 0.5, training=True) changes x:", not torch.equal(F.alpha_dropout(x, 0.5, training=True), x))

# %% trap_inplace
x = torch.randn(5)
before = x.clone()
nn.AlphaDropout(0.5, inplace=True)(x)
module_wrote = not torch.equal(x, before)
F.alpha_dropout(x, 0.5, training=True, inplace=True)
function_wrote = not torch.equal(x, before)
print("nn.AlphaDropout(0.5, inplace=True) wrote into x:", module_wrote)
print("F.alpha_dropout(..., inplace=True) wrote into x:", function_wrote)

# %% trap_batch
torch.manual_seed(0)
volume = torch.randn(4, 6, 8, 8)  # (channels, depth, height, width), without a batch
feature_dropout = nn.FeatureAlphaDropout(0.5)


def partly_dropped(output):
    # Channels of which some slices are constant and others are not.
    constant = output.std((-2, -1)) < 1e-6  # (channels, depth)
    return int((constant.any(-1) & ~constant.all(-1)).sum())


torn = partly_dropped(feature_dropout(volume))
whole = partly_dropped(feature_dropout(volume.unsqueeze(0)).squeeze(0))
print(f"channels dropped in part, without a batch: {torn} of {len(volume)}")
print(f"channels dropped in part, as a batch of 1: {whole} of {len(volume)}")


# %% trap_literal
def literal_selu(x):
    return scale * (x.clamp(min=0) + (alpha * (torch.exp(x) - 1)).clamp(max=0))


literal_gradients, safe_gradients = [], []
for function, gradients in ((literal_selu, literal_gradients), (selu, safe_gradients)):
    x = torch.tensor([-1.0, 1.0, 88.0, 89.0], requires_grad=True)
    function(x).sum().backward()
    gradients += x.grad.tolist()
print("literal", literal_gradients)
print("safe   ", safe_gradients)

# %% check_traps
# claim: gain-selu-is-three-quarters
assert nn.init.calculate_gain("selu") == 0.75
assert abs(wrong_variance - 0.75**2) < 0.05
assert abs(right_variance - 1) < 0.05

# claim: selu-output-has-a-floor
floor_error = (saturation - line_y).clamp(min=0).square().mean().item()
assert saturation - 1e-5 <= with_selu_output[0]
assert with_selu_output[1] >= floor_error > 0.1
assert with_linear_output[0] < -2.5
assert with_linear_output[1] < 0.1 * floor_error

# claim: functional-is-off-by-default
x = torch.randn(50)
assert F.alpha_dropout(x, 0.5) is x
assert not torch.equal(F.alpha_dropout(x, 0.5, training=True), x)
assert not torch.equal(F.dropout(x, 0.5), x)

# claim: module-ignores-inplace
for layer in (nn.AlphaDropout(0.5, inplace=True), nn.FeatureAlphaDropout(0.5, inplace=True)):
    x = torch.randn(8, 8)
    before = x.clone()
    assert not torch.equal(layer(x), before)
    assert torch.equal(x, before)
assert not module_wrote
assert function_wrote

# claim: feature-dropout-needs-a-batch
assert torn > 0
assert whole == 0

# claim: literal-formula-gives-nan
assert all(math.isfinite(value) for value in [*literal_gradients[:3], *safe_gradients])
assert math.isnan(literal_gradients[3])


# %% solution_closed_form
def normal_cdf(t):
    return math.erfc(-t / math.sqrt(2)) / 2


below = math.exp(1 / 2) * normal_cdf(-1)  # E[exp(z); z < 0]
below_squared = math.exp(2) * normal_cdf(-2)  # E[exp(2 z); z < 0]
closed_alpha = 1 / math.sqrt(2 * math.pi) / (1 / 2 - below)
closed_scale = (1 / 2 + closed_alpha**2 * (below_squared - 2 * below + 1 / 2)) ** -0.5
print(f"alpha  {closed_alpha:.12f}, lambda {closed_scale:.12f}")


# %% solution_variance_two
wanted = 2.0
y = math.sqrt(wanted) * z
alpha_two = normal_mean(y.clamp(min=0)) / -normal_mean(torch.expm1(y.clamp(max=0)))
scale_two = math.sqrt(wanted / normal_mean(torch.where(y > 0, y, alpha_two * torch.expm1(y)) ** 2))


def selu_two(x):
    return scale_two * torch.where(x > 0, x, alpha_two * torch.expm1(x.clamp(max=0)))


two_ends = []
with torch.no_grad():
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        start = torch.randn(num_samples, width)
        two_ends.append(push(start, lecun, lambda x, linear: selu_two(linear(x)))[-1].var().item())
two_least, two_most = min(two_ends), max(two_ends)
print(f"alpha {alpha_two:.4f}, lambda {scale_two:.4f}")
print(f"variance behind layer {depth}: {two_least:.2f} to {two_most:.2f}")

# %% check_solutions
# claim: closed-forms-agree
assert math.isclose(closed_alpha, alpha, rel_tol=1e-12)
assert math.isclose(closed_scale, scale, rel_tol=1e-12)

# claim: variance-two-is-a-fixed-point-too
assert 1.5 < two_least < two_most < 2.6
