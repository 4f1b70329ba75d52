# %% padding
import inspect
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab.layer_norm import LayerNorm as LibraryLayerNorm

torch.set_num_threads(1)
num_sequences, length, num_features, num_seeds = 64, 50, 16, 20
shares = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def at_real_positions(share, seed):
    torch.manual_seed(seed)
    x = 3 + 2 * torch.randn(num_sequences, length, num_features)
    num_real = round(length * (1 - share))
    x[:, num_real:] = 0  # the padding behind short sequences
    batch_norm, layer_norm = nn.BatchNorm1d(num_features), nn.LayerNorm(num_features)
    by_batch = batch_norm(x.mT).mT  # BatchNorm1d wants (batch, features, length)
    by_sample = layer_norm(x)
    return [
        number
        for y in (by_batch[:, :num_real], by_sample[:, :num_real])
        for number in (y.mean().item(), y.std(correction=0).item())
    ]


# (shares, seeds, 4): mean and standard deviation behind each of the two layers
seeds = range(num_seeds)
found = [[at_real_positions(share, seed) for seed in seeds] for share in shares]
spreads = torch.tensor(found)
half = shares.index(0.5)
bn_mean, bn_std, ln_mean, ln_std = spreads[half].mean(0).tolist()

fig, ax = plt.subplots(figsize=(5.6, 3.6))
for column, color, marker, name in (
    (0, "C1", "o", "batch norm, mean"),
    (1, "C1", "s", "batch norm, standard deviation"),
    (2, "C0", "o", "layer norm, mean"),
    (3, "C0", "s", "layer norm, standard deviation"),
):
    line = "-" if marker == "o" else "--"
    ax.plot(
        shares,
        spreads[:, :, column].mean(1),
        color=color,
        marker=marker,
        linestyle=line,
        label=name,
    )
ax.set_xlabel("share of padded positions")
ax.set_ylabel("at the real positions")
ax.legend()

# %% check_padding
# claim: padding-shifts-batch-norm
assert (spreads[half, :, 0] > 0.5).all()
assert (spreads[-1, :, 0] > 2).all()

# claim: padding-leaves-layer-norm
assert spreads[:, :, 2].abs().max() < 1e-3
assert (spreads[:, :, 3] - 1).abs().max() < 1e-2


# %% scratch
class LayerNorm(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.normalized_shape = tuple(normalized_shape)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape))  # gamma
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape))  # beta

    def forward(self, x):
        # The last dimensions, counted from the end.
        over = tuple(range(-len(self.normalized_shape), 0))
        mean = x.mean(over, keepdim=True)
        variance = x.var(over, keepdim=True, correction=0)
        x_hat = (x - mean) / torch.sqrt(variance + self.eps)
        return x_hat * self.weight + self.bias


# %% check_scratch
def same(ours, theirs, x, upstream):
    # Forward, backward, and the parameters' gradients.
    found = []
    for layer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        layer.zero_grad()
        y = layer(leaf)
        y.backward(upstream)
        found.append([y, leaf.grad, layer.weight.grad, layer.bias.grad])
    return all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*found, strict=True))


# claim: scratch-equals-torch
torch.manual_seed(0)
x, upstream = torch.randn(2, 8, 2, 3, 4).double()
for shape in ([4], [3, 4], [2, 3, 4]):
    for training in (True, False):
        theirs = nn.LayerNorm(shape).double().train(training)
        nn.init.normal_(theirs.weight)
        nn.init.normal_(theirs.bias)
        for ours in (LayerNorm(shape), LibraryLayerNorm(shape)):
            ours.double().train(training).load_state_dict(theirs.state_dict())
            assert same(ours, theirs, x, upstream)

# claim: gradient-formula
gamma = torch.randn(4).double()
g = gamma * upstream
variance = x.var(-1, keepdim=True, correction=0)
along_scale = {}
for eps in (0.1, 1e-5, 0.0):
    leaf = x.clone().requires_grad_()
    F.layer_norm(leaf, [4], gamma, eps=eps).backward(upstream)
    x_hat = F.layer_norm(x, [4], eps=eps)
    mean_g = g.mean(-1, keepdim=True)
    mean_gx = (g * x_hat).mean(-1, keepdim=True)
    by_formula = (g - mean_g - x_hat * mean_gx) / torch.sqrt(variance + eps)
    assert torch.allclose(leaf.grad, by_formula, atol=1e-10)
    along_scale[eps] = (leaf.grad * x_hat).sum(-1).abs().max()

    # claim: no-gradient-along-shift-and-scale
    assert leaf.grad.sum(-1).abs().max() < 1e-10
