"""The first screen, what can be tried on it, the tour, and the page on a phone, in a real browser."""

from __future__ import annotations

import re
import threading

import pytest
from conftest import QUERIES
from PIL import Image

from demo.ui.pages.identify import IdentifyHandlers

pytestmark = pytest.mark.browser
#: A backbone on which both methods of the papers are ready.
PAPERS = "/?example=mask&backbone=dlib&detector=hog&stage2=emd"


def opened(visit, path="/", **layout):
    page = visit(path, **layout)
    page.set_default_timeout(60_000)
    page.locator("#inspector .panel").wait_for()
    page.locator("#board .looks .reason img").wait_for()
    return page


def tried(page, words: str) -> str:
    page.locator("#board .tried", has_text=re.compile(words)).wait_for()
    return page.locator("#board .tried").inner_text()


def test_the_first_screen_holds_query_match_why_and_the_board(visit):
    page = opened(visit, size=(1280, 800))
    for part in (".sentence", ".because", ".first img", ".second img", ".reason img", ".bar-of-tools"):
        box = page.locator(f"#board {part}").first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800, part
    assert page.locator("#board .cell").nth(7).bounding_box()["y"] < 800  # four rows at least
    assert page.locator("#board .ribbon").count() >= 5
    form, go = page.locator("#form"), page.locator("#go")
    assert 0 < go.bounding_box()["y"] < 760, "what computes is at hand from the beginning"
    page.evaluate("scrollTo(0, 600)")
    assert -1 <= form.bounding_box()["y"] <= 20 and 0 < go.bounding_box()["y"] < 760  # in sight all the way


def test_ribbons_join_where_a_photo_stands_in_both_rankings(visit):
    page = opened(visit)
    found = page.evaluate("""() => {
        const rows = [...document.querySelectorAll('#board tbody tr')], place = (side) => rows.map((row) => {
            const cells = row.querySelectorAll('.cell');
            return cells[side].dataset.row;
        });
        const [before, after] = [place(0), place(1)];
        return [...document.querySelectorAll('#board .ribbon')].map((one) => [
            one.dataset.row, one.classList.contains('stays'),
            before.indexOf(one.dataset.row), after.indexOf(one.dataset.row),
            ...one.getAttribute('d').match(/-?[\\d.]+/g).map(Number)]);
    }""")
    for row, stays, before, after, *curve in found:
        assert stays == (before >= 0 and after >= 0), row
        if before >= 0:
            assert curve[1] == 100 * before + 50
        if after >= 0:
            assert curve[-1] == 100 * after + 50


def test_patches_are_covered_by_hand_and_everything_moves(visit):
    page = opened(visit)
    before = page.locator("#board .sentence").inner_text()
    query, map_ = (page.locator(f"#board .large.{name} img").first for name in ("first", "reason"))
    shown, drawn, place = query.get_attribute("src"), map_.get_attribute("src"), query.bounding_box()
    page.locator("[data-tool=cover]").click()
    brush = page.locator("#board .brush button[data-side=query]")
    start, end = (brush.nth(number).bounding_box() for number in (15, 19))
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 5, end["y"] + 5, steps=20)
    page.mouse.up()
    page.locator("#board .sentence", has_text="With this change the nearest is").wait_for()
    assert page.locator("#board .brush button[aria-pressed=true]").count() == 5
    assert query.bounding_box()["y"] == pytest.approx(place["y"], abs=0.5)  # nothing moves under the hand
    page.wait_for_function("src => document.querySelector('#board .large.first img').src !== src", arg=shown)
    page.wait_for_function("src => document.querySelector('#board .reason img').src !== src", arg=drawn)  # at once
    page.locator("#board .reason:not(.quick) img").wait_for()  # and what takes longer, when the hand rests
    now = tried(page, r"distance \d\.\d+ → \d\.\d+, .* of 100")
    assert len(set(re.findall(r"0\.\d+", now))) == 2
    page.locator("[data-tool=undo]").click()
    assert page.locator("#board .sentence").inner_text() == before and query.get_attribute("src") == shown


