# ---
# timeout: 300
# ---
# %% setup
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import mse_loss

from reglab.data import noisy_line
from reglab.stacked import StackedMLP

num_points, noise_sd = 30, 0.5
noise_variance = noise_sd**2
max_degree = 14

x = torch.linspace(-1, 1, num_points, dtype=torch.float64)
x_test = torch.linspace(-1, 1, 100, dtype=torch.float64)


def truth(x):
    return torch.sin(5 * x + 1)


def draw_labels(x, num_sets, seed):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(x), num_sets, generator=generator, dtype=x.dtype)
    return truth(x).unsqueeze(1) + noise_sd * noise  # (points, sets)


def features(x, degree):
    # Legendre polynomials span the same curves as 1, x, x^2, ... and keep rounding errors small.
    columns = [torch.ones_like(x), x]
    for k in range(1, degree):
        columns.append(((2 * k + 1) * x * columns[k] - k * columns[k - 1]) / (k + 1))
    return torch.stack([math.sqrt(2 * k + 1) * columns[k] for k in range(degree + 1)], dim=1)


# %% fit
def fit(design, labels):
    # design = QR turns least squares into the triangular system R c = Q^T y.
    q, r = torch.linalg.qr(design)
    return torch.linalg.solve_triangular(r, q.T @ labels, upper=True)


def predict(degree, labels):
    return features(x_test, degree) @ fit(features(x, degree), labels)  # (test points, sets)


# %% decompose
def decompose(predictions, target):
    num_sets = predictions.shape[1]
    mean_fit = predictions.mean(1)
    variance = predictions.var(1)
    # The mean of finitely many fits is off by chance: by variance / num_sets, squared and on average.
    bias_squared = (mean_fit - target).square() - variance / num_sets
    return bias_squared.mean(), variance.mean()


# %% check_scratch
# claim: scratch-equals-torch
for degree in (0, 4, max_degree):
    results = []
    for solve in (fit, lambda design, labels: torch.linalg.lstsq(design, labels).solution):
        labels = draw_labels(x, 3, seed=0).requires_grad_()
        coefficients = solve(features(x, degree), labels)
        (coefficients**3).sum().backward()
        results.append((coefficients.detach(), labels.grad))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)


# claim: legendre-spans-the-powers
labels = draw_labels(x, 1, seed=0)
by_powers = x_test.unsqueeze(1) ** torch.arange(6) @ fit(x.unsqueeze(1) ** torch.arange(6), labels)
assert torch.allclose(predict(5, labels), by_powers, rtol=1e-8)

# %% monte_carlo
degrees = range(max_degree + 1)
num_sets, num_repeats = 2000, 20
labels = draw_labels(x, num_sets, seed=1)
# Other training sets and fresh test labels: what is measured shares no number with the decomposition.
other_labels = draw_labels(x, num_sets, seed=2)
test_labels = draw_labels(x_test, num_sets, seed=3)


def mean_and_error(values):
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


rows = []
for degree in degrees:
    predictions = predict(degree, labels)
    parts = torch.tensor([decompose(some, truth(x_test)) for some in predictions.chunk(num_repeats, dim=1)])
    on_test = (predict(degree, other_labels) - test_labels).square().mean(0)
    at_x = features(x, degree) @ fit(features(x, degree), other_labels)
    rows.append(
        {
            "bias": parts[:, 0],
            "variance": parts[:, 1],
            "sum": mean_and_error(parts.sum(1) + noise_variance),
            "test": mean_and_error(on_test),
            "train": mean_and_error((at_x - other_labels).square().mean(0)),
        }
    )

bias_squared, variance = ([row[part].mean().item() for row in rows] for part in ("bias", "variance"))
sums, test_errors, train_errors = ([row[part][0] for row in rows] for part in ("sum", "test", "train"))
print("degree    bias^2  variance  noise     sum   measured test error   training error")
for degree in degrees:
    test_error, its_error = rows[degree]["test"]
    print(
        f"{degree:6d}{bias_squared[degree]:10.4f}{variance[degree]:10.4f}{noise_variance:7.2f}{sums[degree]:8.4f}"
        f"{test_error:13.4f} ± {its_error:.4f}{train_errors[degree]:17.4f}"
    )

