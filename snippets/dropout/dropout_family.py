# ---
# timeout: 300
# data: fashion_mnist
# ---
# %% masks
import copy
import math
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.colors import ListedColormap
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from reglab import dropout_family
from reglab.data import images, standardize

p_masks, num_samples, num_channels, size = 0.5, 2, 6, 8
spatial = {
    "Dropout": (size, size),
    "Dropout1d": (size,),
    "Dropout2d": (size, size),
    "Dropout3d": (3, size, size),
}

torch.manual_seed(12)
masks = {}
for name, axes in spatial.items():
    ones = torch.ones(num_samples, num_channels, *axes)
    masks[name] = getattr(nn, name)(p_masks)(ones)
    print(f"{name:10s}{tuple(ones.shape)!s:17s} {masks[name].unique().tolist()}")

# %% draw
kept_or_not = ListedColormap([(0, 0, 0, 0), "C0"])


def draw_tile(ax, mask, x, y, width, height):
    corners = (x, x + width, y, y + height)
    ax.imshow((mask > 0).numpy(), extent=corners, cmap=kept_or_not, vmin=0, vmax=1)
    ax.add_patch(plt.Rectangle((x, y), width, height, fill=False, edgecolor="black", linewidth=0.8))


heights = {"Dropout": 1.15, "Dropout1d": 0.5, "Dropout2d": 1.15, "Dropout3d": 1.25}
fig, axes = plt.subplots(4, 1, figsize=(5.6, 3.6), height_ratios=list(heights.values()))
for ax, (name, mask) in zip(axes, masks.items(), strict=True):
    letters = "N, C, " + {1: "L", 2: "H, W", 3: "D, H, W"}[len(spatial[name])]
    ax.set_title(f"{name}  ({letters})")
    for sample in range(num_samples):
        for channel in range(num_channels):
            tile, left = mask[sample, channel], 7.2 * sample + 1.1 * channel
            if name == "Dropout3d":
                # The slices of a volume lie behind each other, the first one in front.
                for depth in reversed(range(3)):
                    draw_tile(ax, tile[depth], left + 0.1 * depth, 0.14 * depth, 0.75, 0.75)
            else:
                draw_tile(ax, tile.reshape(-1, size), left, 0, 0.95, 0.3 if name == "Dropout1d" else 0.95)
    ax.set_aspect("equal")
    ax.set_xlim(-0.15, 13.8)
    ax.set_ylim(-0.1, heights[name] - 0.1)
    ax.set_xticks([3.2, 10.4], ["sample 1, six channels", "sample 2, six channels"])
    ax.set_yticks([])
    ax.tick_params(length=0, labelbottom=name == "Dropout3d")


# %% scratch
def dropout_with_mask(x, p, mask_shape):
    kept = torch.empty(mask_shape).bernoulli_(1 - p)
    return x * (kept / (1 - p))  # the mask is broadcast: one number for all that share it


p_scratch, n, c = 0.3, 4, 3
family = {
    "Dropout": ((n, c, 6, 6), (n, c, 6, 6)),
    "Dropout1d": ((n, c, 9), (n, c, 1)),
    "Dropout2d": ((n, c, 6, 6), (n, c, 1, 1)),
    "Dropout3d": ((n, c, 2, 6, 6), (n, c, 1, 1, 1)),
}
print("layer      input            mask              coins  same as torch")
for name, (shape, mask_shape) in family.items():
    x = torch.randn(shape)
    torch.manual_seed(0)
    ours = dropout_with_mask(x, p_scratch, mask_shape)
    torch.manual_seed(0)
    torchs = getattr(nn, name)(p_scratch)(x)
    coins = math.prod(mask_shape)
    print(f"{name:10s} {shape!s:16s} {mask_shape!s:16s} {coins:6d}  {torch.equal(ours, torchs)}")

# %% check_scratch
from reglab.dropout import Dropout

library = {"Dropout": Dropout} | {name: getattr(dropout_family, name) for name in list(family)[1:]}


def one_pass(layer, x, upstream):
    leaf = x.clone().requires_grad_()
    torch.manual_seed(1)
    output = layer(leaf)
    output.backward(upstream)
    return output.detach(), leaf.grad


# claim: scratch-equals-torch
for name, (shape, mask_shape) in family.items():
    x, upstream = torch.randn(shape), torch.randn(shape)
    for p in (0.0, 0.1, 0.5, 0.9, 1.0):
        for training in (True, False):
            ours = one_pass(library[name](p).train(training), x, upstream)
            theirs = one_pass(getattr(nn, name)(p).train(training), x, upstream)
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])
    torch.manual_seed(0)
    by_formula = dropout_with_mask(x, p_scratch, mask_shape)
    torch.manual_seed(0)
    assert torch.equal(by_formula, getattr(nn, name)(p_scratch)(x))