def test_the_candidate_is_changed_from_the_keyboard(visit):
    page = opened(visit)
    page.locator("[data-tool=blur]").click()
    first = page.locator("#board .brush button[data-side=candidate]").first
    first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    tried(page, "→")
    pressed = page.locator("#board .brush button[aria-pressed=true]")
    assert pressed.get_attribute("data-index") == "15" and pressed.get_attribute("data-side") == "candidate"
    page.keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('#board .brush button[aria-pressed=true]')")


def test_patches_are_forced_together(visit):
    page = opened(visit, PAPERS)
    page.locator("[data-tool=force]").click()
    page.locator("#board .brush button[data-side=query]").nth(18).click()
    page.locator("#board .brush button[data-side=candidate]").nth(60).click()
    numbers = [float(one) for one in re.findall(r"0\.\d+", tried(page, "→"))]
    assert numbers[1] > numbers[0]
    page.locator("#board .brush button[data-side=query]").nth(18).click()  # lets it go
    page.wait_for_function("!document.querySelector('#board .brush button[aria-pressed=true]')")


def test_a_mask_is_dragged(visit):
    page = opened(visit)
    page.locator("[data-tool=mask]").click()
    cloth = page.locator("#board .cloth")
    cloth.wait_for()
    box = cloth.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 150 + 0.4 * box["height"], steps=8)
    page.mouse.up()
    page.wait_for_function("/→ 0\\.[012]/.test(document.querySelector('#board .tried').textContent)")
    cloth.focus()
    page.keyboard.press("ArrowUp")
    assert "37 % down" in cloth.get_attribute("aria-valuetext")


def test_deletion_is_played_to_the_end(visit):
    page = opened(visit)
    page.locator("[data-tool=play]").click()
    page.locator("#board .played svg.curves").wait_for()
    assert tried(page, "100 % hidden").count("0.") == 2  # motion is reduced: at the end at once
    slider = page.locator("#board .played input")
    slider.fill("3")
    tried(page, "31 % hidden|30 % hidden|29 % hidden")
    points = page.locator("#board .curves .named").get_attribute("points").split()
    assert len(points) == 4


def test_the_tour_has_five_steps_with_the_numbers_of_the_match(visit):
    page = opened(visit, PAPERS)
    number = page.locator("#board td:last-child .cell .number").first.inner_text()
    page.locator("[data-tool=tour]").click()
    tour = page.locator("dialog.tour")
    tour.wait_for()
    titles, told = [], ""
    for _ in range(5):
        titles.append(tour.locator("h3").inner_text())
        told += tour.inner_text()
        assert tour.locator("figure img").count() >= 2
        last = tour.locator(".next").inner_text() == "Done"
        tour.locator(".next").click()
    assert titles == [f"{at} of 5: {word}" for at, word in enumerate(
        ("Embed", "Patches", "Weigh", "Move", "Re-rank"), start=1)]
    assert last and tour.count() == 0 and number in told
    assert "H2L" in told and "For this pair it says 0." in told and "None comes with" not in told
    assert page.evaluate("document.activeElement.dataset.tool") == "tour"


def test_the_tour_closes_with_escape(visit):
    page = opened(visit)
    page.locator("[data-tool=tour]").click()
    page.locator("dialog.tour").wait_for()
    page.keyboard.press("ArrowRight")
    assert page.locator("dialog.tour h3").inner_text() == "2 of 5: Patches"
    page.keyboard.press("Escape")
    page.locator("dialog.tour").wait_for(state="detached")


def test_a_link_opens_candidate_tab_and_patch(visit):
    page = opened(visit)
    page.locator("#board tbody tr").nth(1).locator(".cell").first.click()
    page.locator("#inspector .inspector-root:not([aria-busy])").wait_for()
    page.locator("#inspector").get_by_role("tab", name="Flow").click()
    page.locator("#inspector .patch[data-side=candidate]").nth(9).click()
    page.wait_for_function("location.search.includes('patch=candidate-9')")
    assert "candidate=2" in page.url and "tab=flow" in page.url
    title = page.locator("#inspector h2").inner_text()
    again = visit("/" + page.url.split("/", 3)[3])
    again.locator("#inspector .patch.chosen[data-side=candidate]").first.wait_for(timeout=60_000)
    assert again.locator("#inspector h2").inner_text() == title
    assert again.locator("#inspector [role=tab][aria-selected=true]").inner_text() == "Flow"


