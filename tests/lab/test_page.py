"""The lab's page in Chromium: the pen and what follows it, forms, results side by side, keyboard, axe."""

from __future__ import annotations

import base64
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="cnnlab[lab] is not installed")

SEVEN = ((70, 70), (210, 70), (130, 220))
ONE = ((140, 50), (140, 230))
NPZ = "document.querySelector(\".found a[download='arrays.npz']\")"


@pytest.fixture(scope="module")
def address(browser, trained_run, save_model, tmp_path_factory, tools) -> Iterator[str]:
    """The URL of a lab with three models: a digit's, the same where all is a 3, and one of small images in colour."""
    from cnnlab.analysis.model_choice import ModelChoice
    from cnnlab.lab.app import Lab

    folder = tmp_path_factory.mktemp("lab")
    kept = shutil.copytree(trained_run.path, folder / "classic")
    changed = other(trained_run.path, folder / "other.keras")
    colourful = save_model(folder / "colourful.keras", seed=1, shape=(8, 8, 3))
    with tools.served(Lab.of([ModelChoice(model=path) for path in (kept, changed, colourful)])) as url:
        yield url


def other(run: Path, path: Path) -> Path:
    """A model that reads the same images otherwise: its last bias says 3."""
    import keras
    import numpy as np

    model = keras.models.load_model(run / "model.keras")
    *_, bias = model.weights
    bias.assign(bias + 100 * np.eye(10)[3])
    model.save(path)
    return path


@pytest.fixture
def open_lab(browser, address) -> Iterator[Callable[..., Any]]:
    """Open the lab in a browser that has not been there; what the page says to the console, fails."""
    contexts: list[Any] = []
    said: list[str] = []

    def show(before: str = "", **options: Any) -> Any:
        contexts.append(context := browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **options}))
        page = context.new_page()
        page.add_init_script(before)
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        return page

    yield show
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def page(visit, address):
    return visit(address)


def draw(page, points=SEVEN) -> None:
    page.locator("#draw canvas").scroll_into_view_if_needed()
    box = page.locator("#draw canvas").bounding_box()
    (x, y), *others = points
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=8)
    page.mouse.up()


def run(page, analysis: str) -> None:
    """Run an analysis, and wait for what it shows."""
    page.select_option("#analysis", analysis)
    page.locator("#question button.main").click()
    page.wait_for_selector(f".found h3:has-text('{analysis}')")


def until_read(page, *classes: str) -> None:
    page.wait_for_function(
        """wanted => [...document.querySelectorAll('.reads')]
          .map((each) => each.textContent.split(' at ')[0]).join() === wanted""",
        arg=",".join(classes),
    )


def test_bars_and_maps_follow_the_pen(page):
    draw(page, ONE)
    until_read(page, "1")
    assert page.locator(".map").count() == 2
    assert page.locator(".map").first.get_attribute("src").startswith("data:image/png;base64,")
    before = page.locator(".map").first.get_attribute("src")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_selector(".reads", state="detached")
    draw(page)
    page.wait_for_selector(".reads")
    assert page.locator(".map").first.get_attribute("src") != before
    assert page.locator(".probabilities li").count() == 10


def test_the_pen_is_answered_while_it_moves(page):
    """How soon is measured by ``python -m benchmarks lab``."""
    page.locator("#draw canvas").scroll_into_view_if_needed()
    box = page.locator("#draw canvas").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 60)
    page.mouse.down()
    for y in range(80, 220, 20):
        page.mouse.move(box["x"] + 140, box["y"] + y)
        page.wait_for_selector(".took:has-text('Answered in ')")
    until_read(page, "1")
    assert page.evaluate("performance.getEntriesByName('answer').length") >= 1
    page.mouse.up()


DRAW = """() => {
  const canvas = document.querySelector("#draw canvas");
  canvas.setPointerCapture = () => {};
  canvas.hasPointerCapture = () => true;
  const area = canvas.getBoundingClientRect();
  const tell = (kind, y) => canvas.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, button: 0, pointerId: 1, clientX: area.left + 140, clientY: area.top + y }));
  window.drawn = (async () => {
    for (let stroke = 0; stroke < 4; stroke += 1) {
      tell("pointerdown", 50);
      for (let y = 50; y <= 230; y += 10) {
        await new Promise((done) => { setTimeout(done, 16); });
        tell("pointermove", y);
      }
      tell("pointerup", 230);
    }
  })();
}"""


