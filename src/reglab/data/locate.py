"""Where the files of Fashion-MNIST are. Imports nothing but the standard library, so that tools can ask at no cost.

`REGLAB_DATA` names a folder that holds the four files; without it, they are looked for in the user's cache folder and
then where Debian's package `dataset-fashion-mnist` puts them.
"""

import os
from pathlib import Path

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def download_folder() -> Path:
    """Where `python -m reglab.data fetch` puts the files: `REGLAB_DATA`, else a folder in the user's cache.

    The user's cache is `XDG_CACHE_HOME`, else `~/.cache`.

    Example:
        >>> from reglab.data import locate
        >>> folder = locate.download_folder()  # ~/.cache/reglab/fashion-mnist where nothing else is set
        >>> folder.name != ""
        True
    """
    if chosen := os.environ.get("REGLAB_DATA"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "reglab" / "fashion-mnist"


def fashion_mnist() -> Path | None:
    """The first folder that holds all four files, or `None`.

    Incomplete sets do not count. What is in the files is checked by whoever reads them.

    Example:
        >>> from reglab.data import locate
        >>> folder = locate.fashion_mnist()
        >>> folder is None or all((folder / name).is_file() for name in locate.FILES)
        True
    """
    for folder in (download_folder(), DEBIAN):
        if all((folder / name).is_file() for name in FILES):
            return folder
    return None
