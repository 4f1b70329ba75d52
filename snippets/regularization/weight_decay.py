# ---
# timeout: 400
# ---
# %% from_scratch
import copy
import math
import warnings

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import mse_loss

from reglab.data import noisy_line
from reglab.ridgeline import ridgeline
from reglab.stacked import StackedMLP

learning_rate, momentum, decay = 0.01, 0.9, 0.01
num_points = 10


@torch.no_grad()
def sgd_step(weights, gradients, velocities, *, learning_rate, momentum, decay):
    for w, g, v in zip(weights, gradients, velocities, strict=True):
        # The penalty (decay / 2) * |w|^2 has the gradient decay * w.
        d = g + decay * w
        v.mul_(momentum).add_(d)
        w.sub_(learning_rate * v)


# %% check_from_scratch
scratch_steps = 100


def stay_equal(*, momentum, decay):
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 1)).double()
    ours = copy.deepcopy(theirs)
    data, _ = noisy_line(num_points, seed=0)
    x, y = data.x.double(), data.y.double()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=learning_rate, momentum=momentum, weight_decay=decay)
    velocities = [torch.zeros_like(w) for w in ours.parameters()]
    for _ in range(scratch_steps):
        for net in (theirs, ours):
            net.zero_grad()
            mse_loss(net(x), y).backward()
        optimizer.step()
        gradients = [w.grad for w in ours.parameters()]
        sgd_step(ours.parameters(), gradients, velocities, learning_rate=learning_rate, momentum=momentum, decay=decay)
        for w, same in zip(ours.parameters(), theirs.parameters(), strict=True):
            if not torch.allclose(w, same, rtol=1e-10, atol=1e-12):
                return False
    return True


# claim: scratch-equals-torch
assert all(stay_equal(momentum=m, decay=d) for m in (0.0, momentum) for d in (0.0, decay))

# claim: plain-sgd-formula
torch.manual_seed(0)
w, g = torch.randn(50).double(), torch.randn(50).double()
param = nn.Parameter(w.clone())
param.grad = g.clone()
torch.optim.SGD([param], lr=learning_rate, weight_decay=decay).step()
assert torch.allclose(param, (1 - learning_rate * decay) * w - learning_rate * g)
assert not torch.allclose(param, (1 - decay) * w - g, rtol=0.1)

# %% shrink
steps = 2000


def kept_of_start(steps, *, learning_rate, momentum, decay):
    # What is left of a weight 1 that no gradient ever touches, after 0, 1, 2, ...
    # steps.
    w, v, kept = 1.0, 0.0, [1.0]
    for _ in range(steps):
        v = momentum * v + decay * w
        w = w - learning_rate * v
        kept.append(w)
    return kept


settings = {"learning_rate": learning_rate, "momentum": momentum, "decay": decay}
kept = kept_of_start(steps, **settings)
kept_without_momentum = (1 - learning_rate * decay) ** steps
kept_as_the_posts_have_it = (1 - decay) ** steps
kept_with_momentum = kept[-1]
momentum_gain = 1 / (1 - momentum)
per_step = 1 - learning_rate * decay * momentum_gain

print(f"left of an untouched weight after {steps} steps")
print(f"momentum {momentum}, recursion       {kept_with_momentum:.4f}")
print(f"momentum {momentum}, {per_step:.4f}^{steps}     {per_step**steps:.4f}")
print(f"no momentum                   {kept_without_momentum:.4f}")
print(f"the posts' (1 - decay)^{steps}   {kept_as_the_posts_have_it:.1e}")

# %% check_shrink
# claim: torch-shrinks-by-the-recursion
for m, expected in ((momentum, kept), (0.0, [(1 - learning_rate * decay) ** t for t in range(steps + 1)])):
    untouched = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([untouched], lr=learning_rate, momentum=m, weight_decay=decay)
    untouched.grad = torch.zeros_like(untouched)
    for step in range(steps):
        assert math.isclose(untouched.item(), expected[step], rel_tol=1e-9)
        optimizer.step()

