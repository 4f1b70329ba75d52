# ---
# timeout: 400
# ---
# %% notes
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab.data import banknotes, standardize

torch.set_num_threads(1)
num_train, num_test, num_seeds = 160, 1000, 10
seeds = range(num_seeds)
# Every seed has training notes of its own; all are tested on the same ones.
train_sets = [banknotes(num_train // 2, seed=seed) for seed in seeds]
test_set = banknotes(num_test // 2, seed=1000)

# %% pictures
fig, axes = plt.subplots(2, 5, figsize=(5.6, 2.6))
for row, (label, name) in zip(axes, enumerate(test_set.classes), strict=True):
    of_class = (test_set.labels == label).nonzero()[:, 0]
    for ax, index in zip(row, of_class, strict=False):
        ax.imshow(test_set.images[index].movedim(0, -1).numpy())
        ax.set_xticks([])
        ax.set_yticks([])
    row[0].set_title(name)


# %% lenet
def lenet(normalized):
    def norm(layer):
        return [layer] if normalized else []

    return nn.Sequential(
        nn.Conv2d(3, 6, 5),
        *norm(nn.BatchNorm2d(6)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        *norm(nn.BatchNorm2d(16)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        *norm(nn.BatchNorm1d(120)),
        nn.ReLU(),
        nn.Linear(120, 84),  # no batch norm here, as in the post
        nn.ReLU(),
        nn.Linear(84, 2),
    )


def kaiming(layer):
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight)


def make_net(seed, init, normalized, build=lenet):
    # Norm layers draw no random numbers: same seed, same weights.
    torch.manual_seed(seed)
    net = build(normalized)
    if init == "Kaiming":
        torch.manual_seed(100 + seed)
        net.apply(kaiming)
    return net


# %% shapes
shape_table = []


def record(layer, inputs, output):
    shape_table.append((type(layer).__name__, tuple(output.shape)))


net = make_net(0, "default", normalized=True)
hooks = [layer.register_forward_hook(record) for layer in net]
net(torch.randn(2, 3, 32, 32))
for hook in hooks:
    hook.remove()
print(" # layer        output")
for number, (name, shape) in enumerate(shape_table, start=1):
    print(f"{number:2d} {name:12} {shape}")
num_flat = shape_table[8][1][1]

# %% check_net
# claim: same-start
for seed, init in itertools.product(range(3), ("default", "Kaiming")):
    plain, normed = (make_net(seed, init, normalized) for normalized in (False, True))
    pairs = [[layer for layer in net if isinstance(layer, nn.Conv2d | nn.Linear)] for net in (plain, normed)]
    assert all(torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias) for a, b in zip(*pairs, strict=True))

# claim: one-hidden-layer-has-none
names = [name for name, _ in shape_table]
assert sum("BatchNorm" in name for name in names) == 3
assert shape_table[12] == ("Linear", (2, 84))
assert names[13] == "ReLU"

# claim: flattened-to-400
assert shape_table[8] == ("Flatten", (2, 400))

# %% train
batch_size, num_epochs, momentum = 16, 10, 0.9
num_steps = num_epochs * num_train // batch_size
post_rate, rates = 0.01, (0.001, 0.01, 0.1)
test_x = [
    standardize(test_set.images, train=notes.images)
    for notes in train_sets  # a net knows its own training notes only
]


def train(net, lr, seed):
    notes = train_sets[seed]
    x = standardize(notes.images, train=notes.images)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(num_epochs):
        order = torch.randperm(num_train, generator=generator)
        for rows in order.split(batch_size):
            loss = F.cross_entropy(net(x[rows]), notes.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return torch.tensor(losses)


@torch.no_grad()
def right(net, seed):
    # For each test note, whether the net knows it.
    return net.eval()(test_x[seed]).argmax(1) == test_set.labels


# %% runs
inits, with_or_without = ("default", "Kaiming"), (False, True)
losses, hits = {}, {}  # by learning rate, initialization and batch norm
for case in itertools.product(rates, inits, with_or_without):
    lr, init, normalized = case
    nets = [make_net(seed, init, normalized) for seed in seeds]
    curves = [train(net, lr, seed) for seed, net in enumerate(nets)]
    known = [right(net, seed) for seed, net in enumerate(nets)]
    losses[case], hits[case] = torch.stack(curves), torch.stack(known)

# %% results
steps_an_epoch = num_train // batch_size
cap = 1000.0


def jump(curves):
    # How far a loss rises above the mean of the ten before it, at most.
    before = curves.unfold(1, 10, 1)[:, :-1].mean(2)
    return (curves[:, 10:] - before).nan_to_num(cap).clamp(max=cap).amax(1)


starts = {case: curves[:, 0] for case, curves in losses.items()}
jumps = {case: jump(curves) for case, curves in losses.items()}
last = slice(-steps_an_epoch, None)
ends = {case: curves[:, last].mean(1) for case, curves in losses.items()}
scores = {case: known.float().mean(1) for case, known in hits.items()}


def names_of(case):
    return f"{case[1]} init, {'with' if case[2] else 'without'} BN"


print("rate   initialization, BN        first loss   largest jump accuracy")
for case in losses:
    row = f"{case[0]:<6g} {names_of(case):25}"
    for found in (starts, jumps, scores):
        low, high = found[case].aminmax()
        row += f" {low.item():4.2f} to {high.item():<4.3g}"
    print(row)

# %% curves
fig, axes = plt.subplots(2, 2, figsize=(5.6, 4.6), sharex=True, sharey=True)
steps = range(1, num_steps + 1)
for row, init in zip(axes, inits, strict=True):
    for ax, normalized, color in zip(row, with_or_without, ("C1", "C0"), strict=True):
        curves = losses[post_rate, init, normalized]
        ax.fill_between(steps, *curves.aminmax(dim=0), color=color, alpha=0.25)
        ax.plot(steps, curves.median(0).values, color=color)
        ax.set_title(names_of((post_rate, init, normalized)), fontsize=10)
        ax.set_ylim(0, 3)
for ax in axes[:, 0]:
    ax.set_ylabel("training loss")
for ax in axes[1]:
    ax.set_xlabel("step")


# %% jump_dots
def dots(ax, found, lr):
    # A dot for each seed, and a bar at the median.
    cases = [(lr, init, normalized) for init in inits for normalized in with_or_without]
    for height, case in enumerate(cases):
        color = "C0" if case[2] else "C1"
        ax.plot(found[case], [height] * num_seeds, "o", color=color, alpha=0.6)
        ax.plot(found[case].median(), height, "|", color="black", markersize=16, markeredgewidth=2)
    ax.set_yticks(range(len(cases)), [names_of(case) for case in cases])
    ax.set_ylim(len(cases) - 0.5, -0.5)


fig, ax = plt.subplots(figsize=(5.6, 2.4))
dots(ax, jumps, post_rate)
ax.set_xscale("log")
ax.set_xlim(0.1, 10)
ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
ax.set_xlabel("largest jump of the training loss")

# %% score_dots
fig, axes = plt.subplots(3, 1, figsize=(5.6, 5.6), sharex=True)
for ax, lr in zip(axes, rates, strict=True):
    dots(ax, scores, lr)
    ax.set_title(f"learning rate {lr:g}")
axes[-1].set_xlabel("test accuracy")


# %% check_runs
def wins(found, one, other):
    return int((found[one] > found[other]).sum())


def case(init, normalized, lr=post_rate):
    return lr, init, normalized


posts_without, posts_with = case("Kaiming", False), case("default", True)
gains = {(lr, init): wins(scores, case(init, True, lr), case(init, False, lr)) for lr in rates for init in inits}
calmer = {init: wins(jumps, case(init, False), case(init, True)) for init in inits}
calmer_default, calmer_kaiming = calmer["default"], calmer["Kaiming"]
median_jump = {c: jumps[c].median().item() for c in jumps}
jump_posts_without, jump_posts_with = median_jump[posts_without], median_jump[posts_with]
jump_init_only, jump_norm_only = (median_jump[case("default", False)], median_jump[case("Kaiming", True)])
# What the post saw once: 1.4 without batch norm, 0.4 with it.
post_surge, post_calm = 1.4, 0.4
num_surges = int((losses[posts_without][:, steps_an_epoch:].amax(1) >= post_surge).sum())
num_above = int((losses[posts_with][:, num_steps // 2 :].amax(1) > post_calm).sum())

# claim: surge-was-one-run
assert num_surges <= 3

# claim: calm-was-one-run
assert num_above >= 6

# claim: initialization-alone-calms
init_calms = wins(jumps, posts_without, case("default", False))
assert init_calms >= 7
assert jump_init_only < 0.8 * jump_posts_without

# claim: batch-norm-calms-kaiming
assert calmer_kaiming >= 5
assert jump_norm_only < jump_posts_without

# claim: batch-norm-does-not-calm-the-default
assert calmer_default <= 6
assert jump_posts_with > 0.8 * jump_init_only

# claim: calm-because-slow
median_end = {c: ends[c].median().item() for c in ends}
end_slow = median_end[case("default", False)]
end_others = max(median_end[c] for c in ends if c[0] == post_rate and c != case("default", False))
assert end_slow > 1.5 * end_others

# claim: kaiming-starts-high
start = {c: starts[c].mean().item() for c in starts}
start_without, start_with = start[posts_without], start[case("Kaiming", True)]
start_wins = wins(starts, posts_without, case("Kaiming", True))
assert start_without > math.log(2) + 0.5
assert start_with < start_without - 0.2
assert start_wins >= 7

# claim: default-starts-at-guessing
for normalized in with_or_without:
    assert (starts[case("default", normalized)] - math.log(2)).abs().max() < 0.25
    assert abs(start[case("default", normalized)] - math.log(2)) < 0.05

# claim: helps-the-default-init
gain_small, gain_post = gains[0.001, "default"], gains[post_rate, "default"]
assert gain_small >= 9
assert gain_post >= 8

# claim: does-not-help-kaiming-init
same_small, same_post = gains[0.001, "Kaiming"], gains[post_rate, "Kaiming"]
medians = {c: scores[c].median().item() for c in scores}
difference = medians[case("Kaiming", True)] - medians[case("Kaiming", False)]
assert 2 <= same_small <= 8
assert 2 <= same_post <= 8
assert abs(difference) < 0.03

# claim: no-init-needed-with
no_init_wins = wins(scores, posts_with, posts_without)
assert no_init_wins >= 7

# claim: large-rate-needs-it
large_without = torch.cat([scores[case(init, False, 0.1)] for init in inits])
large_with = torch.cat([scores[case(init, True, 0.1)] for init in inits])
alive_above, num_large = 0.6, len(large_without)
num_alive = int((large_without > alive_above).sum())
lowest_with = large_with.min().item()
assert num_alive <= 3
assert lowest_with > 0.65
assert min(gains[0.1, init] for init in inits) >= 9

# claim: posts-settings
assert (batch_size, num_epochs, num_steps) == (16, 10, 100)

# %% trap_two_things
print("largest jump, median   without BN   with BN")
for init in inits:
    plain, normed = (median_jump[case(init, bn)] for bn in (False, True))
    print(f"{init:20} {plain:12.2f} {normed:9.2f}")

# %% trap_schedule
parameter = nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([parameter], lr=post_rate, momentum=momentum)
StepLR = torch.optim.lr_scheduler.StepLR
schedule = StepLR(optimizer, step_size=10, gamma=0.1)
used = []
for _ in range(num_epochs):
    # What this epoch trains with.
    used.append(optimizer.param_groups[0]["lr"])
    optimizer.step()
    schedule.step()
print("learning rates of the ten epochs:", sorted(set(used)))

# %% trap_few_notes
few = 20  # what is left for validation where 160 are for training
generator = torch.Generator().manual_seed(0)
orders = [torch.randperm(num_test, generator=generator) for _ in range(500)]
draws = torch.stack(orders)[:, :few]  # (draws, notes)


def seen_on_few(case):
    return hits[case][:, draws].float().mean(2)  # (seeds, draws)


one_net = seen_on_few(posts_with)[0]
lowest, highest = one_net.quantile(torch.tensor([0.025, 0.975])).tolist()
true_score = scores[posts_with][0].item()
gap = scores[case("default", True)] - scores[case("default", False)]
seen_gap = seen_on_few(posts_with) - seen_on_few(case("default", False))
better = gap > 0
missed = (seen_gap[better] <= 0).float().mean().item()
print(f"one net: {true_score:.3f} on all notes")
print(f"         {lowest:.2f} to {highest:.2f} on {few} of them")
print(f"the better net does not look better in {missed:.0%} of the draws")

# %% trap_last_note
one_more = torch.randn(num_train + 1, 3, 32, 32)  # 161 is no multiple of 16
net = make_net(0, "default", normalized=True)
for rows in one_more.split(batch_size):
    try:
        net(rows)
    except ValueError as error:
        print(f"{len(rows)} note: {error}")
DataLoader = torch.utils.data.DataLoader
loader = DataLoader(one_more, batch_size, shuffle=True, drop_last=True)
print("with drop_last:", [len(rows) for rows in loader])


# %% trap_code
class AsPrinted(nn.Module):
    def init(self, classes):  # the underscores of __init__ are lost
        super().init()
        self.fc = nn.Linear(84, classes)


try:
    AsPrinted(2)
except TypeError as error:
    as_printed = str(error)
print(as_printed)

# %% check_traps
# claim: schedule-never-acts
assert set(used) == {post_rate}

# claim: two-things-changed
assert posts_without[1] != posts_with[1]
assert posts_without[2] != posts_with[2]

# claim: few-notes-tell-little
assert highest - lowest >= 0.15
assert missed > 0.1

# claim: batch-of-one-stops-training
stopped = {}
for name, normalized in (("with", True), ("without", False)):
    try:
        make_net(0, "default", normalized)(one_more[:1])
        stopped[name] = False
    except ValueError:
        stopped[name] = True
assert stopped == {"with": True, "without": False}
assert {len(rows) for rows in loader} == {batch_size}
nn.BatchNorm2d(6)(torch.randn(1, 6, 28, 28))  # a picture has many pixels

# claim: printed-class-cannot-be-made
assert "takes 1 positional argument" in as_printed


# %% solution_missing
def with_all(normalized):
    # The missing layer, between the second linear layer and its ReLU.
    net = lenet(normalized)
    return nn.Sequential(*net[:13], nn.BatchNorm1d(84), *net[13:])


nets = [make_net(seed, "default", True, with_all) for seed in seeds]
for seed, net in enumerate(nets):
    train(net, post_rate, seed)
known = torch.stack([right(net, seed) for seed, net in enumerate(nets)])
all_scores = known.float().mean(1)
all_wins = int((all_scores > scores[posts_with]).sum())
print(f"median {all_scores.median():.3f} instead of {medians[posts_with]:.3f}")
print(f"better on {all_wins} of {num_seeds} seeds")


# %% solution_start
quiet_losses = []
for seed in seeds:
    net = make_net(seed, "Kaiming", normalized=False)
    with torch.no_grad():
        net[-1].weight *= 0.1  # only the last layer starts smaller
    quiet_losses.append(train(net, post_rate, seed))
quiet = torch.stack(quiet_losses)
quiet_jump = jump(quiet).median().item()
quiet_wins = int((jump(quiet) < jumps[posts_without]).sum())
print(f"first loss {quiet[:, 0].mean():.2f} instead of {start_without:.2f}")
print(f"median jump {quiet_jump:.2f} instead of {jump_posts_without:.2f}")
print(f"calmer on {quiet_wins} of {num_seeds} seeds")

# %% solution_how_many
p, wanted = 0.9, 0.02  # an accuracy, and the difference to be seen
needed = math.ceil(2 * p * (1 - p) * (1.96 / wanted) ** 2)
torch.manual_seed(0)
pairs = (torch.rand(2000, 2, needed) < p).float().mean(2)  # two equal nets
apart = (pairs[:, 0] - pairs[:, 1]).abs()
false_alarms = (apart > wanted).float().mean().item()
print(f"{needed} notes: two equal nets differ by more in {false_alarms:.1%}")

# %% check_solutions
# claim: missing-layer
assert min(all_scores.min(), scores[posts_with].min()) > 0.75

# claim: smaller-last-layer-starts-at-guessing
assert abs(quiet[:, 0].mean().item() - math.log(2)) < 0.1

# claim: notes-needed
assert 0.03 < false_alarms < 0.07
