# ---
# timeout: 300
# ---
# %% from_scratch
import inspect
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import mse_loss

from reglab.data import noisy_line
from reglab.dropout import Dropout, dropout
from reglab.ridgeline import ridgeline
from reglab.stacked import StackedMLP


def dropout_forward(x, mask, p):
    return x * mask / (1 - p)


def dropout_backward(upstream, mask, p):
    # The same mask: what did not pass on the way there gets nothing on the way back.
    return upstream * mask / (1 - p)


p_shown = 0.5
torch.manual_seed(3)
x, upstream = torch.arange(1.0, 7.0), torch.ones(6)
mask = torch.empty(6).bernoulli_(1 - p_shown)

print("input   ", x.tolist())
print("mask    ", mask.tolist())
print("output  ", dropout_forward(x, mask, p_shown).tolist())
print("gradient", dropout_backward(upstream, mask, p_shown).tolist())

# %% check_from_scratch
torch.manual_seed(0)
sample, arriving = (1e4 + torch.randn(40, 30, dtype=torch.float64) for _ in range(2))
probabilities = [0.0, 0.1, 0.5, 0.9]


def torchs(layer, values):
    torch.manual_seed(1)
    leaf = values.clone().requires_grad_()
    output = layer(leaf)
    output.backward(arriving)
    return output.detach(), leaf.grad


# claim: scratch-equals-torch
for p in probabilities:
    output, gradient = torchs(nn.Dropout(p), sample)
    torch.manual_seed(1)
    drawn = torch.empty_like(sample).bernoulli_(1 - p) if p else torch.ones_like(sample)
    assert torch.allclose(dropout_forward(sample, drawn, p), output, rtol=1e-15, atol=0)
    assert torch.allclose(dropout_backward(arriving, drawn, p), gradient, rtol=1e-15, atol=0)

# claim: layer-equals-torch
for p in [*probabilities, 1.0]:
    for training in (True, False):
        ours, theirs = (torchs(kind(p).train(training), sample) for kind in (Dropout, nn.Dropout))
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])

# claim: edges
assert torch.equal(nn.Dropout(0.0)(sample), sample)
assert torch.equal(nn.Dropout(1.0)(sample), torch.zeros_like(sample))
for wrong in (-0.1, 1.1):
    for kind in (Dropout, nn.Dropout):
        try:
            kind(wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)

# %% moments
draws, p_moments, value = 100_000, [0.1, 0.2, 0.5, 0.8, 0.9], 3.0
torch.manual_seed(0)
measured = []
for p in p_moments:
    y = nn.Dropout(p)(torch.full((draws,), value))
    measured.append((y.mean().item(), y.var().item()))

print("  p   mean   variance   p / (1 - p) x^2")
for p, (mean, variance) in zip(p_moments, measured, strict=True):
    print(f"{p:.1f} {mean:6.3f} {variance:10.3f} {p / (1 - p) * value**2:17.3f}")

# %% check_moments
# claim: mean-stays-variance-by-formula
for p, (mean, variance) in zip(p_moments, measured, strict=True):
    expected = p / (1 - p) * value**2
    assert abs(mean - value) < 5 * math.sqrt(expected / draws)
    assert math.isclose(variance, expected, rel_tol=0.05)

# %% with_torch
layer = nn.Dropout(p=0.5)
print(layer, "  state:", dict(layer.state_dict()))

batch = torch.ones(2, 8)
torch.manual_seed(0)
print(layer(batch))
print(layer(batch))

layer.eval()
print(layer(batch))

# %% check_with_torch
# claim: each-sample-and-each-pass-has-its-mask
layer.train()
wide = torch.ones(50, 100)
first, second = layer(wide), layer(wide)
assert not torch.equal(first, second)
assert len({tuple(row.tolist()) for row in first}) == len(wide)

# claim: any-shape
for shape in ((), (5,), (2, 3, 4, 5, 6)):
    assert layer(torch.ones(shape)).shape == shape

# claim: no-state
assert not layer.state_dict() and not list(layer.parameters())

# %% all_masks
torch.manual_seed(0)
num_samples, num_features = 20, 6
features = torch.randn(num_samples, num_features, dtype=torch.float64)
targets = torch.randn(num_samples, dtype=torch.float64)
weight = torch.randn(num_features, dtype=torch.float64)


