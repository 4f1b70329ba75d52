# %% find
import inspect
import warnings

import torch
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

FAMILIES = {
    "normalization": ("batchnorm", "instancenorm", "normalization"),
    "dropout": ("dropout",),
}
names = {
    family: [name for module in modules for name in getattr(nn.modules, module).__all__]
    for family, modules in FAMILIES.items()
}
for family, found in names.items():
    print(f"{len(found)} {family} layers: {', '.join(found)}")

# %% make
# Sizes that differ, so that a size tells which axis it is: 4 samples, 6 channels.
SHAPES = {
    "(C)": (6,),
    "(C, L)": (6, 5),
    "(C, H, W)": (6, 5, 7),
    "(C, D, H, W)": (6, 3, 5, 7),
    "(N, C)": (4, 6),
    "(N, C, L)": (4, 6, 5),
    "(N, C, H, W)": (4, 6, 5, 7),
    "(N, C, D, H, W)": (4, 6, 3, 5, 7),
}


def make(name, shape):
    kind = getattr(nn, name)
    values = {
        "num_features": 6,
        "num_channels": 6,
        "num_groups": 3,
        "normalized_shape": shape[1:] or shape,
        "size": 3,
    }
    signature = inspect.signature(kind).parameters
    needed = [key for key, found in signature.items() if found.default is found.empty]
    return kind(**{key: values[key] for key in needed})


def apply(name, x):
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return make(name, tuple(x.shape))(x)


def accepts(name, title):
    # Whether the layer takes the axes for what they are called. With the axis added
    # that is not there, a sample or a depth of 1, it must do the same.
    missing = 2 if title.startswith("(N") else 0
    x = torch.randn(SHAPES[title])
    try:
        y = apply(name, x)
    except (RuntimeError, ValueError, IndexError, UserWarning):
        return False
    try:
        whole = apply(name, x.unsqueeze(missing))
    except (RuntimeError, ValueError, IndexError, UserWarning):
        # Only a depth may be too much, for a layer that has all its axes already.
        return missing == 2 and f"{len(SHAPES[title]) - 2}d" in name
    return torch.allclose(y, whole.squeeze(missing))


layer_names = [name for family in names.values() for name in family]
accepted = {}
for name in layer_names:
    accepted[name] = [title for title in SHAPES if accepts(name, title)]
# The axes are looked for with the most axes that a layer takes.
widest = {name: titles[-1] for name, titles in accepted.items()}


