# ---
# timeout: 400
# data: fashion_mnist
# ---

# %% naive
import inspect
import math
import warnings
from functools import partial

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab import softmax as library
from reglab.data import garments, images, standardize
from reglab.stacked import StackedMLP

torch.set_num_threads(1)


def naive_softmax(x, dim):
    exponentials = torch.exp(x)  # the formula, word for word
    return exponentials / exponentials.sum(dim, keepdim=True)


print("   c     by the formula        by torch")
for c in (0.0, 88.0, 89.0, -88.0, -120.0):
    x = torch.tensor([c, c - 1])
    formula, theirs = naive_softmax(x, 0).tolist(), x.softmax(0).tolist()
    left = "  ".join(f"{p:6.4f}" for p in formula)
    right = "  ".join(f"{p:6.4f}" for p in theirs)
    print(f"{c:4.0f}   {left:>16}  {right:>16}")

# %% working_range
types = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
expected = math.e / (math.e + 1)


def works(softmax, c, dtype):
    p = softmax(torch.tensor([c, c - 1.0], dtype=torch.double).to(dtype), 0)
    return abs(p[0].item() - expected) < 0.05


sizes = range(-1000, 1001)
naive_good, torch_good = (
    {str(dtype).removeprefix("torch."): [c for c in sizes if works(softmax, c, dtype)] for dtype in types}
    for softmax in (naive_softmax, torch.softmax)
)
naive_range = {name: (good[0], good[-1]) for name, good in naive_good.items()}
torch_range = {name: (good[0], good[-1]) for name, good in torch_good.items()}

# %% range_figure
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for shift, color, ranges, label in (
    (0.18, "C1", naive_range, "the formula as it stands"),
    (-0.18, "C0", torch_range, "with the maximum subtracted"),
):
    for row, (low, high) in enumerate(ranges.values()):
        # An entry in the legend for the first row only.
        ax.hlines(row + shift, low, high, color=color, lw=7, label=label if row == 0 else None)
        if high < sizes[-1]:
            reach = f"[{low}, {high}]".replace("-", "\u2212")
            ax.text(high + 20, row + shift, reach, va="center")
ax.set_yticks(range(len(types)), list(naive_range))
ax.set_xlim(sizes[0], sizes[-1])
ax.set_ylim(-0.6, 4.6)
ax.set_xlabel("size c of the logits")
ax.legend(loc="upper center", ncols=1)
ax.grid(axis="y", visible=False)

# %% check_naive
# claim: overflow-gives-nan
assert torch.tensor(88.0).exp().isfinite()
assert torch.tensor(89.0).exp().isinf()
assert naive_softmax(torch.tensor([89.0, 88.0]), 0)[0].isnan()
assert torch.tensor(709.0).double().exp().isfinite()
assert torch.tensor(710.0).double().exp().isinf()

# claim: underflow-gives-nan-too
assert naive_softmax(torch.tensor([-120.0, -121.0]), 0).isnan().all()

# claim: torch-subtracts-the-maximum
for dtype in (torch.float32, torch.float64):
    for c in (-1e5, -750.0, -90.0, 0.0, 90.0, 750.0, 1e5):
        assert works(torch.softmax, c, dtype)
hidden = torch.tensor([1e30, -1e30, 0.0]).softmax(0)
assert hidden.tolist() == [1.0, 0.0, 0.0]

# claim: ranges-of-the-formula
assert naive_range["float32"][1] == 88
assert naive_range["float64"][1] == 709
assert naive_range["float16"][1] <= 11
assert naive_range["bfloat16"][1] == 88
for name, (low, high) in naive_range.items():
    assert naive_good[name] == list(range(low, high + 1))

# claim: ranges-of-torch
for name in ("float16", "float32", "float64"):
    assert torch_good[name] == list(sizes)
assert torch_good["bfloat16"] == list(range(-255, 257))


# %% scratch
def softmax(x, dim):
    # The largest exponent becomes 0: no overflow, and the sum is at least 1.
    shifted = x - x.detach().amax(dim, keepdim=True)
    exponentials = torch.exp(shifted)
    return exponentials / exponentials.sum(dim, keepdim=True)


def log_softmax(x, dim):
    shifted = x - x.detach().amax(dim, keepdim=True)
    return shifted - torch.log(torch.exp(shifted).sum(dim, keepdim=True))


def cross_entropy(logits, target):
    log_p = log_softmax(logits, 1)
    return -log_p.gather(1, target.unsqueeze(1)).mean()


