"""The app without a browser: wiring, endpoints, privacy, errors."""

import base64
import json
import re
import shlex
import shutil
import zipfile
from importlib import import_module
from io import BytesIO

import numpy as np
import pytest
from conftest import BUNDLED, QUERIES
from gradio_client import Client, handle_file
from PIL import Image

from demo.cli import main
from demo.errors import BadPhoto, BadSetting
from demo.explain import EXPLANATIONS, VIEWS, Badge
from demo.faces import alter, find_face, load_photo
from demo.figures import pair_of
from demo.gallery import remove_photos
from demo.methods import METHODS, Matching
from demo.places import ASSETS
from demo.query import Preparation, asked
from demo.settings import Settings
from demo.ui.app import build, launch_options
from demo.ui.choices import (
    beside,
    identify_choices,
    link_of,
    matching_of,
    preparation_of,
    rerankings,
    standard,
    values_from_link,
)
from demo.ui.engine import Engine
from demo.ui.pages.downloads import IDENTIFICATION
from demo.ui.pages.galleries import GalleryHandlers
from demo.ui.views.board import Result, board_value, faces_value, verdict
from demo.ui.views.commands import reproduce
from demo.ui.views.examples import EXAMPLES, FIRST, example_thumb
from demo.ui.views.inspector import contrasts_value, explained_value, inspector_value
from demo.ui.views.whatif import outcome_value
from demo.ui.widgets import gallery_choices
from demo.verdict import headline
from demo.verify import verify
from demo.whatif import Edit, Hidden

PHOTO = QUERIES / "person-002" / "04.jpg"


@pytest.fixture(scope="module")
def client(app_url):
    return Client(app_url, verbose=False)


def test_only_named_endpoints_are_public(app):
    public = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
    assert public == {"identify", "compare"}


def test_computing_events_share_one_line(app):
    def lines(*names: str) -> set:
        found = [fn for fn in app.fns.values() if fn.fn and fn.fn.__name__ in names]
        assert len(found) >= len(names)
        return {fn.concurrency_id for fn in found}

    assert lines("run", "download") == {"identify"} and lines("answer") == {"programs"}
    assert lines("build", "add", "search") == {"index"}  # nobody who looks for a face waits behind it


def test_the_endpoint_answers_as_the_command_line_does(client, shown):
    answer, figure = client.predict(photo=handle_file(PHOTO), occlude="mask", style="surgical-blue", seed=3,
                                    api_name="/identify")
    expected = shown.identify(PHOTO, occlusion="mask", style="surgical-blue", seed=3).as_json(5)
    for key in ("stage1", "stage2", "query"):
        assert json.loads(answer)[key] == json.loads(json.dumps(expected[key])), key
    picture = Image.open(figure["path"] if isinstance(figure, dict) else figure)
    assert picture.format == "PNG" and picture.width > 600


def test_the_endpoint_explains_errors_in_a_sentence(client, tmp_path):
    fake = tmp_path / "photo.jpg"
    fake.write_text("not a picture")
    with pytest.raises(Exception, match="picture|photo|image"):
        client.predict(photo=handle_file(fake), api_name="/identify")
    wall = tmp_path / "wall.png"
    Image.fromarray(np.full((300, 300, 3), 128, np.uint8)).save(wall)
    with pytest.raises(Exception, match="No face was found"):
        client.predict(photo=handle_file(wall), api_name="/identify")


def test_the_endpoint_answers_every_face_of_a_group(client, shown):
    group = ASSETS / "examples" / "two-faces.jpg"
    answer, figure = client.predict(photo=handle_file(group), faces="all", top=2, api_name="/identify")
    found = json.loads(answer)
    for face, one in enumerate(found):
        expected = shown.identify(group, face=face).as_json(2)
        assert one["stage2"] == json.loads(json.dumps(expected["stage2"])) and one["query"]["face"] == face
    assert len(found) == 2 and found[0]["stage1"][0] != found[1]["stage1"][0]
    assert Image.open(figure["path"] if isinstance(figure, dict) else figure).width > 600
    with pytest.raises(Exception, match="leave face out"):
        client.predict(photo=handle_file(group), faces="all", face=2, api_name="/identify")


