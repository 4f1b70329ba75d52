# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% rms_scratch
import copy
import inspect
import math
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import distributed, nn
from torch.func import grad, vmap
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from reglab.data import images, standardize
from reglab.local_response_norm import local_response_norm
from reglab.rms_norm import RMSNorm as LibraryRMSNorm
from reglab.spectral_norm import (
    SpectralNorm,
    conv_operator_norm,
    power_iteration,
)
from reglab.sync_batch_norm import sync_backward, sync_forward
from reglab.weight_norm import WeightNorm
from reglab.weight_standardization import WSConv2d, standardize_weight

torch.set_num_threads(1)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=None):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))  # gamma; no beta

    def forward(self, x):
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        mean_square = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + eps) * self.weight


# %% check_rms_scratch
def all_gradients(layer, x, upstream):
    leaf = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(leaf)
    y.backward(upstream)
    return [y, leaf.grad, *(p.grad.clone() for p in layer.parameters())]


def agree(one, other, **tolerance):
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(a, b, **tolerance) for a, b in pairs)


# claim: rms-scratch-equals-torch
torch.manual_seed(0)
x, upstream = torch.randn(2, 8, 10, 16).double()
for eps in (None, 1e-5):
    for training in (True, False):
        theirs = nn.RMSNorm(16, eps=eps).double().train(training)
        nn.init.normal_(theirs.weight)
        reference = all_gradients(theirs, x, upstream)
        for ours in (RMSNorm(16, eps), LibraryRMSNorm(16, eps)):
            ours.double().train(training).load_state_dict(theirs.state_dict())
            assert agree(all_gradients(ours, x, upstream), reference)

# claim: rms-gradient-formula
leaf = x.clone().requires_grad_()
F.rms_norm(leaf, [16], eps=0.0).backward(upstream)
x_hat = F.rms_norm(x, [16], eps=0.0)
inverse = 1 / x.square().mean(-1, keepdim=True).sqrt()
mean_gx = (upstream * x_hat).mean(-1, keepdim=True)
assert torch.allclose(leaf.grad, inverse * (upstream - x_hat * mean_gx))

# claim: rms-parameters
defaults = {n: p.default for n, p in inspect.signature(nn.RMSNorm).parameters.items()}
assert defaults["eps"] is None
assert defaults["elementwise_affine"] is True
assert "bias" not in defaults
assert list(nn.RMSNorm(16).state_dict()) == ["weight"]

# %% plane
torch.manual_seed(1)
points = torch.randn(60, 2) + torch.tensor([0.3, 0.6])
onto_line, onto_circle = F.layer_norm(points, [2]), F.rms_norm(points, [2])

fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.1), sharex=True, sharey=True)
for ax, found, name, color in (
    (axes[0], onto_line, "layer norm", "C0"),
    (axes[1], onto_circle, "RMSNorm", "C1"),
):
    for start, end in zip(points[::3], found[::3], strict=True):
        way = zip(start, end, strict=True)
        ax.plot(*way, color="black", lw=0.5, alpha=0.4)
    ax.plot(*points.T, ".", color="black", ms=4)
    ax.plot(*found.T, "o", color=color, ms=6)
    ax.set_title(name)
    ax.set_aspect("equal")
    ax.set_xlim(-3, 3)
    ax.set_ylim(-3, 3)
    ax.set_xlabel("$x_1$")
axes[0].set_ylabel("$x_2$")

# %% check_plane
# claim: two-points-or-a-circle
far_enough = (points[:, 0] - points[:, 1]).abs() > 0.1
assert (onto_line[far_enough].abs() - 1).abs().max() < 0.01
assert onto_line.sum(1).abs().max() < 1e-3
assert (onto_circle.norm(dim=1) - math.sqrt(2)).abs().max() < 1e-4
cosines = F.cosine_similarity(points, onto_circle)
assert (cosines - 1).abs().max() < 1e-5

# claim: what-each-ignores
torch.manual_seed(0)
x = torch.randn(100, 16).double()
for norm, ignores_shift in ((F.layer_norm, True), (F.rms_norm, False)):
    y = norm(x, [16], eps=1e-12)
    assert torch.allclose(norm(5 * x, [16], eps=1e-12), y)
    assert torch.allclose(norm(x + 3, [16], eps=1e-12), y) == ignores_shift

# claim: equal-where-the-mean-is-zero
centred = x - x.mean(-1, keepdim=True)
assert torch.allclose(F.rms_norm(centred, [16], eps=1e-5), F.layer_norm(x, [16]))

