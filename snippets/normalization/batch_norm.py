# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% companions
import copy
import inspect
import math
from contextlib import nullcontext
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader

from reglab.data import images, standardize

torch.set_num_threads(1)
batch_sizes, num_draws = (2, 4, 8, 16, 32, 64, 128, 256), 4000
true_mean, true_std, sample = 5.0, 2.0, 7.0


def outputs_of_the_sample(batch_size):
    # Every channel is one draw: the same sample among other companions.
    batch = true_mean + true_std * torch.randn(batch_size, num_draws)
    batch[0] = sample
    return nn.BatchNorm1d(num_draws, affine=False)(batch)[0]


torch.manual_seed(0)
in_training = {size: outputs_of_the_sample(size) for size in batch_sizes}

recording = nn.BatchNorm1d(1, affine=False, momentum=None)
for _ in range(500):
    recording(true_mean + true_std * torch.randn(64, 1))
in_evaluation = recording.eval()(torch.tensor([[sample]])).item()

# %% companions_figure
fig, ax = plt.subplots(figsize=(5.6, 3.6))
num_dots = 50
for place, size in enumerate(batch_sizes):
    label = "training mode, one dot a batch" if place == 0 else None
    across = place + torch.linspace(-0.3, 0.3, num_dots)
    dots = in_training[size][:num_dots]
    ax.plot(across, dots, "o", color="C0", markersize=2, label=label)
label = "evaluation mode, whatever the batch"
ax.axhline(in_evaluation, color="C1", linewidth=2.2, label=label)
ax.set_xticks(range(len(batch_sizes)), [str(size) for size in batch_sizes])
ax.set_ylim(-1.4, 4)
ax.set_xlabel("batch size")
ax.set_ylabel("output of one and the same sample")
ax.legend(loc="upper right")

# %% check_companions
spread = {str(size): found.std().item() for size, found in in_training.items()}
deviations = (sample - true_mean) / true_std
by_formula = {str(size): math.sqrt((1 + deviations**2 / 2) / size) for size in batch_sizes}