# claim: momentum-multiplies-decay
half = 1 + momentum - learning_rate * decay
slow_root = (half + math.sqrt(half**2 - 4 * momentum)) / 2
assert math.isclose(kept[-1] / kept[-2], slow_root, rel_tol=1e-9)
assert math.isclose(slow_root, per_step, abs_tol=2e-5)
assert math.isclose(kept[-1], per_step**steps, rel_tol=0.02)
assert kept_as_the_posts_have_it < 1e-8 < 0.1 < kept[-1] < 0.2 < 0.8 < kept_without_momentum

# claim: decay-may-exceed-one
large_decay = 5.0
for m in (0.0, momentum):
    left = kept_of_start(steps, learning_rate=learning_rate, momentum=m, decay=large_decay)
    assert abs(left[-1]) < 1e-9


# %% net
width, slope, seed = 200, 1.5, 1


def make_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(1, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 1),
    )


def weight_matrices(net):
    return [layer.weight for layer in net if isinstance(layer, nn.Linear)]


num_weight_layers = len(weight_matrices(make_net(seed)))
num_parameters = sum(p.numel() for p in make_net(seed).parameters())
print(f"{num_weight_layers} weight matrices, {num_parameters:,} parameters")

# %% train
every = 200
grid = torch.linspace(-1, 1, 161).unsqueeze(1)


def train(net, points, *, decay):
    optimizer = torch.optim.SGD(
        net.parameters(),
        lr=learning_rate,
        momentum=momentum,
        weight_decay=decay,
    )
    history = []
    # One pass more than there are steps: the last one only looks.
    for step in range(steps + 1):
        loss = mse_loss(net(points.x), points.y)
        optimizer.zero_grad()
        loss.backward()
        if step % every == 0:
            history.append(
                {
                    "step": step,
                    "loss": loss.item(),
                    "weights": [w.detach().clone() for w in weight_matrices(net)],
                    "gradients": [w.grad.clone() for w in weight_matrices(net)],
                    "curve": net(grid).detach(),
                }
            )
        if step < steps:
            optimizer.step()
    return history


# %% two_nets
train_points, test_points = noisy_line(num_points, slope=slope, seed=seed)
initial = make_net(seed)
plain, decayed = copy.deepcopy(initial), copy.deepcopy(initial)
plain_history = train(plain, train_points, decay=0.0)
decayed_history = train(decayed, train_points, decay=decay)


@torch.no_grad()
def error(net, x, y):
    return (net(x) - y).square().mean((-2, -1))


def bends(curve):
    # How much the slope of the curve changes, summed along the grid:
    # 0 for a straight line.
    slopes = curve.diff(dim=-2) / (grid[1] - grid[0])
    return slopes.diff(dim=-2).abs().sum((-2, -1))


def scores(net):
    return {
        "training points": error(net, train_points.x, train_points.y).item(),
        "test points": error(net, test_points.x, test_points.y).item(),
        "true line": error(net, grid, slope * grid).item(),
        "bends": bends(net(grid)).item(),
    }


plain_scores, decayed_scores = scores(plain), scores(decayed)
print("                  no decay  weight decay")
for name in plain_scores:
    print(f"{name:15s} {plain_scores[name]:10.5f} {decayed_scores[name]:13.5f}")


# %% fit
def draw_points(ax, size):
    ax.plot(grid, slope * grid, color="black", linewidth=1, linestyle=":", label="true line")
    ax.plot(train_points.x, train_points.y, "o", color="black", markersize=size, label="training points")
    ax.plot(
        test_points.x,
        test_points.y,
        "s",
        color="black",
        markerfacecolor="none",
        markersize=size,
        label="test points",
    )


fig, ax = plt.subplots(figsize=(5.6, 4.0))
draw_points(ax, size=5)
ax.plot(grid, plain_history[-1]["curve"], color="C0", label="no weight decay")
ax.plot(grid, decayed_history[-1]["curve"], color="C1", linewidth=2.6, label="weight decay")
ax.set_xlabel("$x$")
ax.set_ylabel("$y$")
ax.legend(loc="upper left")