# %% residual_nets
train_set, test_set = images(num_train=2000, num_test=1000, seed=0)
data_source, num_train = train_set.source, len(train_set)


def pixels(pictures):
    standard = standardize(pictures.images, train=train_set.images)
    return F.avg_pool2d(standard, 2).flatten(1)  # 14×14


x_train, x_test = pixels(train_set), pixels(test_set)
dim, num_blocks, rms_seeds = 48, 6, 16
rms_steps, rms_batch, rms_rate, lower_rate = 300, 64, 0.1, 0.03


def seeded(num):
    return [torch.Generator().manual_seed(1000 + s) for s in range(num)]


def draw(batch, generators):
    # Pictures for each net, the same ones whichever norm it has.
    def pick(generator):
        return torch.randint(num_train, (batch,), generator=generator)

    return torch.stack([pick(generator) for generator in generators])


def start(seed):
    # The weights of one net: in, blocks of two layers, out.
    generator = torch.Generator().manual_seed(seed)
    shapes = [(196, dim), *[(dim, dim)] * (2 * num_blocks), (dim, 10)]
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    return [weight / math.sqrt(len(weight)) for weight in drawn]


def scores(weights, gammas, betas, x, norm):
    # All nets side by side: x is (nets, batch, pixels).
    def normalize(i, h):
        if norm == "none":
            return h
        if norm == "LayerNorm":
            return F.layer_norm(h, [dim]) * gammas[i] + betas[i]
        return F.rms_norm(h, [dim]) * gammas[i]

    h = x @ weights[0]
    for i in range(num_blocks):  # pre-norm
        inner = F.relu(normalize(i, h) @ weights[2 * i + 1])
        h = h + inner @ weights[2 * i + 2]
    means = h.detach().mean(-1).square().mean() / h.detach().square().mean()
    return normalize(num_blocks, h) @ weights[-1], means


def train_residual(norm, rate=rms_rate):
    each = [start(seed) for seed in range(rms_seeds)]
    weights = [torch.stack(same) for same in zip(*each, strict=True)]
    shape = (num_blocks + 1, rms_seeds, 1, dim)
    gammas, betas = torch.ones(shape), torch.zeros(shape)
    parameters = [w.requires_grad_() for w in (*weights, gammas, betas)]
    generators = seeded(rms_seeds)
    for _ in range(rms_steps):
        index = draw(rms_batch, generators)
        out, _ = scores(weights, gammas, betas, x_train[index], norm)
        labels = train_set.labels[index]
        # The sum over the nets has, for each, the gradient of its own loss.
        mean = F.cross_entropy(out.flatten(0, 1), labels.flatten())
        loss = rms_seeds * mean
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                if g is not None:
                    p -= rate * g
    with torch.no_grad():
        x = x_test.expand(rms_seeds, -1, -1)
        out, share = scores(weights, gammas, betas, x, norm)
    right = out.argmax(-1) == test_set.labels
    return right.double().mean(1), share.item()


accuracy, mean_share = {}, {}
for norm in ("LayerNorm", "RMSNorm", "none"):
    accuracy[norm], mean_share[norm] = train_residual(norm)
    found = accuracy[norm]
    print(f"{norm:10} {found.mean():.3f} ± {found.std():.3f}")
slower, _ = train_residual("none", lower_rate)
slower_median = slower.median().item()
slower_learned = (slower > 0.6).sum().item()
print(f"none, with the learning rate {lower_rate}: median {slower_median:.3f}")
rms_wins = (accuracy["RMSNorm"] > accuracy["LayerNorm"]).sum().item()
print(f"RMSNorm is ahead of LayerNorm with {rms_wins} of {rms_seeds} seeds")
print(f"share of the mean in the mean square: {mean_share['RMSNorm']:.3f}")

# %% check_residual_nets
# claim: rms-is-a-tie
difference = accuracy["RMSNorm"] - accuracy["LayerNorm"]
mean_difference = difference.mean().item()
assert abs(mean_difference) < 0.02
assert 0 < rms_wins < rms_seeds
assert accuracy["RMSNorm"].min() > 0.6
assert accuracy["LayerNorm"].min() > 0.6

# claim: without-norm-worse
none_mean = accuracy["none"].mean().item()
assert (accuracy["none"] < 0.3).all()

# claim: a-lower-rate-makes-up-for-no-norm
assert slower_learned >= 0.7 * rms_seeds
assert slower_median > accuracy["RMSNorm"].median() - 0.03

