"""Faults that visitors met, each with its whole kind, in a real browser and below."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import threading
import time
from io import BytesIO

import numpy as np
import pytest
from conftest import BUNDLED, QUERIES, ROOT
from PIL import Image

from demo.errors import BadGallery, BadSetting
from demo.faces import DETECTORS, PERTURBATIONS
from demo.figures import board
from demo.gallery import list_photos
from demo.query import asked
from demo.settings import Settings
from demo.ui.choices import ANY_STYLE, identify_choices, rerankings, standard, usual_style, values_from_link
from demo.ui.engine import Engine
from demo.ui.pages.compare import CompareHandlers
from demo.ui.pages.downloads import IDENTIFICATION
from demo.ui.pages.galleries import GalleryHandlers
from demo.ui.pages.identify import IdentifyHandlers
from demo.ui.problems import for_visitors
from demo.ui.views.board import Result, details_text
from demo.ui.views.examples import EXAMPLES
from demo.ui.widgets import gallery_choices, style_choices

PHOTO = QUERIES / "person-002" / "04.jpg"
#: A backbone on which both methods of the papers are ready, whatever the app opens with.
BOTH = "?example=mask&backbone=dlib&detector=hog&stage2=emd"


@pytest.fixture
def page(visit):
    """The first page, with an answer, its transport and its explanations."""
    opened = visit(f"/{BOTH}")
    opened.locator("#board .sentence").wait_for()
    opened.locator("#inspector .faces.flow").wait_for()
    return opened


def open_settings(page):
    """Unfold the method's settings; they hear keys once they have settled."""
    page.locator("#settings button").first.click()
    page.locator("#seed input").wait_for()
    page.wait_for_timeout(700)


def hovered(page, number: int):
    page.locator("#inspector section.flow .patch[data-side=query]").nth(number).hover()


@pytest.mark.browser
@pytest.mark.slow
def test_nothing_moves_under_the_mouse(page):
    """The readout has one height, and only what is chosen is read out."""
    frame = page.locator("#inspector section.flow .frame").first
    frame.scroll_into_view_if_needed()
    before = frame.bounding_box()
    for number in (9, 18, 27, 36, 45, 54):
        hovered(page, number)
        assert frame.bounding_box() == before
    told = page.locator("#inspector .told")
    assert told.inner_text().startswith("Query patch row 7") and told.get_attribute("aria-live") == "off"
    page.locator("#inspector section.flow .patch[data-side=query]").nth(54).click()
    assert told.get_attribute("aria-live") == "polite"


@pytest.mark.browser
@pytest.mark.slow
def test_a_chosen_patch_is_let_go(page):
    patch = page.locator("#inspector section.flow .patch[data-side=query]").nth(20)
    chosen = page.locator("#inspector .patch.chosen")
    patch.click()
    hovered(page, 40)
    assert chosen.first.get_attribute("data-index") == "20"  # pinned
    patch.click()
    assert chosen.count() == 0
    hovered(page, 40)
    assert chosen.first.get_attribute("data-index") == "40"
    patch.click()
    page.keyboard.press("Escape")
    assert chosen.count() == 0 and page.locator("#inspector .told").inner_text().startswith("Point at a patch")
    patch.click()
    page.locator("#board tbody tr").nth(3).locator(".cell").last.click()
    page.wait_for_function("!document.querySelector('#inspector .patch.chosen')")


@pytest.mark.browser
@pytest.mark.slow
def test_the_readout_stays_in_sight(page):
    told = page.locator("#inspector .told")
    page.set_viewport_size({"width": 1280, "height": 600})
    page.locator("#inspector section.flow .patch").first.click()
    page.evaluate("scrollBy(0, document.querySelector('#inspector .told').getBoundingClientRect().top + 200)")
    page.wait_for_timeout(100)
    assert -1 <= told.bounding_box()["y"] <= 2


