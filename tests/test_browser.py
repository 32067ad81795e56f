"""The real app in a real browser. Skipped, with the reason, where Chromium or Playwright is missing."""

import base64
import json
import re
from io import BytesIO
from urllib.parse import urlparse

import numpy as np
import pytest
from conftest import QUERIES, ROOT
from PIL import Image

from demo.ui.views.examples import EXAMPLES, FIRST

pytestmark = pytest.mark.browser
#: A backbone for which everything of both papers is ready.
PAPERS = "/?example=mask&backbone=dlib&detector=hog&stage2=emd"
PHOTO = QUERIES / "person-002" / "04.jpg"


def sentence(page, words: str):
    """Wait until the answer holds these words."""
    page.locator("#board .sentence", has_text=re.compile(words)).wait_for()
    return page.locator("#board .sentence").inner_text()


def upload(page, file) -> None:
    """Replace the photo by a file."""
    remove = page.locator("#photo button[aria-label='Clear']")
    if remove.count():
        remove.first.click()
    page.locator("#photo input[type=file]").first.set_input_files(file)


def test_first_visit_shows_an_answer_with_its_explanation(visit):
    page = visit()
    sentence(page, f"Nearest after re-ranking: {EXAMPLES[FIRST].truth}")
    page.locator("#inspector .faces.flow").wait_for()
    assert page.locator("#board .cell").count() == 10
    assert page.locator("#board .mark.right").count() >= 1
    panels = page.locator("#inspector .overview section h3").all_inner_texts()
    assert panels[0] == "Where they agree"  # what passed the faithfulness test comes first
    assert set(panels) == {"Where they agree", "Flow", "Weights", "Attention", "What was compared"}
    assert page.locator("#inspector .patch").count() == len(panels) * 98


def test_every_explanation_stands_side_by_side(visit):
    page = visit(PAPERS)
    page.locator("#inspector .faces.flow").wait_for()
    panels = page.locator("#inspector .overview section h3").all_inner_texts()
    assert panels == ["Where they agree", "Flow", "Weights", "Attention", "H2L correlation"]
    assert page.locator("#inspector .patch").count() == 5 * 128


def test_one_choice_drives_all_explanations(visit):
    page = visit(PAPERS)
    inspector = page.locator("#inspector")
    inspector.locator("section.attention .patch[data-side=candidate]").nth(18).click()
    told = inspector.locator(".told").inner_text()
    assert told.startswith("Match patch row 3, column 3 carries") and "looks, with the mean of the heads" in told
    assert "of the H2L correlation" in told
    for panel in ("flow", "weights", "attention", "correlation"):
        chosen = inspector.locator(f"section.{panel} .patch.chosen")
        assert chosen.count() == 1 and chosen.get_attribute("data-index") == "18"
    assert inspector.locator("section.attention .patch.partner[data-side=query]").count() >= 1
    inspector.get_by_role("button", name="Attention").click()  # a heading opens its own view
    inspector.get_by_role("radio", name="Relevance (extra)").check()
    assert inspector.locator(".hint", has_text="not in the papers").count() == 1
    assert "of the relevance" in inspector.locator(".told").inner_text()
    assert inspector.get_by_role("radiogroup", name="Layer").count() == 0  # the model has one layer


def test_upload_mask_rank_select_explain_download(visit, tmp_path):
    page = visit("/?example=plain")
    sentence(page, "Nearest")
    upload(page, PHOTO)
    sentence(page, "person-002")
    page.get_by_role("radio", name="Mask", exact=False).first.check()
    page.locator("#board figcaption", has_text=re.compile("mask", re.I)).wait_for()
    assert "occlude=mask" in page.url and "person" not in urlparse(page.url).query  # settings, never the photo

    third = page.locator("#board tbody tr").nth(2).locator(".cell").last
    name = third.locator(".name").inner_text().split(" ")[1]
    third.click()
    page.locator("#inspector h2", has_text=name).wait_for()
    assert third.get_attribute("aria-pressed") == "true"
    views = {"Lines": "svg.lines", "Weights": ".bar", "Numbers": "table.terms", "Flow": ".faces.flow"}
    for view, seen in views.items():
        page.locator("#inspector").get_by_role("tab", name=view).click()
        page.locator(f"#inspector {seen}").wait_for()

    for button, suffix in (("Numbers (JSON)", ".json"), ("Figure (PNG)", ".png")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=button).click()
        file = tmp_path / f"download{suffix}"
        waiting.value.save_as(file)
        if suffix == ".json":
            assert json.loads(file.read_text())["query"]["occlusion"] == "mask"
        else:
            assert Image.open(file).format == "PNG"


