# ---
# timeout: 400
# data: fashion_mnist
# ---

# %% momentum
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab.data import images, standardize
from reglab.stacked import StackedMLP

torch.set_num_threads(1)


def weight_of_the_old(old, new, momentum):  # MXNet, Keras, d2l-zh
    return momentum * old + (1 - momentum) * new


def weight_of_the_new(old, new, momentum):  # PyTorch
    return (1 - momentum) * old + momentum * new


# What a torch layer records, with each number.
torchs, books = 0.1, 0.9
torch.manual_seed(0)
num_steps, stream_batch = 150, 16
stream = 5 + 2 * torch.randn(num_steps, stream_batch, 1)
recorded = {}
for momentum in (torchs, books):
    layer = nn.BatchNorm1d(1, momentum=momentum)
    recorded[momentum] = []
    for batch in stream:
        layer(batch)
        recorded[momentum].append(layer.running_mean.item())

fig, ax = plt.subplots(figsize=(5.6, 3.3))
steps_axis = list(range(1, num_steps + 1))
ax.axhline(5, color="black", linestyle=":", label="true mean")
for momentum, color, line in ((books, "C1", "--"), (torchs, "C0", "-")):
    name = f"nn.BatchNorm1d, momentum={momentum}"
    curve = recorded[momentum]
    ax.plot(steps_axis, curve, color=color, linestyle=line, label=name)
ax.set_xlabel("training step")
ax.set_ylabel("running mean")
ax.set_ylim(3, 6.6)
ax.legend(loc="lower right")

# %% check_momentum
# claim: nine-tenths-there-is-one-tenth-here
by_hand = torch.zeros(1)
for step, batch in enumerate(stream):
    by_hand = weight_of_the_old(by_hand, batch.mean(0), momentum=0.9)
    assert abs(by_hand.item() - recorded[0.1][step]) < 1e-5
by_hand = torch.zeros(1)
for step, batch in enumerate(stream):
    by_hand = weight_of_the_new(by_hand, batch.mean(0), momentum=0.9)
    assert abs(by_hand.item() - recorded[0.9][step]) < 1e-5

# claim: variance-recorded-unbiased
layer = nn.BatchNorm1d(1, momentum=1.0)
layer(stream[0])
assert torch.isclose(layer.running_var[0], stream[0].var(correction=1))
assert not torch.isclose(layer.running_var[0], stream[0].var(correction=0))

# claim: noise-of-the-running-mean
torch.manual_seed(0)
many = 4000  # channels, each a repetition of the experiment
spread, predicted = {}, {}
for momentum in (0.1, 0.9):
    layer = nn.BatchNorm1d(many, momentum=momentum)
    for _ in range(100):
        layer(5 + 2 * torch.randn(stream_batch, many))
    spread[momentum] = layer.running_mean.std().item()
    variance = 4 / stream_batch * momentum / (2 - momentum)
    predicted[momentum] = math.sqrt(variance)
    assert abs(spread[momentum] / predicted[momentum] - 1) < 0.1
times_noisier = spread[0.9] / spread[0.1]
assert 3.4 < times_noisier < 4.5
batches_at_nine, batches_at_one = (2 - 0.9) / 0.9, (2 - 0.1) / 0.1

# %% evaluation
num_train, num_test, num_seeds = 2000, 1000, 10
train_set, test_set = images(num_train=num_train, num_test=num_test, seed=0)
data_source = train_set.source
train_x = standardize(train_set.images, train=train_set.images)
test_x = standardize(test_set.images, train=train_set.images)
train_x, test_x = (F.avg_pool2d(x, 2).flatten(1) for x in (train_x, test_x))
train_y, test_y = train_set.labels, test_set.labels


