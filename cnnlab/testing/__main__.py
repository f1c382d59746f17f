"""``python -m cnnlab.testing NAME``: hold what is installed to its contracts; see :mod:`cnnlab.testing.checking`."""

from __future__ import annotations

import argparse
import sys

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing.checking import check


def main(words: list[str]) -> int:
    """Check, and return the exit status: 1 where a promise is broken, 2 where the words make no sense."""
    parser = argparse.ArgumentParser(prog="python -m cnnlab.testing", description="Hold a plugin to its contract.")
    parser.add_argument("name", help="a plugin, a distribution, or something that one provides")
    parser.add_argument("--param", metavar="NAME=VALUE", action="append", default=[], help="a parameter of an analysis")
    given = parser.parse_args(words)
    try:
        return 0 if check(given.name, given.param) else 1
    except CnnlabError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