def test_a_link_keeps_the_face(visit):
    page = visit("/?example=two-faces&face=2")
    page.locator("#board .sentence", has_text="person-070").wait_for()
    assert "face=2" in page.url


def test_a_phone_shows_the_answer_first_and_the_form_in_a_drawer(visit):
    page = opened(visit, size=(390, 844))
    assert page.locator("#board .sentence").bounding_box()["y"] < 300
    opener, form = page.locator("#drawer button"), page.locator("#form")
    assert not page.locator("#go").is_visible() and opener.get_attribute("aria-expanded") == "false"
    opener.click()
    page.locator("#go").wait_for()
    assert opener.get_attribute("aria-expanded") == "true" and form.bounding_box()["height"] <= 844
    page.keyboard.press("Escape")
    page.locator("#go").wait_for(state="hidden")
    opener.click()
    page.locator("#examples button").nth(1).click()  # asks for an answer: it is to be seen
    page.locator("#go").wait_for(state="hidden")
    patch = page.locator("#inspector .patch").first
    patch.click()  # the face grows
    assert min(patch.bounding_box()[side] for side in ("width", "height")) >= 32
    page.locator("[data-tool=cover]").click()
    cell = page.locator("#board .brush button").first
    assert min(cell.bounding_box()[side] for side in ("width", "height")) >= 32
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    links = page.locator("nav a").filter(visible=True)
    assert len({round(link.bounding_box()["y"]) for link in links.all()}) == 1 < links.count()  # the menu has one line


def test_the_old_answer_is_dimmed_while_another_is_computed(visit, monkeypatch):
    page = opened(visit)
    go_on, usual = threading.Event(), IdentifyHandlers.compute
    monkeypatch.setattr(IdentifyHandlers, "compute", lambda *given: (go_on.wait(20), usual(*given))[1])
    page.locator("#occlude label").nth(2).click()
    page.wait_for_function("Number(getComputedStyle(document.querySelector('#inspector')).opacity) < 0.8")
    go_on.set()
    page.wait_for_function("Number(getComputedStyle(document.querySelector('#inspector')).opacity) === 1")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.slow
def test_nothing_serious_for_a_screen_reader_while_trying(visit, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(visit, f"/?__theme={theme}")
    for doing, seen in (("cover", "#board .brush"), ("mask", "#board .cloth"), ("play", "#board .played"),
                        ("tour", "dialog.tour")):
        page.locator(f"[data-tool={doing}]").click()
        page.locator(seen).first.wait_for()
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in found
                if v["impact"] in ("serious", "critical")] == [], doing


def test_a_tiff_is_shown_as_it_was_read(visit, tmp_path):
    file = tmp_path / "scan.tiff"
    Image.open(QUERIES / "person-002" / "04.jpg").save(file)
    page = opened(visit, "/?example=plain")
    page.locator("#photo button[aria-label='Remove Image']").first.click()
    page.locator("#photo input[type=file]").first.set_input_files(file)
    page.locator("#board .sentence", has_text="person-002").wait_for()
    page.wait_for_function("[...document.querySelectorAll('#photo img')].some((one) => one.naturalWidth > 50)")