# %% tradeoff
fig, axes = plt.subplots(2, 1, figsize=(5.6, 6.2), sharex=True, height_ratios=[3, 2])
ax = axes[0]
for part, color, label in (("bias", "C0", "bias²"), ("variance", "C1", "variance")):
    low, high = torch.stack([row[part].quantile(torch.tensor([0.1, 0.9]).double()) for row in rows]).T
    ax.fill_between(degrees, low, high, color=color, alpha=0.25, linewidth=0)
    ax.plot(degrees, [row[part].mean() for row in rows], color=color, label=label)
ax.axhline(noise_variance, color="C3", linestyle="--", label="noise")
ax.plot(degrees, sums, color="black", label="sum of the three")
ax.errorbar(
    degrees,
    test_errors,
    [2 * row["test"][1] for row in rows],
    fmt="o",
    color="C2",
    label="measured test error",
)
ax.set_ylabel("squared error")
ax.legend()
axes[1].plot(degrees, test_errors, "o-", color="C2", label="test error")
axes[1].plot(degrees, train_errors, "s-", color="C4", label="training error")
axes[1].axhline(noise_variance, color="C3", linestyle="--", label="noise")
axes[1].set_ylabel("squared error")
axes[1].set_xlabel("degree of the polynomial")
axes[1].set_ylim(0, None)
axes[1].legend()

# %% check_tradeoff
# The exact answer: a least-squares fit is linear in the labels, prediction = hat @ labels.
hats = [features(x_test, degree) @ torch.linalg.pinv(features(x, degree)) for degree in degrees]
exact_bias = [(hat @ truth(x) - truth(x_test)).square().mean().item() for hat in hats]
exact_variance = [noise_variance * hat.square().sum(1).mean().item() for hat in hats]
z_scores = [(row["sum"][0] - row["test"][0]) / math.hypot(row["sum"][1], row["test"][1]) for row in rows]
largest_z = max(abs(z) for z in z_scores)
largest_gap = max(abs(s / t - 1) for s, t in zip(sums, test_errors, strict=True))
best_degree = test_errors.index(min(test_errors))
fitted_noise = train_errors[-1] / noise_variance

# claim: sum-equals-measured
assert largest_z < 4
assert largest_gap < 0.02

# claim: exact-agrees
for degree in degrees:
    for part, exact in (("bias", exact_bias[degree]), ("variance", exact_variance[degree])):
        measured, its_error = mean_and_error(rows[degree][part])
        assert abs(measured - exact) < 5 * its_error + 1e-9

# claim: bias-falls-variance-rises
assert exact_bias[:9] == sorted(exact_bias[:9], reverse=True)
assert max(exact_bias[9:]) < 1e-4
assert variance == sorted(variance)

# claim: best-lies-between
assert 4 < best_degree < 9
assert min(test_errors[0], test_errors[-1]) > 1.15 * test_errors[best_degree]

# claim: training-error-only-falls
assert train_errors == sorted(train_errors, reverse=True)

# claim: training-error-below-noise
assert fitted_noise < 0.6
assert min(test_errors) > noise_variance
assert math.isclose(fitted_noise, 1 - (max_degree + 1) / num_points, rel_tol=0.03)

# %% spaghetti
shown_degrees, num_shown = [2, best_degree, max_degree], 25
fig, axes = plt.subplots(3, 1, figsize=(5.6, 7.4), sharex=True, sharey=True)
for ax, degree in zip(axes, shown_degrees, strict=True):
    predictions = predict(degree, labels)
    ax.plot(x_test, predictions[:, :num_shown], color="C0", linewidth=0.8, alpha=0.35)
    ax.plot([], [], color="C0", linewidth=0.8, label="single fits")
    ax.plot(x_test, predictions.mean(1), color="C1", linewidth=2.5, label="mean of all fits")
    ax.plot(x_test, truth(x_test), color="black", linestyle=":", label="true function")
    ax.set_title(f"degree {degree}")
    ax.set_ylabel("$y$")
axes[0].set_ylim(-2, 2)
axes[2].set_xlabel("$x$")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


# %% ridge
def ridge(design, labels, strength):
    # Minimizes mean squared error + strength * |c|^2, with the constant spared.
    penalty = strength * torch.eye(design.shape[1], dtype=design.dtype)
    penalty[0, 0] = 0
    return torch.linalg.solve(design.T @ design / len(design) + penalty, design.T @ labels / len(design))


