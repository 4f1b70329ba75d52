# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% stopping
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from reglab import label_smoothing, max_norm, mixup
from reglab.data import images, standardize
from reglab.early_stopping import EarlyStopping
from reglab.stacked import StackedMLP


def stop(validation_losses, patience):
    # The epoch whose weights are kept, and the one that training stops at.
    best_epoch = 0
    for epoch, loss in enumerate(validation_losses):
        if loss < validation_losses[best_epoch]:
            best_epoch = epoch
        if epoch - best_epoch >= patience:
            break
    return best_epoch, epoch


made_up = [3.0, 2.0, 1.5, 1.6, 1.55, 1.7, 1.4]
for patience in (2, 3, 4):
    best_epoch, last_epoch = stop(made_up, patience)
    print(f"patience {patience}: stops at {last_epoch}, keeps {best_epoch}")

# %% filters
h = torch.logspace(-3, 0, 61, dtype=torch.float64)  # curvatures
rate, steps_shown = 1.0, (10, 100)
by_stopping = {t: 1 - (1 - rate * h) ** t for t in steps_shown}
by_penalty = {t: h / (h + 1 / (rate * t)) for t in steps_shown}

# %% draw_filters
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for t, color in zip(steps_shown, ("C0", "C1"), strict=True):
    ax.plot(h, by_stopping[t], color=color, label=f"stopped after {t} steps")
    ax.plot(h, by_penalty[t], color=color, linestyle="--", label=f"L2 with $\\lambda = 1/{t}$")
ax.set_xscale("log")
ax.set_xlabel("curvature $h$")
ax.set_ylabel("share of the way to the minimum")
ax.legend()


# %% augmenting
def shift(pictures, most):
    # Every picture by random numbers of pixels down and right, the pixels at
    # the edge repeated. pictures is (n, 1, side, side).
    n, side = len(pictures), pictures.shape[-1]
    moves = torch.randint(-most, most + 1, (2, n, 1))
    rows, columns = (torch.arange(side) - moves).clamp(0, side - 1)
    which = torch.arange(n).view(-1, 1, 1)
    moved = pictures[which, :, rows.unsqueeze(2), columns.unsqueeze(1)]
    return moved.movedim(3, 1)  # the channel came last


# %% smoothing
def smooth(one_hot, smoothing):
    num_classes = one_hot.shape[-1]
    return (1 - smoothing) * one_hot + smoothing / num_classes


torch.manual_seed(0)
logits, labels = 3 * torch.randn(6, 10), torch.randint(10, (6,))
one_hot = F.one_hot(labels, 10).float()
ours = -(smooth(one_hot, 0.1) * logits.log_softmax(1)).sum(1).mean()
torchs = nn.CrossEntropyLoss(label_smoothing=0.1)(logits, labels)
print("targets of one sample", [f"{t:.2f}" for t in smooth(one_hot, 0.1)[0]])
print(f"loss: ours {ours:.6f}, torch's {torchs:.6f}")


# %% mixing
def mix(x, targets, alpha):
    share = torch.distributions.Beta(alpha, alpha).sample()
    other = torch.randperm(len(x))
    mixed_x = share * x + (1 - share) * x[other]
    return mixed_x, share * targets + (1 - share) * targets[other]


torch.manual_seed(0)
for alpha in (0.1, 0.4, 1.0, 4.0):
    shares = torch.distributions.Beta(alpha, alpha).sample((10_000,))
    minor = torch.minimum(shares, 1 - shares).mean()
    print(f"alpha {alpha:3.1f}: the smaller share is {minor:.2f} on average")


# %% bounding
@torch.no_grad()
def bound_norms(weight, most):
    # One row of nn.Linear's weight is what comes into one unit.
    norms = weight.norm(dim=1, keepdim=True)
    weight *= (most / norms).clamp(max=1)


layer = nn.Linear(3, 4)
print("norms before", [f"{n:.2f}" for n in layer.weight.norm(dim=1)])
bound_norms(layer.weight, 0.5)
print("norms after ", [f"{n:.2f}" for n in layer.weight.norm(dim=1)])

