"""Downloads Fashion-MNIST: whole and verified files, or none. `python -m reglab.data fetch` calls it; no build does.

A file appears under its name only once its content has the right SHA-256: an interruption leaves files missing, never a
broken one. Calling again keeps the files that are there and intact and starts the others afresh.
"""

import gzip
import hashlib
import http.client
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

OFFICIAL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# Of the uncompressed content: Debian packs the same bytes anew, without file names and time stamps, so its .gz files
# differ from the official ones.
SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SECONDS_OF_SILENCE = 30
CHUNK = 1 << 16


class FetchError(Exception):
    """A file could not be fetched; the message says which, why, and what to do."""


def fetch(folder: Path, *, url: str = OFFICIAL, sha256: Mapping[str, str] = SHA256) -> None:
    """Download into `folder` the files that are missing there or damaged, with a progress bar on stderr.

    Args:
        folder: created if need be.
        url: the address that the files' names are appended to.
        sha256: what to fetch: the files' names, each with the SHA-256 of its uncompressed content.

    Raises:
        FetchError: no network, an answer other than the file, or content with another checksum.
        OSError: `folder` cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from reglab.data.fetch import FetchError, fetch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         fetch(Path(folder), url="http://127.0.0.1:9/")  # nobody serves there
        ...     except FetchError as error:
        ...         print(str(error).partition(": ")[0])
        cannot fetch http://127.0.0.1:9/train-images-idx3-ubyte.gz
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as unfinished,
    ):
        for name, digest in sha256.items():
            if is_intact(folder / name, digest):
                continue
            address = f"{url.rstrip('/')}/{name}"
            part = Path(unfinished) / name
            _download(address, part, progress)
            if not is_intact(part, digest):
                raise FetchError(
                    f"{address} is not the original file: its SHA-256 is wrong; nothing was kept\n"
                    "    → try again, or another address with --url"
                )
            part.replace(folder / name)


def is_intact(path: Path, digest: str) -> bool:
    """Whether `path` is a gzip file whose content has the SHA-256 `digest`.

    Example:
        >>> from pathlib import Path
        >>> from reglab.data.fetch import is_intact
        >>> is_intact(Path("no-such-file.gz"), "00")
        False
    """
    if not path.is_file():
        return False
    try:
        with gzip.open(path) as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == digest
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False


def _download(address: str, target: Path, progress: Progress) -> None:
    """Write what `address` answers to `target`."""
    task = progress.add_task(target.name, total=None)
    with target.open("wb") as file:
        for chunk, size in _chunks(address):
            file.write(chunk)
            progress.update(task, advance=len(chunk), total=size)


def _chunks(address: str) -> Iterator[tuple[bytes, int | None]]:
    """The pieces of the answer, each with the size that the server announced for the whole."""
    received = 0
    try:
        with urlopen(address, timeout=SECONDS_OF_SILENCE) as response:
            announced = response.headers["Content-Length"]
            size = None if announced is None else int(announced)
            while chunk := response.read(CHUNK):
                received += len(chunk)
                yield chunk, size
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _cannot_fetch(address, error) from error
    if size is not None and received < size:
        raise _cannot_fetch(address, f"it ended after {received} of {size} bytes")


def _cannot_fetch(address: str, why: object) -> FetchError:
    return FetchError(
        f"cannot fetch {address}: {why}\n"
        "    → check the network and try again, give another address with --url, or install Debian's package "
        "dataset-fashion-mnist;\n      files that arrived whole are kept"
    )
