"""Values of options that several commands share."""

from __future__ import annotations

import click
import pytest

from cnnlab.cli.commands.options import Bytes


@pytest.mark.parametrize(
    ("text", "amount"), [("512M", 512 * 2**20), ("2g", 2 * 2**30), ("3 KiB", 3072), ("4096", 4096), ("1GB", 2**30)]
)
def test_an_amount_of_memory_is_read(text, amount):
    assert Bytes().convert(text, None, None) == amount


@pytest.mark.parametrize("text", ["", "0", "M", "-1M", "1.5G", "1T"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected an amount of memory such as 512M or 2G; received"):
        Bytes().convert(text, None, None)
