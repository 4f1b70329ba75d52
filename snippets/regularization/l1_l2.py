# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% threshold
import copy
import functools
import inspect
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from reglab.data import banknotes, images, standardize
from reglab.penalties import l1_penalty, l2_penalty
from reglab.proximal import ProximalSGD, soft_threshold
from reglab.stacked import StackedMLP

strength = 1.0
a = torch.linspace(-3, 3, 121)  # where the loss alone would put the weight
with_l1 = a.sign() * (a.abs() - strength).clamp(min=0)
with_l2 = a / (1 + strength)

fig, ax = plt.subplots(figsize=(5.6, 3.8))
ax.plot(a, a, color="black", linestyle=":", label="no penalty")
ax.plot(
    a,
    with_l2,
    color="C1",
    linestyle="--",
    label="L2: shrinks in proportion",
)
ax.plot(
    a,
    with_l1,
    color="C0",
    linewidth=2.6,
    label="L1: subtracts, and stops at zero",
)
ax.set_xlabel("best weight without penalty, $a$")
ax.set_ylabel("best weight with penalty")
ax.legend()

# %% check_threshold
# Every candidate on a fine grid, with no formula in sight.
candidates = torch.linspace(-4, 4, 8001, dtype=torch.float64)
places = torch.linspace(-3, 3, 61, dtype=torch.float64)
distance = (candidates - places.unsqueeze(1)).square() / 2  # (places, candidates)


def minimizers(penalty):
    return candidates[(distance + strength * penalty).argmin(1)]


by_l1 = minimizers(candidates.abs())
by_l2 = minimizers(candidates.square() / 2)
subtracted = places.sign() * (places.abs() - strength).clamp(min=0)
inside = places.abs() < strength

# claim: l1-subtracts-and-l2-multiplies
assert torch.allclose(by_l1, subtracted, atol=1e-3)
assert torch.allclose(by_l2, places / (1 + strength), atol=1e-3)

# claim: only-l1-reaches-zero
assert (by_l1[inside].abs() < 1e-9).all()
assert (by_l2[inside & (places.abs() > 0.05)].abs() > 0.01).all()
assert (with_l1[a.abs() < strength - 1e-6] == 0).all()
assert (with_l2[a.abs() > 1e-6] != 0).all()

# %% geometry
curvature = torch.tensor([[1.0, 0.55], [0.55, 1.6]])
lowest = torch.tensor([1.8, 0.3])  # of the loss alone
pull = 1.0


def minimize_with_l1(curvature, lowest, pull, steps=400):
    # A step down the loss, then the soft threshold; the step is 1 over the
    # largest curvature.
    step = 1 / torch.linalg.matrix_norm(curvature, ord=2)
    w = torch.zeros_like(lowest)
    for _ in range(steps):
        w = w - step * curvature @ (w - lowest)
        w = soft_threshold(w, step.item() * pull)
    return w


def minimize_with_l2(curvature, lowest, pull):
    steeper = curvature + pull * torch.eye(2)
    return torch.linalg.solve(steeper, curvature @ lowest)


touching = {
    "L1": minimize_with_l1(curvature, lowest, pull),
    "L2": minimize_with_l2(curvature, lowest, pull),
}
for name, w in touching.items():
    print(f"with {name}: {w[0]:.3f}, {w[1]:.3f}")

# %% draw_geometry
angles = torch.linspace(0, 2 * math.pi, 181)
circle = torch.stack([angles.cos(), angles.sin()])
values, vectors = torch.linalg.eigh(curvature)
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.2), sharex=True, sharey=True)
for ax, (name, w) in zip(axes, touching.items(), strict=True):
    size = w.abs().sum() if name == "L1" else w.norm()
    ball = circle / (circle.abs().sum(0) if name == "L1" else 1) * size
    ax.fill(*ball, facecolor="C1", alpha=0.25, edgecolor="none")
    ax.plot(*ball, color="C1")
    loss_here = (w - lowest) @ curvature @ (w - lowest)
    for share in (0.15, 0.5, 1.0, 1.7):
        level = vectors @ ((share * loss_here / values).sqrt().unsqueeze(1) * circle)
        ax.plot(*(level + lowest.unsqueeze(1)), color="C0", linewidth=2.2 if share == 1 else 1)
    ax.plot(*w, "o", color="black")
    ax.plot(*lowest, "x", color="black")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set_title(f"{name} ball")
    ax.set_xlim(-1.3, 2.9)
    ax.set_ylim(-1.3, 1.9)
    ax.set_aspect("equal")
    ax.set_xlabel("$w_1$")
axes[0].set_ylabel("$w_2$")

# %% check_geometry
# claim: l1-touches-at-a-corner-here
assert touching["L1"][1] == 0
assert touching["L1"][0] > 0.1
assert (touching["L2"].abs() > 0.01).all()

# Random bowls: their lowest point lies anywhere within a square, their axes
# point anywhere, the curvatures differ by up to ten times.
num_bowls = 2000
torch.manual_seed(0)
turns = torch.linalg.qr(torch.randn(num_bowls, 2, 2)).Q
bowls = turns @ torch.diag_embed(10 ** torch.rand(num_bowls, 2)) @ turns.mT
bottoms = 6 * torch.rand(num_bowls, 2, 1) - 3
strengths = bowls.diagonal(dim1=-2, dim2=-1).mean(1).view(-1, 1, 1)
step_sizes = 1 / torch.linalg.eigvalsh(bowls)[:, -1].view(-1, 1, 1)
w = torch.zeros(num_bowls, 2, 1)
for _ in range(500):
    v = w - step_sizes * bowls @ (w - bottoms)
    w = v - v.clamp(-step_sizes * strengths, step_sizes * strengths)
with_zero = ((w == 0).sum((1, 2)) > 0).float().mean().item()
both_zero = ((w == 0).sum((1, 2)) == 2).float().mean().item()
by_ridge = torch.linalg.solve(bowls + strengths * torch.eye(2), bowls @ bottoms)

