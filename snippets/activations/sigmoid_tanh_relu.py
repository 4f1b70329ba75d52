# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% formulas
import inspect
import math
import timeit
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab import sigmoid_tanh_relu as library
from reglab.data import images, standardize

torch.set_num_threads(1)
functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}


def slope(function, x):
    # The derivative at every element of x, by automatic differentiation.
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


print("          f(-4)   f(0)   f(4)   slope at -4, at 0, at 4")
at = torch.tensor([-4.0, 0.0, 4.0])
for name, function in functions.items():
    row = [*function(at).tolist(), *slope(function, at).tolist()]
    print(f"{name:8}" + "".join(f"{number:7.3f}" for number in row))

# %% curves
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.3))
wide = torch.linspace(-6, 6, 121)
looks = {"sigmoid": ("C0", "-"), "tanh": ("C1", "--"), "ReLU": ("C2", "-.")}
for name, function in functions.items():
    color, line = looks[name]
    style = {"color": color, "linestyle": line, "label": name}
    axes[0].plot(wide, function(wide), **style)
    axes[1].plot(wide, slope(function, wide), **style)
axes[0].set_ylim(-1.3, 3)
axes[0].set_title("function")
axes[1].set_title("derivative")
for ax in axes:
    ax.set_xlabel("$x$")
handles, names = axes[0].get_legend_handles_labels()
fig.legend(handles, names, loc="outside lower center", ncols=3)

# %% check_curves
dense = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
y = torch.sigmoid(dense)
max_slope = {name: slope(f, dense).max().item() for name, f in functions.items()}

# claim: derivatives-of-the-three
assert torch.allclose(slope(torch.sigmoid, dense), y * (1 - y))
assert torch.allclose(slope(torch.tanh, dense), 1 - torch.tanh(dense) ** 2)
assert torch.equal(slope(torch.relu, dense), (dense > 0).double())

# claim: largest-slopes
assert math.isclose(max_slope["sigmoid"], 0.25)
assert slope(torch.sigmoid, dense).argmax() == dense.abs().argmin()
assert math.isclose(max_slope["tanh"], 1)
assert max_slope["ReLU"] == 1

# claim: tanh-is-a-stretched-sigmoid
assert torch.allclose(torch.tanh(dense), 2 * torch.sigmoid(2 * dense) - 1)

# claim: sigmoid-is-not-centred
torch.manual_seed(0)
normal = torch.randn(100_000)
assert abs(torch.sigmoid(normal).mean() - 0.5) < 0.01
assert torch.sigmoid(normal).min() > 0
assert abs(torch.tanh(normal).mean()) < 0.02


# claim: one-sign-for-all-weights
def single_sample_gradient(function, seed):
    torch.manual_seed(seed)
    hidden = function(torch.randn(1, 8))
    unit = nn.Linear(8, 1)
    F.mse_loss(unit(hidden), torch.randn(1, 1)).backward()
    return unit.weight.grad.flatten()


for seed in range(20):
    assert single_sample_gradient(torch.sigmoid, seed).sign().unique().numel() == 1
mixed = [single_sample_gradient(torch.tanh, seed).sign().unique().numel() == 2 for seed in range(20)]
assert sum(mixed) >= 18

# claim: without-them-one-matrix
layers = [nn.Linear(6, 6, bias=False).double() for _ in range(5)]
x = torch.randn(40, 6).double()
product = torch.eye(6).double()
for layer in layers:
    product = layer.weight @ product
assert torch.allclose(nn.Sequential(*layers)(x), x @ product.T)
bent = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())])
assert not torch.allclose(bent(2 * x), 2 * bent(x), rtol=0.01, atol=0)


# %% scratch
def sigmoid(x):
    # Each branch sees its own side of 0 only; the other is 0 there.
    above = torch.exp(-x.clamp(min=0))  # at most 1
    below = torch.exp(x.clamp(max=0))  # at most 1
    return torch.where(x >= 0, 1 / (1 + above), below / (1 + below))


def tanh(x):
    return 2 * sigmoid(2 * x) - 1


def relu(x):
    return torch.where(x > 0, x, 0.0)


def textbook_sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def textbook_sigmoid_other(x):
    return torch.exp(x) / (1 + torch.exp(x))


def textbook_tanh(x):
    up, down = torch.exp(x), torch.exp(-x)
    return (up - down) / (up + down)


extreme = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4])
written = (sigmoid, textbook_sigmoid, textbook_sigmoid_other, textbook_tanh)
for function in written:
    print(function.__name__)
    print("  values", function(extreme).tolist())
    print("  slopes", [f"{s:.2g}" for s in slope(function, extreme).tolist()])

# %% check_scratch
# claim: scratch-equals-torch
torch.manual_seed(0)
for dtype in (torch.float32, torch.float64):
    values = torch.cat([5 * torch.randn(2000), torch.tensor([0.0, -0.0, 50.0, -50.0, 1e4, -1e4])]).to(dtype)
    for ours, full, theirs in (
        (sigmoid, library.sigmoid, torch.sigmoid),
        (tanh, library.tanh, torch.tanh),
        (relu, library.relu, torch.relu),
    ):
        for mine in (ours, full):
            assert torch.allclose(mine(values), theirs(values), atol=1e-6)
            assert torch.allclose(slope(mine, values), slope(theirs, values), atol=1e-6)

# claim: textbook-forms-fail-far-out
assert slope(textbook_sigmoid, extreme)[:2].isnan().all()
assert textbook_sigmoid_other(extreme)[3:].isnan().all()
assert textbook_tanh(extreme)[[0, 1, 3, 4]].isnan().all()
assert sigmoid(extreme).isfinite().all()
assert slope(sigmoid, extreme).isfinite().all()

# claim: the-identity-loses-small-inputs
tiny = torch.tensor([1e-8])
assert tanh(tiny).item() == 0
assert math.isclose(torch.tanh(tiny).item(), 1e-8, rel_tol=1e-4)
assert math.isclose(library.tanh(tiny).item(), 1e-8, rel_tol=1e-4)


