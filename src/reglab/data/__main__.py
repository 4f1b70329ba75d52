"""The command line of the data: `python -m reglab.data fetch`."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from reglab.data import locate
from reglab.data.fetch import OFFICIAL, SHA256, FetchError, fetch, is_intact


def main(arguments: Sequence[str] | None = None, *, sha256: Mapping[str, str] = SHA256) -> int:
    """Fetch Fashion-MNIST unless an intact copy is found; 0 when it is there at the end, else 1 and one message."""
    parser = argparse.ArgumentParser(prog="python -m reglab.data", description="The data that is not made from a seed.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "fetch",
        help="download Fashion-MNIST (30 MB) and verify it",
        description="Download Fashion-MNIST (30 MB) into REGLAB_DATA, else the user's cache folder, and verify it.",
    )
    command.add_argument("--url", default=OFFICIAL, help="the address that holds the four files (%(default)s)")
    url = parser.parse_args(arguments).url

    folder = locate.download_folder()
    try:
        found = locate.fashion_mnist()
        if found and all(is_intact(found / name, digest) for name, digest in sha256.items()):
            print(f"Fashion-MNIST is already in {found}")
            return 0
        fetch(folder, url=url, sha256=sha256)
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot keep files in {folder}: {error}\n    → name another folder with REGLAB_DATA", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: files that arrived whole are kept, the others start afresh next time", file=sys.stderr)
        return 1
    print(f"Fashion-MNIST is now in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
