"""What every page says of itself to whoever shows a link to it."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.request import urlopen

import pytest
from conftest import ROOT
from PIL import Image

from demo.ui.heads import HEADS, NAME, headed


def tags(page: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, content in re.findall(r'<meta (?:name|property)="([^"]+)"\s+content="([^"]*)"', page):
        found.setdefault(name, []).append(content)
    return found


@pytest.mark.parametrize("path", HEADS)
def test_every_page_has_a_title_a_description_and_a_picture(app_url, path):
    with urlopen(f"{app_url}{path}") as answer:
        page, length = answer.read(), answer.headers["content-length"]
    found = tags(page.decode())
    assert int(length) == len(page)
    title = HEADS[path].whole
    assert found["og:title"] == [title] and page.decode().count("<title>") == 1  # ours alone
    assert len(found["description"]) == 1 and 50 <= len(found["description"][0]) <= 180
    assert "gradio" not in " ".join(sum((found[name] for name in found if name.startswith(("og:", "twitter:"))), []))
    assert found["og:image"][0].startswith(app_url)
    with urlopen(found["og:image"][0]) as picture:
        assert Image.open(BytesIO(picture.read())).size == (1200, 630)


def test_no_two_pages_say_the_same():
    titles, told = ({getattr(head, name) for head in HEADS.values()} for name in ("whole", "description"))
    assert len(titles) == len(told) == len(HEADS)
    assert all(NAME in head.whole for head in HEADS.values())


def test_a_host_s_name_is_text():
    page = headed(b'<head><meta charset="utf-8" /></head>', "about", 'http://"><script>/')
    assert b"<script>" not in page and b"&quot;&gt;&lt;script&gt;" in page


def test_other_pictures_are_not_given(app_url):
    for name in ("nobody", "..%2f..%2fapp", "%2e%2e"):
        with pytest.raises(Exception, match="404"):
            urlopen(f"{app_url}preview/{name}.jpg")


@pytest.mark.browser
def test_the_window_is_called_as_the_page(visit):
    page = visit("/results")
    page.locator("#report table").first.wait_for()
    assert page.title() == HEADS["results"].whole


@pytest.mark.browser
def test_results_open_on_one_plot_and_one_table_with_the_commands_folded(visit):
    page = visit("/results")
    page.locator("#report table").first.wait_for()
    assert page.locator("#report img").count() == 1 and page.locator("#report table").count() == 1
    assert re.search("ours, .*P@1", page.locator("#report thead").inner_text())
    command = page.locator("#report details pre")
    assert not command.is_visible()
    page.locator("#report summary", has_text="The commands that repeat it").click()
    assert "python -m demo evaluate" in command.inner_text()


@pytest.mark.browser
def test_about_tells_both_papers_and_how_to_cite_them(visit):
    page = visit("/about")
    page.set_default_timeout(60_000)
    page.get_by_role("heading", name="Face-ViT's H2L").wait_for()
    for paper in ("2112.04016", "2311.02803"):
        assert page.locator(f"a[href='https://arxiv.org/abs/{paper}']").count() == 1
    assert page.locator("pre").inner_text().count("@inproceedings") == 2
    page.locator("#looks figcaption", has_text="Where H2L looks").first.wait_for()
    assert page.locator("#steps figure").count() == 4


def test_the_recording_is_small():
    file = ROOT / "docs" / "what-if.gif"
    assert file.stat().st_size < 3e6
    with Image.open(file) as film:
        lengths = []
        for frame in range(film.n_frames):
            film.seek(frame)
            lengths.append(film.info["duration"])
    assert 15_000 <= sum(lengths) <= 25_000
