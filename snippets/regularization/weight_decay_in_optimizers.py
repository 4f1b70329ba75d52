# ---
# timeout: 400
# ---
# %% sgd
import math
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from reglab.data import garments, noisy_line
from reglab.decay_groups import decay_groups
from reglab.optimizers import sgdw_step
from reglab.stacked import StackedMLP


@torch.no_grad()
def sgd_step(w, g, state, *, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    d = g + weight_decay * w
    if momentum:
        # The first step fills the velocity without dampening.
        state["v"] = momentum * state["v"] + (1 - dampening) * d if "v" in state else d
        d = d + momentum * state["v"] if nesterov else state["v"]
    w -= lr * d


# %% adam
@torch.no_grad()
def adam_step(w, g, state, *, lr, penalty=0.0, decay=0.0, betas=(0.9, 0.999), eps=1e-8):
    w *= 1 - lr * decay  # decoupled: AdamW
    d = g + penalty * w  # an L2 penalty: Adam with weight_decay
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = betas[0] * state.get("m", 0.0) + (1 - betas[0]) * d
    v = state["v"] = betas[1] * state.get("v", 0.0) + (1 - betas[1]) * d**2
    m_hat = m / (1 - betas[0] ** t)
    v_hat = v / (1 - betas[1] ** t)
    w -= lr * m_hat / (v_hat.sqrt() + eps)


# %% check_steps
scratch_steps = 120


def small_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 1)).double()


line, _ = noisy_line(10, seed=0)
line_x, line_y = line.x.double(), line.y.double()


def distances(first, second, *, steps=scratch_steps, penalties=(0.0, 0.0)):
    # How far two ways of stepping are apart after each step, relative to the weights.
    nets = [small_net(0), small_net(0)]
    steppers = [first(list(nets[0].parameters())), second(list(nets[1].parameters()))]
    apart = []
    for _ in range(steps):
        for net, step, penalty in zip(nets, steppers, penalties, strict=True):
            net.zero_grad()
            loss = F.mse_loss(net(line_x), line_y)
            if penalty:
                loss = loss + penalty / 2 * sum(w.square().sum() for w in net.parameters())
            loss.backward()
            step()
        flat = [nn.utils.parameters_to_vector(net.parameters()).detach() for net in nets]
        apart.append(((flat[0] - flat[1]).norm() / flat[1].norm()).item())
    return apart


def ours(function, **options):
    def start(weights):
        states = [{} for _ in weights]
        return lambda: [function(w, w.grad, s, **options) for w, s in zip(weights, states, strict=True)]

    return start


def torchs(optimizer, **options):
    return lambda weights: optimizer(weights, **options).step


sgd_settings = [
    {"lr": 0.05},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9},
    {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True},
]
adam_settings = [
    {"lr": 0.01},
    {"lr": 0.01, "weight_decay": 0.1},
    {"lr": 0.01, "weight_decay": 0.3, "betas": (0.5, 0.9), "eps": 1e-3},
]

# claim: sgd-equals-torch
for settings in sgd_settings:
    assert max(distances(ours(sgd_step, **settings), torchs(torch.optim.SGD, **settings))) < 1e-12

# claim: adam-equals-torch
for settings in adam_settings:
    rest = {key: value for key, value in settings.items() if key != "weight_decay"}
    strength = settings.get("weight_decay", 0.0)
    for argument, optimizer in (("penalty", torch.optim.Adam), ("decay", torch.optim.AdamW)):
        scratch = ours(adam_step, **rest, **{argument: strength})
        assert max(distances(scratch, torchs(optimizer, **rest, weight_decay=strength))) < 1e-9

# claim: maximize-keeps-the-penalty
risen = nn.Parameter(torch.ones(1, dtype=torch.float64))
risen.grad = torch.zeros_like(risen)
torch.optim.SGD([risen], lr=0.1, weight_decay=0.5, maximize=True).step()
assert math.isclose(risen.item(), 1 - 0.1 * 0.5)