# %% curves
fig, axes = plt.subplots(4, 3, figsize=(5.6, 6.0), sharex=True, sharey=True)
for ax, plain_then, decayed_then in zip(axes.flat, plain_history, decayed_history, strict=False):
    draw_points(ax, size=2.5)
    ax.plot(grid, plain_then["curve"], color="C0", linewidth=1.4, label="no weight decay")
    ax.plot(grid, decayed_then["curve"], color="C1", linewidth=2, label="weight decay")
    ax.set_title(f"step {plain_then['step']}", fontsize=10)
axes.flat[-1].axis("off")
axes.flat[-1].legend(*ax.get_legend_handles_labels(), loc="center")

# %% check_fit
plain_penalty, decayed_penalty = (
    decay / 2 * sum(p.detach().square().sum().item() for p in net.parameters()) for net in (plain, decayed)
)
plain_train, decayed_train = (found["training points"] for found in (plain_scores, decayed_scores))
plain_objective, decayed_objective = plain_train + plain_penalty, decayed_train + decayed_penalty

# claim: same-start
assert torch.equal(plain_history[0]["curve"], decayed_history[0]["curve"])
assert plain_history[0]["loss"] == decayed_history[0]["loss"]

# claim: interpolates-without-decay
assert plain_train < 1e-3 < 0.01 < decayed_train

# claim: better-and-smoother-on-this-seed
assert decayed_scores["test points"] < 0.85 * plain_scores["test points"]
assert decayed_scores["true line"] < 0.85 * plain_scores["true line"]
assert decayed_scores["bends"] < 0.5 * plain_scores["bends"]

# claim: printed-loss-lacks-the-penalty
assert math.isclose(decayed_history[-1]["loss"], decayed_train, rel_tol=1e-3)
assert decayed_penalty > decayed_train

# claim: objective-falls-though-loss-rises
assert decayed_train > plain_train
assert decayed_objective < 0.5 * plain_objective

# %% norms
start = plain_history[0]["weights"]


def norms(tensors):
    return [(w.norm() / w0.norm()).item() for w, w0 in zip(tensors, start, strict=True)]


def moves(weights):
    return norms([w - w0 for w, w0 in zip(weights, start, strict=True)])


plain_ratios = [norms(then["weights"]) for then in plain_history]
decayed_ratios = [norms(then["weights"]) for then in decayed_history]
plain_moves = moves(plain_history[-1]["weights"])
decayed_moves = moves(decayed_history[-1]["weights"])

print("       norm / norm at the start  distance moved / norm at the start")
print("layer  no decay    weight decay  no decay              weight decay")
for layer in range(num_weight_layers):
    norm, decayed_norm = plain_ratios[-1][layer], decayed_ratios[-1][layer]
    move, decayed_move = plain_moves[layer], decayed_moves[layer]
    print(f"{layer + 1:5d} {norm:9.3f} {decayed_norm:15.3f} {move:9.3f} {decayed_move:21.3f}")

# How much of the initial weights is left in the last ones: w = left * w0 + a rest at right angles to w0.
pairs = list(zip(decayed_history[-1]["weights"], start, strict=True))
left_of_start = [((w * w0).sum() / w0.square().sum()).item() for w, w0 in pairs]
print("left of the start, with weight decay:", *(f"{left:.3f}" for left in left_of_start))

# %% norm_curves
recorded = [then["step"] for then in plain_history]
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.6), sharey=True)
for ax, ratios, title in zip(axes, (plain_ratios, decayed_ratios), ("no weight decay", "weight decay"), strict=True):
    for layer, (color, marker) in enumerate(zip(("C0", "C1", "C2", "C3"), "os^D", strict=True)):
        ax.plot(
            recorded,
            [then[layer] for then in ratios],
            color=color,
            marker=marker,
            markersize=4,
            label=f"layer {layer + 1}",
        )
    ax.set_title(title)
    ax.set_xlabel("step")
    ax.set_yscale("log")
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 4], ["0.1", "0.2", "0.5", "1", "2", "4"])
    ax.minorticks_off()
axes[1].plot(recorded, kept[::every], color="black", linestyle=":", label="untouched weight")
axes[0].set_ylabel("norm / norm at the start")
fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=3)


