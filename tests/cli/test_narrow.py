"""What commands show on terminals of 60, 80 and 120 columns: no number and no name is cut, and no line is too long."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from rich.cells import cell_len

import cnnlab
from cnnlab.cli.views import evaluation, inspection, numbers, result as result_view, summary, verification
from cnnlab.inspection.summary import summarize
from cnnlab.pluginhost import registry

WIDTHS = [60, 80, 120]
LONG = "a-second-run-of-the-same-network"


@pytest.fixture(params=WIDTHS)
def columns(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


@pytest.fixture(scope="module")
def place(tmp_path_factory, trained_run):
    """A folder with two runs, one of a long name."""
    folder = tmp_path_factory.mktemp("narrow")
    for name in ("short", LONG):
        shutil.copytree(trained_run.path, folder / "runs" / name)
    return folder


@pytest.fixture(scope="module")
def attacked(classifier, digits):
    images, labels = digits
    return cnnlab.analyze("fgsm-untargeted", classifier, images[:4], labels=labels[:4], epsilon=(0.05, 0.15))


def whole(text: str, names, columns: int) -> None:
    """Every name stands in one piece somewhere, and every line but those of paths fits."""
    assert "…" not in text
    assert not [name for name in names if str(name) not in text]
    lines = [line for line in text.splitlines() if "/" not in line]
    assert max(map(cell_len, lines)) <= columns


@pytest.mark.parametrize("command", ["runs", "compare"])
def test_runs(command_line, monkeypatch, place, command):
    monkeypatch.chdir(place)
    words = [command, *(("short", LONG) if command == "compare" else ())]
    rows = json.loads(command_line(*words, "--json")[1])
    rows = rows["runs"] if command == "compare" else rows
    values = [row[key] for row in rows for key in ("dataset", "architecture", "epochs")]
    for columns in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(columns))
        _, out, _ = command_line(*words)
        whole(out, ["short", LONG, *values, *(f"{row['loss']:.4f}" for row in rows)], columns)


def test_plugins_and_datasets(command_line, columns, monkeypatch):
    for words, names in {
        ("plugins", "list"): [word for plugin in registry.plugins() for word in " ".join(plugin.provides).split()],
        ("plugins", "show", "noise-addition"): [
            *registry.find_analysis("noise-addition").arrays,
            *registry.find_analysis("noise-addition").metrics,
        ],
        ("datasets",): [*registry.datasets(), "60,000", "10,000", "28x28x1"],
    }.items():
        monkeypatch.setenv("COLUMNS", str(columns))
        _, out, _ = command_line(*words)
        whole(out, names, columns)


def test_summary_and_inspect(classifier, columns, capsys):
    found = summarize(classifier)
    summary.show("classic", found)
    names = [layer.name for layer in found.layers]
    numbers_of = [f"{layer.parameters:,}" for layer in found.layers if layer.parameters]
    whole(capsys.readouterr().out, [*names, *numbers_of, f"{found.multiply_adds:,}"], columns)
    inspected = cnnlab.inspect(classifier)
    inspection.show(inspected)
    whole(capsys.readouterr().out, [*names, *numbers_of, *inspected.analyses], columns)


def test_evaluate(classifier, columns, capsys):
    found = cnnlab.evaluate(classifier, "mnist", limit=40)
    evaluation.show(found)
    out = capsys.readouterr().out
    whole(out, ["accuracy", "worst_class_accuracy", "images_per_second", *found.class_names], columns)
    assert out.splitlines()[0].endswith("of 40 images read correctly")


@pytest.fixture(scope="module")
def saved(attacked, classifier, tmp_path_factory):
    """The files of a result, and the report of its verification."""
    place = tmp_path_factory.mktemp("attacked") / "out"
    files = attacked.save(place)
    return files, cnnlab.verify(place, classifier)


def test_analyze_and_verify(attacked, saved, columns, capsys):
    files, report = saved
    result_view.show(replace(attacked, drawings={}), files)
    out = capsys.readouterr().out
    sources = [row["image"] for row in attacked.rows]
    changes = [numbers.number(row["l2"]) for row in attacked.rows]
    metrics = [name.partition("@")[0] for name in attacked.metrics]
    whole(out, [*sources, *changes, *metrics], columns)
    verification.show(report)
    out = capsys.readouterr().out
    whole(out, [finding.claim for finding in report.findings], columns)
    assert out.startswith("Holds as far as it was checked")


def test_a_result_begins_with_its_headline_and_says_each_number_once(attacked, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result_view.show(replace(attacked, drawings={}), [])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == attacked.headline
    assert attacked.record["headline"] == attacked.headline
    assert out.count("Euclidean length of the change") == 1
    assert "@" not in out