def expected_loss(p):
    # Every mask there is, each with its probability: no sampling error.
    total = 0.0
    for mask in itertools.product((0.0, 1.0), repeat=num_features):
        kept = int(sum(mask))
        probability = (1 - p) ** kept * p ** (num_features - kept)
        dropped = features * torch.tensor(mask, dtype=torch.float64) / (1 - p)
        total += probability * (dropped @ weight - targets).square().mean().item()
    return total


loss = (features @ weight - targets).square().mean().item()
p_masks = [0.1, 0.3, 0.5, 0.8]
penalties = [p / (1 - p) * (features * weight).square().sum(1).mean().item() for p in p_masks]
expected_losses = [expected_loss(p) for p in p_masks]
num_masks = 2**num_features

print(" p    loss + penalty =      sum   mean over all masks")
for p, penalty, over_masks in zip(p_masks, penalties, expected_losses, strict=True):
    print(f"{p:.1f} {loss:7.4f} {penalty:9.4f} {loss + penalty:10.6f} {over_masks:21.6f}")

# %% check_all_masks
# claim: dropout-is-a-penalty
for penalty, over_masks in zip(penalties, expected_losses, strict=True):
    assert math.isclose(loss + penalty, over_masks, rel_tol=1e-12)

# %% shrinkage
units, copies, num_rows = [0.3, 1.0, 3.0], 1000, 60
torch.manual_seed(0)
# Three uncorrelated features that matter equally, in three units: their true weights are 1 / unit.
columns = torch.linalg.qr(torch.randn(num_rows, 3, dtype=torch.float64)).Q * math.sqrt(num_rows)
table = columns * torch.tensor(units, dtype=torch.float64)
answers = columns.sum(1) + 0.5 * torch.randn(num_rows, dtype=torch.float64)


def least_squares(table, answers):
    return torch.linalg.lstsq(table, answers.unsqueeze(1)).solution.flatten()


def with_dropout(table, answers, p):
    # Training to the end with dropout = least squares on endless copies of the data, each with its own mask.
    many = nn.Dropout(p)(table.repeat(copies, 1))
    return least_squares(many, answers.repeat(copies))


def with_l2(table, answers, strength):
    gram = table.T @ table / len(table)
    return torch.linalg.solve(gram + strength * torch.eye(len(gram), dtype=gram.dtype), table.T @ answers / len(table))


plain_fit = least_squares(table, answers)
strengths = torch.logspace(-2, 2, 41, dtype=torch.float64)
tried = strengths[::4].tolist()
left_dropout = torch.stack([with_dropout(table, answers, s / (1 + s)) / plain_fit for s in tried])  # (strengths, 3)
left_l2 = torch.stack([with_l2(table, answers, s) / plain_fit for s in strengths])

fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.6), sharey=True)
axes[0].plot(strengths, 1 / (1 + strengths), color="black", linewidth=1, label="$1-p$")
for feature, (unit, color, marker) in enumerate(zip(units, ("C0", "C1", "C2"), "os^", strict=True)):
    label = f"feature in units of {unit:g}"
    size = 11 - 3.5 * feature  # the three coincide
    axes[0].plot(tried, left_dropout[:, feature], marker, color=color, markersize=size, markerfacecolor="none")
    axes[1].plot(strengths, left_l2[:, feature], color=color, marker=marker, markevery=4, label=label)
for ax, title, label in zip(axes, ("dropout", "L2 penalty"), (r"$p/(1-p)$", r"$\lambda$"), strict=True):
    ax.set_xscale("log")
    ax.set_title(title)
    ax.set_xlabel(label)
axes[0].set_ylabel("weight / weight without penalty")
axes[0].legend(loc="lower left")
fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center")

# %% check_shrinkage
# claim: dropout-ignores-units
keeps = torch.tensor([1 / (1 + s) for s in tried], dtype=torch.float64).unsqueeze(1)
farthest = (left_dropout - keeps).abs().max().item()
assert farthest < 0.05