# claim: the-mean-is-small
assert mean_share["RMSNorm"] < 3 / dim
assert mean_share["LayerNorm"] < 3 / dim

# %% trap_eps
torch.manual_seed(0)
tiny = 1e-3 * torch.randn(1000, 16)
print("type      input of size 0.001: root mean square of the output")
eps_sizes = {}
for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
    name = str(dtype).removeprefix("torch.")
    found = []
    fixed = nn.RMSNorm(16, eps=1e-5)
    for layer in (nn.RMSNorm(16), fixed, nn.LayerNorm(16)):
        y = layer.to(dtype)(tiny.to(dtype)).double()
        found.append(y.square().mean().sqrt().item())
    eps_sizes[name] = found
    sizes = f"{found[0]:.3f}, eps=1e-5 {found[1]:.3f}"
    print(f"{name:9} default {sizes}, LayerNorm {found[2]:.3f}")

# %% check_trap_eps
# claim: default-eps-is-that-of-float32
x = 1e-3 * torch.randn(50, 16)
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    low = x.to(dtype)
    expected = low.float() * torch.rsqrt(low.float().square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps)
    assert torch.allclose(nn.RMSNorm(16, dtype=dtype)(low).float(), expected, rtol=1e-2)
low = x.half()
as_named = low.float() * torch.rsqrt(low.float().square().mean(-1, keepdim=True) + torch.finfo(torch.float16).eps)
assert not torch.allclose(nn.RMSNorm(16).half()(low).float(), as_named, rtol=0.5)

# claim: eps-decides-for-small-inputs
for default, fixed, layer_norm in eps_sizes.values():
    assert default > 0.9
    assert 0.2 < fixed < 0.5
    assert 0.2 < layer_norm < 0.5

# %% weight_norm_scratch
torch.manual_seed(0)
linear = nn.Linear(20, 10)
v = linear.weight.detach().clone()  # (outputs, inputs)
g = v.norm(dim=1, keepdim=True)  # (outputs, 1): one length for each output
by_hand = g * v / v.norm(dim=1, keepdim=True)

by_torch = parametrizations.weight_norm(copy.deepcopy(linear))
for name, p in by_torch.named_parameters():
    print(f"{name:35} {tuple(p.shape)}")

# %% lengths
wn_rates, wn_steps = (0.05, 0.1, 0.2), 200


