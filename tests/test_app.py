"""The app without a browser: wiring, endpoints, privacy, errors."""

import json
import zipfile

import numpy as np
import pytest
from conftest import QUERIES
from gradio_client import Client, handle_file
from PIL import Image

from demo.places import user_weights
from demo.query import Options
from demo.settings import Settings
from demo.ui.app import build, launch_options
from demo.ui.engine import Engine
from demo.ui.pages.form import defaults, link_of, options_of, reranking_choices, values_from_link
from demo.ui.pages.galleries import GalleriesPage
from demo.ui.views.board import Result, board_value, reproduce
from demo.ui.views.examples import EXAMPLES
from demo.ui.views.inspector import inspector_value
from demo.verify import verify

PHOTO = QUERIES / "person-002" / "04.jpg"


@pytest.fixture(scope="module")
def client(app_url):
    return Client(app_url, verbose=False)


def test_only_named_endpoints_are_public(app):
    public = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
    assert public == {"identify", "compare"}


def test_computing_events_share_one_line(app):
    heavy = [fn for fn in app.fns.values() if fn.fn and fn.fn.__name__ in {"run", "answer", "download", "build", "add"}]
    assert len(heavy) > 8 and {fn.concurrency_id for fn in heavy} == {"identify"}


def test_the_endpoint_answers_as_the_command_line_does(client, identifier):
    answer, figure = client.predict(photo=handle_file(PHOTO), occlude="mask", style="surgical-blue", seed=3,
                                    api_name="/identify")
    expected = identifier.identify(PHOTO, occlusion="mask", style="surgical-blue", seed=3, grid=(8, 8)).as_json(5)
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


def test_the_compare_endpoint_answers_as_the_command_line_does(client, identifier):
    other = QUERIES / "person-004" / "04.jpg"
    answer, figure = client.predict(first=handle_file(PHOTO), second=handle_file(other), occlude="sunglasses", seed=2,
                                    api_name="/compare")
    expected = verify(PHOTO, other, identifier, Options(occlusion="sunglasses", seed=2), Options(seed=2)).as_json()
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


@pytest.fixture(scope="module")
def result(identifier):
    return Result(identifier.identify(PHOTO, occlusion="mask", truth="person-002"), identifier)


@pytest.fixture(scope="module")
def both(identifier, result):
    beside = identifier.rank(result.found.query, Options(stage2="h2l"), truth="person-002")
    return Result(result.found, identifier, beside=beside)


@pytest.mark.parametrize("stage", ["emd", "h2l"])
def test_board_holds_all_that_alpha_may_bring_up(both, stage):
    value = board_value(both)
    shown = {c["row"] for c in value["candidates"] if c["thumb"]}
    measured = [c for c in value["candidates"] if stage in c["second"]]
    assert len(measured) == 100 and [s["name"] for s in value["stages"]] == ["emd", "h2l"]
    for alpha in (0, 0.33, 0.7, 1):
        nearest = sorted(measured, key=lambda c: alpha * c["second"][stage] + (1 - alpha) * c["cosine"])[:5]
        assert {c["row"] for c in nearest} <= shown
    json.dumps(value)


def test_inspector_values_are_consistent(both):
    row = both.found.stage2[0].row
    value = inspector_value(both, row)
    assert sum(value["u"]) == pytest.approx(1) and sum(value["v"]) == pytest.approx(1)
    out = np.zeros(64)
    for i, _, mass in value["flow"]:
        out[i] += mass
    np.testing.assert_allclose(out, value["u"], atol=1e-4)
    attention = value["attention"]
    ways = {way["word"]: way["layers"] for way in attention["ways"]}
    assert list(ways) == ["received", "rollout", "relevance"] and all(len(layers) == 1 for layers in ways.values())
    assert [head["name"] for head in ways["received"][0]["heads"]][:2] == ["mean of the heads", "head 1"]
    for head in ways["received"][0]["heads"] + ways["rollout"][0]["heads"]:
        for direction, looked_at in (("forward", "candidate"), ("backward", "query")):
            np.testing.assert_allclose(np.sum(head[direction], axis=1), attention["unit"], rtol=0.005)
            received = np.mean(head[direction], axis=0) / attention["unit"]
            np.testing.assert_allclose(received, head["map"]["values"][looked_at], atol=1e-3)
    assert ways["relevance"][0]["heads"][0]["forward"] is None
    assert [m["title"] for m in value["correlation"]] == ["CNN correlation", "H2L correlation"]
    for shown in (*value["correlation"], ways["relevance"][0]["heads"][0]["map"]):
        assert all(sum(values) == pytest.approx(1) for values in shown["values"].values())
    names = [term[0] for term in value["terms"]]
    assert {"Earth Mover's Distance", "H2L distance", "Combined with EMD", "Combined with H2L"} <= set(names)
    json.dumps(value)


def test_candidates_that_were_not_reranked_are_explained_too(identifier):
    result = Result(identifier.identify(PHOTO, stage2="none"), identifier)
    value = inspector_value(result, result.found.ranking[4].row)
    assert value["live"] is None and len(value["flow"]) > 60 and "attention" in value


def test_links_carry_settings_and_read_back(engine):
    standard = defaults(engine)
    values = standard | {"alpha": 0.45, "occlude": "mask", "aligned": True, "k": 50}
    link = dict(pair.split("=") for pair in link_of(values, standard, "mask").split("&"))
    assert link == {"example": "mask", "occlude": "mask", "alpha": "0.45", "k": "50", "aligned": "True"}
    assert values_from_link(link, standard) == values
    assert values_from_link({"alpha": "much", "k": "50"}, standard)["alpha"] == 0.7
    assert options_of(values).occlusion == "mask" and options_of(standard).occlusion is None


def test_the_shown_command_gives_the_same_answer(result):
    command = reproduce(result.found, "galleries/synthetic-people")
    for words in ("identify PHOTO", "--occlude mask", "--weighting apc", "--k 100", "--grid 8x8"):
        assert words in command


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_every_example_is_identified(identifier, example):
    found = identifier.identify(example.photo, occlusion=example.occlusion, style=example.style, seed=example.seed)
    if example.truth:
        assert found.ranking[0].identity == example.truth
    else:
        assert example.photo.parent.name not in identifier.gallery.people


def test_galleries_page_adds_and_deletes(tmp_path, people):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in people.rglob("*.jpg"):
            opened.write(file, file.relative_to(people).as_posix())
    root = tmp_path / "galleries"
    root.mkdir()
    own = Engine(Settings(galleries=root, cache=tmp_path / "cache", gallery="first"))
    page = GalleriesPage.__new__(GalleriesPage)
    page.engine, page._stopped = own, set()

    class Request:
        session_hash = "visitor"

    said, _ = page.add("Team photos", str(archive), Request())
    assert "8 photos" in said and own.state("Team photos").indexed == {"dlib": 8}
    assert len(page.sheet("Team photos", 1)) == 8
    with pytest.raises(Exception, match="Type Team photos"):
        page.delete("Team photos", "team")


def test_further_models_are_offered_where_their_weights_are(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    user_weights().mkdir(parents=True)
    before = {word for _, word in reranking_choices("dlib")}
    (user_weights() / "v-dlib.safetensors").write_bytes(b"")
    assert {"emd", "h2l", "both", "none"} <= before
    assert {word for _, word in reranking_choices("dlib")} == before | {"v"}
    assert "v" not in {word for _, word in reranking_choices("arcface")}