# %% axes
def averaged(name, title):
    # An output depends on the inputs that share its statistics: ask its gradient.
    shape, letters = SHAPES[title], title.strip("()").split(", ")
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    middle = tuple(size // 2 for size in shape)
    (gradient,) = torch.autograd.grad(make(name, shape)(x)[middle], x)
    found = {}
    for axis, letter in enumerate(letters):
        elsewhere = middle[:axis] + middle[axis + 1 :]
        line = gradient.movedim(axis, -1)[elsewhere]
        num_used = (line.abs() > 1e-12).sum().item()
        if num_used > 1:
            found[letter] = "all" if num_used == shape[axis] else "some"
    return found


def dropped_together(name, title):
    # An axis shares its mask where the pattern of dropped places is the same all along.
    shape, letters = SHAPES[title], title.strip("()").split(", ")
    torch.manual_seed(0)
    y = make(name, shape)(torch.ones(shape))
    dropped = y == y.min()
    shared = [(dropped == dropped.narrow(a, 0, 1)).all() for a in range(len(shape))]
    return {letter: "all" for letter, yes in zip(letters, shared, strict=True) if yes}


over = {name: averaged(name, widest[name]) for name in names["normalization"]}
over |= {name: dropped_together(name, widest[name]) for name in names["dropout"]}
print("averaged over, or dropped together")
for name, found in over.items():
    axes = [letter + " (some)" * (how == "some") for letter, how in found.items()]
    print(f"{name:22} {', '.join(axes)}")


# %% probe
def behaviour(name, title):
    # Whether training draws random numbers, and whether evaluation does something else.
    shape = SHAPES[title]
    x, layer = torch.randn(shape), make(name, shape)
    first, second = layer(x), layer(x)
    evaluated = layer.eval()(x)
    return {
        "random": not torch.equal(first, second),
        "modes": not torch.allclose(second, evaluated, atol=1e-3),
        "identity": torch.equal(evaluated, x),
    }


def signature(name):
    shown = []
    for key, found in inspect.signature(getattr(nn, name)).parameters.items():
        if key not in ("inplace", "device", "dtype"):
            value = f"={found.default!r}" if found.default is not found.empty else ""
            shown.append(f"{key}{value}")
    return ", ".join(shown)


def probe(name):
    shape = SHAPES[widest[name]]
    letter_of = dict(zip(shape, widest[name].strip("()").split(", "), strict=True))

    def axes_of(tensors):
        return {key: "×".join(letter_of[n] for n in t.shape) for key, t in tensors}

    layer = make(name, shape)
    layer(torch.randn(shape))  # a lazy layer makes its parameters here
    return {
        "name": name,
        "signature": signature(name),
        "input": accepted[name],
        "any_input": accepted[name] == list(SHAPES),
        "over": over[name],
        "parameters": axes_of(layer.named_parameters()),
        "buffers": axes_of(layer.named_buffers()),
        "lazy": isinstance(make(name, shape), nn.modules.lazy.LazyModuleMixin),
        **behaviour(name, widest[name]),
    }


layers = {family: [probe(name) for name in found] for family, found in names.items()}
num_layers = len(layer_names)
for family, found in layers.items():
    for layer in found:
        kept = ", ".join([*layer["parameters"], *layer["buffers"]])
        print(f"{layer['name']:22} {kept}")

# %% check
by_name = {layer["name"]: layer for family in layers.values() for layer in family}

# claim: batch-norm-averages-over-all-but-channels
for name in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"):
    letters = widest[name].strip("()").split(", ")
    letters.remove("C")
    assert by_name[name]["over"] == dict.fromkeys(letters, "all")

# claim: other-norms-stay-within-a-sample
others = [name for name in names["normalization"] if "BatchNorm" not in name]
assert not [name for name in others if "N" in by_name[name]["over"]]
assert by_name["GroupNorm"]["over"]["C"] == "some"
assert by_name["LocalResponseNorm"]["over"] == {"C": "some"}

# claim: batch-norm-has-modes-and-buffers
lazy_instance_norms = {name for name in layer_names if "LazyInstance" in name}
batch_norms = {name for name in names["normalization"] if "BatchNorm" in name}
with_modes = {layer["name"] for layer in layers["normalization"] if layer["modes"]}
with_buffers = {layer["name"] for layer in by_name.values() if layer["buffers"]}
assert with_modes == with_buffers == batch_norms | lazy_instance_norms

# claim: lazy-instance-norms-have-other-defaults
for name in lazy_instance_norms:
    ordinary = by_name[name.removeprefix("Lazy")]
    assert "affine=True, track_running_stats=True" in by_name[name]["signature"]
    assert "affine=False, track_running_stats=False" in ordinary["signature"]
    assert not ordinary["parameters"]

# claim: dropouts-return-their-input-in-evaluation
assert all(layer["random"] and layer["identity"] for layer in layers["dropout"])
assert not any(layer["random"] for layer in layers["normalization"])

# claim: channel-dropouts-share-their-mask
assert by_name["Dropout"]["over"] == by_name["AlphaDropout"]["over"] == {}
assert by_name["Dropout2d"]["over"] == {"H": "all", "W": "all"}
assert by_name["FeatureAlphaDropout"]["over"] == {"D": "all", "H": "all", "W": "all"}

# claim: lazy-batch-norms-become-ordinary-ones
for name in batch_norms:
    if by_name[name]["lazy"]:
        ordinary = by_name[name.removeprefix("Lazy")]
        for key in ("over", "parameters", "buffers", "modes"):
            assert by_name[name][key] == ordinary[key]