def test_a_photo_of_too_many_faces_is_refused(shown):
    with pytest.raises(BadPhoto, match="shows 2 faces and the limit is 1"):
        shown.everyone(ASSETS / "examples" / "two-faces.jpg", Preparation(), Matching(), most=1)


def test_who_each_face_of_a_group_is_nearest_to(shown):
    """The face that is asked about as it was answered, another as it would be."""
    preparation, matching = asked(face=1)
    result = Result(shown.answer(ASSETS / "examples" / "two-faces.jpg", preparation, matching), shown)
    first, second = faces_value(result, matching)["faces"]
    assert (second["name"], second["distance"]) == (result.found.ranking[0].identity, result.found.ranking[0].distance)
    alone = shown.answer(ASSETS / "examples" / "two-faces.jpg", Preparation(), matching)
    assert first["name"] == alone.ranking[0].identity and first["text"] == headline(alone)
    assert first["distance"] == pytest.approx(alone.ranking[0].distance, abs=1e-6)


def test_the_compare_endpoint_answers_as_the_command_line_does(client, shown):
    other = QUERIES / "person-004" / "04.jpg"
    answer, figure = client.predict(first=handle_file(PHOTO), second=handle_file(other), occlude="sunglasses", seed=2,
                                    api_name="/compare")
    expected = verify(PHOTO, other, shown, Preparation(alteration="sunglasses", seed=2),
                      Preparation(seed=2)).as_json()
    for key in ("first", "second"):
        assert json.loads(answer)[key] == expected[key]
    for method, judged in json.loads(answer)["methods"].items():
        assert judged["distance"] == pytest.approx(expected["methods"][method]["distance"], abs=1e-5)
        assert judged["verdict"] == expected["methods"][method]["verdict"]
    assert Image.open(figure["path"] if isinstance(figure, dict) else figure).width > 600
    with pytest.raises(Exception, match="Two photos are needed"):
        client.predict(first=handle_file(PHOTO), second=None, api_name="/compare")


def test_launch_options_keep_visitors_private():
    options = launch_options(Settings())
    assert options["run_history"] is False and options["enable_monitoring"] is False
    assert "server_name" not in options and "share" not in options


@pytest.mark.parametrize("minutes", [1, 5, 60, 600])
def test_files_are_gone_when_the_page_says_so(engine, minutes):
    """A file just too young for one sweep waits for the next, and even then is not older than promised."""
    every, age = build(Settings(keep_minutes=minutes), engine).delete_cache
    assert min(every, age) > 0 and every + age <= 60 * minutes


def test_the_engine_lists_and_refuses(engine):
    assert engine.gallery_names()[0] == "synthetic-people"
    state = engine.state("synthetic-people")
    assert (state.people, state.photos, state.indexed["dlib"]) == (96, 288, 288)
    with pytest.raises(ValueError, match="no gallery"):
        engine.folder("../..")


def test_the_menu_of_galleries_counts_an_index_once(engine, people, tmp_path, monkeypatch):
    """A page lists no photos for its menu, of which a gallery may have a million."""
    assert engine.counts()["synthetic-people"] == (288, 96)
    monkeypatch.setattr("demo.ui.engine.list_photos", None)
    monkeypatch.setattr("demo.ui.engine.Opened", None)
    assert gallery_choices(engine)["synthetic-people"] == "synthetic-people: 288 photos of 96 people"
    monkeypatch.undo()
    root = tmp_path / "galleries"
    index = root / "Team" / ".index" / "mobilefacenet"
    shutil.copytree(people, root / "Team")
    own = Engine(Settings(galleries=root, cache=tmp_path / "cache"))
    assert own.counts() == {"Team": (8, 4)}
    shutil.copytree(BUNDLED / ".index" / "mobilefacenet", index)
    assert own.counts() == {"Team": (288, 96)}  # of the index, once there is one
    remove_photos(index, people=["person-002"])
    assert own.counts() == {"Team": (285, 95)}