# claim: one-fate-per-channel-and-sample
for name, axes in list(spatial.items())[1:]:
    fates = getattr(nn, name)(0.5)(torch.ones(30, 20, *axes)).flatten(2)  # (samples, channels, positions)
    assert torch.equal(fates.amin(2), fates.amax(2))
    assert len(fates[..., 0].unique(dim=0)) == 30
    assert len(fates[..., 0].unique(dim=1).T) == 20

# claim: picture-shows-the-masks
for name in list(spatial)[1:]:
    flat = masks[name].flatten(2)
    assert torch.equal(flat.amin(2), flat.amax(2))
    assert not torch.equal(flat[0], flat[1])
assert masks["Dropout"].flatten(2).amin(2).eq(0).all()
assert masks["Dropout"].flatten(2).amax(2).eq(2).all()

# %% shapes
sizes = (5, 4, 3, 3, 3)  # of the axes, as many of them as there are


def behaviour(name, dims):
    layer, x = getattr(nn, name)(0.5), torch.ones(sizes[:dims])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            draws = torch.stack([layer(x) for _ in range(40)])
        except RuntimeError:
            return "error"
    mask_shape = []
    for axis in range(dims):
        differs = (draws.amin(axis + 1) != draws.amax(axis + 1)).any()
        mask_shape.append(str(sizes[axis]) if differs else "1")
    return "x".join(mask_shape) + (" !" if caught else "")


shapes_found = {name: [behaviour(name, dims) for dims in range(1, 6)] for name in spatial}
print("shape of the mask, by shape of the input (! means a warning)")
header = ["x".join(map(str, sizes[:dims])) for dims in range(1, 6)]
for name, found in {"input": header, **shapes_found}.items():
    print(f"{name:11s}" + "".join(f"{mask:12s}" for mask in found).rstrip())

# %% check_shapes
# claim: dropout-takes-any-shape
assert shapes_found["Dropout"] == ["5", "5x4", "5x4x3", "5x4x3x3", "5x4x3x3x3"]

# claim: shapes-of-1d
assert shapes_found["Dropout1d"] == ["error", "5x1", "5x4x1", "error", "error"]

# claim: shapes-of-2d
assert shapes_found["Dropout2d"] == ["error", "5x4 !", "5x4x1 !", "5x4x1x1", "5x4x1x1x1 !"]

# claim: shapes-of-3d
assert shapes_found["Dropout3d"] == ["5 !", "5x1 !", "5x1x1 !", "5x1x1x1", "5x4x1x1x1"]

# claim: own-layers-refuse-what-torch-warns-of
for name, layer in list(library.items())[1:]:
    for dims, found in enumerate(shapes_found[name], start=1):
        try:
            layer(0.5)(torch.ones(sizes[:dims]))
            assert found != "error" and "!" not in found
        except ValueError:
            assert found == "error" or "!" in found


# %% nets
class SimpleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(100, 50)
        self.dropout = nn.Dropout(p=0.5)
        self.linear2 = nn.Linear(50, 10)

    def forward(self, x):  # (N, 100) -> (N, 10)
        return self.linear2(self.dropout(F.relu(self.linear1(x))))


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3)
        self.dropout2d = nn.Dropout2d(p=0.2)

    def forward(self, x):  # (N, 3, H, W) -> (N, 64, H - 2, W - 2)
        return self.dropout2d(F.relu(self.conv(x)))


class Conv3DNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv3d = nn.Conv3d(1, 16, 3)
        self.dropout3d = nn.Dropout3d(p=0.3)

    def forward(self, x):  # (N, 1, D, H, W) -> (N, 16, D - 2, H - 2, W - 2)
        return self.dropout3d(F.relu(self.conv3d(x)))


class ComplexNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3)
        self.dropout2d = nn.Dropout2d(0.2)
        self.fc1 = nn.Linear(64 * 30 * 30, 512)
        self.dropout = nn.Dropout(0.5)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x):  # (N, 3, 32, 32) -> (N, 10)
        x = self.dropout2d(F.relu(self.conv(x)))
        x = x.flatten(1)  # (N, 57600)
        x = self.dropout(F.relu(self.fc1(x)))
        return self.fc2(x)


# %% shape_table
def shape_table(net, *input_shape):
    rows = []

    def note(name):
        def hook(module, inputs, output):
            count = sum(parameter.numel() for parameter in module.parameters())
            shapes = tuple(inputs[0].shape), tuple(output.shape)
            rows.append((name, type(module).__name__, *shapes, count))

        return hook

    hooks = [child.register_forward_hook(note(name)) for name, child in net.named_children()]
    net(torch.randn(input_shape))
    for hook in hooks:
        hook.remove()
    return rows