# claim: first-step-is-not-dampened
dampened = nn.Parameter(torch.zeros(1, dtype=torch.float64))
dampened.grad = torch.ones_like(dampened)
optimizer = torch.optim.SGD([dampened], lr=1.0, momentum=0.9, dampening=0.9)
optimizer.step()
assert dampened.item() == -1
optimizer.step()
assert math.isclose(dampened.item(), -2)  # velocity 0.9 · 1 + 0.1 · 1

# claim: nesterov-refuses-dampening
for options in ({"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}):
    try:
        torch.optim.SGD([dampened], lr=0.1, **options)
    except ValueError as error:
        assert "Nesterov" in str(error)
    else:
        raise AssertionError("accepted")

# claim: adam-has-the-switch
for strength in (0.01, 1.0):
    switched = torchs(torch.optim.Adam, lr=0.01, weight_decay=strength, decoupled_weight_decay=True)
    assert max(distances(switched, torchs(torch.optim.AdamW, lr=0.01, weight_decay=strength))) == 0
assert issubclass(torch.optim.AdamW, torch.optim.Adam)

# %% old_call
w = torch.tensor([1.0, 2.0])
d_p = torch.tensor([0.5, 0.5])
weight_decay = 0.1

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    # Otherwise torch gives this warning once a process, and is silent from then on.
    torch.set_warn_always(True)
    old_result = d_p.clone().add_(weight_decay, w)
    torch.set_warn_always(False)
print(str(caught[0].message).split(" (Triggered")[0])

new_result = d_p.clone().add_(w, alpha=weight_decay)
print("both give", old_result, new_result)

# %% data_attribute
w = torch.ones(3, requires_grad=True)
loss = w.square().sum()
w.data.mul_(10)
loss.backward()
data_gradient = w.grad.clone()
print("through .data:", data_gradient, "though 2 w was", torch.full((3,), 2.0))

w = torch.ones(3, requires_grad=True)
loss = w.square().sum()
with torch.no_grad():
    w.mul_(10)
try:
    loss.backward()
except RuntimeError as error:
    no_grad_error = str(error)
    print("in no_grad:   ", no_grad_error[:71], "…")

# %% check_old_step
# claim: old-call-warns-and-still-works
assert "deprecated" in str(caught[0].message)
assert "alpha" in str(caught[0].message)
assert torch.equal(old_result, new_result)

# claim: data-hides-changes-from-autograd
assert torch.equal(data_gradient, torch.full((3,), 20.0))
assert "modified by an inplace operation" in no_grad_error

# claim: step-leaves-the-gradient-alone
param = nn.Parameter(torch.ones(3))
param.grad = torch.full((3,), 0.5)
torch.optim.SGD([param], lr=0.1, momentum=0.9, weight_decay=0.1).step()
assert torch.equal(param.grad, torch.full((3,), 0.5))

# claim: closure-runs-with-gradients
param = nn.Parameter(torch.ones(3))
optimizer = torch.optim.SGD([param], lr=0.1)


def closure():
    optimizer.zero_grad()
    value = param.square().sum()
    value.backward()
    return value


with torch.no_grad():
    returned = optimizer.step(closure)
assert returned.requires_grad
assert torch.allclose(param, torch.full((3,), 0.8))

# %% parting
part_decay, part_lr, part_adam_lr, part_momentum = 0.1, 0.05, 0.01, 0.9
pairs = {
    "SGD": (
        torchs(torch.optim.SGD, lr=part_lr),
        torchs(torch.optim.SGD, lr=part_lr, weight_decay=part_decay),
        ours(sgdw_step, lr=part_lr, weight_decay=part_decay),
    ),
    "SGD with momentum": (
        torchs(torch.optim.SGD, lr=part_lr, momentum=part_momentum),
        torchs(torch.optim.SGD, lr=part_lr, momentum=part_momentum, weight_decay=part_decay),
        ours(sgdw_step, lr=part_lr, momentum=part_momentum, weight_decay=part_decay),
    ),
    "Adam": (
        torchs(torch.optim.Adam, lr=part_adam_lr),
        torchs(torch.optim.Adam, lr=part_adam_lr, weight_decay=part_decay),
        torchs(torch.optim.AdamW, lr=part_adam_lr, weight_decay=part_decay),
    ),
}
in_loss, parted = {}, {}
for name, (penalized, argument, decoupled) in pairs.items():
    in_loss[name] = distances(argument, penalized, penalties=(0.0, part_decay))
    parted[name] = distances(argument, decoupled)

print("largest relative distance to weight_decay, over", scratch_steps, "steps")
print("                     penalty in the loss   decoupled decay")
for name in pairs:
    print(f"{name:20s} {max(in_loss[name]):20.1e} {max(parted[name]):17.1e}")

# %% parted
fig, ax = plt.subplots()
for name, color, style in zip(pairs, ("C0", "C1", "C2"), ("-", "--", "-."), strict=True):
    # Exact zeros have no logarithm; rounding is about 1e-16.
    ax.plot(
        range(1, scratch_steps + 1), [max(d, 1e-17) for d in parted[name]], color=color, linestyle=style, label=name
    )
ax.set_yscale("log")
ax.set_ylim(1e-18, 10)
ax.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1], ["$10^{-16}$", "$10^{-12}$", "$10^{-8}$", "$10^{-4}$", "$1$"])
ax.minorticks_off()
ax.set_xlabel("step")
ax.set_ylabel("distance, penalty to decoupled")
ax.legend(loc="center right")