def test_galleries_that_visitors_add_lie_with_the_host_or_the_user(tmp_path, monkeypatch, people):
    """Never in the package: with the host's, or, where only the bundled one is there, in the user's data folder."""
    assert Settings(galleries=tmp_path).added == tmp_path
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = Engine(Settings(device="cpu"))
    assert own.settings.added.is_relative_to(tmp_path)
    shutil.copytree(people, own.settings.added / "Team")
    shutil.copytree(people, own.settings.added / "synthetic-people")  # does not hide the bundled one
    assert own.gallery_names() == ["synthetic-people", "Team"]
    assert own.folder("Team") == own.settings.added / "Team" and own.state("synthetic-people").people == 96


@pytest.fixture(scope="module")
def result(identifier):
    return Result(identifier.identify(PHOTO, occlusion="mask", truth="person-002"), identifier)


@pytest.fixture(scope="module")
def both(identifier, result):
    beside = identifier.rank(result.found.query, asked(stage2="h2l")[1], truth="person-002")
    return Result(result.found, identifier, beside=beside)


@pytest.mark.parametrize("stage", ["emd", "h2l"])
def test_board_holds_all_that_alpha_may_bring_up(both, stage):
    value = board_value(both)
    shown = {c["row"] for c in value["candidates"] if c["thumb"]}
    measured = [c for c in value["candidates"] if stage in c["second"]]
    assert len(measured) == 100 and [s["name"] for s in value["stages"]] == ["emd", "h2l"]
    for alpha in (0, 0.33, 0.7, 1):
        nearest = sorted(measured, key=lambda c: alpha * c["second"][stage] + (1 - alpha) * c["first"])[:5]
        assert {c["row"] for c in nearest} <= shown
    json.dumps(value)


def test_a_change_is_measured_in_every_ranking(both):
    row = both.found.ranking[0].row
    value = outcome_value(both, row, Edit(Hidden(covered=(9, 10))), "", 1)
    assert list(value["second"]) == list(both.runs)
    for stage, measured in value["second"].items():
        alone = both.what_ifs[stage].ask(row, Edit(Hidden(covered=(9, 10))))
        assert dict(measured) == alone.patches and len(measured) == value["of"]
    shown = {one["row"] for one in board_value(both)["candidates"] if one["thumb"]}
    for alpha in (0.0, 0.5, 1.0):  # whoever the slider brings up has a face
        value = outcome_value(both, row, Edit(Hidden(covered=(9, 10))), "", 1, alpha)
        cosines, patches = dict(value["first"]), dict(next(iter(value["second"].values())))
        first = sorted(cosines, key=lambda one: alpha * patches[one] + (1 - alpha) * cosines[one])[:5]
        assert {str(one) for one in first if one not in shown} <= value["thumbs"].keys()


def test_what_failed_its_test_is_computed_with_one_that_passed(shown, monkeypatch):
    """Of the signed maps, those of other methods wait until they are looked at, but for one that can stand first."""
    pair = pair_of(shown.identify(PHOTO, occlusion="mask", stage2="emd"), shown)
    module = import_module("demo.ui.views.inspector")

    def measured(passes: dict) -> set[str]:
        monkeypatch.setattr(module, "badge", lambda _, method, *__: Badge(method, "mask", 0.9, 0.8, passes.get(method)))
        return set(module._later(pair))

    assert {"agreement-cosine", "agreement-alike"} <= measured({"emd": True, "cosine": True})
    assert "agreement-cosine" not in measured({"emd": False, "cosine": True, "alike": True})
    assert {"agreement-cosine", "agreement-alike"} <= measured({"emd": False})