# %% weights
def draw_ridges(axes, rows_of, spans, legend_of):
    for layer, (ax, span) in enumerate(zip(axes.flat, spans, strict=True)):
        ridgeline(ax, rows_of(decayed_history, layer), span=span, color="C1", label="weight decay", filled=True)
        ridgeline(ax, rows_of(plain_history, layer), span=span, color="C0", label="no weight decay")
        ax.set_title(f"layer {layer + 1}")
        ax.set_yticks([0, -5, -10], ["0", "1000", "2000"])
        ax.grid(axis="y", visible=False)
    for ax in axes[:, 0]:
        ax.set_ylabel("step")
    for ax in axes[1]:
        ax.set_xlabel(legend_of)
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)


fig, axes = plt.subplots(2, 2, figsize=(5.6, 6.6), sharey=True)
draw_ridges(
    axes,
    lambda history, layer: [then["weights"][layer] for then in history],
    spans=[(-1.4, 1.4), (-0.1, 0.1), (-0.1, 0.1), (-0.3, 0.3)],
    legend_of="weight",
)


# %% gradients
def exponents(gradient):
    # Units that are off for all ten points leave exact zeros, which have no
    # logarithm.
    return gradient[gradient != 0].abs().log10()


fig, axes = plt.subplots(2, 2, figsize=(5.6, 6.6), sharey=True)
draw_ridges(
    axes,
    lambda history, layer: [exponents(then["gradients"][layer]) for then in history],
    spans=[(-8, 0)] * 4,
    legend_of="size of the gradient",
)
for ax in axes.flat:
    ax.set_xticks([-8, -6, -4, -2, 0], ["$10^{-8}$", "$10^{-6}$", "$10^{-4}$", "$10^{-2}$", "$1$"])

# %% check_layers
plain_gradients, decayed_gradients = (
    [g.norm().item() for g in history[-1]["gradients"]] for history in (plain_history, decayed_history)
)
gradient_ratio = min(d / p for p, d in zip(plain_gradients, decayed_gradients, strict=True))
# Where training comes to rest, the gradient is -decay * weight.
balance_angles, balance_sizes = [], []
for w, g in zip(decayed_history[-1]["weights"], decayed_history[-1]["gradients"], strict=True):
    balance_angles.append(torch.cosine_similarity(g.flatten(), -decay * w.flatten(), dim=0).item())
    balance_sizes.append((g.norm() / (decay * w.norm())).item())

# claim: first-three-layers-shrink
assert all(ratio < 0.4 for ratio in decayed_ratios[-1][:3])

# claim: output-layer-grows
assert plain_ratios[-1][3] > 1.5
assert decayed_ratios[-1][3] > 1.5

# claim: shrinking-is-mostly-fading-of-the-start
assert all(abs(left - kept[-1]) < 0.1 for left in left_of_start[:3])
assert all(abs(left - kept[-1]) < 0.04 for left in left_of_start[1:3])

# claim: histograms-stand-still-though-weights-move
assert all(abs(ratio - 1) < 0.05 for ratio in plain_ratios[-1][:3])
assert plain_moves[0] < 0.08
assert all(0.1 < move < 0.3 for move in plain_moves[1:3])
assert plain_moves[3] > 1

# claim: gradients-die-without-decay
assert gradient_ratio > 10

# claim: output-layer-is-in-balance
assert balance_angles[-1] > 0.9
assert 0.8 < balance_sizes[-1] < 1.4
assert max(balance_angles[:3]) < 0.8

# %% seeds
seeds = range(1, 11)
num_seeds = len(seeds)
points = [noisy_line(num_points, slope=slope, seed=seed) for seed in seeds]
all_x = torch.stack([train.x for train, _ in points])  # (seeds, 10, 1)
all_y = torch.stack([train.y for train, _ in points])
all_test = torch.stack([test.y for _, test in points])
all_grid = grid.expand(num_seeds, -1, -1)


