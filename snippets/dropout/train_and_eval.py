# ---
# timeout: 180
# ---
# %% switch
import copy
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from reglab.data import noisy_line

net = nn.Sequential(
    nn.Linear(1, 4),
    nn.Sequential(nn.ReLU(), nn.Dropout(0.5)),
    nn.Linear(4, 1),
)


def flags():
    return [module.training for module in net.modules()]


net.train()
after_train = flags()
net.eval()
after_eval = flags()
net[1].train()
after_part = flags()

print("module       train()  eval()  then net[1].train()")
for module, *row in zip(net.modules(), after_train, after_eval, after_part, strict=True):
    print(f"{type(module).__name__:12s} {row[0]!s:7s}  {row[1]!s:6s}  {row[2]}")


# %% set_mode
def set_mode(module, mode):
    module.training = mode
    for child in module.children():
        set_mode(child, mode)
    return module


# %% check_switch
def same_state(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# BatchNorm is in this net because it has buffers as well as parameters.
whole = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.ModuleDict({"out": nn.Linear(3, 1)}))
state = copy.deepcopy(whole.state_dict())
attributes = [{key: id(value) for key, value in vars(m).items() if key != "training"} for m in whole.modules()]

# claim: switch-sets-flags-and-nothing-else
for mode in (True, False, True):
    returned = whole.train(mode) if mode else whole.eval()
    assert returned is whole
    assert all(module.training is mode for module in whole.modules())
    assert same_state(whole.state_dict(), state)
    assert attributes == [
        {key: id(value) for key, value in vars(m).items() if key != "training"} for m in whole.modules()
    ]
    assert all(parameter.requires_grad for parameter in whole.parameters())
    assert torch.is_grad_enabled()

# claim: own-switch-equals-torch
for mode in (False, True):
    ours, theirs = set_mode(copy.deepcopy(whole), mode), copy.deepcopy(whole).train(mode)
    assert [m.training for m in ours.modules()] == [m.training for m in theirs.modules()] == [mode] * 6


# %% scratch
def inverted_dropout(x, p, training):
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    kept = torch.empty_like(x).bernoulli_(1 - p)
    return x * (kept / (1 - p))


class InvertedDropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, x):
        return inverted_dropout(x, self.p, self.training)


# %% mask
p_mask, seed_mask = 0.3, 7
x = torch.arange(1.0, 9.0)

torch.manual_seed(seed_mask)
torchs = nn.Dropout(p_mask)(x)

# Ones show the mask itself.
torch.manual_seed(seed_mask)
mask = nn.Dropout(p_mask)(torch.ones_like(x))

torch.manual_seed(seed_mask)
ours = InvertedDropout(p_mask)(x)

rows = {"input": x, "torch": torchs, "its mask": mask, "ours": ours}
for label, row in rows.items():
    print(f"{label:10s}" + "".join(f"{number:7.2f}" for number in row.tolist()))

# %% check_scratch
torch.manual_seed(0)
sample = torch.randn(64, 50)
upstream = torch.randn(64, 50)

# claim: scratch-equals-torch
for p in (0.0, 0.1, 0.3, 0.5, 0.9, 1.0):
    for training in (True, False):
        results = []
        for layer in (InvertedDropout(p), nn.Dropout(p)):
            leaf = sample.clone().requires_grad_()
            torch.manual_seed(1)
            output = layer.train(training)(leaf)
            output.backward(upstream)
            results.append((output.detach(), leaf.grad))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])

# claim: mask-recovered
assert torch.equal(x * mask, torchs)
assert set(mask.tolist()) <= {0.0, (1 / torch.tensor(1 - p_mask)).item()}

# claim: gradient-is-the-mask
leaf = x.clone().requires_grad_()
torch.manual_seed(seed_mask)
nn.Dropout(p_mask)(leaf).sum().backward()
assert torch.equal(leaf.grad, mask)

# claim: eval-returns-the-input
for p in (0.0, 0.5, 1.0):
    assert nn.Dropout(p).eval()(sample) is sample

# claim: edge-probabilities
assert torch.equal(nn.Dropout(0.0).train()(sample), sample)
assert torch.equal(nn.Dropout(1.0).train()(sample), torch.zeros_like(sample))
assert nn.Dropout(1.0).eval()(sample).eq(sample).all()
# The formula as written fails there: 0 / 0.
assert (sample * (torch.zeros_like(sample) / (1 - 1.0))).isnan().all()