# claim: l2-depends-on-units
middle = left_l2[len(strengths) // 2]
assert middle[0] < 0.15 < 0.4 < middle[1] < 0.6 < 0.85 < middle[2]

# claim: closed-form
correlated = torch.randn(num_rows, 3, dtype=torch.float64) + torch.randn(num_rows, 1, dtype=torch.float64)
gram = correlated.T @ correlated
for p in (0.2, 0.5):
    exact = torch.linalg.solve(gram + p / (1 - p) * gram.diag().diag(), correlated.T @ answers)
    assert torch.allclose(with_dropout(correlated, answers, p), exact, atol=0.03)

# %% net
width, slope, seed, p_net = 200, 1.5, 1, 0.5


def make_net(seed, p):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(1, width),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(width, 1),
    )


def linears(net):
    return [module for module in net if isinstance(module, nn.Linear)]


# %% train
steps, every, learning_rate, momentum = 2000, 400, 0.01, 0.9
grid = torch.linspace(-1, 1, 81).unsqueeze(1)


def train(net, points):
    optimizer = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=momentum)
    history, printed = [], []
    net.train()
    # One pass more than there are steps: the last one only looks.
    for step in range(steps + 1):
        loss = mse_loss(net(points.x), points.y)
        optimizer.zero_grad()
        loss.backward()
        printed.append(loss.item())
        if step % every == 0:
            net.eval()
            weight = linears(net)[2].weight
            history.append(
                {
                    "step": step,
                    "curve": net(grid).detach(),
                    "weight": weight.detach().clone(),
                    "gradient": weight.grad.clone(),
                }
            )
            net.train()
        if step < steps:
            optimizer.step()
    return history, printed


# %% two_nets
train_points, test_points = noisy_line(slope=slope, seed=seed)
# The same seed gives the same weights: a dropout layer draws nothing when it is made.
plain, dropped = make_net(seed, p=0.0), make_net(seed, p=p_net)
plain_history, plain_printed = train(plain, train_points)
dropped_history, dropped_printed = train(dropped, train_points)


@torch.no_grad()
def evaluate(net, x, y):
    return mse_loss(net.eval()(x), y).item()


plain_train, dropped_train = (evaluate(net, train_points.x, train_points.y) for net in (plain, dropped))
plain_test, dropped_test = (evaluate(net, test_points.x, test_points.y) for net in (plain, dropped))
plain_line, dropped_line = (evaluate(net, grid, slope * grid) for net in (plain, dropped))

print("evaluation mode      no dropout    dropout")
print(f"training points      {plain_train:10.5f} {dropped_train:10.5f}")
print(f"test points          {plain_test:10.5f} {dropped_test:10.5f}")
print(f"true line            {plain_line:10.5f} {dropped_line:10.5f}")

# %% curves
fig, axes = plt.subplots(3, 2, figsize=(5.6, 6.6), sharex=True, sharey=True)
for ax, plain_then, dropped_then in zip(axes.flat, plain_history, dropped_history, strict=True):
    ax.plot(grid, slope * grid, color="black", linewidth=1, linestyle=":", label="true line")
    ax.plot(train_points.x, train_points.y, "o", color="black", markersize=3, label="training points")
    ax.plot(grid, plain_then["curve"], color="C0", linewidth=1.4, label="no dropout")
    ax.plot(grid, dropped_then["curve"], color="C1", linewidth=2.2, label="dropout")
    ax.set_title(f"step {plain_then['step']}", fontsize=10)
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)


# %% ridges
def exponents(gradient):
    # Weights between two units that are never on together get exactly 0, which has no logarithm.
    return gradient[gradient != 0].abs().log10()


fig, axes = plt.subplots(1, 2, figsize=(5.6, 4.6), sharey=True)
for history, color, label in ((dropped_history, "C1", "dropout"), (plain_history, "C0", "no dropout")):
    look = {"color": color, "label": label, "filled": color == "C1"}
    ridgeline(axes[0], [then["weight"] for then in history], span=(-0.12, 0.12), **look)
    ridgeline(axes[1], [exponents(then["gradient"]) for then in history], span=(-8, 0), **look)
for ax, title, name in zip(axes, ("weights", "gradients"), ("weight", "size of the gradient"), strict=True):
    ax.set_title(title)
    ax.set_xlabel(name)
    ax.grid(axis="y", visible=False)