# %% saturation
def first_beyond(condition, start, end, steps=60):
    # Bisection for where the condition becomes true between the two.
    for _ in range(steps):
        middle = (start + end) / 2
        hit = condition(torch.full((64,), middle)).all()
        start, end = (start, middle) if hit else (middle, end)
    return end


sigmoid_one = first_beyond(lambda x: torch.sigmoid(x) == 1, 0.0, 200.0)
sigmoid_zero = first_beyond(lambda x: torch.sigmoid(x) == 0, 0.0, -200.0)
tanh_one = first_beyond(lambda x: torch.tanh(x) == 1, 0.0, 200.0)
print(f"float32: sigmoid is exactly 1 from {sigmoid_one:.2f}")
print(f"         sigmoid is exactly 0 from {sigmoid_zero:.2f}")
print(f"         tanh is exactly 1 from {tanh_one:.2f}")

print("share of inputs whose slope is below 1% of the largest")
torch.manual_seed(0)
draws, flat = torch.randn(100_000), {}
for spread in (1, 3, 10):
    shares = {}
    for name, function in functions.items():
        low = slope(function, spread * draws) < 0.01 * max_slope[name]
        shares[name] = low.float().mean().item()
    flat[spread] = shares
    text = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
    print(f"standard deviation {spread:2d}: {text}")

# %% check_saturation
# claim: exactly-one-and-zero
assert 16.5 < sigmoid_one < 17.5
assert -104 < sigmoid_zero < -87
assert 8.5 < tanh_one < 9.6
ends = torch.sigmoid(torch.tensor([sigmoid_zero - 0.1, sigmoid_one + 0.1] * 8))
assert set(ends.tolist()) == {0.0, 1.0}

# claim: the-slope-becomes-zero-on-one-side-first
assert slope(torch.sigmoid, torch.tensor([50.0])).item() == 0
assert 0 < slope(torch.sigmoid, torch.tensor([-50.0])).item() < 1e-20

# claim: wide-inputs-saturate
flat_wide = flat[10]
assert max(flat[1]["sigmoid"], flat[1]["tanh"]) < 0.01
assert 0.4 < flat[10]["sigmoid"] < 0.7
assert flat[10]["tanh"] > 0.7
for spread in (1, 3, 10):
    assert abs(flat[spread]["ReLU"] - 0.5) < 0.01