# %% original
def original_dropout(x, p, training):
    if not training:
        return x * (1 - p)
    return x * torch.empty_like(x).bernoulli_(1 - p)


p_scale, scale_passes, scale_width = 0.3, 4000, 500
torch.manual_seed(0)
signal, weight = torch.rand(scale_width), torch.rand(scale_width)
# Every row gets a mask of its own.
many_signals = signal.expand(scale_passes, -1)


def scale(dropout, training):
    received = dropout(many_signals, p_scale, training) @ weight
    return (received.mean() / (signal @ weight)).item()


inverted_train, inverted_eval = (scale(inverted_dropout, mode) for mode in (True, False))
original_train, original_eval = (scale(original_dropout, mode) for mode in (True, False))

rows = {
    "inverted dropout (torch)": (inverted_train, inverted_eval),
    "original dropout": (original_train, original_eval),
    "original, test factor forgotten": (original_train, 1),
    "inverted, test factor as well": (inverted_train, 1 - p_scale),
}
print("what the next layer receives      training  evaluation")
for label, (in_training, in_evaluation) in rows.items():
    print(f"{label:33s} {in_training:8.3f} {in_evaluation:11.3f}")

# %% check_original
# claim: inverted-keeps-the-mean
assert abs(inverted_train - 1) < 0.005
assert abs(inverted_eval - 1) < 1e-5

# claim: original-shrinks-both
assert abs(original_train - (1 - p_scale)) < 0.005
assert abs(original_eval - (1 - p_scale)) < 1e-5

# claim: same-function-other-weights
torch.manual_seed(3)
in_original = original_dropout(many_signals, p_scale, training=True) @ weight
torch.manual_seed(3)
in_inverted = inverted_dropout(many_signals, p_scale, training=True) @ (weight * (1 - p_scale))
assert torch.allclose(in_original, in_inverted, rtol=1e-4)
assert torch.allclose(original_dropout(signal, p_scale, training=False) @ weight, signal @ (weight * (1 - p_scale)))

# claim: number-of-dropped-units-varies
dropped = (inverted_dropout(many_signals, 0.5, training=True) == 0).sum(1)
assert dropped.min() < scale_width / 2 - 20 < scale_width / 2 + 20 < dropped.max()
assert len(dropped.unique()) > 40


# %% ones
num_inputs, p_ones = 10_000, 0.5
ones = torch.ones(num_inputs)
ones_net = nn.Sequential(
    nn.Dropout(p_ones),
    nn.Linear(num_inputs, 1, bias=False),
    nn.ReLU(),
)
nn.init.ones_(ones_net[1].weight)

torch.manual_seed(1)
train_output = ones_net.train()(ones)
eval_output = ones_net.eval()(ones)
print("training mode  ", train_output)
print("evaluation mode", eval_output)

# %% outputs
passes = 4000
ones_net.train()
with torch.no_grad():
    outputs = torch.cat([ones_net(ones) for _ in range(passes)])
outputs_mean, outputs_sd = outputs.mean().item(), outputs.std().item()

theory_mean = num_inputs
theory_sd = math.sqrt(num_inputs * p_ones / (1 - p_ones))
posts_output = 9868
posts_z = (posts_output - theory_mean) / theory_sd

# Outputs are even numbers (each one kept counts 2): bins of 20 between odd numbers hold ten of them each.
bin_width = 20
edges = [9601 + bin_width * k for k in range(41)]
xs = torch.linspace(9600, 10400, 161)
density = torch.exp(-(((xs - theory_mean) / theory_sd) ** 2) / 2) / (theory_sd * math.sqrt(2 * math.pi))

fig, ax = plt.subplots(figsize=(4.8, 3.5))
ax.hist(outputs.numpy(), bins=edges, color="C0", alpha=0.45, label="training mode")
ax.plot(xs, density * passes * bin_width, color="black", label="normal density")
ax.axvline(eval_output.item(), color="C1", linestyle="--", label="evaluation mode")
ax.plot(posts_output, 175, marker="v", markersize=10, color="C2", linestyle="none", label="the post's 9868")
ax.set_xlim(9600, 10400)
ax.set_ylim(0, 380)
ax.set_xlabel("output of the net of 10,000 ones")
ax.set_ylabel("passes per bin")
fig.legend(loc="outside upper center", ncols=2)

