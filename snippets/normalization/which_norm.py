# ---
# timeout: 400
# data: fashion_mnist
# ---
# %% scratch
import copy
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from reglab.data import images, standardize
from reglab.stacked_cnn import StackedCNN

torch.set_num_threads(1)


def normalize(x, over, eps=1e-5):
    mean = x.mean(over, keepdim=True)
    variance = x.var(over, keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + eps)


def normalize_groups(x, num_groups):
    # The channels of a group become an axis of their own.
    split = x.unflatten(1, (num_groups, -1))  # (N, G, C/G, H, W)
    return normalize(split, (2, 3, 4)).flatten(1, 2)


from_scratch = {
    "BatchNorm": lambda x: normalize(x, (0, 2, 3)),
    "LayerNorm · C, H, W": lambda x: normalize(x, (1, 2, 3)),
    "LayerNorm · C": lambda x: normalize(x, 1),
    "LayerNorm · W": lambda x: normalize(x, 3),
    "InstanceNorm": lambda x: normalize(x, (2, 3)),
    "GroupNorm": lambda x: normalize_groups(x, 3),
}


# %% layers
class LayerNormOverChannels(nn.LayerNorm):
    # LayerNorm takes the last axes, so the channels go to the end and back.
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


block = {"N": 4, "C": 6, "H": 3, "W": 3}
layers = {
    "BatchNorm": nn.BatchNorm2d(6),
    "BatchNorm · eval()": nn.BatchNorm2d(6).eval(),
    "LayerNorm · C, H, W": nn.LayerNorm([6, 3, 3]),
    "LayerNorm · C": LayerNormOverChannels(6),
    "LayerNorm · W": nn.LayerNorm(3),
    "InstanceNorm": nn.InstanceNorm2d(6),
    "GroupNorm": nn.GroupNorm(3, 6),
    "RMSNorm": nn.RMSNorm([6, 3, 3], eps=1e-5),
}
torch.manual_seed(0)
cells = torch.randn(tuple(block.values()))
chosen = (1, 2, 1, 1)  # one cell of the second sample's third channel

# %% check_scratch
# claim: one-function-makes-them-all
for name, function in from_scratch.items():
    assert torch.allclose(function(cells), layers[name](cells), atol=1e-5)


# %% probe
def who_depends_on_whom(layer):
    # Row i: the cells whose input changes the output of cell i.
    layer = copy.deepcopy(layer).double()
    jacobian = torch.autograd.functional.jacobian(layer, cells.double())
    size = cells.numel()
    return jacobian.reshape(size, size).abs() > 1e-12


def probe(name, layer):
    depends = who_depends_on_whom(layer)
    shared = depends.view(*cells.shape, *cells.shape)[chosen]  # (N, C, H, W)
    over = {}
    for axis, (letter, size) in enumerate(block.items()):
        elsewhere = chosen[:axis] + chosen[axis + 1 :]
        num_used = shared.movedim(axis, -1)[elsewhere].sum().item()
        if num_used > 1:
            over[letter] = "all" if num_used == size else "some"
    alone = shared.sum().item() == 1
    moved = layer(cells + 2.0 * shared) - layer(cells)
    arguments = layer.extra_repr().split(", eps")[0]
    mode = "" if layer.training else ".eval()"
    numbers = shared.flatten().nonzero().flatten().tolist()  # of the cells
    return {
        "name": name,
        "code": f"{type(layer).__name__}({arguments}){mode}",
        "shared": " ".join(map(str, numbers)),
        "over": over,
        "count": shared.sum().item(),
        "statistics": 0 if alone else len(depends.unique(dim=0)),
        "mean": moved[chosen].abs().item() < 1e-3,
        "gamma": None if layer.weight is None else list(layer.weight.shape),
    }


axes = {
    "block": block,
    "chosen": list(chosen),
    "layers": [probe(name, layer) for name, layer in layers.items()],
}
print("layer                averages over    numbers  statistics  gamma")
for one in axes["layers"]:
    # A star: over a part of the axis only.
    over = [letter + "*" * (how == "some") for letter, how in one["over"].items()]
    print(
        f"{one['name']:20} {', '.join(over):15} {one['count']:8}",
        f"{one['statistics']:11}  {one['gamma'] or 'none'}",
    )

# %% check_probe
probed = {one["name"]: one for one in axes["layers"]}

# claim: batch-norm-shares-a-channel
assert probed["BatchNorm"]["over"] == {"N": "all", "H": "all", "W": "all"}
assert probed["BatchNorm"]["statistics"] == block["C"]

# claim: only-batch-norm-crosses-samples
crossing = [name for name, one in probed.items() if "N" in one["over"]]
assert crossing == ["BatchNorm"]