# %% check_scratch
# claim: stopping-keeps-the-best-epoch
torch.manual_seed(0)
for patience in (1, 2, 5, 20):
    for _ in range(50):
        losses = torch.rand(20).tolist()
        best_epoch, last_epoch = stop(losses, patience)
        assert losses[best_epoch] == min(losses[: last_epoch + 1])
        assert last_epoch in (best_epoch + patience, 19)
        stopping, model = EarlyStopping(patience), nn.Linear(1, 1)
        for loss in losses:
            if stopping.update(loss, model):
                break
        assert (stopping.best_epoch, stopping.epoch - 1) == (best_epoch, last_epoch)

# claim: filters-are-what-descent-does
X, y = torch.randn(40, 6).double(), torch.randn(40).double()
gram, slope = X.T @ X / 40, X.T @ y / 40
curvatures, directions = torch.linalg.eigh(gram)
best_w = torch.linalg.solve(gram, slope)
w, eta = torch.zeros(6).double(), 0.3
for _ in range(25):
    w -= eta * (gram @ w - slope)
filters = 1 - (1 - eta * curvatures) ** 25
assert torch.allclose(directions.T @ w, filters * (directions.T @ best_w))
ridge_w = torch.linalg.solve(gram + 0.2 * torch.eye(6), slope)
assert torch.allclose(directions.T @ ridge_w, curvatures / (curvatures + 0.2) * (directions.T @ best_w))

# claim: stopping-is-much-like-a-penalty
filter_gap = max((by_stopping[t] - by_penalty[t]).abs().max().item() for t in steps_shown)
assert 0.15 < filter_gap < 0.23

# claim: shift-moves-whole-pictures
torch.manual_seed(0)
pictures = torch.randn(50, 1, 9, 9)
shifted, found = shift(pictures, 2), set()
for before, after in zip(pictures[:, 0], shifted[:, 0], strict=True):
    moves = [
        (down, right)
        for down in range(-2, 3)
        for right in range(-2, 3)
        if torch.equal(after[2:-2, 2:-2], before.roll((down, right), (0, 1))[2:-2, 2:-2])
    ]
    assert len(moves) == 1
    found.add(moves[0])
assert len(found) > 15
assert torch.equal(shift(pictures, 0), pictures)

# claim: smoothing-equals-torch
for smoothing in (0.0, 0.1, 0.5):
    expected = nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels)
    assert torch.isclose(F.cross_entropy(logits, smooth(one_hot, smoothing)), expected)
    assert torch.isclose(label_smoothing.smoothed_cross_entropy(logits, labels, smoothing), expected)

# claim: gap-is-finite
gap = label_smoothing.optimal_logit_gap(10, 0.1)
assert math.isclose(gap, math.log(0.91 / 0.01))
best_logits = (gap * one_hot).requires_grad_()
nn.CrossEntropyLoss(label_smoothing=0.1)(best_logits, labels).backward()
assert best_logits.grad.abs().max() < 1e-6

# claim: mixed-loss-is-a-mixture-of-losses
x = torch.randn(6, 3)
torch.manual_seed(1)
mixed_x, mixed_targets = mix(x, one_hot, 0.4)
torch.manual_seed(1)
library_x, library_targets = mixup.mixup(x, one_hot, 0.4)
assert torch.allclose(mixed_x, library_x)
assert torch.allclose(mixed_targets, library_targets)
torch.manual_seed(1)
share, other = torch.distributions.Beta(0.4, 0.4).sample(), torch.randperm(6)
mixture = share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[other])
assert torch.isclose(F.cross_entropy(logits, mixed_targets), mixture)

# claim: bounding-equals-renorm
for weight in (torch.randn(8, 5), 100 * torch.randn(8, 5)):
    expected = torch.renorm(weight, p=2, dim=0, maxnorm=1.0)
    bounded = weight.clone()
    bound_norms(bounded, 1.0)
    assert torch.allclose(bounded, expected, atol=1e-5)
    assert torch.allclose(max_norm.max_norm_(weight.clone(), 1.0), expected, atol=1e-5)

# %% data
num_seeds, num_train, num_validation, num_test = 10, 300, 200, 1000