design, design_test = features(x, max_degree), features(x_test, max_degree)
strengths = [10 ** (k / 3) for k in range(-9, 4)]
ridge_rows = []
for strength in strengths:
    parts = decompose(design_test @ ridge(design, labels, strength), truth(x_test))
    on_test = (design_test @ ridge(design, other_labels, strength) - test_labels).square().mean(0)
    ridge_rows.append([*(part.item() for part in parts), *mean_and_error(on_test)])


# %% descend
stop_rate, stop_after = 0.05, [1, 2, 4, 6, 10, 15, 25, 40, 60, 100, 200]
stop_rows = []
coefficients = torch.zeros(max_degree + 1, 2 * num_sets, dtype=torch.float64)
both_labels = torch.cat([labels, other_labels], dim=1)
for step in range(1, stop_after[-1] + 1):
    residual = design @ coefficients - both_labels
    coefficients -= stop_rate * 2 * design.T @ residual / num_points
    if step in stop_after:
        predictions, others = (design_test @ coefficients).chunk(2, dim=1)
        parts = decompose(predictions, truth(x_test))
        on_test = (others - test_labels).square().mean(0)
        stop_rows.append([*(part.item() for part in parts), *mean_and_error(on_test)])

print("penalty   bias^2  variance  test error      steps   bias^2  variance  test error")
for strength, by_ridge, steps_done, by_stop in zip(strengths, ridge_rows, stop_after, stop_rows, strict=False):
    print("{:7.3f}{:9.4f}{:10.4f}{:12.4f}".format(strength, *by_ridge[:3]), end="")
    print("{:11d}{:9.4f}{:10.4f}{:12.4f}".format(steps_done, *by_stop[:3]))

# %% regularized
fig, axes = plt.subplots(2, 1, figsize=(5.6, 6.6), sharey=True)
for ax, places, measured in ((axes[0], strengths, ridge_rows), (axes[1], stop_after, stop_rows)):
    biases, variances, errors, errors_of_errors = zip(*measured, strict=True)
    totals = [b + v + noise_variance for b, v in zip(biases, variances, strict=True)]
    ax.plot(places, biases, color="C0", label="bias²")
    ax.plot(places, variances, color="C1", label="variance")
    ax.axhline(noise_variance, color="C3", linestyle="--", label="noise")
    ax.plot(places, totals, color="black", label="sum of the three")
    ax.errorbar(places, errors, [2 * e for e in errors_of_errors], fmt="o", color="C2", label="measured test error")
    ax.set_xscale("log")
    ax.set_ylabel("squared error")
axes[0].set_xlabel("strength of the L2 penalty")
axes[1].set_xlabel("steps of gradient descent")
axes[1].invert_xaxis()
axes[1].set_xticks([100, 10, 1], ["100", "10", "1"])
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %% check_regularized
ridge_bias, ridge_variance, ridge_test, ridge_errors = (list(column) for column in zip(*ridge_rows, strict=True))
stop_bias, stop_variance, stop_test, stop_errors = (list(column) for column in zip(*stop_rows, strict=True))
best_strength = strengths[ridge_test.index(min(ridge_test))]
best_stop = stop_after[stop_test.index(min(stop_test))]
unregularized_test = test_errors[-1]
ridge_at_best, stop_at_best = ridge_test.index(min(ridge_test)), stop_test.index(min(stop_test))
best_ridge_test, best_ridge_bias = ridge_test[ridge_at_best], ridge_bias[ridge_at_best]
best_stop_test = stop_test[stop_at_best]

# claim: ridge-has-zero-gradient
weights = ridge(design, labels[:, :1], best_strength).requires_grad_()
objective = mse_loss(design @ weights, labels[:, :1]) + best_strength * weights[1:].square().sum()
objective.backward()
assert weights.grad.abs().max() < 1e-10