def test_inspector_values_are_consistent(both):
    row = both.found.stage2[0].row
    value = inspector_value(both, row)
    shown = value["explanations"]
    weights = shown["flow"]["values"]
    assert all(sum(values) == pytest.approx(1) for values in weights.values())
    out = np.zeros(64)
    for i, _, mass, *_ in shown["flow"]["flow"]:
        out[i] += mass
    np.testing.assert_allclose(out, weights["query"], atol=1e-4)
    assert [view["name"] for view in value["views"]] == list(VIEWS)
    ways = next(view for view in value["views"] if view["name"] == "attention")["explanations"]
    assert ways == ["attention", "rollout", "relevance"]
    assert [shown[word]["kind"] for word in ways] == ["matrix", "matrix", "maps"]
    received = shown["attention"]
    heads, (rolled,) = (shown[word]["layers"][0]["heads"] for word in ways[:2])
    assert all(len(shown[word]["layers"]) == 1 for word in ways[:2])
    assert [head["name"] for head in heads][:2] == ["mean of the heads", "head 1"]
    for head in [*heads, rolled]:
        for direction, looked_at in (("forward", "candidate"), ("backward", "query")):
            np.testing.assert_allclose(np.sum(head[direction], axis=1), received["unit"], rtol=0.005)
            looked = np.mean(head[direction], axis=0) / received["unit"]
            np.testing.assert_allclose(looked, head["values"][looked_at], atol=1e-3)
    together = next(view for view in value["views"] if view["together"])["explanations"]
    assert [shown[word]["title"] for word in together] == ["CNN correlation", "H2L correlation"]
    for word in (*together, "relevance"):
        assert all(sum(values) == pytest.approx(1) for values in shown[word]["values"].values())
    names = [term[0] for term in shown["numbers"]["terms"]]
    assert {METHODS["emd"].title, METHODS["h2l"].title, "Combined with EMD", "Combined with H2L"} <= set(names)
    json.dumps(value)


def test_other_candidates_are_compared_when_it_is_asked(both):
    match = both.found.stage2[0]
    assert inspector_value(both, match.row)["contrasted"]
    value = contrasts_value(both, match.row)
    names = [one["name"] for one in value["contrasts"]]
    assert value["row"] == match.row and match.identity not in names and len(set(names)) == len(names) > 1
    for one in value["contrasts"]:
        rival = next(other for other in both.found.stage2 if other.row == one["row"])
        assert sum(one["values"]) == pytest.approx(rival.patch - match.patch, abs=1e-5)
        assert sum(lead for _, lead in one["steps"]) == pytest.approx(rival.combined - match.combined, abs=1e-4)
    json.dumps(value)


def test_maps_of_other_methods_are_computed_when_they_are_chosen(both):
    row = both.found.stage2[0].row
    value = inspector_value(both, row)
    first, *others = next(view for view in value["views"] if view["name"] == "agreement")["explanations"]
    assert EXPLANATIONS[first].method == both.found.matching.method and others
    assert [word for word, one in value["explanations"].items() if one["kind"] == "later"] == sorted(
        others, key=list(EXPLANATIONS).index)
    for word in others:
        found = explained_value(both, row, word)["explanation"]
        assert found["kind"] == "signed" and found["title"] == value["explanations"][word]["title"]
        assert found["baseline"] - sum(found["values"]["query"]) == pytest.approx(found["distance"], abs=1e-6)
    with pytest.raises(BadSetting, match="Unknown explanation"):
        explained_value(both, row, "magic")


def test_the_script_draws_every_kind_and_knows_no_explanation(both):
    """Whatever is sent has a kind that the scripts draw; its words are the registry's alone."""
    value = inspector_value(both, both.found.stage2[0].row)
    script = "".join((ASSETS / "ui" / name).read_text() for name in ("patches.js", "inspector.js"))
    bodies = script[script.index("const BODIES"):]
    for word, shown in value["explanations"].items():
        assert re.search(rf"^  {shown['kind']}\b", bodies, re.M), word
        named = EXPLANATIONS[word].title
        assert f'"{named}"' not in script.replace('{}, "Lines", slider', "") and shown["title"]
        assert shown["kind"] == "later" or shown["called"]
    assert {shown.get("exchange") for word, shown in value["explanations"].items() if word != "weights"} == {None}
    assert value["explanations"]["weights"]["exchange"] == "flow"


def test_candidates_that_were_not_reranked_are_explained_too(identifier):
    result = Result(identifier.identify(PHOTO, stage2="none"), identifier)
    value = inspector_value(result, result.found.ranking[4].row)
    shown = value["explanations"]
    assert value["live"] is None and len(shown["flow"]["flow"]) > 60 and "attention" in shown