torch.manual_seed(0)
inputs = {
    "SimpleNet": (32, 100),
    "ConvNet": (32, 3, 32, 32),
    "Conv3DNet": (8, 1, 16, 32, 32),
    "ComplexNet": (32, 3, 32, 32),
}
nets = {kind.__name__: kind() for kind in (SimpleNet, ConvNet, Conv3DNet, ComplexNet)}
tables = {name: shape_table(net, *inputs[name]) for name, net in nets.items()}
for name, rows in tables.items():
    print(f"{name}, input {inputs[name]}")
    for child, kind, _, shape, count in rows:
        print(f"  {child:10s}{kind:11s}{shape!s:23s}{count:11,d}")

# %% check_nets
parameters = {name: sum(parameter.numel() for parameter in net.parameters()) for name, net in nets.items()}
shapes_in = {name: "×".join(map(str, shape)) for name, shape in inputs.items()}
shapes_out = {name: "×".join(map(str, rows[-1][3])) for name, rows in tables.items()}
features = 64 * 30 * 30
fc1_share = nets["ComplexNet"].fc1.weight.numel() / parameters["ComplexNet"]

# claim: shapes-of-the-four-nets
assert [rows[-1][3] for rows in tables.values()] == [(32, 10), (32, 64, 30, 30), (8, 16, 14, 30, 30), (32, 10)]
assert tables["ComplexNet"][2][2] == (32, features) == (32, 57600)

# claim: dropout-changes-no-shape-and-has-no-parameters
for rows in tables.values():
    for _, kind, before, after, count in rows:
        if kind.startswith("Dropout"):
            assert before == after and count == 0

# claim: nearly-all-parameters-in-one-layer
assert fc1_share > 0.999

# claim: linear-acts-on-the-last-axis
for lead in ((), (7,), (7, 2), (7, 2, 3)):
    assert nn.Linear(100, 50)(torch.randn(*lead, 100)).shape == (*lead, 50)

# claim: complexnet-takes-one-size-only
for side in (28, 33, 62):
    try:
        nets["ComplexNet"](torch.randn(2, 3, side, side))
        raise AssertionError(side)
    except RuntimeError as error:
        assert "cannot be multiplied" in str(error)

# %% train
num_seeds, num_train, num_test = 10, 300, 1000
steps, batch_size, learning_rate = 240, 20, 0.002

pictures, test = images(num_train=num_seeds * num_train, num_test=num_test, seed=0)
source = pictures.source
# Every seed learns from pictures of its own.
train_x = standardize(pictures.images, train=pictures.images)
train_x = train_x.unflatten(0, (num_seeds, num_train))
train_y = pictures.labels.unflatten(0, (num_seeds, num_train))
test_x = standardize(test.images, train=pictures.images)
torch.manual_seed(0)
order = torch.randint(num_train, (num_seeds, steps, batch_size))


def make_net(seed, on_maps, on_hidden):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        on_maps,  # (N, 8, 14, 14)
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        on_maps,  # (N, 16, 7, 7)
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 64),
        nn.ReLU(),
        on_hidden,  # (N, 64)
        nn.Linear(64, 10),
    )


def train(net, x, y, order):
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    for rows in order:
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


# %% train_all
def train_all(on_maps=nn.Identity(), on_hidden=nn.Identity(), steps=steps):
    # The same loop for ten nets at once: vmap runs the forward pass of each with weights of its own.
    nets = [make_net(seed, on_maps, on_hidden) for seed in range(num_seeds)]
    weights, _ = stack_module_state(nets)
    each = vmap(lambda own, x: functional_call(nets[0], own, (x,)), randomness="different")
    optimizer = torch.optim.Adam(weights.values(), lr=learning_rate, fused=True)
    seeds = torch.arange(num_seeds).unsqueeze(1)
    for step in range(steps):
        rows = order[:, step]  # (seeds, batch)
        logits = each(weights, train_x[seeds, rows])  # (seeds, batch, 10)
        # The mean over all, times the number of nets: the sum of the nets' losses.
        labels = train_y[seeds, rows]
        loss = num_seeds * F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for seed, net in enumerate(nets):
        net.load_state_dict({name: weight[seed] for name, weight in weights.items()})
    return [net.eval() for net in nets]


torch.manual_seed(100)
plain = train_all()

# %% channels
shown_net, p_shown = plain[0], 0.5
shown_picture = (test.labels == test.classes.index("Ankle boot")).nonzero()[0].item()
with torch.no_grad():
    maps = shown_net[:2](test_x[:200])  # (200, 8, 14, 14): behind the first ReLU
active = maps.flatten(2).std(2).mean(0).argsort(descending=True)[:6]

torch.manual_seed(4)
element_kept = nn.Dropout(p_shown)(torch.ones_like(maps[shown_picture])) > 0
channel_kept = nn.Dropout2d(p_shown)(torch.ones_like(maps[shown_picture : shown_picture + 1]))[0] > 0