@pytest.mark.browser
@pytest.mark.slow
def test_opening_a_candidate_is_shown_at_once_and_in_view(page):
    page.set_viewport_size({"width": 1280, "height": 300})
    page.locator("#board tbody tr").nth(4).scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 200)")
    assert page.locator("#board .hero").bounding_box()["y"] + page.locator("#board .hero").bounding_box()["height"] < 0
    seen = page.evaluate("""() => new Promise((done) => {
        const cell = [...document.querySelectorAll('#board tbody tr')][2].querySelector('td:last-child .cell');
        cell.click();
        const heading = document.querySelector('#inspector h2');
        done([heading.textContent, document.querySelector('#inspector .inspector-root').getAttribute('aria-busy')]);
    })""")
    assert re.match(r"Opening person-\d+ …", seen[0]) and seen[1] == "true"
    page.locator("#inspector .inspector-root:not([aria-busy])").wait_for()
    page.wait_for_function("document.querySelector('#board .hero').getBoundingClientRect().bottom > 0")


@pytest.mark.browser
@pytest.mark.slow
def test_what_did_not_change_is_not_run_again(page):
    """Opening a menu and leaving it keeps the chosen candidate; so does Enter in a field as it is."""
    third = page.locator("#board tbody tr").nth(2).locator(".cell").last
    third.click()
    page.locator("#inspector .inspector-root:not([aria-busy])").wait_for()
    title = page.locator("#inspector h2").inner_text()
    open_settings(page)
    page.locator("#weighting input").click()
    page.locator("#inspector h2").click()
    page.locator("#seed input").press("Enter")
    page.wait_for_timeout(1500)
    assert third.get_attribute("aria-pressed") == "true" and page.locator("#inspector h2").inner_text() == title


@pytest.mark.browser
@pytest.mark.slow
def test_settings_are_applied_from_the_keyboard(page):
    open_settings(page)
    for field, keys, words in (
            ("#share input[type=range]", ["ArrowLeft"], "share=0.95"),
            ("#k input", ["Control+a", "4", "0", "Tab"], "k=40"),
            ("#alpha input", ["Control+a", "0", ".", "2", "Enter"], "alpha=0.2"),
            ("#seed input", ["Control+a", "9", "Tab"], "seed=9")):
        control = page.locator(field).first
        control.focus()
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_function("words => location.search.includes(words)", arg=words)


@pytest.mark.browser
@pytest.mark.slow
def test_wrong_and_emptied_fields_are_told_in_a_sentence(page):
    open_settings(page)
    seed = page.locator("#seed input")
    seed.fill("-3")
    seed.press("Enter")
    page.locator("#board .problem", has_text="seed must be at least 0; got -3.").wait_for()
    seed.fill("")
    seed.press("Enter")
    page.locator("#board .sentence").wait_for()
    assert "None" not in page.url and "seed=&" not in page.url + "&"


@pytest.mark.browser
@pytest.mark.slow
def test_another_alpha_is_told_and_kept(page):
    inspector = page.locator("#inspector")
    inspector.get_by_role("tab", name="Numbers").click()
    inspector.locator("input[type=range]").fill("0")
    nearest = page.locator("#board tbody tr").first.locator(".cell").last.locator(".name").inner_text().split(" ")[1]
    told = page.locator("#board .sentence")
    assert told.inner_text().startswith(f"With α = 0.00 the nearest is {nearest} at ")
    assert page.locator("#board .verdict").is_hidden()  # it was measured for another α
    inspector.get_by_role("tab", name="Flow").click()
    inspector.get_by_role("tab", name="Numbers").click()
    assert inspector.locator("input[type=range]").input_value() == "0"  # as the board
    inspector.locator("input[type=range]").fill("0.7")
    assert told.inner_text().startswith(("Nearest", "Uncertain", "Probably"))


@pytest.mark.browser
@pytest.mark.slow
def test_an_answer_that_was_stopped_is_marked(visit, engine, monkeypatch):
    page = visit(f"/{BOTH}")
    page.locator("#board .sentence").wait_for()
    page.locator("#inspector .faces.flow").wait_for()
    go_on = threading.Event()
    usual = IdentifyHandlers.compute
    monkeypatch.setattr(IdentifyHandlers, "compute", lambda *given: (go_on.wait(10), usual(*given))[1])
    page.locator("#occlude label").nth(2).click()
    page.locator("#board .pending").wait_for()
    page.locator("#stop").click()
    page.locator("#board .stale", has_text="Stopped").wait_for()
    go_on.set()
    page.locator("#go").click()
    page.locator("#board .stale").wait_for(state="detached")