@pytest.mark.parametrize(("settings", "words"), [
    ({"weighting": "uniform"}, "measured as \u201capc 8x8 exact\u201d"), ({"share": 0.7}, "share 0.7"),
    ({"stage2": "h1"}, "H1 was not measured")])
def test_what_is_not_compared_with_strangers_says_why(identifier, settings, words):
    said = verdict(Result(identifier.identify(PHOTO, **settings), identifier))
    assert said["kind"] == "none" and said["text"].startswith("Not compared with strangers") and words in said["detail"]


@pytest.mark.parametrize("stage2", ["none", "emd", "h2l"])
def test_what_was_measured_is_compared_with_strangers(identifier, stage2):
    said = verdict(Result(identifier.identify(PHOTO, stage2=stage2, occlusion="mask"), identifier))
    assert said["kind"] in ("plausible", "uncertain", "nobody") and "face mask" in said["detail"]


def test_arrays_keep_their_names(both, identifier):
    """They are a stored format."""
    plain = {"paths", "cosine", "query_crop"}
    moved = {"emd", "flow", "ground", "query_weights", "candidate_weights", "grid"}
    arrays = np.load(BytesIO(IDENTIFICATION["arrays"](both)))
    assert set(arrays) == plain | moved | {"h2l"}
    assert arrays["flow"].shape == (100, 64, 64) and arrays["grid"].tolist() == [8, 8]
    np.testing.assert_allclose(arrays["emd"], [m.patch for m in sorted(both.found.stage2[:100], key=lambda m:
                                                                       m.stage1_rank)], atol=1e-6)
    other = Result(identifier.identify(PHOTO, stage2="h2l"), identifier)
    assert set(np.load(BytesIO(IDENTIFICATION["arrays"](other)))) == plain | {"h2l"}


def test_links_carry_settings_and_read_back(engine):
    choices = identify_choices(engine)
    start = standard(choices)
    values = start | {"alpha": 0.45, "occlude": "mask", "aligned": True, "k": 50}
    link = dict(pair.split("=") for pair in link_of(choices, values, start, "mask").split("&"))
    assert link == {"example": "mask", "occlude": "mask", "alpha": "0.45", "k": "50", "aligned": "True"}
    assert values_from_link(choices, link, start) == values
    assert values_from_link(choices, {"alpha": "much", "k": "50"}, start)["alpha"] is None
    for bad in ({"k": "4"}, {"k": "5.5"}, {"alpha": "nan"}, {"gallery": "../.."}, {"weighting": "<img>"},
                {"grid": "9x9"}, {"seed": "-1"}, {"aligned": "maybe"}, {"nobody": "1"}):
        assert values_from_link(choices, bad, start) == start
    assert preparation_of(choices, values).alteration == "mask"
    assert preparation_of(choices, start).alteration is None


def test_a_form_says_what_options_it_stands_for(engine):
    """Every choice at its default is the default."""
    choices = identify_choices(engine)
    start = standard(choices)
    assert preparation_of(choices, start) == Preparation() and preparation_of(choices, start, 2).face == 2
    assert matching_of(choices, start) == Matching()
    chosen = start | {"stage2": "h2l", "alpha": 0.3, "share": 1, "k": 50.0, "style": "ffp2", "seed": None}
    assert matching_of(choices, chosen).alpha == 0.3 and isinstance(matching_of(choices, chosen).k, int)
    assert preparation_of(choices, chosen).style == "ffp2" and preparation_of(choices, chosen).seed == 0
    assert matching_of(choices, start | {"stage2": "both", "alpha": 0.3}).alpha == 0.3


def test_the_shown_command_gives_the_same_answer(result):
    command = reproduce(result.found, "galleries/synthetic-people")
    for words in ("identify PHOTO", "--occlude mask", "--weighting apc", "--k 100", "--grid 8x8"):
        assert words in command


@pytest.mark.parametrize("settings", [
    {"occlusion": "mask", "seed": 3}, {"share": 0.7, "weighting": "sc", "k": 20}, {"stage2": "h2l"},
    {"stage2": "none", "occlusion": "blur", "style": "motion-light"}, {"adaptive": True, "occlusion": "crop"}],
    ids=lambda settings: "-".join(settings))