def load(seed):
    num_both = num_train + num_validation
    train, test = images(num_train=num_both, num_test=num_test, seed=seed)
    for_training = train.pick(torch.arange(num_train))
    for_validation = train.pick(torch.arange(num_train, len(train)))
    tensors = []
    for part in (for_training, for_validation, test):
        x = standardize(part.images, train=for_training.images)
        tensors += [x, part.labels]
    return tensors, train.source


loaded = [load(seed) for seed in range(num_seeds)]
data_source = loaded[0][1]
parts = map(torch.stack, zip(*[part for part, _ in loaded], strict=True))
# Pictures are (seeds, n, 1, 28, 28), labels (seeds, n).
x_train, y_train, x_val, y_val, x_test, y_test = parts
print(f"{data_source}, {num_seeds} seeds: {num_train} pictures to train", end="")
print(f", {num_validation} to validate, {num_test} to test")

# %% recipes
most_shift, smoothing, alpha, most_norm = 2, 0.1, 0.4, 0.8
recipes = ("plain", "augmentation", "label smoothing", "mixup", "max-norm")


def prepared(recipe, x, targets):
    # What a batch becomes: x is (seeds, batch, 1, 28, 28).
    if recipe == "augmentation":
        x = shift(x.flatten(0, 1), most_shift).view_as(x)
    if recipe == "label smoothing":
        targets = smooth(targets, smoothing)
    if recipe == "mixup":
        # Every seed's batch by itself.
        pairs = [mix(*pair, alpha) for pair in zip(x, targets, strict=True)]
        x, targets = map(torch.stack, zip(*pairs, strict=True))
    return x.flatten(2), targets


# %% train
num_epochs, batch_size, learning_rate, hidden = 60, 30, 0.1, 32


def make_net(seed):
    torch.manual_seed(seed)
    first, second = nn.Linear(784, hidden), nn.Linear(hidden, 10)
    return nn.Sequential(first, nn.ReLU(), second)


def everywhere(tensor):
    # The same for every recipe.
    return tensor.repeat(len(recipes), *[1] * (tensor.ndim - 1))


@torch.no_grad()
def judge(nets, x, labels):
    logits, labels = nets(everywhere(x.flatten(2))), everywhere(labels)
    losses = F.cross_entropy(logits.mT, labels, reduction="none").mean(1)
    right = logits.argmax(2) == labels  # (recipes · seeds, n)
    gaps = logits.gather(2, labels.unsqueeze(2))[..., 0]
    gaps = gaps - (logits.sum(2) - gaps) / 9  # above the mean of the others
    # How probable the chosen class is where it is the wrong one.
    sure = (logits.softmax(2).amax(2) * ~right).sum(1) / (~right).sum(1)
    return losses, right, gaps.mean(1), sure


nets = StackedMLP([make_net(k) for _ in recipes for k in range(num_seeds)])
optimizer = torch.optim.SGD(nets.parameters(), lr=learning_rate)
bounded = slice(recipes.index("max-norm") * num_seeds, None)  # the last ones
one_hot_train = F.one_hot(y_train, 10).float()
measured = ("train", "validation", "test", "right", "gap", "sure", "norm")
history = {name: [] for name in measured}
torch.manual_seed(0)
for _ in range(num_epochs):
    for index in torch.randperm(num_train).split(batch_size):
        x, targets = x_train[:, index], one_hot_train[:, index]
        batches = [prepared(recipe, x, targets) for recipe in recipes]
        x, targets = map(torch.cat, zip(*batches, strict=True))
        losses = -(targets * nets(x).log_softmax(2)).sum(2).mean(1)
        optimizer.zero_grad()
        losses.sum().backward()  # no net's gradient meets another's
        optimizer.step()
        for weight in nets.weights:
            for one_net in weight.detach()[bounded]:
                bound_norms(one_net.T, most_norm)  # stored as (inputs, units)
    train_loss, _, gap_now, _ = judge(nets, x_train, y_train)
    val_loss, *_ = judge(nets, x_val, y_val)
    test_loss, right, _, sure = judge(nets, x_test, y_test)
    norm = nets.weights[0].detach().norm(dim=1).amax(1)
    values = (train_loss, val_loss, test_loss, right, gap_now, sure, norm)
    for name, value in zip(measured, values, strict=True):
        history[name].append(value)

shape = num_epochs, len(recipes), num_seeds
curves = {}
for name, values in history.items():
    curves[name] = torch.stack(values).view(*shape, *values[0].shape[1:])