axes[0].set_yticks([-row for row in range(6)], [str(then["step"]) for then in plain_history])
axes[0].set_ylabel("step")
axes[1].set_xticks([-8, -6, -4, -2, 0], ["$10^{-8}$", "$10^{-6}$", "$10^{-4}$", "$10^{-2}$", "$1$"])
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_two_nets
start_kurtosis = 1.8  # of the uniform distribution that nn.Linear starts from
plain_sizes, dropped_sizes = (
    [exponents(then["gradient"]).median().item() for then in history] for history in (plain_history, dropped_history)
)
plain_fade, dropped_fade = (10 ** (sizes[0] - sizes[-1]) for sizes in (plain_sizes, dropped_sizes))
plain_zeros, dropped_zeros = (
    (history[-1]["gradient"] == 0).float().mean().item() for history in (plain_history, dropped_history)
)
plain_moves, dropped_moves = (
    (history[-1]["curve"] - history[-2]["curve"]).abs().max().item() for history in (plain_history, dropped_history)
)

# claim: same-start
assert torch.equal(plain_history[0]["curve"], dropped_history[0]["curve"])
assert torch.equal(plain_history[0]["weight"], dropped_history[0]["weight"])

# claim: interpolates-without-dropout
assert plain_train < 1e-3 < 0.02 < dropped_train

# claim: dropout-never-settles
assert dropped_moves > 3 * plain_moves

# claim: gradients-die-without-dropout
assert plain_sizes[-1] < plain_sizes[0] - 2
assert dropped_sizes[-1] > dropped_sizes[0] - 1.5
assert dropped_sizes[-1] > plain_sizes[-1] + 1

# claim: dropout-gradient-is-mostly-zero
assert dropped_zeros > plain_zeros + 0.1

# %% seeds
num_seeds, near = 20, 0.01
seeds = range(1, num_seeds + 1)
points = [noisy_line(slope=slope, seed=seed) for seed in seeds]
all_x, all_y = (torch.stack([getattr(train, axis) for train, _ in points]) for axis in "xy")  # (seeds, 10, 1)
all_test = torch.stack([test.y for _, test in points])
all_grid = grid.expand(num_seeds, -1, -1)


def stack(seeds):
    # The stack holds the linear layers; dropout is a function below.
    nets = [make_net(seed, p=0.0) for seed in seeds]
    return StackedMLP([nn.Sequential(*[m for m in net if not isinstance(m, nn.Dropout)]) for net in nets])


def last_hidden(nets, x, p):
    for weight, bias in zip(nets.weights[:-1], nets.biases[:-1], strict=True):
        x = dropout(torch.baddbmm(bias, x, weight).relu(), p)  # (seeds, samples, width)
    return x


def predict(nets, x, p=0.0):
    return torch.baddbmm(nets.biases[-1], last_hidden(nets, x, p), nets.weights[-1])


def train_all(x, y, *, p):
    nets = stack(seeds[: len(x)])
    torch.manual_seed(0)
    # fused: the same formula in one pass over the memory.
    optimizer = torch.optim.SGD(nets.parameters(), lr=learning_rate, momentum=momentum, fused=True)
    for _ in range(steps):
        losses = (predict(nets, x, p) - y).square().mean((1, 2))
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    return nets.requires_grad_(False)


without, with_p = train_all(all_x, all_y, p=0.0), train_all(all_x, all_y, p=p_net)


# %% all_seeds
def error(prediction, y):
    return (prediction - y).square().mean((1, 2))


def error_when_dropped(nets):
    return torch.stack([error(predict(nets, all_x, p_net), all_y) for _ in range(100)]).mean(0)


def bends(curve):
    # How much the slope of the curve changes, summed along the grid: 0 for a straight line.
    return (curve.diff(dim=1) / (grid[1] - grid[0])).diff(dim=1).abs().sum((1, 2))


def spread(weight):
    return weight.flatten(1).std(1)


def kurtosis(weight):
    centred = weight.flatten(1) - weight.flatten(1).mean(1, keepdim=True)
    return (centred**4).mean(1) / (centred**2).mean(1) ** 2


