"""Reads IDX, the file format of MNIST and its relatives, and trusts nothing in it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int | None, ...]) -> UInt8[Tensor, "*shape"]:
    """The array of bytes in a gzipped IDX file.

    The format: two zero bytes, the type of the entries (8: unsigned byte), the number of dimensions, the size of each
    dimension as a big-endian 32-bit number, then the entries, the last dimension running fastest.

    Args:
        path: the file.
        shape: what its dimensions must be; `None` stands for any size.

    Raises:
        ValueError: no gzip file, cut off, another type or other dimensions, too few or too many entries. The message
            names the file and says how to replace it.
        FileNotFoundError: there is no such file.

    Source:
        “The IDX file format”, at the end of LeCun, Cortes and Burges's page on MNIST.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, f"no complete gzip file ({error})") from error
    wanted = bytes([0, 0, UNSIGNED_BYTE, len(shape)])
    if content[:4] != wanted:
        raise _damaged(path, f"its magic number is 0x{content[:4].hex()}, not 0x{wanted.hex()}")
    start = 4 + 4 * len(shape)
    if len(content) < start:
        raise _damaged(path, "its header is cut off")
    sizes = struct.unpack(f">{len(shape)}I", content[4:start])
    if any(want not in (None, size) for want, size in zip(shape, sizes, strict=True)):
        raise _damaged(path, f"its dimensions are {_by(sizes)}, not {_by(shape)}")
    if len(content) - start != math.prod(sizes):
        raise _damaged(path, f"its header promises {_by(sizes)} bytes, {len(content) - start} follow")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(sizes)


def _by(sizes: tuple[int | None, ...]) -> str:
    return "×".join("n" if size is None else str(size) for size in sizes)


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(f"{path} is damaged: {what}\n    → run `python -m reglab.data fetch` to replace it")