assert along_scale[0.0] < 1e-10
assert along_scale[0.1] > 0.01

# claim: no-modes-and-no-buffers
layer = nn.LayerNorm(4)
assert not list(layer.buffers())
assert torch.equal(layer.train()(x.float()), layer.eval()(x.float()))

# %% by_hand
torch.manual_seed(0)
feature_maps = torch.randn(8, 2, 3, 4)  # batch, channels, height, width
print("normalized_shape  statistics  weight and bias each")
num_statistics = {}
for shape in ((2, 3, 4), (3, 4), (4,)):
    layer = nn.LayerNorm(shape)
    # Each mean that was subtracted leaves one mean of 0.
    means = layer(feature_maps).mean(tuple(range(-len(shape), 0)))
    num_statistics[str(shape)] = (means.abs() < 1e-5).sum().item()
    print(f"{shape!s:16} {num_statistics[str(shape)]:11d} {layer.weight.numel():21d}")

value = feature_maps[5, 1, 2, 3]
# What the entry is normalized with: its sample, its map, or its row.
neighbours = {
    (2, 3, 4): feature_maps[5],
    (3, 4): feature_maps[5, 1],
    (4,): feature_maps[5, 1, 2],
}
print(f"\nthe entry [5, 1, 2, 3] is {value:.4f}")
for shape, around in neighbours.items():
    mean, variance = around.mean(), around.var(correction=0)
    by_hand = (value - mean) / torch.sqrt(variance + 1e-5)
    by_torch = nn.LayerNorm(shape)(feature_maps)[5, 1, 2, 3]
    print(f"{shape!s:10} by hand {by_hand:.4f}, by torch {by_torch:.4f}")

sequences = torch.randn(20, 64, 32)
sequence_layer = nn.LayerNorm([64, 32])
sequence_means = sequence_layer(sequences).mean((1, 2))
num_gammas = sequence_layer.weight.numel()
print("\n(20, 64, 32) with [64, 32]:")
print(f"{len(sequence_means)} statistics, {num_gammas} weights")

# %% check_by_hand
# claim: by-hand-equals-torch
for shape, around in neighbours.items():
    mean, variance = around.mean(), around.var(correction=0)
    by_hand = (value - mean) / torch.sqrt(variance + 1e-5)
    by_torch = nn.LayerNorm(shape)(feature_maps)[5, 1, 2, 3]
    assert torch.isclose(by_hand, by_torch, atol=1e-6)

# claim: one-statistic-a-sample-at-full-shape
assert num_statistics == {"(2, 3, 4)": 8, "(3, 4)": 16, "(4,)": 48}
for shape, num_elements in (((2, 3, 4), 24), ((3, 4), 12), ((4,), 4)):
    layer = nn.LayerNorm(shape)
    assert layer.weight.numel() == layer.bias.numel() == num_elements
    y = layer(feature_maps)
    means = y.mean(tuple(range(-len(shape), 0)))
    assert means.numel() == num_statistics[str(shape)]
    assert means.abs().max() < 1e-5
    for fewer in range(1, len(shape)):  # no smaller set has a mean of its own
        assert y.mean(tuple(range(-fewer, 0))).abs().max() > 0.05
assert len(sequence_means) == 20
assert sequence_means.abs().max() < 1e-6

# claim: affine-is-per-element
assert nn.LayerNorm([2, 3, 4]).weight.shape == (2, 3, 4)
assert sequence_layer.weight.shape == sequence_layer.bias.shape == (64, 32)

# claim: signature-of-today
parameters = inspect.signature(nn.LayerNorm).parameters
own = ["normalized_shape", "eps", "elementwise_affine", "bias"]
assert list(parameters) == [*own, "device", "dtype"]
assert [parameters[name].default for name in own[1:]] == [1e-5, True, True]
assert parameters["normalized_shape"].default is inspect.Parameter.empty

# claim: wrong-channels-raise
try:
    nn.LayerNorm([6, 3, 4])(feature_maps)
    raised = False
except RuntimeError:
    raised = True
assert raised