# claim: output-depends-on-companions
assert spread["8"] > 0.25
assert all(in_training[size].unique().numel() > num_draws // 2 for size in batch_sizes[1:])

# claim: evaluation-ignores-companions
crowd = torch.cat([torch.tensor([[sample]]), 100 * torch.randn(63, 1)])
assert torch.equal(recording(crowd)[:1], recording(torch.tensor([[sample]])))
assert abs(in_evaluation - deviations) < 0.05

# claim: noise-falls-like-root-m
for size in batch_sizes[4:]:
    assert abs(spread[str(size)] / by_formula[str(size)] - 1) < 0.1
assert 1.8 < spread["64"] / spread["256"] < 2.2

# %% four_steps
torch.manual_seed(0)
x = 10 * torch.rand(2, 2, 3, 4).double() ** 3  # N, C, H, W
x[1] += 5  # the second picture is the brighter one
layer = nn.BatchNorm2d(2).double()
nn.init.uniform_(layer.weight, 0.5, 1.5)
nn.init.normal_(layer.bias)
gamma, beta = layer.weight.detach(), layer.bias.detach()

c, entry = 1, (1, 1, 2, 3)
channel = x[:, c]  # (N, H, W): everything this channel holds
m = channel.numel()
mean = channel.sum() / m
variance = (channel - mean).square().sum() / m
x_hat = (x[entry] - mean) / torch.sqrt(variance + layer.eps)
y = gamma[c] * x_hat + beta[c]

print(f"the entry x{list(entry)} is {x[entry]:.4f}, one of m = {m}")
print(f"1  mean        {mean:8.4f}")
print(f"2  variance    {variance:8.4f}")
print(f"3  normalized  {x_hat:8.4f}")
print(f"4  output      {y:8.4f}   gamma {gamma[c]:.4f}, beta {beta[c]:.4f}")
print(f"   torch       {layer(x)[entry].item():8.4f}")


# %% hand_computed
def corner(x, around, correction=0, eps_outside=False):
    std = torch.sqrt(around.var(correction=correction) + layer.eps)
    if eps_outside:
        std = around.std(correction=correction) + layer.eps
    return (x[0, 0, 0, 0] - around.mean()) / std * gamma[0] + beta[0]


corners = {}
for factor in (1, 0.001):
    scaled = factor * x
    everywhere, first = scaled[:, 0], scaled[0, 0]
    corners[factor] = {
        "torch": layer(scaled)[0, 0, 0, 0].item(),
        "over N, H and W": corner(scaled, everywhere).item(),
        "over H and W of sample 0": corner(scaled, first).item(),
        "divided by m - 1": corner(scaled, everywhere, 1).item(),
        "eps outside the root": corner(scaled, everywhere, 0, True).item(),
    }
print("y[0, 0, 0, 0]             of x   of 0.001 x")
for name in corners[1]:
    print(f"{name:24s}{corners[1][name]:9.5f}{corners[0.001][name]:10.5f}")

# %% pixels
torch.manual_seed(0)
levels = torch.tensor([1.0, 5.0, 9.0]).view(3, 1, 1)
pictures = levels + torch.randn(4, 3, 3, 3)  # four pictures of 3×3 pixels
table = pictures.permute(0, 2, 3, 1).reshape(-1, 3)  # (36 pixels, 3)
by_pictures = nn.BatchNorm2d(3)(pictures)
by_table = nn.BatchNorm1d(3)(table)
as_table = by_pictures.permute(0, 2, 3, 1).reshape(-1, 3)


def rounded(vector):
    return [round(value, 3) for value in vector.tolist()]


print("means of the channels ", rounded(pictures.mean((0, 2, 3))))
print("means of the columns  ", rounded(table.mean(0)))
print("BatchNorm2d, one pixel", rounded(as_table[0]))
print("BatchNorm1d, one row  ", rounded(by_table[0]))

# %% check_by_hand
# claim: every-number-by-hand
assert torch.isclose(y, layer(x)[entry], atol=1e-12)
assert m == 2 * 3 * 4
for factor in (1, 0.001):
    right = corners[factor]["torch"]
    assert abs(corners[factor]["over N, H and W"] - right) < 1e-12

# claim: statistics-of-one-sample-are-wrong
assert abs(corners[1]["over H and W of sample 0"] - corners[1]["torch"]) > 0.1
single = nn.BatchNorm2d(2).double()(x[:1])[0, 0]
by_one = (x[0, 0] - x[0, 0].mean()) / torch.sqrt(x[0, 0].var(correction=0) + 1e-5)
assert torch.allclose(single, by_one)

# claim: unbiased-variance-is-wrong-here
assert abs(corners[1]["divided by m - 1"] - corners[1]["torch"]) > 0.005

# claim: eps-stands-inside-the-root
assert abs(corners[1]["eps outside the root"] - corners[1]["torch"]) < 1e-4
assert abs(corners[0.001]["eps outside the root"] - corners[0.001]["torch"]) > 0.01

# claim: pixels-are-samples-channels-are-features
assert torch.allclose(by_table, as_table, atol=1e-5)
assert torch.allclose(pictures.mean((0, 2, 3)), table.mean(0), atol=1e-5)
assert by_table.mean(0).abs().max() < 1e-5
assert table.shape == (36, 3)

# claim: not-over-the-channels-of-a-pixel
assert as_table.mean(1).abs().max() > 0.3
over_channels = F.layer_norm(table, [3])
assert over_channels.mean(1).abs().max() < 1e-5
assert not torch.allclose(over_channels, as_table, atol=0.3)

# %% not_normal
torch.manual_seed(0)
one_tail = 4 * torch.rand(4000).log().neg()
two_humps = 20 + torch.cat([torch.randn(2000) - 3, torch.randn(2000) + 3])
before = torch.stack([one_tail, two_humps], dim=1)  # two channels
after = nn.BatchNorm1d(2, affine=False)(before)

fig, axes = plt.subplots(2, 2, figsize=(5.6, 3.6))
for column, name in enumerate(("one tail", "two humps")):
    for ax, values, when, color in (
        (axes[column, 0], before, "before", "C0"),
        (axes[column, 1], after, "after batch norm", "C1"),
    ):
        counts, edges = torch.histogram(values[:, column], 40)
        ax.stairs(counts, edges, fill=True, color=color)
        ax.set_title(f"{name}, {when}")
        ax.set_yticks([])
        ax.grid(False)

# %% undo
torch.manual_seed(1)
batch = 3 + 0.02 * torch.randn(64, 5)  # a variance so small that eps counts
next_batch = 4 + 0.1 * torch.randn(64, 5)
layer = nn.BatchNorm1d(5)
variance = batch.var(0, correction=0)
undone = {}
with torch.no_grad():
    layer.bias.copy_(batch.mean(0))
    for name, gamma in (
        ("sqrt(variance)", variance.sqrt()),
        ("sqrt(variance + eps)", torch.sqrt(variance + layer.eps)),
    ):
        layer.weight.copy_(gamma)
        undone[name] = (layer(batch) - batch).abs().max().item()
        print(f"gamma = {name:20s}  off by at most {undone[name]:.5f}")
    error = (layer(next_batch) - next_batch).abs().max().item()
    undone["next batch"] = error
    print(f"the same, next batch          off by at most {error:.5f}")


# %% check_shape
def skewness_and_kurtosis(values):
    z = (values - values.mean(0)) / values.std(0, correction=0)
    return torch.stack([z.pow(3).mean(0), z.pow(4).mean(0)])


# claim: standardized-not-normal
assert after.mean(0).abs().max() < 1e-4
assert (after.var(0, correction=0) - 1).abs().max() < 1e-3
same_shape = skewness_and_kurtosis(before), skewness_and_kurtosis(after)
assert torch.allclose(*same_shape, atol=0.01)
skewness, kurtosis = skewness_and_kurtosis(after)
assert skewness[0] > 1.5  # 0 for a normal distribution
assert kurtosis[1] < 2  # 3 for a normal distribution

# claim: gamma-and-beta-undo
assert undone["sqrt(variance + eps)"] < 1e-5
assert undone["sqrt(variance)"] > 100 * undone["sqrt(variance + eps)"]

# claim: undone-for-one-batch-only
assert undone["next batch"] > 0.5

# claim: undone-for-all-in-evaluation
with torch.no_grad():
    layer.eval().bias.copy_(layer.running_mean)
    layer.weight.copy_(torch.sqrt(layer.running_var + layer.eps))
    for values in (batch, next_batch, 100 * torch.randn(7, 5)):
        assert torch.allclose(layer(values), values, atol=1e-4)


# %% scratch
def per_channel(vector, x):
    return vector.view(1, -1, *[1] * (x.dim() - 2))  # to broadcast over x


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = (0, *range(2, x.dim()))  # all but the channels
    mean = x.mean(axes, keepdim=True)
    variance = x.var(axes, keepdim=True, correction=0)
    x_hat = (x - mean) / torch.sqrt(variance + eps)
    y = per_channel(gamma, x) * x_hat + per_channel(beta, x)
    return y, x_hat, variance


def gradients(upstream, x_hat, variance, gamma, eps=1e-5):
    axes = (0, *range(2, upstream.dim()))
    g = per_channel(gamma, upstream) * upstream
    mean_g = g.mean(axes, keepdim=True)
    mean_gx = (g * x_hat).mean(axes, keepdim=True)
    grad_x = (g - mean_g - x_hat * mean_gx) / torch.sqrt(variance + eps)
    return grad_x, (upstream * x_hat).sum(axes), upstream.sum(axes)


# %% check_scratch
torch.manual_seed(2)
for kind, shape in (
    ("BatchNorm1d", (6, 5)),
    ("BatchNorm1d", (6, 5, 7)),
    ("BatchNorm2d", (6, 5, 4, 3)),
    ("BatchNorm3d", (6, 5, 2, 4, 3)),
):
    theirs = getattr(nn, kind)(5).double()
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    gamma, beta = theirs.weight.detach(), theirs.bias.detach()
    leaf = (7 + 3 * torch.randn(shape).double()).requires_grad_()
    upstream = torch.randn(shape).double()
    output = theirs(leaf)
    output.backward(upstream)
    output, input_gradient = output.detach(), leaf.grad
    ours, x_hat, variance = batch_norm(leaf.detach(), gamma, beta)
    axes = (0, *range(2, leaf.dim()))

    # claim: four-steps-equal-torch
    assert torch.allclose(ours, output, atol=1e-10)

    # claim: gradient-formula
    found = gradients(upstream, x_hat, variance, gamma)
    expected = (input_gradient, theirs.weight.grad, theirs.bias.grad)
    for by_formula, by_autograd in zip(found, expected, strict=True):
        assert torch.allclose(by_formula, by_autograd, atol=1e-10)

    # claim: constant-statistics-give-another-gradient
    as_constants = per_channel(gamma, upstream) * upstream / torch.sqrt(variance + 1e-5)
    assert (as_constants - input_gradient).norm() > 0.05 * input_gradient.norm()

    # claim: no-gradient-along-shift-and-scale
    assert input_gradient.sum(axes).abs().max() < 1e-9
    assert (input_gradient * x_hat).sum(axes).abs().max() < 1e-3

    # claim: mean-is-beta-and-std-is-gamma
    assert torch.allclose(output.mean(axes), beta, atol=1e-9)
    assert torch.allclose(output.std(axes, correction=0), gamma.abs(), atol=1e-4)

    # claim: order-kept-within-a-channel
    sorted_before = leaf.detach().movedim(1, 0).flatten(1).argsort(1)
    steps_up = output.movedim(1, 0).flatten(1).gather(1, sorted_before).diff(dim=1)
    assert torch.equal((steps_up >= 0).all(1), gamma > 0)
    assert torch.equal((steps_up <= 0).all(1), gamma < 0)

# claim: gradient-in-evaluation
later = nn.BatchNorm1d(5).double()
later(torch.randn(9, 5).double())
leaf, upstream = torch.randn(2, 6, 5).double()
leaf.requires_grad_()
later.eval()(leaf).backward(upstream)
recorded_std = torch.sqrt(later.running_var + 1e-5)
assert torch.allclose(leaf.grad, later.weight * upstream / recorded_std)

# claim: order-lost-between-channels
far_apart = torch.tensor([[0.0, 102.0], [10.0, 101.0], [20.0, 100.0]])
left, right = nn.BatchNorm1d(2)(far_apart).detach().T
assert (far_apart[:, 0] < far_apart[:, 1]).all()
assert left[2] > right[2] + 1

# %% attributes
layer = nn.BatchNorm1d(5, momentum=0.3)
for kind, named in (
    ("parameter", layer.named_parameters()),
    ("buffer", layer.named_buffers()),
):
    for name, tensor in named:
        print(f"{kind:10s} {name:20s}{tensor.dtype!s:14s}{tensor.tolist()}")

# %% shapes
kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
accepts = {}
print("input            1d   2d   3d")
for shape in ((5,), (4, 5), (4, 5, 6), (4, 5, 6, 6), (4, 5, 2, 6, 6)):
    for kind in kinds:
        try:
            kind(5)(torch.randn(shape))
            accepts[kind.__name__, len(shape)] = "yes"
        except ValueError:
            accepts[kind.__name__, len(shape)] = "-"
    found = [accepts[kind.__name__, len(shape)] for kind in kinds]
    print(f"{shape!s:16s} {found[0]:5s}{found[1]:5s}{found[2]}")

# %% running
alpha = 0.3
by_hand, by_torch, wrong_variance = {}, {}, {}
torch.manual_seed(0)
print(f"{'by hand / by torch':38s}running mean     running variance")
for name, shape in (
    ("BatchNorm1d", (3, 5, 1)),
    ("BatchNorm2d", (3, 3, 2, 2)),
    ("BatchNorm3d", (3, 2, 2, 2, 3)),
):
    layer = getattr(nn, name)(shape[1], momentum=alpha)
    running_mean, running_var, biased_var = 0.0, 1.0, 1.0
    for step in (1, 2):
        batch = 2 + 3 * torch.randn(shape)
        layer(batch)
        channel = batch[:, 1]
        mean, var = channel.mean().item(), channel.var(correction=1).item()
        running_mean = (1 - alpha) * running_mean + alpha * mean
        running_var = (1 - alpha) * running_var + alpha * var
        biased = channel.var(correction=0).item()
        biased_var = (1 - alpha) * biased_var + alpha * biased
        stored = layer.running_mean[1].item(), layer.running_var[1].item()
        by_hand[name, step] = running_mean, running_var
        by_torch[name, step] = stored
        wrong_variance[name, step] = biased_var
        means = f"{running_mean:.4f} / {stored[0]:.4f}"
        variances = f"{running_var:.4f} / {stored[1]:.4f}"
        print(f"{name} {shape!s:16s} batch {step}  {means}  {variances}")

# %% check_running
# claim: signature-of-today
whole_signature = inspect.signature(nn.BatchNorm2d)
assert inspect.signature(nn.BatchNorm1d) == whole_signature
assert inspect.signature(nn.BatchNorm3d) == whole_signature
parameters = whole_signature.parameters
defaults = {name: parameter.default for name, parameter in parameters.items()}
first_five = ["num_features", "eps", "momentum", "affine", "track_running_stats"]
assert list(parameters) == [*first_five, "device", "dtype", "bias"]
assert defaults["num_features"] is inspect.Parameter.empty
assert (defaults["eps"], defaults["momentum"], defaults["affine"]) == (1e-5, 0.1, True)
assert defaults["track_running_stats"] is True and defaults["bias"] is True
assert parameters["bias"].kind is inspect.Parameter.KEYWORD_ONLY

# claim: two-parameters-three-buffers
fresh = nn.BatchNorm1d(5)
assert [name for name, _ in fresh.named_parameters()] == ["weight", "bias"]
buffer_names = [name for name, _ in fresh.named_buffers()]
assert buffer_names == ["running_mean", "running_var", "num_batches_tracked"]
assert set(fresh.state_dict()) == {"weight", "bias", *buffer_names}
assert fresh.num_batches_tracked.dtype == torch.int64
assert fresh.num_batches_tracked.shape == ()
for name in ("weight", "bias", "running_mean", "running_var"):
    assert fresh.state_dict()[name].shape == (5,)

# claim: affine-false-means-none
plain = nn.BatchNorm1d(5, affine=False)
assert plain.weight is None and plain.bias is None
only_gamma = nn.BatchNorm1d(5, bias=False)
assert only_gamma.weight is not None and only_gamma.bias is None

# claim: bn1d-takes-two-shapes
assert accepts["BatchNorm1d", 2] == accepts["BatchNorm1d", 3] == "yes"
for name, dims in (("BatchNorm1d", [2, 3]), ("BatchNorm2d", [4]), ("BatchNorm3d", [5])):
    assert [d for d in range(1, 6) if accepts[name, d] == "yes"] == dims

# claim: running-statistics-by-hand
for key, pair in by_hand.items():
    assert all(abs(a - b) < 1e-5 for a, b in zip(pair, by_torch[key], strict=True))

# claim: running-variance-is-unbiased
for key, pair in by_torch.items():
    assert abs(wrong_variance[key] - pair[1]) > 0.01

# claim: training-normalizes-with-the-batch-alone
torch.manual_seed(3)
first, second = torch.randn(4, 5), 50 + 9 * torch.randn(4, 5)
layer = nn.BatchNorm1d(5, momentum=0.3)
layer(first)
assert torch.allclose(layer(second), nn.BatchNorm1d(5)(second))
standardized = (second - second.mean(0)) / second.std(0, correction=0)
assert torch.allclose(layer(second), standardized, atol=1e-5)

# claim: means-of-constants-are-right
layer = nn.BatchNorm1d(5, momentum=alpha)
constant = torch.arange(1.0, 6).view(1, 5, 1).expand(3, 5, 1)
of_twos, faded = [], []
for arrived, left in ((0.3, 0.7), (0.51, 0.49)):
    layer(constant)
    of_twos.append(layer.running_mean[1].item())
    faded.append(round(layer.running_var[0].item(), 4))
    assert torch.allclose(layer.running_mean, arrived * constant[0, :, 0])

    # claim: constants-hide-the-variance
    assert torch.allclose(layer.running_var, torch.tensor(left))
assert constant.var((0, 2), correction=0).max() == 0 == constant.var((0, 2)).max()
assert layer(constant).abs().max() < 1e-6

# claim: shape-gives-the-number-of-statistics
assert nn.BatchNorm3d(2, momentum=0.3)(torch.randn(3, 2, 2, 2, 3)).shape == (3, 2, 2, 2, 3)
try:
    nn.BatchNorm3d(3)(torch.randn(3, 2, 2, 2, 3))
    raised = False
except RuntimeError:
    raised = True
assert raised
assert nn.BatchNorm3d(3)(torch.randn(3, 3, 2, 2, 3)).shape == (3, 3, 2, 2, 3)
pictures_2d = torch.randn(3, 3, 2, 2)
assert pictures_2d[0, 0].shape == (2, 2)
assert nn.BatchNorm2d(3)(pictures_2d).shape == (3, 3, 2, 2)

# %% momentum
small_batch, num_batches = 8, 120
torch.manual_seed(1)
batches = true_mean + true_std * torch.randn(num_batches, small_batch, 1)
recorded, momenta = {}, (0.01, 0.1, 0.9, None)
for momentum in momenta:
    layer = nn.BatchNorm1d(1, momentum=momentum)
    path = [layer.running_mean.item()]
    for batch in batches:
        layer(batch)
        path.append(layer.running_mean.item())
    recorded[str(momentum)] = path

# %% momentum_figure
fig, ax = plt.subplots(figsize=(5.6, 3.8))
for name, color, line in (
    ("0.9", "C2", "-"),
    ("0.01", "C3", "--"),
    ("0.1", "C0", "-"),
    ("None", "C1", "-."),
):
    width = 1.2 if name == "0.9" else 2
    label = f"momentum={name}"
    ax.plot(recorded[name], line, color=color, linewidth=width, label=label)
ax.axhline(true_mean, color="black", linestyle=":", label="true mean")
ax.set_ylim(-0.4, 8.9)
ax.set_xlabel("batches seen")
ax.set_ylabel("running mean")
ax.legend(loc="upper right", ncols=2)


# %% memory
def batches_until(share, momentum):
    return math.ceil(math.log(share) / math.log(1 - momentum))


until, averages, shares = {}, {}, (0.1, 0.01)
print("momentum  start down to 10%    to 1%  like the mean of")
for momentum in (0.01, 0.03, 0.1, 0.3, 0.9):
    name = str(momentum)
    until[name] = [batches_until(share, momentum) for share in shares]
    averages[name] = (2 - momentum) / momentum
    tenth, hundredth = until[name]
    print(f"{name:>8s}{tenth:10d} batches{hundredth:9d}", end="")
    print(f"{averages[name]:10.1f} batches")

# %% check_momentum
# claim: momentum-weighs-the-new-batch
for momentum in (0.01, 0.1, 0.9):
    layer, by_hand_mean, by_hand_var = nn.BatchNorm1d(1, momentum=momentum), 0.0, 1.0
    for batch in batches:
        layer(batch)
        by_hand_mean = (1 - momentum) * by_hand_mean + momentum * batch.mean().item()
        by_hand_var = (1 - momentum) * by_hand_var + momentum * batch.var().item()
    assert abs(layer.running_mean.item() - by_hand_mean) < 1e-4
    assert abs(layer.running_var.item() - by_hand_var) < 1e-3

# claim: keras-counts-the-other-way
keras_momentum, keras_mean = 0.9, 0.0
for batch in batches:
    keras_mean = keras_momentum * keras_mean + (1 - keras_momentum) * batch.mean().item()
torch_momentum = 1 - keras_momentum
assert abs(keras_mean - recorded["0.1"][-1]) < 1e-4
assert abs(keras_mean - recorded["0.9"][-1]) > 0.1

# claim: none-is-the-plain-average
layer = nn.BatchNorm1d(1, momentum=None)
for batch in batches:
    layer(batch)
assert abs(layer.running_mean.item() - batches.mean().item()) < 1e-4
assert abs(layer.running_var.item() - batches.var(1).mean().item()) < 1e-3
assert layer.num_batches_tracked == num_batches

# claim: zero-never-moves-one-keeps-the-last
never, last = nn.BatchNorm1d(1, momentum=0.0), nn.BatchNorm1d(1, momentum=1.0)
for batch in batches:
    never(batch)
    last(batch)
assert never.running_mean == 0 and never.running_var == 1
assert never.num_batches_tracked == num_batches
assert torch.allclose(last.running_mean, batches[-1].mean(0))
assert torch.allclose(last.running_var, batches[-1].var(0))

early = 12
start_left = (1 - 0.1) ** early

# claim: start-fades-and-noise-stays
many = 2000
torch.manual_seed(2)
for momentum in (0.1, 0.3):
    layer, steps_needed = nn.BatchNorm1d(many, momentum=momentum), until[str(momentum)]
    for step in range(1, 101):
        layer(true_mean + true_std * torch.randn(small_batch, many))
        left = 1 - layer.running_mean.mean().item() / true_mean
        assert abs(left - (1 - momentum) ** step) < 0.01
        if step == steps_needed[0] - 1:
            assert (1 - momentum) ** step > 0.1
        if step == steps_needed[0]:
            assert (1 - momentum) ** step <= 0.1
    noise = layer.running_mean.std().item()
    one_batch = true_std / math.sqrt(small_batch)
    assert abs(noise / (one_batch / math.sqrt(averages[str(momentum)])) - 1) < 0.1

# claim: figure-shows-slow-and-restless
not_yet = 60
tail = {name: torch.tensor(path[not_yet + 1 :]) for name, path in recorded.items()}
assert recorded["0.01"][not_yet] < 0.6 * true_mean
assert tail["0.9"].std() > 2 * tail["0.1"].std()
assert (torch.tensor(recorded["None"][10:]) - true_mean).abs().max() < 0.6
assert (tail["0.1"] - true_mean).abs().max() < 1


# %% modes
def probe(layer, training, context):
    layer.train(training)
    if layer.running_mean is not None:
        layer.running_mean.fill_(5)
        layer.running_var.fill_(9)
    before = {name: t.clone() for name, t in layer.named_buffers()}
    x = torch.randn(64, 3)
    with context():
        y = layer(x)
    by_batch = (x - x.mean(0)) / x.std(0, correction=0)
    by_buffers = (x - 5) / 3
    used = "?"
    if torch.allclose(y, by_batch, atol=1e-3):
        used = "batch"
    if torch.allclose(y, by_buffers, atol=1e-3):
        used = "buffers"
    now = dict(layer.named_buffers())
    written = sum(not torch.equal(now[name], before[name]) for name in now)
    return f"{used}, {written}"


untracked = nn.BatchNorm1d(3, track_running_stats=False)
set_to_false = nn.BatchNorm1d(3)
set_to_false.track_running_stats = False
set_to_true = copy.deepcopy(untracked)
set_to_true.track_running_stats = True

torch.manual_seed(0)
modes = {}
print("statistics used, buffers written")
print(f"{'':27s}train()     no_grad     eval()      no_grad")
for name, layer in (
    ("BatchNorm1d(3)", nn.BatchNorm1d(3)),
    ("affine=False", nn.BatchNorm1d(3, affine=False)),
    ("momentum=None", nn.BatchNorm1d(3, momentum=None)),
    ("momentum=0", nn.BatchNorm1d(3, momentum=0)),
    ("track_running_stats=False", untracked),
    ("set to False later", set_to_false),
    ("set to True later", set_to_true),
):
    modes[name] = []
    for training in (True, False):
        modes[name].append(probe(layer, training, nullcontext))
        modes[name].append(probe(layer, training, torch.no_grad))
    print(f"{name:27s}" + "".join(f"{found:12s}" for found in modes[name]))

# %% one_sample
one_sample = {}
print("a batch of one       train()  eval()  eval(), no buffers")
for kind, shape in (
    (nn.BatchNorm1d, (1, 5)),
    (nn.BatchNorm1d, (1, 5, 7)),
    (nn.BatchNorm2d, (1, 5, 1, 1)),
    (nn.BatchNorm2d, (1, 5, 4, 4)),
):
    found = []
    for layer in (
        kind(5).train(),
        kind(5).eval(),
        kind(5, track_running_stats=False).eval(),
    ):
        try:
            layer(torch.randn(shape))
            found.append("fine")
        except ValueError as error:
            found.append("error")
            message = str(error)
    one_sample[str(shape)] = found
    print(f"{shape!s:20s} {found[0]:9s}{found[1]:8s}{found[2]}")
print(message.replace(", got", ",\ngot"))

# %% check_modes
# claim: training-uses-the-batch-and-writes
for name in ("BatchNorm1d(3)", "affine=False", "momentum=None"):
    assert modes[name] == ["batch, 3", "batch, 3", "buffers, 0", "buffers, 0"]

# claim: no-grad-changes-nothing
assert all(found[0] == found[1] and found[2] == found[3] for found in modes.values())

# claim: momentum-zero-still-counts
assert modes["momentum=0"][0] == "batch, 1"

# claim: without-buffers-always-the-batch
assert modes["track_running_stats=False"] == ["batch, 0"] * 4
assert not list(untracked.buffers()) and untracked.running_mean is None
assert set(untracked.state_dict()) == {"weight", "bias"}

# claim: set-later-is-a-third-thing
assert modes["set to False later"] == ["batch, 0", "batch, 0", "buffers, 0", "buffers, 0"]
assert modes["set to True later"] == ["batch, 0"] * 4
try:
    nn.BatchNorm1d(3).load_state_dict(untracked.state_dict())
    raised = False
except RuntimeError:
    raised = True
assert raised

# claim: tracking-is-no-mode-switch
torch.manual_seed(4)
tracked, fixed = nn.BatchNorm1d(3), torch.randn(8, 3)
in_train = [tracked(torch.cat([fixed, torch.randn(8, 3)]))[:8] for _ in range(2)]
assert not torch.allclose(*in_train, atol=0.05)
assert torch.equal(untracked.eval()(fixed), untracked.train()(fixed))
with_others = untracked.eval()(torch.cat([fixed, torch.randn(8, 3)]))[:8]
assert not torch.allclose(with_others, untracked(fixed), atol=0.05)
assert torch.equal(untracked(fixed), untracked(fixed))

# claim: one-value-a-channel-raises
assert one_sample["(1, 5)"] == one_sample["(1, 5, 1, 1)"] == ["error", "fine", "error"]
assert one_sample["(1, 5, 7)"] == one_sample["(1, 5, 4, 4)"] == ["fine"] * 3
assert message.startswith("Expected more than 1 value per channel when training")

# %% setup
num_seeds, num_train, num_test = 10, 5000, 2000
steps, batch_size, width, num_pixels = 300, 64, 64, 196
train_set, test_set = images(num_train=num_train, num_test=num_test, seed=0)
source = train_set.source


def prepare(picture_set):
    x = standardize(picture_set.images, train=train_set.images)
    return F.avg_pool2d(x, 2).flatten(1)  # (n, 196)


train_x, train_y = prepare(train_set), train_set.labels
# One half chooses the learning rate, the other half judges.
val_x, test_x = prepare(test_set).chunk(2)
val_y, test_y = test_set.labels.chunk(2)


def make_net(seed, norm=None, hidden=3, after=False, drop=0.0, act=nn.ReLU):
    torch.manual_seed(seed)
    layers, inputs = [], num_pixels
    for _ in range(hidden):
        pair = [act()]
        if norm:
            pair.insert(1 if after else 0, norm(width))
        layers += [nn.Linear(inputs, width), *pair]
        if drop:
            layers.append(nn.Dropout(drop))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


# %% train
def train_all(nets, rates, rows, decay=0.0):
    # Plain SGD for many nets at once; `rows` is (nets, steps, batch).
    weights, buffers = stack_module_state(nets)
    # vmap gives each net weights, buffers and dropout masks of its own.
    each = vmap(
        lambda w, b, x: functional_call(nets[0].train(), (w, b), (x,)),
        randomness="different",
    )
    rates = torch.as_tensor(rates).expand(len(nets))
    for now in rows.unbind(1):  # (nets, batch)
        logits = each(weights, buffers, train_x[now])
        labels = train_y[now].flatten()
        logits = logits.flatten(0, 1)
        total = F.cross_entropy(logits, labels, reduction="sum")
        loss = total / now.shape[1]  # the sum of the nets' losses
        slopes = torch.autograd.grad(loss, list(weights.values()))
        with torch.no_grad():
            for weight, slope in zip(weights.values(), slopes, strict=True):
                rate = rates.view(-1, *[1] * (weight.dim() - 1))
                pull = decay if weight.dim() == 3 else 0.0  # no biases
                weight -= rate * (slope + pull * weight)
    state = {**weights, **buffers}
    for number, net in enumerate(nets):
        net.load_state_dict({name: t[number] for name, t in state.items()})
        net.eval()
    return nets


def draw_rows(steps, batch_size, own=None):
    # With `own`, each seed has that many pictures to itself.
    rows = torch.empty(num_seeds, steps, batch_size, dtype=torch.int64)
    for seed in range(num_seeds):
        generator = torch.Generator().manual_seed(100 + seed)
        rows[seed].random_(own or num_train, generator=generator)
        rows[seed] += seed * (own or 0)
    return rows


@torch.no_grad()
def judge(nets, x, y):
    logits = torch.stack([net(x) for net in nets])  # (nets, n, 10)
    labels = y.expand(len(nets), -1)
    losses = F.cross_entropy(logits.movedim(2, 1), labels, reduction="none")
    return losses.mean(1), (logits.argmax(2) == labels).double().mean(1)


# %% learning_rates
rates = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
seeds = range(num_seeds)
every_rate = torch.tensor(rates).repeat_interleave(num_seeds)
rows = draw_rows(steps, batch_size)
trained, val_accuracy, test_accuracy = {}, {}, {}
for name, norm in (("plain", None), ("BN", nn.BatchNorm1d)):
    nets = [make_net(seed, norm) for _ in rates for seed in seeds]
    train_all(nets, every_rate, rows.repeat(len(rates), 1, 1))
    trained[name], shape = nets, (len(rates), num_seeds)
    val_accuracy[name] = judge(nets, val_x, val_y)[1].view(shape)
    test_accuracy[name] = judge(nets, test_x, test_y)[1].view(shape)

print("test accuracy     plain   with batch norm")
for number, rate in enumerate(rates):
    means = [found[number].mean() for found in test_accuracy.values()]
    print(f"rate {rate:5g}   {means[0]:11.3f}{means[1]:18.3f}")

# %% learning_rates_figure
fig, ax = plt.subplots(figsize=(5.6, 3.6))
for name, label, color, marker in (
    ("BN", "with batch norm", "C0", "o"),
    ("plain", "without", "C1", "s"),
):
    found = test_accuracy[name]
    ax.fill_between(rates, found.amin(1), found.amax(1), color=color, alpha=0.2)
    ax.plot(rates, found.mean(1), color=color, marker=marker, label=label)
ax.set_xscale("log")
ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
ax.minorticks_off()
ax.set_ylim(0, 1)
ax.set_xlabel("learning rate")
ax.set_ylabel("test accuracy")
ax.legend(loc="lower left")

# %% longer
more_steps = 5 * steps
more_rows = draw_rows(more_steps, batch_size)
best_rate, at_best, longer = {}, {}, {}
for name, norm in (("plain", None), ("BN", nn.BatchNorm1d)):
    best = val_accuracy[name].mean(1).argmax()
    best_rate[name], at_best[name] = rates[best], test_accuracy[name][best]
    nets = [make_net(seed, norm) for seed in seeds]
    train_all(nets, [best_rate[name]], more_rows)
    longer[name] = judge(nets, test_x, test_y)[1]
print("each at its best rate     plain   with batch norm   wins")
for count, found in ((steps, at_best), (more_steps, longer)):
    means = [found[name].mean() for name in ("plain", "BN")]
    won = (found["BN"] > found["plain"]).sum()
    print(f"{count:4d} steps{means[0]:22.3f}{means[1]:18.3f}{won:7d}")

# %% check_learning_rates
means_at_best = {name: found.mean().item() for name, found in at_best.items()}
means_longer = {name: found.mean().item() for name, found in longer.items()}
wins_at_best = (at_best["BN"] > at_best["plain"]).sum().item()
wins_longer = (longer["BN"] > longer["plain"]).sum().item()
largest_rate, learned = {}, 0.6
for name, found in test_accuracy.items():
    in_every_seed = found.amin(1) > learned
    largest_rate[name] = torch.tensor(rates)[in_every_seed].max().item()
at_one = {name: found[4].mean().item() for name, found in test_accuracy.items()}

# claim: same-start
for seed in range(num_seeds):
    plain_net, normed_net = make_net(seed), make_net(seed, nn.BatchNorm1d)
    both = zip(plain_net[::2], [*normed_net[::3]], strict=True)
    assert all(torch.equal(a.weight, b.weight) for a, b in both)

# claim: side-by-side-is-as-if-alone
nets = [make_net(seed, nn.BatchNorm1d) for seed in (0, 1)]
together = train_all(nets, [0.1], rows[:2, :20])
alone = make_net(1, nn.BatchNorm1d)
optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
for now in rows[1, :20]:
    optimizer.zero_grad()
    F.cross_entropy(alone(train_x[now]), train_y[now]).backward()
    optimizer.step()
for name, found in alone.state_dict().items():
    assert torch.allclose(found, together[1].state_dict()[name], atol=1e-3)

# claim: batch-norm-bears-larger-rates
assert (test_accuracy["plain"][rates.index(3.0)] < 0.3).all()
assert (test_accuracy["BN"][rates.index(3.0)] > learned).all()
assert largest_rate["BN"] >= 3 * largest_rate["plain"]
assert (test_accuracy["plain"][-1] < 0.3).all()
assert (test_accuracy["BN"][-1] < 0.3).all()

# claim: accuracy-depends-on-it
assert wins_at_best >= 9
assert means_at_best["BN"] - means_at_best["plain"] > 0.005
assert (test_accuracy["BN"][:3] > test_accuracy["plain"][:3]).all()

# claim: the-lead-shrinks-with-training
lead = means_at_best["BN"] - means_at_best["plain"]
lead_longer = means_longer["BN"] - means_longer["plain"]
assert lead_longer < lead
assert means_longer["plain"] > means_at_best["plain"]

# claim: batch-norm-is-less-choosy
usual = {name: found[1:6].mean(1) for name, found in test_accuracy.items()}  # 0.03 to 3
varies = {name: (found.max() - found.min()).item() for name, found in usual.items()}
assert varies["BN"] < 0.1
assert varies["plain"] > 0.4

# %% placement
three = (0.1, 0.3, 1.0)
options = {"norm": nn.BatchNorm1d, "after": True}
nets = [make_net(seed, **options) for _ in three for seed in seeds]
three_rates = torch.tensor(three).repeat_interleave(num_seeds)
train_all(nets, three_rates, rows.repeat(len(three), 1, 1))
behind = judge(nets, test_x, test_y)[1].view(len(three), num_seeds)
front = test_accuracy["BN"][2:5]  # of the same three rates
front_wins = (front > behind).sum(1).tolist()
print("test accuracy  before ReLU   after   before wins")
for number, rate in enumerate(three):
    before, after = front[number].mean(), behind[number].mean()
    won = front_wins[number]
    print(f"rate {rate:3g}{before:17.3f}{after:8.3f}{won:8d}")


# %% ghost
class GhostBatchNorm1d(nn.Module):
    # Standardizes each `size` samples of a batch by themselves.
    def __init__(self, num_features, size):
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x):  # (batch, features)
        groups = x.unflatten(0, (-1, self.size))  # (groups, size, features)
        # Each feature of each group becomes a channel of its own.
        as_channels = groups.movedim(1, 0).flatten(1)
        y = F.batch_norm(as_channels, None, None, training=True)
        x_hat = y.unflatten(1, (-1, x.shape[1])).movedim(1, 0).flatten(0, 1)
        return x_hat * self.weight + self.bias


