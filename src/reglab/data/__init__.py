"""The data of all experiments: made here from a seed or read from disk, never downloaded while a snippet runs.

`from reglab.data import noisy_line` imports the module that holds `noisy_line`, and torch with it, at that moment
(PEP 562) and not before: `reglab.data.locate` and `python -m reglab.data fetch` work without torch. The modules' names
start with an underscore because a module `noisy_line` would hide the function of that name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see
    from reglab.data._banknotes import banknotes
    from reglab.data._fashion_mnist import fashion_mnist
    from reglab.data._garments import garments
    from reglab.data._image_set import ImageSet, standardize
    from reglab.data._images import images
    from reglab.data._noisy_line import Points, noisy_line
else:
    _MODULE_OF = {
        "ImageSet": "_image_set",
        "Points": "_noisy_line",
        "banknotes": "_banknotes",
        "fashion_mnist": "_fashion_mnist",
        "garments": "_garments",
        "images": "_images",
        "noisy_line": "_noisy_line",
        "standardize": "_image_set",
    }

    def __getattr__(name: str) -> object:
        """The public name `name`, imported from its module when it is first asked for."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


__all__ = ["ImageSet", "Points", "banknotes", "fashion_mnist", "garments", "images", "noisy_line", "standardize"]