fig, axes = plt.subplots(3, 6, figsize=(5.6, 3.5))
rows = (("feature maps", torch.ones_like(element_kept)), ("Dropout", element_kept), ("Dropout2d", channel_kept))
for row, (title, kept) in zip(axes, rows, strict=True):
    for ax, channel in zip(row, active, strict=True):
        picture = maps[shown_picture, channel]
        # What is dropped is left blank.
        seen = picture.masked_fill(~kept[channel], math.nan).numpy()
        ax.imshow(seen, cmap="viridis", vmin=0, vmax=picture.max().item())
        ax.set_xticks([])
        ax.set_yticks([])
    row[0].set_title(title)


# %% rebuild
def rebuilt(maps, layer, only_own):
    """The share of the variance of dropped values that a linear guess from the kept ones explains."""
    values = maps - maps.mean((0, 2, 3), keepdim=True)
    kept = layer(torch.ones_like(maps)) > 0
    around = F.unfold(values * kept, 3, padding=1).unflatten(1, (-1, 9)).movedim(3, 1)  # (N, HW, C, 9)
    values, kept = values.flatten(2), kept.flatten(2)  # (N, C, HW)
    half, shares = len(maps) // 2, []
    for channel in range(maps.shape[1]):
        seen = around[:, :, channel] if only_own else around.flatten(2)  # (N, HW, 9 or 9 C)
        target, lost = values[:, channel], ~kept[:, channel]
        # The guess is fitted on one half of the pictures and judged on the other.
        fit_x, fit_y = seen[:half][lost[:half]], target[:half][lost[:half]]
        new_x, new_y = seen[half:][lost[half:]], target[half:][lost[half:]]
        ridge = fit_x.T @ fit_x + 0.01 * torch.eye(fit_x.shape[1])
        guess = new_x @ torch.linalg.solve(ridge, fit_x.T @ fit_y)
        if new_y.var() > 1e-4:  # a channel that is off everywhere has nothing to explain
            shares.append(1 - ((guess - new_y).square().mean() / new_y.var()).item())
    return sum(shares) / len(shares)


def correlation_at(maps, distance):
    values = maps - maps.mean((0, 2, 3), keepdim=True)
    a, b = values[..., distance:], values[..., :-distance]
    return (F.cosine_similarity(a.movedim(1, 0).flatten(1), b.movedim(1, 0).flatten(1))).mean().item()


p_rebuild, num_rebuild = 0.5, 200
rebuild, neighbours, pooled = [], [], []
torch.manual_seed(5)
with torch.no_grad():
    for net in plain:
        maps = net[:2](test_x[:num_rebuild])
        neighbours.append([correlation_at(maps, distance) for distance in range(1, 5)])
        pooled.append((maps.sum((2, 3)).square() / maps.square().sum((2, 3)).clamp_min(1e-9)).mean().item())
        rebuild.append(
            [
                rebuilt(maps, layer(p_rebuild), only_own)
                for layer in (nn.Dropout, nn.Dropout2d)
                for only_own in (True, False)
            ]
        )
rebuild = torch.tensor(rebuild)  # (nets, 4)
neighbours = torch.tensor(neighbours).mean(0).tolist()
num_pixels, pooled_mean = maps.shape[2] * maps.shape[3], sum(pooled) / num_seeds
element_own, element_all, channel_own, channel_all = rebuild.mean(0).tolist()
print("correlation with the pixel 1, 2, 3, 4 columns on:", " ".join(f"{value:.2f}" for value in neighbours))
print(f"share rebuilt   Dropout: own channel {element_own:.2f}, all {element_all:.2f}")
print(f"              Dropout2d: own channel {channel_own:.2f}, all {channel_all:.2f}")
print(f"noise of a channel's mean, variance, Dropout2d over Dropout: {pooled_mean:.0f} (at most {num_pixels})")

# %% rebuild_figure
kinds = [
    "Dropout:\nfrom its own channel",
    "Dropout:\nfrom all channels",
    "Dropout2d:\nfrom its own channel",
    "Dropout2d:\nfrom all channels",
]
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for row, (color, marker) in enumerate((("C0", "o"), ("C0", "o"), ("C1", "D"), ("C1", "D"))):
    jitter = torch.linspace(-0.18, 0.18, num_seeds)
    ax.plot(rebuild[:, row], row + jitter, marker, color=color, markersize=5, linestyle="none")
    ax.plot([rebuild[:, row].mean()] * 2, [row - 0.34, row + 0.34], color="black", linewidth=1.4)
ax.set_yticks(range(4), kinds)
ax.set_ylim(3.5, -0.5)
ax.set_xlim(-0.05, 1)
ax.set_xlabel("share of the dropped values' variance explained")

# %% check_rebuild
# claim: neighbours-are-correlated
assert neighbours[0] > 0.4
assert all(neighbours[k] > neighbours[k + 1] for k in range(3))

# claim: own-channel-gives-dropped-pixels-away
assert (rebuild[:, 0] > 0.3).all()
assert rebuild[:, 2].abs().max() < 0.05