# claim: constants-hide-the-axes
ones_and_twos = torch.stack([torch.ones(3, 4), 2 * torch.ones(3, 4)]).expand(8, 2, 3, 4)
whole = nn.LayerNorm([2, 3, 4])(ones_and_twos)
maps = nn.LayerNorm([3, 4])(ones_and_twos)
assert (whole.abs() < 1).all()
assert torch.allclose(whole.abs(), torch.tensor(1 / math.sqrt(1 + 1e-5 / 0.25)))
assert maps.abs().max() == 0
other_way = nn.GroupNorm(1, 2)(ones_and_twos)
assert torch.allclose(whole, other_way)

# %% sphere
torch.manual_seed(0)
dims = [2, 8, 64, 512]
lengths = {d: nn.LayerNorm(d)(3 + 5 * torch.randn(1000, d)).norm(dim=1) for d in dims}
print("   d  length of the normalized vectors  sqrt(d)")
for d in dims:
    print(f"{d:4d} {lengths[d].mean():33.4f} {math.sqrt(d):8.4f}")

# %% check_sphere
# claim: length-is-sqrt-d
for d in dims[1:]:
    assert (lengths[d] - math.sqrt(d)).abs().max() < 0.01

# claim: always-standard-but-for-tiny-variance
torch.manual_seed(0)
for d in (3, 10):
    y = F.layer_norm(torch.randn(500, d).double(), [d], eps=0)
    assert y.mean(-1).abs().max() < 1e-9
    assert (y.var(-1, correction=0) - 1).abs().max() < 1e-9
tiny = 1e-3 * torch.randn(500, 10)
assert F.layer_norm(tiny, [10]).var(-1, correction=0).max() < 0.5
assert F.layer_norm(torch.randn(500, 1), [1]).abs().max() == 0

# claim: not-normal-only-standard
two_humps = torch.cat([torch.randn(5000) - 5, torch.randn(5000) + 5])
assert (F.layer_norm(two_humps, [10_000]).abs() < 0.5).float().mean() < 0.05

# %% rnn
rnn_width, rnn_steps, scales = 64, 100, (0.6, 1.0, 1.4)


@torch.no_grad()
def sizes_over_time(scale, normalized, seed):
    # A recurrent net that gets no input any more: h = ReLU(W h).
    torch.manual_seed(seed)
    weight = torch.randn(rnn_width, rnn_width).double()
    weight *= scale * math.sqrt(2 / rnn_width)
    h, sizes = torch.randn(rnn_width).double(), []
    for _ in range(rnn_steps):
        a = weight @ h
        h = F.relu(F.layer_norm(a, [rnn_width]) if normalized else a)
        sizes.append(h.norm().item() / math.sqrt(rnn_width))
    return sizes


def all_seeds(scale, normalized):
    sizes = [sizes_over_time(scale, normalized, seed) for seed in range(num_seeds)]
    return torch.tensor(sizes, dtype=torch.double)  # (seeds, steps)


plain = {scale: all_seeds(scale, normalized=False) for scale in scales}
normed = {scale: all_seeds(scale, normalized=True) for scale in scales}
final = {scale: plain[scale][:, -1].median().item() for scale in scales}
smallest_plain, largest_plain = plain[1.0][:, -1].aminmax()
smallest_plain, largest_plain = smallest_plain.item(), largest_plain.item()
smallest = min(sizes.min().item() for sizes in normed.values())
largest = max(sizes.max().item() for sizes in normed.values())