measures = {
    "error at training points": lambda nets: error(predict(nets, all_x), all_y),
    "error, half the units off": error_when_dropped,
    "bends of the curve": lambda nets: bends(predict(nets, all_grid)),
    "error at test points": lambda nets: error(predict(nets, all_x), all_test),
    "distance to the true line": lambda nets: error(predict(nets, all_grid), slope * all_grid),
    "output layer: std": lambda nets: spread(nets.weights[3]),
    "layer 3: share near 0": lambda nets: (nets.weights[2].abs() < near).float().mean((1, 2)),
    "layer 3: std": lambda nets: spread(nets.weights[2]),
    "layer 3: kurtosis": lambda nets: kurtosis(nets.weights[2]),
    "layer 3: largest weight": lambda nets: nets.weights[2].abs().amax((1, 2)),
}
torch.manual_seed(0)
found = {name: (measure(without), measure(with_p)) for name, measure in measures.items()}
ratios = {name: after / before for name, (before, after) in found.items()}
larger = {name: int((ratio > 1).sum()) for name, ratio in ratios.items()}

print(f"median of {num_seeds} seeds          no dropout    dropout   ratio  larger in")
for name, (before, after) in found.items():
    ratio = ratios[name].median()
    print(f"{name:27s} {before.median():10.5f} {after.median():10.5f} {ratio:7.3g}  {larger[name]:2d}/{num_seeds}")

# %% verdict
rows = list(measures)[1:]
kinds = ["C0"] * 2 + ["C2"] * 2 + ["C1"] * 5
fig, ax = plt.subplots(figsize=(5.6, 4.4))
ax.axvline(1, color="black", linewidth=1)
for row, (name, color) in enumerate(zip(rows, kinds, strict=True)):
    ax.plot(ratios[name], [row] * num_seeds, "o", color=color, alpha=0.5, markersize=6)
    ax.plot(ratios[name].median(), row, "|", color="black", markersize=18, markeredgewidth=2)
ax.set_xscale("log")
ax.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
ax.minorticks_off()
ax.set_yticks(range(len(rows)), rows)
ax.set_ylim(len(rows) - 0.5, -0.5)
ax.set_xlabel("with dropout / without")

# %% tails
edges = torch.linspace(-0.3, 0.3, 61)
middles = (edges[1:] + edges[:-1]) / 2
fig, ax = plt.subplots(figsize=(5.6, 3.6))
for nets, color, line, label in (
    (stack(seeds), "black", ":", "at the start"),
    (without, "C0", "-", "no dropout"),
    (with_p, "C1", "-", "dropout"),
):
    counts = torch.histc(nets.weights[2].detach(), bins=len(middles), min=-0.3, max=0.3)
    shares = counts / counts.sum()
    shares[shares == 0] = math.nan
    ax.step(middles, shares, where="mid", color=color, linestyle=line, label=label)
ax.set_yscale("log")
ax.set_xlabel("weight of layer 3")
ax.set_ylabel("share of the weights")
fig.legend(loc="outside upper center", ncols=3)

# %% check_seeds
medians = {name: [values.median().item() for values in pair] for name, pair in found.items()}
median_ratio = {name: ratio.median().item() for name, ratio in ratios.items()}
smaller = {name: num_seeds - count for name, count in larger.items()}
start_bound = 1 / math.sqrt(width)
outside = [(nets.weights[2].abs() > start_bound).float().mean().item() for nets in (without, with_p)]
moved = [
    (nets.weights[2] - first).norm(dim=(1, 2)) / first.norm(dim=(1, 2))
    for first in [stack(seeds).weights[2].detach()]
    for nets in (without, with_p)
]
median_moved = [distances.median().item() for distances in moved]

tilts = [
    (predict(nets, all_grid) * all_grid).mean((1, 2)) / all_grid.square().mean((1, 2)) for nets in (without, with_p)
]
median_tilts = [tilt.median().item() for tilt in tilts]
flatter = int((tilts[1] < tilts[0]).sum())


def coin(wins):
    # How often a fair coin is at least as one-sided in num_seeds throws.
    tail = sum(math.comb(num_seeds, k) for k in range(max(wins, num_seeds - wins), num_seeds + 1))
    return min(1.0, 2 * tail / 2**num_seeds)


# claim: stacked-equals-single
assert torch.allclose(predict(without, all_grid)[seeds.index(seed)], plain.eval()(grid), atol=0.05)

# claim: layer-three-widens
assert larger["layer 3: std"] >= 17
assert larger["layer 3: largest weight"] >= 17

