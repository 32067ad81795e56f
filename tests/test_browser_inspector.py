"""The explanations of one match as the page draws them: contributions, rivals, lines and the rebuilt face."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser


def opened(visit, view: str = "", path: str = "/?example=mask", **kwargs):
    """A page whose inspector shows a view."""
    page = visit(path, **kwargs)
    inspector = page.locator("#inspector")
    inspector.locator(".overview").wait_for()
    if view:
        inspector.get_by_role("tab", name=view).click()
    return page, inspector


def number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_the_first_thing_explained_is_where_they_agree_and_it_adds_up(visit):
    page, inspector = opened(visit)
    assert inspector.locator(".overview section").first.get_attribute("class") == "agreement"
    assert "of the weight meets the same place" in inspector.locator("p.sentence").inner_text()
    inspector.get_by_role("tab", name="Where they agree").click()
    total = re.match(r"([\d.]+) \(a typical stranger\) \u2212 (-?[\d.]+) .* = ([\d.]+), the distance",
                     inspector.locator(".sum").inner_text())
    baseline, contributions, distance = (number(one) for one in total.groups())
    assert baseline - contributions == pytest.approx(distance, abs=0.002)
    labels = inspector.locator(".patch[data-side=query]").evaluate_all(
        "cells => cells.map(cell => cell.getAttribute('aria-label').split(', ').pop())")
    assert sum(map(number, labels)) == pytest.approx(contributions, abs=0.0005 * len(labels))
    inspector.locator(".patch[data-side=query]").nth(24).click()
    assert "than a stranger's would" in inspector.locator(".told").inner_text()
    inspector.locator(".patch[data-side=candidate]").nth(24).click()
    assert "no contribution of its own" in inspector.locator(".told").inner_text()


def test_the_map_of_another_method_comes_when_it_is_chosen(visit):
    page, inspector = opened(visit, "Where they agree")
    before = inspector.locator(".sum").inner_text()
    inspector.get_by_role("radiogroup", name="Map").get_by_label("EMD").click()
    inspector.locator(".panel [role=status]", has_text="Measuring").wait_for(state="detached")
    assert inspector.locator(".sum").inner_text() != before
    inspector.get_by_role("tab", name="Side by side").click()
    assert inspector.locator(".overview section.agreement .sum").inner_text() != before


def test_a_rival_is_chosen_and_the_steps_add_up_to_the_lead(visit):
    page, inspector = opened(visit, "Why not another?")
    menu = inspector.locator(".rival select")
    menu.wait_for()  # computed when the view is opened
    assert menu.locator("option").count() >= 2
    for choice in (0, 1):
        menu.select_option(index=choice)
        leads = [number(text) for text in inspector.locator(".waterfall td:last-child").all_inner_texts()]
        assert sum(leads[:-1]) == pytest.approx(leads[-1], abs=0.003)
        name = inspector.locator(".rival option").nth(choice).inner_text().split(",")[0]
        assert inspector.locator(".contrast figcaption").last.inner_text() == name
        assert f"than {name}" in inspector.locator(".contrast .hint").first.inner_text()
    rows = [page.locator(f"#board .cell[aria-pressed={on}]").first.get_attribute("data-row")
            for on in ("false", "true")]
    for row in rows:  # another candidate, and back
        page.locator(f"#board .cell[data-row='{row}']").first.click()
        inspector.locator(".inspector-root:not([aria-busy]) .waterfall").wait_for()


def test_lines_fan_out_of_a_chosen_patch_and_the_slider_says_how_many(visit):
    page, inspector = opened(visit, "Lines")
    lines, carried = inspector.locator("svg.lines .line"), inspector.locator(".carried")
    assert lines.count() == 12 and "hair, collar and background are left out" in carried.inner_text()
    inspector.locator("input[type=range]").fill("30")
    assert lines.count() == 30
    inspector.get_by_role("checkbox").check()
    assert "left out" not in carried.inner_text()
    inspector.locator(".patch[data-side=query]").nth(38).click()  # under the mask
    fan = lines.count()
    assert 1 <= fan <= 30
    starts = lines.locator("path:not(.casing)").evaluate_all(
        "all => all.map(one => one.getAttribute('d').split(' Q')[0])")
    assert len(set(starts)) == 1
    page.keyboard.press("Escape")
    assert lines.count() == 30


def test_the_rebuilt_face_is_bright_until_asked_otherwise_and_marks_the_choice(visit):
    page, inspector = opened(visit, "Flow")
    rebuilt = inspector.locator(".faces.flow .face").nth(1)
    sources = []
    for name in ("All alike", "Veil", "As published"):
        inspector.get_by_role("radio", name=name).check()
        sources.append(rebuilt.locator("img").get_attribute("src"))
    assert len(set(sources)) == 3
    inspector.locator(".patch[data-side=query]").nth(9).click()
    assert rebuilt.locator(".cell").nth(9).get_attribute("class") == "cell chosen"
    assert rebuilt.locator(".chosen").count() == 1
    inspector.get_by_role("radio", name="4 × 4, easier to read").check()
    assert rebuilt.locator(".cell").count() == 16 and rebuilt.locator("img").get_attribute("src") not in sources
    assert inspector.locator(".told").inner_text().startswith("Query patch row 1, column 2 carries ")  # of 2 and 3 of 7
    inspector.get_by_role("tab", name="Lines").click()
    assert inspector.locator(".stage .patch[data-side=query]").count() == 16


def test_bars_take_the_colours_of_the_theme(visit):
    seen = {}
    for theme in ("light", "dark"):
        page, inspector = opened(visit, "Weights", f"/?example=mask&__theme={theme}")
        mark = inspector.locator(".bar .marks span").first
        seen[theme] = mark.evaluate("one => getComputedStyle(one).color")
    assert seen["light"] != seen["dark"]


def test_nothing_runs_over_on_a_phone(visit):
    """Faces stand beside each other; the one that is tapped grows until a finger hits its patches."""
    page, inspector = opened(visit, size=(390, 844))
    faces = inspector.locator("section.flow .face")
    assert len({round(faces.nth(number).bounding_box()["y"]) for number in range(3)}) == 1
    tapped = faces.first.locator(".patch").nth(5)
    tapped.dispatch_event("click", {"detail": 1})  # a mouse would point at what grows under it
    assert inspector.locator(".patch.chosen").count() == 0
    tapped.dispatch_event("click", {"detail": 1})
    assert faces.first.locator(".patch.chosen").get_attribute("data-index") == "5"
    assert faces.first.locator(".patch").first.bounding_box()["width"] >= 32
    for view in ("Where they agree", "Why not another?", "Flow", "Lines"):
        inspector.get_by_role("tab", name=view).click()
        inspector.locator(".waterfall" if view == "Why not another?" else ".panel .told").first.wait_for()
        wide = inspector.evaluate("""one => {
            return Math.max(...[...one.querySelectorAll('.panel *')].map(
                (part) => part.getBoundingClientRect().right)); }""")
        assert wide <= 391, view


def test_a_badge_says_how_faithful_a_map_is_and_leads_to_the_board(visit):
    page, inspector = opened(visit, path="/?example=plain")
    badge = inspector.locator("section.agreement .badge")
    assert re.search(r"faithful to .+: \d+ % of what is possible on unaltered faces \(random 0, centre first \d+\)",
                     badge.inner_text())
    assert "passes" in badge.get_attribute("class")
    assert inspector.locator(".papers ~ section.flow").count() == 1, "what did not pass stands under its own heading"
    badge.click()
    page.locator("#report h2", has_text="Faithfulness board").wait_for()
    assert page.locator("#report td", has_text="CorrRISE").count() >= 3