# %% modules
class SigmoidExample(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(10, 1)

    def forward(self, x):
        return self.linear(x)  # the logit; its sigmoid belongs to the loss

    def probability(self, x):
        return torch.sigmoid(self(x))  # nn.Sigmoid() does the same


class TanhExample(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.tanh = nn.Linear(10, 5), nn.Tanh()

    def forward(self, x):
        return self.tanh(self.linear(x))


class ReLUExample(nn.Module):
    def __init__(self, inplace=False):
        super().__init__()
        self.linear, self.relu = nn.Linear(20, 10), nn.ReLU(inplace)

    def forward(self, x):
        return self.relu(self.linear(x))


torch.manual_seed(0)
examples = ((SigmoidExample, 10), (TanhExample, 10), (ReLUExample, 20))
for make, inputs in examples:
    net = make()
    outputs = net(torch.randn(32, inputs))
    low, high = outputs.aminmax()
    num_parameters = sum(p.numel() for p in net.parameters())
    print(f"{make.__name__:14} {tuple(outputs.shape)!s:9}", end="")
    print(f" {num_parameters:4d} parameters, from {low:5.2f} to {high:4.2f}")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    same_sigmoid = torch.equal(F.sigmoid(draws), torch.sigmoid(draws))
    same_tanh = torch.equal(F.tanh(draws), torch.tanh(draws))
print(f"F.sigmoid and F.tanh: {len(caught)} warnings")


# %% lstm
def lstm_cell(x, h, c, cell):
    # Gates are sigmoids, between closed and open; contents are tanh.
    both = F.linear(x, cell.weight_ih, cell.bias_ih)
    both = both + F.linear(h, cell.weight_hh, cell.bias_hh)
    let_in, forget, candidate, let_out = both.chunk(4, dim=1)
    new = torch.sigmoid(let_in) * torch.tanh(candidate)
    c = torch.sigmoid(forget) * c + new
    return torch.sigmoid(let_out) * torch.tanh(c), c


torch.manual_seed(0)
cell = nn.LSTMCell(3, 4)
x, h, c = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
ours, theirs = lstm_cell(x, h, c, cell), cell(x, (h, c))
pairs = zip(ours, theirs, strict=True)
lstm_error = max((a - b).abs().max().item() for a, b in pairs)
print(f"largest difference from nn.LSTMCell: {lstm_error:.0e}")


# %% inplace
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
        output = net(x)
    for p in net.parameters():
        kept.pop(p.untyped_storage().data_ptr(), None)
    return sum(size for size, _ in kept.values()), output


def mlp(inplace):
    torch.manual_seed(0)
    parts = [(nn.Linear(256, 256), nn.ReLU(inplace)) for _ in range(4)]
    return nn.Sequential(*[part for pair in parts for part in pair])


x = torch.randn(64, 256)
kept_bytes = {i: bytes_kept(mlp(i), x)[0] for i in (False, True)}
for inplace, size in kept_bytes.items():
    print(f"inplace={inplace!s:5}  {size:,} bytes kept for the way back")

# %% check_torch
# claim: no-deprecation-warning
assert not caught
assert same_sigmoid
assert same_tanh
assert "deprecated" not in (F.sigmoid.__doc__ + F.tanh.__doc__).lower()

# claim: no-parameters-in-the-three
for make in (nn.Sigmoid, nn.Tanh, nn.ReLU):
    assert not list(make().parameters())
    assert not list(make().buffers())
assert list(inspect.signature(nn.ReLU).parameters) == ["inplace"]


# claim: the-second-relu-is-never-used
class ReLUExampleOfThePost(ReLUExample):
    def __init__(self):
        super().__init__()
        self.second = nn.ReLU(inplace=True)


called = []
as_posted = ReLUExampleOfThePost()
as_posted.second.register_forward_hook(lambda *arguments: called.append(arguments))
as_posted(torch.randn(4, 20))
assert not called
assert as_posted.state_dict().keys() == ReLUExample().state_dict().keys()

# claim: lstm-uses-both
assert lstm_error < 1e-6
assert nn.RNN(3, 4).nonlinearity == "tanh"

# claim: inplace-keeps-as-many-bytes
assert kept_bytes[True] == kept_bytes[False] > 0
outputs = [bytes_kept(mlp(inplace), x)[1] for inplace in (False, True)]
assert torch.equal(*outputs)

# claim: activations-cost-little-beside-matrices
big, matrix = torch.randn(512, 1024), nn.Linear(1024, 1024)
with torch.no_grad():
    seconds = {
        name: min(timeit.repeat(lambda function=function: function(big), number=1, repeat=15))
        for name, function in {**functions, "linear": matrix}.items()
    }
for name in functions:
    assert seconds[name] < 0.25 * seconds["linear"], name

# %% bce
logits = torch.linspace(-120, 60, 181)


def loss_and_slope(loss, target):
    z = logits.clone().requires_grad_()
    values = loss(z, torch.full_like(z, target))
    return values.detach(), torch.autograd.grad(values.sum(), z)[0]


def in_two_steps(z, target):
    return F.binary_cross_entropy(torch.sigmoid(z), target, reduction="none")


def in_one_step(z, target):
    return F.binary_cross_entropy_with_logits(z, target, reduction="none")


both_ways = {
    "BCELoss of a sigmoid": in_two_steps,
    "BCEWithLogitsLoss": in_one_step,
}
print("logit   target   loss in two steps, slope   in one step, slope")
for target, wanted in ((0.0, (10, 20, 50)), (1.0, (-30, -50, -100))):
    for logit in wanted:
        row = []
        for loss in both_ways.values():
            values, slopes = loss_and_slope(loss, target)
            index = (logits - logit).abs().argmin()
            row += [values[index].item(), slopes[index].item()]
        line = "{:5d} {:8.0f} {:12.2f} {:12.2g} {:11.2f} {:7.2g}"
        print(line.format(logit, target, *row))

# %% bce_figure
fig, axes = plt.subplots(2, 2, figsize=(5.6, 4.6), sharex=True, sharey="row")
for column, target in enumerate((0.0, 1.0)):
    for (name, loss), color, line in zip(both_ways.items(), ("C1", "C0"), ("-", "--"), strict=True):
        values, slopes = loss_and_slope(loss, target)
        axes[0, column].plot(logits, values, color=color, linestyle=line, label=name)
        axes[1, column].plot(logits, slopes.abs(), color=color, linestyle=line)
    axes[0, column].set_title(f"target {target:.0f}")
    axes[1, column].set_xlabel("logit")
axes[0, 0].set_ylabel("loss")
axes[1, 0].set_ylabel("size of the gradient")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% bce_train
num_features, num_points, num_runs, steps, rate = 10, 200, 20, 300, 1e-4
generator = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(*shape, generator=generator)


# Features as they come, with a standard deviation of 100: nobody standardized
# them.
truth = draw(num_runs, num_features, 1)
points = 100 * draw(num_runs, num_points, num_features)
labels = (points @ truth > 0).float()
bound = 1 / math.sqrt(num_features)
uniform = torch.rand(num_runs, num_features, 1, generator=generator)
first_weights = bound * (2 * uniform - 1)


def fit(loss):
    weights = first_weights.clone().requires_grad_()
    bias = torch.zeros(num_runs, 1, 1, requires_grad=True)
    for _ in range(steps):
        z = torch.baddbmm(bias, points, weights)  # (runs, points, 1)
        total = loss(z, labels).mean((1, 2)).sum()
        slopes = torch.autograd.grad(total, [weights, bias])
        with torch.no_grad():
            weights -= rate * slopes[0]
            bias -= rate * slopes[1]
    z = torch.baddbmm(bias, points, weights)
    return ((z > 0) == (labels > 0.5)).float().mean((1, 2)).detach()


fitted = {name: fit(loss) for name, loss in both_ways.items()}
z = (points @ first_weights).requires_grad_()
slopes = torch.autograd.grad(in_two_steps(z, labels).sum(), z)[0]
wrong = (z > 0) != (labels > 0.5)
silent = ((slopes.abs() < 1e-6) & wrong).sum() / wrong.sum()
silent = silent.item()
print(f"wrong at the start and nearly without gradient: {silent:.0%}")
for name, accuracy in fitted.items():
    print(f"{name:21} training accuracy {accuracy.mean():.3f}")

# %% check_bce
two_steps, one_step = fitted.values()
two_steps_mean, one_step_mean = two_steps.mean().item(), one_step.mean().item()
one_step_wins = int((one_step > two_steps).sum())


# claim: clamped-at-a-hundred
def at_logit(logit, target):
    z, t = torch.tensor([logit], requires_grad=True), torch.tensor([target])
    found = []
    for loss in (in_two_steps, in_one_step):
        value = loss(z, t)
        found.append((value.item(), torch.autograd.grad(value.sum(), z)[0].item()))
    return found


assert at_logit(20.0, 0.0) == [(100.0, 0.0), (20.0, 1.0)]
assert at_logit(-200.0, 1.0) == [(100.0, 0.0), (200.0, -1.0)]
assert torch.log(1 - torch.sigmoid(torch.tensor(20.0))).item() == -math.inf

# claim: on-the-left-the-gradient-fades-earlier
(left_loss, left_slope), (_, right_slope) = at_logit(-50.0, 1.0)
assert math.isclose(left_loss, 50, rel_tol=1e-4)
assert abs(left_slope) < 1e-8
assert right_slope == -1

# claim: near-zero-they-agree
near = logits.abs() <= 8
for target in (0.0, 1.0):
    (values, slopes), (others, other_slopes) = (loss_and_slope(loss, target) for loss in both_ways.values())
    assert torch.allclose(values[near], others[near], rtol=1e-3, atol=1e-6)
    assert torch.allclose(slopes[near], other_slopes[near], rtol=1e-3, atol=1e-6)

# claim: one-step-learns-what-two-steps-cannot
assert one_step_wins == num_runs
assert one_step_mean > two_steps_mean + 0.15

# claim: silent-though-wrong
assert silent > 0.5

# claim: standardized-features-hide-it
points = points / 100
rate = 1.0
tamed = {name: fit(loss) for name, loss in both_ways.items()}
assert torch.allclose(*tamed.values(), atol=0.011)

# claim: library-loss-equals-torch
z = torch.cat([30 * torch.randn(1000), torch.tensor([0.0, 1e4, -1e4])])
t = (torch.rand(len(z)) > 0.5).float()
found = []
for loss in (library.bce_with_logits, F.binary_cross_entropy_with_logits):
    leaf = z.clone().requires_grad_()
    value = loss(leaf, t)
    found.append((value, torch.autograd.grad(value, leaf)[0]))
assert torch.allclose(found[0][0], found[1][0])
assert torch.allclose(found[0][1], found[1][1], atol=1e-8)

# %% depth
depth, width, batch, num_seeds = 50, 256, 32, 20
# Activation, standard deviation of the weights times the root of their number
# of inputs (None: what nn.Linear draws), and whether biases cancel a mean of
# 1/2.
starts = {
    "sigmoid, default": (torch.sigmoid, None, False),
    "tanh, default": (torch.tanh, None, False),
    "ReLU, default": (torch.relu, None, False),
    "sigmoid, gain 1": (torch.sigmoid, 1.0, False),
    "sigmoid, gain 4": (torch.sigmoid, 4.0, False),
    "sigmoid, gain 4, centred": (torch.sigmoid, 4.0, True),
    "tanh, gain 1": (torch.tanh, 1.0, False),
    "tanh, gain 5/3": (torch.tanh, 5 / 3, False),
    "ReLU, gain 1": (torch.relu, 1.0, False),
    "ReLU, gain √2": (torch.relu, math.sqrt(2), False),
}


def draw_layer(gain, centred, generator):
    shape = num_seeds, width, width
    options = {"generator": generator, "dtype": torch.float64}
    if gain is None:
        bound = 1 / math.sqrt(width)  # for weights and biases alike
        bias = bound * (2 * torch.rand(num_seeds, 1, width, **options) - 1)
        return bound * (2 * torch.rand(shape, **options) - 1), bias
    weight = gain / math.sqrt(width) * torch.randn(shape, **options)
    bias = -weight.sum(1, keepdim=True) / 2
    return weight, bias if centred else torch.zeros_like(bias)


def gradient_sizes(activation, gain, centred):
    # Root mean square of the gradient at the input and behind each layer.
    generator = torch.Generator().manual_seed(0)
    shape = num_seeds, batch, width
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    states = [x.requires_grad_()]
    for _ in range(depth):
        weight, bias = draw_layer(gain, centred, generator)
        states.append(activation(torch.baddbmm(bias, states[-1], weight)))
    upstream = torch.randn(shape, generator=generator, dtype=torch.float64)
    slopes = torch.autograd.grad(states[-1], states, upstream)
    sizes = [s.square().mean((1, 2)).sqrt() for s in slopes]
    return torch.stack(sizes)  # (depth + 1, seeds)


measured = {name: gradient_sizes(*start) for name, start in starts.items()}

# %% theory
grid = torch.linspace(-10, 10, 4001, dtype=torch.float64)
density = torch.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
mass = density * (grid[1] - grid[0])


def predicted(activation, gain, centred):
    # Infinite width: sums are normal, and each layer multiplies the squared
    # gradient by gain² times the mean of the squared derivative.
    square = 1 + centred / 4  # the input has mean 0 and variance 1
    factors = []
    for _ in range(depth):
        spread = gain**2 * square if gain else square / 3 + 1 / (3 * width)
        sums = math.sqrt(spread) * grid
        square = (mass * (activation(sums) - centred / 2) ** 2).sum().item()
        mean_slope = (mass * slope(activation, sums) ** 2).sum().item()
        factors.append((gain**2 if gain else 1 / 3) * mean_slope)
    sizes = [1.0]
    for factor in reversed(factors):
        sizes.append(sizes[-1] * math.sqrt(factor))
    return torch.tensor(sizes[::-1])


theory = {name: predicted(*start) for name, start in starts.items()}
at_input = {name: s[0].median().item() for name, s in measured.items()}
print(f"gradient at the input of {depth} layers, {num_seeds} seeds")
print("                           median    least     most   theory")
for name, sizes in measured.items():
    row = at_input[name], sizes[0].min(), sizes[0].max(), theory[name][0]
    print(f"{name:24}" + "".join(f"{number:9.0e}" for number in row))

# %% depth_figure
fig, axes = plt.subplots(2, 1, figsize=(5.6, 6.6), sharex=True)
panels = (
    ("torch's default", ("sigmoid, default", "tanh, default", "ReLU, default")),
    (
        "initialized for the function",
        ("sigmoid, gain 1", "sigmoid, gain 4, centred", "tanh, gain 1", "ReLU, gain √2"),
    ),
)
lines = {
    "sigmoid, default": ("C0", "-", "sigmoid"),
    "tanh, default": ("C1", "--", "tanh"),
    "ReLU, default": ("C2", "-.", "ReLU"),
    "sigmoid, gain 1": ("C0", "-", "sigmoid, gain 1"),
    "sigmoid, gain 4, centred": ("C3", "-", "sigmoid, gain 4, centred"),
    "tanh, gain 1": ("C1", "--", "tanh, gain 1"),
    "ReLU, gain √2": ("C2", "-.", "ReLU, gain √2"),
}
places = list(range(depth + 1))
for ax, (title, names) in zip(axes, panels, strict=True):
    for name in names:
        color, line, label = lines[name]
        sizes = measured[name]
        ax.fill_between(places, sizes.amin(1), sizes.amax(1), color=color, alpha=0.25, linewidth=0)
        ax.plot(places, sizes.median(1).values, color=color, linestyle=line, label=label)
        ax.plot(places, theory[name], color="black", linewidth=1, linestyle=":")
    ax.plot([], [], color="black", linewidth=1, linestyle=":", label="theory")
    ax.set_yscale("log")
    ax.set_ylim(1e-44, 1e4)
    ax.set_yticks([1e-40, 1e-20, 1], ["$10^{-40}$", "$10^{-20}$", "1"])
    ax.minorticks_off()
    ax.set_title(title)
    ax.set_ylabel("size of the gradient")
    ax.legend(loc="lower right")
axes[1].set_xlabel("layer")

# %% check_depth
slow_half = math.sqrt(1 / 6)
per_layer = {name: (sizes[0] / sizes[-1]).median().item() ** (1 / depth) for name, sizes in measured.items()}

# claim: default-vanishes-in-all-three
for name in ("sigmoid, default", "tanh, default", "ReLU, default"):
    assert measured[name][0].max() < 1e-10
# what nn.Linear draws is what draw_layer draws
linear = nn.Linear(width, width)
for tensor in (linear.weight, linear.bias):
    assert tensor.abs().max() <= 1 / math.sqrt(width)
    assert abs(tensor.var() * 3 * width - 1) < 0.25

# claim: relu-default-loses-a-factor-a-layer
assert abs(per_layer["ReLU, default"] - slow_half) < 0.01
assert measured["ReLU, default"][0].max() < 1e-18
assert at_input["ReLU, default"] < 1e-5 * at_input["tanh, default"]

# claim: kaiming-keeps-the-gradient
assert measured["ReLU, gain √2"][0].min() > 0.3
assert measured["ReLU, gain √2"][0].max() < 3

# claim: relu-with-gain-one-vanishes
assert measured["ReLU, gain 1"][0].max() < 1e-6

# claim: torchs-gain-for-sigmoid-does-not-help
assert nn.init.calculate_gain("sigmoid") == 1
assert measured["sigmoid, gain 1"][0].max() < 1e-28
assert per_layer["sigmoid, gain 1"] < 0.25

# claim: only-the-biases-differ
assert measured["sigmoid, gain 4"][0].max() < 1e-8
assert measured["sigmoid, gain 4, centred"][0].min() > 0.02

# claim: centred-sigmoid-is-like-tanh
ratio = measured["sigmoid, gain 4, centred"][0] / measured["tanh, gain 1"][0]
assert 0.3 < ratio.min() < ratio.max() < 1.2

# claim: tanh-gains-compared
assert measured["tanh, gain 1"][0].min() > 0.05
assert measured["tanh, gain 1"][0].max() < 0.3
assert nn.init.calculate_gain("tanh") == 5 / 3
assert measured["tanh, gain 5/3"][0].min() > 30

# claim: theory-agrees
for name, sizes in measured.items():
    middle = sizes.median(1).values
    assert (middle / theory[name]).log().abs().max() < math.log(2), name

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
def make_nets(sizes, gain, seeds, centred=False):
    # One net a seed, stacked. Every gain scales the same normal draws.
    per_seed = []
    for seed in seeds:
        draws = torch.Generator().manual_seed(seed)
        layers = []
        for n, m in pairwise(sizes):
            layers.append(torch.randn(n, m, generator=draws) / math.sqrt(n))
        per_seed.append(layers)
    by_layer = zip(*per_seed, strict=True)
    weights = [gain * torch.stack(layer) for layer in by_layer]
    weights[-1] = weights[-1] / gain  # no activation follows the last layer
    biases = [torch.zeros(len(w), 1, w.shape[2]) for w in weights]
    if centred:  # sigmoid(2z) is tanh(z), halved and moved up by 1/2
        weights[0], weights[-1] = weights[0] / 2, 2 * weights[-1]
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            bias.copy_(-weight.sum(1, keepdim=True) / 2)
    return [*weights, *biases]


def forward(nets, x, activation):
    # Outputs (nets, pictures, classes), and what each activation is given.
    half, sums = len(nets) // 2, []
    for weight, bias in zip(nets[: half - 1], nets[half:-1], strict=True):
        sums.append(torch.baddbmm(bias, x, weight))
        x = activation(sums[-1])
    return torch.baddbmm(nets[-1], x, nets[half - 1]), sums


def losses(nets, x, y, activation):
    outputs, _ = forward(nets, x, activation)
    return F.cross_entropy(outputs.mT, y, reduction="none").mean(1)  # (nets,)


def batches(seeds, epochs, size=50):
    # Each net draws its own order from its seed.
    orders = [torch.Generator().manual_seed(1000 + seed) for seed in seeds]
    for _ in range(epochs):
        shuffled = [torch.randperm(num_train, generator=g) for g in orders]
        yield from torch.stack(shuffled).split(size, dim=1)


@torch.no_grad()
def score(nets, x, y, activation):
    outputs, _ = forward(nets, x.expand(len(nets[0]), -1, -1), activation)
    return (outputs.argmax(2) == y).float().mean(1)


# %% train
rates, num_repeats, epochs = [0.03, 0.1, 0.3, 1.0], 20, 6
kinds = {
    "sigmoid, gain 1": (torch.sigmoid, 1.0, False),
    "sigmoid, gain 4, centred": (torch.sigmoid, 4.0, True),
    "tanh, gain 1": (torch.tanh, 1.0, False),
    "ReLU, gain √2": (torch.relu, math.sqrt(2), False),
}


def train(activation, gain, centred, hidden):
    # All seeds and learning rates side by side; plain SGD.
    seeds = list(range(num_repeats)) * len(rates)
    lr = torch.tensor(rates).repeat_interleave(num_repeats).view(-1, 1, 1)
    nets = make_nets([196] + [64] * hidden + [10], gain, seeds, centred)
    nets = [parameter.requires_grad_() for parameter in nets]
    for picks in batches(seeds, epochs):
        loss = losses(nets, train_x[picks], train_y[picks], activation).sum()
        slopes = torch.autograd.grad(loss, nets)
        with torch.no_grad():
            for parameter, step in zip(nets, slopes, strict=True):
                parameter -= lr * step
    shape = len(rates), num_repeats
    return {
        "choose": score(nets, choose_x, choose_y, activation).view(shape),
        "test": score(nets, test_x, test_y, activation).view(shape),
    }


few, many = 2, 10
trained = {few: {}, many: {}}
for hidden, results in trained.items():
    for kind, start in kinds.items():
        results[kind] = train(*start, hidden)

# %% compare
best = {}
print("test accuracy at the rate that was best on the pictures to choose by")
for hidden, results in trained.items():
    print(f"{hidden} hidden layers")
    for kind, found in results.items():
        chosen = found["choose"].mean(1).argmax().item()
        best[hidden, kind] = found["test"][chosen]
        low, high = best[hidden, kind].aminmax()
        mean = best[hidden, kind].mean()
        print(f"  {kind:24} rate {rates[chosen]:4} mean {mean:.3f}", end="")
        print(f" ({low:.3f} to {high:.3f})")

# %% compare_figure
fig, axes = plt.subplots(2, 1, figsize=(5.6, 6), sharex=True)
styles = (("C0", "o", "-"), ("C3", "s", "-"), ("C1", "^", "--"), ("C2", "D", "-."))
for ax, (hidden, results) in zip(axes, trained.items(), strict=True):
    for (kind, found), (color, marker, line) in zip(results.items(), styles, strict=True):
        low, high = found["test"].aminmax(dim=1)
        ax.fill_between(rates, low, high, color=color, alpha=0.2, linewidth=0)
        style = {"color": color, "marker": marker, "linestyle": line, "label": kind}
        ax.plot(rates, found["test"].mean(1), **style)
    ax.axhline(0.1, color="black", linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_ylim(0, 0.85)
    ax.set_title(f"{hidden} hidden layers")
    ax.set_ylabel("test accuracy")
axes[1].set_xlabel("learning rate")
axes[1].set_xticks(rates, [f"{rate:g}" for rate in rates])
axes[1].minorticks_off()
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_train
means = {f"{kind}, {hidden}": values.mean().item() for (hidden, kind), values in best.items()}


def wins(hidden, one, other):
    return int((best[hidden, one] > best[hidden, other]).sum())


tanh_over_relu_few = wins(few, "tanh, gain 1", "ReLU, gain √2")
tanh_over_relu_many = wins(many, "tanh, gain 1", "ReLU, gain √2")
relu_over_sigmoid_few = wins(few, "ReLU, gain √2", "sigmoid, gain 1")
relu_over_centred_many = wins(many, "ReLU, gain √2", "sigmoid, gain 4, centred")
centred_over_plain_few = wins(few, "sigmoid, gain 4, centred", "sigmoid, gain 1")

# claim: same-draws-for-all
for kind, (_, gain, centred) in kinds.items():
    first = make_nets([196, 64, 64, 10], gain, [3], centred)[0] / gain * (2 if centred else 1)
    assert torch.allclose(first, make_nets([196, 64, 64, 10], 1.0, [3])[0], atol=1e-6), kind

# claim: deep-plain-sigmoid-learns-nothing
assert trained[many]["sigmoid, gain 1"]["test"].max() < 0.2

# claim: deep-centred-sigmoid-learns
assert best[many, "sigmoid, gain 4, centred"].mean() > 0.5

# claim: tanh-beats-relu-in-the-deep-net
assert tanh_over_relu_many >= 14

# claim: shallow-all-learn
assert min(best[few, kind].mean() for kind in kinds) > 0.6
assert abs(means[f"tanh, gain 1, {few}"] - means[f"ReLU, gain √2, {few}"]) < 0.04

# claim: shallow-plain-sigmoid-is-behind
assert relu_over_sigmoid_few >= 17
assert centred_over_plain_few >= 16

# claim: relu-breaks-first
relu_at_last = trained[few]["ReLU, gain √2"]["test"][-1].mean().item()
tanh_at_last = trained[few]["tanh, gain 1"]["test"][-1].mean().item()
last_rate = rates[-1]
assert relu_at_last < 0.4
assert tanh_at_last > relu_at_last + 0.2

# %% dead
dead_rates, dead_seeds, dead_epochs = [0.001, 0.003, 0.01, 0.03, 0.1], 20, 10
two_hidden = [196, 64, 64, 10]


@torch.no_grad()
def dead_units(nets):
    # Units whose input is not positive for any training picture:
    # (layers, nets, units).
    _, sums = forward(nets, train_x.expand(len(nets[0]), -1, -1), torch.relu)
    return torch.stack([(z <= 0).all(1) for z in sums])


def train_with(optimizer, nets, first, last):
    for index, picks in enumerate(batches(range(dead_seeds), last)):
        if index >= first * num_train // 50:
            optimizer.zero_grad()
            loss = losses(nets, train_x[picks], train_y[picks], torch.relu)
            loss.sum().backward()
            optimizer.step()


at_start = make_nets(two_hidden, math.sqrt(2), range(dead_seeds))
dead_at_start = dead_units(at_start)
nets_after, dead_after = {}, {}
for rate in dead_rates:
    nets = [parameter.clone().requires_grad_() for parameter in at_start]
    train_with(torch.optim.Adam(nets, lr=rate), nets, 0, dead_epochs)
    nets_after[rate], dead_after[rate] = nets, dead_units(nets)

share_at_start = dead_at_start.float().mean((1, 2)).tolist()
print("dead at the start: {:.3f} and {:.3f}".format(*share_at_start))
print("learning rate   first layer  second layer  test accuracy")
dead_share, dead_accuracy = {}, {}
for rate in dead_rates:
    dead_share[rate] = dead_after[rate].float().mean(2)  # (layers, nets)
    dead_accuracy[rate] = score(nets_after[rate], test_x, test_y, torch.relu)
    row = rate, *dead_share[rate].mean(1).tolist(), dead_accuracy[rate].mean()
    print("{:13} {:13.3f} {:13.3f} {:14.3f}".format(*row))

# %% dead_figure
fig, axes = plt.subplots(2, 1, figsize=(5.6, 5.4), sharex=True)
for layer, (color, marker, name) in enumerate((("C0", "o", "first layer"), ("C1", "s", "second layer"))):
    shares = torch.stack([dead_share[rate][layer] for rate in dead_rates])  # (rates, nets)
    axes[0].plot(dead_rates, shares, marker, color=color, alpha=0.3, markersize=3)
    axes[0].plot(dead_rates, shares.mean(1), marker=marker, color=color, label=name)
scores = torch.stack([dead_accuracy[rate] for rate in dead_rates])
axes[1].plot(dead_rates, scores, "o", color="C2", alpha=0.3, markersize=3)
axes[1].plot(dead_rates, scores.mean(1), color="C2", marker="o")
axes[0].set_ylabel("share of dead units")
axes[0].legend()
axes[1].set_ylabel("test accuracy")
axes[1].set_xscale("log")
axes[1].set_xticks(dead_rates, [f"{rate:g}" for rate in dead_rates])
axes[1].minorticks_off()
axes[1].set_xlabel("learning rate of Adam")

# %% revive
revive_rate, revive_epochs = 0.03, 10
nets = [p.detach().clone().requires_grad_() for p in nets_after[revive_rate]]
was_dead = dead_after[revive_rate]

# Their gradients on all training pictures
whole = train_x.expand(dead_seeds, -1, -1), train_y.expand(dead_seeds, -1)
slopes = torch.autograd.grad(losses(nets, *whole, torch.relu).sum(), nets)
of_dead = [g.mT[dead] for g, dead in zip(slopes[:2], was_dead, strict=True)]
gradient_of_dead = max(incoming.abs().max().item() for incoming in of_dead)
weights_before = nets[0].detach().clone()

# Ten more epochs, now with a small learning rate and plain SGD
small_rate = 0.01
last_epoch = dead_epochs + revive_epochs
train_with(torch.optim.SGD(nets, lr=small_rate), nets, dead_epochs, last_epoch)
back = was_dead & ~dead_units(nets)
num_dead, num_back = was_dead.sum((1, 2)).tolist(), back.sum((1, 2)).tolist()
for layer in (0, 1):
    print(f"layer {layer + 1}: {num_dead[layer]} dead units,", end="")
    print(f" {num_back[layer]} came back")

# New incoming weights for the dead units of the first layer
fresh = make_nets(two_hidden, math.sqrt(2), range(100, 100 + dead_seeds))
renewed = [parameter.detach().clone() for parameter in nets]
renewed[0].mT[was_dead[0]] = fresh[0].mT[was_dead[0]]
renewed[3].mT[was_dead[0]] = 0
num_renewed = int((was_dead & ~dead_units(renewed))[0].sum())
print(f"with weights drawn anew: {num_renewed} of {num_dead[0]} came back")

# %% check_dead
dead_mean = {rate: share.mean(1).tolist() for rate, share in dead_share.items()}
accuracy_mean = {rate: values.mean().item() for rate, values in dead_accuracy.items()}
gentle, rough = dead_rates[0], dead_rates[-1]
some = dead_rates[2]
rough_first = dead_mean[rough][0]

# claim: few-are-dead-at-the-start
assert share_at_start[0] < 0.01
assert share_at_start[1] < 0.03

# claim: larger-steps-kill-more
order = [dead_share[rate][0].mean().item() for rate in dead_rates]
assert order == sorted(order)
assert (dead_share[rough].mean(0) > dead_share[gentle].mean(0)).all()
assert dead_share[rough][0].mean() > 0.25

# claim: dead-units-need-not-cost-accuracy
assert dead_share[some].mean() > 0.02
assert abs(accuracy_mean[some] - accuracy_mean[gentle]) < 0.03

# claim: many-dead-units-do
assert accuracy_mean[rough] < accuracy_mean[gentle] - 0.1

# claim: dead-units-get-no-gradient
assert gradient_of_dead == 0
assert torch.equal(nets[0].detach().mT[was_dead[0]], weights_before.mT[was_dead[0]])
for bias_slope, dead in zip(slopes[3:5], was_dead, strict=True):
    assert bias_slope.squeeze(1)[dead].abs().max() == 0
alive_slope = slopes[0].mT[~was_dead[0]].abs().amax(1)
assert (alive_slope > 0).float().mean() > 0.95

# claim: none-of-the-first-layer-comes-back
assert num_back[0] == 0
assert num_dead[0] > 50

# claim: some-of-the-second-may
assert num_back[1] < 0.3 * num_dead[1]

# claim: new-weights-bring-them-back
assert num_renewed > 0.95 * num_dead[0]

# claim: half-of-all-outputs-are-zero
_, sums = forward(at_start, test_x.expand(dead_seeds, -1, -1), torch.relu)
for z in sums:
    assert abs((z <= 0).float().mean() - 0.5) < 0.05

# %% trap_zero
zero = torch.zeros(1)
three = {
    "torch.relu(x)": torch.relu,
    "x.clamp(min=0)": lambda x: x.clamp(min=0),
    "torch.maximum(x, 0)": lambda x: torch.maximum(x, zero),
}
slopes_at_zero = {name: slope(f, zero).item() for name, f in three.items()}
for name, found in slopes_at_zero.items():
    print(f"{name:20} slope at 0: {found}")

# %% trap_zero_start
torch.manual_seed(0)
x, wanted = torch.randn(64, 5), torch.rand(64, 1)
moved = {}
for name, activation in (("ReLU", nn.ReLU()), ("tanh", nn.Tanh())):
    branch = nn.Linear(5, 1)
    nn.init.zeros_(branch.weight)
    nn.init.zeros_(branch.bias)
    F.mse_loss(activation(branch(x)), wanted).backward()
    moved[name] = branch.weight.grad.abs().max().item()
    print(f"zero weights, then {name}: largest gradient {moved[name]:.3f}")


# %% trap_twice
def perfect(z, target):
    # The least loss that any logit reaches.
    return in_one_step(z, torch.full_like(z, target)).min().item()


z = torch.linspace(-50, 50, 101)
floors = {target: perfect(torch.sigmoid(z), target) for target in (0.0, 1.0)}
floors_right = {target: perfect(z, target) for target in (0.0, 1.0)}
for target, floor in floors.items():
    right = floors_right[target]
    print(f"target {target:.0f}: least loss {floor:.3f}, rightly {right:.3f}")

# %% trap_threshold
torch.manual_seed(0)
net = SigmoidExample()
x = torch.randn(1000, 10)
by_probability = net.probability(x) > 0.5
by_logit_wrong, by_logit = net(x) > 0.5, net(x) > 0
for name, guess in (("logit > 0.5", by_logit_wrong), ("logit > 0", by_logit)):
    agrees = (guess == by_probability).float().mean()
    print(f"{name:11} agrees on {agrees:.1%}")

# %% trap_inplace
x = torch.randn(4, requires_grad=True)
messages = []
for name, y in (("a leaf", x), ("what sigmoid has kept", torch.sigmoid(x))):
    try:
        F.relu_(y).sum().backward()
    except RuntimeError as error:
        messages.append(str(error))
        print(f"{name}: {str(error)[:60]}…")
skip = torch.tensor([-1.0, 2.0])
output = skip + F.relu_(skip)  # a skip connection whose input is overwritten
print("x + relu(x) in place:", output.tolist())


# %% trap_abs
def sigmoid_of_abs(x):
    small = torch.exp(-x.abs())
    return torch.where(x >= 0, 1 / (1 + small), small / (1 + small))


for function in (sigmoid_of_abs, sigmoid):
    at_zero = slope(function, zero).item()
    print(f"{function.__name__:15} slope at 0: {at_zero}")

# %% check_traps
# claim: three-slopes-at-zero
assert list(slopes_at_zero.values()) == [0.0, 1.0, 0.5]
assert slope(library.relu, zero).item() == 0

# claim: zero-start-kills
assert moved["ReLU"] == 0
assert moved["tanh"] > 0.01

# claim: two-sigmoids-have-a-floor
assert math.isclose(floors[0.0], math.log(2), rel_tol=1e-5)
assert math.isclose(floors[1.0], math.log(1 + math.exp(-1)), rel_tol=1e-5)
assert max(floors_right.values()) < 1e-6

# claim: logits-are-cut-at-zero
assert torch.equal(by_logit, by_probability)
assert (by_logit_wrong == by_probability).float().mean() < 0.95

# claim: inplace-errors
assert "leaf" in messages[0]
assert "modified by an inplace operation" in messages[1]

# claim: inplace-spoils-the-skip
assert output.tolist() == [0.0, 4.0]
fresh_skip = torch.tensor([-1.0, 2.0])
assert (fresh_skip + F.relu(fresh_skip)).tolist() == [-1.0, 4.0]

# claim: abs-loses-the-slope-at-zero
assert slope(sigmoid_of_abs, zero).item() == 0
assert slope(sigmoid, zero).item() == 0.25

# %% solution_same_net
sizes = [8, 16, 16, 3]
as_tanh = [p.double() for p in make_nets(sizes, 1.0, [0])]
as_sigmoid = [p.double() for p in make_nets(sizes, 4.0, [0], centred=True)]
x = torch.randn(1, 50, 8).double()
from_tanh, _ = forward(as_tanh, x, torch.tanh)
from_sigmoid, _ = forward(as_sigmoid, x, torch.sigmoid)
same_net_error = (from_tanh - from_sigmoid).abs().max().item()
print(f"outputs differ by at most {same_net_error:.0e}")

# %% solution_born_dead
num_nets, born_depth = 4000, 20
born = {}
generator = torch.Generator().manual_seed(0)
for narrow in (2, 3, 4, 6):
    inputs = 2
    h = torch.randn(num_nets, 30, inputs, generator=generator)
    for _ in range(born_depth):
        weight = torch.randn(num_nets, inputs, narrow, generator=generator)
        h, inputs = torch.relu(h @ weight), narrow
        # sizes do not matter here
        h = h / h.amax((1, 2), keepdim=True).clamp(min=1e-30)
    zero_output = (h == 0).all(2)
    for_one = zero_output[:, 0].float().mean().item()
    for_all = zero_output.all(1).float().mean().item()
    formula = 1 - (1 - 2.0**-narrow) ** born_depth
    born[narrow] = for_one, formula, for_all
    print(f"width {narrow}: one input {for_one:.3f}, formula {formula:.3f}", end="")
    print(f"; all 30 inputs {for_all:.3f}")

# %% solution_logits
naive = torch.log(torch.sigmoid(torch.tensor([-200.0, 0.0, 200.0])))
stable = library.log_sigmoid(torch.tensor([-200.0, 0.0, 200.0]))
print("log of sigmoid", naive.tolist())
print("log_sigmoid   ", stable.tolist())

# %% check_solutions
# claim: a-tanh-net-is-a-sigmoid-net
assert same_net_error < 1e-5
assert from_tanh.abs().mean() > 0.1

# claim: born-dead
for for_one, formula, for_all in born.values():
    assert abs(for_one - formula) < 0.04
    assert for_all <= for_one
assert born[2][2] > 0.9

# claim: log-sigmoid-stays-finite
assert naive[0].item() == -math.inf
assert stable.tolist()[0] == -200