# %% check_parting
# claim: penalty-is-weight-decay-in-sgd-and-adam
assert all(max(apart) < 1e-9 for apart in in_loss.values())

# claim: decoupled-equals-sgd-without-momentum
assert max(parted["SGD"]) < 1e-12

# claim: decoupled-differs-with-momentum-and-adam
assert parted["SGD with momentum"][-1] > 0.01
assert parted["Adam"][-1] > 0.01

# %% shrinkage
shrink_lr, shrink_decay, shrink_steps = 1e-3, 0.1, 1000
num_scales, copies, num_seeds = 21, 100, 10
scales = torch.logspace(-4, 2, num_scales, dtype=torch.float64)


def left_after(**options):
    # Every weight starts at 1 and gets pure noise as its gradient: whatever shrinks it is weight decay.
    generator = torch.Generator().manual_seed(0)
    w, state = torch.ones(num_seeds, num_scales, copies, dtype=torch.float64), {}
    for _ in range(shrink_steps):
        noise = torch.randn(num_seeds, num_scales, copies, generator=generator)
        adam_step(w, scales[:, None] * noise, state, lr=shrink_lr, **options)
    return w.mean(2)  # (seeds, scales)


taken_penalty = 1 - left_after(penalty=shrink_decay)
taken_decay = 1 - left_after(decay=shrink_decay)
expected_decay = 1 - (1 - shrink_lr * shrink_decay) ** shrink_steps
for label, taken in (("Adam + L2", taken_penalty), ("AdamW", taken_decay)):
    means = taken.mean(0)
    print(f"{label:10s}", "  ".join(f"{scales[k]:7.0e}: {means[k]:6.1%}" for k in (0, 7, 10, 14, 20)))

# %% lead
# Without the noise's own luck: the numerator's mean is decay · w, and v averages scale² + (decay · w)².
mean_w, mean_v = torch.ones_like(scales), torch.zeros_like(scales)
for t in range(1, shrink_steps + 1):
    mean_v = 0.999 * mean_v + 0.001 * (scales**2 + (shrink_decay * mean_w) ** 2)
    mean_w = mean_w - shrink_lr * shrink_decay * mean_w / (mean_v / (1 - 0.999**t)).sqrt()
predicted = 1 - mean_w

fig, ax = plt.subplots(figsize=(5.6, 3.8))
for taken, color, marker, label in (
    (taken_penalty, "C0", "o", "Adam with L2 penalty"),
    (taken_decay, "C1", "s", "AdamW"),
):
    ax.fill_between(scales, taken.amin(0), taken.amax(0), color=color, alpha=0.25, linewidth=0)
    ax.plot(scales, taken.mean(0), marker, color=color, label=label)