accuracy = curves["right"].float().mean(3)

# %% compare
# Early stopping takes the plain net from the epoch of the lowest validation
# loss; all others are taken at the end.
best_epochs = curves["validation"][:, 0].argmin(0)
each_seed = torch.arange(num_seeds)
final_losses = {name: curves["test"][-1, i] for i, name in enumerate(recipes)}
final_accuracies = {name: accuracy[-1, i] for i, name in enumerate(recipes)}
final_sure = {name: curves["sure"][-1, i] for i, name in enumerate(recipes)}
final_sure["early stopping"] = curves["sure"][best_epochs, 0, each_seed]
final_losses["early stopping"] = curves["test"][best_epochs, 0, each_seed]
final_accuracies["early stopping"] = accuracy[best_epochs, 0, each_seed]
friends = ("early stopping", *recipes[1:])
mean_loss, mean_accuracy, mean_sure = {}, {}, {}
loss_wins, accuracy_wins = {}, {}
print("                 test loss  wins  accuracy  wins  sure where wrong")
for name in ("plain", *friends):
    loss, right = final_losses[name], final_accuracies[name]
    mean_loss[name] = loss.mean().item()
    mean_accuracy[name] = right.mean().item()
    loss_wins[name] = (loss < final_losses["plain"]).sum().item()
    accuracy_wins[name] = (right > final_accuracies["plain"]).sum().item()
    mean_sure[name] = final_sure[name].mean().item()
    print(f"{name:16s} {mean_loss[name]:9.3f} {loss_wins[name]:5d}", end="")
    print(f" {mean_accuracy[name]:9.1%} {accuracy_wins[name]:5d}", end="")
    print(f" {mean_sure[name]:17.2f}")

# %% draw_compare
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.4), sharey=True)
for row, name in enumerate(friends):
    sideways = row + torch.linspace(-0.22, 0.22, num_seeds)
    ratio = final_losses[name] / final_losses["plain"]
    difference = 100 * (final_accuracies[name] - final_accuracies["plain"])
    for ax, values in zip(axes, (ratio, difference), strict=True):
        ax.plot(values, sideways, "o", color="C0", markersize=3.5)
        ax.plot([values.median()] * 2, [row - 0.35, row + 0.35], color="black")
axes[0].set_yticks(range(len(friends)), friends)
axes[0].invert_yaxis()
for ax, neutral, label in zip(axes, (1, 0), ("test loss / plain", "accuracy − plain, points"), strict=True):
    ax.axvline(neutral, color="black", linestyle=":")
    ax.set_xlabel(label)

# %% check_compare
# claim: all-lower-the-loss-of-an-overtrained-net
for name in friends:
    assert mean_loss[name] < mean_loss["plain"]
    assert loss_wins[name] >= 6
fewest_wins = min(loss_wins[name] for name in friends)

# claim: accuracy-hardly-follows
for name in ("label smoothing", "mixup"):
    assert accuracy_wins[name] <= 4
    assert mean_accuracy[name] < mean_accuracy["plain"]
for name in friends:
    if name != "augmentation":
        assert abs(mean_accuracy[name] - mean_accuracy["plain"]) < 0.04

# claim: all-are-less-sure-where-wrong
for name in friends:
    less_sure = final_sure[name] < final_sure["plain"]
    assert mean_sure[name] < mean_sure["plain"]
    assert less_sure.all() or (name == "augmentation" and less_sure.sum() >= 6)

# %% draw_curves
epochs_axis = list(range(1, num_epochs + 1))
fig, ax = plt.subplots(figsize=(5.6, 3.4))
for name, color, line in (("train", "C2", ":"), ("validation", "C1", "--"), ("test", "C0", "-")):
    values = curves[name][:, 0]  # (epochs, seeds) of the plain nets
    ax.plot(epochs_axis, values.mean(1), color=color, linestyle=line, label=f"{name} loss")
for epoch in best_epochs.tolist():
    ax.plot([epoch + 1] * 2, [0, 0.12], color="black", linewidth=1)
ax.plot([], [], color="black", linewidth=1, label="lowest validation loss")
ax.set_ylim(0, 1.5)
ax.set_xlabel("epoch")
ax.legend()