# claim: corners-are-common-and-circles-have-none
assert with_zero > 0.4
assert both_zero < with_zero
assert (by_ridge != 0).all()


# %% scratch
def own_l1_penalty(weights):
    return sum(w.abs().sum() for w in weights)


def own_l2_penalty(weights):
    return sum(w.square().sum() for w in weights) / 2


def own_soft_threshold(w, threshold):
    # Off goes w itself where it is small, and the threshold elsewhere.
    return w - w.clamp(-threshold, threshold)


w = torch.tensor([1.5, -0.25, 0.0, -2.0], requires_grad=True)
own_l1_penalty([w]).backward()
print("weights              ", w.tolist())
print("gradient of L1       ", w.grad.tolist())
w.grad = None
own_l2_penalty([w]).backward()
print("gradient of L2       ", w.grad.tolist())
print("soft threshold of 0.5", own_soft_threshold(w.detach(), 0.5).tolist())

# %% check_scratch
torch.manual_seed(0)
weights = [nn.Parameter(torch.randn(shape).double()) for shape in ((3, 4), (5,), (2, 3, 2, 2))]
flat = torch.cat([w.flatten() for w in weights]).detach()

# claim: scratch-equals-torch
for penalty in (own_l1_penalty, l1_penalty):
    assert torch.isclose(penalty(weights), torch.linalg.vector_norm(flat, ord=1))
for penalty in (own_l2_penalty, l2_penalty):
    assert torch.isclose(penalty(weights), torch.linalg.vector_norm(flat, ord=2) ** 2 / 2)
for threshold in (0.1, 0.7, 3.0):
    for function in (own_soft_threshold, soft_threshold):
        assert torch.allclose(function(flat, threshold), F.softshrink(flat, threshold))

# claim: gradients-are-sign-and-weight
for penalty, expected in ((own_l1_penalty, torch.sign), (own_l2_penalty, torch.clone)):
    for w, gradient in zip(weights, torch.autograd.grad(penalty(weights), weights), strict=True):
        assert torch.allclose(gradient, expected(w.detach()))
zero = torch.zeros(1, requires_grad=True)
own_l1_penalty([zero]).backward()
assert zero.grad.item() == 0

# claim: penalties-are-priors
scale, spread = 0.4, 1.7
laplace = -torch.distributions.Laplace(0.0, scale).log_prob(flat).sum()
normal = -torch.distributions.Normal(0.0, spread).log_prob(flat).sum()
apart = flat.numel() * math.log(2 * scale), flat.numel() * math.log(spread * math.sqrt(2 * math.pi))
assert torch.isclose(laplace, own_l1_penalty([flat]) / scale + apart[0])
assert torch.isclose(normal, own_l2_penalty([flat]) / spread**2 + apart[1])

# %% with_torch
torch.manual_seed(0)
x, y = torch.randn(50, 3), torch.randn(50, 1)
start = nn.Linear(3, 1)


def after_20_steps(optimizer_of, extra_of):
    net = copy.deepcopy(start)
    optimizer = optimizer_of(net)
    for _ in range(20):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean() + extra_of(net)
        loss.backward()
        optimizer.step()
    return net.weight.detach()


def sgd(net, decay=0.0):
    # Two groups, so that the bias goes free.
    groups = [
        {"params": [net.weight], "weight_decay": decay},
        {"params": [net.bias]},
    ]
    return torch.optim.SGD(groups, lr=0.1)


l2_in_loss = after_20_steps(sgd, lambda net: 0.3 * l2_penalty([net.weight]))
l2_in_optimizer = after_20_steps(
    lambda net: sgd(net, decay=0.3),
    lambda net: 0,
)
l1_in_loss = after_20_steps(sgd, lambda net: 0.3 * l1_penalty([net.weight]))
l1_proximal = after_20_steps(
    lambda net: ProximalSGD(
        [{"params": [net.weight], "l1": 0.3}, {"params": [net.bias]}],
        lr=0.1,
    ),
    lambda net: 0,
)
print("L2 in the loss     ", [f"{v:7.4f}" for v in l2_in_loss[0]])
print("weight_decay       ", [f"{v:7.4f}" for v in l2_in_optimizer[0]])
print("L1 in the loss     ", [f"{v:7.4f}" for v in l1_in_loss[0]])
print("L1, proximal steps ", [f"{v:7.4f}" for v in l1_proximal[0]])

# %% check_with_torch
# claim: l2-penalty-is-weight-decay-in-sgd
assert torch.allclose(l2_in_loss, l2_in_optimizer, atol=1e-6)

# claim: torch-has-no-l1-option
for name in torch.optim.__all__:
    optimizer_class = getattr(torch.optim, name)
    if isinstance(optimizer_class, type):
        assert not any("l1" in parameter for parameter in inspect.signature(optimizer_class).parameters)

# claim: small-example-has-exact-zeros
assert (l1_in_loss != 0).all()
assert (l1_proximal == 0).any()

# %% data
num_samples, num_features, noise_sd = 60, 100, 1.0
signal_norm, num_seeds = 5.0, 20


def make_problem(num_relevant, seed):
    # The targets depend on `num_relevant` of the features; the true weights
    # have the same length whatever their number.
    generator = torch.Generator().manual_seed(1000 * num_relevant + seed)
    truth = torch.zeros(num_features)
    order = torch.randperm(num_features, generator=generator)
    relevant = order[:num_relevant]
    truth[relevant] = torch.randn(num_relevant, generator=generator)
    truth *= signal_norm / truth.norm()
    sets = []
    for _ in ("training", "validation"):
        x = torch.randn(num_samples, num_features, generator=generator)
        noise = noise_sd * torch.randn(num_samples, generator=generator)
        sets += [x, x @ truth + noise]
    return *sets, truth