# claim: eval-shares-nothing
assert probed["BatchNorm · eval()"]["over"] == {}
assert probed["BatchNorm · eval()"]["statistics"] == 0

# claim: rms-norm-keeps-the-mean
assert [name for name, one in probed.items() if not one["mean"]] == [
    "BatchNorm · eval()",
    "RMSNorm",
]

# claim: groups-lead-from-layer-norm-to-instance-norm
sets = {g: who_depends_on_whom(nn.GroupNorm(g, 6)) for g in (1, 2, 3, 6)}
assert torch.equal(sets[1], who_depends_on_whom(layers["LayerNorm · C, H, W"]))
assert torch.equal(sets[6], who_depends_on_whom(layers["InstanceNorm"]))
sample = torch.arange(cells.numel()) // cells[0].numel()
other_sample = sample[:, None] != sample
assert not any((found & other_sample).any() for found in sets.values())
assert (who_depends_on_whom(layers["BatchNorm"]) & other_sample).any()

# claim: gamma-has-another-shape
assert probed["LayerNorm · C, H, W"]["gamma"] == [6, 3, 3]
assert probed["GroupNorm"]["gamma"] == probed["BatchNorm"]["gamma"] == [6]
assert probed["InstanceNorm"]["gamma"] is None


# %% together
class SideBySide(nn.Module):
    def __init__(self, channels, size, num_groups=8):
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                "batch norm": nn.BatchNorm2d(channels),
                "layer norm": nn.LayerNorm([channels, size, size]),
                "instance norm": nn.InstanceNorm2d(channels),
                "group norm": nn.GroupNorm(num_groups, channels),
            }
        )

    def forward(self, x):
        return {name: layer(x) for name, layer in self.layers.items()}


torch.manual_seed(0)
num_samples, num_channels, size = 8, 16, 32
sample_offsets = 2 * torch.randn(num_samples, 1, 1, 1)
channel_offsets = 2 * torch.randn(1, num_channels, 1, 1)
noise = torch.randn(num_samples, num_channels, size, size)
x = sample_offsets + channel_offsets + noise
side_by_side = SideBySide(num_channels, size)
with torch.no_grad():
    outputs = {"input": x, **side_by_side(x)}


def spread(y):
    # How far the means of samples lie apart, and those of channels.
    return {
        "samples": y.mean((1, 2, 3)).std().item(),
        "channels": y.mean((0, 2, 3)).std().item(),
        "whole": y.std().item(),
    }


spreads = {name: spread(y) for name, y in outputs.items()}
print("standard deviation   of sample means  of channel means     of all")
for name, found in spreads.items():
    print(
        f"{name:20}",
        *(f"{found[of]:16.2f}" for of in ("samples", "channels", "whole")),
    )

# %% offsets
fig, grid = plt.subplots(2, 3, figsize=(5.6, 4.2))
for ax, (name, y) in zip(grid.flat, outputs.items(), strict=False):
    means = y.mean((2, 3))  # (samples, channels)
    drawn = (means / y.std()).numpy()
    shown = ax.imshow(drawn, cmap="coolwarm", vmin=-2, vmax=2, aspect="auto")
    ax.set_title(name)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
grid[0, 0].set_xlabel("channel")
grid[0, 0].set_ylabel("sample")
grid[1, 2].axis("off")
place = grid[1, 2].inset_axes([0.05, 0.5, 0.9, 0.1])
bar = fig.colorbar(shown, cax=place, orientation="horizontal")
bar.set_label("mean of a feature map")

# %% check_together
# claim: offsets-that-each-layer-removes
for name, removed, kept in (
    ("batch norm", "channels", "samples"),
    ("layer norm", "samples", "channels"),
    ("group norm", "samples", "channels"),
):
    assert spreads[name][removed] < 0.01
    assert spreads[name][kept] > 0.3
assert (
    max(
        spreads["instance norm"]["samples"],
        spreads["instance norm"]["channels"],
    )
    < 0.01
)

# claim: instance-norm-flattens-every-map
assert outputs["instance norm"].mean((2, 3)).abs().max() < 1e-3
assert all(y.mean((2, 3)).abs().max() > 0.5 for name, y in outputs.items() if name != "instance norm")

# claim: all-have-the-same-scale
assert all(abs(found["whole"] - 1) < 0.01 for name, found in spreads.items() if name != "input")

# claim: parameters-of-the-four
num_gammas = {name: 0 if layer.weight is None else layer.weight.numel() for name, layer in side_by_side.layers.items()}
assert num_gammas["layer norm"] == num_channels * size * size
assert num_gammas["batch norm"] == num_gammas["group norm"] == num_channels
assert num_gammas["instance norm"] == 0