def train_weight_norm(rate):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 1))
    parametrizations.weight_norm(net.double()[0])
    v = net[0].parametrizations.weight.original1
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    x = torch.randn(500, 20).double()
    y = x[:, :3].prod(1, keepdim=True)
    lengths, gained, inner = [v.detach().norm().item()], 0.0, []
    for _ in range(wn_steps):
        index = torch.randint(500, (32,))
        loss = F.mse_loss(net(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        inner.append((v.grad * v.detach()).sum(1).abs().max().item())
        gained += rate**2 * v.grad.square().sum().item()
        optimizer.step()
        lengths.append(v.detach().norm().item())
    return lengths, gained, max(inner)


wn_runs = {rate: train_weight_norm(rate) for rate in wn_rates}
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for rate, color in zip(wn_rates, ("C0", "C1", "C2"), strict=True):
    lengths, name = wn_runs[rate][0], f"learning rate {rate}"
    ax.plot(range(0, wn_steps + 1, 2), lengths[::2], color=color, label=name)
ax.set_xlabel("step")
ax.set_ylabel("length of $v$")
ax.legend()

# %% check_weight_norm
# claim: weight-norm-equals-torch
assert torch.allclose(by_hand, by_torch.weight)
assert torch.allclose(by_hand, linear.weight)  # nothing changes at the start
ours = register_parametrization(copy.deepcopy(linear), "weight", WeightNorm())
assert ours.state_dict().keys() == by_torch.state_dict().keys()
x = torch.randn(8, 20)
for net in (ours, by_torch):
    net.zero_grad()
    net(x).square().sum().backward()
assert torch.allclose(ours(x), by_torch(x))
for p, q in zip(ours.parameters(), by_torch.parameters(), strict=True):
    assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)

# claim: weight-norm-gradients
g, v = ours.parametrizations.weight.original0, ours.parametrizations.weight.original1
reference = copy.deepcopy(linear)
reference(x).square().sum().backward()
w_grad, direction = reference.weight.grad, v / v.norm(dim=1, keepdim=True)
along = (w_grad * direction).sum(1, keepdim=True)
assert torch.allclose(g.grad, along, atol=1e-4)
assert torch.allclose(v.grad, g / v.norm(dim=1, keepdim=True) * (w_grad - along * direction), atol=1e-4)
assert (v.grad * v).sum(1).abs().max() < 1e-3

# claim: v-only-grows
for lengths, gained, inner in wn_runs.values():
    assert all(after >= before for before, after in pairwise(lengths))
    assert math.isclose(lengths[-1] ** 2, lengths[0] ** 2 + gained, rel_tol=1e-9)
    assert inner < 1e-9
assert wn_runs[0.2][0][-1] > wn_runs[0.05][0][-1]

# %% trap_transposed
transposed = nn.ConvTranspose2d(3, 8, 4)  # weight: (inputs, outputs, 4, 4)
wrong = parametrizations.weight_norm(copy.deepcopy(transposed))
right = parametrizations.weight_norm(copy.deepcopy(transposed), dim=1)
for name, layer in (("default dim=0", wrong), ("dim=1", right)):
    lengths = layer.parametrizations.weight.original0
    print(f"{name:13} g has the shape {tuple(lengths.shape)}, for 8 outputs")

# %% trap_deprecated
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    old = nn.utils.weight_norm(nn.Linear(20, 10))
print(caught[0].category.__name__, "from nn.utils.weight_norm")
checkpoint = old.state_dict()
print("old:", *sorted(checkpoint))

new = parametrizations.weight_norm(nn.Linear(20, 10))
new.load_state_dict(checkpoint)  # the new one knows the old names
print("new:", *sorted(new.state_dict()))

# %% check_weight_norm_traps
# claim: transposed-convolutions-want-dim-1
assert wrong.parametrizations.weight.original0.shape == (3, 1, 1, 1)
assert right.parametrizations.weight.original0.shape == (1, 8, 1, 1)

# claim: old-weight-norm-is-deprecated
assert caught[0].category is FutureWarning
assert "deprecated" in str(caught[0].message)
assert torch.allclose(new.weight, old.weight)

# %% spectral_scratch
torch.manual_seed(0)
matrix = torch.randn(30, 50) / math.sqrt(50)
largest = torch.linalg.matrix_norm(matrix, 2).item()
u = F.normalize(torch.randn(30), dim=0)
for step in range(1, 31):
    v = F.normalize(matrix.T @ u, dim=0)
    u = F.normalize(matrix @ v, dim=0)
    if step in (1, 3, 10, 30):
        sigma = u @ matrix @ v
        print(f"step {step:2d}: {sigma:.4f} of {largest:.4f}")

# %% lipschitz
lipschitz_seeds = 20


def largest_stretch(normalize, seed):
    # How many times farther apart two inputs are behind the net.
    torch.manual_seed(seed)
    layers = []
    for _ in range(6):
        linear = nn.Linear(40, 40)
        nn.init.normal_(linear.weight, std=2 / math.sqrt(40))
        if normalize:
            parametrizations.spectral_norm(linear, n_power_iterations=20)
        layers += [linear, nn.ReLU()]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(1, 40))  # in training mode, to iterate
        net.eval()
        a = torch.randn(2000, 40)
        b = a + 0.1 * torch.randn(2000, 40)
        stretch = (net(a) - net(b)).norm(dim=1) / (a - b).norm(dim=1)
    return stretch.max().item()


some = range(lipschitz_seeds)
free = torch.tensor([largest_stretch(False, seed) for seed in some])
bound = torch.tensor([largest_stretch(True, seed) for seed in some])
free_most, bound_most = free.max().item(), bound.max().item()
print(f"without spectral norm, stretched up to {free.max():.1f}-fold")
print(f"with it                        up to {bound.max():.3f}-fold")

# %% convolutions
conv_channels, conv_seeds = (1, 3, 8, 32), 10
ratios = torch.zeros(len(conv_channels), conv_seeds)
for row, channels in enumerate(conv_channels):
    for seed in range(conv_seeds):
        torch.manual_seed(seed)
        weight = nn.Conv2d(channels, channels, 3).weight.detach()
        reshaped = torch.linalg.matrix_norm(weight.flatten(1), 2).item()
        true = conv_operator_norm(weight, 16, padding=1, num_steps=60)
        ratios[row, seed] = true / reshaped
blur = torch.full((1, 1, 3, 3), 1 / 9)
blur_matrix = torch.linalg.matrix_norm(blur.flatten(1), 2).item()
blur_ratio = conv_operator_norm(blur, 64, padding=1) / blur_matrix

fig, ax = plt.subplots(figsize=(5.6, 3.2))
for row, channels in enumerate(conv_channels):
    ax.plot([row] * conv_seeds, ratios[row], "o", color="C0", ms=5)