ax.plot(scales, predicted, color="black", linestyle=":", label="theory, penalty")
ax.axhline(expected_decay, color="black", linestyle="--", linewidth=1, label="theory, AdamW")
ax.set_xscale("log")
ax.set_xlabel("size of the weight's gradients")
ax.set_ylabel("taken off the weight")
ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
ax.legend(loc="upper right")

# %% check_shrinkage
small_taken, large_taken = taken_penalty[:, 0].mean().item(), taken_penalty[:, -1].mean().item()
decay_taken = taken_decay.mean().item()

# claim: adamw-decays-all-alike
assert ((taken_decay - expected_decay).abs() < 0.03).all()

# claim: penalty-spares-large-gradients
assert (taken_penalty[:, scales < 0.01] > 0.6).all()
assert (taken_penalty[:, scales > 10].abs() < 0.03).all()

# claim: theory-fits
assert (taken_penalty.mean(0) - predicted).abs().max() < 0.1


# %% pictures
seeds = range(num_seeds)
train_sets = [garments(10, seed=seed) for seed in seeds]  # 100 pictures a seed
validation, test = garments(50, seed=100), garments(100, seed=101)
source = test.source


def pixels(pictures):
    half = F.avg_pool2d(pictures.images, 2).flatten(1)  # (pictures, 196)
    return (half - 0.3) / 0.35


train_x = torch.stack([pixels(pictures) for pictures in train_sets])  # (seeds, 100, 196)
train_y = torch.stack([pictures.labels for pictures in train_sets])
num_train, num_pixels = train_x.shape[1:]
hidden, num_classes = 32, len(test.classes)