# claim: peak-sharper-tails-longer
assert larger["layer 3: kurtosis"] >= 19
assert median_ratio["layer 3: kurtosis"] > 1.15
assert outside[1] > 2 * outside[0]

# claim: near-zero-hardly-changes
assert 1 < median_ratio["layer 3: share near 0"] < 1.1

# claim: weights-travel-farther
assert all(moved[1] > 1.5 * moved[0])

# claim: output-layer-shrinks
assert smaller["output layer: std"] >= 19
assert median_ratio["output layer: std"] < 0.8

# claim: robust-to-dropping
assert smaller["error, half the units off"] == num_seeds
assert median_ratio["error, half the units off"] < 0.15
collapsed, held_up = medians["error, half the units off"]
whole_collapsed, whole_held_up = medians["error at training points"]
assert collapsed > 100 * whole_collapsed
assert held_up < 1.5 * whole_held_up

# claim: smoother-on-most-seeds
assert smaller["bends of the curve"] >= 14

# claim: trains-worse
assert larger["error at training points"] == num_seeds
assert ratios["error at training points"].min() > 10

# claim: curve-is-flattened
assert flatter >= 18
assert abs(median_tilts[0] - slope) < 0.2
assert median_tilts[1] < 0.85 * median_tilts[0]

# claim: benefit-is-weak
wins_test, wins_line = smaller["error at test points"], smaller["distance to the true line"]
coin_test, coin_line = coin(wins_test), coin(wins_line)
assert 8 <= wins_test <= 18
assert 4 <= wins_line <= 16
assert 0.6 < median_ratio["distance to the true line"] < 1.6

# %% sees_products
rescaled = stack(seeds)
rescaled.load_state_dict(with_p.state_dict())
scale = 3.0
with torch.no_grad():
    rescaled.weights[2] *= scale
    rescaled.biases[2] *= scale
    rescaled.weights[3] /= scale


def output_noise(nets):
    # What dropping units of the last hidden layer adds to the loss, exactly: p / (1 - p) * sum of (w h)^2.
    terms = last_hidden(nets, all_x, p=0.0) * nets.weights[3].mT  # (seeds, samples, width)
    return p_net / (1 - p_net) * terms.square().sum(2).mean(1)


noise_without, noise_with, noise_rescaled = (output_noise(nets).median().item() for nets in (without, with_p, rescaled))
print("                          median noise at the output   std of layer 3")
for name, noise, nets in (
    ("no dropout", noise_without, without),
    ("dropout", noise_with, with_p),
    ("dropout, layer 3 times 3", noise_rescaled, rescaled),
):
    print(f"{name:25s} {noise:27.4f} {spread(nets.weights[2]).median():16.4f}")

# %% check_sees_products
noise_wins = int((output_noise(with_p) < output_noise(without)).sum())

# claim: penalised-product-falls
assert noise_wins == num_seeds
assert noise_with < 0.1 * noise_without

# claim: dropout-cannot-see-the-scale
assert torch.allclose(output_noise(rescaled), output_noise(with_p), rtol=1e-4)
for p in (0.0, p_net):
    torch.manual_seed(1)
    one = predict(with_p, all_x, p)
    torch.manual_seed(1)
    assert torch.allclose(predict(rescaled, all_x, p), one, atol=1e-4)

# %% less_noise
calm_seeds, masks_per_point = 10, 4
calm_x, calm_y = (values[:calm_seeds].repeat(1, masks_per_point, 1) for values in (all_x, all_y))
calm = train_all(calm_x, calm_y, p=p_net)

calm_ratios = {
    "std": spread(calm.weights[2]) / found["layer 3: std"][0][:calm_seeds],
    "largest weight": calm.weights[2].abs().amax((1, 2)) / found["layer 3: largest weight"][0][:calm_seeds],
}
noisy_ratios = {name: ratios[f"layer 3: {name}"][:calm_seeds] for name in calm_ratios}
print(f"layer 3, ratio to no dropout, median of {calm_seeds} seeds")
print("masks per point and step        std   larger in   largest weight   larger in")
for masks, each in ((1, noisy_ratios), (masks_per_point, calm_ratios)):
    parts = [f"{ratio.median():.3f} {int((ratio > 1).sum()):8d}/{calm_seeds}" for ratio in each.values()]
    print(f"{masks:24d} {parts[0]:>22s} {parts[1]:>27s}")