# %% needs
def attempt(channels, trained_size, size):
    try:
        x = torch.randn(2, channels, size, size)
        SideBySide(channels, trained_size)(x)
    except (RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {str(error)[:43]}…"
    return "works"


tries = {
    "16 channels, 32×32": attempt(16, 32, 32),
    "16 channels, 28×28": attempt(16, 32, 28),
    "12 channels, 32×32": attempt(12, 32, 32),
    "3 channels, 32×32": attempt(3, 32, 32),
}
for name, outcome in tries.items():
    print(f"{name}  {outcome}")

# %% check_needs
# claim: the-example-needs-size-and-channels
assert tries["16 channels, 32×32"] == "works"
assert "normalized_shape=[16, 32, 32]" in tries["16 channels, 28×28"]
assert "divisible by" in tries["12 channels, 32×32"]
assert "divisible by" in tries["3 channels, 32×32"]

# %% nets
NORMS = {
    "none": lambda channels, size: nn.Identity(),
    "batch norm": lambda channels, size: nn.BatchNorm2d(channels),
    "group norm": lambda channels, size: nn.GroupNorm(channels // 4, channels),
    "layer norm": lambda channels, size: nn.LayerNorm([channels, size, size]),
    "instance norm": lambda channels, size: nn.InstanceNorm2d(channels, affine=True),
}


def convolutional(new_norm, seed):
    # The weights depend on the seed alone, not on the normalization.
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),  # 14×14 → 7×7
        new_norm(8, 7),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),  # 7×7 → 4×4
        new_norm(16, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )


