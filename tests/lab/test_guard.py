"""Nobody gets in: each promise of docs/lab.md about who is answered, tried."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from PIL import Image

from cnnlab.classifier import Classifier
from cnnlab.lab import asking, guard, images
from cnnlab.lab.guard import is_loopback, names_of
from cnnlab.lab.serving import warning_of
from cnnlab.pluginhost.declarations import Array
from cnnlab.pluginhost.of_model import AModel
from cnnlab.pluginhost.params import Doc, Params
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier


@pytest.fixture
def browser(lab, tools):
    """A browser that opened the first URL: it has the cookie and no Authorization header, and names its origin."""
    with tools.client_of(lab, authorization="", origin=tools.url) as opened:
        entered = opened.get(f"/?token={tools.token}")
        assert entered.status_code == 303
        assert entered.headers["location"] == "/"
        yield opened


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/static/main.js",
        "/plugins/cnnlab-one/3.1/own.js",
        "/api/analyses",
        "/api/reports/p0.html",
        "/api/training",
        "/api/nothing",
        "/nothing",
    ],
)
@pytest.mark.parametrize("token", ["", "Bearer wrong", "Bearer", "Basic b2Y6dGhl", "Bearer \xe4"])
def test_without_the_token_nothing_is_answered(lab, tools, path, token):
    with tools.client_of(lab, authorization="") as client:
        headers = {"authorization": token.encode("latin-1")} if token else {}
        refused = client.get(path, headers=headers)
    assert refused.status_code == 401
    assert "the token is missing or wrong" in refused.text
    assert "classes" not in refused.text


def test_a_wrong_token_in_the_url_sets_no_cookie(lab, tools):
    with tools.client_of(lab, authorization="") as client:
        refused = client.get("/?token=guess")
        assert (refused.status_code, dict(refused.cookies)) == (401, {})
        assert client.get(f"/api/models?token={tools.token}").status_code == 401  # programs send a header


def test_the_token_leaves_the_url_for_a_cookie_that_no_script_and_no_other_site_has(lab, tools):
    with tools.client_of(lab, authorization="") as client:
        entered = client.get(f"/?token={tools.token}&a=1")
    assert entered.headers["location"] == "/?a=1"
    words = {word.strip().lower() for word in entered.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= words
    assert entered.headers["set-cookie"].startswith(f"{tools.cookie}={tools.token}")


def test_a_browser_that_entered_is_answered(browser):
    assert browser.get("/api/models").status_code == 200
    assert browser.post("/api/predict", json={}).status_code == 400  # let in, and told what is missing


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8123",
        "127.0.0.1",
        "127.0.0.1:8124",
        "127.0.0.1.evil.example:8123",
        "localhost.:8123",
        "",
    ],
)
def test_a_host_of_another_name_is_refused(client, host):
    refused = client.get("/api/models", headers={"host": host})
    assert refused.status_code == 403
    assert "not called what the Host header says" in refused.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:8123", "LOCALHOST:8123", "[::1]:8123"])
def test_a_host_of_its_own_name_is_answered(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "http://localhost.evil.example:8123", ""]
)
def test_what_another_page_sends_is_refused(browser, method, origin):
    refused = browser.request(method, "/api/predict", headers={"origin": origin}, content=b"{}")
    assert refused.status_code == 403
    assert "another page" in refused.json()["error"]


def test_what_says_no_origin_is_refused_of_a_browser_and_not_of_a_program(lab, client, tools):
    cookies = {"cookie": f"{tools.cookie}={tools.token}"}
    with tools.client_of(lab, authorization="", **cookies) as silent:
        assert silent.get("/api/models").status_code == 200
        assert silent.post("/api/predict", json={}).status_code == 403
    assert client.post("/api/predict", json={}).status_code == 400
    assert client.post("/api/predict", json={}, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_websocket_is_refused(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/models"):
        pass


@pytest.mark.parametrize("path", ["/api/models", "/api/nothing", "/?token=guess"])
def test_every_answer_says_what_a_browser_may_do_with_it(client, path):
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "data:" in policy["img-src"]
    assert "http" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert (headers["referrer-policy"], headers["x-frame-options"]) == ("no-referrer", "DENY")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/api/results/r0/files/../../../../etc/passwd",
        "/api/results/..%2f..%2fetc/files/passwd",
        "/api/images/..%2f..%2f..%2fetc%2fpasswd.png",
        "/api/images/d0-test-0%2f...png",
        "/api/datasets/%2fetc/images",
        "/api/datasets/..%2f..%2fdata.npz/images",
    ],
)
def test_no_path_of_a_browser_leads_to_a_file(client, path):
    refused = client.get(path)
    assert refused.status_code == 404
    assert "import" not in refused.text
    assert "root:" not in refused.text


def test_only_files_of_a_result_are_handed_out(client, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("what nobody reads")
    image = client.post("/api/images", json=tools.drawing()).json()["id"]
    job = client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"]
    name = tools.ended(client, job)["result"]
    folder = tmp_path / client.post(f"/api/results/{name}/keep").json()["path"]
    (folder / "beside.txt").write_text("what nobody reads")
    for path in ("beside.txt", "../../secret.txt", "..%2f..%2fsecret.txt", str(tmp_path / "secret.txt"), ".", ""):
        refused = client.get(f"/api/results/{name}/files/{path}")
        assert (refused.status_code, "nobody" in refused.text) == (404, False)


def test_a_model_is_an_id_and_never_a_path(client, tools):
    for model in ("/etc/passwd", "../m0", "runs/classic", "m0/", "M0", ""):
        refused = client.post("/api/predict", json={"models": [model], "image": tools.drawing()})
        assert (refused.status_code, refused.json()["error"]) == (404, f"there is no model {model!r} in this lab.")
        refused = client.post("/api/analyses/one", json={"model": model})
        assert refused.status_code == 404


@dataclass(frozen=True, kw_only=True)
class Reaching(Params):
    """Parameters that reach for files and models."""

    path: Annotated[Path | None, Doc("A file.")] = None
    several: Annotated[tuple[Path, ...], Doc("Files.")] = ()
    other: Annotated[Classifier | None, AModel(), Doc("A model.")] = None


@pytest.fixture
def reaching(analysis, open_lab, fakes, tools):
    """A client of a lab whose analysis takes files and another model."""

    def work(classifier, inputs, params, context) -> Result:
        told = (params.path / "result.json").read_text()[:1] if params.path else ""
        other = params.other.class_names[0] if params.other is not None else ""
        return Result(headline=f"{told}{other}", arrays={"x": np.zeros(())})

    analysis(work, params=Reaching, arrays={"x": Array("nothing", axes=())}, inputs="none")
    with tools.client_of(open_lab(*fakes)) as client:
        yield client


@pytest.mark.parametrize("value", ["/etc/passwd", "x", "", ["/etc/passwd"], {"path": "/etc"}, {"result": 1}, 7])
@pytest.mark.parametrize("name", ["path", "several"])
def test_a_parameter_that_is_a_file_takes_no_path(reaching, name, value):
    refused = reaching.post("/api/analyses/one", json={"model": "m0", "params": {name: value}})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(f"{name} takes a file, and the lab takes no path from a browser")
    assert refused.json()["field"] == name


def test_a_parameter_that_is_a_file_takes_a_result_and_one_that_is_a_model_its_id(reaching, tools):
    def headline(params) -> str:
        job = reaching.post("/api/analyses/one", json={"model": "m0", "params": params}).json()["job"]
        name = tools.ended(reaching, job)["result"]
        return name, reaching.get(f"/api/results/{name}").json()["record"]["headline"]

    first, _ = headline({})
    assert headline({"path": {"result": first}})[1] == "{"
    assert headline({"other": "m0"})[1] == "dark"
    refused = reaching.post("/api/analyses/one", json={"model": "m0", "params": {"other": "m1"}})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(
        "other must be a model for the same images and classes; it has values [0.0, "
    )
    for value in ("/etc/passwd", "m7", "runs/x"):
        assert reaching.post("/api/analyses/one", json={"model": "m0", "params": {"other": value}}).status_code == 404
    assert reaching.post("/api/analyses/one", json={"model": "m0", "params": {"other": 3}}).status_code == 400


def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_its_size(client, monkeypatch):
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    refused = client.post("/api/predict", content=b"x" * 1001)
    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "the request is larger than the 1,000 bytes that the lab takes.",
    )
    assert client.post("/api/predict", content=iter([b"x" * 600] * 2)).status_code == 413  # in pieces, without a size
    assert client.post("/api/predict", content=b"{}", headers={"content-length": "-1"}).status_code == 413
    assert client.get("/api/models").status_code == 200


def png(width: int, height: int) -> bytes:
    written = io.BytesIO()
    Image.new("1", (width, height)).save(written, "PNG")
    return written.getvalue()


def test_uploads_are_bounded_in_bytes_pixels_and_number(client, monkeypatch):
    def status(*files: bytes) -> int:
        return client.post("/api/images", files=[("file", ("a.png", each, "image/png")) for each in files]).status_code

    assert status(png(4, 4)) == 200
    assert status(png(5000, 5000)) == 413  # a file of some kilobytes
    assert status(png(20_000, 20_000)) == 400  # more than cnnlab unpacks of any file
    assert status(*[png(4, 4)] * 16) == 200
    assert status(*[png(4, 4)] * 17) == 413
    monkeypatch.setattr(images, "MOST_BYTES", 50)
    assert status(png(4, 4)) == 413
    assert client.get("/api/models").status_code == 200


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"%!PS\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", png(9, 9)[:-20]]
)
def test_what_is_no_image_is_refused(client, content):
    refused = client.post("/api/images", files={"file": ("a.png", content, "image/png")})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("a.png is ")


def test_images_of_an_analysis_are_bounded_together(client, tools, monkeypatch):
    monkeypatch.setattr(asking, "MOST_VALUES", 40)
    image = client.post("/api/images", json=tools.drawing()).json()["id"]
    taken = client.post("/api/analyses/one", json={"model": "m0", "images": [image] * 2})
    assert tools.ended(client, taken.json()["job"])["state"] == "done"
    assert client.post("/api/analyses/one", json={"model": "m0", "images": [image] * 3}).status_code == 413
    assert client.post("/api/analyses/one", json={"model": "m0", "images": [image] * 1001}).status_code == 400


def test_a_model_that_takes_any_size_is_not_asked_about_a_huge_one(mean, open_lab, tools):
    fake = FakeClassifier(lambda images: np.zeros((len(images), 2)), (None, None, 1), 2)
    with tools.client_of(open_lab(fake)) as client:
        files = [("file", ("large.png", png(1200, 1000), "image/png"))]
        refused = client.post("/api/images", files=files)
        assert (refused.status_code, "takes any" in refused.json()["error"]) == (413, True)
        assert client.post("/api/images", files=[("file", ("a.png", png(900, 90), "image/png"))]).status_code == 200


@pytest.mark.parametrize("strokes", [b"", b"\0" * (280 * 280), b"\xff" * (280 * 280)])
def test_strokes_of_nothing_or_of_all_are_no_trouble(client, strokes):
    drawn = {"model": "m0", "strokes": base64.b64encode(strokes).decode(), "mnist": True}
    assert client.post("/api/images", json=drawn).status_code == (200 if strokes else 400)


def test_an_address_that_others_reach_is_warned_of():
    assert warning_of("127.0.0.1") == warning_of("localhost") == warning_of("::1") == ""
    for host in ("0.0.0.0", "192.168.1.5", "::", "somewhere.example"):
        assert warning_of(host).startswith(f"the lab listens on {host}: whoever reaches this machine")
        assert not is_loopback(host)


def test_a_server_on_all_addresses_takes_numbers_and_no_names(lab, tools):
    from starlette.testclient import TestClient

    app = lab.app(tools.token, names_of("0.0.0.0", 8123, ["here"]), tools.cookie, any_address=True)
    client = TestClient(app, base_url=tools.url, headers={"authorization": f"Bearer {tools.token}"})
    said = {
        host: client.get("/api/models", headers={"host": host}).status_code
        for host in (
            "192.168.1.5:8123",
            "[fe80::1]:8123",
            "here:8123",
            "evil.example:8123",
            "192.168.1.5:80",
            "0.0.0.0.x:8123",
        )
    }
    assert list(said.values()) == [200, 200, 200, 403, 403, 403], said