# %% ista
def lasso(x, y, strengths, steps=800):
    # Minimizes |y - xw|² / (2n) + strength |w|, for many problems and many
    # strengths at once: x is (problems, n, features), y (problems, n), and
    # strengths (problems, 1, strengths).
    n = x.shape[1]
    gram, correlation = x.mT @ x / n, x.mT @ y.unsqueeze(2) / n
    step = 1 / torch.linalg.eigvalsh(gram)[:, -1].view(-1, 1, 1)
    w = torch.zeros(*correlation.shape[:2], strengths.shape[2])
    for _ in range(steps):
        v = w - step * (gram @ w - correlation)  # down the loss
        w = v - v.clamp(-step * strengths, step * strengths)  # threshold
    return w


def ridge(x, y, strengths):
    # Minimizes |y - xw|² / (2n) + strength/2 |w|². One decomposition serves
    # every strength.
    n = x.shape[1]
    values, vectors = torch.linalg.eigh(x.mT @ x / n)
    correlation = x.mT @ y.unsqueeze(2) / n
    divisors = values.unsqueeze(2) + strengths
    return vectors @ (vectors.mT @ correlation / divisors)


# %% path
num_relevant_shown = 5
problem = make_problem(num_relevant_shown, seed=0)
x, y, x_val, y_val, truth = (part.unsqueeze(0) for part in problem)
largest = (x.mT @ y.unsqueeze(2) / num_samples).abs().amax(1, keepdim=True)
path_strengths = largest * torch.logspace(0, -2.5, 60)
# Both paths are (features, strengths).
lasso_path = lasso(x, y, path_strengths, steps=3000)[0]
ridge_strengths = torch.logspace(2, -2.5, 60)
ridge_path = ridge(x, y, ridge_strengths)[0]
num_kept = (lasso_path != 0).sum(0)
print("strength / largest  weights that are not zero")
for index in (0, 1, 12, 24, 36, 48, 59):
    share = (path_strengths / largest)[0, 0, index]
    print(f"{share:18.4f} {num_kept[index]:26d}")

# %% draw_path
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.4), sharey=True)
is_relevant = truth[0] != 0
panels = (("lasso (L1)", path_strengths[0, 0], lasso_path), ("ridge (L2)", ridge_strengths, ridge_path))
for ax, (title, strengths_axis, path) in zip(axes, panels, strict=True):
    # Of the irrelevant features every third, to keep the picture light.
    for feature in torch.nonzero(~is_relevant).flatten()[::3].tolist():
        ax.plot(strengths_axis[::2], path[feature, ::2], color="black", linewidth=0.5, alpha=0.6)
    for feature in torch.nonzero(is_relevant).flatten().tolist():
        ax.plot(strengths_axis, path[feature], color="C0", linewidth=2)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_title(title)
    ax.set_xlabel("strength $\\lambda$")
axes[0].set_ylabel("weight")
axes[0].plot([], [], color="C0", linewidth=2, label="relevant features")
axes[0].plot([], [], color="black", linewidth=0.8, label="the others")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_path
# claim: path-begins-at-zero
assert num_kept[0] == 0
assert num_kept[1] > 0
beyond = lasso(x, y, 1.5 * largest)
assert (beyond == 0).all()

# claim: first-in-are-relevant
order = lasso_path.ne(0).float().argmax(1).where(lasso_path.ne(0).any(1), torch.tensor(99))
first_in = order.sort(stable=True).indices[:3]
assert is_relevant[first_in].all()

# claim: ridge-path-has-no-zeros
assert (ridge_path != 0).all()

# claim: ista-reaches-the-minimum
x64, y64 = x.double(), y.double()
middle = 0.1 * largest.double()
w = torch.zeros(1, num_features, 1).double()
step = 1 / torch.linalg.eigvalsh(x64.mT @ x64 / num_samples)[:, -1].view(-1, 1, 1)
for _ in range(20_000):
    w = soft_threshold(w - step * x64.mT @ (x64 @ w - y64.unsqueeze(2)) / num_samples, (step * middle).item())
slopes = x64.mT @ (y64.unsqueeze(2) - x64 @ w) / num_samples
kept = w != 0
assert torch.allclose(slopes[kept], middle.item() * w[kept].sign())
assert (slopes[~kept].abs() < middle.item()).all()
assert torch.allclose(lasso(x, y, 0.1 * largest, steps=3000).double(), w, atol=1e-3)

# %% compare
relevant_counts = (2, 5, 10, 20, 50, 100)
problems = []
for count in relevant_counts:
    problems += [make_problem(count, seed) for seed in range(num_seeds)]
parts = zip(*problems, strict=True)
xs, ys, xs_val, ys_val, truths = (torch.stack(part) for part in parts)
most = (xs.mT @ ys.unsqueeze(2) / num_samples).abs().amax(1, keepdim=True)
all_lasso = lasso(xs, ys, most * torch.logspace(0, -2.5, 24))
all_ridge = ridge(xs, ys, torch.logspace(1.5, -2.5, 24))


def choose(all_w):
    # The strength with the lowest error on the validation set.
    errors = (xs_val @ all_w - ys_val.unsqueeze(2)).square().mean(1)
    return all_w[torch.arange(len(all_w)), :, errors.argmin(1)]


def by_count(values):
    return values.view(len(relevant_counts), num_seeds)


chosen = {"lasso": choose(all_lasso), "ridge": choose(all_ridge)}
# The features are independent with variance 1: this is the expected squared
# error on new data, noise included.
errors = {}
for name, w in chosen.items():
    errors[name] = noise_sd**2 + by_count((w - truths).square().sum(1))