# %% check_stopping
# claim: loss-turns-while-training-loss-falls
assert (best_epochs < num_epochs // 2).all()
assert (final_losses["early stopping"] < 0.95 * final_losses["plain"]).all()
later = curves["train"][best_epochs, 0, each_seed], curves["train"][-1, 0]
assert (later[1] < 0.5 * later[0]).all()

# claim: validation-chooses-nearly-the-best-epoch
regret = (final_losses["early stopping"] / curves["test"][:, 0].amin(0)).mean().item() - 1
assert regret < 0.1

# %% moved
moves = list(range(7))


@torch.no_grad()
def accuracy_when_moved(pixels):
    right = []
    for shifted in (x_test.roll(pixels, 4), x_test.roll(-pixels, 4)):
        logits = nets(everywhere(shifted.flatten(2)))
        right.append(logits.argmax(2) == everywhere(y_test))
    shares_right = torch.stack(right).float().mean((0, 2))
    return shares_right.view(len(recipes), num_seeds)


moved = torch.stack([accuracy_when_moved(pixels) for pixels in moves])
augmented = recipes.index("augmentation")
print("test pictures moved by  plain  augmented")
for pixels in moves:
    plain_then, augmented_then = moved[pixels, [0, augmented]].mean(1)
    print(f"{pixels:15d} pixels {plain_then:6.1%} {augmented_then:10.1%}")

# %% draw_moved
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for i, name, color, marker in ((0, "plain", "C1", "s"), (augmented, "augmentation", "C0", "o")):
    ax.plot(moves, moved[:, i].mean(1), color=color, marker=marker, label=name)
    ax.fill_between(moves, moved[:, i].amin(1), moved[:, i].amax(1), color=color, alpha=0.2)
ax.set_xlabel("test pictures moved by, pixels")
ax.set_ylabel("accuracy")
ax.legend()

# %% check_moved
# claim: augmentation-pays-where-pictures-move
mean_moved = moved.mean(2).tolist()
for pixels in (2, 3):
    assert (moved[pixels, augmented] > moved[pixels, 0]).all()

# claim: it-pays-more-the-more-they-move
advantage = (moved[:3, augmented] - moved[:3, 0]).mean(1)
assert (advantage.diff() > 0).all()

# %% draw_gaps
fig, ax = plt.subplots(figsize=(5.6, 3.2))
smoothed = recipes.index("label smoothing")
for i, name, color, line in ((0, "plain", "C1", "--"), (smoothed, "label smoothing", "C0", "-")):
    values = curves["gap"][:, i]
    ax.plot(epochs_axis, values.mean(1), color=color, linestyle=line, label=name)
    ax.fill_between(epochs_axis, values.amin(1), values.amax(1), color=color, alpha=0.2)
ax.axhline(gap, color="black", linestyle=":", label="lowest smoothed loss")
ax.set_xlabel("epoch")
ax.set_ylabel("gap of the logits")
ax.legend()

# %% check_gaps
plain_gap, smoothed_gap = (curves["gap"][-1, i].mean().item() for i in (0, smoothed))

# claim: gap-settles-with-smoothing
assert (curves["gap"][-1, smoothed] - gap).abs().max() < 0.5
assert (curves["gap"][-1, 0] > gap + 1).all()
assert (curves["gap"][-1, 0] > curves["gap"][-20, 0]).all()

# %% between
mixed = recipes.index("mixup")
shares = torch.linspace(0, 1, 11)
torch.manual_seed(0)
other = torch.randperm(num_test)


@torch.no_grad()
def between(share):
    # Mixtures of two test pictures: how probable is the class of the first
    # one, and how probable is the most probable class?
    x = share * x_test + (1 - share) * x_test[:, other]
    probabilities = nets(everywhere(x.flatten(2))).softmax(2)
    firsts = everywhere(y_test).unsqueeze(2)
    of_first = probabilities.gather(2, firsts)[..., 0]
    different = everywhere(y_test != y_test[:, other])
    shape = len(recipes), num_seeds
    mean_first = (of_first * different).sum(1) / different.sum(1)
    return mean_first.view(shape), probabilities.amax(2).mean(1).view(shape)


along = [between(share) for share in shares]
# Both are (shares, recipes, seeds).
first_class, confidence = map(torch.stack, zip(*along, strict=True))
start, end = first_class[0], first_class[-1]
straight = start + shares.view(-1, 1, 1) * (end - start)
bends = (first_class - straight).abs().mean(0)  # (recipes, seeds)
mean_bends = [bends[i].mean().item() for i in (0, mixed)]
middle = [confidence[5, i].mean().item() for i in (0, mixed)]
for i, name in ((0, "plain"), (mixed, "mixup")):
    print(f"{name:6s} distance from straight {bends[i].mean():.3f}", end="")
    print(f", confidence halfway {confidence[5, i].mean():.2f}")

# %% draw_between
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for i, name, color, marker in ((0, "plain", "C1", "s"), (mixed, "mixup", "C0", "o")):
    ax.plot(shares, first_class[:, i].mean(1), color=color, marker=marker, label=name)
    ends = first_class[[0, -1], i].mean(1)
    ax.plot([0, 1], ends, color=color, linestyle=":", linewidth=1)
ax.set_xlabel("share of the first picture")
ax.set_ylabel("probability of its class")
ax.legend()

# %% check_between
# claim: mixup-is-straighter-between-pictures
assert (bends[mixed] < bends[0]).all()

# claim: mixup-is-less-sure-halfway
assert (confidence[5, mixed] < confidence[5, 0]).all()

# %% draw_norms
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for i, name, color, line in ((0, "plain", "C1", "--"), (recipes.index("max-norm"), "max-norm", "C0", "-")):
    values = curves["norm"][:, i]
    ax.plot(epochs_axis, values.mean(1), color=color, linestyle=line, label=name)
    ax.fill_between(epochs_axis, values.amin(1), values.amax(1), color=color, alpha=0.2)
ax.axhline(most_norm, color="black", linestyle=":", label="bound")
ax.set_ylim(0, None)
ax.set_xlabel("epoch")
ax.set_ylabel("largest norm, first layer")
ax.legend()

# %% check_norms
# claim: norms-grow-without-bound-and-stay-with
norms = curves["norm"]
assert (norms[-1, 0] > 1.2 * norms[0, 0]).all()
assert (norms[:, -1] <= most_norm * 1.0001).all()
final_norm = norms[-1, 0].mean().item()
at_bound = (nets.weights[0].detach()[bounded].norm(dim=1) > 0.999 * most_norm).float().mean().item()
assert 0.05 < at_bound < 0.95

# %% trap_test_set
# A hundred test pictures choose the epoch; the other nine hundred tell what
# the choice is worth. Ten ways to split for each seed.
right = curves["right"][:, 0].float()  # (epochs, seeds, pictures)
claimed, worth = [], []
for split in range(10):
    chooses = torch.zeros(num_test, dtype=torch.bool)
    chooses[100 * split : 100 * (split + 1)] = True
    on_few, on_rest = (
        right[..., chooses].mean(2),
        right[..., ~chooses].mean(2),
    )
    chosen = on_few.argmax(0)
    claimed.append(on_few[chosen, each_seed])
    worth.append(on_rest[chosen, each_seed])
claimed, worth = torch.stack(claimed), torch.stack(worth)  # (splits, seeds)
optimism = (claimed - worth).mean(0)
print(f"accuracy on the hundred that chose the epoch {claimed.mean():.1%}")
print(f"accuracy on the nine hundred others          {worth.mean():.1%}")

# %% trap_restore
patience_shown = 10
validation = curves["validation"][:, 0]  # (epochs, seeds)
stops = [stop(validation[:, k], patience_shown) for k in range(num_seeds)]
kept, last = torch.tensor(stops).T
loss_kept = curves["test"][kept, 0, each_seed]
loss_last = curves["test"][last, 0, each_seed]
print(f"test loss, weights of the last epoch {loss_last.mean():.3f}")
print(f"test loss, weights of the best epoch {loss_kept.mean():.3f}")


# %% trap_augmented_test
@torch.no_grad()
def augmented_accuracy(x):
    # Of the nets trained with shifts, one number a seed.
    logits = nets(everywhere(x.flatten(2)))
    right = logits.argmax(2) == everywhere(y_test)
    return right.float().mean(1).view(len(recipes), num_seeds)[augmented]


def shifted_test():
    return shift(x_test.flatten(0, 1), most_shift).view_as(x_test)


torch.manual_seed(0)
as_they_are = [augmented_accuracy(x_test) for _ in range(3)]
shifted_anew = [augmented_accuracy(shifted_test()) for _ in range(3)]
print("seed 0, three times")
for name, three in (
    ("as they are ", as_they_are),
    ("shifted anew", shifted_anew),
):
    print(name, [f"{accuracies[0]:.1%}" for accuracies in three])

# %% trap_flip
# Which way does the shoe point? Half of the shoes are mirrored, and the label
# says which half.
shoe_recipes = ("no flips", "flipped, label kept", "flipped, label swapped")


def shoes(x, labels, seed):
    x = x[(labels == 5) | (labels == 7) | (labels == 9)]
    generator = torch.Generator().manual_seed(seed)
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
    return x, mirrored.long()


def make_shoe_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 2))