def classifier(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(num_pixels, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


# %% race
race_lr, race_steps, race_batch = 2e-3, 400, 20


def race(*, decoupled, weight_decay):
    # Ten nets, one a seed, side by side.
    nets = StackedMLP([classifier(seed) for seed in seeds])
    optimizer = torch.optim.Adam(
        nets.parameters(), lr=race_lr, weight_decay=weight_decay, decoupled_weight_decay=decoupled, fused=True
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(race_steps):
        batch = torch.randint(num_train, (race_batch,), generator=generator)
        outputs = nets(train_x[:, batch])  # (seeds, batch, 10)
        loss = F.cross_entropy(outputs.flatten(0, 1), train_y[:, batch].flatten()) * num_seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = {}
    with torch.no_grad():
        for name, pictures in (("validation", validation), ("test", test)):
            outputs = nets(pixels(pictures).expand(num_seeds, -1, -1))  # (seeds, pictures, 10)
            labels = pictures.labels.expand(num_seeds, -1)
            scores[name] = F.cross_entropy(outputs.mT, labels, reduction="none").mean(1)
            scores[name + " accuracy"] = (outputs.argmax(2) == labels).float().mean(1)
    return scores


race_grid = [10 ** (k / 2) for k in range(-6, 2)]  # 0.001, 0.0032, …, 3.2
num_grid = len(race_grid)
methods = {"Adam with L2 penalty": False, "AdamW": True}
plain_scores = race(decoupled=False, weight_decay=0.0)
raced = {
    name: [race(decoupled=decoupled, weight_decay=strength) for strength in race_grid]
    for name, decoupled in methods.items()
}

# %% verdict
best = {
    name: min(range(len(race_grid)), key=lambda k: scores[k]["validation"].mean()) for name, scores in raced.items()
}
tuned = {name: raced[name][k] for name, k in best.items()}
tuned_decay = {name: race_grid[k] for name, k in best.items()}
print("                       best decay   test loss   accuracy")
for name, scores in {"no weight decay": plain_scores, **tuned}.items():
    chosen = f"{tuned_decay[name]:10.4f}" if name in tuned_decay else " " * 10
    print(f"{name:22s} {chosen} {scores['test'].mean():11.3f} {scores['test accuracy'].mean():10.1%}")

l2_scores, adamw_scores = tuned["Adam with L2 penalty"], tuned["AdamW"]
adamw_loss_wins = int((adamw_scores["test"] < l2_scores["test"]).sum())
adamw_accuracy_wins = int((adamw_scores["test accuracy"] > l2_scores["test accuracy"]).sum())
print(
    f"AdamW has the lower test loss in {adamw_loss_wins}, the higher accuracy in {adamw_accuracy_wins} of {num_seeds}"
)

# %% tuning
fig, axes = plt.subplots(2, 1, figsize=(5.6, 5.6), sharex=True)
for ax, measure, unit in zip(axes, ("test", "test accuracy"), ("test loss", "test accuracy"), strict=True):
    for (name, results), color, marker in zip(raced.items(), ("C0", "C1"), "os", strict=True):
        values = torch.stack([scores[measure] for scores in results])  # (grid, seeds)
        ax.fill_between(race_grid, values.amin(1), values.amax(1), color=color, alpha=0.2, linewidth=0)
        ax.plot(race_grid, values.mean(1), color=color, marker=marker, label=name)
    ax.axhline(plain_scores[measure].mean(), color="black", linestyle=":", label="no weight decay")
    ax.set_ylabel(unit)
    ax.set_xscale("log")
axes[1].set_xlabel("weight decay")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_race
adamw_margin = ((l2_scores["test"] - adamw_scores["test"]).mean() / plain_scores["test"].mean()).item()
decay_loss_wins = {name: int((scores["test"] < plain_scores["test"]).sum()) for name, scores in tuned.items()}
tuned_loss = {name: scores["test"].mean().item() for name, scores in tuned.items()}
tuned_accuracy = {name: scores["test accuracy"].mean().item() for name, scores in tuned.items()}
plain_loss, plain_accuracy = plain_scores["test"].mean().item(), plain_scores["test accuracy"].mean().item()
mixed_up = raced["Adam with L2 penalty"][best["AdamW"]]["test"].mean().item()

# claim: tuned-they-tie
assert abs(adamw_margin) < 0.03
assert 1 <= adamw_loss_wins <= 9
assert abs(tuned_accuracy["AdamW"] - tuned_accuracy["Adam with L2 penalty"]) < 0.02

# claim: best-values-lie-far-apart
assert tuned_decay["AdamW"] > 9 * tuned_decay["Adam with L2 penalty"]
assert all(0 < k < len(race_grid) - 1 for k in best.values())

# claim: decay-lowers-the-loss-not-the-errors
assert all(wins >= 8 for wins in decay_loss_wins.values())
assert all(abs(accuracy - plain_accuracy) < 0.02 for accuracy in tuned_accuracy.values())

# claim: a-value-does-not-carry-over
assert mixed_up > 1.3 * plain_loss


# %% coupling
def untouched(lr, *, weight_decay, steps=200):
    # What torch's AdamW leaves of a weight 1 whose gradient is 0.
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.step()
    return w.item()


paper_decay = 0.01
coupled = {lr: untouched(lr, weight_decay=1.0) for lr in (0.1, 0.01, 0.001)}
as_in_the_paper = {lr: untouched(lr, weight_decay=paper_decay / lr) for lr in coupled}
print("learning rate   weight_decay=1   weight_decay=0.01/lr")
for lr in coupled:
    print(f"{lr:13g} {coupled[lr]:16.4f} {as_in_the_paper[lr]:22.4f}")

# %% check_coupling
# claim: torch-multiplies-decay-by-the-rate
assert all(math.isclose(left, (1 - lr) ** 200, rel_tol=1e-9) for lr, left in coupled.items())
assert coupled[0.1] < 1e-8 < 0.8 < coupled[0.001]

# claim: dividing-by-the-rate-undoes-it
assert all(math.isclose(left, (1 - paper_decay) ** 200, rel_tol=1e-9) for left in as_in_the_paper.values())

# %% groups
net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.PReLU(), nn.Linear(3, 1))
decaying, spared = decay_groups(net, weight_decay=0.01)
name_of = {parameter: name for name, parameter in net.named_parameters()}
print("decay:", *(name_of[parameter] for parameter in decaying["params"]))
print("spare:", *(name_of[parameter] for parameter in spared["params"]))
optimizer = torch.optim.AdamW([decaying, spared], lr=1e-3)

# %% slopes
prelu_lr, prelu_decay, prelu_steps, prelu_every = 2e-3, 1.0, 600, 10


def prelu_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(num_pixels, hidden), nn.PReLU(), nn.Linear(hidden, num_classes))


def train_slopes(*, spare):
    template = prelu_net(0)
    # Ten nets, one a seed: every parameter gets a first dimension for them.
    weights, _ = stack_module_state([prelu_net(seed) for seed in seeds])
    slope = weights["1.weight"]
    others = [parameter for parameter in weights.values() if parameter is not slope]
    groups = [{"params": others}, {"params": [slope], "weight_decay": 0.0 if spare else prelu_decay}]
    optimizer = torch.optim.AdamW(groups, lr=prelu_lr, weight_decay=prelu_decay)
    forward = vmap(lambda own, x: functional_call(template, own, (x,)))
    generator = torch.Generator().manual_seed(0)
    slopes = []
    for step in range(prelu_steps + 1):
        if step % prelu_every == 0:
            slopes.append(slope.detach().flatten().clone())
        batch = torch.randint(num_train, (race_batch,), generator=generator)
        outputs = forward(weights, train_x[:, batch])
        loss = F.cross_entropy(outputs.flatten(0, 1), train_y[:, batch].flatten()) * num_seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.stack(slopes)  # (records, seeds)


slopes_all, slopes_spared = train_slopes(spare=False), train_slopes(spare=True)
slope_start = slopes_all[0, 0].item()
slope_all, slope_spared = slopes_all[-1].mean().item(), slopes_spared[-1].mean().item()
slope_wins = int((slopes_all[-1].abs() < slopes_spared[-1].abs()).sum())
print(f"slope at the start {slope_start}, after {prelu_steps} steps (mean over {num_seeds} seeds):")
print(f"everything decays {slope_all:.3f}, all but the slope {slope_spared:.3f}")

# %% slope_curves
fig, ax = plt.subplots()
prelu_at = range(0, prelu_steps + 1, prelu_every)
for slopes, color, style, label in (
    (slopes_all, "C0", "-", "everything decays"),
    (slopes_spared, "C1", "--", "all but the slope"),
):
    ax.fill_between(prelu_at, slopes.amin(1), slopes.amax(1), color=color, alpha=0.25, linewidth=0)
    ax.plot(prelu_at, slopes.mean(1), color=color, linestyle=style, label=label)
ax.axhline(slope_start, color="black", linestyle=":", linewidth=1, label="start")
ax.set_ylim(0, None)
ax.set_xlabel("step")
ax.set_ylabel("slope of PReLU")
ax.legend(loc="upper left")

# %% check_groups
# claim: groups-sort-by-module
assert [name_of[p] for p in decaying["params"]] == ["0.weight", "3.weight"]
assert [name_of[p] for p in spared["params"]] == ["0.bias", "1.weight", "1.bias", "2.weight", "3.bias"]
assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]