@pytest.mark.browser
@pytest.mark.slow
def test_faces_of_a_group_are_shown_large(visit):
    page = visit("/?example=two-faces")
    chips = page.locator("#board .chip")
    chips.nth(1).wait_for()
    assert chips.count() == 2 and min(chips.nth(1).bounding_box()[side] for side in ("width", "height")) >= 44
    assert page.locator("#board .facebox span").count() == 0  # nothing lies over a face
    nearest = page.locator("#board .chip-of small")
    nearest.nth(1).wait_for()
    told = nearest.nth(1).inner_text().split()[-1]
    chips.nth(1).click()
    page.locator("#board .chip[aria-pressed=true] span", has_text="2").wait_for()
    assert told in page.locator("#board .sentence").inner_text()  # what was told of the face is what is found of it


@pytest.mark.browser
@pytest.mark.slow
def test_a_photo_of_ones_own_is_not_masked_as_the_example_was(visit):
    page = visit("/?example=mask")
    page.locator("#board .sentence").wait_for()
    page.locator("#photo button[aria-label='Remove Image']").first.click()
    page.locator("#photo input[type=file]").first.set_input_files(PHOTO)
    page.locator("#board .sentence", has_text="person-002").wait_for()
    assert page.locator("#board .query figure").count() == 1  # as given: nothing was drawn
    assert "occlude" not in page.url and page.locator("#occlude input").first.is_checked()


class _Later:
    query_params = {"gallery": "later"}


def test_a_gallery_added_later_is_in_the_menus_and_in_links(own):
    """Both knew those of the start only."""
    page = IdentifyHandlers(own)
    shutil.copytree(own.folder("few"), own.settings.galleries / "later")
    menu = page.open_link(_Later)[6 + list(page.choices).index("gallery")]
    assert menu.value == "later" and [word for _, word in menu.choices] == list(gallery_choices(own))


def test_what_a_visitor_chose_stays_with_a_photo_of_their_own(engine):
    page = IdentifyHandlers(engine)
    assert page.own_photo("mask", "mask")[3] == "none"
    for example, occlude in (("mask", "sunglasses"), ("plain", "mask"), ("", "mask")):
        assert not isinstance(page.own_photo(example, occlude)[3], str)


@pytest.fixture(scope="module")
def both(identifier):
    found = identifier.identify(PHOTO, occlusion="mask", stage2="emd", truth="person-002")
    beside = identifier.rank(found.query, asked(stage2="h2l")[1], truth="person-002")
    return Result(found, identifier, beside=beside)


def test_both_rankings_are_in_everything_that_can_be_taken_home(both):
    told = json.loads(IDENTIFICATION["numbers"](both))
    beside = told["beside"]["h2l"]
    assert [one["path"] for one in beside["stage2"]] == [match.path for match in both.beside.stage2]
    assert beside["settings"]["stage2"] == "h2l" and told["settings"]["stage2"] == "emd"
    arrays = np.load(BytesIO(IDENTIFICATION["arrays"](both)))
    by_path = {match.path: match.patch for match in both.beside.stage2 if match.patch is not None}
    first = [match.path for match in both.found.stage1[:100]]
    np.testing.assert_allclose(arrays["h2l"], [by_path[path] for path in first], atol=1e-6)
    alone = Image.open(BytesIO(IDENTIFICATION["figure"](Result(both.found, both.identifier))))
    assert Image.open(BytesIO(IDENTIFICATION["figure"](both))).width > alone.width + 100
    drawn = board(both.found, both.identifier, both.crop, 2, [both.beside])
    assert [column.note[:3] for column in drawn.columns if column.title == "Stage 2"] == ["EMD", "H2L"]
    assert "Time of H2L beside it" in details_text(both) and "h2l" in details_text(both)


def test_the_command_of_both_gives_both(engine):
    page = IdentifyHandlers(engine)
    values = standard(page.choices) | {"backbone": "dlib", "stage2": "both", "detector": "hog"}
    command = page.run(str(PHOTO), "", 0, None, *values.values(), progress=lambda *_, **__: None)[4]
    methods = [words[words.index("--stage2") + 1] for words in map(shlex.split, command.splitlines())]
    assert methods == ["emd", "h2l"]