num_own, ghost_batch, few_rate = 500, 128, 0.1
group_sizes = (2, 4, 8, 32, 128)
stops = (40, 60, 80, 100, 150, 200, steps, 2 * steps)
own_rows = draw_rows(stops[-1], ghost_batch, own=num_own)
own_x, own_y = train_x.split(num_own), train_y.split(num_own)


def three_losses(net, seed):
    x, y = own_x[seed], own_y[seed]
    # A real layer, with the statistics of all training pictures.
    final = make_net(seed, nn.BatchNorm1d, hidden=2)
    final.load_state_dict(net.state_dict(), strict=False)
    update_bn([x], final.eval())
    in_groups = judge([net], x[:384], y[:384])[0]
    on_test = judge([final], test_x, test_y)[0]
    return torch.cat([in_groups, judge([final], x, y)[0], on_test])


by_stop = torch.empty(len(stops), len(group_sizes), num_seeds, 3)
for number, size in enumerate(group_sizes):
    nets = []
    for seed in seeds:
        nets.append(make_net(seed, lambda n: GhostBatchNorm1d(n, size), 2))
    for place, (start, stop) in enumerate(pairwise((0, *stops))):
        train_all(nets, [few_rate], own_rows[:, start:stop])
        for seed, net in enumerate(nets):
            by_stop[place, number, seed] = three_losses(net, seed)