# %% check_scratch
def with_gradient(function, x, *rest):
    leaf = x.clone().requires_grad_()
    y = function(leaf, *rest)
    torch.manual_seed(1)
    (gradient,) = torch.autograd.grad(y, leaf, torch.randn_like(y))
    return y.detach(), gradient


def agree(ours, theirs, x, *rest):
    found = zip(with_gradient(ours, x, *rest), with_gradient(theirs, x, *rest), strict=True)
    tolerance = 1e-5 if x.dtype == torch.float32 else 1e-12
    return all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in found)


# claim: scratch-equals-torch
torch.manual_seed(0)
for dtype in (torch.float32, torch.float64):
    for scale, mean in ((1, 0), (30, 0), (1000, 0), (1, 1e4), (1, -1e4)):
        x = (mean + scale * torch.randn(6, 10, dtype=torch.double)).to(dtype)
        target = torch.randint(10, (6,))
        for dim in (0, 1):
            assert agree(softmax, torch.softmax, x, dim)
            assert agree(library.softmax, torch.softmax, x, dim)
            assert agree(log_softmax, torch.log_softmax, x, dim)
            assert agree(library.log_softmax, torch.log_softmax, x, dim)
        assert agree(cross_entropy, F.cross_entropy, x, target)
        assert agree(library.cross_entropy, F.cross_entropy, x, target)

# claim: log-sum-exp-loses-digits
x = torch.tensor([1e7, 1e7])
assert torch.allclose(library.log_softmax(x, 0), torch.tensor(-math.log(2)))
assert not torch.allclose(x - x.logsumexp(0), torch.tensor(-math.log(2)), atol=0.1)