# %% check_less_noise
calm_wins = {name: int((calm_ratios[name] < noisy_ratios[name]).sum()) for name in calm_ratios}
calm_larger = int((calm_ratios["std"] > 1).sum())
calm_std, noisy_std = (each["std"].median().item() for each in (calm_ratios, noisy_ratios))

# claim: noise-widens-the-weights
assert all(wins >= 8 for wins in calm_wins.values())
assert calm_std < noisy_std
assert calm_std < 1.01

# %% trap_printed
print(
    f"printed in training mode at the last step: no dropout {plain_printed[-1]:.7f}, dropout {dropped_printed[-1]:.4f}"
)

dropped.train()
with torch.no_grad():
    again = [mse_loss(dropped(train_points.x), train_points.y).item() for _ in range(200)]
print("dropout, the same weights, five more passes:", " ".join(f"{loss:.3f}" for loss in again[:5]))
print(f"right, evaluation mode, training points:   no dropout {plain_train:.7f}, dropout {dropped_train:.4f}")
print(f"right, evaluation mode, test points:       no dropout {plain_test:.7f}, dropout {dropped_test:.4f}")

# %% trap_start
torch.manual_seed(seed)
one, other = (nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Dropout(p), nn.Linear(width, 1)) for p in (0.0, p_net))
print("built one after the other, same weights:", torch.equal(one[0].weight, other[0].weight))

other.load_state_dict(one.state_dict())
print("after load_state_dict, same weights:    ", torch.equal(one[0].weight, other[0].weight))

# %% trap_inplace
for in_place in (True, False):
    block = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5, inplace=in_place), nn.Linear(4, 1))
    try:
        block(torch.ones(2, 3)).sum().backward()
        print(f"inplace={in_place!s:5s}  gradients arrived")
    except RuntimeError as failure:
        print(f"inplace={in_place!s:5s}  {str(failure).split(':')[0]}")

# %% trap_branch
for in_place in (True, False):
    h = torch.ones(8)
    torch.manual_seed(0)
    print(f"h + drop(h), inplace={in_place!s:5s}", (h + nn.Dropout(0.5, inplace=in_place)(h)).tolist())

# %% trap_keep
keep = 0.8
many_ones = torch.ones(100_000)
torch.manual_seed(0)
zeros_wrong = (nn.Dropout(keep)(many_ones) == 0).float().mean().item()
zeros_right = (nn.Dropout(1 - keep)(many_ones) == 0).float().mean().item()
print(
    f"meant: keep {keep}.  nn.Dropout({keep}) drops {zeros_wrong:.3f}, nn.Dropout(1 - {keep}) drops {zeros_right:.3f}"
)

# %% check_traps
# claim: printed-loss-misleads
again_spread = torch.tensor(again).std().item() / (sum(again) / len(again))
printed_ratio = dropped_printed[-1] / plain_printed[-1]
test_ratio = dropped_test / plain_test
assert again_spread > 0.1
assert printed_ratio > 1000
assert test_ratio < 5

# claim: built-in-a-row-start-apart
torch.manual_seed(seed)
row = [nn.Linear(1, width).weight for _ in range(2)]
assert not torch.equal(*row)
assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
assert all(
    torch.equal(a, b)
    for a, b in zip(make_net(seed, p=0.0).parameters(), make_net(seed, p=p_net).parameters(), strict=True)
)


# claim: inplace-breaks-relu
def tolerates(activation):
    block = nn.Sequential(nn.Linear(3, 4), activation, nn.Dropout(0.5, inplace=True), nn.Linear(4, 1))
    try:
        block(torch.ones(2, 3)).sum().backward()
    except RuntimeError as failure:
        assert "modified by an inplace operation" in str(failure)
        return False
    return True


assert not tolerates(nn.ReLU())
assert not tolerates(nn.ReLU(inplace=True))

# claim: inplace-spoils-a-branch
for in_place, allowed in ((True, {0.0, 4.0}), (False, {1.0, 3.0})):
    h = torch.ones(100)
    assert set((h + nn.Dropout(0.5, inplace=in_place)(h)).tolist()) == allowed

# claim: p-is-the-drop-probability
assert abs(zeros_wrong - keep) < 0.01
assert abs(zeros_right - (1 - keep)) < 0.01