def fully_connected(new_norm, seed):
    # A kernel as large as the picture: a fully connected layer, maps of 1×1.
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 32, 14),
        new_norm(32, 1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 1),
        new_norm(32, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


# %% train
num_train, num_held_out, num_test, num_seen = 6000, 1000, 2000, 2560
num_needed = num_train + num_held_out
train_set, test_set = images(num_train=num_needed, num_test=num_test, seed=0)
data_source = train_set.source


def prepare(pictures):
    halved = F.avg_pool2d(pictures, 2)  # 28×28 → 14×14
    return standardize(halved, train=F.avg_pool2d(train_set.images, 2))


inputs, labels = prepare(train_set.images), train_set.labels
test_inputs, test_labels = prepare(test_set.images), test_set.labels


def draw(seed, num_different):
    # Each net sees pictures of its own, again from the start where they are few.
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(num_train, generator=generator)[:num_different]
    return order.repeat(num_seen // len(order) + 1)[:num_seen]


def train(nets, rates, seeds, batch_size, num_different=num_seen, passes=1):
    # Plain SGD for many nets at once; a step adds up the gradients of its passes.
    orders = torch.stack([draw(seed, num_different) for seed in seeds])
    stack = StackedCNN(nets)
    optimizer = torch.optim.SGD(stack.parameters(), lr=1.0, foreach=True)
    rates = torch.tensor(rates) / passes
    for number, seen in enumerate(orders.split(batch_size, dim=1), 1):
        outputs = stack(inputs[seen])  # (nets, batch, classes)
        losses = F.cross_entropy(outputs.mT, labels[seen], reduction="none")
        # The rate of a net multiplies its loss; it falls to zero along a line.
        left = 1 - (number - 1) * batch_size / num_seen
        (left * rates * losses.mean(1)).sum().backward()
        if number % passes == 0:
            optimizer.step()
            optimizer.zero_grad()
    return stack


@torch.no_grad()
def accuracy(stack, x, y, at_once=50):
    right = 0
    for part, truth in zip(x.split(at_once), y.split(at_once), strict=True):
        scores = stack(part.expand(stack.num_nets, *part.shape))
        right += (scores.argmax(-1) == truth).sum(1)
    return right / len(y)  # (nets,)


# %% batch_sizes
batch_sizes, base_rates = [1, 2, 4, 8, 16, 32, 64], [0.1, 0.3, 0.9]
num_seeds, tuning_seeds = 10, [100, 101, 102]


def rate_for(base, batch_size):
    return base * math.sqrt(batch_size / 64)


def tune_and_train(make, names, batch_size):
    # The rate that is best on held-out pictures, found with other seeds.
    trials = list(itertools.product(names, base_rates, tuning_seeds))
    stack = train(
        [make(NORMS[n], s) for n, _, s in trials],
        [rate_for(b, batch_size) for _, b, _ in trials],
        [s for *_, s in trials],
        batch_size,
    ).eval()
    held_out = accuracy(stack, inputs[num_train:], labels[num_train:])
    by_rate = held_out.view(len(names), len(base_rates), -1).mean(2)
    best_of = [base_rates[i] for i in by_rate.argmax(1)]
    best = dict(zip(names, best_of, strict=True))
    runs = list(itertools.product(names, range(num_seeds)))
    stack = train(
        [make(NORMS[n], s) for n, s in runs],
        [rate_for(best[n], batch_size) for n, _ in runs],
        [s for _, s in runs],
        batch_size,
    )
    return best, stack


def measure(make, names, sizes):
    # For each normalization a row of test accuracies for each batch size.
    found = {name: [] for name in names}
    by_batch, best_rates, stacks = [], {name: [] for name in names}, {}
    for batch_size in sizes:
        # All nets at once save calls; with large batches they overflow the cache.
        groups = [names] if batch_size <= 8 else [[name] for name in names]
        for group in groups:
            best, stack = tune_and_train(make, group, batch_size)
            tested = accuracy(stack.eval(), test_inputs, test_labels)
            for name, row in zip(group, tested.split(num_seeds), strict=True):
                found[name].append(row)
                best_rates[name].append(best[name])
            stacks[batch_size, group[0]] = stack
            if "batch norm" in group:
                # Training mode: the statistics of the test batch itself.
                copied = copy.deepcopy(stack).train()
                tested = accuracy(copied, test_inputs, test_labels, batch_size)
                first = group.index("batch norm") * num_seeds
                by_batch.append(tested[first : first + num_seeds])
    found = {name: torch.stack(rows) for name, rows in found.items()}
    return found, torch.stack(by_batch), best_rates, stacks


# %% results
conv_names = list(NORMS)
conv, conv_by_batch, conv_rates, conv_stacks = measure(
    convolutional,
    conv_names,
    batch_sizes,
)
# BatchNorm needs two numbers; InstanceNorm would have one alone to average.
full_names, full_sizes = conv_names[:4], batch_sizes[1:]
full, full_by_batch, full_rates, _ = measure(
    fully_connected,
    full_names,
    full_sizes,
)


def table(found, by_batch, sizes):
    rows = found | {"batch norm, test batch": by_batch}
    names = [str(n) for n in sizes]
    by_name = {}
    for name, tested in rows.items():
        over_seeds = tested.mean(1).tolist()
        by_name[name] = dict(zip(names, over_seeds, strict=True))
    return by_name


means = table(conv, conv_by_batch, batch_sizes)
full_means = table(full, full_by_batch, full_sizes)
columns = [str(n) for n in batch_sizes]
for title, rows in (("convolutional", means), ("fully connected", full_means)):
    print(f"{title:24}", *(f"{n:>5}" for n in columns))
    for name, row in rows.items():
        shown = [f"{row[n]:.3f}" if n in row else "    –" for n in columns]
        print(f"  {name:22}", *shown)

# %% accuracy
styles = {
    "none": ("black", "o", ":"),
    "batch norm": ("C1", "o", "-"),
    "batch norm, statistics of the test batch": ("C1", "s", "--"),
    "group norm": ("C2", "s", "-"),
    "layer norm": ("C0", "^", "-"),
    "instance norm": ("C3", "D", "-"),
}
name_by_batch = "batch norm, statistics of the test batch"
fig, panels = plt.subplots(2, 1, figsize=(5.6, 6.6))
for ax, found, sizes, title in (
    (
        panels[0],
        conv | {name_by_batch: conv_by_batch},
        batch_sizes,
        "convolutional net",
    ),
    (
        panels[1],
        full | {name_by_batch: full_by_batch},
        batch_sizes[1:],
        "fully connected net",
    ),
):
    for name, (color, marker, line) in styles.items():
        if name not in found:
            continue
        middle, half = found[name].mean(1), found[name].std(1)
        ax.plot(
            sizes,
            middle,
            color=color,
            marker=marker,
            linestyle=line,
            label=name,
        )
        ax.fill_between(sizes, middle - half, middle + half, color=color, alpha=0.12, lw=0)
    ax.set_title(title)
    ax.set_xscale("log", base=2)
    ax.set_xticks(batch_sizes, [str(n) for n in batch_sizes])
    ax.minorticks_off()
    ax.set_xlim(0.9, 71)
    ax.set_ylabel("test accuracy")
panels[1].set_xlabel("batch size")
handles, names = panels[0].get_legend_handles_labels()
fig.legend(handles, names, loc="outside lower center", ncols=2)

# %% check_batch_sizes
at = {n: i for i, n in enumerate(batch_sizes)}
full_at = {n: i for i, n in enumerate(full_sizes)}


def wins(one, other):
    return (one > other).sum().item()


bn, gn, ln, inst, none = (
    conv[name]
    for name in (
        "batch norm",
        "group norm",
        "layer norm",
        "instance norm",
        "none",
    )
)
lost_at_one = {name: wins(conv[name][0], bn[0]) for name in ("none", "group norm", "layer norm", "instance norm")}

# claim: one-sample-is-too-few-for-batch-norm
assert all(count >= 8 for count in lost_at_one.values())
assert bn[0].mean() < min(rows[0].mean() for name, rows in conv.items() if name != "batch norm") - 0.01

# claim: positions-count-too
activations, positions = test_inputs[:1], []
for layer in convolutional(NORMS["none"], seed=0):
    activations = layer(activations)
    if isinstance(layer, nn.Conv2d):
        positions.append(activations[0, 0].numel())
assert positions == [49, 16]

# claim: two-are-enough-in-this-net
behind_group_norm = (gn - bn).mean(1)
assert (behind_group_norm[1:] < 0.02).all()
assert (behind_group_norm[1:] < behind_group_norm[0]).all()

# claim: statistics-of-the-test-batch-mend-it
mended = wins(conv_by_batch[0], bn[0])
assert mended >= 9
assert (conv_by_batch[0] - inst[0]).mean().abs() < 0.015

# claim: others-hardly-depend-on-the-batch
steady = [rows[: at[16] + 1].mean(1).max().item() - rows[: at[16] + 1].mean(1).min().item() for rows in (gn, ln, inst)]
largest_change = max(steady)
assert largest_change < 0.04

# claim: instance-norm-is-best-on-average-here
instance_wins = wins(inst, bn)
num_pairs = inst.numel()
assert instance_wins > 0.7 * num_pairs
assert inst.mean() > max(rows.mean() for name, rows in conv.items() if name != "instance norm") + 0.004

# claim: few-steps-need-normalization-most
gain_at_64 = (torch.stack([bn, gn, ln, inst])[:, at[64]].mean(1) - none[at[64]].mean()).mean().item()
gain_at_1 = (torch.stack([gn, ln, inst])[:, 0].mean(1) - none[0].mean()).mean().item()
assert gain_at_64 > 0.025
assert gain_at_64 > 1.5 * gain_at_1

full_bn, full_gn, full_ln, full_none = (full[name] for name in ("batch norm", "group norm", "layer norm", "none"))

# claim: two-numbers-are-a-sign
pair = torch.randn(2, 32, 1, 1, dtype=torch.float64)
signs = torch.where(pair > pair.mean(0), 1.0, -1.0).double()
assert torch.allclose(normalize(pair, (0, 2, 3), eps=0), signs)

# claim: fully-connected-net-fails-with-two
assert full_bn[0].max() < 0.6
assert full_by_batch[0].max() < 0.6
assert full_ln[0].min() > 0.7

# claim: four-are-not-enough-there
lost_at_four = wins(full_none[full_at[4]], full_bn[full_at[4]])
assert lost_at_four >= 8

# claim: large-batches-suit-batch-norm
won_over_layer_norm = {str(n): wins(full_bn[full_at[n]], full_ln[full_at[n]]) for n in (16, 32, 64)}
assert all(count >= 7 for count in won_over_layer_norm.values())
assert all(wins(full_bn[full_at[n]], full_gn[full_at[n]]) >= 9 for n in (16, 32, 64))
assert all(wins(full_bn[full_at[n]], full_none[full_at[n]]) >= 9 for n in (16, 32, 64))

# claim: four-numbers-a-group-are-few
assert wins(full_ln, full_gn) > 0.85 * full_ln.numel()

# %% twins
num_twin_steps = 300
torch.manual_seed(0)
twins = [
    convolutional(NORMS["batch norm"], seed=0),
    convolutional(NORMS["instance norm"], seed=0),
]
for net in twins:
    net.double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03)
    for index in range(num_twin_steps):
        picture, label = (
            inputs[index : index + 1].double(),
            labels[index : index + 1],
        )
        optimizer.zero_grad()
        F.cross_entropy(net(picture), label).backward()
        optimizer.step()
weights = zip(*(net.parameters() for net in twins), strict=True)
differences = [(one - other).abs().max().item() for one, other in weights]
largest_difference = max(differences)
picture = test_inputs[:1].double()
print(f"the weights differ by {largest_difference:.3f} at the end")
with torch.no_grad():
    for mode in (True, False):
        one, other = (net.train(mode)(picture)[0] for net in twins)
        difference = (one - other).abs().max()
        name = "training" if mode else "evaluation"
        print(f"in {name} mode the outputs differ by {difference:.3f}")

# %% check_twins
# claim: batch-norm-of-one-is-instance-norm
assert largest_difference < 1e-8
with torch.no_grad():
    same = [net.train()(picture) for net in twins]
    apart = [net.eval()(picture) for net in twins]
assert torch.allclose(*same, atol=1e-8)
assert (apart[0] - apart[1]).abs().max() > 0.1

# %% exact
# The statistics of a thousand pictures at once, in place of running ones.
exact = copy.deepcopy(conv_stacks[1, "none"])
for layer in exact.modules():
    if isinstance(layer, nn.BatchNorm2d):
        layer.momentum = 1.0
many = inputs[:1000]
with torch.no_grad():
    exact.train()(many.expand(exact.num_nets, *many.shape))
first = conv_names.index("batch norm") * num_seeds
with_exact = accuracy(exact.eval(), test_inputs, test_labels)
with_exact = with_exact[first : first + num_seeds]
exact_mean = with_exact.mean().item()
print(f"running statistics       {bn[0].mean():.3f}")
print(f"of a thousand pictures   {exact_mean:.3f}")
print(f"of the test picture      {conv_by_batch[0].mean():.3f}")

# %% check_exact
# claim: better-running-statistics-do-not-mend-it
assert exact_mean < conv_by_batch[0].mean() - 0.01
assert wins(conv_by_batch[0], with_exact) >= 8

# %% light
brightness = [1.0, 0.8, 0.6, 0.4, 0.2]
num_lit = 1000
lit = {}
for name in NORMS:
    stack = conv_stacks[16, name].eval()
    rows = []
    for share in brightness:
        darker = prepare(share * test_set.images[:num_lit])
        rows.append(accuracy(stack, darker, test_labels[:num_lit]))
    lit[name] = torch.stack(rows)  # (brightness, seeds)
kept = {name: (rows[-1] / rows[0]).mean().item() for name, rows in lit.items()}
for name, share in kept.items():
    print(f"{name:14} keeps {share:.0%} of its accuracy in the darkest")

# %% darker
fig, ax = plt.subplots(figsize=(5.6, 3.6))
for name, (color, marker, line) in styles.items():
    if name in lit:
        middle, half = lit[name].mean(1), lit[name].std(1)
        ax.plot(
            brightness,
            middle,
            color=color,
            marker=marker,
            linestyle=line,
            label=name,
        )
        ax.fill_between(
            brightness,
            middle - half,
            middle + half,
            color=color,
            alpha=0.12,
            lw=0,
        )
ax.invert_xaxis()
ax.set_xlabel("brightness of the test pictures")
ax.set_ylabel("test accuracy")
ax.legend()

# %% check_light
# claim: instance-norm-bears-other-light
brighter_wins = {
    name: wins(lit["instance norm"][-1], rows[-1]) for name, rows in lit.items() if name != "instance norm"
}
assert all(count >= 9 for count in brighter_wins.values())
assert kept["instance norm"] > 1.4 * max(share for name, share in kept.items() if name != "instance norm")

# %% eps
tried_eps = [1e-12, 1e-5, 1e-3, 1e-1, 10.0]


def batch_norm_with(eps):
    return lambda channels, size: nn.BatchNorm2d(channels, eps=eps)


with_eps = []
for eps in tried_eps:
    stack = train(
        [convolutional(batch_norm_with(eps), s) for s in range(num_seeds)],
        [rate_for(conv_rates["batch norm"][at[16]], 16)] * num_seeds,
        range(num_seeds),
        16,
    )
    with_eps.append(accuracy(stack.eval(), test_inputs, test_labels))
with_eps = torch.stack(with_eps)  # (eps, seeds)
eps_means = with_eps.mean(1).tolist()
for eps, row in zip(tried_eps, with_eps, strict=True):
    print(f"eps {eps:6g}: test accuracy {row.mean():.3f} ± {row.std():.3f}")

# %% small_numbers
stds = [1.0, 0.1, 0.01, 0.003, 0.001]
torch.manual_seed(0)
unit = normalize(torch.randn(10_000).double(), 0, eps=0)
behind = [normalize(std * unit, 0).std(correction=0).item() for std in stds]
for std, after in zip(stds, behind, strict=True):
    print(f"standard deviation {std:5g} in, {after:.3f} out")

flat = torch.full((1, 1, 5, 5), 0.5)  # a map without any contrast
dtypes = (torch.float32, torch.float16)
of_flat = {}
for eps in (0.0, 1e-8, 1e-5):
    found = [normalize(flat.to(dtype), (2, 3), eps) for dtype in dtypes]
    of_flat[eps] = [y[0, 0, 0, 0].item() for y in found]
    single, half = of_flat[eps]
    print(f"a flat map with eps {eps:5g}: float32 {single}, float16 {half}")

# %% check_eps
# claim: eps-hardly-changes-the-accuracy
assert max(eps_means[:3]) - min(eps_means[:3]) < 0.01

# claim: huge-eps-ruins-it
assert (with_eps[-1] < with_eps[1] - 0.1).all()

# claim: eps-counts-where-the-variance-is-as-small
assert behind[1] > 0.99
assert 0.5 < behind[3] < 0.8
assert behind[4] < 0.4

# claim: eps-saves-flat-maps
assert all(math.isnan(found) for found in of_flat[0.0])
assert of_flat[1e-8][0] == 0
assert math.isnan(of_flat[1e-8][1])
assert of_flat[1e-5] == [0, 0]

# %% small_data
num_pictures = [100, 400, 1600]
small_data = {}
for name in ("batch norm", "layer norm"):
    rows = []
    for number in num_pictures:
        stack = train(
            [convolutional(NORMS[name], seed) for seed in range(num_seeds)],
            [rate_for(conv_rates[name][at[32]], 32)] * num_seeds,
            range(num_seeds),
            32,
            num_different=number,
        )
        rows.append(accuracy(stack.eval(), test_inputs, test_labels))
    small_data[name] = torch.stack(rows)  # (numbers, seeds)
pairs = zip(small_data["layer norm"], small_data["batch norm"], strict=True)
small_data_wins = [wins(one, other) for one, other in pairs]
print("pictures  batch norm  layer norm  layer norm wins")
for index, number in enumerate(num_pictures):
    one, other = (rows[index].mean().item() for rows in small_data.values())
    print(f"{number:8} {one:11.3f} {other:11.3f} {small_data_wins[index]:16}")

# %% check_small_data
# claim: little-data-does-not-favour-layer-norm
gaps = (small_data["layer norm"] - small_data["batch norm"]).mean(1)
assert gaps.max() < 0.02
assert sum(small_data_wins) <= 0.67 * len(num_pictures) * num_seeds

# %% trap_size
torch.manual_seed(0)
maps = torch.randn(2, 16, 32, 32)
bound, free = nn.LayerNorm([16, 32, 32]), nn.GroupNorm(1, 16)
agree = torch.allclose(bound(maps), free(maps), atol=1e-5)
print(f"untrained, they agree: {agree}")
print(f"numbers in gamma: {bound.weight.numel()} and {free.weight.numel()}")
smaller = free(maps[..., :28, :28])
print(f"GroupNorm takes another size: {tuple(smaller.shape)}")

# %% trap_channels
# Channels of different means, as convolutions make them.
shifted = maps + torch.arange(16.0).view(1, 16, 1, 1)
per_pixel = LayerNormOverChannels(16)(shifted)
per_sample = nn.GroupNorm(1, 16)(shifted)
for name, y in (
    ("LayerNorm over C", per_pixel),
    ("GroupNorm(1, C)", per_sample),
):
    at_pixels = y.mean(1).std().item()  # of the means of the pixels
    print(f"{name:17} leaves the means of pixels {at_pixels:.3f} apart")

# %% trap_pooled
pooled = torch.randn(4, 16, 1, 1)  # behind nn.AdaptiveAvgPool2d(1)
try:
    nn.InstanceNorm2d(16)(pooled)
    message = "no error"
except ValueError as error:
    message = str(error)[:47]
print(f"InstanceNorm2d: {message}")
silent = nn.GroupNorm(16, 16)(pooled).abs().max().item()
print(f"GroupNorm(16, 16): no error; the largest output is {silent:.3f}")

# %% trap_swap
with_batch_norm = conv_stacks[16, "batch norm"].eval()
swapped = copy.deepcopy(with_batch_norm)
for index, layer in enumerate(swapped.layers):
    if isinstance(layer, nn.BatchNorm2d):
        group_norm = nn.GroupNorm(layer.num_features // 4, layer.num_features)
        # γ and β fit, so nothing complains.
        affine = {"weight": layer.weight, "bias": layer.bias}
        group_norm.load_state_dict(affine)
        swapped.layers[index] = group_norm
before = accuracy(with_batch_norm, test_inputs, test_labels)
after = accuracy(swapped, test_inputs, test_labels)
before_swap, after_swap = before.mean().item(), after.mean().item()
print(f"test accuracy with BatchNorm: {before_swap:.3f}")
print(f"test accuracy with GroupNorm: {after_swap:.3f}")

# %% check_traps
# claim: layer-norm-over-chw-is-bound-to-the-size
assert torch.allclose(bound(maps), free(maps), atol=1e-5)
assert attempt(16, 32, 28).startswith("RuntimeError")
assert (bound.weight.numel(), free.weight.numel()) == (16 * 32 * 32, 16)

# claim: one-group-is-not-layer-norm-over-channels
assert per_pixel.mean(1).std() < 1e-5
assert per_sample.mean(1).std() > 0.01
assert not torch.allclose(per_pixel, per_sample, atol=0.1)

# claim: nothing-to-average-after-pooling
assert message.startswith("Expected more than 1 spatial element")
assert silent < 1e-4

# claim: swapped-layers-need-training
assert (after < before).all()
assert after_swap < before_swap - 0.03

# claim: only-batch-norm-has-two-modes
torch.manual_seed(0)
once_more = torch.randn(8, 16, 32, 32) + sample_offsets + channel_offsets
trained_mode = SideBySide(16, 32).train()(once_more)
evaluated = SideBySide(16, 32).eval()(once_more)
differing = [name for name in evaluated if not torch.equal(trained_mode[name], evaluated[name])]
assert differing == ["batch norm"]

# claim: evaluation-without-running-statistics
untracked = nn.BatchNorm2d(16, track_running_stats=False)
assert torch.equal(untracked.train()(once_more), untracked.eval()(once_more))
assert list(untracked.buffers()) == []

# claim: random-normal-data-hide-the-axes
plain = SideBySide(16, 32)(torch.randn(8, 16, 32, 32))
apart = max((one - other).abs().mean().item() for one in plain.values() for other in plain.values())
assert apart < 0.05
of_offsets = outputs["batch norm"] - outputs["layer norm"]
assert of_offsets.abs().mean() > 10 * apart

# claim: layer-norm-serves-convolutions-too
assert (ln - gn).mean(1).abs().max() < 0.02

# %% solution_changes
torch.manual_seed(0)
batch = torch.randn(4, 6, 5, 5, dtype=torch.float64)
others = torch.arange(4).view(4, 1, 1, 1) > 0
one_channel = torch.arange(6).view(1, 6, 1, 1) == 2
changes = {
    "the other samples": torch.where(others, batch.flip(0) + 1, batch),
    "twice the contrast": torch.where(others, batch, 2 * batch),
    "3 added": torch.where(others, batch, batch + 3),
    "3 added to a channel": batch + 3.0 * one_channel,
}
candidates = {
    "batch, train": nn.BatchNorm2d(6),
    "batch, eval": nn.BatchNorm2d(6).eval(),
    "layer": nn.LayerNorm([6, 5, 5]),
    "group": nn.GroupNorm(3, 6),
    "instance": nn.InstanceNorm2d(6),
    "RMS": nn.RMSNorm([6, 5, 5], eps=1e-5),
}
same = {}
print("what changes          " + "".join(f"{name:>13}" for name in candidates))
for change, changed in changes.items():
    row = {}
    for name, layer in candidates.items():
        difference = layer.double()(changed)[0] - layer(batch)[0]
        row[name] = difference.abs().max().item() < 1e-3
    same[change] = [name for name, yes in row.items() if yes]
    shown = ["same" if yes else "–" for yes in row.values()]
    print(f"{change:22}" + "".join(f"{word:>13}" for word in shown))
assert "batch, train" not in same["the other samples"]
assert same["twice the contrast"] == ["layer", "group", "instance", "RMS"]
assert same["3 added"] == ["layer", "group", "instance"]
assert same["3 added to a channel"] == ["batch, train", "instance"]

# %% solution_passes
rate = rate_for(full_rates["batch norm"][full_at[32]], 32)
in_passes = train(
    [fully_connected(NORMS["batch norm"], seed) for seed in range(num_seeds)],
    [rate] * num_seeds,
    range(num_seeds),
    batch_size=2,
    passes=16,
)
in_passes = accuracy(in_passes.eval(), test_inputs, test_labels)
print(f"one pass of 32     {full_bn[full_at[32]].mean():.3f}")
print(f"16 passes of 2     {in_passes.mean():.3f}")
print(f"batches of 2       {full_bn[0].mean():.3f}")
assert (in_passes < full_bn[full_at[32]] - 0.1).all()


# %% solution_groups
def groups_of(width):
    return lambda channels, size: nn.GroupNorm(channels // width, channels)


by_group = {}
for width in (8, 4, 2, 1):
    stack = train(
        [convolutional(groups_of(width), seed) for seed in range(num_seeds)],
        [rate_for(0.3, 16)] * num_seeds,
        range(num_seeds),
        batch_size=16,
    )
    found = accuracy(stack.eval(), test_inputs, test_labels)
    by_group[str(width)] = found
    print(f"{width} channels a group: test accuracy {found.mean():.3f}")
assert wins(by_group["1"], by_group["8"]) >= 7
