"""Results of more images than the record lists, and those of which the metrics alone were kept."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import UsageError
from cnnlab.results import lists
from cnnlab.results.folder import digest
from cnnlab.results.record import signed
from cnnlab.results.result import Result
from cnnlab.results.rows import Rows
from cnnlab.verification.report import Report
from cnnlab.verification.verify import verify

FGSM = ("fgsm-untargeted", {"epsilon": (0.05, 0.1)})
OCCLUSION = ("occlusion", {"patch": 4, "stride": 4})


def few(monkeypatch, most: int = 3) -> None:
    """Let so many images be all that a record lists."""
    for module in ("rows", "lists"):
        monkeypatch.setattr(f"cnnlab.results.{module}.MOST", most)


@pytest.fixture(params=[FGSM, OCCLUSION], ids=lambda param: param[0])
def many(request, network, spots, tmp_path, monkeypatch) -> tuple[Result, Path]:
    """A result of five images, which are more than are listed, and where it lies; rows in a file of text."""
    name, params = request.param
    few(monkeypatch)
    monkeypatch.setattr("cnnlab.results.lists._has_pyarrow", lambda: False)
    result = cnnlab.analyze(name, network, cnnlab.datasets.load(spots).test[1:6], seed=5, **params)
    result.save(tmp_path / "many", format=None)
    return result, tmp_path / "many"


def failed(report: Report) -> set[str]:
    return {finding.claim for finding in report.failed}


def mended(folder: Path, name: str) -> None:
    """Make a record agree with a file that was changed, as somebody would who knows of digests."""
    record = json.loads((folder / "result.json").read_text())
    record["files"][name] = digest(folder / name)
    if name == "inputs.csv":
        record["inputs"]["digest"] = record["files"][name]
    (folder / "result.json").write_text(json.dumps(signed(record)))


def test_it_is_verified_as_others_are(many, network):
    result, folder = many
    assert result.record["schema"] == 2
    report = verify(folder, network, rerun=True)
    assert not report.failed
    held = {finding.claim for finding in report.findings if finding.state == "holds"}
    assert {"files", "inputs", "rows", "metrics", "rerun"} <= held


def test_it_says_what_one_whose_images_are_listed_says(many, network, spots, monkeypatch):
    result, folder = many
    found = Result.load(folder)
    few(monkeypatch, 10)
    name, params = next(each for each in (FGSM, OCCLUSION) if each[0] == result.record["analysis"])
    listed = cnnlab.analyze(name, network, cnnlab.datasets.load(spots).test[1:6], seed=5, **params)
    assert listed.record["schema"] == 1
    assert listed.record["rows"] == result.rows == found.rows
    assert listed.record["inputs"] == result.inputs == found.inputs
    against = cnnlab.compare(listed, found).against[0]
    assert against.images == 5, "both are paired by the digests of their images"
    assert {each.difference for each in against.differences if each.low is not None} == {0.0}


@pytest.mark.parametrize("known", [False, True])
def test_a_changed_line_is_found(many, network, known):
    result, folder = many
    for file, line, other in (("inputs.csv", "spots/test:2", "spots/test:7"), ("rows.csv", "test:3,", "test:4,")):
        path = folder / file
        path.write_text(path.read_text().replace(line, other, 1))
        if known:
            mended(folder, file)
        assert failed(verify(folder, network)) >= {path.stem, *([] if known else ["files"])}
        result.save(folder, format=None, force=True)
        assert not failed(verify(folder, network))


@pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow is not installed")
def test_rows_in_parquet_are_verified_alike(network, spots, tmp_path, monkeypatch):
    few(monkeypatch)
    result = cnnlab.analyze("occlusion", network, cnnlab.datasets.load(spots).test[1:6])
    result.save(tmp_path / "out", format=None)
    assert not failed(verify(tmp_path / "out", network))
    rows = [dict(row) for row in result.rows]
    rows[2]["image"] = "spots/test:7"
    lists.write(tmp_path / "out" / "rows.parquet", Rows.of(rows))
    assert failed(verify(tmp_path / "out", network)) == {"files", "rows"}


def test_a_list_that_is_gone_is_said(many, network):
    (many[1] / "inputs.csv").unlink()
    assert {"files", "inputs"} <= failed(verify(many[1], network))


@pytest.mark.parametrize("case", ["fgsm-untargeted", "evaluate"])
def test_of_metrics_alone_it_is_said_that_they_cannot_be_worked_out_anew(network, spots, tmp_path, case):
    if case == "evaluate":
        found = cnnlab.evaluate(network, spots)
        whole, kept = found.result(), found.result("metrics")
    else:
        images = cnnlab.datasets.load(spots).test[:3]
        whole, kept = (cnnlab.analyze(case, network, images, **FGSM[1], keep=keep) for keep in ("arrays", "metrics"))
    kept.save(tmp_path / "kept", format=None)
    found = Result.load(tmp_path / "kept")
    assert not found.arrays
    assert not found.rows
    assert not found.tables
    assert dict(found.metrics) == dict(whole.metrics)
    assert found.headline == whole.headline
    assert found.drawings.keys() == whole.drawings.keys()
    assert [f"arrays.{name}" for name in whole.arrays] == found.record["left_out"][: len(whole.arrays)]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["arrays.npz", "drawings.json", "result.json"]
    for rerun in (False, True):
        report = verify(tmp_path / "kept", network, rerun=rerun)
        assert not report.failed
        assert {"arrays", "metrics", "headline"} <= {finding.claim for finding in report.not_checked}
    forged = json.loads((tmp_path / "kept" / "result.json").read_text())
    forged["metrics"]["accuracy" if case == "evaluate" else "accuracy@0.1"] = 0.125
    (tmp_path / "kept" / "result.json").write_text(json.dumps(signed(forged)))
    assert failed(verify(tmp_path / "kept", network)) == set()
    assert failed(verify(tmp_path / "kept", network, rerun=True)) == {"rerun"}


def test_whoever_says_of_arrays_that_they_were_left_out_is_caught(network, spots, tmp_path):
    cnnlab.evaluate(network, spots).result().save(tmp_path / "out", format=None)
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    (tmp_path / "out" / "result.json").write_text(json.dumps(signed({**record, "left_out": ["rows"]})))
    assert failed(verify(tmp_path / "out", network)) == {"arrays"}


def test_an_analysis_own_parameter_goes_before_what_is_kept(network, spots):
    images = cnnlab.datasets.load(spots).test[:3]
    found = cnnlab.analyze("activations", network, images, keep=2)
    assert {len(array) for name, array in found.arrays.items() if name.startswith("activation/")} == {2}
    with pytest.raises(UsageError, match=r"keep must be 'arrays' or 'metrics'; received all"):
        cnnlab.analyze("occlusion", network, images, keep="all")
    drawn = cnnlab.analyze("occlusion", network, images, keep="metrics").drawing()
    assert np.size(drawn.tiles[0].values)