print(f"theory    mean {theory_mean:8.1f}   standard deviation {theory_sd:5.1f}")
print(f"measured  mean {outputs_mean:8.1f}   standard deviation {outputs_sd:5.1f}   ({passes} passes)")

# %% check_outputs
# claim: eval-output-is-exact
assert eval_output.item() == num_inputs
assert all(ones_net.eval()(ones).item() == num_inputs for _ in range(20))

# claim: training-outputs-follow-theory
assert abs(outputs_mean - theory_mean) < 4 * theory_sd / math.sqrt(passes)
assert abs(outputs_sd / theory_sd - 1) < 0.06

# claim: posts-output-is-ordinary
farther = (outputs - theory_mean).abs().ge(abs(posts_output - theory_mean)).float().mean().item()
posts_tail = math.erfc(abs(posts_z) / math.sqrt(2))
assert abs(farther - posts_tail) < 0.04
assert posts_tail > 0.15

# claim: weights-untouched
weight_before = ones_net[1].weight.clone()
for mode in (True, False):
    ones_net.train(mode)(ones)
    assert torch.equal(ones_net[1].weight, weight_before)

# claim: activations-are-doubled
torch.manual_seed(1)
activations = ones_net[0].train()(ones)
assert set(activations.tolist()) == {0.0, 2.0}
assert activations.sum() == train_output

# claim: eval-alone-builds-a-graph
assert eval_output.grad_fn.name() == "ReluBackward0"
with torch.no_grad():
    assert ones_net.eval()(ones).grad_fn is None


# %% layers
class Functional(nn.Module):
    def forward(self, x):
        return F.dropout(x, p=0.5)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, num_heads=2, dropout=0.5, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 4, num_layers=2, dropout=0.5, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


torch.manual_seed(0)
layers = {
    "Linear": nn.Linear(4, 4),
    "LayerNorm": nn.LayerNorm(4),
    "GroupNorm": nn.GroupNorm(3, 3),
    "InstanceNorm1d": nn.InstanceNorm1d(3),
    "InstanceNorm1d, with stats": nn.InstanceNorm1d(3, track_running_stats=True),
    "BatchNorm1d": nn.BatchNorm1d(3),
    "BatchNorm1d, no stats": nn.BatchNorm1d(3, track_running_stats=False),
    "Dropout": nn.Dropout(0.5),
    "RReLU": nn.RReLU(),
    "LSTM with dropout": Recurrent(),
    "attention with dropout": Attention(),
    "F.dropout(x)": Functional(),
}
contexts = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}
batch = torch.randn(6, 3, 4).requires_grad_()
# The first sample again, in other company.
other_batch = torch.cat([batch[:1], torch.randn(5, 3, 4)]).detach()


def observe(layer, context):
    def run(inputs, seed):
        torch.manual_seed(seed)
        return layer(inputs.clone())

    before = [buffer.clone() for buffer in layer.buffers()]
    with context():
        output = run(batch, seed=1)
        return {
            "random": not torch.equal(run(batch, seed=1), run(batch, seed=2)),
            "batch": not torch.equal(run(batch, seed=1)[0], run(other_batch, seed=1)[0]),
            "buffers": any(not torch.equal(old, new) for old, new in zip(before, layer.buffers(), strict=True)),
            "graph": output.requires_grad,
        }


found = {
    (name, mode, context): observe(layer.train(mode == "train"), contexts[context])
    for name, layer in layers.items()
    for mode in ("train", "eval")
    for context in contexts
}
for name in layers:
    seen = [[mark for mark, is_seen in found[name, mode, "no_grad"].items() if is_seen] for mode in ("train", "eval")]
    print(f"{name:26s} train: {', '.join(seen[0]) or '-':15s} eval: {', '.join(seen[1]) or '-'}")

# %% modes
marks = {
    "random": ("o", "C1", "output is random"),
    "batch": ("s", "C0", "a sample's output depends on the others"),
    "buffers": ("^", "C2", "buffers are written"),
    "graph": ("_", "black", "a graph is recorded"),
}
fig, ax = plt.subplots(figsize=(5.0, 5.6))
for row, name in enumerate(layers):
    for column, (mode, context) in enumerate([(m, c) for m in ("train", "eval") for c in contexts]):
        middle = column + (0.3 if mode == "eval" else 0)
        ax.add_patch(plt.Rectangle((middle - 0.46, row - 0.42), 0.92, 0.84, fill=False, edgecolor="black", alpha=0.25))
        for slot, (mark, (marker, color, _)) in enumerate(marks.items()):
            if found[name, mode, context][mark]:
                ax.plot(middle + 0.23 * (slot - 1.5), row, marker=marker, color=color, markersize=5, linestyle="none")