def make_net(momentum, seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(14 * 14, 32, bias=False),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Linear(32, 32, bias=False),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


@torch.no_grad()
def accuracy(net):
    net.eval()
    right = (net(test_x).argmax(1) == test_y).float().mean().item()
    net.train()
    return right


batch_size, train_steps, watched = 16, 250, 50


def watch(seed):
    # The same training twice; only what is recorded on the way differs.
    nets = [make_net(momentum, seed) for momentum in (torchs, books)]
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in nets]
    generator = torch.Generator().manual_seed(seed)
    found = []
    for step in range(train_steps):
        batch = torch.randint(num_train, (batch_size,), generator=generator)
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(net(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
        if step >= train_steps - watched:
            found.append([accuracy(net) for net in nets])
    pairs = zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    return torch.tensor(found), all(torch.equal(a, b) for a, b in pairs)


watched_runs = [watch(seed) for seed in range(num_seeds)]
accuracies = torch.stack([found for found, _ in watched_runs])
same_weights = all(same for _, same in watched_runs)
mean_accuracy = accuracies.mean((0, 1)).tolist()
worst = accuracies.amin(1).mean(0).tolist()  # of the last steps, over seeds
jitter = accuracies.std(1).mean(0).tolist()
print("momentum  mean accuracy  worst step  from step to step")
for i, momentum in enumerate((torchs, books)):
    numbers = f"{mean_accuracy[i]:13.3f}  {worst[i]:10.3f}  {jitter[i]:17.3f}"
    print(f"{momentum:8}  {numbers}")

# %% evaluation_figure
fig, ax = plt.subplots(figsize=(5.6, 3.3))
for i, (color, marker) in enumerate((("C0", "o"), ("C1", "s"))):
    average = accuracies[:, :, i].mean(1)
    low, high = accuracies[:, :, i].aminmax(dim=1)
    ax.errorbar(
        [seed + 0.3 * i - 0.15 for seed in range(num_seeds)],
        average,
        torch.stack([average - low, high - average]),
        color=color,
        marker=marker,
        linestyle="none",
        label=f"momentum={(torchs, books)[i]}",
    )
ax.set_xticks(range(num_seeds))
ax.set_xlabel("seed")
ax.set_ylabel("test accuracy")
ax.set_ylim(0.58, 0.86)
ax.legend(loc="upper right", ncols=2)
ax.grid(axis="x", visible=False)

# %% check_evaluation
# claim: same-training
assert same_weights

# claim: evaluation-is-noisier-and-lower
by_seed = accuracies.mean(1)
lower_wins = (by_seed[:, 0] > by_seed[:, 1]).sum().item()
noisier_wins = (accuracies.std(1)[:, 0] < accuracies.std(1)[:, 1]).sum().item()
assert lower_wins >= 9
assert noisier_wins >= 8
assert worst[0] - worst[1] > 0.01


# %% variance
def one_pass(x):
    return x.square().mean(0) - x.mean(0).square()


def two_pass(x):
    return (x - x.mean(0)).square().mean(0)


torch.manual_seed(0)
far = 1e4 + torch.randn(256, 1000)
for name, rule in (("one pass", one_pass), ("two passes", two_pass)):
    low, high = rule(far).aminmax()
    y = (far - far.mean(0)) / torch.sqrt(rule(far) + 1e-5)
    lost = y.isnan().any(0).float().mean()
    print(f"{name:10}  variance {low:7.2f} to {high:6.2f}, {lost:.0%} NaN")

# %% cancel
means = torch.logspace(0, 5, 41).tolist()
errors = {"one pass": [], "two passes": []}
for mean in means:
    torch.manual_seed(0)
    x = mean + torch.randn(256, 200)
    true = x.double().var(0, correction=0)  # of the rounded numbers, exactly
    for name, rule in (("one pass", one_pass), ("two passes", two_pass)):
        error = (rule(x) - true).abs().mean().item()
        errors[name].append(error)
rounding = [mean**2 * 2.0**-24 for mean in means]

fig, ax = plt.subplots(figsize=(5.6, 3.4))
ax.plot(means, errors["one pass"], color="C1", linestyle="--", label="one pass")
ax.plot(means, errors["two passes"], color="C0", label="two passes")
label = "$\\mu^2 \\cdot 2^{-24}$"
ax.plot(means, rounding, color="black", linestyle=":", label=label)
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_ylim(1e-9, 1e4)
ax.set_xlabel("mean of the data (their variance is 1)")
ax.set_ylabel("error of the variance")
ax.legend()

# %% check_variance
# claim: one-pass-cancels
assert one_pass(far).min() < 0
assert (one_pass(far) - 1).abs().max() > 2
assert ((far - far.mean(0)) / torch.sqrt(one_pass(far) + 1e-5)).isnan().any()
share_nan = (one_pass(far) + 1e-5 < 0).float().mean().item()
assert share_nan > 0.1

# claim: two-passes-do-not
assert (two_pass(far) - 1).abs().max() < 0.6
exact = nn.BatchNorm1d(1000).double()(far.double())
assert (nn.BatchNorm1d(1000)(far) - exact).abs().max() < 0.02
assert two_pass(far).min() > 0.5
by_two_passes = (far - far.mean(0)) / torch.sqrt(two_pass(far) + 1e-5)
assert torch.allclose(by_two_passes, nn.BatchNorm1d(1000)(far), atol=0.02)

# claim: error-grows-with-the-square
from_hundred, to_the_end = means.index(min(means, key=lambda m: abs(m - 100))), -1
grown = errors["one pass"][to_the_end] / errors["one pass"][from_hundred]
slope = math.log(grown) / math.log(means[to_the_end] / means[from_hundred])
assert 1.7 < slope < 2.3
assert errors["two passes"][to_the_end] < 1e-3 * errors["one pass"][to_the_end]

# claim: harmless-near-zero
near = torch.randn(256, 1000)
assert (one_pass(near) - two_pass(near)).abs().max() < 1e-5


# %% elu
def elu_of_one_shape(x):
    return torch.where(x > 0, x, torch.exp(x) - 1)


def elu(x, alpha=1.0):
    # expm1 keeps the digits near 0; the clamp keeps the branch that is not
    # taken from overflowing.
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


x = torch.tensor([-3.0, -1.0, -1e-4, 2.0, 100.0], requires_grad=True)
rows = {
    "x": x,
    "torch, alpha=0.5": F.elu(x, alpha=0.5),
    "ours, alpha=0.5": elu(x, alpha=0.5),
    "without alpha": elu_of_one_shape(x),
    "gradient, ours": torch.autograd.grad(elu(x).sum(), x)[0],
    "gradient, without": torch.autograd.grad(elu_of_one_shape(x).sum(), x)[0],
}
for name, values in rows.items():
    print(f"{name:17}", "".join(f"{value:9.4f}" for value in values.tolist()))

# %% check_elu
# claim: right-for-alpha-one-only
z = torch.linspace(-5, 5, 101)
assert torch.allclose(elu_of_one_shape(z), F.elu(z, alpha=1.0), atol=1e-6)
for alpha in (0.1, 0.5, 2.0):
    assert (elu_of_one_shape(z) - F.elu(z, alpha=alpha)).abs().max() > 0.4
    assert torch.allclose(elu(z, alpha), F.elu(z, alpha=alpha), atol=1e-6)

# claim: large-inputs-lose-their-gradient
(broken,) = torch.autograd.grad(elu_of_one_shape(x).sum(), x)
(sound,) = torch.autograd.grad(elu(x).sum(), x)
assert broken[-1].isnan()
assert broken[:-1].isfinite().all()
assert sound.isfinite().all()
assert sound[-1] == 1
around = torch.tensor([88.7, 88.8], requires_grad=True)
(gradient,) = torch.autograd.grad(elu_of_one_shape(around).sum(), around)
assert gradient.isnan().tolist() == [False, True]


# %% randn
def dropout_by_randn(x, p):
    mask = (torch.randn(x.shape) < 1 - p).float()
    return mask * x / (1 - p)


def dropout_by_rand(x, p):
    mask = (torch.rand(x.shape) < 1 - p).float()
    return mask * x / (1 - p)


torch.manual_seed(0)
ones = torch.ones(1_000_000)
print("          randn             rand")
print("   p   kept    mean     kept    mean")
kept, output = {}, {}
for p in (0.0, 0.2, 0.5, 0.9):
    for rule in (dropout_by_randn, dropout_by_rand):
        y = rule(ones, p)
        kept[rule.__name__, p] = (y > 0).float().mean().item()
        output[rule.__name__, p] = y.mean().item()
    print(
        f"{p:4}  {kept['dropout_by_randn', p]:5.3f}"
        f"  {output['dropout_by_randn', p]:6.3f}"
        f"    {kept['dropout_by_rand', p]:5.3f}"
        f"  {output['dropout_by_rand', p]:6.3f}"
    )

# %% keep
p_axis = torch.linspace(0, 1, 51)
normal = torch.distributions.Normal(0, 1)

fig, ax = plt.subplots(figsize=(5.6, 3.3))
ax.plot(p_axis, 1 - p_axis, color="C0", label="asked for: $1-p$")
curve = normal.cdf(1 - p_axis)
ax.plot(p_axis, curve, color="C1", linestyle="--", label="randn $< 1-p$")
curve = 1 - normal.cdf(p_axis)
ax.plot(p_axis, curve, color="C2", linestyle="-.", label="randn $> p$")
ax.set_xlabel("drop probability p")
ax.set_ylabel("share that is kept")
ax.set_ylim(0, 1.05)
ax.legend()

# %% check_randn
# claim: keeps-another-share
for p in (0.0, 0.2, 0.5, 0.9):
    share = normal.cdf(torch.tensor(1 - p)).item()
    assert abs(kept["dropout_by_randn", p] - share) < 0.003
    assert abs(kept["dropout_by_rand", p] - (1 - p)) < 0.003

# claim: drops-where-nothing-should-be-dropped
kept_at_zero = kept["dropout_by_randn", 0.0]
assert 0.83 < kept_at_zero < 0.85
assert kept["dropout_by_rand", 0.0] == 1

# claim: changes-the-mean
mean_at_half = output["dropout_by_randn", 0.5]
assert 1.37 < mean_at_half < 1.40
mean_at_nine = output["dropout_by_randn", 0.9]
assert mean_at_nine > 5
for p in (0.0, 0.2, 0.5, 0.9):
    assert abs(output["dropout_by_rand", p] - 1) < 0.02
flipped = (torch.randn(1_000_000) > 0.5).float().mean().item() / 0.5
assert 0.60 < flipped < 0.63


# %% modes
def epoch(net, optimizer, x, y, generator, restore):
    if restore:
        net.train()  # the line that was missing
    for batch in torch.randperm(len(y), generator=generator).split(50):
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()


@torch.no_grad()
def test(net):
    net.eval()
    logits = net(test_x)
    right = (logits.argmax(1) == test_y).float().mean().item()
    return F.cross_entropy(logits, test_y).item(), right


def fit(restore, seed, num_epochs=40, num_samples=500):
    torch.manual_seed(seed)
    first = [nn.Linear(14 * 14, 128), nn.ReLU(), nn.Dropout(0.5)]
    second = [nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.5)]
    net = nn.Sequential(*first, *second, nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
    generator = torch.Generator().manual_seed(seed)
    x, y = train_x[:num_samples], train_y[:num_samples]
    dropping, losses = [], []
    for _ in range(num_epochs):
        epoch(net, optimizer, x, y, generator, restore)
        dropping.append(net.training)  # what the epoch that just ran did
        loss, right = test(net)
        losses.append(loss)
    return losses, right, dropping


fits = {r: [fit(r, seed) for seed in range(num_seeds)] for r in (True, False)}
print("                    test loss  test accuracy  epochs with dropout")
for restore, name in ((True, "with net.train()"), (False, "without")):
    losses, rights, dropping = zip(*fits[restore], strict=True)
    loss = sum(run[-1] for run in losses) / num_seeds
    right = sum(rights) / num_seeds
    print(f"{name:16} {loss:12.3f} {right:14.3f} {sum(dropping[0]):20d}")

# %% forgotten
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for restore, color, line, name in (
    (True, "C0", "-", "back to training mode each epoch"),
    (False, "C1", "--", "left in evaluation mode"),
):
    curves = torch.tensor([losses for losses, _, _ in fits[restore]])
    epochs = list(range(1, curves.shape[1] + 1))
    ax.plot(epochs, curves.mean(0), color=color, linestyle=line, label=name)
    low, high = curves.aminmax(dim=0)
    ax.fill_between(epochs, low, high, color=color, alpha=0.2)
ax.set_xlabel("epoch")
ax.set_ylabel("test loss")
ax.legend()

# %% check_modes
# claim: dropout-stops-after-one-epoch
assert all(sum(dropping) == 1 for _, _, dropping in fits[False])
assert all(all(dropping) for _, _, dropping in fits[True])

# claim: test-loss-is-higher
final = {r: torch.tensor([losses[-1] for losses, _, _ in fits[r]]) for r in fits}
mode_wins = (final[True] < final[False]).sum().item()
with_train, without_train = final[True].mean().item(), final[False].mean().item()
assert mode_wins >= 9
assert without_train > 1.1 * with_train

# claim: running-statistics-freeze
layer = nn.BatchNorm1d(3)
layer(torch.randn(8, 3))
before = layer.running_mean.clone()
layer.eval()
layer(5 + torch.randn(8, 3))
assert torch.equal(layer.running_mean, before)

# %% last_relu
num_nets = 12


def logits_or_relu(make_optimizer, num_epochs=25):
    # The second half of the nets put a ReLU behind the last layer.
    starts = []
    for seed in range(num_nets):
        torch.manual_seed(seed)
        first, last = nn.Linear(14 * 14, 32), nn.Linear(32, 10)
        starts.append(nn.Sequential(first, nn.ReLU(), last))
    nets = StackedMLP(starts + starts)
    optimizer = make_optimizer(nets.parameters())
    generators = [torch.Generator().manual_seed(i) for i in range(num_nets)]
    for _ in range(num_epochs):
        orders = [torch.randperm(num_train, generator=g) for g in generators]
        for batch in torch.stack(orders).split(50, dim=1):
            plain, rectified = nets(train_x[batch].repeat(2, 1, 1)).chunk(2)
            out = torch.cat([plain, rectified.relu()]).transpose(1, 2)
            target = train_y[batch].repeat(2, 1)
            loss = F.cross_entropy(out, target, reduction="none").mean(1)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
    with torch.no_grad():
        plain, rectified = nets(test_x.expand(2 * num_nets, -1, -1)).chunk(2)
        predicted = torch.cat([plain, rectified.relu()]).argmax(2)
    right = (predicted == test_y).float().mean(1).view(2, num_nets)
    seen = F.one_hot(predicted, 10).amax(1).sum(1).view(2, num_nets)
    return right, 10 - seen


right, never = logits_or_relu(lambda p: torch.optim.Adam(p, lr=0.001))
print("                test accuracy  classes never predicted")
for i, name in enumerate(("logits", "ReLU behind them")):
    missing = never[i].float().mean()
    print(f"{name:16} {right[i].mean():12.3f} {missing:24.2f}")

# %% check_last_relu
# claim: relu-on-logits-loses-classes
relu_wins = (right[0] > right[1]).sum().item()
relu_accuracy = right.mean(1).tolist()
relu_never = never.float().mean(1).tolist()
assert relu_wins >= 10
assert relu_accuracy[0] - relu_accuracy[1] > 0.03
assert relu_never[0] == 0
assert relu_never[1] > 0.5

# claim: no-gradient-below-zero
z = torch.tensor([[-1.0, 0.5, 0.2]], requires_grad=True)
loss = F.cross_entropy(z.relu(), torch.tensor([0]))
(gradient,) = torch.autograd.grad(loss, z)
assert gradient[0, 0] == 0
(gradient,) = torch.autograd.grad(F.cross_entropy(z, torch.tensor([0])), z)
assert gradient[0, 0] < -0.5


# %% layer_norm_apart
def layer_norm_apart(x, eps=1e-6):
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True)  # divides by d - 1
    return (x - mean) / (std + eps)  # eps outside the root


torch.manual_seed(0)
print("   d   ratio to nn.LayerNorm  sqrt((d - 1) / d)")
for d in (4, 64, 512):
    x = torch.randn(1000, d)
    ratio = layer_norm_apart(x) / F.layer_norm(x, [d], eps=1e-6)
    expected = math.sqrt((d - 1) / d)
    print(f"{d:4d} {ratio.median():23.5f} {expected:18.5f}")

padding = torch.zeros(1, 64, requires_grad=True)
largest = {}
for name, y in (
    ("apart", layer_norm_apart(padding)),
    ("nn.LayerNorm", F.layer_norm(padding, [64], eps=1e-6)),
):
    (gradient,) = torch.autograd.grad(y[0, 0], padding)
    largest[name] = gradient.abs().max().item()
    print(f"gradient at a row of zeros, {name:12} {largest[name]:9.0f}")

# %% check_layer_norm_apart
# claim: smaller-by-a-constant
for d in (4, 64, 512):
    x = torch.randn(1000, d).double()
    y, theirs = layer_norm_apart(x, 0), F.layer_norm(x, [d], eps=0)
    assert torch.allclose(y, theirs * math.sqrt((d - 1) / d))

# claim: eps-outside-is-another-eps
faint = 1e-4 * torch.randn(100, 512).double()
assert layer_norm_apart(faint).std(-1).min() > 0.98
assert F.layer_norm(faint, [512], eps=1e-6).std(-1).max() < 0.2

# claim: large-gradient-at-constant-rows
assert largest["apart"] > 900 * largest["nn.LayerNorm"]


# %% solution_batches
num_recorded = 400


def spread_after(momentum, num_batches, many=2000):
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(many, momentum=momentum)
    for _ in range(num_batches):
        layer(torch.randn(stream_batch, many))
    return layer.running_mean.std().item()


slow = 2 / (100 + 1)  # (2 - m) / m = 100
one_batch = 1 / math.sqrt(stream_batch)
for name, momentum in (("momentum=2/101", slow), ("momentum=None", None)):
    ratio = (one_batch / spread_after(momentum, num_recorded)) ** 2
    print(f"{name:14} averages about {ratio:.0f} batches")
assert 80 < (one_batch / spread_after(slow, num_recorded)) ** 2 < 120
assert 340 < (one_batch / spread_after(None, num_recorded)) ** 2 < 460


# %% solution_tests
def finds_nothing(ours, theirs, inputs):
    # Forward and backward against torch, on inputs chosen to be awkward.
    for x in inputs:
        found = []
        for rule in (ours, theirs):
            leaf = x.clone().requires_grad_()
            y = rule(leaf)
            (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
            found.append((y.detach(), gradient))
        for a, b in zip(*found, strict=True):
            if not torch.allclose(a, b, rtol=1e-2, atol=1e-2):
                return False
    return True


torch.manual_seed(0)
usual = torch.randn(64, 8)
awkward = [usual, 1e4 + usual, torch.zeros(64, 8), 100 * usual]


def batch_norm_with(variance):
    return lambda x: (x - x.mean(0)) / torch.sqrt(variance(x) + 1e-5)


def torch_batch_norm(x):
    return F.batch_norm(x, None, None, training=True)


def torch_layer_norm(x):
    return F.layer_norm(x, [8])


candidates = {
    "variance, one pass": (batch_norm_with(one_pass), torch_batch_norm),
    "variance, two passes": (batch_norm_with(two_pass), torch_batch_norm),
    "ELU as in the course": (elu_of_one_shape, F.elu),
    "ELU with expm1": (elu, F.elu),
    "LayerNorm, eps apart": (layer_norm_apart, torch_layer_norm),
}
print("                      usual  awkward")
verdicts = {}
for name, (ours, theirs) in candidates.items():
    easy = finds_nothing(ours, theirs, [usual])
    hard = finds_nothing(ours, theirs, awkward)
    verdicts[name] = (easy, hard)
    shown = ["ok" if passes else "fails" for passes in (easy, hard)]
    print(f"{name:20}  {shown[0]:5}  {shown[1]}")

# %% check_solutions
# claim: awkward-inputs-find-what-usual-ones-miss
assert verdicts["variance, one pass"] == (True, False)
assert verdicts["ELU as in the course"] == (True, False)
assert verdicts["variance, two passes"] == (True, True)
assert verdicts["ELU with expm1"] == (True, True)
assert not finds_nothing(*candidates["variance, one pass"], [1e4 + usual])
assert not finds_nothing(*candidates["ELU as in the course"], [100 * usual])

# claim: usual-inputs-find-the-factor
assert verdicts["LayerNorm, eps apart"] == (False, False)


def with_the_factor_back(x):
    return layer_norm_apart(x) / math.sqrt(7 / 8)


assert finds_nothing(with_the_factor_back, torch_layer_norm, [usual])