# %% modules
class ScoresToProbabilities(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(100, 10)
        self.softmax = nn.Softmax(dim=1)  # the 10 classes

    def forward(self, x):
        return self.softmax(self.linear(x))


torch.manual_seed(0)
batch = torch.randn(4, 100)
probabilities = ScoresToProbabilities()(batch)
print("shape", tuple(probabilities.shape))
print("sum of each row ", [f"{s:.4f}" for s in probabilities.sum(1).tolist()])
print("sum of column 0 ", f"{probabilities[:, 0].sum():.4f}")


# %% classifier
class MultiClassClassifier(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.layer1 = nn.Linear(input_size, hidden_size)
        self.layer2 = nn.Linear(hidden_size, hidden_size)
        self.layer3 = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)  # logits: the softmax is in the loss


torch.manual_seed(0)
model = MultiClassClassifier(100, 32, 10)
labels = torch.randint(10, (4,))
logits = model(batch)
print(f"loss to train with     {nn.CrossEntropyLoss()(logits, labels):.4f}")
log_p = logits.log_softmax(1)
print(f"log_softmax + NLLLoss  {nn.NLLLoss()(log_p, labels):.4f}")
print("predicted classes     ", logits.argmax(1).tolist())
highest_p = logits.softmax(1).amax(1).tolist()
print("their probabilities   ", [f"{p:.3f}" for p in highest_p])

# %% check_modules
# claim: rows-sum-to-one-along-dim
assert torch.allclose(probabilities.sum(1), torch.ones(4))
assert (probabilities > 0).all()
assert not torch.allclose(probabilities.sum(0), torch.ones(10), atol=0.1)

# claim: module-and-function-are-one
x = torch.randn(3, 5)
assert torch.equal(nn.Softmax(dim=1)(x), F.softmax(x, dim=1))
assert torch.equal(F.softmax(x, dim=1), x.softmax(1))
assert list(inspect.signature(nn.Softmax).parameters) == ["dim"]
assert inspect.signature(nn.Softmax).parameters["dim"].default is None
assert not list(nn.Softmax(dim=1).parameters())

# claim: cross-entropy-is-log-softmax-and-nll
torch.manual_seed(0)
for scale in (1, 100, 1e4):
    x, y = scale * torch.randn(64, 10), torch.randint(10, (64,))
    two_steps = nn.NLLLoss()(x.log_softmax(1), y)
    assert torch.equal(nn.CrossEntropyLoss()(x, y), two_steps)

# claim: predictions-need-no-softmax
x = 5 * torch.randn(1000, 10)
assert torch.equal(x.argmax(1), x.softmax(1).argmax(1))

# claim: one-output-depends-on-all-inputs
x = torch.zeros(3, requires_grad=True)
(sensitivity,) = torch.autograd.grad(x.softmax(0)[0], x)
assert (sensitivity != 0).all()

# %% invariance
scores = torch.tensor([2.0, 1.0, 0.0, -1.0, -3.0])
standardized = (scores - scores.mean()) / scores.std(correction=0)
changes = {
    "x": scores,
    "x + 100": scores + 100,
    "3 x": 3 * scores,
    "x / 3": scores / 3,
    "standardized": standardized,
}
for name, changed in changes.items():
    shown = "  ".join(f"{p:.3f}" for p in changed.softmax(0).tolist())
    print(f"{name:12}  {shown}")

# %% temperature
temperatures = torch.logspace(-1.3, 1.7, 80)
by_temperature = (scores / temperatures.unsqueeze(1)).softmax(1)

fig, ax = plt.subplots(figsize=(5.6, 3.4))
styles = ("-", "--", "-.", ":", "-")
for i, (score, style) in enumerate(zip(scores.tolist(), styles, strict=True)):
    curve = by_temperature[:, i]
    label = f"$x={score:g}$"
    ax.plot(temperatures, curve, color=f"C{i}", linestyle=style, label=label)
ax.axvline(1, color="black", lw=0.8)
ax.set_xscale("log")
ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.minorticks_off()
ax.set_xlabel("temperature T")
ax.set_ylabel("probability")
ax.legend()

# %% knob
knob = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
knob_rows = (scores / torch.tensor(knob).unsqueeze(1)).softmax(1)
knob_shares = knob_rows.tolist()
for position, row in enumerate(knob_shares):
    fig, ax = plt.subplots(num=f"knob_{position}", figsize=(5.6, 2.2))
    bars = ax.bar(range(len(scores)), row, color="C0", width=0.6)
    ax.bar_label(bars, labels=[f"{share:.3f}" for share in row], padding=2)
    ax.set_ylim(0, 1.15)
    ax.set_xticks(range(len(scores)), [f"$x={score:g}$" for score in scores.tolist()])
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("probability")
    ax.grid(axis="x", visible=False)

# %% check_invariance
# claim: shifts-change-nothing
torch.manual_seed(0)
x = torch.randn(1000, 10).double()
shift = 50 * torch.randn(1000, 1).double()
assert torch.allclose((x + shift).softmax(1), x.softmax(1), atol=1e-12)

# claim: scaling-changes-the-result
confident, flat = (3 * x).softmax(1).amax(1), (x / 3).softmax(1).amax(1)
assert (confident > x.softmax(1).amax(1)).all()
assert (flat < x.softmax(1).amax(1)).all()
assert torch.equal((3 * x).argmax(1), x.argmax(1))

# claim: temperature-goes-from-argmax-to-uniform
assert by_temperature[0, 0] > 0.999
assert (by_temperature[-1] - 0.2).abs().max() < 0.05

# claim: temperature-keeps-the-order
assert (knob_rows.argsort(1) == scores.argsort()).all()
assert (knob_rows.amax(1).diff() < 0).all() and (knob_rows.amin(1).diff() > 0).all()

# claim: standardizing-caps-the-confidence
# The best case: one logit stands out, the other nine are equal.
spike = torch.zeros(10).double()
spike[0] = 1000
capped = ((spike - spike.mean()) / spike.std(correction=0)).softmax(0)[0].item()
floor_of_standardized = -math.log(capped)
assert math.isclose(capped, 1 / (1 + 9 * math.exp(-10 / 3)))
z = 100 * torch.randn(10_000, 10).double()
z = (z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True, correction=0)
assert z.softmax(1).max() < capped
assert spike.softmax(0)[0] == 1

# %% jacobian
torch.manual_seed(0)
x = torch.randn(5).double()
p = x.softmax(0)
jacobian = torch.autograd.functional.jacobian(lambda x: x.softmax(0), x)
by_formula = torch.diag(p) - torch.outer(p, p)
for name, matrix in (("autograd", jacobian), ("diag(p) - p pᵀ", by_formula)):
    first_row = "".join(f"{value:8.3f}" for value in matrix[0].tolist())
    print(f"{name:15} first row {first_row}")

one_hot = F.one_hot(torch.tensor(2), 5)
leaf = x.clone().requires_grad_()
(gradient,) = torch.autograd.grad(-leaf.log_softmax(0)[2], leaf)
for name, values in (("p", p), ("p - y", p - one_hot), ("autograd", gradient)):
    print(f"{name:25}", "".join(f"{value:8.3f}" for value in values.tolist()))

# %% check_jacobian
# claim: jacobian-formula
assert torch.allclose(jacobian, by_formula, atol=1e-12)
assert torch.allclose(jacobian.sum(1), torch.zeros(5).double(), atol=1e-12)
assert torch.allclose(jacobian, jacobian.T)

# claim: gradient-is-p-minus-y
assert torch.allclose(gradient, p - one_hot, atol=1e-12)

# %% twice
num_classes = 10
lowest_of_two = math.log(1 + 1 / math.e)
# The best and the worst that a second softmax can be given: all on one class.
lowest = -math.log(math.e / (math.e + num_classes - 1))
highest = -math.log(1 / (math.e + num_classes - 1))
print(f"softmax before the loss: from {lowest:.4f} to {highest:.4f}")
print(f"with all classes equal:  {math.log(num_classes):.4f}")


def gradient_at(lead, twice):
    # One logit, that of the right class, leads the nine others by `lead`.
    z = torch.zeros(1, num_classes).double()
    z[0, 0] = lead
    z.requires_grad_()
    out = z.softmax(1) if twice else z
    (g,) = torch.autograd.grad(F.cross_entropy(out, torch.tensor([0])), z)
    return -g[0, 0].item()


leads = torch.linspace(-8, 12, 121).tolist()
push_once = [gradient_at(lead, twice=False) for lead in leads]
push_twice = [gradient_at(lead, twice=True) for lead in leads]
start_ratio = gradient_at(0.0, twice=False) / gradient_at(0.0, twice=True)

fig, ax = plt.subplots(figsize=(5.6, 3.2))
ax.plot(leads, push_once, color="C0", label="logits into the loss")
label = "softmax before the loss"
ax.plot(leads, push_twice, color="C1", linestyle="--", label=label)
ax.axvline(0, color="black", lw=0.8)
ax.set_xlabel("lead of the right class's logit")
ax.set_ylabel("push on that logit")
ax.legend()

# %% check_twice
# claim: floor-and-ceiling
torch.manual_seed(0)
for scale in (0.1, 1, 10, 100, 1000):
    z = scale * torch.randn(10_000, num_classes).double()
    y = torch.randint(num_classes, (10_000,))
    losses = F.cross_entropy(z.softmax(1), y, reduction="none")
    assert losses.min() >= lowest - 1e-12
    assert losses.max() <= highest + 1e-12
assert math.isclose(losses.min(), lowest, rel_tol=1e-6)
assert math.isclose(losses.max(), highest, rel_tol=1e-6)
assert math.isclose(highest - lowest, 1)

# claim: one-tenth-at-the-start
assert math.isclose(start_ratio, num_classes)

# claim: no-push-where-it-is-needed
assert push_once[0] > 0.99
assert push_twice[0] < 0.01
assert max(push_twice) < 0.25

# claim: almost-linear-in-the-probability
z = 10 * torch.randn(10_000, num_classes).double()
y = torch.randint(num_classes, (10_000,))
p = z.softmax(1)
right = p.gather(1, y.unsqueeze(1)).squeeze(1)
gap = F.cross_entropy(p, y, reduction="none") - (highest - right)
assert gap.max() < 1e-9
assert gap.min() > -0.06

# claim: log-softmax-twice-is-harmless
assert torch.allclose(z.log_softmax(1).log_softmax(1), z.log_softmax(1))

# %% data
num_seeds, num_train, num_test = 12, 2000, 1000
hidden_size, batch_size, num_epochs = 32, 50, 25


def prepare(train_set, test_set):
    # 14×14 is enough here, and four times as fast.
    train_x = standardize(train_set.images, train=train_set.images)
    test_x = standardize(test_set.images, train=train_set.images)
    train_x = F.avg_pool2d(train_x, 2).flatten(1)
    test_x = F.avg_pool2d(test_x, 2).flatten(1)
    return train_x, train_set.labels, test_x, test_set.labels


train_set, test_set = images(num_train=num_train, num_test=num_test, seed=0)
data_source = train_set.source
data = prepare(train_set, test_set)
train_x, train_y, test_x, test_y = data


# %% train
def make_net(seed):
    torch.manual_seed(seed)
    first, last = nn.Linear(14 * 14, hidden_size), nn.Linear(hidden_size, 10)
    return nn.Sequential(first, nn.ReLU(), last)


def train(make_optimizer, train_x, train_y, test_x, test_y):
    # The first half of the nets give the loss their logits, the second half a
    # softmax of them. Both halves start from the same weights, and a seed's
    # two nets see the same batches.
    seeds = range(num_seeds)
    starts = [make_net(seed) for seed in seeds]
    nets = StackedMLP(starts + starts)
    optimizer = make_optimizer(nets.parameters())
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    losses, accuracies = [], []
    for _ in range(num_epochs):
        orders = [torch.randperm(num_train, generator=g) for g in generators]
        batches = torch.stack(orders).split(batch_size, dim=1)
        epoch_losses = []
        for batch in batches:
            once, twice = nets(train_x[batch].repeat(2, 1, 1)).chunk(2)
            out = torch.cat([once, twice.softmax(2)]).transpose(1, 2)
            target = train_y[batch].repeat(2, 1)
            loss = F.cross_entropy(out, target, reduction="none").mean(1)
            optimizer.zero_grad()
            loss.sum().backward()  # to each net the gradient of its own loss
            optimizer.step()
            epoch_losses.append(loss.detach())
        with torch.no_grad():
            logits = nets(test_x.expand(2 * num_seeds, -1, -1))
        losses.append(torch.stack(epoch_losses).mean(0))
        accuracies.append((logits.argmax(2) == test_y).float().mean(1))
    by_kind = (2, num_seeds, num_epochs)  # logits or softmax, seed, epoch
    loss = torch.stack(losses, dim=1).reshape(by_kind)
    accuracy = torch.stack(accuracies, dim=1).reshape(by_kind)
    return loss, accuracy, logits.reshape(2, num_seeds, num_test, 10)


# %% runs
sgd_rates, adam_rates = (0.03, 0.1, 0.3, 1.0), (0.001, 0.003, 0.01)
runs = {}
for rate in sgd_rates:
    runs["SGD", rate] = train(partial(torch.optim.SGD, lr=rate), *data)
for rate in adam_rates:
    runs["Adam", rate] = train(partial(torch.optim.Adam, lr=rate), *data)

# Three sets of drawn pictures, since all nets of a set learn from the same.
num_drawn = 3
drawn_accuracy = []
for number in range(num_drawn):
    drawn_train = garments(num_train // 10, seed=2 * number)
    drawn_test = garments(num_test // 10, seed=2 * number + 1)
    drawn = prepare(drawn_train, drawn_test)
    drawn_run = train(partial(torch.optim.Adam, lr=0.003), *drawn)
    drawn_accuracy.append(drawn_run[1][..., -1])
drawn_accuracy = torch.stack(drawn_accuracy, dim=1)  # (2, sets, seeds)

print("              test accuracy          better   classes never predicted")
print("            logits  softmax first    logits     logits  softmax first")
missing = {}
for (name, rate), (_, accuracy, logits) in runs.items():
    once, twice = accuracy[..., -1]
    better = (once > twice).sum().item()
    seen = F.one_hot(logits.argmax(3), num_classes).amax(2)  # by any picture
    missing[name, rate] = (num_classes - seen.sum(2)).float().mean(1).tolist()
    never_once, never_twice = missing[name, rate]
    print(
        f"{name:4} {rate:5g}   {once.mean():6.3f}  {twice.mean():13.3f}"
        f"  {better:5d} of {num_seeds}  {never_once:9.2f}  {never_twice:13.2f}"
    )

# %% curves
shown_rate = 0.1
loss, accuracy, _ = runs["SGD", shown_rate]
epochs = list(range(1, num_epochs + 1))

fig, (left, right) = plt.subplots(1, 2, figsize=(5.6, 3.3))
for ax, curves in ((left, loss), (right, accuracy)):
    for kind, color, line in ((0, "C0", "-"), (1, "C1", "--")):
        name = "logits" if kind == 0 else "softmax first"
        ax.plot(epochs, curves[kind].mean(0), color=color, linestyle=line, label=name)
        low, high = curves[kind].aminmax(dim=0)
        ax.fill_between(epochs, low, high, color=color, alpha=0.2)
    ax.set_xlabel("epoch")
left.axhline(lowest, color="black", linestyle=":", lw=1.2)
left.text(num_epochs, lowest + 0.04, "floor", ha="right")
left.set_ylim(0, 2.4)
left.set_title("training loss")
right.set_title("test accuracy")
right.set_ylim(0.1, 0.9)
right.legend(loc="lower right")

# %% rates
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.3), sharey=True)
for ax, name, rates in zip(axes, ("SGD", "Adam"), (sgd_rates, adam_rates), strict=True):
    finals = torch.stack([runs[name, rate][1][..., -1] for rate in rates], dim=1)
    for kind, color, marker in ((0, "C0", "o"), (1, "C1", "s")):
        means = finals[kind].mean(1)
        low, high = finals[kind].aminmax(dim=1)
        label = "logits" if kind == 0 else "softmax first"
        reach = torch.stack([means - low, high - means])
        shift = 0.96 if kind == 0 else 1.04  # side by side, not on top of each other
        ax.errorbar(
            [rate * shift for rate in rates],
            means,
            reach,
            color=color,
            marker=marker,
            label=label,
        )
    ax.set_xscale("log")
    ax.margins(x=0.1)
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set_xlabel("learning rate")
    ax.set_title(name)
axes[0].set_ylabel("test accuracy")
axes[0].legend(loc="lower left")

# %% check_runs
final = {key: accuracy[..., -1] for key, (_, accuracy, _) in runs.items()}
wins = {key: (once > twice).sum().item() for key, (once, twice) in final.items()}
means = {key: accuracy.mean(1) for key, accuracy in final.items()}
best_once = max(means[key][0].item() for key in runs if key[0] == "SGD")
best_twice = max(means[key][1].item() for key in runs if key[0] == "SGD")
best_adam_once = max(means[key][0].item() for key in runs if key[0] == "Adam")
best_adam_twice = max(means[key][1].item() for key in runs if key[0] == "Adam")
shown_wins = wins["SGD", shown_rate]
shown_loss = runs["SGD", shown_rate][0][..., -1].mean(1).tolist()
shown_accuracy = means["SGD", shown_rate].tolist()
shown_missing = missing["SGD", shown_rate][1]
sgd_gap, adam_gap = best_once - best_twice, best_adam_once - best_adam_twice

# claim: loss-stays-above-the-floor
for _, (loss, _, _) in runs.items():
    assert loss[1].min() > lowest
assert shown_loss[0] < lowest / 2

# claim: worse-at-the-same-rate
for rate in (0.03, 0.1, 0.3):
    assert wins["SGD", rate] >= 9
assert shown_accuracy[0] - shown_accuracy[1] > 0.02

# claim: worse-at-each-ones-best-rate
assert best_once > best_twice

# claim: better-where-the-rate-is-far-too-large
assert wins["SGD", 1.0] <= 2

# claim: adam-narrows-the-gap
assert adam_gap < sgd_gap
assert best_adam_once > best_once - 0.01

# claim: on-drawn-pictures-no-clear-winner
drawn_means = drawn_accuracy.mean((1, 2)).tolist()
drawn_wins = (drawn_accuracy[0] > drawn_accuracy[1]).sum(1).tolist()
num_drawn_wins, num_drawn_pairs = sum(drawn_wins), num_drawn * num_seeds
assert abs(drawn_means[0] - drawn_means[1]) < 0.02
assert 0.2 < num_drawn_wins / num_drawn_pairs < 0.8

# claim: whole-classes-are-missing
for key in runs:
    assert key == ("SGD", 1.0) or missing[key][0] == 0
assert missing["SGD", 0.1][1] >= 0.5

# %% calibration
edges = torch.linspace(0, 1, 11)


def reliability(logits):
    # For each net and each tenth of confidence: how sure, and how often right.
    confidence, predicted = logits.softmax(-1).max(-1)
    right = (predicted == test_y).float()
    bins = torch.bucketize(confidence, edges[1:-1])
    inside = F.one_hot(bins, 10).float()  # (nets, samples, bins)
    count = inside.sum(1)
    sure = (inside * confidence.unsqueeze(2)).sum(1)
    accurate = (inside * right.unsqueeze(2)).sum(1)
    # The expected calibration error: gaps weighted by how many there are.
    error = (sure - accurate).abs().sum(1) / num_test
    return (sure, accurate, count), confidence.mean(1), right.mean(1), error


calibrated_from = ("Adam", 0.003)
once, twice = (reliability(logits) for logits in runs[calibrated_from][2])
print("             mean confidence  accuracy  calibration error")
for name, found in (("logits", once), ("softmax first", twice)):
    sure, right, error = (values.mean() for values in found[1:])
    print(f"{name:13} {sure:14.3f} {right:9.3f} {error:18.3f}")

# %% calibration_figure
fig, ax = plt.subplots(figsize=(5.6, 3.6))
ax.plot([0, 1], [0, 1], color="black", lw=1, linestyle=":", label="perfect")
for found, color, marker, name in (
    (once, "C0", "o", "logits"),
    (twice, "C1", "s", "softmax first"),
):
    sure, accurate, count = found[0]
    enough = count.amin(0) >= 10  # in every net
    sure, accurate = (sure / count)[:, enough], (accurate / count)[:, enough]
    x = sure.mean(0)
    ax.plot(x, accurate.mean(0), color=color, marker=marker, label=name)
    low, high = accurate.aminmax(dim=0)
    ax.fill_between(x, low, high, color=color, alpha=0.2)
ax.set_xlabel("confidence")
ax.set_ylabel("accuracy")
ax.set_xlim(0.3, 1)
ax.set_ylim(0.2, 1)
ax.legend(loc="upper left")

# %% check_calibration
confidence_once, confidence_twice = once[1].mean().item(), twice[1].mean().item()
accuracy_once, accuracy_twice = once[2].mean().item(), twice[2].mean().item()
ece_once, ece_twice = once[3].mean().item(), twice[3].mean().item()

# claim: more-confident-than-right
assert (once[1] > once[2]).all()
assert ece_once > 0.02

# claim: softmax-first-is-more-overconfident
assert (twice[3] > once[3]).all()
assert ece_twice > 1.5 * ece_once

# %% trap_dim
torch.manual_seed(0)
sequences = torch.randn(8, 5, 3)  # batch, time, classes
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    implicit = nn.Softmax()(sequences)
print("warning:", str(caught[0].message).split(".")[0])
choices = {
    "no dim": implicit,
    "dim=1": sequences.softmax(1),
    "dim=-1": sequences.softmax(-1),
}
for name, p in choices.items():
    low, high = p.sum(-1).aminmax()
    print(f"{name:7} sums over the classes from {low:.3f} to {high:.3f}")

# %% trap_nll
torch.manual_seed(0)
logits, labels = 3 * torch.randn(200, 10), torch.randint(10, (200,))
p = logits.softmax(1)
negative_loss = F.nll_loss(p, labels).item()
log_loss = F.nll_loss(p.log(), labels).item()
honest_loss = F.cross_entropy(logits, labels).item()
print(f"NLLLoss of probabilities     {negative_loss:8.4f}")
print(f"NLLLoss of log-probabilities {log_loss:8.4f}")
print(f"cross entropy of the logits  {honest_loss:8.4f}")

# %% trap_log
far = torch.tensor([0.0, 120.0], requires_grad=True)
two_steps = far.softmax(0).log()[0]
one_step = far.log_softmax(0)[0]
for name, value in (("log(softmax)", two_steps), ("log_softmax", one_step)):
    (gradient,) = torch.autograd.grad(value, far)
    print(f"{name:13} {value.item():6.0f}, gradient {gradient.tolist()}")

# %% trap_mask
torch.manual_seed(0)
scores = torch.randn(3, 4)
values = torch.randn(4, 2, requires_grad=True)
hidden = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()


def attend(scores):
    output = scores.masked_fill(hidden, -torch.inf).softmax(1) @ values
    # The row where everything is hidden is not used.
    return torch.autograd.grad(output[0].sum() + output[2].sum(), values)[0]


print("row 1 hidden: gradient", attend(scores)[0].tolist())

nothing_left = hidden.all(1, keepdim=True)
weights = scores.masked_fill(hidden & ~nothing_left, -torch.inf).softmax(1)
weights = weights.masked_fill(nothing_left, 0)
output = weights @ values
(repaired,) = torch.autograd.grad(output[0].sum() + output[2].sum(), values)
print("repaired:     gradient", [f"{g:.3f}" for g in repaired[0].tolist()])

# %% trap_half
half = torch.tensor([0.0, 20.0], dtype=torch.float16)
print("float16: softmax    ", half.softmax(0).tolist())
print("         its log    ", half.softmax(0).log().tolist())
print("         log_softmax", half.log_softmax(0).tolist())
many = torch.zeros(1000, dtype=torch.bfloat16).softmax(0)
one = many[0].item()
print(f"bfloat16: 1000 times {one:.7f} is {1000 * one:.4f}")

# %% check_traps
# claim: without-dim-over-the-batch
assert "Implicit dimension choice" in str(caught[0].message)
assert torch.equal(implicit, sequences.softmax(0))
for shape, chosen in (((), 0), ((4,), 0), ((4, 5), 1), ((4, 5, 3), 0), ((2, 5, 4, 3), 1)):
    x = torch.randn(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(nn.Softmax()(x), x.softmax(chosen))
assert not torch.allclose(implicit.sum(-1), torch.ones(8, 5), atol=0.1)

# claim: dim-one-is-not-always-the-classes
assert not torch.allclose(choices["dim=1"].sum(-1), torch.ones(8, 5), atol=0.1)
assert torch.allclose(choices["dim=-1"].sum(-1), torch.ones(8, 5))
pictures = torch.randn(2, 10, 4, 4)
per_pixel = pictures.softmax(1)
assert torch.allclose(per_pixel.sum(1), torch.ones(2, 4, 4))
assert not torch.allclose(pictures.softmax(-1).sum(1), torch.ones(2, 4, 4), atol=0.1)
pixel_labels = torch.randint(10, (2, 4, 4))
one_pixel_a_row = pictures.permute(0, 2, 3, 1).flatten(0, 2)
assert torch.allclose(
    F.cross_entropy(pictures, pixel_labels),
    F.cross_entropy(one_pixel_a_row, pixel_labels.flatten()),
)

# claim: nll-of-probabilities-is-negative
assert -1 < negative_loss < 0
assert abs(log_loss - honest_loss) < 1e-5

# claim: log-of-softmax-is-infinite
assert two_steps == -torch.inf
assert one_step == -120
(broken,) = torch.autograd.grad(far.softmax(0).log()[0], far)
assert broken.isnan().any()
(sound,) = torch.autograd.grad(far.log_softmax(0)[0], far)
assert torch.equal(sound, torch.tensor([1.0, -1.0]))

# claim: a-hidden-row-poisons-the-rest
assert attend(scores).isnan().all()
assert repaired.isfinite().all()
query = torch.randn(1, 3, 4)
seen = F.scaled_dot_product_attention(query, query, query, attn_mask=~hidden[:, :3])
assert (seen[0, 1] == 0).all()
assert seen.isfinite().all()

# claim: half-precision
assert half.softmax(0).log()[0] == -torch.inf
assert half.log_softmax(0)[0] == -20
assert torch.tensor([0.0, 17.0]).half().softmax(0)[0] > 0
assert torch.tensor([0.0, 17.5]).half().softmax(0)[0] == 0
assert abs(1000 * many[0].item() - 1) > 1e-4

# %% solution_sigmoid
torch.manual_seed(0)
a, b = torch.randn(2, 1000).double()
two_class = torch.stack([a, b], dim=1)
assert torch.allclose(two_class.softmax(1)[:, 0], torch.sigmoid(a - b))
one = F.binary_cross_entropy_with_logits(a - b, torch.ones(1000).double())
other = F.cross_entropy(two_class, torch.zeros(1000, dtype=torch.long))
assert torch.isclose(one, other)
print(f"the two losses: {one:.6f} and {other:.6f}")

# %% solution_temperature
# Half of the test pictures choose the temperature, the other half judge it.
choose, judge = slice(0, num_test // 2), slice(num_test // 2, num_test)
candidates = torch.linspace(0.5, 5, 91)
logits = runs[calibrated_from][2][0]


def calibration_error(logits, labels):
    confidence, predicted = logits.softmax(1).max(1)
    bins = torch.bucketize(confidence, edges[1:-1])
    gaps = (predicted == labels).float() - confidence
    gap = torch.zeros(10).index_add(0, bins, gaps)
    return gap.abs().sum().item() / len(labels)


best_t, before, after, same_order = [], [], [], []
for of_net in logits:
    chosen, labels = of_net[choose], test_y[choose]
    losses = [F.cross_entropy(chosen / t, labels) for t in candidates]
    best_t.append(candidates[torch.stack(losses).argmin()].item())
    before.append(calibration_error(of_net[judge], test_y[judge]))
    cooled = of_net[judge] / best_t[-1]
    after.append(calibration_error(cooled, test_y[judge]))
    same_order.append(torch.equal(cooled.argmax(1), of_net[judge].argmax(1)))
mean_before, mean_after = sum(before) / num_seeds, sum(after) / num_seeds
print(f"temperatures from {min(best_t):.2f} to {max(best_t):.2f}")
print(f"calibration error {mean_before:.3f} before, {mean_after:.3f} after")

# %% solution_noise
torch.manual_seed(0)
share_wrong = 0.4
wrong = torch.rand(num_train) < share_wrong
noisy_y = torch.where(wrong, torch.randint(10, (num_train,)), train_y)
noisy_data = train_x, noisy_y, test_x, test_y
_, noisy_accuracy, _ = train(partial(torch.optim.Adam, lr=0.003), *noisy_data)
clean_once, clean_twice = noisy_accuracy[..., -1]
noisy_wins = (clean_twice > clean_once).sum().item()
peak_once, peak_twice = noisy_accuracy.mean(1).amax(1)
print("            logits  softmax first")
print(f"last epoch  {clean_once.mean():6.3f}  {clean_twice.mean():13.3f}")
print(f"best epoch  {peak_once:6.3f}  {peak_twice:13.3f}")
print(f"softmax first is better in {noisy_wins} of {num_seeds} seeds")

# %% check_solutions
# claim: temperature-repairs-the-confidence
assert min(best_t) > 1
assert mean_after < 0.8 * mean_before

# claim: temperature-keeps-the-predictions
assert all(same_order)

# claim: softmax-first-wins-on-wrong-labels
assert noisy_wins >= 10
assert clean_twice.mean() > clean_once.mean()

# claim: softmax-first-wins-at-the-best-epochs
assert peak_twice > peak_once