@pytest.mark.full
def test_ten_browsers_draw_at_once(open_lab):
    pages = [open_lab(viewport={"width": 900, "height": 900}) for _ in range(10)]
    for page in pages:
        page.evaluate(DRAW)  # it goes on while the next begins
    for page in pages:
        page.evaluate("() => window.drawn")
        page.wait_for_selector("#answers:not([aria-busy]) .reads")
        assert not page.locator("#trouble").is_visible()
    assert {page.locator(".reads").inner_text().partition(" ")[0] for page in pages} == {"1"}


def test_an_answer_does_not_wait_until_its_beginning_is_acknowledged():
    from cnnlab.lab.serving import Place, _listening

    with _listening(Place()) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_undo_and_the_switch_change_what_the_model_is_given(page):
    draw(page, ONE)
    page.wait_for_selector("#chosen img")
    shown = page.locator("#chosen img")
    first = shown.get_attribute("src")
    draw(page, ((40, 200), (240, 200)))
    changed = "before => document.querySelector('#chosen img')?.src !== before"
    page.wait_for_function(changed, arg=first)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("first => document.querySelector('#chosen img')?.src === first", arg=first)
    page.get_by_label("as MNIST was made").uncheck()
    page.wait_for_function(changed, arg=first)
    assert "scaled as a whole" in page.locator("#chosen").inner_text()


def test_for_a_model_of_colours_one_paints(page):
    import io

    import numpy as np
    from PIL import Image

    page.locator("#models input").nth(2).check()
    page.locator("#models input").nth(0).uncheck()
    assert not page.get_by_label("as MNIST was made").is_visible()
    page.locator("#pen-color").fill("#ff0000")
    draw(page, ((20, 157), (260, 157)))
    page.wait_for_selector("#chosen img")
    given = base64.b64decode(page.locator("#chosen img").get_attribute("src").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(given)))
    assert pixels.shape == (8, 8, 3)
    assert pixels[..., 0].max() > 100
    assert pixels[..., 1:].max() == 0
    page.wait_for_selector(".probabilities li:nth-child(4)")
    assert page.locator(".probabilities li").count() == 4


def test_one_draws_by_keyboard(page):
    page.locator("#draw canvas").focus()
    for key in ("ArrowUp",) * 8 + (" ",) + ("ArrowDown",) * 16 + (" ",):
        page.keyboard.press(key)
    until_read(page, "1")
    page.keyboard.press("Control+z")
    page.wait_for_selector(".reads", state="detached")


def test_an_answer_about_what_was_cleared_meanwhile_is_not_shown(page):
    page.wait_for_load_state("networkidle")  # the page has had the models' functions compiled
    held: list[Any] = []
    page.route("**/api/predict", lambda route: held.append(route))
    with page.expect_request("**/api/predict"):
        draw(page, ONE)
    page.get_by_role("button", name="Clear").click()
    with page.expect_response("**/api/predict") as answered:
        held[0].continue_()
    answered.value.finished()
    page.wait_for_timeout(200)
    assert page.locator(".reads").count() == 0


