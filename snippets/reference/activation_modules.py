# %% find
import inspect
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

# The module lists what it offers. Attention is listed there too, but maps no number.
listed = nn.modules.activation.__all__
names = sorted(name for name in listed if name != "MultiheadAttention")
print(f"{len(names)} activation modules in torch.nn")

# %% formulas
# For each class the formula of the page, and the same in code.
FORMULAS = {
    "CELU": (
        r"\max(0,x)+\min\bigl(0,\alpha(\mathrm{e}^{x/\alpha}-1)\bigr)",
        lambda x, m: F.relu(x) + m.alpha * (torch.exp(x / m.alpha) - 1).clamp(max=0),
    ),
    "ELU": (
        r"\max(0,x)+\min\bigl(0,\alpha(\mathrm{e}^{x}-1)\bigr)",
        lambda x, m: x.clamp(min=0) + (m.alpha * (torch.exp(x) - 1)).clamp(max=0),
    ),
    "GELU": (
        r"x\,\Phi(x)",
        lambda x, m: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    ),
    "GLU": (
        r"a\,\sigma(b)",
        lambda x, m: x[..., 0] * 1 / (1 + torch.exp(-x[..., 1])),
    ),
    "Hardshrink": (
        r"x\ (\lvert x\rvert>\lambda),\quad 0\ (\lvert x\rvert\le\lambda)",
        lambda x, m: x * (x.abs() > m.lambd),
    ),
    "Hardsigmoid": (
        r"\min\bigl(\max(0,\tfrac{x}{6}+\tfrac{1}{2}),1\bigr)",
        lambda x, m: (x / 6 + 1 / 2).clamp(0, 1),
    ),
    "Hardswish": (
        r"\tfrac{x}{6}\min\bigl(\max(0,x+3),6\bigr)",
        lambda x, m: x / 6 * (x + 3).clamp(0, 6),
    ),
    "Hardtanh": (
        r"\min\bigl(\max(l,x),u\bigr)",
        lambda x, m: x.clamp(m.min_val, m.max_val),
    ),
    "LeakyReLU": (
        r"\max(0,x)+a\min(0,x)",
        lambda x, m: x.clamp(min=0) + m.negative_slope * x.clamp(max=0),
    ),
    "LogSigmoid": (
        r"-\ln(1+\mathrm{e}^{-x})",
        lambda x, m: -torch.log(1 + torch.exp(-x)),
    ),
    "LogSoftmax": (
        r"x_i-\ln\sum_j\mathrm{e}^{x_j}",
        lambda x, m: x[..., 0] - torch.log(torch.exp(x).sum(-1)),
    ),
    "Mish": (
        r"x\tanh\bigl(\ln(1+\mathrm{e}^{x})\bigr)",
        lambda x, m: x * torch.tanh(torch.log(1 + torch.exp(x))),
    ),
    "PReLU": (
        r"\max(0,x)+a\min(0,x)",
        lambda x, m: x.clamp(min=0) + m.weight * x.clamp(max=0),
    ),
    "RReLU": (
        r"\max(0,x)+\tfrac{l+u}{2}\min(0,x)",
        lambda x, m: x.clamp(min=0) + (m.lower + m.upper) / 2 * x.clamp(max=0),
    ),
    "ReLU": (
        r"\max(0,x)",
        lambda x, m: x.clamp(min=0),
    ),
    "ReLU6": (
        r"\min\bigl(\max(0,x),6\bigr)",
        lambda x, m: x.clamp(0, 6),
    ),
    "SELU": (
        r"\lambda\bigl(\max(0,x)+\min(0,\alpha(\mathrm{e}^{x}-1))\bigr)",
        lambda x, m: 1.0507009873554805 * F.elu(x, 1.6732632423543772),
    ),
    "SiLU": (
        r"x\,\sigma(x)",
        lambda x, m: x / (1 + torch.exp(-x)),
    ),
    "Sigmoid": (
        r"\frac{1}{1+\mathrm{e}^{-x}}",
        lambda x, m: 1 / (1 + torch.exp(-x)),
    ),
    "Softmax": (
        r"\frac{\mathrm{e}^{x_i}}{\sum_j\mathrm{e}^{x_j}}",
        lambda x, m: torch.exp(x[..., 0]) / torch.exp(x).sum(-1),
    ),
    "Softmax2d": (
        r"\frac{\mathrm{e}^{x_c}}{\sum_k\mathrm{e}^{x_k}}",
        lambda x, m: torch.exp(x[..., 0]) / torch.exp(x).sum(-1),
    ),
    "Softmin": (
        r"\frac{\mathrm{e}^{-x_i}}{\sum_j\mathrm{e}^{-x_j}}",
        lambda x, m: torch.exp(-x[..., 0]) / torch.exp(-x).sum(-1),
    ),
    "Softplus": (
        r"\tfrac{1}{\beta}\ln(1+\mathrm{e}^{\beta x})",
        lambda x, m: torch.log(1 + torch.exp(m.beta * x)) / m.beta,
    ),
    "Softshrink": (
        r"\operatorname{sign}(x)\max(0,\lvert x\rvert-\lambda)",
        lambda x, m: x.sign() * (x.abs() - m.lambd).clamp(min=0),
    ),
    "Softsign": (
        r"\frac{x}{1+\lvert x\rvert}",
        lambda x, m: x / (1 + x.abs()),
    ),
    "Tanh": (
        r"\frac{\mathrm{e}^{x}-\mathrm{e}^{-x}}{\mathrm{e}^{x}+\mathrm{e}^{-x}}",
        lambda x, m: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    ),
    "Tanhshrink": (
        r"x-\tanh x",
        lambda x, m: x - torch.tanh(x),
    ),
    "Threshold": (
        r"x\ (x>\theta),\quad v\ (x\le\theta)",
        lambda x, m: torch.where(x > m.threshold, x, torch.full_like(x, m.value)),
    ),
}
# Classes that have no default for an argument, and inputs of more than one number.
ARGUMENTS = {"Threshold": {"threshold": 1, "value": 0}}
VECTORS = {
    "GLU": "(a, b) = (1, x)",
    "LogSoftmax": "(x, 0, 0)",
    "Softmax": "(x, 0, 0)",
    "Softmax2d": "(x, 0, 0)",
    "Softmin": "(x, 0, 0)",
}