fig, ax = plt.subplots(figsize=(5.6, 3.6))
steps_axis = list(range(1, rnn_steps + 1))
styles = zip(scales, ("C2", "C3", "C1"), ("--", "-.", ":"), strict=True)
for scale, color, line in styles:
    ordered = plain[scale].sort(0).values
    low, middle, high = ordered[2], ordered[num_seeds // 2], ordered[-3]
    name = f"weights × {scale}"
    ax.plot(steps_axis, middle, color=color, linestyle=line, label=name)
    ax.fill_between(steps_axis, low, high, color=color, alpha=0.12)
middle = normed[1.0].median(0).values
ax.plot(steps_axis, middle, color="C0", lw=2.4, label="layer norm")
ax.set_yscale("log")
ax.set_ylim(1e-30, 1e30)
ax.set_xlabel("time step")
ax.set_ylabel("size of the state")
ax.legend()

# %% check_rnn
# claim: state-vanishes-or-explodes-without
assert (plain[0.6][:, -1] < 1e-3).all()
assert (plain[1.4][:, -1] > 1e3).all()
assert largest_plain > 1e6 * smallest_plain

# claim: state-keeps-its-size-with
assert smallest > 0.3
assert largest < 1.5

# claim: scale-of-the-weights-does-not-matter
weight, h = torch.randn(8, 8).double(), torch.randn(8).double()
a = weight @ h
assert torch.allclose(F.layer_norm(3 * a, [8], eps=0), F.layer_norm(a, [8], eps=0))

# %% residual
block_width, block_batch = 64, 64


def make_blocks(depth):
    blocks = []
    for _ in range(depth):
        widen = nn.Linear(block_width, 4 * block_width)
        block = nn.Sequential(widen, nn.GELU(), nn.Linear(4 * block_width, block_width))
        for layer in (block[0], block[2]):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        blocks.append(block)
    return nn.ModuleList(blocks)


def residual_stream(blocks, h, where):
    for block in blocks:
        if where == "pre":
            h = h + block(F.layer_norm(h, [block_width]))
        elif where == "post":
            h = F.layer_norm(h + block(h), [block_width])
        else:
            h = h + block(h)
    return h


def forward(blocks, x, where):
    h = residual_stream(blocks, x, where)
    # Pre-norm needs one more at the end; nothing else has normalized the sum.
    return F.layer_norm(h, [block_width]) if where == "pre" else h


# %% depth
depths, depth_seeds = (2, 4, 8, 16, 32, 64), 10


def measure(depth, where, seed):
    torch.manual_seed(seed)
    blocks, head = make_blocks(depth), nn.Linear(block_width, 10)
    x = torch.randn(block_batch, block_width)
    labels = torch.randint(10, (block_batch,))
    loss = F.cross_entropy(head(forward(blocks, x, where)), labels)
    loss.backward()
    gradient = blocks[-1][2].weight.grad.norm().item()
    with torch.no_grad():
        stream = residual_stream(blocks, x, where).std().item()
    return gradient, stream


def measure_all(where):
    seeds = range(depth_seeds)
    return torch.tensor([[measure(d, where, seed) for seed in seeds] for d in depths])


results = {where: measure_all(where) for where in ("pre", "post", "none")}
last = {where: result[..., 0] for where, result in results.items()}  # (depths, seeds)
stream = results["pre"][..., 1].mean(1)
stream_first, stream_last = stream[0].item(), stream[-1].item()
predicted = last["pre"][0].mean() * stream[0] / stream
pre_falls = (last["pre"][0] / last["pre"][-1]).mean().item()
post_falls = (last["post"][0] / last["post"][-1]).mean().item()
post_over_pre = (last["post"][-1] / last["pre"][-1]).mean().item()
post_changes = (last["post"][-1] / last["post"][0]).mean().item()
none_grows = (last["none"][-1] / last["none"][0]).median().item()

fig, ax = plt.subplots(figsize=(5.6, 3.6))
for where, color, marker, name in (
    ("post", "C1", "s", "post-norm"),
    ("pre", "C0", "o", "pre-norm"),
):
    ax.plot(depths, last[where].mean(1), color=color, marker=marker, label=name)
    low, high = last[where].aminmax(dim=1)
    ax.fill_between(depths, low, high, color=color, alpha=0.2)
ax.plot(depths, predicted, color="black", linestyle=":", label="1 / size of the sum")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xticks(depths, [str(depth) for depth in depths])
ax.set_ylim(0.08, 1)
ax.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
ax.minorticks_off()
ax.set_xlabel("number of blocks")
ax.set_ylabel("gradient of the last block")
ax.legend()

# %% check_depth
# claim: pre-norm-gradient-falls-with-depth
ratios = last["pre"][0] / last["pre"][-1]
assert (ratios > 2).all()

# claim: it-falls-as-the-sum-grows
assert (last["pre"].mean(1) / predicted).log().abs().max() < math.log(1.4)

# claim: post-norm-gradient-does-not
ratios = last["post"][-1] / last["post"][0]
assert ratios.mean() >= 1
assert ((ratios > 0.7) & (ratios < 2)).all()
assert (last["post"][-1] > 2 * last["pre"][-1]).all()

# claim: no-norm-explodes
assert (last["none"][-1] > 100 * last["none"][0]).all()

# claim: post-norm-has-no-free-path
blocks, h = make_blocks(4), torch.randn(3, block_width)
lengths_after = forward(blocks, h, "post").norm(dim=1)
assert (lengths_after - math.sqrt(block_width)).abs().max() < 1e-2
for block in blocks:
    nn.init.zeros_(block[2].weight)
after = forward(blocks, h, "post")
assert torch.allclose(after, F.layer_norm(h, [block_width]), atol=1e-4)
assert not torch.allclose(after, h, atol=1e-2)

# %% trap_axes
torch.manual_seed(0)
square = 3 + torch.randn(2, 32, 32, 32)  # 32 channels, and 32 pixels wide
wrong = nn.LayerNorm(32)(square)
right = nn.LayerNorm(32)(square.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
print("mean over the channels of one pixel")
print(f"LayerNorm(32) as it is        {wrong[0, :, 5, 7].mean():7.4f}")
print(f"with the channels at the end  {right[0, :, 5, 7].mean():7.4f}")

# %% trap_cancel
far = 1e4 + torch.randn(1000, 256)
short_cut = far.square().mean(-1) - far.mean(-1).square()
honest = far.var(-1, correction=0)
print(f"E[x²] - E[x]²   from {short_cut.min():8.3f} to {short_cut.max():8.3f}")
print(f"E[(x - E[x])²]  from {honest.min():8.3f} to {honest.max():8.3f}")

# %% check_traps
# claim: layer-norm-takes-the-last-dimension
assert wrong.mean(-1).abs().max() < 1e-5
assert wrong.mean(1).abs().max() > 0.1
assert right.mean(1).abs().max() < 1e-5

# claim: other-shapes-raise
try:
    nn.LayerNorm(32)(torch.randn(2, 32, 28, 28))
    raised = False
except RuntimeError:
    raised = True
assert raised

# claim: short-cut-cancels
assert (short_cut - 1).abs().max() > 2
assert (short_cut < 0).any()
assert honest.min() > 0.5
assert honest.max() < 1.6
exact = F.layer_norm(far.double(), [256])
assert (F.layer_norm(far, [256]) - exact).abs().max() < 0.01

# claim: batch-does-not-matter
torch.manual_seed(0)
samples, layer = torch.randn(256, 10), nn.LayerNorm(10)
assert torch.allclose(layer(samples)[:1], layer(samples[:1]), atol=1e-6)
batch_layer = nn.BatchNorm1d(10)
assert not torch.allclose(batch_layer(samples)[:2], batch_layer(samples[:2]), atol=0.1)

# claim: not-only-another-axis
assert [name for name, _ in nn.BatchNorm1d(10).named_buffers()] == [
    "running_mean",
    "running_var",
    "num_batches_tracked",
]
assert not list(nn.LayerNorm(10).named_buffers())

# %% solution_shift
torch.manual_seed(0)
x = torch.randn(4, 10)
layer = nn.LayerNorm(10)
for name, changed in (("5 x", 5 * x), ("x + 3", x + 3), ("-x", -x)):
    print(f"{name:6} largest change {(layer(changed) - layer(x)).abs().max():.5f}")

# %% solution_rows
features = torch.randn(8, 2, 3, 4)
as_rows = F.layer_norm(features.reshape(16, 12), [12]).reshape(8, 2, 3, 4)
as_maps = F.layer_norm(features, [3, 4])
print(f"rows of 12 and [3, 4] differ by {(as_rows - as_maps).abs().max():.5f}")

# %% solution_freedom
torch.manual_seed(0)
z = F.layer_norm(torch.randn(5000, 3), [3], eps=0)
across = z @ torch.tensor([1.0, -1.0, 0.0]) / math.sqrt(2)
along = z @ torch.tensor([1.0, 1.0, -2.0]) / math.sqrt(6)
angles = torch.atan2(across, along)
print(f"{z.sum(1).abs().max():.0e} off the plane, length {z.norm(dim=1).mean():.4f}")
in_each = torch.histc(angles, 36, -math.pi, math.pi)  # sectors of 10 degrees
print(f"points in each of 36 sectors: {in_each.min():.0f} to {in_each.max():.0f}")

# %% check_solutions
# claim: shift-and-positive-scale-cancel
assert torch.allclose(layer(5 * x), layer(x), atol=1e-3)
assert torch.allclose(layer(x + 3), layer(x), atol=1e-5)
assert torch.allclose(layer(-x), -layer(x))
exact = F.layer_norm(x.double(), [10], eps=0)
assert torch.allclose(F.layer_norm(5 * x.double(), [10], eps=0), exact, atol=1e-12)

# claim: two-dimensions-are-one-row
assert torch.allclose(as_rows, as_maps, atol=1e-6)

# claim: outputs-fill-a-circle
assert z.sum(1).abs().max() < 1e-5
assert (z.norm(dim=1) - math.sqrt(3)).abs().max() < 1e-4
assert in_each.min() > 0