def test_the_about_page_says_what_was_trained():
    text = " ".join((ROOT / "assets" / "ui" / "about.md").read_text().split())
    assert "No network is trained anew for it" not in text and "transformer that was trained" in text


def test_a_photo_of_ones_own_is_compared_as_it_is(engine):
    """It forgets the alteration that the page started with; of the other photo, and what was chosen since, it keeps."""
    page = CompareHandlers(engine)
    drawn = page.start["occlude"]
    assert drawn == "mask"
    faces, given, alter, _ = page.own_photo(0, (2, 1), (True, True), drawn)
    assert (faces, given, alter) == ((0, 1), (False, True), "none")
    assert page.own_photo(0, (0, 1), given, drawn)[2]["__type__"] == "update", "chosen after that"
    assert page.own_photo(0, (0, 1), (True, True), "sunglasses")[2]["__type__"] == "update"
    assert page.own_photo(1, (0, 1), (True, True), drawn)[2]["__type__"] == "update", "of the second nothing was drawn"


@pytest.mark.parametrize("handlers", [IdentifyHandlers, CompareHandlers])
def test_the_same_form_is_not_computed_twice(engine, handlers, monkeypatch):
    page = handlers(engine)
    values = standard(page.choices)
    photos = (str(PHOTO), "", 0) if handlers is IdentifyHandlers else (str(PHOTO), str(PHOTO), (0, 0))
    answered = page.run(*photos, None, *values.values(), progress=lambda *_, **__: None)
    shown = next(one for one in answered if getattr(one, "asked", None))
    counted = []
    monkeypatch.setattr(page, "compute", lambda *given: counted.append(given))
    again = page.run(*photos, shown, *values.values(), progress=lambda *_, **__: None)
    assert not counted and all(isinstance(one, dict) and one["__type__"] == "update" for one in again)
    page.run(*photos, shown, *(values | {"seed": 5}).values(), progress=lambda *_, **__: None)
    assert len(counted) == 1


def test_what_cannot_be_used_is_not_offered(tmp_path, monkeypatch):
    own = Engine(Settings(weights=tmp_path, cache=tmp_path))
    offered = identify_choices(own)
    monkeypatch.setattr("demo.weights.locate._found", lambda file, folder: None)
    assert "mtcnn" not in offered["detector"].field.choices and "hog" in offered["detector"].field.choices
    assert not DETECTORS["mtcnn"].ready(tmp_path)
    with pytest.raises(BadSetting):
        offered["detector"].field.read("mtcnn")
    for info in own.backbones():
        assert set(rerankings(info))


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_the_first_click_on_an_alteration_keeps_the_face(identifier, kind):
    """A style drawn by chance could be the strongest."""
    style = style_choices(kind).value
    assert style == usual_style(kind) != ANY_STYLE
    assert identifier.identify(EXAMPLES["plain"].photo, occlusion=kind, style=style, stage2="none").ranking
    assert style_choices("mask").value == ANY_STYLE


def test_a_link_to_an_emptied_field_starts_as_usual(engine):
    choices = identify_choices(engine)
    start = standard(choices)
    assert values_from_link(choices, {"seed": "", "k": "None"}, start) == start


@pytest.fixture
def own(tmp_path) -> Engine:
    root = tmp_path / "galleries"
    for person in ("person-001", "person-002", "person-003"):
        shutil.copytree(BUNDLED / person, root / "few" / person)
    return Engine(Settings(galleries=root, cache=tmp_path / "cache", gallery="few", device="cpu"))


class _Request:
    session_hash = "visitor"


class _Progress:
    """Presses Stop once strangers are measured."""

    def __init__(self, page):
        self.page, self.measuring = page, 0

    def __call__(self, *_, **__):
        return None

    def tqdm(self, jobs, **_):
        for job in jobs:
            self.measuring += 1
            self.page.stop(_Request)
            yield job


def test_stop_stops_the_measuring_of_strangers_too(own):
    page = GalleryHandlers(own)
    progress = _Progress(page)
    with pytest.raises(Exception, match="The photos are indexed; how near strangers come"):
        page.build("few", own.settings.backbone, _Request, progress)
    assert progress.measuring == 1 and own.state("few").indexed[own.settings.backbone] == 9


