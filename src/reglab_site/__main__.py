"""The command line: `python -m reglab_site run | weave | check`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import Project

COMMANDS = {
    "run": "run the snippets whose results are missing or stale",
    "weave": "write the pages as plain Markdown, with code, output, figures and values filled in",
    "check": "hold the pages of both languages against each other and against the runs",
}


def main(argv: list[str]) -> int:
    """Run one command; 1 if something in the sources is wrong, with all that is wrong on stderr."""
    parser = argparse.ArgumentParser(prog="python -m reglab_site", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        if name in argv[:1]:  # import the one module that is asked for
            import_module(f"reglab_site.{name}").add_arguments(command)
    arguments = parser.parse_args(argv)
    try:
        import_module(f"reglab_site.{arguments.command}").main(Project.find(), arguments)
    except (SiteError, SiteErrors) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