def test_an_upload_is_shown_to_its_sender(visits):
    page = visits.open("/?example=plain")
    sentence(page, "Nearest")
    upload(page, PHOTO)
    sentence(page, "person-002")
    preview = page.locator("#photo img").first
    page.wait_for_function("image => image.naturalWidth > 100", arg=preview.element_handle())
    address = preview.get_attribute("src")
    assert "/uploads/" in address
    other = visits.stranger("/about")
    assert other.request.get(address).status == 403 and page.request.get(address).status == 200


@pytest.mark.slow
def test_a_photo_of_the_camera_is_taken_as_it_is_and_shown_as_in_a_mirror(visit):
    """The camera sees a wall with a bright mark at the top left, which is no face."""
    def mark(picture: bytes) -> str:
        grey = np.asarray(Image.open(BytesIO(picture)).convert("L"), float)
        left, right = (half[:len(half) // 2].mean() for half in np.array_split(grey, 2, axis=1))
        assert abs(left - right) > 5
        return "left" if left > right else "right"

    page = visit("/?example=plain")
    page.context.grant_permissions(["camera"])
    sentence(page, "Nearest")
    page.locator("#photo button[aria-label='Remove Image']").first.click()
    page.locator("#photo").get_by_label("Capture from camera").click()
    page.locator("#photo").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#photo video')?.readyState >= 2")  # there is a frame to take
    page.wait_for_function("getComputedStyle(document.querySelector('#photo video')).transform.includes('-1')")
    assert mark(page.locator("#photo video").screenshot()) == "right"
    page.locator("#photo").get_by_label("capture photo").click()
    page.locator("#board .problem", has_text="No face was found").wait_for()
    photo = page.locator("#board .problem img").get_attribute("src")
    assert mark(base64.b64decode(photo.partition(",")[2])) == "left"


def test_patches_answer_to_the_keyboard(visit):
    page = visit()
    page.locator("#inspector").get_by_role("tab", name="Flow").click()
    first = page.locator("#inspector .patch[data-side=query]").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    told = page.locator("#inspector .told")
    assert "Query patch row 3, column 2" in told.inner_text()
    page.locator("#inspector").get_by_role("tab", name="Weights").click()
    page.locator("#inspector .bar").wait_for()
    assert "row 3, column 2" in told.inner_text()  # views share the chosen patch


def test_moving_alpha_reorders_the_board(visit):
    page = visit()
    page.locator("#inspector").get_by_role("tab", name="Numbers").click()
    page.locator("#inspector input[type=range]").fill("0")
    rows = page.locator("#board tbody tr")
    for row in range(5):
        cells = rows.nth(row).locator(".cell")
        assert cells.first.get_attribute("data-row") == cells.last.get_attribute("data-row")


def test_both_rerankings_stand_side_by_side(visit):
    page = visit(PAPERS.replace("=emd", "=both"))
    sentence(page, "Nearest")
    assert page.locator("#board th", has_text="Stage 2: H2L").count() == 1
    assert page.locator("#board .cell").count() == 15
    inspector = page.locator("#inspector")
    inspector.get_by_role("tab", name="Attention").click()
    inspector.locator(".patch[data-side=query]").nth(18).click()
    assert re.search("row 3, column 3 looks", inspector.locator(".told").inner_text())
    inspector.get_by_role("radio", name="head 2").check()
    assert "head 2" in inspector.locator(".told").inner_text()
    inspector.get_by_role("tab", name="Correlation").click()
    assert inspector.locator(".maps img").count() == 4 and inspector.locator(".maps .bar").count() == 2


def test_bad_photos_are_explained(visit, tmp_path):
    page = visit()
    sentence(page, "Nearest")
    problem = page.locator("#board .problem")

    wall = tmp_path / "wall.png"
    Image.fromarray(np.full((320, 320, 3), 128, np.uint8)).save(wall)
    upload(page, wall)
    problem.get_by_text("No face was found").wait_for()
    assert problem.locator("img").count() == 1

    fake = tmp_path / "fake.jpg"
    fake.write_text("This is a letter, not a photo.")
    upload(page, fake)
    problem.get_by_text(re.compile("not a readable")).wait_for()

    huge = tmp_path / "huge.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), dtype=np.uint8)).save(huge)
    assert huge.stat().st_size > 12e6
    upload(page, huge)
    problem.get_by_text(re.compile("MB")).wait_for()


def test_another_face_can_be_chosen(visit):
    page = visit("/?example=two-faces")
    sentence(page, "person-046")
    boxes = page.locator("#board .facebox")
    assert boxes.count() == 2
    boxes.nth(1).click()
    sentence(page, "person-070")


def test_a_stranger_is_called_one(visit):
    page = visit("/?example=stranger")
    assert sentence(page, "nearest").startswith("Probably nobody in this gallery (nearest")
    assert page.locator("#board .verdict summary").inner_text().startswith("Farther than")


def test_a_link_reopens_the_view(visit):
    page = visit("/?example=sunglasses&backbone=dlib&weighting=uniform&alpha=0.5&grid=4x4&stage2=emd")
    sentence(page, EXAMPLES["sunglasses"].truth)
    page.locator("#board figcaption", has_text="4 × 4 patches").wait_for()
    page.locator("#inspector").get_by_role("tab", name="Flow").click()
    assert page.locator("#inspector .patch").count() == 32
    page = visit("/?example=nobody&weighting=%3Cimg%20src=x%3E&k=banana")
    sentence(page, "Nearest")


def test_a_backbone_that_is_not_ready_says_how_to_get_it(visit):
    page = visit("/?backbone=facenet&grid=3x3")
    page.locator("#board .problem", has_text="weights get facenet").wait_for()
    page.locator("#examples button").nth(1).click()  # the page goes on working
    page.locator("#board .problem").wait_for()
    page = visit("/galleries")
    page.locator("#backbones", has_text="resnet18_110.pth").wait_for()


def test_names_are_text_never_markup(visit, engine, monkeypatch):
    shared = engine.identifier("synthetic-people", engine.settings.backbone).gallery
    evil = "<img src=x onerror=alert(1)>"
    renamed = [type(e)(e.path, evil, e.sha256) for e in shared.entries]
    monkeypatch.setattr(shared, "entries_of", lambda rows: [renamed[row] for row in rows])
    page = visit()
    page.locator("#board .sentence", has_text="onerror").wait_for()
    assert page.locator("#board img[src=x]").count() == 0


@pytest.mark.parametrize("path", ["/", "/compare", "/galleries", "/results", "/about"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_can_be_read_by_all(visit, path, theme):
    """Nothing serious for a screen reader, no heading skipped, no path of the server named, and on a phone no sideways
    scrolling."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(f"{path}?__theme={theme}")
    page.get_by_role("heading", level=1).first.wait_for()
    if path in ("/", "/compare"):
        page.locator("#inspector .overview").wait_for()
        page.locator("#settings button, #compare-settings button").first.click()
    if path == "/galleries":
        page.locator("#contact-sheet img").first.wait_for()
    if path == "/results":
        page.locator("#report table").first.wait_for()
    found = axe.Axe().run(page).response["violations"]
    serious = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in found
               if v["impact"] in ("serious", "critical")]
    assert serious == []
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map((one) => Number(one.tagName[1]))")
    steps = zip(levels, levels[1:], strict=False)
    assert levels[0] == 1 and all(after <= before + 1 for before, after in steps), levels
    text = page.locator("body").inner_text()
    assert "/root" not in text and str(ROOT) not in text and "/home/" not in text
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


def test_galleries_page_shows_what_is_loaded(visit):
    page = visit("/galleries")
    page.locator("#contact-sheet img").nth(20).wait_for()
    page.locator("#gallery-facts", has_text="288 photos of 96 people").wait_for()


def test_the_results_page_shows_the_report_and_measures_the_gallery(visit):
    page = visit("/results?section=weighting")
    page.locator("#report h2", has_text="Patch weighting and grid").wait_for()
    picture = page.locator("#report img").first
    assert picture.evaluate("image => image.naturalWidth") > 300 and "weighting" not in picture.get_attribute("src")
    page.locator("#measure").click()
    page.locator("#measured td", has_text="Stage 2").wait_for()
    assert "10 mask queries against 288 photos" in page.locator("#measured").inner_text()


def test_two_photos_are_compared(visit):
    page = visit("/compare?backbone=dlib")
    rows = page.locator("#verdicts tbody tr")
    rows.nth(2).wait_for()
    assert [rows.nth(i).get_attribute("data-method") for i in range(3)] == ["cosine", "emd", "h2l"]
    assert page.locator("#verdicts .said", has_text="same person").count() >= 1
    assert "%" not in page.locator("#verdicts table").inner_text()  # no percentages of certainty
    why = page.locator("#verdicts .hero .reason img")  # the pair and why stand first, as on the other page
    why.wait_for()
    assert why.bounding_box()["y"] < rows.first.bounding_box()["y"] < 800
    assert "nearer than a typical stranger" in page.locator("#verdicts .because").inner_text()
    rows.nth(2).get_by_role("button", name="See why").click()
    page.get_by_role("radiogroup", name="Map").wait_for()
    page.locator("#inspector .patch[data-side=candidate]").nth(9).click()
    assert page.locator("#inspector .told").inner_text().startswith("Second photo patch row 2, column 2 looks")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Numbers (JSON)").click()
    assert waiting.value.suggested_filename == "comparison.json"
    page.locator("#second-photo button[aria-label='Remove Image']").first.click()
    page.locator("#compare-go").click()
    page.locator("#verdicts .problem", has_text="Add two photos").wait_for()
    page.locator("#second-photo input[type=file]").first.set_input_files(PHOTO)
    page.locator("#verdicts .said", has_text="different people").first.wait_for()


def test_a_face_of_either_photo_can_be_chosen_and_a_link_reopens_the_settings(visit):
    page = visit("/compare?occlude=none&occlude_second=mask&style_second=ffp2")
    page.locator("#verdicts figcaption", has_text=re.compile("ffp2", re.I)).wait_for()
    assert "occlude_second=mask" in page.url and "occlude=none" in page.url
    page.locator("#second-photo button[aria-label='Remove Image']").first.click()
    page.locator("#second-photo input[type=file]").first.set_input_files(ROOT / "assets" / "examples" / "two-faces.jpg")
    boxes = page.locator("#verdicts .facebox")
    boxes.nth(2).wait_for()
    distance = page.locator("#verdicts tbody .number").first.inner_text()
    boxes.nth(2).click()
    page.get_by_role("button", name="Second photo: face 2 of 2, used").wait_for()
    assert page.locator("#verdicts tbody .number").first.inner_text() != distance
    assert "--face-second 2" in page.locator("#compare-command").inner_text()
    assert "two-faces" not in page.url


def test_the_example_files_are_all_synthetic():
    """Every photo that ships is listed in the metadata of the synthetic people."""
    listed = {tuple(line.split(",")[:2]) for line in
              (ROOT / "galleries" / "synthetic-people" / "metadata.csv").read_text().splitlines()[1:]}
    photos = [*ROOT.glob("assets/*/person-*/*.jpg"), *ROOT.glob("galleries/synthetic-people/person-*/*.jpg")]
    assert len(photos) == 481 and {(p.parent.name, p.name) for p in photos} == listed