for marker, color, label in marks.values():
    ax.plot([], [], marker=marker, color=color, markersize=5, linestyle="none", label=label)
ax.set_yticks(range(len(layers)), list(layers))
ax.set_xticks([0, 1, 2, 3.3, 4.3, 5.3], [*contexts] * 2, rotation=40, ha="right")
ax.text(1, -0.85, "after train()", ha="center", va="center")
ax.text(4.3, -0.85, "after eval()", ha="center", va="center")
ax.set_xlim(-0.6, 5.9)
ax.set_ylim(len(layers) - 0.4, -1.2)
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
ax.grid(False)
fig.legend(loc="outside lower center")

# %% check_layers
rest = ("random", "batch", "buffers")

# claim: contexts-switch-only-the-graph
for name in layers:
    for mode in ("train", "eval"):
        for context in contexts:
            assert all(found[name, mode, context][mark] == found[name, mode, "grad"][mark] for mark in rest)
            assert found[name, mode, context]["graph"] == (context == "grad")

# claim: random-in-eval
assert [name for name in layers if found[name, "eval", "grad"]["random"]] == ["F.dropout(x)"]

# claim: batch-in-eval
assert [name for name in layers if found[name, "eval", "grad"]["batch"]] == ["BatchNorm1d, no stats"]

# claim: eval-writes-no-buffer
assert not any(found[name, "eval", context]["buffers"] for name in layers for context in contexts)

# claim: no-grad-still-writes-buffers
writers = [name for name in layers if found[name, "train", "inference"]["buffers"]]
assert writers == ["InstanceNorm1d, with stats", "BatchNorm1d"]

# claim: unswitched-layers
unswitched = []
for name, layer in layers.items():
    torch.manual_seed(0)
    in_train = copy.deepcopy(layer).train()(batch)
    torch.manual_seed(0)
    in_eval = copy.deepcopy(layer).eval()(batch)
    if torch.equal(in_train, in_eval):
        unswitched.append(name)
num_unswitched, num_layers = len(unswitched), len(layers)
assert unswitched == [
    "Linear",
    "LayerNorm",
    "GroupNorm",
    "InstanceNorm1d",
    "BatchNorm1d, no stats",
    "F.dropout(x)",
]

# %% train
num_nets, num_steps, width = 10, 2000, 200
learning_rate, momentum, p_net = 0.01, 0.9, 0.5
num_points, slope, every = 10, 1.5, 20


# K = 10 nets side by side: one tensor holds their weights, and no number passes from one net to another.
class Linears(nn.Module):
    def __init__(self, num_nets, inputs, outputs):
        super().__init__()
        bound = 1 / math.sqrt(inputs)  # the bound of nn.Linear
        weight = torch.empty(num_nets, inputs, outputs).uniform_(-bound, bound)
        bias = torch.empty(num_nets, 1, outputs).uniform_(-bound, bound)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x):  # (K, N, inputs) -> (K, N, outputs)
        return torch.baddbmm(self.bias, x, self.weight)


def mlps():
    return nn.Sequential(
        Linears(num_nets, 1, width),
        nn.ReLU(),
        nn.Dropout(p_net),
        Linears(num_nets, width, width),
        nn.ReLU(),
        nn.Dropout(p_net),
        Linears(num_nets, width, width),
        nn.ReLU(),
        nn.Dropout(p_net),
        Linears(num_nets, width, 1),
    )


def errors(nets, x, y):
    return (nets(x) - y).square().mean((1, 2))  # (K,)


def descend(nets, optimizer, steps):
    printed = []
    for step in range(1, steps + 1):
        losses = errors(nets, train_x, train_y)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        if step % every == 0:
            printed.append(losses.detach())
    return torch.stack(printed)


data = [noisy_line(num_points, slope=slope, seed=seed) for seed in range(num_nets)]
train_x = torch.stack([train.x for train, _ in data])  # (K, 10, 1)
train_y = torch.stack([train.y for train, _ in data])
test_x = torch.stack([test.x for _, test in data])
test_y = torch.stack([test.y for _, test in data])