same_start = [make_shoe_net(seed) for seed in range(num_seeds)]
shoe_nets = StackedMLP(same_start * len(shoe_recipes))
shoe_optimizer = torch.optim.SGD(shoe_nets.parameters(), lr=0.02)
shoe_sets = []
for seed in range(num_seeds):
    x = torch.cat([x_train[seed], x_val[seed]])
    y = torch.cat([y_train[seed], y_val[seed]])
    test_shoes = shoes(x_test[seed], y_test[seed], seed)
    shoe_sets.append([*shoes(x, y, seed), *test_shoes])
parts = map(torch.stack, zip(*shoe_sets, strict=True))
shoe_x, shoe_y, shoe_x_test, shoe_y_test = parts
torch.manual_seed(0)
for _ in range(300):
    index = torch.randint(shoe_x.shape[1], (30,))
    x, y = shoe_x[:, index], shoe_y[:, index]
    flip = torch.rand(30) < 0.5
    flipped = torch.where(flip.view(1, -1, 1, 1, 1), x.flip(4), x)
    logits = shoe_nets(torch.cat([x, flipped, flipped]).flatten(2))
    wanted = torch.cat([y, y, torch.where(flip, 1 - y, y)])
    losses = F.cross_entropy(logits.mT, wanted, reduction="none").mean(1)
    shoe_optimizer.zero_grad()
    losses.sum().backward()
    shoe_optimizer.step()