lasso_wins = (errors["lasso"] < errors["ridge"]).sum(1).tolist()
is_kept = chosen["lasso"] != 0
kept_counts = by_count(is_kept.sum(1)).float().mean(1).tolist()
hits = by_count((is_kept & (truths != 0)).sum(1)).float().mean(1).tolist()
print("          expected error               kept by   of them")
print("relevant  lasso    ridge  lasso wins   the lasso  relevant")
mean_lasso, mean_ridge = (errors[name].mean(1) for name in ("lasso", "ridge"))
for i, count in enumerate(relevant_counts):
    print(f"{count:8d} {mean_lasso[i]:6.2f} {mean_ridge[i]:8.2f}", end="")
    print(f" {lasso_wins[i]:5d} of {num_seeds}", end="")
    print(f" {kept_counts[i]:11.1f} {hits[i]:9.1f}")

# %% draw_compare
fig, ax = plt.subplots(figsize=(5.6, 3.4))
ratios = errors["lasso"] / errors["ridge"]  # (counts, seeds)
for i in range(len(relevant_counts)):
    sideways = i + torch.linspace(-0.2, 0.2, num_seeds)
    ax.plot(sideways, ratios[i], "o", color="C0", markersize=3.5)
    ax.plot([i - 0.3, i + 0.3], [ratios[i].median()] * 2, color="black")
ax.axhline(1, color="black", linestyle=":")
ax.set_yscale("log")
ax.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
ax.minorticks_off()
ax.set_xticks(range(len(relevant_counts)), [str(count) for count in relevant_counts])
ax.set_xlabel("relevant features, of 100")
ax.set_ylabel("error of lasso / error of ridge")

# %% check_compare
# claim: lasso-wins-when-few-features-matter
for i, count in enumerate(relevant_counts):
    if count <= 20:
        assert lasso_wins[i] == num_seeds
        assert ratios[i].median() < 0.5

# claim: ridge-wins-when-all-matter
assert lasso_wins[-1] <= 6
assert ratios[-1].median() > 1.05

# claim: lasso-keeps-more-than-it-should
assert kept_counts[1] > 2 * relevant_counts[1]
assert hits[1] > 0.8 * relevant_counts[1]

# claim: ridge-sets-nothing-to-zero
assert (chosen["ridge"] != 0).all()

# %% zigzag
few = slice(num_seeds, 2 * num_seeds)  # problems with five relevant features
gram = xs[few].mT @ xs[few] / num_samples
correlation = xs[few].mT @ ys[few].unsqueeze(2) / num_samples
full_rate = 1 / torch.linalg.eigvalsh(gram)[:, -1].view(-1, 1, 1)
pull = 0.1 * most[few]
walk_steps = 3000


def descend(proximal, rate):
    w = torch.zeros_like(correlation)
    history = []
    for _ in range(walk_steps):
        gradient = gram @ w - correlation
        if proximal:
            w = w - rate * gradient
            w = w - w.clamp(-rate * pull, rate * pull)
        else:
            w = w - rate * (gradient + pull * w.sign())
        history.append(w)
    return torch.stack(history)[..., 0]  # (steps, problems, features)


walks = {
    "subgradient": descend(False, full_rate),
    "subgradient, 1/10 of the rate": descend(False, full_rate / 10),
    "proximal": descend(True, full_rate),
}
last = {how: walk[-1] for how, walk in walks.items()}


def objective(w):
    residual = (xs[few] @ w.unsqueeze(2))[..., 0] - ys[few]
    return residual.square().mean(1) / 2 + pull[:, 0, 0] * w.abs().sum(1)


lowest_objective = objective(last["proximal"])
excess = {}
for how, w in last.items():
    excess[how] = (objective(w) / lowest_objective - 1).mean().item()
is_zero = last["proximal"] == 0
zero_share = is_zero.float().mean().item()
print(f"after {walk_steps} steps               zeros  above the minimum by")
for how, w in last.items():
    print(f"{how:30s} {(w == 0).float().mean():5.1%} {excess[how]:20.1%}")

# %% draw_zigzag
# A weight of the first problem that ends at zero, and went far before.
wanders = walks["proximal"][:40, 0].abs().amax(0) * is_zero[0]
feature = wanders.argmax().item()
shown_steps = 90
fig, ax = plt.subplots(figsize=(5.6, 3.0))
step_axis = list(range(1, shown_steps + 1))
for how, color, width in (("subgradient", "C1", 1.2), ("proximal", "C0", 2.4)):
    ax.plot(step_axis, walks[how][:shown_steps, 0, feature], color=color, linewidth=width, label=how)
ax.set_xlabel("step")
ax.set_ylabel("one weight")
ax.legend()

# %% check_zigzag
# claim: subgradient-steps-give-no-zeros
assert (last["subgradient"] != 0).all()
assert (last["subgradient, 1/10 of the rate"] != 0).all()
assert zero_share > 0.5

# claim: subgradient-hovers-at-the-size-of-a-step
hover = [last[how][is_zero].abs().mean() for how in list(walks)[:2]]
reach = (full_rate * pull)[..., 0].expand_as(is_zero)[is_zero]
assert (last["subgradient"][is_zero].abs() <= 2 * reach).float().mean() > 0.9
assert 5 < hover[0] / hover[1] < 20
crosses = walks["subgradient"][-50:].sign().diff(dim=0).ne(0).any(0)
assert crosses[is_zero].float().mean() > 0.9

# claim: subgradient-stays-above-the-minimum
assert (objective(last["subgradient"]) > 1.05 * lowest_objective).all()
assert excess["subgradient, 1/10 of the rate"] < 0.3 * excess["subgradient"]