def test_the_shown_command_is_read_as_the_same_settings(identifier, capsys, settings):
    found = identifier.identify(PHOTO, **settings)
    words = shlex.split(reproduce(found, "galleries/synthetic-people", str(PHOTO)))[3:]
    assert main([*words, "--json"]) == 0
    answer, expected = json.loads(capsys.readouterr().out), found.as_json(5)
    assert answer["query"] == expected["query"] and answer["stage1"] == expected["stage1"]
    for one, two in zip(answer["stage2"], expected["stage2"], strict=True):
        assert one["path"] == two["path"] and one["combined"] == pytest.approx(two["combined"], abs=1e-6)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_every_example_tells_its_story(shown, example):
    """The right person, and the calibration agrees; of a stranger that it is probably nobody."""
    found = shown.identify(example.photo, occlusion=example.occlusion, style=example.style, seed=example.seed)
    says = found.as_json(1)["verdict"]["says"]
    if example.truth:
        assert found.ranking[0].identity == example.truth and says == "plausible"
    else:
        assert example.photo.parent.name not in shown.gallery.people and says == "nobody"


def test_re_ranking_turns_the_first_example_around(shown):
    """What the page is opened with shows what it is about."""
    example = EXAMPLES[FIRST]
    found = shown.identify(example.photo, occlusion=example.occlusion, style=example.style, seed=example.seed)
    assert found.stage1[0].identity != example.truth == found.stage2[0].identity


def test_thumbnails_show_their_alteration(engine):
    """Each is nearer to the altered photo, shrunk, than to the photo as it is."""
    for example in EXAMPLES.values():
        data = base64.b64decode(example_thumb(example).partition(",")[2])
        thumb = np.asarray(Image.open(BytesIO(data)).convert("RGB"), float)
        photo = load_photo(example.photo)
        if example.occlusion is None:
            altered = photo
        else:
            altered = alter(photo, find_face(photo), example.occlusion, style=example.style, seed=example.seed).photo
        small = []
        for one in (altered, photo):
            side = min(one.shape[:2])
            top, left = (one.shape[0] - side) // 2, (one.shape[1] - side) // 2
            square = one[top:top + side, left:left + side] if one.shape[1] < 1.5 * one.shape[0] else one
            small.append(np.asarray(Image.fromarray(square).resize(thumb.shape[1::-1], Image.Resampling.BOX), float))
        changed = np.abs(small[0] - small[1]).mean(2) > 20 if example.occlusion else np.ones(thumb.shape[:2], bool)
        assert changed.mean() > 0.03 and np.abs(small[0] - thumb)[changed].mean() < 8, example.name


@pytest.mark.slow
def test_galleries_page_adds_and_deletes(tmp_path, people):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in people.rglob("*.jpg"):
            opened.write(file, file.relative_to(people).as_posix())
    root = tmp_path / "galleries"
    root.mkdir()
    own = Engine(Settings(galleries=root, cache=tmp_path / "cache", gallery="first"))
    page = GalleryHandlers(own)

    class Request:
        session_hash = "visitor"

    said, _ = page.add("Team photos", str(archive), Request())
    assert "8 photos" in said and own.state("Team photos").indexed == {"mobilefacenet": 8}
    assert page.sheet("Team photos", 1).count("<img ") == 8
    with pytest.raises(Exception, match="Type Team photos"):
        page.delete("Team photos", "team")


def test_further_models_are_offered_where_their_weights_are(tmp_path):
    own = Engine(Settings(weights=tmp_path, backbone="dlib"))
    before = set(rerankings(own.info("dlib")))
    (tmp_path / "v-dlib.safetensors").write_bytes(b"")
    assert {"emd", "h2l", "both", "none"} <= before
    assert set(rerankings(own.info("dlib"))) == before | {"v"} <= set(identify_choices(own)["stage2"].field.choices)
    assert {"v", "h2l", "alike"}.isdisjoint(rerankings(own.info("arcface")))
    assert {"alike", "emd"} <= set(rerankings(own.info("mobilefacenet")))
    assert [beside(own.info(name)).word for name in ("dlib", "mobilefacenet", "arcface")] == ["h2l", "h2l", "emd"]