with torch.no_grad():
    logits = shoe_nets(shoe_x_test.flatten(2).repeat(3, 1, 1))
    shoe_right = logits.argmax(2) == shoe_y_test.repeat(3, 1)
shoe_accuracy = shoe_right.float().mean(1).view(3, num_seeds)
for name, values in zip(shoe_recipes, shoe_accuracy, strict=True):
    print(f"{name:23s} {values.mean():.1%}")

# %% trap_twice
smoothed_targets = label_smoothing.smooth_targets(labels, 10, 0.1)
some_logits = 3 * one_hot
once = F.cross_entropy(some_logits, smoothed_targets)
twice = F.cross_entropy(some_logits, smoothed_targets, label_smoothing=0.1)
by_more = F.cross_entropy(some_logits, labels, label_smoothing=1 - 0.9**2)
print(f"smoothed once  {once:.4f}")
print(f"smoothed twice {twice:.4f}")
print(f"by 1 - 0.9²    {by_more:.4f}")

# %% trap_axis
torch.manual_seed(0)
weight = torch.randn(4, 100)  # four units with a hundred inputs each
for dim in (0, 1):
    norms = torch.renorm(weight, p=2, dim=dim, maxnorm=3.0).norm(dim=1)
    print(f"dim={dim}: norms of the units", [f"{n:.2f}" for n in norms])

# %% check_traps
# claim: choosing-on-test-data-is-optimistic
assert (optimism > 0).sum() >= 9
mean_optimism = optimism.mean().item()
assert mean_optimism > 0.01
claimed_mean, worth_mean = claimed.mean().item(), worth.mean().item()

# claim: restoring-matters
restore_wins = (loss_kept < loss_last).sum().item()
assert restore_wins >= 7
mean_kept, mean_last = loss_kept.mean().item(), loss_last.mean().item()