# claim: channel-dropout-hides-more
wins_hidden = (rebuild[:, 3] < rebuild[:, 1]).sum().item()
assert wins_hidden == num_seeds

# claim: other-channels-tell-most-of-it
assert channel_all > 0.4
assert element_all - channel_all < 0.3

# claim: pooling-averages-element-dropout-away
torch.manual_seed(6)
one_map = maps[shown_picture, active[0]].expand(20_000, 1, -1, -1)
variance = {name: getattr(nn, name)(0.5)(one_map).mean((1, 2, 3)).var().item() for name in ("Dropout", "Dropout2d")}
predicted = (one_map[0].sum().square() / one_map[0].square().sum()).item()
assert abs(variance["Dropout2d"] / variance["Dropout"] / predicted - 1) < 0.1
assert 20 < pooled_mean < num_pixels

# %% compare
torch.manual_seed(100)
p_small, p_middle, p_large = 0.2, 0.5, 0.8
variants = {"none": plain}
for p in (p_small, p_middle, p_large):
    variants[f"Dropout {p}"] = train_all(on_maps=nn.Dropout(p))
    variants[f"Dropout2d {p}"] = train_all(on_maps=nn.Dropout2d(p))
variants[f"hidden layer {p_middle}"] = train_all(on_hidden=nn.Dropout(p_middle))


@torch.no_grad()
def judge(nets):
    on_test = torch.stack([net(test_x) for net in nets])  # (seeds, pictures, 10)
    on_train = torch.stack([net(x) for net, x in zip(nets, train_x, strict=True)])
    labels = test.labels.expand(num_seeds, -1)
    return {
        "accuracy": (on_test.argmax(2) == labels).float().mean(1),
        "loss": F.cross_entropy(on_test.movedim(2, 1), labels, reduction="none").mean(1),
        "train_loss": F.cross_entropy(on_train.movedim(2, 1), train_y, reduction="none").mean(1),
    }


judged = {name: judge(nets) for name, nets in variants.items()}
accuracy, loss, train_loss = (
    {name: result[what].mean().item() for name, result in judged.items()} for what in ("accuracy", "loss", "train_loss")
)
no_dropout = judged["none"]
wins_accuracy, wins_loss = (
    {name: (sign * result[what] > sign * no_dropout[what]).sum().item() for name, result in judged.items()}
    for what, sign in (("accuracy", 1), ("loss", -1))
)
print(f"{source}, {num_train} training pictures, means over {num_seeds} seeds")
print("where, p           test accuracy  better    test loss  better   training loss")
for name in judged:
    print(f"{name:18s} {accuracy[name]:13.3f}  {wins_accuracy[name]:6d} ", end="")
    print(f"{loss[name]:12.3f}  {wins_loss[name]:6d} {train_loss[name]:15.3f}")

# %% compare_figure
fig, axes = plt.subplots(2, 1, figsize=(5.6, 5.2), sharex=True)
names = list(judged)[1:]
for ax, what in zip(axes, ("accuracy", "loss"), strict=True):
    for place, name in zip((-0.2, 0.2, 0.8, 1.2, 1.8, 2.2, 3), names, strict=True):
        gain = judged[name][what] - no_dropout[what]
        color, marker = {"Dropout": ("C0", "o"), "Dropout2d": ("C1", "D")}.get(name.split()[0], ("C2", "s"))
        ax.plot(place + torch.linspace(-0.1, 0.1, num_seeds), gain, marker, color=color, markersize=4)
        ax.plot([place - 0.16, place + 0.16], [gain.mean()] * 2, color="black", linewidth=1.4)
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
axes[0].set_ylabel("change of test accuracy")
axes[1].set_ylabel("change of test loss")
axes[1].set_xticks(range(4), [p_small, p_middle, p_large, p_middle])
axes[1].set_xlabel("drop probability")
for color, marker, label in (
    ("C0", "o", "Dropout on feature maps"),
    ("C1", "D", "Dropout2d on feature maps"),
    ("C2", "s", "Dropout on the hidden layer"),
):
    axes[0].plot([], [], marker, color=color, markersize=4, label=label)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_compare
moderate = [name for name in judged if name.endswith((f" {p_small}", f" {p_middle}"))]
overdone = [f"Dropout {p_large}", f"Dropout2d {p_large}"]
pairs = [(f"Dropout {p}", f"Dropout2d {p}") for p in (p_small, p_middle)]
wins_channel = [(judged[two]["accuracy"] > judged[one]["accuracy"]).sum().item() for one, two in pairs]
# How often dropping single elements has the lower test loss.
wins_element_loss = [(judged[one]["loss"] < judged[two]["loss"]).sum().item() for one, two in pairs]

# claim: same-start
start = make_net(3, nn.Identity(), nn.Identity())
for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5)):
    for same in (make_net(3, layer, nn.Identity()), make_net(3, nn.Identity(), layer)):
        assert all(torch.equal(a, b) for a, b in zip(start.parameters(), same.parameters(), strict=True))