losses = by_stop[stops.index(steps)].movedim(2, 0)
in_groups, on_train, on_test = losses  # each (sizes, seeds)
print(f"after {steps} steps   in its groups   training    test")
for number, size in enumerate(group_sizes):
    means = [f"{mean:12.3f}" for mean in losses[:, number].mean(1)]
    print(f"groups of {size:3d}   ", *means)

# %% ghost_figure
fig, ax = plt.subplots(figsize=(5.6, 3.6))
for found, label, color, marker in (
    (on_test, "test loss", "C0", "o"),
    (on_train, "training loss", "C1", "s"),
):
    low, high = found.amin(1), found.amax(1)
    ax.fill_between(group_sizes, low, high, color=color, alpha=0.2)
    ax.plot(group_sizes, found.mean(1), color=color, marker=marker, label=label)
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xticks(group_sizes, [str(size) for size in group_sizes])
ax.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
ax.minorticks_off()
ax.set_xlabel("samples that are normalized together")
ax.set_ylabel("loss in evaluation mode")
ax.legend(loc="lower left")

# %% ghost_control
# Each net may stop where its own test loss is lowest.
lowest, place = by_stop[..., 2].min(0)  # (sizes, seeds)
stopped = torch.tensor(stops)[place]
print("                 lowest test loss   after steps   below that of 128")
for number, size in enumerate(group_sizes):
    line = f"groups of {size:3d}{lowest[number].mean():20.3f}"
    won = (lowest[number] < lowest[-1]).sum()
    print(line, f"{stopped[number].double().mean():13.0f}{won:12d} seeds")