ax.plot([-1], [blur_ratio], "s", color="C1", ms=7)
ax.axhline(1, color="black", linestyle="--")
ax.axhline(3, color="black", linestyle=":")
names = ["blur", *map(str, conv_channels)]
ax.set_xticks(range(-1, len(conv_channels)), names)
ax.set_ylim(0, 3.3)
ax.set_xlabel("channels")
ax.set_ylabel("true norm / reshaped norm")

# %% check_spectral
# claim: power-iteration-converges
_, _, sigma = power_iteration(matrix, torch.randn(30), 300)
assert math.isclose(sigma, largest, rel_tol=1e-4)
singular = torch.linalg.svdvals(matrix)
assert power_iteration(matrix, torch.randn(30), 1)[2] <= singular[0]

# claim: spectral-norm-equals-torch
torch.manual_seed(0)
for layer, x in ((nn.Linear(20, 10), torch.randn(4, 20)), (nn.Conv2d(3, 8, 3), torch.randn(4, 3, 9, 9))):
    theirs = parametrizations.spectral_norm(copy.deepcopy(layer))
    ours = register_parametrization(copy.deepcopy(layer), "weight", SpectralNorm(layer.weight))
    ours.load_state_dict(theirs.state_dict())
    for training in (True, False):
        ours.train(training), theirs.train(training)
        assert agree([ours(x)], [theirs(x)], atol=1e-6)
        for net in (ours, theirs):
            net.zero_grad()
            net(x).square().sum().backward()
        assert agree(
            [p.grad for p in ours.parameters()],
            [p.grad for p in theirs.parameters()],
            rtol=1e-3,
            atol=1e-4,
        )

# claim: spectral-norm-bounds-the-stretch
assert (bound <= 1.001).all()
assert (free > 1.5).all()

# claim: conv-norm-is-another
assert (ratios > 1.1).all()
assert (ratios <= 3 + 1e-3).all()
assert ratios.min() > 1 / 3
assert blur_ratio > 2.9

# %% trap_looking
layer = parametrizations.spectral_norm(nn.Linear(20, 20))
first, second = layer.weight.detach().clone(), layer.weight.detach().clone()
print("training mode, read twice, equal:", torch.equal(first, second))
layer.eval()
first, second = layer.weight.detach().clone(), layer.weight.detach().clone()
print("evaluation mode, read twice, equal:", torch.equal(first, second))

# %% check_trap_looking
# claim: reading-iterates
torch.manual_seed(0)
layer = parametrizations.spectral_norm(nn.Linear(20, 20))
before = layer.parametrizations.weight[0]._u.clone()
layer.weight
assert not torch.equal(before, layer.parametrizations.weight[0]._u)
layer.eval()
before = layer.parametrizations.weight[0]._u.clone()
layer.weight
assert torch.equal(before, layer.parametrizations.weight[0]._u)

# %% ws_nets
ws_seeds, ws_steps, ws_batch, ws_channels = 12, 200, 8, 16
ws_rates = (0.02, 0.1, 0.3)


def pictures(image_set):
    standard = standardize(image_set.images, train=train_set.images)
    return F.avg_pool2d(standard, 2)


p_train, p_test = pictures(train_set), pictures(test_set)


def kernels(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(ws_channels, c, 3, 3) for c in (1, *[ws_channels] * 3)]
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    scaled = [w * math.sqrt(2 / w[0].numel()) for w in drawn]  # Kaiming
    last = torch.randn(10, ws_channels, generator=generator)
    return [*scaled, last / math.sqrt(ws_channels)]


def conv_net(parameters, x, standardized):
    weights, gammas, betas = parameters
    h = x
    for i in range(4):
        weight = weights[i]
        if standardized:
            weight = standardize_weight(weight)
        h = F.conv2d(h, weight, padding=1, stride=2 if i in (0, 2) else 1)
        h = F.relu(F.group_norm(h, 4, gammas[i], betas[i]))
    return h.mean((2, 3)) @ weights[4].T


def conv_loss(parameters, x, labels, standardized):
    return F.cross_entropy(conv_net(parameters, x, standardized), labels)


# One call for the gradients of all nets.
gradients_of_all = vmap(grad(conv_loss), in_dims=(0, 0, 0, None))


