"""Start-up: `cnnlab --help` and its like, beside `import tensorflow`, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from side_by_side import race, rounds_from_command_line


def process(*words: str):
    return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True)


def main() -> None:
    race(
        "startup",
        "Start-up, in a process of its own",
        {
            "`import tensorflow`": process("-c", "import tensorflow"),
            "`cnnlab --help`": process("-m", "cnnlab", "--help"),
            "`cnnlab analyze --help`": process("-m", "cnnlab", "analyze", "--help"),
            "`cnnlab analyze occlusion --help`": process("-m", "cnnlab", "analyze", "occlusion", "--help"),
            "`cnnlab plugins list`": process("-m", "cnnlab", "plugins", "list"),
        },
        rounds=rounds_from_command_line(9, __doc__),
        packages=["cnnlab", "tensorflow"],
    )


if __name__ == "__main__":
    main()