# claim: prelu-slope-decays
assert slope_wins == num_seeds
assert slope_all < slope_start < slope_spared

# %% invariance
bn_hidden, num_classes = 32, len(test.classes)


def bn_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(num_pixels, bn_hidden, bias=False),
        nn.BatchNorm1d(bn_hidden, track_running_stats=False),
        nn.ReLU(),
        nn.Linear(bn_hidden, 10),
    )


scaled_loss, scaled_gradient = {}, {}
for factor in (0.5, 1.0, 2.0, 10.0):
    net = bn_net(0).double()
    with torch.no_grad():
        net[0].weight *= factor
    loss = F.cross_entropy(net(train_x[0].double()), train_y[0])
    loss.backward()
    scaled_loss[factor] = loss.item()
    scaled_gradient[factor] = net[0].weight.grad.norm().item()
    print(
        f"weights times {factor:4g}: loss {scaled_loss[factor]:.5f}, norm of the gradient {scaled_gradient[factor]:.5f}"
    )

# %% effective
bn_lr, bn_decay, bn_steps, bn_every = 0.1, 0.01, 1200, 10


def train_norms(*, decay):
    template = bn_net(0)
    weights, _ = stack_module_state([bn_net(seed) for seed in seeds])
    rest = [w for name, w in weights.items() if name != "0.weight"]
    groups = [{"params": [weights["0.weight"]], "weight_decay": decay}, {"params": rest}]
    optimizer = torch.optim.SGD(groups, lr=bn_lr)
    forward = vmap(lambda own, x: functional_call(template, own, (x,)))
    generator = torch.Generator().manual_seed(0)
    squares = []
    for step in range(bn_steps + 1):
        if step % bn_every == 0:
            squares.append(weights["0.weight"].detach().square().sum((1, 2)))
        batch = torch.randint(num_train, (race_batch,), generator=generator)
        outputs = forward(weights, train_x[:, batch])
        loss = F.cross_entropy(outputs.flatten(0, 1), train_y[:, batch].flatten()) * num_seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.stack(squares)  # (records, seeds)