def train_conv(standardized, rate):
    each = [kernels(seed) for seed in range(ws_seeds)]
    weights = [torch.stack(same) for same in zip(*each, strict=True)]
    gammas = [torch.ones(ws_seeds, ws_channels) for _ in range(4)]
    betas = [torch.zeros(ws_seeds, ws_channels) for _ in range(4)]
    parameters = (weights, gammas, betas)
    generators = seeded(ws_seeds)
    for _ in range(ws_steps):
        index = draw(ws_batch, generators)
        x, labels = p_train[index], train_set.labels[index]
        gradients = gradients_of_all(parameters, x, labels, standardized)
        parameters = tuple(
            [p - rate * g for p, g in zip(group, changes, strict=True)]
            for group, changes in zip(parameters, gradients, strict=True)
        )
    test = vmap(lambda parameters: conv_net(parameters, p_test, standardized))
    out = test(parameters)
    return (out.argmax(-1) == test_set.labels).double().mean(1)


ws_accuracy, ws_best = {}, {}
for name, standardized in (("group norm", False), ("group norm and WS", True)):
    found = torch.stack([train_conv(standardized, r) for r in ws_rates])
    ws_accuracy[name] = found  # (rates, seeds)
    best = found[found.mean(1).argmax()]
    ws_best[name] = best
    print(f"{name:18} at its best rate {best.mean():.3f} ± {best.std():.3f}")
with_ws, without = ws_best["group norm and WS"], ws_best["group norm"]
ws_wins = (with_ws > without).sum().item()
print(f"with WS better in {ws_wins} of {ws_seeds} seeds")
ws_means = {name: found.mean().item() for name, found in ws_best.items()}

# %% ws_curves
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for name, color, marker in (
    ("group norm", "C0", "o"),
    ("group norm and WS", "C1", "s"),
):
    found = ws_accuracy[name]
    ax.plot(ws_rates, found.mean(1), color=color, marker=marker, label=name)
    low, high = found.aminmax(dim=1)
    ax.fill_between(ws_rates, low, high, color=color, alpha=0.2)
ax.set_xscale("log")
ax.set_xticks(ws_rates, [f"{rate:g}" for rate in ws_rates])
ax.minorticks_off()
ax.set_xlabel("learning rate")
ax.set_ylabel("test accuracy")
ax.legend()

# %% check_ws
# claim: ws-helps-group-norm
assert ws_wins >= ws_seeds - 2
assert ws_means["group norm and WS"] > ws_means["group norm"] + 0.03

# claim: ws-is-layer-norm-of-weights
torch.manual_seed(0)
weight = torch.randn(8, 3, 3, 3).double()
standard = standardize_weight(weight)
assert torch.allclose(standard, F.layer_norm(weight, [3, 3, 3], eps=1e-10))
assert torch.allclose(standardize_weight(5 * weight + 2), standard)

# claim: ws-projects-the-gradient
layer, x = WSConv2d(3, 8, 3).double(), torch.randn(4, 3, 9, 9).double()
layer(x).square().sum().backward()
gradient, centred = layer.weight.grad, layer.weight - layer.weight.mean((1, 2, 3), keepdim=True)
assert gradient.sum((1, 2, 3)).abs().max() < 1e-6
assert (gradient * centred).sum((1, 2, 3)).abs().max() < 1e-3  # eps leaves a trace

# claim: ws-alone-explodes
torch.manual_seed(0)
h = torch.randn(4, 16, 9, 9)
before = h.std()
with torch.no_grad():
    for _ in range(5):
        h = F.relu(WSConv2d(16, 16, 3, padding=1)(h))
assert h.std() > 1000 * before