def test_a_value_out_of_bounds_gets_the_servers_sentence_at_its_field_and_nothing_runs(page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    draw(page)
    page.select_option("#analysis", "occlusion")
    page.get_by_label("Patch").fill("0")
    page.locator("#question button.main").click()
    page.wait_for_selector("#of-patch[aria-invalid]")
    assert not [url for url in asked if url.endswith("/occlusion")]
    described = page.get_by_label("Patch").get_attribute("aria-describedby").split()[-1]
    assert page.locator(f"#{described}").inner_text() == "patch must be an integer of at least 1; received 0."
    assert page.evaluate("document.activeElement.id") == "of-patch"
    page.get_by_label("Patch").fill("5")
    run(page, "occlusion")
    assert page.locator(".refused:visible").count() == 0
    assert page.locator(".found .title").first.inner_text().startswith("Occlusion, patch 5")


def test_a_wrong_value_is_told_while_one_types_and_what_nobody_touched_is_left(page):
    page.select_option("#analysis", "occlusion")
    page.get_by_label("Stride").fill("0")
    page.wait_for_selector("#of-stride[aria-invalid]")
    assert page.locator("#of-stride-refused").inner_text() == "stride must be an integer of at least 1; received 0."
    page.get_by_label("Stride").fill("2")
    page.wait_for_selector("#of-stride:not([aria-invalid])")
    page.get_by_label("Stride").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("e")
    page.wait_for_selector("#of-stride-refused:has-text('stride must be an integer.')")
    assert page.locator(".refused:visible").count() == 1
    assert page.evaluate("document.activeElement.id") == "of-stride"


def test_a_parameter_that_is_a_file_takes_one_that_is_handed_over_and_a_result(page, tmp_path):
    import numpy as np

    np.savez(tmp_path / "my noise.npz", noise=np.full((28, 28, 1), 0.1, np.float32))
    page.get_by_role("tab", name="Dataset").click()
    page.locator(".thumbnails button").first.click()
    page.wait_for_selector("#chosen img")
    page.select_option("#analysis", "noise-addition")
    page.get_by_label("or a file of yours").set_input_files(tmp_path / "my noise.npz")
    chosen = "() => document.querySelector('#of-apply').selectedOptions[0].textContent === 'my_noise.npz'"
    page.wait_for_function(chosen)
    run(page, "noise-addition")
    page.locator(".found summary", has_text="Repeat it").click()
    assert "--apply my_noise.npz" in page.locator(".found pre").first.inner_text()
    assert "uploaded here: say where yours lies" in page.locator(".found details .told").inner_text()
    assert page.locator("#of-apply").evaluate("select => select.selectedOptions[0].textContent") == "my_noise.npz"
    page.wait_for_selector("#of-apply option:has-text('noise-addition: ')", state="attached")
    page.locator("#of-apply").select_option(index=page.locator("#of-apply option").count() - 1)
    page.locator("#question button.main").click()
    page.wait_for_selector(".found details .told:has-text('keep that one, and name its folder')", state="attached")


def test_forms_have_the_classes_and_layers_of_the_model(page):
    page.select_option("#analysis", "saliency")
    assert page.get_by_label("Target").locator("option").all_inner_texts() == ["by default", *map(str, range(10))]
    layers = page.get_by_label("Layer").locator("option").all_inner_texts()
    assert any(words.startswith("conv1") for words in layers)
    assert not any("dense" in words.lower() for words in layers)


def test_an_analysis_of_no_image_says_so_before_it_runs(page):
    page.select_option("#analysis", "occlusion")
    page.locator("#question button.main").click()
    page.wait_for_selector(".refused:visible")
    assert "draw one" in page.locator(".refused:visible").inner_text()


def test_models_stand_side_by_side_and_share_the_pointer(page):
    page.locator("#models input").nth(1).check()
    draw(page, ONE)
    until_read(page, "1", "3")
    run(page, "saliency")
    assert page.locator(".found h3").all_inner_texts() == ["saliency, classic", "saliency, other.keras"]
    assert page.locator(".found .headline").count() == 2
    page.locator(".found .pixels").first.hover(position={"x": 5, "y": 5})
    pointed = [found.locator(".cross").count() for found in page.locator(".found").all()]
    assert all(pointed)


def test_what_one_model_cannot_do_hides_not_what_another_found(page):
    def refuse_the_second(route) -> None:
        if route.request.post_data_json["model"] == "m1":
            route.fulfill(json={"problems": [{"field": "", "error": "This one has no gradient."}]})
        else:
            route.continue_()

    page.route("**/api/analyses/saliency/check", refuse_the_second)
    page.locator("#models input").nth(1).check()
    draw(page)
    run(page, "saliency")
    assert page.locator(".found h3").all_inner_texts() == ["saliency, classic"]
    assert page.locator(".refused:visible").inner_text() == "This one has no gradient."


def test_a_value_that_is_no_number_is_refused_where_it_stands(page):
    draw(page)
    page.select_option("#analysis", "occlusion")
    page.get_by_label("Patch").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("e")
    page.locator("#question button.main").click()
    assert page.locator(".refused:visible").inner_text() == "patch must be an integer."


def test_images_of_a_dataset_are_asked_about_together_with_sliders_and_files(page):
    page.get_by_role("tab", name="Dataset").click()
    page.wait_for_selector(".thumbnails img")
    page.get_by_role("combobox", name="Class").select_option("4")
    page.wait_for_function("() => document.querySelector('.thumbnails img')?.alt.endsWith(', 4')")
    page.get_by_label("Choose several").check()
    for index in (0, 1):
        page.locator(".thumbnails button").nth(index).click()
    assert page.locator("#chosen h3").inner_text() == "2 images go in"
    run(page, "fgsm-untargeted")
    slider = page.locator(".found .slider input").first
    before = page.locator(".found .slider output").first.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".found .slider output").first.inner_text() != before
    page.locator(".found summary", has_text="Repeat it").click()
    assert "fgsm-untargeted" in page.locator(".found pre").first.inner_text()
    for name in ("arrays.npz", "result.json", "figure.png"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert Path(download.value.path()).stat().st_size > 100
    page.get_by_role("button", name="Keep").click()
    page.wait_for_selector(".found :text('Kept in')")
    assert page.locator("#results li").first.inner_text().startswith("fgsm-untargeted, classic")


def test_an_attack_has_a_slider_over_beta_and_its_pictures_share_the_pointer(page):
    draw(page)
    page.select_option("#analysis", "targeted")
    page.get_by_label("Target", exact=True).select_option(label="8")
    page.get_by_label("Steps", exact=True).fill("5")
    page.get_by_label("Beta", exact=True).fill("0.01, 0.1, 1")
    run(page, "targeted")
    slider = page.get_by_role("slider", name="beta")
    shown = page.locator("article.found .slider output").first
    assert shown.inner_text() == "0.01"
    slider.focus()
    page.keyboard.press("End")
    assert shown.inner_text() == "1"
    assert page.locator("article.found .frame:visible").count() == 1
    original = page.locator("article.found .pixels:visible").first
    original.hover(position={"x": 9, "y": 9})
    assert (
        page.locator("article.found .frame:visible .cross").count()
        == page.locator("article.found .frame:visible .pixels").count()
    )


def test_robustness_is_a_chart_over_epsilon(page):
    page.get_by_role("tab", name="Dataset").click()
    page.wait_for_selector(".thumbnails img")
    page.get_by_label("Number").fill("3")
    page.get_by_role("button", name="Choose the first so many").click()
    page.wait_for_selector("#chosen h3:has-text('3 images go in')")
    page.select_option("#analysis", "robustness")
    page.get_by_label("Epsilon", exact=True).fill("0.1, 0.2")
    page.get_by_label("Steps", exact=True).fill("2")
    run(page, "robustness")
    assert "epsilon" in page.locator("article.found .chart").first.inner_text()


def test_many_images_of_a_dataset_are_chosen_at_once(page):
    page.get_by_role("tab", name="Dataset").click()
    page.wait_for_selector(".thumbnails img")
    page.get_by_label("Number").fill("230")
    page.get_by_role("button", name="Choose the first so many").click()
    page.wait_for_selector("#chosen h3:has-text('230 images go in')")
    assert page.locator("#chosen li").last.inner_text() == "and 206 more"
    with page.expect_request("**/api/analyses/saliency") as request:
        run(page, "saliency")
    assert len(set(request.value.post_data_json["images"])) == 230


def test_files_are_read_and_named(page, tmp_path):
    from PIL import Image

    Image.new("L", (28, 28), 200).save(tmp_path / "grey.png")
    page.get_by_role("tab", name="Files").click()
    page.get_by_label("Image files").set_input_files(tmp_path / "grey.png")
    page.wait_for_selector("#chosen img")
    assert "grey.png" in page.locator("#chosen").inner_text()
    (tmp_path / "text.png").write_text("no image")
    Image.new("L", (28, 28), 100).save(tmp_path / "darker.png")
    page.get_by_label("Image files").set_input_files(tmp_path / "text.png")
    page.wait_for_selector("#trouble:has-text('text.png')")
    page.get_by_label("Image files").set_input_files([tmp_path / "text.png", tmp_path / "darker.png"])
    page.wait_for_selector("#chosen img[alt='darker.png']")
    page.wait_for_selector("#files .told:has-text('text.png')")


def test_an_answer_takes_away_what_was_complained_of_before_it_was_asked_for_and_nothing_later(page, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    page.wait_for_load_state("networkidle")  # the page has had the models' functions compiled
    held: list[Any] = []
    page.route("**/api/predict", lambda route: held.append(route), times=1)
    with page.expect_request("**/api/predict"):
        draw(page, ONE)
    page.get_by_role("tab", name="Files").click()
    page.get_by_label("Image files").set_input_files(tmp_path / "text.png")
    page.wait_for_selector("#trouble:has-text('text.png')")
    held[0].continue_()
    until_read(page, "1")
    assert "text.png" in page.locator("#trouble").inner_text()
    page.get_by_role("tab", name="Draw").click()
    draw(page, SEVEN)
    page.wait_for_selector("#trouble", state="hidden")


def test_a_file_may_be_dropped(page):
    page.get_by_role("tab", name="Files").click()
    pixel = base64.b64encode((Path(__file__).parents[2] / "examples" / "7.png").read_bytes()).decode()
    page.evaluate(
        """text => {
          const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector(".drop").dispatchEvent(drop);
        }""",
        pixel,
    )
    page.wait_for_selector("#chosen img[alt='dropped.png']")
    until_read(page, "7")


def test_a_photograph_goes_in_as_a_file_does(page):
    page.get_by_role("tab", name="Files").click()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("() => document.querySelector('video').videoWidth > 0")
    shoot = page.get_by_role("button", name="Take the photograph")
    shoot.wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Take the photograph"
    box = page.locator("video").bounding_box()
    assert abs(box["width"] / box["height"] - 1) < 0.05  # as the model's images are
    with page.expect_response("**/api/images?model=*") as answered:
        shoot.click()
    (image,) = answered.value.json()
    page.wait_for_selector("#chosen img[alt='photograph.png']")
    page.wait_for_selector(".reads")
    assert image["source"] == "photograph.png"
    page.get_by_role("button", name="Stop the camera").click()
    assert not page.locator("video").is_visible()
    page.get_by_role("button", name="Start the camera").click()
    shoot.wait_for()
    track = page.evaluate_handle("document.querySelector('video').srcObject.getTracks()[0]")
    page.get_by_role("tab", name="Draw").click()  # a camera that nobody looks at is not left on
    page.wait_for_function("track => track.readyState === 'ended'", arg=track)


def test_where_there_is_no_camera_or_none_may_be_used_a_sentence_says_so(page, open_lab):
    page.get_by_role("tab", name="Files").click()
    for name, said in (("NotAllowedError", "was not allowed"), ("NotFoundError", "There is no camera")):
        refuse = f"async () => {{ throw new DOMException('no', '{name}'); }}"
        page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refuse}; }}")
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector(f".camera :text('{said}')")
        assert page.get_by_role("button", name="Start the camera").is_visible()
    bare = open_lab(before="Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    bare.get_by_role("tab", name="Files").click()
    assert "only on this machine itself or over HTTPS" in bare.locator(".camera").inner_text()


def test_live_runs_again_after_each_stroke(page):
    page.select_option("#analysis", "saliency")
    page.get_by_label("Live").check()
    draw(page, ONE)
    page.wait_for_selector(".found .headline")
    first = page.locator("article.found").inner_html()
    draw(page, ((60, 60), (220, 60)))
    page.wait_for_function("before => document.querySelector('article.found').innerHTML !== before", arg=first)
    assert page.locator("article.found").count() == 1


def test_a_live_result_takes_the_place_of_the_one_before_it(page):
    def listed() -> list[str]:
        return page.locator("#results [data-id]").evaluate_all("all => all.map((each) => each.dataset.id)")

    def strike(*points: tuple[int, int]) -> str:
        """Draw, and return the id of the result that follows."""
        before = shown.get_attribute("href") if shown.count() else None
        draw(page, points)
        page.wait_for_function(f"before => ![null, before].includes({NPZ}?.getAttribute('href') ?? null)", arg=before)
        page.wait_for_selector(f"#results [data-id='{(found := shown.get_attribute('href').split('/')[3])}']")
        return found

    shown = page.locator(".found a[download='arrays.npz']")
    page.select_option("#analysis", "saliency")
    page.get_by_label("Live").check()
    first = strike(*ONE)
    second = strike((60, 60), (220, 60))
    assert first not in listed()
    page.locator(f"#results [data-id='{second}']").click()  # it is in the report: it stays
    third = strike((60, 200), (220, 200))
    assert listed()[:2] == [third, second]


def test_results_are_put_in_order_and_a_report_is_made_of_them(page, axe):
    draw(page)
    for analysis in ("saliency", "filters"):
        run(page, analysis)
        page.wait_for_selector(f"#results li:first-child :text('{analysis}')")
    for name in ("saliency", "filters"):
        page.get_by_role("button", name=f"Add to report: {name}, classic").first.click()
        assert page.get_by_role("button", name=f"In the report: {name}, classic").is_visible()
    items = page.locator("#report .listed li")
    assert [words.partition(",")[0] for words in items.all_inner_texts()] == ["saliency", "filters"]
    page.get_by_role("button", name="Move up filters, classic, number 2").click()
    assert [words.partition(",")[0] for words in items.all_inner_texts()] == ["filters", "saliency"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Move down filters")
    page.get_by_role("button", name="Make the report").click()
    page.wait_for_selector("#report .made a")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="open it").click()
    report, said = opened.value, []
    report.on("console", lambda message: said.append(message.text))
    report.wait_for_selector("h2")
    assert report.locator("section h2").all_inner_texts()[1:3] == ["1. filters of classic", "2. saliency of classic"]
    report.locator("#figure-3 .pixels").first.hover(position={"x": 3, "y": 3})
    assert report.locator(".cross").count() > 0  # its own script runs
    assert report.evaluate("origin") == "null"
    assert said == []
    with page.expect_download() as download:
        page.get_by_role("link", name="download it").click()
    assert download.value.suggested_filename.startswith("report-of-results")
    page.locator("#report summary").click()
    page.set_viewport_size({"width": 360, "height": 900})
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#report pre").inner_text().startswith("cnnlab report --result ")
    page.get_by_role("button", name="Remove filters, classic, number 1").click()
    page.get_by_role("button", name="Remove saliency, classic, number 1").click()
    assert not page.get_by_role("button", name="Make the report").is_visible()


def test_a_run_shows_how_far_it_is_and_can_be_cancelled(page):
    page.select_option("#analysis", "fooling")
    page.get_by_label("Steps", exact=True).fill("100000")
    page.locator("#question button.main").click()
    page.wait_for_function("() => / of /.test(document.querySelector('.running .told')?.textContent ?? '')")
    page.wait_for_selector(".running .preview img")  # what it has found so far
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".runs :text('Cancelled.')")
    assert page.locator(".running").count() == 0


def test_axe_finds_nothing_at_any_width_in_light_and_dark(page, axe, tools):
    draw(page)
    run(page, "saliency")
    found = tools.violations(page, axe)
    for tab in ("Dataset", "Files"):
        page.get_by_role("tab", name=tab).click()
        found += [f"{tab}: {words}" for words in axe(page)]
    assert found == []


def test_every_analysis_has_a_form_without_a_control_that_has_no_name(page, axe):
    names = page.locator("#analysis option").all_inner_texts()
    assert {"occlusion", "saliency", "fooling", "noise-addition"} <= set(names)
    for name in names:
        page.select_option("#analysis", name)
        unnamed = "[...document.querySelectorAll('#question :is(input, select)')].filter((each) => !each.labels.length)"
        assert page.evaluate(f"{unnamed}.length") == 0, name