squares_plain, squares_decayed = train_norms(decay=0.0), train_norms(decay=bn_decay)
effective_plain, effective_decayed = bn_lr / squares_plain, bn_lr / squares_decayed
effective_start = effective_plain[0].mean().item()
effective_end = {"no decay": effective_plain[-1].mean().item(), "decay": effective_decayed[-1].mean().item()}
effective_wins = int((effective_decayed[-1] > effective_plain[-1]).sum())
print(f"effective learning rate at the start {effective_start:.4f}, after {bn_steps} steps:")
print(f"no decay {effective_end['no decay']:.4f}, decay {effective_end['decay']:.4f}")

# %% effective_rate
fig, ax = plt.subplots()
bn_at = range(0, bn_steps + 1, bn_every)
for values, color, style, label in (
    (effective_plain, "C0", "-", "no weight decay"),
    (effective_decayed, "C1", "--", "weight decay"),
):
    ax.fill_between(bn_at, values.amin(1), values.amax(1), color=color, alpha=0.25, linewidth=0)
    ax.plot(bn_at, values.mean(1), color=color, linestyle=style, label=label)
ax.set_ylim(0, None)
ax.set_xlabel("step")
ax.set_ylabel("effective learning rate")
ax.legend(loc="upper left")

# %% check_invariance
# claim: scaling-changes-no-output
assert all(math.isclose(loss, scaled_loss[1.0], rel_tol=1e-3) for loss in scaled_loss.values())

# claim: gradient-shrinks-as-weights-grow
assert all(math.isclose(g * factor, scaled_gradient[1.0], rel_tol=0.01) for factor, g in scaled_gradient.items())

# claim: rate-falls-without-decay
assert (squares_plain.diff(dim=0) > -1e-4 * squares_plain[:-1]).all()
assert (effective_plain[-1] < 0.8 * effective_plain[0]).all()

# claim: decay-keeps-the-rate-up
assert effective_wins == num_seeds
assert effective_end["decay"] > 1.5 * effective_end["no decay"]

# %% zero_or_none
for gradient in (torch.zeros(1), None):
    w = nn.Parameter(torch.ones(1))
    w.grad = gradient
    optimizer = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    for _ in range(10):
        optimizer.step()
    print(f"gradient {gradient}: {w.item():.4f}")
    none_left = w.item()

# %% twice
twice_decay = 0.1
twice = distances(
    torchs(torch.optim.SGD, lr=0.05, weight_decay=twice_decay),
    torchs(torch.optim.SGD, lr=0.05, weight_decay=2 * twice_decay),
    penalties=(twice_decay, 0.0),
)
once = distances(
    torchs(torch.optim.SGD, lr=0.05),
    torchs(torch.optim.SGD, lr=0.05, weight_decay=twice_decay),
    penalties=(twice_decay, 0.0),
)
print(f"penalty and argument against the argument at twice the value: {max(twice):.0e}")
print(f"penalty alone against the argument alone:                     {max(once):.0e}")

# %% check_traps
# claim: none-is-not-zero
assert none_left == 1
zeroed = nn.Parameter(torch.ones(1))
zeroed.grad = torch.zeros(1)
optimizer = torch.optim.AdamW([zeroed], lr=0.1, weight_decay=0.5)
for _ in range(10):
    optimizer.step()