def test_indexing_makes_way_for_answers(own):
    """Between two photos it waits while an answer is computed, and not after it."""
    done = []

    def index() -> None:
        own.give_way()
        done.append(time.monotonic())

    with own.answering():
        thread = threading.Thread(target=index)
        thread.start()
        time.sleep(0.2)
        assert not done
        end = time.monotonic()
    thread.join(5)
    assert done and done[0] >= end
    own.give_way()  # nobody waits: at once


def test_visitors_read_no_paths_of_the_server(tmp_path):
    """Whatever names a folder of the host: a backbone whose weights are missing, a gallery without a usable photo."""
    own = Settings(weights=tmp_path / "w", cache=tmp_path / "c", galleries=tmp_path / "g")
    for info in Engine(own).backbones():
        assert str(tmp_path) not in for_visitors(info.why_not, own)
    with pytest.raises(BadGallery) as refused:
        list_photos(own.galleries / "people")
    assert for_visitors(refused.value, own) == "people is not a folder."
    assert for_visitors(f"put it into {own.weights}.", own) == "put it into the host's folder of weights."


def test_a_photo_that_cannot_be_shown_is_named(own):
    (own.folder("few") / "person-001" / "broken.jpg").write_bytes(b"no picture")
    shown = GalleryHandlers(own).sheet("few", 1)
    assert shown.count("<img ") == 9 and "broken.jpg cannot be shown" in shown and "<button" not in shown


@pytest.mark.browser
@pytest.mark.slow
def test_the_note_on_brightness_follows_the_brightness(page):
    inspector = page.locator("#inspector")
    assert "brighter" not in inspector.locator("section.flow .hint").inner_text()
    inspector.get_by_role("tab", name="Flow").click()
    inspector.get_by_label("Brightness").locator("input").nth(2).check()
    assert "The brighter" in inspector.locator(".hint").last.inner_text()
    inspector.get_by_role("tab", name="Side by side").click()
    assert "The brighter a patch" in inspector.locator("section.flow .hint").inner_text()


#: Colours → the ratio that WCAG 2.1 defines.
_CONTRAST = """(node) => {
  const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  let back = node;
  while (back && numbers(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
  const colours = [getComputedStyle(node).color, getComputedStyle(back).backgroundColor];
  const pair = colours.map((one) => light(numbers(one))).sort((one, other) => one - other);
  return (pair[1] + 0.05) / (pair[0] + 0.05);
}"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.slow
def test_code_and_delete_can_be_read(visit, theme):
    page = visit(f"/{BOTH}&__theme={theme}")
    page.locator("#board .sentence").wait_for()
    page.get_by_text("Timings, versions and the command line").click()
    line = page.locator(".cm-line").first
    line.wait_for()
    for span in [line, *line.locator("span").all()]:
        assert span.evaluate(_CONTRAST) >= 4.5
    page = visit(f"/galleries?__theme={theme}")
    page.get_by_text("Delete the shown gallery").click()
    assert page.locator("#delete").evaluate(_CONTRAST) >= 4.5


@pytest.mark.browser
@pytest.mark.slow
def test_what_stands_below_each_other_begins_at_one_line(page):
    """12 pixels off before."""
    for parts in ((".app-header h1", "#photo", ".examples", "#own", "#go"),
                  ("#board .query", "#board .sentence", "#board .cell", "#inspector h2", "#downloads button")):
        lefts = [page.locator(part).first.bounding_box()["x"] for part in parts]
        assert max(lefts) - min(lefts) <= 4, dict(zip(parts, lefts, strict=True))


@pytest.mark.browser
@pytest.mark.slow
def test_the_text_of_a_menu_ends_before_its_arrow_and_focus_is_seen(page):
    inside = page.locator("#style input").evaluate("""(input) => {
        const box = input.closest('.wrap') ?? input.parentElement, arrow = box.querySelector('svg');
        return input.getBoundingClientRect().right - parseFloat(getComputedStyle(input).paddingRight)
            - (arrow ? arrow.getBoundingClientRect().left : 1e9);
    }""")
    assert inside <= 0
    radio = page.locator("#occlude input").nth(1)
    radio.focus()
    page.keyboard.press("ArrowDown")
    outline = "(one) => getComputedStyle(one.closest('label')).outlineStyle"
    assert page.locator("#occlude input:focus").evaluate(outline) == "solid"