# %% cnn
class CNN(nn.Module):
    def __init__(self, in_channels, side):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, kernel_size=5)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=5)
        last_side = ((side - 4) // 2 - 4) // 2  # 5 where side is 32, 4 where it is 28
        self.fc1 = nn.Linear(32 * last_side**2, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)  # (batch, features); fc1 refuses a wrong side
        x = F.relu(self.fc2(F.relu(self.fc1(x))))
        return self.fc3(x)


def split(net):
    # Convolutions and linear layers: their weights have two axes or more.
    weights = [p for p in net.parameters() if p.ndim > 1]
    return weights, [p for p in net.parameters() if p.ndim == 1]


# %% at_the_start
posts_strength = 0.001
cnn_seeds = 10
notes = banknotes(32, seed=0)  # colour pictures of 32×32 pixels
notes_x = standardize(notes.images, train=notes.images)
at_start = []
for seed in range(cnn_seeds):
    torch.manual_seed(seed)
    net = CNN(in_channels=3, side=32)
    with torch.no_grad():
        data_loss = F.cross_entropy(net(notes_x), notes.labels)
        penalty = posts_strength * l1_penalty(net.parameters())
    at_start.append((data_loss.item(), penalty.item()))
start_losses, start_penalties = zip(*at_start, strict=True)
num_parameters = sum(p.numel() for p in net.parameters())
print(f"{num_parameters:,} parameters, {cnn_seeds} seeds")
print(f"data loss from {min(start_losses):.2f} to {max(start_losses):.2f}")
low, high = min(start_penalties), max(start_penalties)
print(f"penalty   from {low:.2f} to {high:.2f}")

# %% check_start
# claim: penalty-exceeds-the-loss-at-the-start
assert all(penalty > 1.05 * loss for loss, penalty in at_start)

# claim: the-net-takes-colour-pictures-of-32
assert net(notes_x).shape == (64, 10)
with torch.no_grad():
    for wrong in (torch.randn(8, 1, 28, 28), torch.randn(8, 3, 28, 28), torch.randn(8, 1, 32, 32)):
        try:
            net(wrong)
            raised = False
        except RuntimeError:
            raised = True
        assert raised

# claim: penalty-is-a-sum
twice = nn.Linear(100, 200), nn.Linear(100, 100)
sizes = [l1_penalty([layer.weight]).item() for layer in twice]
assert 1.8 < sizes[0] / sizes[1] < 2.2

# %% train
num_train, num_test = 600, 500
batch_size, cnn_steps, first_rate = 20, 320, 0.2


@functools.cache
def load(seed):
    train, test = images(num_train=num_train, num_test=num_test, seed=seed)
    x = standardize(train.images, train=train.images)
    x_test = standardize(test.images, train=train.images)
    return x, train.labels, x_test, test.labels, train.source


def train_cnn(seed, strength, proximal):
    x, labels, *_ = load(seed)
    torch.manual_seed(seed)  # the same initial weights for every strength
    net = CNN(in_channels=1, side=28).to(memory_format=torch.channels_last)
    weights, biases = split(net)
    groups = [
        {"params": weights, "l1": strength if proximal else 0.0},
        {"params": biases},  # no penalty
    ]
    optimizer = ProximalSGD(groups, lr=first_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: 1 - step / cnn_steps,
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(cnn_steps):
        index = torch.randint(num_train, (batch_size,), generator=generator)
        loss = F.cross_entropy(net(x[index]), labels[index])
        if strength and not proximal:
            loss = loss + strength * l1_penalty(weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


# %% train_all
settings = {
    "no penalty": (0.0, False),
    "0.001, in the loss": (posts_strength, False),
    "0.001, proximal": (posts_strength, True),
    "0.01, in the loss": (10 * posts_strength, False),
}


@torch.no_grad()
def measure(net, seed):
    *_, x_test, labels, source = load(seed)
    logits, (weights, _) = net(x_test), split(net)
    every_weight = torch.cat([w.flatten() for w in weights])
    return {
        "accuracy": (logits.argmax(1) == labels).float().mean().item(),
        "test loss": F.cross_entropy(logits, labels).item(),
        "zeros": [(w == 0).float().mean().item() for w in weights],
        "all zeros": (every_weight == 0).float().mean().item(),
        "sum": l1_penalty(weights).item(),
        "source": source,
    }


nets, found = {}, {}
for name, how in settings.items():
    nets[name] = [train_cnn(seed, *how) for seed in range(cnn_seeds)]
    found[name] = [measure(net, seed) for seed, net in enumerate(nets[name])]
data_source = found["no penalty"][0]["source"]


def mean_of(name, what):
    return sum(result[what] for result in found[name]) / cnn_seeds


print(f"{data_source}, means over {cnn_seeds} seeds")
print("                    accuracy  test loss  sum |w|  exact zeros")
mean_accuracies = [mean_of(name, "accuracy") for name in settings]
mean_losses = [mean_of(name, "test loss") for name in settings]
mean_sums = [mean_of(name, "sum") for name in settings]
mean_zeros = [mean_of(name, "all zeros") for name in settings]
for i, name in enumerate(settings):
    print(f"{name:18s} {mean_accuracies[i]:9.1%} {mean_losses[i]:10.3f}", end="")
    print(f" {mean_sums[i]:8.1f} {mean_zeros[i]:12.1%}")

# %% draw_cnn
layer_names = ["conv1", "conv2", "fc1", "fc2", "fc3"]
fig, axes = plt.subplots(2, 1, figsize=(5.6, 5.0))
for seed in range(cnn_seeds):
    sideways = 0.3 * (seed / (cnn_seeds - 1) - 0.5)
    rows = [row + sideways for row in range(len(settings))]
    accuracies = [found[name][seed]["accuracy"] for name in settings]
    axes[0].plot(accuracies, rows, "o", color="C0", markersize=4)
    places = [layer + sideways for layer in range(5)]
    axes[1].plot(places, found["0.001, proximal"][seed]["zeros"], "o", color="C0", markersize=4)
    axes[1].plot(places, found["0.001, in the loss"][seed]["zeros"], "x", color="C1", markersize=4)
axes[0].set_yticks(range(len(settings)), list(settings))
axes[0].invert_yaxis()
axes[0].set_xlabel("test accuracy")
axes[1].plot([], [], "o", color="C0", label="0.001, proximal")
axes[1].plot([], [], "x", color="C1", label="0.001, in the loss")
axes[1].set_xticks(range(5), layer_names)
axes[1].set_ylabel("share of exact zeros")
axes[1].legend()


# %% check_cnn
def each(name, what):
    return torch.tensor([result[what] for result in found[name]])


zeros = each("0.001, proximal", "zeros")  # (seeds, layers)
layer_zeros = zeros.mean(0)

# claim: proximal-has-zeros-and-the-loss-has-none
assert (each("0.001, proximal", "all zeros") > 0.2).all()
assert (each("0.001, in the loss", "all zeros") < 1e-4).all()
assert (each("no penalty", "all zeros") < 1e-4).all()

# claim: same-accuracy-either-way
either = each("0.001, proximal", "accuracy") - each("0.001, in the loss", "accuracy")
assert either.abs().mean() < 0.05
assert abs(either.mean()) < 0.02
sums = each("0.001, proximal", "sum") / each("0.001, in the loss", "sum")
assert ((sums > 0.8) & (sums < 1.25)).all()

# claim: wide-layer-has-most-zeros
assert (zeros.argmax(1) == layer_names.index("fc1")).all()
assert (zeros.argmin(1) == layer_names.index("conv1")).all()

# claim: posts-strength-costs-accuracy
cost = each("no penalty", "accuracy") - each("0.001, in the loss", "accuracy")
cost_wins = (cost > 0).sum().item()
cost_points = 100 * cost.mean().item()
assert 0 < cost_points < 10
assert cost_wins >= 6
shrunk_to = (each("0.001, in the loss", "sum") / each("no penalty", "sum")).mean().item()
assert shrunk_to < 0.35

# claim: ten-times-that-kills-the-net
assert (each("0.01, in the loss", "accuracy") <= 0.12).all()
assert (each("0.01, in the loss", "sum") < 0.01 * each("no penalty", "sum")).all()
assert (each("0.01, in the loss", "test loss") - math.log(10)).abs().max() < 0.02

# claim: zero-weights-are-a-trap
with torch.no_grad():
    dead = CNN(in_channels=1, side=28)
    for p in dead.parameters():
        p.zero_()
x, labels, *_ = load(0)
F.cross_entropy(dead(x[:100]), labels[:100]).backward()
assert all((w.grad == 0).all() for w in split(dead)[0])

# %% net_path
net_strengths = (0.0, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
mlp_steps, mlp_rate = 400, 0.1
sets = [load(seed)[:4] for seed in range(cnn_seeds)]
parts = (torch.stack(part) for part in zip(*sets, strict=True))
pictures, classes, test_pictures, test_classes = parts
pictures = pictures.flatten(2)  # (seeds, samples, 784)
test_pictures = test_pictures.flatten(2)


def make_mlp(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


def for_all(tensor):
    # Seeds, repeated for every strength.
    return tensor.repeat(len(net_strengths), *[1] * (tensor.ndim - 1))


mlps = StackedMLP([make_mlp(k) for _ in net_strengths for k in range(cnn_seeds)])
pulls = torch.tensor(net_strengths).repeat_interleave(cnn_seeds)
pulls = pulls.view(-1, 1, 1)  # one for each net
generator = torch.Generator().manual_seed(0)
for step in range(mlp_steps):
    rate = mlp_rate * (1 - step / mlp_steps)
    index = torch.randint(num_train, (batch_size,), generator=generator)
    logits = mlps(for_all(pictures[:, index]))
    loss = F.cross_entropy(
        logits.flatten(0, 1),
        for_all(classes[:, index]).flatten(),
        reduction="sum",
    )
    mlps.zero_grad()
    (loss / batch_size).backward()
    with torch.no_grad():
        for p in mlps.parameters():
            p -= rate * p.grad
        for w in mlps.weights:
            w -= w.clamp(-rate * pulls, rate * pulls)

with torch.no_grad():
    logits, wanted = mlps(for_all(test_pictures)), for_all(test_classes)
    shape = len(net_strengths), cnn_seeds
    per_picture = F.cross_entropy(logits.mT, wanted, reduction="none")
    mlp_losses = per_picture.mean(1).view(shape)
    mlp_accuracies = (logits.argmax(2) == wanted).float().mean(1).view(shape)
    all_weights = torch.cat([w.flatten(1) for w in mlps.weights], dim=1)
    mlp_zeros = (all_weights == 0).float().mean(1).view(shape)
print("strength  exact zeros  test loss  accuracy  lower loss than without")
for i, strength in enumerate(net_strengths):
    wins = (mlp_losses[i] < mlp_losses[0]).sum().item()
    print(f"{strength:8g} {mlp_zeros[i].mean():12.1%}", end="")
    print(f" {mlp_losses[i].mean():10.3f} {mlp_accuracies[i].mean():9.1%}", end="")
    print(f" {wins:14d} of {cnn_seeds}")

# %% draw_net_path
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.2))
ticks = list(range(len(net_strengths)))
for ax, values, color, name in (
    (axes[0], mlp_zeros, "C0", "share of exact zeros"),
    (axes[1], mlp_losses, "C1", "test loss"),
):
    ax.plot(ticks, values.mean(1), color=color, marker="o")
    ax.fill_between(ticks, values.amin(1), values.amax(1), color=color, alpha=0.2)
    ax.set_title(name)
    ax.set_xticks(ticks, ["0", "0.0003", "0.001", "0.003", "0.01", "0.03"], rotation=45)
    ax.set_xlabel("strength $\\lambda$")

# %% check_net_path
# claim: zeros-grow-with-strength
assert (mlp_zeros.diff(dim=0) > 0).all()
assert (mlp_zeros[0] == 0).all()
assert (mlp_zeros[-1] > 0.7).all()

# claim: weak-changes-little-and-strong-hurts
relative = mlp_losses.mean(1) / mlp_losses[0].mean()
best = relative.argmin().item()
best_strength, best_saving = net_strengths[best], 1 - relative[best].item()
best_wins = (mlp_losses[best] < mlp_losses[0]).sum().item()
assert (relative[:3] - 1).abs().max() < 0.05
assert best_saving < 0.05
assert (mlp_losses[-2:] > mlp_losses[0]).all()

# claim: accuracy-of-weak-ones-hardly-notices
assert (mlp_accuracies[:3].mean(1) - mlp_accuracies[0].mean()).abs().max() < 0.02

# %% trap_accumulator
accumulator = torch.tensor(0)  # an integer
try:
    for p in net.parameters():
        accumulator += p.abs().sum()
except RuntimeError as error:
    print("fails:", error)

accumulator = torch.tensor(0.0)
for p in net.parameters():
    accumulator += p.abs().sum()
print(f"works: {accumulator.item():.1f}")

# %% trap_norm
torch.manual_seed(0)
W = torch.randn(3, 4)
norms = {
    "sum of absolute values": W.abs().sum(),
    "torch.linalg.vector_norm(W, ord=1)": torch.linalg.vector_norm(W, ord=1),
    "torch.linalg.norm(W, 1)": torch.linalg.norm(W, 1),
    "largest sum of a column": W.abs().sum(0).max(),
}
for name, value in norms.items():
    print(f"{name:34s} {value:7.4f}")

# %% trap_intercept
target_mean = 5.0


def fit_with_constant(solve, strengths, *, spare_constant):
    # Targets with a mean far from zero. Either x gets a constant as its last
    # feature, penalized like the others, or the means are subtracted first.
    x, y, x_val = xs[few], ys[few] + target_mean, xs_val[few]
    if spare_constant:
        x_mean, y_mean = x.mean(1, keepdim=True), y.mean(1, keepdim=True)
        w = solve(x - x_mean, y - y_mean, strengths)
        constant = y_mean.unsqueeze(2) - x_mean @ w
    else:
        ones = torch.ones(*x.shape[:2], 1)
        both = solve(torch.cat([x, ones], dim=2), y, strengths)
        w, constant = both[:, :-1], both[:, -1:]
    misses = x_val @ w + constant - ys_val[few].unsqueeze(2) - target_mean
    best = misses.square().mean(1).argmin(1)
    row = torch.arange(num_seeds)
    w, constant = w[row, :, best], constant[row, 0, best]
    error = (w - truths[few]).square().sum(1) + noise_sd**2
    return error + (constant - target_mean).square(), constant


grids = {
    "lasso": (lasso, most[few] * torch.logspace(0, -2.5, 24)),
    "ridge": (ridge, torch.logspace(1.5, -2.5, 24)),
}
constants = {}
print(f"means over {num_seeds} seeds; the true constant is {target_mean:g}")
for name, how in grids.items():
    for spare in (False, True):
        fit = fit_with_constant(*how, spare_constant=spare)
        constants[name, spare] = error, constant = fit
        what = "spared" if spare else "penalized"
        print(f"{name}, constant {what:9s}  {constant.mean():.2f}", end="")
        print(f"  expected error {error.mean():5.2f}")

# %% trap_print
for batch_size_then in (4, 64):
    num_batches = math.ceil(50_000 / batch_size_then)
    printed = sum(i % 2000 == 1999 for i in range(num_batches))
    print(f"batches of {batch_size_then:2d}: {num_batches} an epoch", end="")
    print(f", {printed} lines printed")

# %% trap_view
torch.manual_seed(0)
posts_net = CNN(in_channels=3, side=32)
features = torch.randn(25, 3, 28, 28)
for convolution in (posts_net.conv1, posts_net.conv2):
    features = F.max_pool2d(F.relu(convolution(features)), 2)
as_posted = features.view(-1, 32 * 5 * 5)
print("25 pictures of 28×28 give", tuple(features.shape))
print("view(-1, 32 * 5 * 5) gives", tuple(as_posted.shape))
print("flatten(1) gives", tuple(features.flatten(1).shape))

# %% check_traps
# claim: integer-accumulator-raises
try:
    torch.tensor(0).add_(torch.tensor(1.5))
    raised = False
except RuntimeError:
    raised = True
assert raised
assert torch.isclose(accumulator, l1_penalty(net.parameters()))

# claim: matrix-norm-is-another-norm
assert torch.isclose(torch.linalg.norm(W, 1), W.abs().sum(0).max())
assert torch.linalg.norm(W, 1) < 0.9 * W.abs().sum()
assert torch.isclose(torch.linalg.vector_norm(W, ord=1), W.abs().sum())

# claim: it-raises-on-a-convolution
try:
    torch.linalg.norm(net.conv1.weight, 1)
    raised = False
except RuntimeError:
    raised = True
assert raised
torch.linalg.vector_norm(net.conv1.weight, ord=1)

# claim: torch-norm-is-deprecated
assert "deprecated" in torch.norm.__doc__
assert torch.isclose(torch.norm(W, 1), W.abs().sum())

# claim: biases-are-among-the-parameters
biases = split(posts_net)[1]
assert len(biases) == 5
gradients = torch.autograd.grad(posts_strength * l1_penalty(posts_net.parameters()), biases)
assert all(torch.allclose(g, posts_strength * b.sign()) for g, b in zip(gradients, biases, strict=True))

# claim: penalized-constant-costs
mean_constants = {name: [constants[name, spare][1].mean().item() for spare in (False, True)] for name in grids}
mean_constant_errors = {name: [constants[name, spare][0].mean().item() for spare in (False, True)] for name in grids}
constant_wins = {name: (constants[name, True][0] < constants[name, False][0]).sum().item() for name in grids}
assert constant_wins["ridge"] >= 18
assert constant_wins["lasso"] >= 11
assert constants["ridge", False][1].mean() < 0.8 * target_mean
assert (constants["ridge", True][1].mean() - target_mean).abs() < 0.3
assert constants["lasso", False][1].mean() < constants["lasso", True][1].mean()

# claim: nothing-is-printed-unless-epochs-are-long
assert not any(i % 2000 == 1999 for i in range(math.ceil(50_000 / 64)))
assert sum(i % 2000 == 1999 for i in range(12_500)) == 6
dropped = 12_500 - 6 * 2000  # the batches after the last line
assert dropped == 500

# claim: printed-loss-contains-the-penalty
shares = [penalty / (penalty + loss) for loss, penalty in at_start]
assert min(shares) > 0.5

# claim: view-merges-pictures
assert features.shape == (25, 32, 4, 4)
assert as_posted.shape == (16, 800)
try:
    posts_net(torch.randn(25, 3, 28, 28))
    raised = False
except RuntimeError:
    raised = True
assert raised


# %% solution_twins
def make_twins(seed):
    # Two features that nearly agree, and a target that depends on what they
    # share; eight more that mean nothing.
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(num_samples, 1, generator=generator)
    x = torch.randn(num_samples, 10, generator=generator)
    x[:, :2] = shared + 0.2 * torch.randn(num_samples, 2, generator=generator)
    return x, 2 * shared[:, 0] + torch.randn(num_samples, generator=generator)


parts = zip(*map(make_twins, range(num_seeds)), strict=True)
twin_x, twin_y = (torch.stack(part) for part in parts)
slopes_at_zero = twin_x.mT @ twin_y.unsqueeze(2) / num_samples
top = slopes_at_zero.abs().amax(1, keepdim=True)
pairs = {
    "lasso": lasso(twin_x, twin_y, 0.3 * top, steps=3000)[:, :2, 0],
    "ridge": ridge(twin_x, twin_y, 0.3 * top)[:, :2, 0],
}
balance = {}
print("smaller weight of the two / larger one, median over seeds")
for name, pair in pairs.items():
    sizes = pair.abs()
    balance[name] = sizes.amin(1) / sizes.amax(1)
    alone = (sizes.amin(1) == 0).sum().item()
    print(f"{name}: {balance[name].median():.2f}", end="")
    print(f", one of them zero {alone} of {num_seeds} times")
alone = (balance["lasso"] == 0).sum().item()

# %% solution_refit
refitted = torch.zeros_like(all_lasso[few])
for problem in range(num_seeds):
    x, y = xs[few][problem], ys[few][problem]
    for column in range(refitted.shape[2]):
        kept = all_lasso[few][problem, :, column] != 0
        if 0 < kept.sum() < num_samples / 2:
            solution = torch.linalg.lstsq(x[:, kept], y).solution
            refitted[problem, kept, column] = solution
misses = xs_val[few] @ refitted - ys_val[few].unsqueeze(2)
best = misses.square().mean(1).argmin(1)
refit_w = refitted[torch.arange(num_seeds), :, best]
refit_errors = (refit_w - truths[few]).square().sum(1) + noise_sd**2
lasso_w, lasso_errors = chosen["lasso"][few], errors["lasso"][1]
large = truths[few].abs() > 1
lasso_size = (lasso_w[large] / truths[few][large]).mean().item()
refit_size = (refit_w[large] / truths[few][large]).mean().item()
refit_kept = (refit_w != 0).sum(1).float().mean().item()
refit_wins = (refit_errors < lasso_errors).sum().item()
print(f"large weights / truth: lasso {lasso_size:.2f}, refitted {refit_size:.2f}")
print(f"weights kept: lasso {kept_counts[1]:.1f}, refitted {refit_kept:.1f}")
print(f"error: lasso {lasso_errors.mean():.2f}", end="")
print(f", refitted {refit_errors.mean():.2f}, wins {refit_wins}")

# %% solution_momentum
momentum = 0.9
rate = 0.1 * full_rate
at_rest, velocity = torch.zeros_like(correlation), torch.zeros_like(correlation)
for _ in range(4000):
    velocity = momentum * velocity + gram @ at_rest - correlation
    at_rest = at_rest - rate * velocity
    at_rest = at_rest - at_rest.clamp(-rate * pull, rate * pull)
distances = {}
for name, share in (("λ", 1), ("(1 - μ) λ", 1 - momentum)):
    w = lasso(xs[few], ys[few], share * pull, steps=4000)
    distances[name] = (at_rest - w).abs().max().item()
    print(f"distance to the lasso of strength {name:9s} {distances[name]:.4f}")

# %% solution_prune
pruned = []
for seed, trained in enumerate(nets["0.001, in the loss"]):
    small_ones_gone = copy.deepcopy(trained)
    with torch.no_grad():
        for w in split(small_ones_gone)[0]:
            w[w.abs() < 1e-3] = 0
    pruned.append(measure(small_ones_gone, seed))
pruned_zeros = sum(result["all zeros"] for result in pruned) / cnn_seeds
changes = []
for before, after in zip(found["0.001, in the loss"], pruned, strict=True):
    changes.append(abs(after["accuracy"] - before["accuracy"]))
largest_change = 100 * max(changes)  # in points
print(f"exact zeros {pruned_zeros:.1%}", end="")
print(f", largest change of an accuracy {largest_change:.1f} points")

# %% check_solutions
# claim: lasso-prefers-one-twin
more_even = (balance["ridge"] > balance["lasso"]).sum().item()
assert more_even >= 18
assert balance["lasso"].median() < 0.5 < 0.8 < balance["ridge"].median()
assert alone >= 2
assert (pairs["ridge"] != 0).all()

# claim: refitting-undoes-the-shrinking
assert lasso_size < 0.95
assert abs(refit_size - 1) < 0.05
assert refit_kept < kept_counts[1]
assert refit_wins >= 13
assert refit_errors.mean() < lasso_errors.mean()

# claim: momentum-weakens-the-threshold
assert distances["(1 - μ) λ"] < 0.02
assert distances["λ"] > 0.2

# claim: small-weights-can-be-cut-off
assert pruned_zeros > mean_of("0.001, proximal", "all zeros")
assert largest_change < 3