assert math.isclose(zeroed.item(), 0.95**10, rel_tol=1e-5)

# claim: penalty-and-argument-add-up
assert max(twice) < 1e-9
assert max(once) < 1e-9

# claim: defaults-differ
adam_default = torch.optim.Adam([zeroed]).defaults["weight_decay"]
adamw_default = torch.optim.AdamW([zeroed]).defaults["weight_decay"]
assert adam_default == 0
assert adamw_default == 0.01

# claim: last-line-gets-the-velocity
plain, heavy = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
for parameter, m in ((plain, 0.0), (heavy, 0.9)):
    parameter.grad = torch.ones(1)
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=m)
    optimizer.step()
    optimizer.step()
assert math.isclose(plain.item(), 0.8, rel_tol=1e-6)
assert math.isclose(heavy.item(), 1 - 0.1 - 0.19, rel_tol=1e-6)

# claim: adamw-keeps-decay-out-of-its-moments
moments = {}
for optimizer_class in (torch.optim.Adam, torch.optim.AdamW):
    parameter = nn.Parameter(torch.ones(1))
    parameter.grad = torch.full((1,), 0.5)
    optimizer = optimizer_class([parameter], weight_decay=1.0)
    optimizer.step()
    moments[optimizer_class.__name__] = optimizer.state[parameter]["exp_avg"].item()
assert math.isclose(moments["AdamW"], 0.1 * 0.5, rel_tol=1e-5)
assert math.isclose(moments["Adam"], 0.1 * (0.5 + 1), rel_tol=1e-5)

# %% solution_sgdw
target = torchs(torch.optim.SGD, lr=0.01, momentum=part_momentum, weight_decay=0.01)
same_value = distances(target, ours(sgdw_step, lr=0.01, momentum=part_momentum, weight_decay=0.01))
ten_times = distances(target, ours(sgdw_step, lr=0.01, momentum=part_momentum, weight_decay=0.1))
print(f"distance after {scratch_steps} steps: same decay {same_value[-1]:.4f}, ten times the decay {ten_times[-1]:.4f}")

# %% solution_pythagoras
net = bn_net(3).double()
optimizer = torch.optim.SGD(net.parameters(), lr=bn_lr)
gaps, cosines = [], []
for _ in range(50):
    optimizer.zero_grad()
    F.cross_entropy(net(train_x[3].double()), train_y[3]).backward()
    w, g = net[0].weight.detach().clone(), net[0].weight.grad.clone()
    cosines.append(abs(F.cosine_similarity(w.flatten(), g.flatten(), dim=0).item()))
    optimizer.step()
    grown = net[0].weight.detach().square().sum() - w.square().sum()
    gaps.append(abs(grown / (bn_lr**2 * g.square().sum()) - 1).item())
print(f"largest |cosine| {max(cosines):.1e}, largest gap {max(gaps):.1e}")

# %% solution_schedule
schedule = [0.5 * (1 + math.cos(math.pi * t / 500)) for t in range(500)]
kept = {}
for base in (0.1, 0.01):
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    # weight_decay · lr = paper_decay · multiplier
    optimizer = torch.optim.AdamW([w], lr=base, weight_decay=paper_decay / base)
    cosine = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: schedule[min(t, 499)])
    for _ in range(500):
        optimizer.step()
        cosine.step()
    kept[base] = w.item()
in_paper = math.prod(1 - paper_decay * multiplier for multiplier in schedule)
print(f"torch {kept[0.1]:.6f} and {kept[0.01]:.6f}, the paper's formula {in_paper:.6f}")

# %% check_solutions
# claim: momentum-scales-decoupled-decay
assert ten_times[-1] < 0.5 * same_value[-1]
assert ten_times[-1] > 1e-6

# claim: gradient-is-perpendicular
assert max(cosines) < 1e-3
assert max(gaps) < 0.05

# claim: paper-form-from-torch
assert all(math.isclose(value, in_paper, rel_tol=1e-9) for value in kept.values())