def train_all(*, decay=0.0, scale=1.0, fade_start=False):
    nets = StackedMLP([make_net(seed) for seed in seeds])
    with torch.no_grad():
        for w in nets.parameters():
            w *= scale
    start = [w.detach().clone() for w in nets.parameters()]
    # fused: the same formula in one pass over the memory.
    optimizer = torch.optim.SGD(
        nets.parameters(),
        lr=learning_rate,
        momentum=momentum,
        weight_decay=decay,
        fused=True,
    )
    for step in range(steps):
        loss = (nets(all_x) - all_y).square().mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if fade_start:
            with torch.no_grad():
                for w, w0 in zip(nets.parameters(), start, strict=True):
                    w += (kept[step + 1] - kept[step]) * w0
    return nets


ways = {
    "no weight decay": train_all(),
    "weight decay": train_all(decay=decay),
    "small start": train_all(scale=kept[-1]),
    "fading start": train_all(fade_start=True),
}


# %% scores
def least_squares(x):
    slopes = (all_x * all_y).mean(1, keepdim=True) / all_x.square().mean(1, keepdim=True)
    return all_y.mean(1, keepdim=True) + slopes * x


solvers = {**ways, "least-squares line": least_squares}
on_train = {name: error(way, all_x, all_y) for name, way in solvers.items()}
on_test = {name: error(way, all_x, all_test) for name, way in solvers.items()}
on_line = {name: error(way, all_grid, slope * all_grid) for name, way in solvers.items()}


def wins(errors, name, against="no weight decay"):
    return int((errors[name] < errors[against]).sum())


print("                    training  test           true line")
print("                        mean    mean   wins    mean   wins")
for name in solvers:
    training, test, line = (e[name].mean() for e in (on_train, on_test, on_line))
    of_test, of_line = (f"{wins(e, name)}/{num_seeds}" for e in (on_test, on_line))
    print(f"{name:18s} {training:9.5f} {test:7.4f} {of_test:>6s} {line:7.4f} {of_line:>6s}")

# %% all_seeds
others = [name for name in solvers if name != "no weight decay"]
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.6), sharey=True)
for ax, errors, title in zip(axes, (on_test, on_line), ("test points", "true line"), strict=True):
    ax.axvline(1, color="black", linewidth=1)
    for row, (name, color) in enumerate(zip(others, ("C1", "C2", "C3", "C4"), strict=True)):
        ratio = errors[name] / errors["no weight decay"]
        ax.plot(ratio, [row] * num_seeds, "o", color=color, alpha=0.6, markersize=6)
        ax.plot(ratio.median(), row, "|", color="black", markersize=18, markeredgewidth=2)
    ax.set_title(title)
    ax.set_xlim(0, 1.3)
    ax.set_xlabel("error / error without decay")
axes[0].set_yticks(range(len(others)), others)
axes[0].set_ylim(len(others) - 0.5, -0.5)

# %% check_seeds
all_bends = {name: bends(way(all_grid).detach()) for name, way in ways.items()}
test_wins, line_wins = wins(on_test, "weight decay"), wins(on_line, "weight decay")
smoother_wins = wins(all_bends, "weight decay")
small_wins, fading_wins = wins(on_line, "small start"), wins(on_line, "fading start")
over_small_wins = wins(on_line, "weight decay", against="small start")
mean_line = {name: errors.mean().item() for name, errors in on_line.items()}
gain = mean_line["no weight decay"] - mean_line["weight decay"]
fading_share = (mean_line["no weight decay"] - mean_line["fading start"]) / gain
median_test_ratio = (on_test["weight decay"] / on_test["no weight decay"]).median().item()
median_line_ratio = (on_line["weight decay"] / on_line["no weight decay"]).median().item()
out_ratio = ways["weight decay"].weights[3].norm(dim=(1, 2)) / torch.stack(
    [weight_matrices(make_net(seed))[3].detach().norm() for seed in seeds]
)
output_layer_wins = int((out_ratio > 1).sum())

# claim: stacked-equals-single
for name, alone in (("no weight decay", plain), ("weight decay", decayed)):
    beside = ways[name](all_grid)[seeds.index(seed)]
    assert torch.allclose(beside, alone(grid), atol=0.05)

# claim: decay-wins-on-test
assert test_wins >= 9

