"""Write the reference pages from the code: ``python docs/generate.py``; with ``--check``, only compare.

docs/cli.md comes from the commands' own help, docs/plugins/gallery.md from what the built-in plugins declare,
docs/reference/ from what users may import, docs/performance.md from what ``make bench`` measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# The pages describe what cnnlab itself ships, whatever else is installed on the machine that writes them.
BUILT_IN = [folder.name for folder in (Path(__file__).parent.parent / "plugins").iterdir() if folder.is_dir()]
os.environ["CNNLAB_PLUGINS"] = ",".join(BUILT_IN)

import click  # noqa: E402
from performance import page as performance_page  # noqa: E402
from surface import cnnlab_page, plugin_page, testing_page  # noqa: E402
from tables import arrays_table, metrics_table, params_table, table  # noqa: E402

from cnnlab.cli import cli  # noqa: E402
from cnnlab.pluginhost import registry  # noqa: E402

DOCS = Path(__file__).parent
GENERATED = "<!-- Written from the code by `make docs`; a test compares the two. -->"
WIDTH = 80


def cli_page() -> str:
    """Every command's help, one section each."""
    parts = [
        "# Command-line reference",
        "",
        GENERATED,
        "",
        "What `cnnlab COMMAND --help` says, of every command.",
        "",
        "Exit status: 0 done; 1 it could not be done; 2 the command line is wrong; 3 a gate set with",
        "`--fail-under` was not met; 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP (within two seconds,",
        "what is done kept; a second one ends at once). `CNNLAB_DEBUG=1` shows tracebacks.",
        "",
    ]
    for path, help_text in _helps(cli, "cnnlab", None):
        parts += [f"## `{path}`", "", "```text", help_text, "```", ""]
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    text = "\n".join(line.rstrip() for line in click.unstyle(command.get_help(context)).splitlines())
    yield context.command_path, text
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _helps(found, child, context)


def gallery_page() -> str:
    """Every built-in analysis: what it asks, its parameters, arrays and metrics, and its figure where there is one."""
    found = sorted(registry.analyses().items())
    parts = [
        "# The built-in analyses",
        "",
        GENERATED,
        "",
        "Each is a question to a model, asked by `cnnlab analyze NAME`.",
        "",
        *table(("analysis", "what it does"), [(f"[{name}](#{name})", each.summary) for name, each in found]),
    ]
    for name, analysis in found:
        parts += [
            f"## {name}",
            "",
            f"{analysis.summary} [Its mathematics, measurements and sources](../../plugins/{name}/README.md).",
            "",
        ]
        picture = DOCS / "pictures" / f"{name}.png"
        if picture.exists():
            parts += [f"![The figure of {name}](../pictures/{picture.name})", ""]
        parts += params_table(analysis.params)
        parts += arrays_table(analysis.arrays)
        parts += metrics_table(analysis.metrics, analysis.arrays)
    return "\n".join(parts)


PAGES = {
    "cli.md": cli_page,
    "performance.md": performance_page,
    "plugins/gallery.md": gallery_page,
    "reference/cnnlab.md": cnnlab_page,
    "reference/plugin.md": plugin_page,
    "reference/testing.md": testing_page,
}


def main() -> int:
    """Write the pages, or with ``--check`` say which differ from the code."""
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"docs/{', docs/'.join(stale)} differ from the code: run `make docs`.", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