@pytest.mark.slow
def test_another_share_and_a_change_go_together(visit):
    """The slider's α holds for what is tried as well, before, after and when it is undone."""
    page = opened(visit, "/?example=mask&stage2=emd", size=(1280, 800))
    page.locator("#view-numbers").click()
    slider = page.locator("#inspector input[type=range]")
    chosen = page.locator("#board tbody td:last-child .cell.selected .number")

    def share(alpha: float) -> None:
        slider.evaluate("(one, to) => { one.value = to; one.dispatchEvent(new Event('input')); }", str(alpha))

    def board() -> tuple[str, str]:
        return tuple(page.locator("#board tbody tr").first.locator(".cell").last.locator(part).inner_text()
                     for part in (".name", ".number"))

    share(0.2)
    before = chosen.inner_text()
    page.locator("[data-tool=cover]").click()
    page.locator("#board .brush button").nth(10).click()
    told = tried(page, "distance")
    assert f"distance {before} →" in told, "both distances are of the share that is shown"
    assert told.split("→ ")[1].split(",")[0] == chosen.inner_text()
    changed = board()
    share(0.9)
    page.wait_for_function("(old) => document.querySelector('#board .tried').textContent !== old", arg=told)
    assert board() != changed and "α = 0.90" in page.locator("#board thead").inner_text()
    assert f"at {board()[1]}" in page.locator("#board .sentence").first.inner_text()
    page.locator("[data-tool=undo]").click()
    assert page.locator("#board .sentence").first.inner_text().startswith("With α = 0.90 the nearest is")
    page.locator("#view-numbers").press("ArrowLeft")  # a tab that is chosen by key is in the link, too
    page.wait_for_url(re.compile("tab=correlation"))


@pytest.mark.slow
def test_a_map_that_failed_its_test_is_not_the_first_thing_shown(visit):
    """Told so of the map that stands first, the page shows the next one that passed."""
    page = opened(visit, "/?example=mask&stage2=emd")
    assert page.locator("#board .reason figcaption").inner_text() == "Where they agree: EMD"
    assert "passes" in page.locator("#board .reason .badge").get_attribute("class")
    failing = page.locator("#inspector .papers ~ section .badge")
    assert failing.count() and all("fails" in one.get_attribute("class") for one in failing.all())
    before = page.locator("#inspector h2").inner_text()
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("""() => new Promise((done) => {
        const heard = ({ detail }) => {
            if (!detail) return;
            document.removeEventListener('inspector-shown', heard);
            const told = structuredClone(detail), own = told.explanations['agreement-emd'];
            told.explanations['agreement-cosine'] = { ...own, title: 'Another', badge: { ...own.badge, passes: true } };
            own.badge = { ...own.badge, passes: false };
            document.dispatchEvent(new CustomEvent('inspector-shown', { detail: told }));
            done();
        };
        document.addEventListener('inspector-shown', heard);
        document.querySelectorAll('#board tbody tr')[2].querySelector('td:last-child .cell').click();
    })""")
    page.locator("#board .reason figcaption", has_text="Another").wait_for()
    assert page.locator("#inspector h2").inner_text() != before
    assert page.evaluate("scrollY") == 0, "the answer stays where the visitor looks at it"


@pytest.mark.slow
def test_what_if_keeps_both_rankings(visit):
    page = opened(visit, "/?example=mask&stage2=both")
    page.locator("[data-tool=cover]").click()
    page.locator("#board .brush button").nth(17).click()
    tried(page, "distance")
    assert page.locator("#board thead th").count() == 3
    numbers = page.locator("#board tbody tr").first.locator(".cell .number").all_inner_texts()
    assert len(numbers) == 3 and "–" not in numbers


@pytest.mark.slow
def test_a_number_stepped_by_its_arrows_counts(visit):
    page = opened(visit)
    page.locator("#settings button").first.click()
    page.locator("#k input").wait_for()
    page.wait_for_timeout(700)
    page.locator("#k input").press("ArrowUp")
    page.wait_for_url(re.compile("k=101"))


@pytest.mark.slow
def test_on_a_phone_the_numbers_stay_in_sight_while_patches_are_covered(visit):
    page = opened(visit, size=(390, 844))
    page.locator("[data-tool=cover]").click()
    patch = page.locator("#board .brush[aria-label*=query] button").nth(10)
    patch.scroll_into_view_if_needed()
    assert patch.bounding_box()["width"] >= 32
    patch.click()
    tried(page, "distance")
    box = page.locator("#board .tried").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 845