# claim: decay-wins-on-the-true-line
assert line_wins >= 9

# claim: decay-is-smoother
assert smoother_wins >= 9

# claim: output-layer-grows-on-every-seed
assert output_layer_wins == num_seeds

# claim: small-start-is-no-substitute
assert small_wins <= 8
assert over_small_wins >= 7

# claim: fading-start-explains-a-part
assert fading_wins >= 9
assert 0.05 < fading_share < 0.6

# claim: straight-line-is-better-still
assert mean_line["least-squares line"] < mean_line["weight decay"]
assert wins(on_line, "least-squares line", against="weight decay") >= 7

# %% biases
bias = nn.Parameter(torch.ones(3))
weight = nn.Parameter(torch.ones(3))
bias.grad, weight.grad = torch.zeros(3), torch.zeros(3)
torch.optim.SGD([weight, bias], lr=learning_rate, weight_decay=decay).step()
print("one group: ", weight.data, bias.data)

groups = [
    {"params": [weight], "weight_decay": decay},
    {"params": [bias], "weight_decay": 0.0},
]
torch.optim.SGD(groups, lr=learning_rate).step()
print("two groups:", weight.data, bias.data)

# %% check_biases
# claim: biases-are-decayed-too
assert torch.allclose(bias, torch.full((3,), 1 - learning_rate * decay))

# claim: groups-spare-biases
assert torch.allclose(weight, torch.full((3,), (1 - learning_rate * decay) ** 2), rtol=1e-7)
assert not torch.equal(weight, bias)

# %% check_posts
# claim: four-weight-layers
assert num_weight_layers == 4

# claim: posts-nets-start-apart
torch.manual_seed(1)
first_built, second_built = nn.Linear(1, width), nn.Linear(1, width)
assert not torch.equal(first_built.weight, second_built.weight)

# claim: same-grid-for-training-and-test
assert torch.equal(train_points.x, test_points.x)

# claim: posts-record-late
posts_records = [epoch for epoch in range(steps) if (epoch + 1) % every == 0]
first_record = posts_records[0]
kept_at_first_record = kept[every]
assert first_record == every - 1
assert kept_at_first_record < 0.9

# claim: decay-counts-steps
num_epochs = 50
counted = nn.Parameter(torch.ones(1, dtype=torch.float64))
counted.grad = torch.zeros_like(counted)
optimizer = torch.optim.SGD([counted], lr=learning_rate, weight_decay=decay)
for _ in range(num_epochs):
    for _ in train_points.x.split(5):
        optimizer.step()
assert math.isclose(counted.item(), (1 - learning_rate * decay) ** (2 * num_epochs), rel_tol=1e-9)

# claim: old-step-wrote-into-the-gradient
old, new = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
old.grad, new.grad = torch.full((3,), 0.5), torch.full((3,), 0.5)
d_p = old.grad.data
d_p.add_(old.data, alpha=decay)
old.data.add_(d_p, alpha=-learning_rate)
torch.optim.SGD([new], lr=learning_rate, weight_decay=decay).step()
assert torch.equal(old, new)
assert torch.equal(new.grad, torch.full((3,), 0.5))
assert torch.allclose(old.grad, torch.full((3,), 0.5 + decay))