# %% lrn_scratch
def lrn(x, size, alpha=1e-4, beta=0.75, k=1.0):
    # (batch, channels, …): a window over the channels, zeros at both ends.
    squares = F.pad(x.square().movedim(1, -1), (size // 2, (size - 1) // 2))
    sums = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (k + alpha / size * sums) ** beta  # torch: alpha / size


torch.manual_seed(0)
x = torch.randn(8, 64, 5, 5)  # of size 1, as behind batch norm
alexnet = {"alpha": 1e-4, "beta": 0.75, "k": 2.0}
usual = F.local_response_norm(x, 5)
lrn_change = ((usual - x) / x).abs().max().item()
print(f"by default, an input of size 1 changes by {lrn_change:.2%} at most")

# %% trap_alpha
large = 100 * torch.randn(8, 64, 5, 5)  # not normalized
paper = lrn(large, 5, alpha=5 * 1e-4, beta=0.75, k=2.0)  # α is not divided
wrong = F.local_response_norm(large, 5, **alexnet)
right = F.local_response_norm(large, 5, **(alexnet | {"alpha": 5e-4}))
for name, found in (("alpha=1e-4", wrong), ("alpha=5e-4", right)):
    off = ((found - paper) / paper).abs().max()
    print(f"{name}: off the paper by up to {off:.1%}")

# %% inhibition
channels = torch.arange(32)
strong = 3 * torch.exp(-(((channels - 9) / 1.5) ** 2))
weak = torch.exp(-(((channels - 22) / 1.5) ** 2))
flat = 0.4 + strong + weak
after = F.local_response_norm(flat.reshape(1, -1, 1), 5, alpha=1.0).flatten()
fig, ax = plt.subplots(figsize=(5.6, 3.0))
ax.plot(channels, flat, color="C0", marker="o", ms=4, label="before LRN")
ax.plot(channels, after, color="C1", marker="s", ms=4, label="after LRN")
ax.set_xlabel("channel")
ax.set_ylabel("activation")
ax.legend()

# %% check_lrn
# claim: lrn-equals-torch
for size in (1, 2, 5, 6):
    found = []
    for function in (lrn, local_response_norm, F.local_response_norm):
        leaf = x.double().requires_grad_()
        y = function(leaf, size, alpha=0.5, beta=0.6, k=2.0)
        y.square().sum().backward()
        found.append([y, leaf.grad])
    assert agree(found[0], found[2])
    assert agree(found[1], found[2])

# claim: lrn-does-next-to-nothing
assert lrn_change < 0.005

# claim: torch-divides-alpha
assert torch.allclose(right, paper)
assert not torch.allclose(wrong, paper, rtol=0.1)

# claim: neighbours-are-damped
assert after[9] / after[22] < 0.6 * flat[9] / flat[22]

# %% sync_statistics
torch.manual_seed(0)
whole = torch.randn(24, 3).double() * torch.tensor([1.0, 2.0, 3.0])
whole[16:] += 4  # the second process happens to see other data
shards = whole[:16], whole[16:]  # unequal, as the last batch often is

counts = [len(shard) for shard in shards]
means = torch.stack([shard.mean(0) for shard in shards])
variances = torch.stack([shard.var(0, correction=0) for shard in shards])
share = torch.tensor(counts).double() / sum(counts)

naive_mean, naive_var = means.mean(0), variances.mean(0)
right_mean = share @ means
right_var = share @ (variances + (means - right_mean) ** 2)
true_mean, true_var = whole.mean(0), whole.var(0, correction=0)
for name, mean, var in (
    ("averaged", naive_mean, naive_var),
    ("combined", right_mean, right_var),
    ("one batch", true_mean, true_var),
):
    numbers = [*mean.tolist(), *var.tolist()]
    print(f"{name:10}" + "".join(f"{number:7.3f}" for number in numbers))

# %% sync_backward
upstream = torch.randn(24, 3).double()
reference = nn.BatchNorm1d(3).double()
nn.init.normal_(reference.weight)
leaf = whole.clone().requires_grad_()
reference(leaf).backward(upstream)

upstreams = upstream.split(counts)
normalized, mean, var = sync_forward(shards)
gammas = reference.weight.detach()
scaled = [g * gammas for g in upstreams]
synchronized = sync_backward(normalized, scaled, var)
# What if each process averages over its own samples only?
pairs = zip(normalized, scaled, strict=True)
local = [sync_backward([x], [g], var)[0] for x, g in pairs]
wrong_back = (torch.cat(local) - leaf.grad).abs().max().item()
right_back = (torch.cat(synchronized) - leaf.grad).abs().max().item()
print(f"sums over one's own shard: gradient off by {wrong_back:.1e}")
print(f"sums over all shards:      gradient off by {right_back:.1e}")

# %% sync_ratio
shard_sizes, num_shards, ratio_seeds = (2, 3, 4, 8, 16, 32, 64), 8, 500
measured, theory = [], []
for size in shard_sizes:
    torch.manual_seed(0)
    draws = torch.randn(ratio_seeds, num_shards, size).double()
    averaged = draws.var(2, correction=0).mean(1)
    of_all = draws.flatten(1).var(1, correction=0)
    measured.append((averaged.mean() / of_all.mean()).item())
    theory.append((1 - 1 / size) / (1 - 1 / (num_shards * size)))

fig, ax = plt.subplots(figsize=(5.6, 3.2))
ax.plot(shard_sizes, measured, "o", color="C0", label="measured")
ax.plot(shard_sizes, theory, color="black", linestyle=":", label="theory")
ax.set_xscale("log", base=2)
ax.set_xticks(shard_sizes, [str(size) for size in shard_sizes])
ax.minorticks_off()
ax.set_ylim(0.4, 1.05)
ax.set_xlabel("samples per process")
ax.set_ylabel("averaged / true variance")
ax.legend()

# %% check_sync
# claim: averages-are-wrong
assert (naive_mean - true_mean).abs().min() > 0.1
assert (naive_var < 0.9 * true_var).all()

# claim: combined-are-right
assert torch.allclose(right_mean, true_mean)
assert torch.allclose(right_var, true_var)

# claim: sync-equals-one-batch
assert agree([torch.cat(normalized) * gammas], [reference(whole)])
assert right_back < 1e-9
gamma_grad = sum((g * x).sum(0) for g, x in zip(upstreams, normalized, strict=True))
beta_grad = sum(g.sum(0) for g in upstreams)
assert agree([gamma_grad, beta_grad], [reference.weight.grad, reference.bias.grad])
fresh = nn.BatchNorm1d(3).double()
fresh(whole)
total = sum(counts)
assert torch.allclose(fresh.running_mean, 0.1 * mean)
assert torch.allclose(fresh.running_var, 0.9 + 0.1 * var * total / (total - 1))

# claim: local-sums-are-wrong
assert wrong_back > 0.01

# claim: naive-ratio-by-theory
assert all(abs(m / t - 1) < 0.03 for m, t in zip(measured, theory, strict=True))

# %% trap_cpu
layer = nn.SyncBatchNorm(3)
print("alone, in training mode:", tuple(layer(torch.randn(4, 3)).shape))

group = {"store": distributed.HashStore(), "rank": 0, "world_size": 1}
distributed.init_process_group("gloo", **group)
try:
    layer(torch.randn(4, 3))
except ValueError as error:
    print("in a process group:", error)
print("evaluation mode:", tuple(layer.eval()(torch.randn(4, 3)).shape))
distributed.destroy_process_group()

net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
converted = nn.SyncBatchNorm.convert_sync_batchnorm(net)
print("converted:", type(converted[1]).__name__)

# %% check_trap_cpu
# claim: sync-batch-norm-on-cpu
alone = nn.SyncBatchNorm(3)
x = torch.randn(8, 3)
assert torch.allclose(alone(x), nn.BatchNorm1d(3)(x))
distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
try:
    alone(x)
    raised = False
except ValueError as error:
    raised = "GPU" in str(error)
alone.eval()(x)
distributed.destroy_process_group()
assert raised

# claim: conversion-keeps-the-state
assert converted.state_dict().keys() == net.state_dict().keys()

# %% solution_fold
torch.manual_seed(0)
linear, layer_norm = nn.Linear(20, 16).double(), nn.LayerNorm(16).double()
x = torch.randn(100, 20).double()
folded = copy.deepcopy(linear)
# The mean over the outputs is linear: subtract it from weights and bias.
folded.weight.data -= linear.weight.data.mean(0)
folded.bias.data -= linear.bias.data.mean()
rms = nn.RMSNorm(16, eps=layer_norm.eps).double()
change = (rms(folded(x)) - layer_norm(linear(x))).abs().max().item()
print(f"largest difference: {change:.1e}")
assert change < 1e-9

# %% solution_fourier
torch.manual_seed(0)
weight = torch.randn(4, 4, 3, 3)
for size in (8, 16, 32):
    # On a circle of size × size pixels, each frequency has its own matrix.
    frequencies = torch.fft.fft2(weight, s=(size, size)).permute(2, 3, 0, 1)
    circular = torch.linalg.matrix_norm(frequencies, 2).max().item()
    padded = conv_operator_norm(weight, size, padding=1)
    print(f"{size:2d} pixels: circular {circular:.3f}, padded {padded:.3f}")
    assert 0.8 < padded / circular < 1.001

# %% solution_merge
parts = torch.randn(30, 4).double().split([5, 1, 14, 10])
count, mean, var = 0, torch.zeros(4).double(), torch.zeros(4).double()
for part in parts:  # one shard after the other
    both = count + len(part)
    step = part.mean(0) - mean
    spread = step**2 * count * len(part) / both
    own = len(part) * part.var(0, correction=0)
    var = (count * var + own + spread) / both
    mean = mean + step * len(part) / both
    count = both
everything = torch.cat(parts)
assert torch.allclose(mean, everything.mean(0))
assert torch.allclose(var, everything.var(0, correction=0))
print("one after the other gives the variance of all")