# claim: stacked-learns-what-one-learns
alone = train(copy.deepcopy(start), train_x[3], train_y[3], order[3, :20])
stacked = train_all(steps=20)[3]
with torch.no_grad():
    assert torch.allclose(alone(test_x), stacked(test_x), atol=0.02)

# claim: no-gain-in-accuracy
best_gain = max(accuracy[name] for name in moderate) - accuracy["none"]
worst_gain = min(accuracy[name] for name in moderate) - accuracy["none"]
assert best_gain < 0.025

# claim: channels-are-not-clearly-better
assert all(abs(accuracy[two] - accuracy[one]) < 0.03 for one, two in pairs)

# claim: elements-have-the-lower-loss-at-one-half
assert loss[f"Dropout {p_middle}"] < loss[f"Dropout2d {p_middle}"] - 0.01
assert wins_element_loss[1] >= num_seeds // 2

# claim: loss-at-the-small-p-is-undecided
assert abs(loss[f"Dropout {p_small}"] - loss[f"Dropout2d {p_small}"]) < 0.06
assert 2 <= wins_element_loss[0] <= 8

# claim: test-loss-falls
assert all(loss[name] < loss["none"] for name in moderate)
least_wins_loss = min(wins_loss[name] for name in moderate)
assert least_wins_loss >= 5

# claim: training-is-fitted-less
wins_fit = {name: (judged[name]["train_loss"] > no_dropout["train_loss"]).sum().item() for name in moderate}
assert all(wins >= 6 for wins in wins_fit.values())
assert all(train_loss[name] > train_loss["none"] for name in moderate)

# claim: large-p-hurts
assert all(accuracy[name] < accuracy["none"] - 0.02 for name in overdone)
assert all(wins_accuracy[name] <= 1 for name in overdone)

# %% place
p_shift, shift_epochs, shift_batch, shift_width = 0.5, 20, 50, 64
shift_x = F.avg_pool2d(train_x.flatten(0, 1), 2).flatten(1).unflatten(0, (num_seeds, num_train))
shift_test = F.avg_pool2d(test_x, 2).flatten(1)  # (pictures, 196)


def block(inputs):
    return [nn.Linear(inputs, shift_width), nn.BatchNorm1d(shift_width), nn.ReLU()]


def place_dropout(seed, where):
    torch.manual_seed(seed)
    drop = nn.Dropout(p_shift)
    between = [drop] if where == "before each norm" else []
    last = [drop] if where == "behind the last norm" else []
    layers = [*block(196), *between, *block(shift_width), *between, *block(shift_width), *last]
    return nn.Sequential(*layers, nn.Linear(shift_width, 10))


def shift_train(net, x, y, seed):
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, fused=True)
    torch.manual_seed(seed)
    for _ in range(shift_epochs):
        for rows in torch.randperm(num_train).split(shift_batch):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


# %% shift
@torch.no_grad()
def variance_ratios(net, x):
    # What the norm layers meet in evaluation mode, over what they have recorded in training.
    ratios = []
    for module in net.eval():
        if isinstance(module, nn.BatchNorm1d):
            ratios.append((x.var(0) / module.running_var).mean().item())
        x = module(x)
    return ratios


places = ("no dropout", "before each norm", "behind the last norm")
shifted = {
    where: [shift_train(place_dropout(seed, where), shift_x[seed], train_y[seed], seed) for seed in range(num_seeds)]
    for where in places
}
ratios = {
    where: torch.tensor([variance_ratios(net, shift_x[seed]) for seed, net in enumerate(shifted[where])])
    for where in places
}  # (seeds, norm layers)
mean_ratios = {where: ratios[where].mean(0).tolist() for where in places}

print("variance in evaluation mode / running_var")
print("dropout               norm 1  norm 2  norm 3")
for where in places:
    print(f"{where:22s}" + "  ".join(f"{ratio:6.2f}" for ratio in mean_ratios[where]))

# %% shift_figure
fig, ax = plt.subplots(figsize=(5.6, 3.4))
for offset, (where, color, marker) in enumerate(zip(places, ("C2", "C1", "C0"), ("s", "D", "o"), strict=True)):
    for norm in range(3):
        at = norm + 0.26 * (offset - 1) + torch.linspace(-0.09, 0.09, num_seeds)
        ax.plot(
            at,
            ratios[where][:, norm],
            marker,
            color=color,
            markersize=4,
            linestyle="none",
            label=where if norm == 0 else None,
        )
ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
ax.set_xticks(range(3), ["norm 1", "norm 2", "norm 3"])
ax.set_ylim(0.5, 1.15)
ax.set_ylabel("variance, evaluation / recorded")
fig.legend(loc="outside lower center", ncols=2)

# %% check_shift
# claim: dropout-before-norm-shifts-the-variance
assert (ratios["before each norm"][:, 1:] < 0.85).all()
worst_ratio = ratios["before each norm"][:, 1:].max().item()