# claim: old-call-is-deprecated
torch.set_warn_always(True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.ones(2).add_(decay, torch.ones(2))
torch.set_warn_always(False)
assert any("deprecated" in str(warning.message) for warning in caught)

# claim: penalty-and-decay-part-with-adam
l2, decoupled = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
l2.grad, decoupled.grad = torch.full((1,), 0.5), torch.full((1,), 0.5)
torch.optim.Adam([l2], lr=learning_rate, weight_decay=decay).step()
torch.optim.AdamW([decoupled], lr=learning_rate, weight_decay=decay).step()
assert not torch.allclose(l2, decoupled, rtol=1e-6)

# %% solution_half_life
half_without = math.log(2) / (learning_rate * decay)
half_with = half_without * (1 - momentum)

simulated = kept_of_start(8000, **{**settings, "momentum": 0.0})
steps_without = sum(w > 0.5 for w in simulated)
steps_with = sum(w > 0.5 for w in kept)
print(f"no momentum   formula {half_without:6.0f}  counted {steps_without}")
print(f"momentum {momentum}  formula {half_with:6.0f}  counted {steps_with}")

# %% solution_schedule
scheduled = nn.Parameter(torch.ones(1, dtype=torch.float64))
scheduled.grad = torch.zeros_like(scheduled)
optimizer = torch.optim.SGD(
    [scheduled],
    lr=learning_rate,
    momentum=momentum,
    weight_decay=decay,
)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
for _ in range(steps):
    optimizer.step()
    schedule.step()
kept_scheduled = scheduled.item()
print(f"constant rate  {kept[-1]:.3f}")
print(f"cosine to zero {kept_scheduled:.3f}")
print(f"square root of the first {math.sqrt(kept[-1]):.3f}")

# %% solution_values
decays = [0.001, 0.01, 0.03, 0.1, 0.3]
nets = StackedMLP([initial] * len(decays))
x = train_points.x.expand(len(decays), -1, -1)
y = train_points.y.expand(len(decays), -1, -1)
penalty_weights = torch.tensor(decays) / 2
optimizer = torch.optim.SGD(nets.parameters(), lr=learning_rate, momentum=momentum)
for _ in range(steps):
    squares = sum(w.square().sum((1, 2)) for w in nets.parameters())  # (nets,)
    losses = (nets(x) - y).square().mean((1, 2)) + penalty_weights * squares
    optimizer.zero_grad()
    losses.sum().backward()
    optimizer.step()

value_curves = nets(grid.expand(len(decays), -1, -1)).detach()
value_train = error(nets, x, y).tolist()
value_line = (value_curves - slope * grid).square().mean((1, 2)).tolist()
value_bends = bends(value_curves).tolist()
value_span = (value_curves.amax((1, 2)) - value_curves.amin((1, 2))).tolist()
columns = zip(decays, value_train, value_line, value_bends, value_span, strict=True)
print("decay   training   true line   bends   top - bottom")
for row in columns:
    print("{:5.3f} {:10.5f} {:11.4f} {:7.2f} {:14.3f}".format(*row))

# %% solution_pull
pulled = StackedMLP([make_net(seed) for seed in seeds])
start = [w.detach().clone() for w in pulled.parameters()]
optimizer = torch.optim.SGD(pulled.parameters(), lr=learning_rate, momentum=momentum, fused=True)
for _ in range(steps):
    loss = (pulled(all_x) - all_y).square().mean((1, 2)).sum()
    optimizer.zero_grad()
    loss.backward()
    for w, w0 in zip(pulled.parameters(), start, strict=True):
        w.grad += decay * (w.detach() - w0)
    optimizer.step()

on_line["pull to the start"] = error(pulled, all_grid, slope * all_grid)
pull_wins = wins(on_line, "pull to the start")
mean_line["pull to the start"] = on_line["pull to the start"].mean().item()
pull_share = (mean_line["no weight decay"] - mean_line["pull to the start"]) / gain
print(f"wins {pull_wins}/{num_seeds}")
print(f"share of the gain {pull_share:.2f}, fading start {fading_share:.2f}")

# %% check_solutions
# claim: half-life
assert abs(steps_without - half_without) < 2
assert abs(steps_with - half_with) < 0.03 * half_with

# claim: schedule-halves-the-exponent
assert math.isclose(kept_scheduled, math.sqrt(kept[-1]), rel_tol=0.03)

# claim: penalty-in-the-loss-is-the-same
assert torch.allclose(value_curves[decays.index(decay)], decayed(grid), atol=0.05)

# claim: more-decay-more-training-error
assert value_train == sorted(value_train)

# claim: best-decay-lies-between
assert 0 < value_line.index(min(value_line)) < len(decays) - 1

# claim: too-much-decay-flattens
assert value_span[-1] < 0.1 * value_span[0]

# claim: pull-explains-a-part-too
assert pull_wins >= 8
assert 0.05 < pull_share < 0.8

# claim: the-parts-need-each-other
assert pull_share + fading_share < 1