# claim: ridge-is-weight-decay-for-plain-sgd
constant, rest = (nn.Parameter(torch.zeros(k, 1, dtype=torch.float64)) for k in (1, max_degree))
groups = [{"params": [constant]}, {"params": [rest], "weight_decay": 2 * best_strength}]
optimizer = torch.optim.SGD(groups, lr=stop_rate)
for _ in range(800):
    loss = mse_loss(design @ torch.cat([constant, rest]), labels[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
assert torch.allclose(torch.cat([constant, rest]), weights, atol=1e-8)

# claim: penalty-trades-bias-for-variance
assert ridge_variance == sorted(ridge_variance, reverse=True)
assert ridge_bias[ridge_at_best] > ridge_bias[0] + 1e-3
assert ridge_bias[-1] > 0.3
assert ridge_variance[-1] < 0.15 * ridge_variance[0]

# claim: least-variance-is-not-best
assert min(ridge_variance) == ridge_variance[-1]
assert ridge_test[-1] == max(ridge_test)
assert ridge_test[-1] > 1.5 * ridge_test[0] > 1.5 * min(ridge_test)
assert 0 < ridge_at_best < len(strengths) - 1

# claim: stopping-needs-no-penalty
assert stop_variance == sorted(stop_variance)
assert stop_bias[0] > 0.2 > 1e-3 > stop_bias[-1]
assert 0 < stop_at_best < len(stop_after) - 1
assert stop_test[stop_at_best] < unregularized_test - 0.01

# claim: sum-holds-with-regularization
for b, v, error, its_error in (*ridge_rows, *stop_rows):
    assert abs(b + v + noise_variance - error) < 5 * its_error

# %% net
width, learning_rate, momentum, steps = 50, 0.01, 0.9, 1000
slope, train_noise, test_noise = 1.5, 0.5, 0.3


def make_net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))