# claim: augmented-test-scores-are-random
assert torch.equal(as_they_are[0], as_they_are[1])
assert torch.equal(as_they_are[0], as_they_are[2])
shifted_anew = torch.stack(shifted_anew)
assert (shifted_anew.amax(0) > shifted_anew.amin(0)).all()
spread_of_scores = (shifted_anew.amax(0) - shifted_anew.amin(0)).mean().item()

# claim: flips-with-the-old-label-destroy-the-task
assert (shoe_accuracy[0] > 0.9).all()
assert (shoe_accuracy[1] < 0.7).all()
assert abs(shoe_accuracy[1].mean() - 0.5) < 0.06
assert (shoe_accuracy[2] > 0.9).all()
mean_shoes = shoe_accuracy.mean(1).tolist()

# claim: smoothing-twice-is-more
assert torch.isclose(twice, by_more)
assert not torch.isclose(once, twice, rtol=1e-2)

# claim: wrong-axis-bounds-inputs
right_axis = torch.renorm(weight, p=2, dim=0, maxnorm=3.0)
wrong_axis = torch.renorm(weight, p=2, dim=1, maxnorm=3.0)
assert (right_axis.norm(dim=1) <= 3.001).all()
assert (wrong_axis.norm(dim=1) > 6).all()
assert (wrong_axis.norm(dim=0) <= 3.001).all()

# %% solution_patience
patiences = (1, 2, 3, 5, 10, 20)
found_best, kept_loss, mean_stop = [], [], []
for patience in patiences:
    stops = [stop(validation[:, seed], patience) for seed in range(num_seeds)]
    kept_epochs, last_epochs = torch.tensor(stops).T
    found_best.append((kept_epochs == best_epochs).sum().item())
    kept_loss.append(curves["test"][kept_epochs, 0, each_seed].mean().item())
    mean_stop.append(last_epochs.float().mean().item() + 1)
print("patience  epochs trained  finds the best epoch  test loss kept")
for row in zip(patiences, mean_stop, found_best, kept_loss, strict=True):
    print(f"{row[0]:8d} {row[1]:15.1f} {row[2]:15d} of {num_seeds}", end="")
    print(f" {row[3]:15.3f}")

# %% solution_floor
floors = {}
label = torch.tensor([0])
for smoothing_then in (0.1, 0.3):
    targets = smooth(F.one_hot(label, 10).float(), smoothing_then)
    floors[smoothing_then] = -(targets * targets.log()).sum().item()
    best_gap = label_smoothing.optimal_logit_gap(10, smoothing_then)
    best_logits = best_gap * F.one_hot(label, 10).float()
    reached = F.cross_entropy(best_logits, label, label_smoothing=smoothing_then)
    print(f"smoothing {smoothing_then}: entropy {floors[smoothing_then]:.4f}", end="")
    print(f", loss at the best gap {reached:.4f}")

# %% solution_difference
# The rate times the curvature times the number of steps.
product = torch.linspace(0, 20, 200_001, dtype=torch.float64)
difference = (1 - torch.exp(-product)) - product / (1 + product)
largest_difference = difference.max().item()
where = product[difference.argmax()].item()
print(f"largest difference {largest_difference:.4f}", end="")
print(f", where the product is {where:.2f}")

# %% check_solutions
# claim: impatience-keeps-worse-weights
assert kept_loss[0] > 1.05 * kept_loss[-1]
assert found_best[0] <= 4
assert found_best[-1] >= 8
assert mean_stop[0] < mean_stop[-1]

# claim: smoothed-loss-has-a-floor
for smoothing_then, floor in floors.items():
    best_gap = label_smoothing.optimal_logit_gap(10, smoothing_then)
    best_logits = (best_gap * F.one_hot(label, 10).double()).requires_grad_()
    reached = F.cross_entropy(best_logits, label, label_smoothing=smoothing_then)
    reached.backward()
    assert abs(reached.item() - floor) < 1e-5
    assert best_logits.grad.abs().max() < 1e-9
floor_shown = floors[0.1]
assert floor_shown > 0.3

# claim: filters-differ-by-a-fifth-at-most
assert difference.min() >= 0
assert 0.2 < largest_difference < 0.21
assert abs(where - 2.51) < 0.02