# %% probe
def make(name):
    kind = getattr(nn, name)
    takes_dim = "dim" in inspect.signature(kind).parameters
    arguments = ARGUMENTS.get(name, {}) | ({"dim": -1} if takes_dim else {})
    return kind(**arguments).eval()  # RReLU draws its slope in training


def as_input(name, x):
    if name == "GLU":
        return torch.stack([torch.ones_like(x), x], -1)
    if name in VECTORS:
        return torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1)
    return x


def output(name, module, x):
    inputs = as_input(name, x)
    if name == "Softmax2d":  # wants the channels in front of height and width
        return module(inputs.mT[None, :, :, None])[0, 0, :, 0]
    y = module(inputs)
    return y[..., 0] if name in VECTORS else y


def defaults(name):
    shown = []
    for key, parameter in inspect.signature(getattr(nn, name)).parameters.items():
        if key not in ("args", "kwargs", "inplace", "device", "dtype"):
            value = ARGUMENTS.get(name, {}).get(key, parameter.default)
            number = f"{value:.4g}" if isinstance(value, float) else repr(value)
            shown.append(key if value is parameter.empty else f"{key}={number}")
    return ", ".join(shown)


def probe(name):
    module = make(name)
    x = torch.linspace(-4, 4, 81, requires_grad=True)
    y = output(name, module, x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    far = torch.cat([torch.linspace(-60, 60, 24_001), torch.tensor([-1e6, 1e6])])
    far.requires_grad_()
    reach = output(name, module, far)
    low, high = reach.min().item(), reach.max().item()
    (slopes,) = torch.autograd.grad(reach.sum(), far)
    steepest = slopes.abs().max().item()
    dense = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    dense.requires_grad_()
    (slopes,) = torch.autograd.grad(output(name, module, dense).sum(), dense)
    return {
        "name": name,
        "formula": FORMULAS[name][0],
        "defaults": defaults(name),
        "input": VECTORS.get(name, ""),
        "curve": " ".join(f"{value:.3f}" for value in y.tolist()),
        "gradient": " ".join(f"{value:.3f}" for value in gradient.tolist()),
        "low": None if low < -1e3 else round(low, 3) + 0.0,
        "high": None if high > 1e3 else round(high, 3) + 0.0,
        "steepest": round(steepest, 3),
        "blocked": (slopes.abs() < 0.01).double().mean().item(),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }


activations = [probe(name) for name in names if name in FORMULAS]
for found in activations:
    low = "-∞" if found["low"] is None else f"{found['low']:g}"
    high = "∞" if found["high"] is None else f"{found['high']:g}"
    print(f"{found['name']:12} {low:>6} to {high:4} {found['defaults']}")

# %% check
# claim: every-module-has-a-formula
without = [name for name in names if name not in FORMULAS]
assert not without, f"no formula for {without}"
assert not [name for name in FORMULAS if name not in names]

# claim: formulas-hold
x = torch.linspace(-12, 12, 4801)
for name in names:
    module = make(name)
    by_formula = FORMULAS[name][1](as_input(name, x), module)
    assert torch.allclose(output(name, module, x), by_formula, atol=1e-7), name

# claim: limits-are-met
steepest = {found["name"]: found["steepest"] for found in activations}
assert all(steepest[name] == 1 for name in ("LogSigmoid", "LogSoftmax", "Softplus", "Tanhshrink"))
assert max(abs(steepest[name] - 1) for name in ("ReLU", "Softsign", "Tanh")) < 1e-6

# claim: only-prelu-learns
assert [found["name"] for found in activations if found["parameters"]] == ["PReLU"]

# claim: only-rrelu-has-modes
for name in names:
    module = make(name)
    torch.manual_seed(0)
    trained = output(name, module.train(), x)
    assert torch.equal(trained, output(name, module.eval(), x)) == (name != "RReLU")

# claim: the-same-under-two-names
by_name = {found["name"]: found for found in activations}
assert by_name["ELU"]["curve"] == by_name["CELU"]["curve"]
assert torch.allclose(nn.ELU(alpha=2.0)(x[x > 0]), nn.CELU(alpha=2.0)(x[x > 0]))
assert not torch.allclose(nn.ELU(alpha=2.0)(x), nn.CELU(alpha=2.0)(x), atol=0.1)

# %% blocked
shown = sorted(
    (found for found in activations if found["blocked"] >= 0.005),
    key=lambda found: found["blocked"],
)
relu_blocked = by_name["ReLU"]["blocked"]
num_blocking, num_activations = len(shown), len(activations)

fig, ax = plt.subplots(figsize=(5.6, 3.8))
rows = range(len(shown))
ax.barh(rows, [100 * found["blocked"] for found in shown], color="C0", height=0.6)
ax.set_yticks(rows, [f"nn.{found['name']}" for found in shown])
ax.set_xlabel("inputs with almost no gradient (%)")
ax.grid(axis="y", visible=False)

# %% check_blocked
# claim: relu-blocks-half
assert abs(relu_blocked - 0.5) < 0.01

# claim: smooth-ones-block-little
for name in ("ELU", "GELU", "LeakyReLU", "Mish", "SELU", "Sigmoid", "SiLU", "Softplus"):
    assert by_name[name]["blocked"] < 0.06, name