# claim: behind-the-last-norm-nothing-shifts
for where, norms in (
    ("no dropout", slice(0, 3)),
    ("behind the last norm", slice(0, 3)),
    ("before each norm", slice(0, 1)),
):
    assert (ratios[where][:, norms] - 1).abs().max() < 0.2
    assert (ratios[where][:, norms].mean(0) - 1).abs().max() < 0.06

# claim: shift-follows-the-formula
predicted_second = []
with torch.no_grad():
    for net, x in zip(shifted["before each norm"], shift_x, strict=True):
        met = net[:3](x)  # by the first dropout
        quiet = net[4](met).var(0)
        added = p_shift / (1 - p_shift) * met.square().mean(0) @ net[4].weight.square().T
        predicted_second.append((quiet / (quiet + added)).mean().item())
measured_mean, predicted_mean = mean_ratios["before each norm"][1], sum(predicted_second) / num_seeds
assert abs(measured_mean / predicted_mean - 1) < 0.1


# %% trap_view
class Hides(ComplexNet):
    def forward(self, x):
        x = self.dropout2d(F.relu(self.conv(x)))
        x = x.view(-1, 64 * 30 * 30)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


two_large = torch.randn(2, 3, 62, 62)
hides, shows = Hides().eval(), nets["ComplexNet"].eval()
with torch.inference_mode():
    print("view(-1, 57600):  2 pictures in,", len(hides(two_large)), "predictions out")
    try:
        shows(two_large)
    except RuntimeError as error:
        print("flatten(1):      ", error)
    print("flatten(1), right size:", tuple(shows(torch.randn(2, 3, 32, 32)).shape))

# %% trap_contiguous
maps_last = ConvNet()(torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last))
try:
    maps_last.view(maps_last.size(0), -1)
except RuntimeError as error:
    print("view:   ", str(error)[:44], "...")
print("flatten:", tuple(maps_last.flatten(1).shape))

# %% trap_samples
hidden = torch.ones(6, 50)  # six samples behind a linear layer
pictures_only = torch.ones(6, 3, 8, 8)  # six pictures, and no volumes

torch.manual_seed(1)
for layer, x in (
    (nn.Dropout1d(0.5), hidden),
    (nn.Dropout3d(0.5), pictures_only),
    (nn.Dropout(0.5), hidden),
    (nn.Dropout2d(0.5), pictures_only),
):
    means = layer(x).flatten(1).mean(1)
    print(f"{type(layer).__name__:10s}", " ".join(f"{mean:.2f}" for mean in means))