def train(net, points, *, decay):
    optimizer = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=momentum, weight_decay=decay)
    for _ in range(steps):
        loss = mse_loss(net(points.x), points.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %% nets
num_nets = 40
decays = [0.0, 0.01, 0.03, 0.1, 0.3]
points = [
    noisy_line(10, slope=slope, train_noise=train_noise, test_noise=test_noise, seed=seed) for seed in range(num_nets)
]
grid = points[0][0].x  # the training and the test points have the same ten x

# The same forty starts for every decay; and once more, without decay, forty other starts on the same data.
starts = [make_net(seed) for seed in range(num_nets)]
other_starts = [make_net(num_nets + seed) for seed in range(num_nets)]
every_decay = torch.tensor([*decays, 0.0]).repeat_interleave(num_nets).view(-1, 1, 1)
nets = StackedMLP(starts * len(decays) + other_starts)
all_x, all_y = (torch.stack([getattr(train, axis) for train, _ in points]) for axis in "xy")
all_x, all_y = (values.repeat(len(decays) + 1, 1, 1) for values in (all_x, all_y))
optimizer = torch.optim.SGD(nets.parameters(), lr=learning_rate, momentum=momentum, fused=True)
for _ in range(steps):
    loss = (nets(all_x) - all_y).square().mean((1, 2)).sum()
    optimizer.zero_grad()
    loss.backward()
    for parameter in nets.parameters():
        parameter.grad += every_decay * parameter.detach()
    optimizer.step()

# %% net_scores
with torch.no_grad():
    outputs = nets(all_x).squeeze(2)
curves = outputs.view(len(decays) + 1, num_nets, -1)  # (decays, nets, points)
line = slope * grid.squeeze(1)
net_parts = [decompose(some.T, line) for some in curves[:-1]]
net_bias, net_variance = ([part.item() for part in column] for column in zip(*net_parts, strict=True))
net_train = (outputs - all_y.squeeze(2)).square().view(len(decays) + 1, -1).mean(1).tolist()[:-1]
test_y = torch.stack([test.y.squeeze(1) for _, test in points])
net_test = [mean_and_error((some - test_y).square().mean(1)) for some in curves[:-1]]
net_sums = [b + v + test_noise**2 for b, v in zip(net_bias, net_variance, strict=True)]

print("decay   bias^2  variance  noise     sum   measured test error   training error")
for row in zip(decays, net_bias, net_variance, net_sums, net_test, net_train, strict=True):
    decay, b, v, total, (test_error, its_error), train_error = row
    print(
        f"{decay:5.2f}{b:9.4f}{v:10.4f}{test_noise**2:7.2f}{total:8.4f}"
        f"{test_error:13.4f} ± {its_error:.4f}{train_error:17.4f}"
    )

# %% net_bars
fig, ax = plt.subplots(figsize=(5.6, 4.4))
places = range(len(decays))
shown_bias = [max(b, 0) for b in net_bias]
ax.bar(places, test_noise**2, width=0.6, color="C3", alpha=0.5, label="noise")
ax.bar(places, net_variance, width=0.6, bottom=test_noise**2, color="C1", alpha=0.5, label="variance")
tops = [test_noise**2 + v for v in net_variance]
ax.bar(places, shown_bias, width=0.6, bottom=tops, color="C0", alpha=0.5, label="bias²")
ax.errorbar(
    places, [t for t, _ in net_test], [2 * e for _, e in net_test], fmt="o", color="C2", label="measured test error"
)
ax.plot(places, net_train, "s", color="C4", label="training error")
ax.set_xticks(places, [f"{decay:g}" for decay in decays])
ax.set_xlabel("strength of weight decay")
ax.set_ylabel("squared error")
ax.set_ylim(0, 0.42)
fig.legend(loc="outside lower center", ncols=2)

# %% check_nets
# How far each net is from the mean of its kind, and from the true line.
spread = (curves[:-1] - curves[:-1].mean(1, keepdim=True)).square().mean(2)
from_line = (curves[:-1] - line).square().mean(2)
moderate, strong = decays.index(0.03), len(decays) - 1
spread_wins = int((spread[moderate] < spread[0]).sum())
line_wins = int((from_line[moderate] < from_line[0]).sum())
strong_losses = int((from_line[strong] > from_line[moderate]).sum())
# Two nets on the same data differ by their initial weights alone; half their squared distance is that variance.
start_variance = ((curves[0] - curves[-1]).square().mean() / 2).item()
start_share = start_variance / net_variance[0]

# claim: stacked-equals-single
for one, kind in ((0, 0), (3, moderate), (17, strong)):
    alone = make_net(one)
    train(alone, points[one][0], decay=decays[kind])
    assert torch.allclose(alone(grid).squeeze(1), curves[kind, one], atol=0.01)

# claim: nets-are-nearly-all-variance
assert abs(net_bias[0]) < 0.03 < 0.08 < net_variance[0]

# claim: decay-lowers-the-variance-of-nets
assert spread_wins >= 34
assert net_variance[moderate] < 0.7 * net_variance[0]

# claim: moderate-decay-wins
assert line_wins >= 34

# claim: strong-decay-is-bias
assert net_bias[strong] > 0.06
assert net_bias[strong] > 5 * max(abs(b) for b in net_bias[: moderate + 1])
assert net_bias[strong] > net_variance[strong]
assert net_train[strong] > 1.5 * net_train[moderate]
assert strong_losses >= 25

# claim: starts-add-variance
assert 0 < start_variance < 0.2 * net_variance[0]

# claim: sum-holds-for-nets
for total, (test_error, its_error) in zip(net_sums, net_test, strict=True):
    assert abs(total - test_error) < 4 * its_error

# %% zero_one
positive = truth(x_test) > 0
zero_one = []
for degree in degrees:
    votes = predict(degree, labels) > 0
    main = votes.double().mean(1) > 0.5  # the class that most fits choose
    errors = (votes != positive.unsqueeze(1)).double().mean(1)
    biased = (main != positive).double()
    disagreement = (votes != main.unsqueeze(1)).double().mean(1)
    zero_one.append((errors, biased, disagreement))

print("degree   error rate   bias + variance   bias + (1 - 2 bias) variance")
for degree in (0, 2, 3, 4, 6, 14):
    errors, biased, disagreement = zero_one[degree]
    simple, signed = biased + disagreement, biased + (1 - 2 * biased) * disagreement
    print(f"{degree:6d}{errors.mean():13.3f}{simple.mean():18.3f}{signed.mean():31.3f}")


# %% double_descent
def rescaled(x, degree):
    # Higher degrees cost more: among all curves through the points, the least norm then prefers the smooth ones.
    return features(x, degree) / torch.arange(1, degree + 2)


counts = [*range(1, num_points - 1, 2), *range(num_points - 2, num_points + 8), 40, 45, 50, 60, 80, 100, 150, 200, 300]
wide_bias, wide_variance = [], []
for count in counts:
    # The pseudo-inverse gives least squares up to num_points coefficients and the least norm from there on.
    hat = rescaled(x_test, count - 1) @ torch.linalg.pinv(rescaled(x, count - 1), rtol=1e-13)
    wide_bias.append((hat @ truth(x) - truth(x_test)).square().mean().item())
    wide_variance.append(noise_variance * hat.square().sum(1).mean().item())
wide_test = [b + v + noise_variance for b, v in zip(wide_bias, wide_variance, strict=True)]

fig, ax = plt.subplots(figsize=(5.6, 3.8))
ax.plot(counts, [max(b, 1e-6) for b in wide_bias], color="C0", label="bias²")
ax.plot(counts, wide_variance, color="C1", label="variance")
ax.axhline(noise_variance, color="C3", linestyle="--", label="noise")
ax.plot(counts, wide_test, color="black", label="sum of the three")
ax.axvline(num_points, color="black", linewidth=0.8, linestyle=":")
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_ylim(1e-4, 1e4)
ax.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
ax.minorticks_off()
ax.set_xlabel("number of coefficients")
ax.set_ylabel("squared error")
ax.legend(loc="upper left")

# %% check_beyond
valley = min(wide_test[: counts.index(num_points)])
peak = max(wide_test)
plateau = wide_test[-1]

# claim: zero-one-loss-has-no-such-sum
off_by = max(abs((b + v - e).mean().item()) for e, b, v in zero_one)
assert off_by > 0.05
for errors, biased, disagreement in zero_one:
    assert torch.allclose(errors, biased + (1 - 2 * biased) * disagreement)

# claim: variance-can-help-zero-one-loss
errors, biased, disagreement = zero_one[3]
wrong = biased.bool()
assert wrong.any()
assert torch.allclose(errors[wrong], 1 - disagreement[wrong])
assert disagreement[wrong].max() > 0.2

# claim: descends-twice
assert wide_test.index(peak) in {counts.index(n) for n in (num_points - 1, num_points, num_points + 1)}
assert peak > 1e4
assert plateau < 0.05 * wide_test[counts.index(36)]
assert wide_test[counts.index(36)] > wide_test[counts.index(60)] > plateau

# claim: variance-makes-the-peak
assert max(wide_bias[counts.index(21) :]) < 0.01

# claim: second-valley-is-no-lower-here
assert valley < plateau < wide_test[0]

# claim: minimum-norm-interpolates
wide_design = rescaled(x, 299)
wide_coefficients = torch.linalg.lstsq(wide_design, labels[:, :5], driver="gelsd").solution
assert torch.allclose(wide_design @ wide_coefficients, labels[:, :5], atol=1e-8)
by_pinv = rescaled(x_test, 299) @ torch.linalg.pinv(wide_design, rtol=1e-13) @ labels[:, :5]
assert torch.allclose(rescaled(x_test, 299) @ wide_coefficients, by_pinv, atol=1e-8)

# %% trap_square
degree = 4
offsets = predict(degree, labels).mean(1) - truth(x_test)
signed_bias, mean_bias = offsets.mean().item(), offsets.abs().mean().item()
print(f"measured test error          {test_errors[degree]:.3f}")
print(f"signed bias + var + noise    {signed_bias + variance[degree] + noise_variance:.3f}")
print(f"|bias| + var + noise         {mean_bias + variance[degree] + noise_variance:.3f}")
print(f"bias^2 + var + noise         {sums[degree]:.3f}")

# %% trap_few_sets
few, trials = 5, 200
naive, corrected = [], []
for some in predict(max_degree, labels)[:, : few * trials].chunk(trials, dim=1):
    naive.append((some.mean(1) - truth(x_test)).square().mean())
    corrected.append(decompose(some, truth(x_test))[0])
naive, corrected = torch.stack(naive), torch.stack(corrected)
naive_bias, corrected_bias = naive.mean().item(), corrected.mean().item()
print(f"bias^2 of degree {max_degree} from {few} training sets, mean of {trials} trials")
print(f"exact {exact_bias[-1]:.5f}   naive {naive_bias:.5f}   corrected {corrected_bias:.5f}")

# %% trap_labels
against_labels = (predict(best_degree, labels).mean(1, keepdim=True) - test_labels).square().mean().item()
print(f"mean fit against the true function  {bias_squared[best_degree]:.4f}")
print(f"mean fit against noisy labels       {against_labels:.4f}")

# %% check_traps
# claim: unsquared-bias-misses
assert abs(signed_bias + variance[degree] + noise_variance - test_errors[degree]) > 0.03
assert abs(mean_bias + variance[degree] + noise_variance - test_errors[degree]) > 0.1
assert abs(sums[degree] - test_errors[degree]) < 0.02

# claim: units-demand-the-square
scaled, scaled_truth = 10 * predict(degree, labels), 10 * truth(x_test)
scaled_bias, scaled_variance = decompose(scaled, scaled_truth)
assert math.isclose(scaled_variance, 100 * variance[degree], rel_tol=0.01)
assert math.isclose(scaled_bias, 100 * bias_squared[degree], rel_tol=0.01)
assert math.isclose((scaled.mean(1) - scaled_truth).abs().mean(), 10 * mean_bias, rel_tol=1e-9)

# claim: few-sets-inflate-the-bias
assert naive_bias > 100 * exact_bias[-1]
assert math.isclose(naive_bias, exact_variance[-1] / few, rel_tol=0.2)
assert abs(corrected_bias) < 5 * corrected.std().item() / math.sqrt(trials)
assert abs(corrected_bias) < 0.3 * naive_bias

# claim: labels-add-the-noise
assert math.isclose(against_labels, bias_squared[best_degree] + noise_variance, rel_tol=0.02)

# claim: performance-is-another-variance
fits = predict(best_degree, labels)
performance, performance_shifted = (
    (some - truth(x_test).unsqueeze(1)).square().mean(0).var().item() for some in (fits, fits + 1)
)
assert torch.allclose(fits.var(1), (fits + 1).var(1))
assert performance_shifted > 10 * performance

# claim: training-noise-is-not-the-bound
# A least-squares line on the posts' data: no bias, and two coefficients' share of the training noise.
inputs = torch.cat([torch.ones_like(grid), grid], dim=1).double()
line_hat = inputs @ torch.linalg.pinv(inputs)
line_test = test_noise**2 + train_noise**2 * line_hat.square().sum(1).mean().item()
assert math.isclose(line_test, test_noise**2 + train_noise**2 * 2 / 10)
assert line_test < 0.6 * train_noise**2
measured_line, its_error = mean_and_error((all_y[:num_nets, :, 0].double() @ line_hat.T - test_y).square().mean(1))
assert abs(measured_line - line_test) < 4 * its_error

# claim: one-test-set-may-fall-below-the-bound
of_truth = (truth(x_test).unsqueeze(1) - test_labels)[::10].square().mean(0)
lucky = (of_truth < noise_variance).double().mean().item()
assert 0.4 < lucky < 0.75
assert abs(of_truth.mean() - noise_variance) < 4 * of_truth.std() / math.sqrt(num_sets)

# %% solution_average
group = 10
fits = predict(max_degree, labels)
averages = fits.view(len(x_test), -1, group).mean(2)  # (test points, groups)
average_bias, average_variance = (part.item() for part in decompose(averages, truth(x_test)))
print(f"single fits    bias^2 {bias_squared[-1]:8.5f}   variance {variance[-1]:.4f}")
print(f"means of {group}    bias^2 {average_bias:8.5f}   variance {average_variance:.4f}")

# %% solution_more_data
data_sizes = [30, 60, 120, 240]
more = {}
for degree in (4, max_degree):
    for size in data_sizes:
        more_x = torch.linspace(-1, 1, size, dtype=torch.float64)
        fitted = fit(features(more_x, degree), draw_labels(more_x, num_sets, seed=4))
        parts = decompose(features(x_test, degree) @ fitted, truth(x_test))
        more[f"{degree}/{size}"] = [part.item() for part in parts]
        print(f"degree {degree:2d}  points {size:3d}   bias^2 {parts[0]:7.4f}   variance {parts[1]:.4f}")

# %% solution_optimism
fresh = draw_labels(x, num_sets, seed=5)
optimism = []
for degree in (2, best_degree, max_degree):
    at_x = features(x, degree) @ fit(features(x, degree), labels)
    gaps = (at_x - fresh).square().mean(0) - (at_x - labels).square().mean(0)
    predicted = 2 * noise_variance * (degree + 1) / num_points
    optimism.append((predicted, *mean_and_error(gaps)))
    print(f"degree {degree:2d}   formula {predicted:.4f}   measured {gaps.mean():.4f} ± {mean_and_error(gaps)[1]:.4f}")

# %% check_solutions
# claim: averaging-divides-the-variance
assert math.isclose(average_variance, variance[-1] / group, rel_tol=0.25)
assert abs(average_bias) < 0.01

# claim: more-data-cures-variance-only
for degree in (4, max_degree):
    assert 0.08 < more[f"{degree}/240"][1] / more[f"{degree}/30"][1] < 0.2
assert more["4/240"][0] > 0.85 * more["4/30"][0] > 0.03

# claim: optimism-formula
assert all(abs(measured - predicted) < 4 * its_error for predicted, measured, its_error in optimism)