# %% check_posts
# claim: copied-program-does-not-run
class Copied(nn.Module):
    # As it stands in one of the posts, with the underscores of __init__ lost.
    def init(self, neural_num, d_prob=0.5):
        self.linears = nn.Sequential(nn.Linear(1, neural_num), nn.Dropout(d_prob))


try:
    Copied(neural_num=width, d_prob=0.0)
except TypeError:
    constructed = False
else:
    constructed = True
assert not constructed
for line in ("plt.scatter(,, c='blue')", "writer = SummaryWriter(comment=‘_test_tensorboard’)"):
    try:
        compile(line, "post", "exec")
    except SyntaxError:
        continue
    raise AssertionError(line)

# claim: no-decay-in-the-dropout-run
assert torch.optim.SGD(plain.parameters(), lr=learning_rate, momentum=momentum).defaults["weight_decay"] == 0

# claim: signature
assert str(inspect.signature(nn.Dropout)) == "(p: float = 0.5, inplace: bool = False) -> None"

# claim: posts-record-late
posts_records = [epoch for epoch in range(steps) if (epoch + 1) % every == 0]
assert posts_records[0] == every - 1
assert len(posts_records) == 5
assert dropped_history[1]["weight"].abs().max() > 1.5 * dropped_history[0]["weight"].abs().max()

# claim: no-linear-regression
untrained = make_net(seed, p=0.0)(grid).detach()
assert bends(untrained.unsqueeze(0)).item() > 0.01


# %% solution_noise
def p_for(spread):
    # From p / (1 - p) = spread^2, the spread measured in units of |x|.
    return spread**2 / (1 + spread**2)


torch.manual_seed(0)
wanted_spreads = [0.5, 1.0, 2.0, 3.0]
found_spreads = [nn.Dropout(p_for(wanted))(torch.ones(100_000)).std().item() for wanted in wanted_spreads]
for wanted, got in zip(wanted_spreads, found_spreads, strict=True):
    print(f"p = {p_for(wanted):.1f} gives a spread of {wanted} |x|; sampled {got:.3f}")

# %% solution_copies
p_copies, copy_counts = 0.5, [1, 2, 4, 10]
torch.manual_seed(0)
left_of_copies = []
for count in copy_counts:
    weights = with_dropout(columns[:, :1].repeat(1, count), answers, p_copies)
    left_of_copies.append((weights.sum() / plain_fit[0] / units[0]).item())

strength = p_copies / (1 - p_copies)
for count, left in zip(copy_counts, left_of_copies, strict=True):
    print(f"{count:2d} copies: {left:.3f} of the effect is left; formula {count / (count + strength):.3f}")


# %% solution_gaussian
def with_gaussian_noise(table, answers, p):
    many = table.repeat(copies, 1)
    factors = 1 + math.sqrt(p / (1 - p)) * torch.randn_like(many)
    return least_squares(many * factors, answers.repeat(copies))


torch.manual_seed(0)
left_gaussian = {p: with_gaussian_noise(table, answers, p) / plain_fit for p in (0.2, 0.5, 0.8)}
for p, left in left_gaussian.items():
    print(f"p = {p}: left of the weights {[round(value, 3) for value in left.tolist()]}, dropout {1 - p:.1f}")

# %% solution_inplace
activations = [nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(), nn.GELU(), nn.SiLU(), nn.Softplus()]
tolerant = {type(activation).__name__: tolerates(activation) for activation in activations}
print("in-place dropout behind it works: ", ", ".join(name for name, works in tolerant.items() if works))
print("its backward pass needs its output:", ", ".join(name for name, works in tolerant.items() if not works))

# %% check_solutions
# claim: spread-gives-p
for wanted, got in zip(wanted_spreads, found_spreads, strict=True):
    assert math.isclose(got, wanted, rel_tol=0.03)

# claim: copies-share
for count, left in zip(copy_counts, left_of_copies, strict=True):
    assert math.isclose(left, count / (count + strength), rel_tol=0.05)

# claim: gaussian-noise-is-the-same-penalty
for p, left in left_gaussian.items():
    assert (left - (1 - p)).abs().max() < 0.05

# claim: who-needs-its-output
assert [name for name, works in tolerant.items() if not works] == ["ReLU", "Sigmoid", "Tanh"]