# %% few_pictures
variants = {
    "no batch norm": {},
    "no batch norm, dropout": {"drop": 0.5},
    "batch norm": {"norm": nn.BatchNorm1d},
    "batch norm, dropout": {"norm": nn.BatchNorm1d, "drop": 0.5},
    "batch norm, weight decay": {"norm": nn.BatchNorm1d},
}
small_decay = 0.003
few_rows = draw_rows(steps, batch_size, own=num_own)
few_loss, few_accuracy = {}, {}
torch.manual_seed(5)
print("                          test loss   test accuracy")
for name, options in variants.items():
    nets = [make_net(seed, hidden=2, **options) for seed in seeds]
    decay = small_decay if "decay" in name else 0.0
    train_all(nets, [few_rate], few_rows, decay=decay)
    loss, accuracy = judge(nets, test_x, test_y)
    few_loss[name], few_accuracy[name] = loss, accuracy
    print(f"{name:26s}{loss.mean():9.3f}{accuracy.mean():16.3f}")

# %% check_noise
few_means = {name: found.mean().item() for name, found in few_loss.items()}
few_accuracies = {name: found.mean().item() for name, found in few_accuracy.items()}
fewer = {}
for name, found in few_loss.items():
    fewer[name] = (found < few_loss["batch norm"]).sum().item()