# %% trap_unbatched
one_picture = torch.ones(3, 4, 4)  # (C, H, W), without a batch
torch.manual_seed(0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    rows_dropped = nn.Dropout2d(0.5)(one_picture)
print("warned:", bool(caught), "  first channel:", rows_dropped[0].mean(1).tolist())

torch.manual_seed(0)
whole_channels = nn.Dropout2d(0.5)(one_picture.unsqueeze(0)).squeeze(0)
print("with a batch axis, each channel:", whole_channels.mean((1, 2)).tolist())


# %% trap_functional
class Wrong(nn.Module):
    def forward(self, x):
        return F.dropout2d(x, 0.5)


class Right(nn.Module):
    def forward(self, x):
        return F.dropout2d(x, 0.5, training=self.training)


feature_maps = torch.ones(1, 8, 2, 2)
for kind in (Wrong, Right):
    channels = kind().eval()(feature_maps)[0, :, 0, 0]
    print(f"{kind.__name__:5s} in eval mode:", channels.tolist())

# %% trap_output
# Perfect logits for 2000 samples, all of class 0.
logits = torch.tensor([[20.0] + [0.0] * 9]).repeat(2000, 1)
labels = torch.zeros(2000, dtype=torch.long)
torch.manual_seed(0)
on_logits = F.cross_entropy(nn.Dropout(0.5)(logits), labels).item()
without = F.cross_entropy(logits, labels).item()
print(f"loss of perfect logits {without:.4f}, with dropout on them {on_logits:.4f}")

# %% check_traps
# claim: view-hides-a-wrong-size
with torch.inference_mode():
    assert hides(two_large).shape == (8, 10)
    right_size = torch.randn(2, 3, 32, 32)
    hides.load_state_dict(shows.state_dict())
    assert torch.allclose(hides(right_size), shows(right_size), atol=1e-6)

# claim: flatten-keeps-the-batch
try:
    shows(two_large)
    raise AssertionError("no error")
except RuntimeError as error:
    assert "2x230400 and 57600x512" in str(error)

# claim: view-needs-a-matching-layout
assert not maps_last.is_contiguous()
try:
    maps_last.view(2, -1)
    raise AssertionError("no error")
except RuntimeError as error:
    assert "view size is not compatible" in str(error)
assert torch.equal(maps_last.flatten(1), maps_last.contiguous().view(2, -1))

# claim: samples-dropped-silently
with warnings.catch_warnings():
    warnings.simplefilter("error")
    for layer, x in ((nn.Dropout1d(0.5), torch.ones(400, 50)), (nn.Dropout3d(0.5), torch.ones(400, 3, 4, 4))):
        fates = layer(x).flatten(1)
        assert torch.equal(fates.amin(1), fates.amax(1))
        assert 0.4 < (fates[:, 0] == 0).float().mean() < 0.6

# claim: unbatched-2d-drops-rows
assert caught and "This behavior will change in a future release" in str(caught[0].message)
assert torch.equal(rows_dropped.amin(2), rows_dropped.amax(2))
assert not torch.equal(rows_dropped.amin((1, 2)), rows_dropped.amax((1, 2)))
assert torch.equal(whole_channels.amin((1, 2)), whole_channels.amax((1, 2)))

# claim: functional-2d-ignores-eval
many = torch.ones(1, 1000, 2, 2)
assert (Wrong().eval()(many) == 0).any()
assert torch.equal(Right().eval()(many), many)

# claim: dropout-on-logits-costs-the-loss
assert abs(on_logits - 0.5 * math.log(10)) < 0.15
assert F.cross_entropy(logits, labels) < 1e-4


# %% solution_by_dropout
def channel_dropout(x, p):
    return x * nn.Dropout(p)(torch.ones(*x.shape[:2], 1, 1))


x = torch.randn(5, 7, 4, 4)
torch.manual_seed(2)
by_dropout = channel_dropout(x, 0.3)
torch.manual_seed(2)
by_dropout2d = nn.Dropout2d(0.3)(x)
print("the same as nn.Dropout2d:", torch.equal(by_dropout, by_dropout2d))
assert torch.equal(by_dropout, by_dropout2d)

# %% solution_words
words = torch.ones(2, 5, 4)  # (N, T, E): two sentences, five words, four features
torch.manual_seed(5)
whole_words = nn.Dropout1d(0.5)(words)
whole_features = nn.Dropout1d(0.5)(words.mT).mT
print("words dropped:   ", (whole_words[0] == 0).all(1).tolist())
print("features dropped:", (whole_features[0] == 0).all(0).tolist())
assert torch.equal(whole_words.amin(2), whole_words.amax(2))
assert torch.equal(whole_features.amin(1), whole_features.amax(1))


# %% solution_dropblock
from functools import partial


def drop_block(x, p, size):
    # A pixel is lost if any of the size x size seeds around it is struck.
    rate = 1 - (1 - p) ** (1 / size**2)
    struck = (torch.rand_like(x) < rate).float()
    lost = F.max_pool2d(struck, size, stride=1, padding=size // 2)
    return x * (1 - lost) / (1 - p)


p_block, block_shares = 0.5, {}
with torch.no_grad():
    block_maps = plain[0][:2](test_x[:num_rebuild])
    for block_size in (1, 3, 5, 7):
        torch.manual_seed(8)
        layer = partial(drop_block, p=p_block, size=block_size)
        block_shares[block_size] = rebuilt(block_maps, layer, only_own=True)
print("rebuilt from its own channel:", {size: round(share, 2) for size, share in block_shares.items()})

many_maps = torch.ones(20, 20, 31, 31)
for block_size in (1, 3, 5):
    lost = (drop_block(many_maps, p_block, block_size) == 0).float()[..., 3:-3, 3:-3].mean()
    assert abs(lost - p_block) < 0.03
assert block_shares[1] > block_shares[3] > block_shares[5] > block_shares[7]


# %% solution_refit
def refit_statistics(net, x):
    for module in net.eval():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches
            module.train()
    with torch.no_grad():
        net(x)
    return net.eval()


@torch.no_grad()
def shift_loss(net):
    return F.cross_entropy(net(shift_test), test.labels).item()


nets_shifted = shifted["before each norm"]
refitted = [refit_statistics(copy.deepcopy(net), x) for net, x in zip(nets_shifted, shift_x, strict=True)]
before, after = ([shift_loss(net) for net in nets] for nets in (nets_shifted, refitted))
refit_ratios = torch.tensor([variance_ratios(net, x) for net, x in zip(refitted, shift_x, strict=True)])
wins_refit = sum(new < old for new, old in zip(after, before, strict=True))
loss_before, loss_after = sum(before) / num_seeds, sum(after) / num_seeds
print("ratios after refitting:", [round(ratio, 3) for ratio in refit_ratios.mean(0).tolist()])
print(f"test loss {loss_before:.3f} -> {loss_after:.3f}, lower in {wins_refit} of {num_seeds} nets")

# %% check_solutions
# claim: refitting-mends-the-ratios
assert (refit_ratios - 1).abs().max() < 0.01

# claim: refitting-lowers-the-test-loss
assert wins_refit >= 8
assert loss_after < loss_before - 0.01