torch.manual_seed(0)
nets = mlps()
optimizer = torch.optim.SGD(nets.parameters(), lr=learning_rate, momentum=momentum)
first_half = descend(nets.train(), optimizer, num_steps // 2)

# Halfway, the authors look at the test loss; one of them forgets to switch back.
nets.eval()
with torch.inference_mode():
    halfway_test = errors(nets, test_x, test_y).mean().item()
forgetful, its_optimizer = copy.deepcopy((nets, optimizer))

nets.train()
careful_half = descend(nets, optimizer, num_steps // 2)
forgetful_half = descend(forgetful, its_optimizer, num_steps // 2)
nets.eval()

# %% forgotten
careful_losses = torch.cat([first_half, careful_half])
step_axis = torch.arange(1, len(careful_losses) + 1) * every

fig, ax = plt.subplots(figsize=(4.8, 3.5))
for losses, color, line, label in (
    (careful_losses, "C0", "-", "train() called again"),
    (forgetful_half, "C1", "--", "train() forgotten"),
):
    axis = step_axis[-len(losses) :]
    ax.plot(axis, losses.median(1).values, color=color, linestyle=line, label=label)
    ax.fill_between(axis, losses.amin(1), losses.amax(1), color=color, alpha=0.2, linewidth=0)
ax.axvline(num_steps // 2, color="black", linestyle=":", linewidth=1)
ax.set_yscale("log")
ax.set_ylim(1e-5, 3)
ax.set_xlabel("step")
ax.set_ylabel("printed training loss")
ax.legend(loc="lower left")

grid = torch.linspace(-1, 1, 41).view(1, -1, 1)
grid = grid.expand(num_nets, -1, -1)  # (K, 41, 1)
with torch.inference_mode():
    careful_train, forgetful_train = (errors(each, train_x, train_y) for each in (nets, forgetful))
    careful_line, forgetful_line = (errors(each, grid, slope * grid) for each in (nets, forgetful))

print("     error at the training points   distance to the true line")
print("net          careful    forgetful        careful    forgetful")
for net, row in enumerate(zip(careful_train, forgetful_train, careful_line, forgetful_line, strict=True)):
    print(f"{net:3d}{row[0]:17.4f}{row[1]:13.4f}{row[2]:15.4f}{row[3]:13.4f}")

# %% check_forgotten
# claim: dropout-stands-between-layers
kinds = [type(module).__name__ for module in nets]
assert kinds.count("Linears") == 4
assert kinds.count("Dropout") == 3
assert kinds[0] == "Linears"
assert all(
    kinds[at - 1 : at + 2] == ["ReLU", "Dropout", "Linears"] for at in range(len(kinds)) if kinds[at] == "Dropout"
)

# claim: dropout-on-the-only-input-blinds
blinded = (nn.Dropout(0.5)(torch.ones(1000, 1)) == 0).float().mean()
assert 0.4 < blinded < 0.6

# claim: forgetting-ends-dropout
assert not any(module.training for module in forgetful.modules())
with torch.inference_mode():
    assert torch.equal(forgetful(train_x), forgetful(train_x))

# claim: forgetting-looks-like-progress
assert (forgetful_half[-1] < careful_half[-1]).all()
assert forgetful_half[4].median() < first_half[-5:].median()

# claim: forgetting-memorizes-the-noise
wins_train = (forgetful_train < careful_train / 4).sum().item()
assert wins_train >= 8

# claim: line-does-not-tell
wins_line = (careful_line < forgetful_line).sum().item()
assert 2 <= wins_line <= 8
median_careful_train, median_forgetful_train = careful_train.median().item(), forgetful_train.median().item()

# %% noise
test_passes = 400
with torch.inference_mode():
    eval_loss = errors(nets.eval(), test_x, test_y)
    nets.train()
    predictions = torch.stack([nets(test_x) for _ in range(test_passes)])  # (M, K, 10, 1) for M passes
    nets.eval()
train_mode_losses = (predictions - test_y).square().mean((2, 3))  # (M, K)

fig, ax = plt.subplots(figsize=(4.8, 3.5))
low, high = train_mode_losses.quantile(torch.tensor([0.05, 0.95]), dim=0)
places = range(num_nets)
ax.bar(places, high - low, bottom=low, width=0.3, color="C0", alpha=0.3, label="90% of the passes in training mode")
ax.plot(places, train_mode_losses.mean(0), "o", color="C0", label="their mean")
ax.plot(places, eval_loss, "D", color="C1", label="evaluation mode")
ax.set_xticks(places)
ax.set_ylim(0, 1.45 * high.max().item())
ax.set_xlabel("net")
ax.set_ylabel("test loss")
ax.legend(loc="upper left")

best, worst = train_mode_losses[:, 0].min().item(), train_mode_losses[:, 0].max().item()
print(
    f"net 0: {test_passes} passes in training mode report {best:.3f} to {worst:.3f}, evaluation mode {eval_loss[0]:.3f}"
)

# %% check_noise
# claim: train-mode-loss-is-noise
relative_spread = (train_mode_losses.std(0) / train_mode_losses.mean(0)).tolist()
least_spread, most_spread = min(relative_spread), max(relative_spread)
assert least_spread > 0.15

# claim: train-mode-loss-adds-the-variance
loss_of_mean = (predictions.mean(0) - test_y).square().mean((1, 2))
added_variance = predictions.var(0, correction=0).mean((1, 2))
assert torch.allclose(train_mode_losses.mean(0), loss_of_mean + added_variance, rtol=1e-4)
assert (train_mode_losses.mean(0) > loss_of_mean).all()
variance_share = (added_variance / train_mode_losses.mean(0)).mean().item()
assert variance_share > 0.15

# claim: either-may-be-higher
wins_eval_loss = (eval_loss < train_mode_losses.mean(0)).sum().item()
assert 1 <= wins_eval_loss <= num_nets - 1

# %% predict
mc_passes, num_grid = 200, 81
line_x = torch.linspace(-2, 2, num_grid).view(1, -1, 1)
line_x = line_x.expand(num_nets, -1, -1)  # (K, 81, 1)
line = slope * line_x

# MC dropout: predict with dropout on (and nothing else in training mode), many times.
nets.eval()
for module in nets.modules():
    if isinstance(module, nn.Dropout):
        module.train()
with torch.inference_mode():
    draws = torch.stack([nets(line_x) for _ in range(mc_passes)])  # (M, K, 81, 1)
nets.eval()
mc_mean, mc_sd = draws.mean(0), draws.std(0)
with torch.inference_mode():
    eval_curve = nets(line_x)

# %% band
shown = 0
x_axis = line_x[shown].flatten()
middle, spread = mc_mean[shown].flatten(), mc_sd[shown].flatten()

fig, ax = plt.subplots(figsize=(4.8, 3.9))
ax.fill_between(x_axis, middle - 2 * spread, middle + 2 * spread, color="C0", alpha=0.25, label="mean ± 2 sd")
ax.plot(x_axis, middle, color="C0", label="mean of the passes")
ax.plot(x_axis, eval_curve[shown].flatten(), color="C1", linestyle="--", label="evaluation mode")
ax.plot(x_axis, line[shown].flatten(), color="black", linewidth=1, label="true line")
ax.plot(train_x[shown].flatten(), train_y[shown].flatten(), "o", color="C2", label="training points")
ax.set_xlabel("x")
ax.set_ylabel("prediction")
ax.legend(loc="upper left")

inside = line_x[0].flatten().abs() <= 1
covered = (mc_mean - line).abs() <= 2 * mc_sd  # (K, 81, 1)
left_behind = (~covered[:, [0, -1]]).any(1).sum().item()
coverage = covered[:, inside].float().mean((1, 2))
print("share of the true line on [-1, 1] inside the band, net by net")
print(" ".join(f"{share:.2f}" for share in coverage.tolist()), f"  mean {coverage.mean():.2f}")

# %% check_band
# claim: band-widens-outside
sd_inside, sd_outside = mc_sd[:, inside].mean((1, 2)), mc_sd[:, ~inside].mean((1, 2))
wins_outside = (sd_outside > sd_inside).sum().item()
assert wins_outside == num_nets

# claim: line-leaves-the-band
assert left_behind >= 3

# claim: band-covers-too-little
mean_coverage, least_coverage = coverage.mean().item(), coverage.min().item()
two_sd_nominal = math.erf(2 / math.sqrt(2))
short_nets = (coverage < two_sd_nominal).sum().item()
assert mean_coverage < 0.93
assert least_coverage < 0.85

# claim: band-width-follows-p
p_small = 0.1
narrow = copy.deepcopy(nets).train()
for module in narrow.modules():
    if isinstance(module, nn.Dropout):
        module.p = p_small
with torch.inference_mode():
    narrow_sd = torch.stack([narrow(line_x) for _ in range(mc_passes)]).std(0)[:, inside].mean((1, 2))
narrowing = (narrow_sd / sd_inside).mean().item()
assert (narrow_sd < 0.6 * sd_inside).all()

# claim: mean-of-passes-against-eval
distance_mc = (mc_mean - line)[:, inside].square().mean((1, 2))
distance_eval = (eval_curve - line)[:, inside].square().mean((1, 2))
wins_mc = (distance_mc < distance_eval).sum().item()
assert wins_mc >= 5

# %% average
# Two kept-or-dropped inputs, 1 and 1, and one unit relu(a - b): the four masks, equally likely.
units = [F.relu(torch.tensor(a - b)).item() for a in (0.0, 2.0) for b in (0.0, 2.0)]
average_of_relu = sum(units) / len(units)
relu_of_average = F.relu(torch.tensor(1.0 - 1.0)).item()
print("the four masks:", units)
print("average:", average_of_relu, "  evaluation mode:", relu_of_average)

standard_error = mc_sd / math.sqrt(mc_passes)
gaps = (mc_mean - eval_curve).abs()[:, inside]
gap = gaps.mean().item()
gap_in_errors = (gaps / standard_error[:, inside]).median().item()
print(f"trained nets on [-1, 1]: average and evaluation mode differ by {gap:.3f},")
print(f"{gap_in_errors:.1f} times the standard error of the average")

# %% check_average
# claim: eval-is-not-the-average
assert (average_of_relu, relu_of_average) == (0.5, 0.0)
assert gap_in_errors > 4
assert ((gaps / standard_error[:, inside]).amax((1, 2)) > 5).all()

# claim: eval-is-the-average-for-linear
torch.manual_seed(0)
linear_net = nn.Sequential(nn.Dropout(0.5), nn.Linear(200, 200), nn.Dropout(0.5), nn.Linear(200, 1))
inputs = torch.rand(200)
with torch.inference_mode():
    linear_draws = linear_net.train()(inputs.expand(4000, -1))
    linear_eval = linear_net.eval()(inputs)
assert (linear_draws.mean() - linear_eval).abs() < 4 * linear_draws.std() / math.sqrt(4000)


# %% trap_functional
class Wrong(nn.Module):
    def forward(self, x):
        return F.dropout(x, p=0.5)


class Right(nn.Module):
    def forward(self, x):
        return F.dropout(x, p=0.5, training=self.training)


features = torch.rand(6)
for kind in (Wrong, Right):
    module = kind().eval()
    agree = torch.equal(module(features), module(features))
    print(f"{kind.__name__:5s}", "passes agree:", agree)

# %% trap_no_grad
dropout_net = nn.Sequential(
    nn.Linear(6, 50),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(50, 1),
)


def two_passes():
    return f"{dropout_net(features).item():.4f} {dropout_net(features).item():.4f}"


with torch.no_grad():
    print("no_grad alone: ", two_passes())

dropout_net.eval()
with torch.inference_mode():
    print("eval() as well:", two_passes())
dropout_net.train()


# %% trap_reach
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = [nn.Dropout(0.5)]

    def forward(self, x):
        return self.blocks[0](x)


class Registered(Hidden):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(self.blocks)


hidden, registered = Hidden().eval(), Registered().eval()
print("plain list:   dropout in training mode:", hidden.blocks[0].training)
print("ModuleList:   dropout in training mode:", registered.blocks[0].training)

half_way = nn.Sequential(nn.Dropout(0.5))
half_way.training = False
print("flag by hand: dropout in training mode:", half_way[0].training)

# %% trap_frozen
backbone_batch = torch.randn(32, 4) + 3


class FineTuned(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.backbone(x))


class Frozen(FineTuned):
    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


for kind in (FineTuned, Frozen):
    model = kind()
    model.backbone.requires_grad_(False).eval()  # freeze parameters and statistics
    model.train()  # the next epoch begins
    model(backbone_batch)
    moved = model.backbone[1].running_mean.abs().max()
    print(f"{kind.__name__:9s} running mean moved by {moved:.3f}")

# %% trap_inplace
careless = nn.Sequential(nn.Dropout(0.5), nn.ReLU(inplace=True))
signed = torch.tensor([-1.0, 2.0, -3.0])

careless.train()(signed)
print("input after a training pass    ", signed.tolist())
careless.eval()(signed)
print("input after an evaluation pass ", signed.tolist())

# %% check_traps
# claim: functional-ignores-eval
wide = torch.rand(1000)
assert not torch.equal(Wrong().eval()(wide), Wrong().eval()(wide))
assert torch.equal(Right().eval()(wide), wide)
assert not torch.equal(Right().train()(wide), wide)

# claim: no-grad-keeps-dropout
with torch.no_grad():
    assert len({dropout_net.train()(features).item() for _ in range(20)}) > 1
    assert len({dropout_net.eval()(features).item() for _ in range(20)}) == 1

# claim: eval-reaches-registered-modules-only
assert hidden.blocks[0].training
assert not registered.blocks[0].training
assert half_way[0].training

# claim: train-undoes-a-frozen-norm
for kind, stays in ((FineTuned, False), (Frozen, True)):
    model = kind()
    model.backbone.requires_grad_(False).eval()
    model.train()(backbone_batch)
    assert torch.equal(model.backbone[1].running_mean, torch.zeros(8)) == stays
    assert model.head.training
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())

# claim: inplace-behind-dropout-overwrites-in-eval
for mode, expected in ((True, [-1.0, 2.0, -3.0]), (False, [0.0, 2.0, 0.0])):
    signed = torch.tensor([-1.0, 2.0, -3.0])
    careless.train(mode)(signed)
    assert signed.tolist() == expected


# %% solution_spread
def dropout_sum_sd(weight, x, p):
    return math.sqrt(p / (1 - p) * (weight * x).square().sum().item())


p_spread = 0.2
spread_ones = dropout_sum_sd(torch.ones(10_000), torch.ones(10_000), p_spread)

torch.manual_seed(0)
some_weight, some_x = torch.randn(300), torch.randn(300)
spread_predicted = dropout_sum_sd(some_weight, some_x, p_spread)
spread_measured = (nn.Dropout(p_spread)(some_x.expand(5000, -1)) @ some_weight).std().item()
print(
    f"10,000 ones: {spread_ones:.1f};  random weights: predicted {spread_predicted:.2f}, measured {spread_measured:.2f}"
)
assert spread_ones == 50
assert abs(spread_measured / spread_predicted - 1) < 0.06

# %% solution_evaluating
from contextlib import contextmanager


@contextmanager
def evaluating(model):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield model
    finally:
        for module, mode in modes:
            module.training = mode


model = FineTuned().train()
model.backbone.eval()
with evaluating(model):
    assert not any(module.training for module in model.modules())
    assert model(backbone_batch).is_inference()
assert model.training and model.head.training and not model.backbone.training

try:
    with evaluating(model):
        raise ValueError
except ValueError:
    assert model.training and not model.backbone.training


# %% solution_rate
def retrace(drop, weight, rate, factor=1.0):
    torch.manual_seed(5)
    weight = weight.clone().requires_grad_()
    for _ in range(50):
        loss = (drop(rate_x, p_rate, training=True) @ weight - rate_y).square().mean()
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - rate * gradient).detach().requires_grad_()
    return weight.detach() * factor


p_rate = 0.3
torch.manual_seed(0)
rate_x, rate_y = torch.randn(64, 20), torch.randn(64)
start = torch.randn(20) * 0.1
keep = 1 - p_rate

by_original = retrace(original_dropout, start, rate=0.1, factor=keep)
same_rate = retrace(inverted_dropout, start * keep, rate=0.1)
right_rate = retrace(inverted_dropout, start * keep, rate=0.1 * keep**2)
print(f"same learning rate:         weights differ by up to {(same_rate - by_original).abs().max():.4f}")
print(f"(1 - p)^2 times that rate:  weights differ by up to {(right_rate - by_original).abs().max():.7f}")
assert (right_rate - by_original).abs().max() < 1e-5 < 1e-3 < (same_rate - by_original).abs().max()


# %% solution_deterministic
@torch.inference_mode()
def is_deterministic(model, x, passes=5):
    first = model(x)
    return all(torch.equal(model(x), first) for _ in range(passes - 1))


suspects = {
    "F.dropout": Wrong(),
    "plain list": Hidden(),
    "repaired list": Registered(),
    "repaired F.dropout": Right(),
}
for name, model in suspects.items():
    print(f"{name:19s} {is_deterministic(model.eval(), wide)}")
assert [is_deterministic(model.eval(), wide) for model in suspects.values()] == [False, False, True, True]