group_wins, ghost_means = {}, {}
for number, size in enumerate(group_sizes):
    group_wins[str(size)] = (on_test[number] < on_test[-1]).sum().item()
    ghost_means[str(size)] = losses[:, number].mean(1).tolist()

# claim: in-front-leads-at-best-slightly
leads = front.mean(1) - behind.mean(1)
largest_lead = leads.max().item()
won_in_front, num_compared = sum(front_wins), front.numel()
assert leads.min() > -0.01
assert largest_lead < 0.06
assert won_in_front >= 15

# claim: noise-raises-the-training-loss
assert (on_train[:-1].mean(1) > on_train[1:].mean(1)).all()
assert (on_train[1] > 2 * on_train[-1]).all()

# claim: some-noise-lowers-the-test-loss
assert group_wins["4"] >= 8 and group_wins["8"] >= 8

# claim: too-much-noise-does-harm
assert group_wins["2"] == 0

# claim: most-of-the-lead-is-time
fours = group_sizes.index(4)
lead_at_steps = (on_test[-1] - on_test[fours]).mean().item()
gap_at_lowest = (lowest[-1] - lowest[fours]).mean().abs().item()
lowest_wins = (lowest[fours] < lowest[-1]).sum().item()
assert lead_at_steps > 0.05
assert gap_at_lowest < lead_at_steps / 3

# claim: whole-batch-is-there-sooner
sooner = (stopped[-1] < stopped[fours]).sum().item()
assert sooner >= 8
assert (on_test[-1] > lowest[-1]).sum() >= 9  # past its best

# claim: pairs-are-far-behind
pairs_over_time = by_stop[:, 0, :, 2].mean(1)
assert (pairs_over_time.diff() < 0).all()
assert (lowest[0] > lowest[-1] + 0.1).all()

# claim: small-groups-part-training-from-evaluation
gap = (in_groups - on_train).abs()
assert (gap[1] > 5 * gap[-1]).all()

# claim: dropout-still-helps-here
assert fewer["batch norm, dropout"] >= 9

# claim: a-little-weight-decay-did-little-here
assert abs(few_means["batch norm, weight decay"] - few_means["batch norm"]) < 0.05

# claim: accuracies-are-close
lowest_accuracy = min(few_accuracies.values())
highest_accuracy = max(few_accuracies.values())
assert highest_accuracy - lowest_accuracy < 0.1

# claim: batch-norm-alone-is-no-cure-for-overfitting
assert fewer["no batch norm"] >= 8

# %% near_and_far
slopes, num_gradient_seeds = {}, 20
print("gradient of the weights, data to loss      last / first")
for name, act, norm in (
    ("sigmoid", nn.Sigmoid, None),
    ("sigmoid, batch norm", nn.Sigmoid, nn.BatchNorm1d),
    ("ReLU", nn.ReLU, None),
    ("ReLU, batch norm", nn.ReLU, nn.BatchNorm1d),
):
    found = []
    for seed in range(num_gradient_seeds):
        net = make_net(seed, norm, hidden=4, act=act)
        now = torch.randint(num_train, (batch_size,))
        F.cross_entropy(net(train_x[now]), train_y[now]).backward()
        weights = [p for p in net.parameters() if p.dim() == 2]
        found.append([weight.grad.norm() for weight in weights])
    slopes[name] = torch.tensor(found)  # (seeds, layers)
    ratio = (slopes[name][:, -1] / slopes[name][:, 0]).median()
    medians = slopes[name].median(0).values
    layers = "".join(f"{size:7.3f}" for size in medians)
    print(f"{name:20s}{layers}{ratio:8.1f}")

# %% scale
torch.manual_seed(0)
volume = torch.randn(16, 3, 8, 8)
from_above = torch.randn(16, 6, 8, 8)  # the gradient of the output
scaled_by = {}
print("             train()               eval(), records")
print("weights       output     gradient          old        new")
for factor in (1.0, 10.0):
    torch.manual_seed(1)
    conv, bn = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
    both = nn.Sequential(conv, bn)
    update_bn([volume], both)  # records of the weights as they were
    with torch.no_grad():
        conv.weight.mul_(factor)
        by_old = both.eval()(volume)
    output = both.train()(volume)
    output.backward(from_above)
    update_bn([volume], both)  # and of the weights as they are
    with torch.no_grad():
        by_new = both.eval()(volume)
    found = output.detach(), conv.weight.grad, by_old, by_new
    scaled_by[factor] = found
    print(f"×{factor:<6g}", *[f"{t.norm():12.2f}" for t in found])

# %% check_gradients
last_over_first = {}
for name, found in slopes.items():
    last_over_first[name] = (found[:, -1] / found[:, 0]).median().item()

