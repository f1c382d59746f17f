"""``cnnlab datasets``: what is installed, and single images of it as files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from cnnlab.cli.commands.options import Place, force_option, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Group
from cnnlab.errors import UsageError
from cnnlab.files.places import check_file


@click.group(cls=Group, invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]...")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def datasets(ctx: click.Context, as_json: bool) -> None:
    """List the installed datasets, or export an image of one.

    Besides these, `--dataset` takes the path of an .npz file in Keras' layout, of a folder of IDX files, of a folder of
    images with a subfolder per class, or of TFRecord files; `keras:NAME` for one that Keras fetches, and `tfds:NAME`
    for one of TensorFlow Datasets.
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from cnnlab.pluginhost import registry

    found = registry.datasets()
    if as_json:
        echo(json.dumps([_record(name) for name in found], indent=2, ensure_ascii=False))
        return
    from cnnlab.cli.views.tables import Column, fitted, print_all
    from cnnlab.console import Console

    sources = list(found.values())
    columns = [
        Column("name", list(found)),
        Column("training", [f"{source.train_size:,}" for source in sources], number=True),
        Column("test", [f"{source.test_size:,}" for source in sources], number=True),
        Column("shape", ["x".join(map(str, source.shape)) for source in sources]),
        Column("classes", [_classes(source.class_names) for source in sources]),
        Column("provenance", [source.provenance for source in sources]),
        Column("licence", [source.licence for source in sources]),
    ]
    console = Console()
    print_all(console, fitted(columns, console.width))


def _classes(names: tuple[str, ...]) -> str:
    return f"{len(names)} ({names[0]} ... {names[-1]})" if len(names) > 3 else f"{len(names)} ({', '.join(names)})"


def _record(name: str) -> dict[str, object]:
    from cnnlab.pluginhost import registry

    source = registry.find_dataset(name)
    plugin = registry.provider(source)
    return {
        "name": source.name,
        "summary": source.summary,
        "distribution": plugin.distribution,
        "training_images": source.train_size,
        "test_images": source.test_size,
        "shape": list(source.shape),
        "class_names": list(source.class_names),
        "provenance": source.provenance,
        "licence": source.licence,
    }


@datasets.command()
@click.argument("dataset")
@click.argument("file", type=Place())
@click.option("--index", required=True, metavar="SPLIT:I", help="Which image, such as test:0 or train:59999.")
@with_options(force_option("Replace the file where there is one."))
def export(dataset: str, file: Path, index: str, force: bool) -> None:
    """Write one image of DATASET to FILE, whose suffix says what kind (.png keeps every value)."""
    name, position = _parse(index)
    check_file(file, force=force, whose=lambda path: "is there already")
    from cnnlab.datasets import images, load
    from cnnlab.drawings import Picture
    from cnnlab.inputs import check_within
    from cnnlab.render import terminal

    data = load(dataset)
    split = data.split(name)
    check_within(split, range(position, position + 1))
    low, high = data.value_range
    pixels = (split.batch([position])[0] - low) / (high - low)
    images.write_image(file, pixels)
    from cnnlab.console import Console

    label = data.class_names[split.labels[position]]
    console = Console()
    console.print(terminal.render(Picture(values=pixels, title=f"{name}:{position}, class {label}"), width=56))
    console.print(f"  {file}", style="cyan", highlight=False, soft_wrap=True)


def _parse(index: str) -> tuple[str, int]:
    found = re.fullmatch(r"(train|test):([0-9]{1,18})", index)
    if found is None:
        raise UsageError(f"--index must be SPLIT:I, such as test:0; received {index}.")
    return found[1], int(found[2])