# claim: gradients-are-uneven-without
assert (slopes["sigmoid"][:, -1] > 30 * slopes["sigmoid"][:, 0]).all()

# claim: batch-norm-evens-sigmoid-gradients
ratios = slopes["sigmoid, batch norm"][:, -1] / slopes["sigmoid, batch norm"][:, 0]
assert ratios.min() > 0.3 and ratios.max() < 3

# claim: relu-was-even-without
ratios = slopes["ReLU"][:, -1] / slopes["ReLU"][:, 0]
assert ratios.min() > 0.3 and ratios.max() < 3
assert (slopes["ReLU, batch norm"][:, -1] < 0.7 * slopes["ReLU, batch norm"][:, 0]).all()

# claim: scale-of-the-weights-cancels
small, large = scaled_by[1.0], scaled_by[10.0]
assert torch.allclose(small[0], large[0], atol=1e-3)
assert torch.allclose(small[1], 10 * large[1], rtol=1e-2, atol=1e-2)

# claim: scale-counts-in-evaluation
assert 9 < large[2].norm() / small[2].norm() < 11

# claim: new-records-cancel-the-scale
assert torch.allclose(small[3], large[3], atol=1e-3)

# %% conv_bias
torch.manual_seed(0)
conv, bn = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
bias_gradient = {}
for mode in ("train", "eval"):
    bn.train(mode == "train")
    conv.zero_grad()
    bn(conv(volume)).backward(from_above)
    norms = conv.weight.grad.norm().item(), conv.bias.grad.norm().item()
    bias_gradient[mode] = norms
    print(f"{mode + '()':8s} weights {norms[0]:7.2f}, bias {norms[1]:9.4f}")


# %% conv_bn_relu
class ConvBNReLU(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        sizes = (in_channels, out_channels)
        self.conv = nn.Conv2d(*sizes, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):  # (N, in, H, W) -> (N, out, H, W)
        return F.relu(self.bn(self.conv(x)))


@torch.no_grad()
def fold(conv, bn):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    folded = copy.deepcopy(conv)
    folded.weight.mul_(scale.view(-1, 1, 1, 1))
    folded.bias = nn.Parameter(bn.bias + (bias - bn.running_mean) * scale)
    return folded


torch.manual_seed(0)
block = ConvBNReLU(3, 6)
nn.init.normal_(block.bn.weight)
nn.init.normal_(block.bn.bias)
for _ in range(50):
    block(2 + 3 * torch.randn(16, 3, 8, 8))
block.eval()
folded = fold(block.conv, block.bn)
by_two, by_one = block(volume), F.relu(folded(volume))
print(f"{tuple(volume.shape)} -> {tuple(by_two.shape)}")
print(f"largest difference {(by_two - by_one).abs().max().item():.4f}")


# %% freeze
def freeze(net):
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eval().requires_grad_(False)


def what_moves(prepare):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(5)
    net = nn.Sequential(nn.Linear(10, 5), norm, nn.Linear(5, 1))
    prepare(net, norm)
    before = copy.deepcopy(norm.state_dict())
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(3 + torch.randn(16, 10)).square().mean().backward()
        optimizer.step()
    moved = norm.weight, norm.running_mean
    kept = before["weight"], before["running_mean"]
    both = zip(moved, kept, strict=True)
    return [not torch.equal(now, then) for now, then in both]


ways = {
    "nothing": lambda net, norm: None,
    "requires_grad_(False)": lambda net, norm: norm.requires_grad_(False),
    "eval()": lambda net, norm: norm.eval(),
    "freeze(net)": lambda net, norm: freeze(net),
    "freeze(net), train()": lambda net, norm: (freeze(net), net.train()),
    "train(), freeze(net)": lambda net, norm: (net.train(), freeze(net)),
}
frozen = {name: what_moves(way) for name, way in ways.items()}
print(f"{'':26s}gamma   running mean")
for name, moved in frozen.items():
    words = ["moves" if yes else "stays" for yes in moved]
    print(f"{name:26s}{words[0]}   {words[1]}")


# %% accumulate
def accumulated(norm, num_parts):
    torch.manual_seed(0)
    layers = nn.Linear(10, 20), norm, nn.ReLU(), nn.Linear(20, 1)
    net = nn.Sequential(*layers)
    x, y = torch.randn(64, 10), torch.randn(64, 1)
    parts = zip(x.chunk(num_parts), y.chunk(num_parts), strict=True)
    for part_x, part_y in parts:
        (F.mse_loss(net(part_x), part_y) / num_parts).backward()
    return net[0].weight.grad


apart, num_parts = {}, 8
for name, make in (
    ("no norm", nn.Identity),
    ("batch norm", lambda: nn.BatchNorm1d(20)),
    ("batch norm, eval()", lambda: nn.BatchNorm1d(20).eval()),
):
    whole, in_parts = accumulated(make(), 1), accumulated(make(), num_parts)
    apart[name] = ((in_parts - whole).norm() / whole.norm()).item()
    print(f"{name:20s}gradients differ by {apart[name]:6.1%}")
counted = nn.BatchNorm1d(20)
accumulated(counted, num_parts)
print("batches counted     ", counted.num_batches_tracked.item())

# %% check_practice
# claim: bias-before-batch-norm-is-idle
assert bias_gradient["train"][1] < 1e-3 < bias_gradient["train"][0]
with torch.no_grad():
    before = bn.train()(conv(volume))
    conv.bias += 7
    assert torch.allclose(bn(conv(volume)), before, atol=1e-4)
num_idle = nn.Conv2d(3, 6, 3, padding=1).bias.numel()
assert num_idle == 6

# claim: bias-works-once-frozen
assert bias_gradient["eval"][1] > 1

# claim: folding-is-exact
assert torch.allclose(by_two, by_one, atol=1e-4)
by_library = fuse_conv_bn_eval(block.conv, block.bn)
assert torch.allclose(folded.weight, by_library.weight, atol=1e-6)
assert torch.allclose(folded.bias, by_library.bias, atol=1e-6)
assert folded.weight.shape == block.conv.weight.shape

# claim: folding-refused-in-training
try:
    fuse_conv_bn_eval(block.train().conv, block.bn)
    raised = False
except AssertionError:
    raised = True
assert raised
block.eval()

# claim: conv-bn-relu-keeps-the-size
assert by_two.shape == (16, 6, 8, 8)
assert by_two.min() == 0

# claim: freezing-takes-both
assert frozen["nothing"] == [True, True]
assert frozen["requires_grad_(False)"] == [False, True]
assert frozen["eval()"] == [True, False]
assert frozen["freeze(net)"] == frozen["train(), freeze(net)"] == [False, False]

# claim: train-undoes-it
assert frozen["freeze(net), train()"] == [False, True]

# claim: accumulation-is-no-big-batch
assert apart["no norm"] < 1e-5
assert apart["batch norm"] > 0.1
assert counted.num_batches_tracked == num_parts

# claim: accumulation-exact-once-frozen
assert apart["batch norm, eval()"] < 1e-5

# %% trap_eval
first_net = rates.index(0.1) * num_seeds
nets = trained["BN"][first_net : first_net + num_seeds]
torch.manual_seed(0)
shuffled, by_class = torch.randperm(len(test_y)), test_y.argsort()


@torch.no_grad()
def accuracy(net, order, size=50):
    hits = 0
    for now in order.split(size):
        hits += (net(test_x[now]).argmax(1) == test_y[now]).sum().item()
    return hits / len(order)


forgotten = {}
for name, order in (("shuffled", shuffled), ("by class", by_class)):
    wrong = [accuracy(copy.deepcopy(net).train(), order) for net in nets]
    right = [accuracy(net.eval(), order) for net in nets]
    forgotten[name] = sum(wrong) / num_seeds, sum(right) / num_seeds
    print(f"{name}   wrong: train() {forgotten[name][0]:.3f}", end="")
    print(f"   right: eval() {forgotten[name][1]:.3f}")

# %% trap_last_batch
num_samples, per_batch = 33, 32
data = torch.randn(num_samples, 5)
layer = nn.BatchNorm1d(5)
try:
    for batch in DataLoader(data, batch_size=per_batch):
        layer(batch)
except ValueError as error:
    print("wrong:", str(error).split(",")[0])
for batch in DataLoader(data, batch_size=per_batch, drop_last=True):
    print("right:", tuple(layer(batch).shape))


# %% trap_momentum
def wobble(momentum):
    torch.manual_seed(0)
    layer, means = nn.BatchNorm1d(1, momentum=momentum), []
    for batch in true_mean + true_std * torch.randn(300, small_batch, 1):
        layer(batch)
        means.append(layer.running_mean.item())
    return torch.tensor(means[100:]).std().item()


keras_momentum = 0.9
wobbles = [wobble(keras_momentum), wobble(1 - keras_momentum)]
print(f"wrong: momentum=0.9      running mean ± {wobbles[0]:.2f}")
print(f"right: momentum=1 - 0.9  running mean ± {wobbles[1]:.2f}")

# %% trap_no_grad
strange = 100 + torch.randn(64, 5)
careless, careful = nn.BatchNorm1d(5), nn.BatchNorm1d(5).eval()
with torch.no_grad():
    careless(strange)
    careful(strange)
careless, careful = careless.running_mean, careful.running_mean
print(f"wrong: no_grad()          running mean {careless[0]:.2f}")
print(f"right: no_grad(), eval()  running mean {careful[0]:.2f}")

# %% trap_copy
copies = [[], []]
for net in nets:
    bare, whole = (make_net(0, nn.BatchNorm1d).eval() for _ in range(2))
    with torch.no_grad():
        pairs = zip(bare.parameters(), net.parameters(), strict=True)
        for target, parameter in pairs:
            target.copy_(parameter)  # buffers are not among these
    whole.load_state_dict(net.state_dict())
    for found, copied in zip(copies, (bare, whole), strict=True):
        found.append(accuracy(copied, shuffled))
copied_accuracy = [sum(found) / num_seeds for found in copies]
print(f"wrong: parameters()  accuracy {copied_accuracy[0]:.3f}")
print(f"right: state_dict()  accuracy {copied_accuracy[1]:.3f}")

# %% trap_padding
torch.manual_seed(0)
words = 3 + torch.randn(8, 20, 4)  # (sequences, positions, features)
lengths = torch.tensor([20, 3, 5, 9, 2, 7, 4, 6])
real = torch.arange(20) < lengths[:, None]
words[~real] = 0
padded = nn.BatchNorm1d(4)(words.mT).mT[real]
packed = nn.BatchNorm1d(4)(words[real])  # (real positions, features)
for name, y in (("wrong: padded", padded), ("right: packed", packed)):
    print(f"{name}  mean {y.mean():5.2f}, std {y.std():.2f}")

# %% check_traps
# claim: forgotten-eval-needs-luck
assert abs(forgotten["shuffled"][0] - forgotten["shuffled"][1]) < 0.05
assert forgotten["by class"][0] < 0.4 < 0.6 < forgotten["by class"][1]
assert abs(forgotten["by class"][1] - forgotten["shuffled"][1]) < 1e-9

# claim: copied-momentum-wobbles
assert wobbles[0] > 2 * wobbles[1]

# claim: no-grad-still-writes
assert careless.min() > 9
assert careful.abs().max() == 0

# claim: parameters-are-not-all
assert all(bare < whole - 0.03 for bare, whole in zip(*copies, strict=True))
assert abs(copied_accuracy[1] - forgotten["shuffled"][1]) < 1e-9

# claim: padding-counts
assert padded.mean() > 0.5
assert packed.mean().abs() < 1e-4
assert abs(padded.std() - 1) > 0.2
assert abs(packed.std(correction=0) - 1) < 1e-3

# %% solution_two
torch.manual_seed(0)
pairs = torch.randn(2, 6) * torch.tensor([100, 10, 1, 0.1, 0.01, 0.001])
y = nn.BatchNorm1d(6, affine=False)(pairs)
print([f"{value:.4f}" for value in y[0]])
half = (pairs[0] - pairs[1]) / 2
by_formula = half / torch.sqrt(half**2 + 1e-5)
print([f"{value:.4f}" for value in by_formula])

# %% solution_momentum
keras_default, share_left = 0.99, 0.05
momentum = 1 - keras_default
exactly = math.log(share_left) / math.log(1 - momentum)
needed, start_shares = math.ceil(exactly), {}
layer = nn.BatchNorm1d(1, momentum=momentum).double()
for step in range(1, needed + 1):
    layer(torch.full((8, 1), true_mean).double())
    left = 1 - layer.running_mean.item() / true_mean
    if step in (needed - 1, needed):
        start_shares[step] = left
        print(f"after {step} batches {left:.3%} of the way is left")

# %% solution_border
torch.manual_seed(0)
bn = nn.BatchNorm2d(3, momentum=None)
nn.init.uniform_(bn.weight, 0.5, 2)
nn.init.normal_(bn.bias)
bn(2 + 3 * torch.randn(64, 3, 8, 8))
bn.eval()
conv = nn.Conv2d(3, 6, 3, padding=1)
with torch.no_grad():
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    shift = bn.bias - bn.running_mean * scale
    merged = copy.deepcopy(conv)
    merged.weight.mul_(scale.view(1, -1, 1, 1))  # now the inputs' channels
    merged.bias.add_((conv.weight * shift.view(1, -1, 1, 1)).sum((1, 2, 3)))
    apart_at = (conv(bn(volume)) - merged(volume)).abs().amax((0, 1))
print(f"inside  {apart_at[1:-1, 1:-1].max():.4f}")
print(f"border  {apart_at[0].max():.4f}")

neutral = (-shift / scale).view(1, -1, 1, 1)  # what bn turns into zero
padded = F.pad(volume - neutral, (1, 1, 1, 1)) + neutral
put_right = F.conv2d(padded, merged.weight, merged.bias)
still_apart = (put_right - conv(bn(volume))).abs().max().item()
print(f"padded with what becomes zero: {still_apart:.4f}")

# %% solution_camera
camera = 0.4 * test_x + 2  # less contrast, and brighter
lost, found = [], []
for net in nets:
    lost.append(judge([net], camera, test_y)[1].item())
    adapted = copy.deepcopy(net)
    update_bn(camera.split(100), adapted)  # looks at no label
    found.append(judge([adapted], camera, test_y)[1].item())
print(f"new camera {sum(lost) / num_seeds:.3f}", end="")
print(f", statistics renewed {sum(found) / num_seeds:.3f}")
camera_accuracy = sum(lost) / num_seeds, sum(found) / num_seeds

# %% check_solutions
# claim: two-become-plus-and-minus-one
assert torch.allclose(y[0], by_formula, atol=1e-4)
assert torch.allclose(y[0], -y[1], atol=1e-4)
assert torch.equal(y[0].sign(), half.sign())
assert (y[0][half.abs() > 0.03].abs() > 0.99).all()
assert (half.abs() > 0.03).any() and (y[0].abs() < 0.9).any()

# claim: so-many-batches
assert start_shares[needed] < share_left < start_shares[needed - 1]
for step, left in start_shares.items():
    assert abs(left - (1 - momentum) ** step) < 1e-4

# claim: folds-inside-not-at-the-border
assert apart_at[1:-1, 1:-1].max() < 1e-4
for border in (apart_at[0], apart_at[-1], apart_at[:, 0], apart_at[:, -1]):
    assert border.max() > 0.1

# claim: another-padding-puts-it-right
assert still_apart < 1e-4
assert torch.allclose(bn(neutral.expand(1, 3, 8, 8)), torch.zeros(1), atol=1e-5)
by_symbols = bn.running_mean - bn.bias * torch.sqrt(bn.running_var + bn.eps) / bn.weight
assert torch.allclose(neutral.flatten(), by_symbols, atol=1e-5)

# claim: new-statistics-rescue
assert all(b > a + 0.1 for a, b in zip(lost, found, strict=True))
assert camera_accuracy[1] > forgotten["shuffled"][1] - 0.05

# claim: scale-and-shift-disappear
for net in nets:
    scores = []
    for seen in (test_x, camera):
        adapted = copy.deepcopy(net)
        update_bn(seen.split(100), adapted)
        with torch.no_grad():
            scores.append(adapted(seen))
    assert (scores[0] - scores[1]).abs().max() < 0.05 * scores[0].std()
