"""Hostile calls over HTTP: every event and endpoint that the running app names, and every route that gives files."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from conftest import QUERIES
from gradio import processing_utils
from PIL import Image

from demo.errors import BadPhoto, BadSetting
from demo.faces import load_photo
from demo.fields import LARGEST, Field
from demo.settings import Settings
from demo.ui.app import launch_options
from demo.ui.engine import Engine
from demo.ui.gate import COOKIE, _clean
from demo.ui.pages.identify import IdentifyHandlers
from demo.ui.parameters import expected, photo_field, read, read_all
from demo.ui.uploads import Uploads, uploads

PHOTO = QUERIES / "person-002" / "04.jpg"
META = {"_type": "gradio.FileData"}
#: Seconds within which any call has to be answered.
PATIENCE = 20
FILES = {"image", "file"}  # component types of /config that take a file
#: More calls at a time than this fill the app's queue.
BATCH = 40


class Visitor:
    """Plain HTTP, with cookies of its own and a session."""

    def __init__(self, url: str, cookies: bool = True):
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)
        self.session = uuid4().hex
        self.cookies = cookies

    def send(self, method: str, path: str, **more) -> httpx.Response:
        answer = self.http.request(method, f"/gradio_api/{path}", **more)
        if not self.cookies:
            self.http.cookies.clear()
        return answer

    def upload(self, name: str = "photo.jpg", data: bytes | None = None) -> str:
        answer = self.send("POST", "upload", files={"files": (name, PHOTO.read_bytes() if data is None else data)})
        return answer.raise_for_status().json()[0]

    def join(self, number: int, data: list, event_data=None, **more) -> httpx.Response:
        return self.send("POST", "queue/join", content=json.dumps(
            {"fn_index": number, "session_hash": self.session, "data": data, "event_data": event_data, **more}))

    def all(self, calls: list[tuple]) -> list[dict]:
        """What becomes of calls (number, data, event data) that wait in the queue together: the output of each, or
        {"error": text}. Fails where one hangs."""
        waiting, found = {}, [None] * len(calls)
        for place, call in enumerate(calls):
            answer = self.join(*call)
            if answer.status_code == 200:
                waiting[answer.json()["event_id"]] = place
            else:
                found[place] = {"error": answer.json()["detail"]}
        if waiting:
            with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
                for line in stream.iter_lines():
                    message = json.loads(line[6:]) if line.startswith("data: ") else {}
                    if message.get("msg") == "process_completed":
                        found[waiting.pop(message["event_id"])] = message["output"]
                    elif message.get("msg") in ("close_stream", "unexpected_error"):
                        break
        assert not waiting, f"never answered: {[calls[place] for place in waiting.values()]}"
        return found

    def call(self, name: str, data) -> dict:
        """A public endpoint by its name, as curl would ask: its answer's data, or {"error": text}."""
        version = "v2/" if isinstance(data, dict) else ""
        answer = self.send("POST", f"call/{version}{name}",
                           content=json.dumps(data if version else {"data": data, "session_hash": self.session}))
        if answer.status_code != 200:
            return {"error": answer.json()["detail"]}
        text = self.send("GET", f"call/{name}/{answer.json()['event_id']}").text
        event, data = re.findall(r"event: (complete|error)\ndata: (.*)", text)[-1]
        return {"data": json.loads(data)} if event == "complete" else json.loads(data)


@pytest.fixture(scope="module")
def config(app_url):
    return httpx.get(f"{app_url}config").json()


@pytest.fixture(scope="module")
def parts(config):
    return {part["id"]: part for part in config["components"]}


@pytest.fixture
def visitor(app_url):
    return Visitor(app_url)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A photo that nobody uploaded."""
    file = tmp_path_factory.mktemp("others") / "secret.png"
    Image.open(PHOTO).rotate(3).save(file)
    return file


@pytest.fixture(scope="module")
def hostile(app_url, secret):
    """Everything that is no upload of the caller's, as a payload."""
    other = Visitor(app_url)
    other.http.get("/")
    theirs = other.upload()
    link = uploads().folder / "link.png"
    link.symlink_to(secret)
    relative = os.path.relpath(secret)
    inside = f"{uploads().folder}/../../{secret.relative_to('/')}"
    payloads = [
        {"path": str(secret)}, {"path": str(secret), "meta": META}, {"path": str(PHOTO), "meta": META},
        {"path": str(secret), "url": f"{app_url}gradio_api/file={secret}", "orig_name": "a.jpg", "size": 1,
         "meta": META},
        {"path": None, "url": "http://example.com/face.jpg", "meta": META},
        {"path": "https://example.com/face.jpg", "meta": META}, {"url": f"file://{secret}"},
        {"path": "https://example.com/face.jpg", "is_stream": True, "meta": META},
        {"path": relative, "meta": META}, {"path": inside, "meta": META}, {"path": str(link), "meta": META},
        {"path": f"file://{secret}", "meta": META}, {"path": "/dev/zero", "meta": META}, {"path": theirs},
        {"path": theirs, "meta": META, "url": f"{app_url}gradio_api/file={theirs}"},
        {"path": str(Path(theirs).parent), "meta": META}, {"path": "", "meta": META}, {"path": "\0", "meta": META},
        {"path": "x" * 5000, "meta": META}, {"path": [str(secret)], "meta": META}, {"path": str(secret), "meta": 7},
        str(secret), f"file://{secret}", [str(secret)],
        [{"path": str(secret), "meta": META}], [[{"image": {"path": str(secret), "meta": META}, "caption": None}]],
        {"value": {"path": str(secret), "meta": META}}, {"\ud800": {"path": str(secret)}}, "\ud800", 7, [], {},
    ]
    yield payloads
    link.unlink()


def pictures(output) -> set[str]:
    """Everything in an answer that shows or gives a file."""
    text = json.dumps(output)
    return set(re.findall(r"data:image/[^\"]+", text)) | set(re.findall(r"/file=[^\"]+", text))


def sentence(text: str) -> bool:
    """One, in words, with nothing of Python's or pydantic's in it."""
    raw = re.search("Traceback|Error:|pydantic|NoneType|object has no|unhashable|<class|positional|Could not|input_val",
                    text)
    return bool(text) and "\n" not in text and len(text) < 1500 and raw is None


@pytest.mark.slow
def test_no_event_takes_a_file_that_is_not_the_visitors(visitor, config, parts, hostile, secret, engine, monkeypatch):
    """Every payload in every slot that takes a file, and three of them in every other slot and with every event; of
    events that do the same with the same slots, one after the first has one payload in each."""
    fetched, refused = [], 0

    def fetch(url, **_):
        fetched.append(url)
        raise OSError("nothing is fetched in a test")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    monkeypatch.setattr(engine, "build", lambda *_: None)  # as the plain call asks for
    monkeypatch.setattr(engine, "forget", lambda _: fetched.append("a gallery was deleted"))
    jobs, known = [], set()  # (event, slot or None, payload, call)
    own = {"path": visitor.upload(), "meta": META}
    for event in config["dependencies"]:
        if not event["backend_fn"]:
            continue
        number, slots = event["id"], [parts[slot] for slot in event["inputs"]]
        plain = [slot["props"].get("value") for slot in slots]
        jobs.append((event, None, None, (number, plain, {})))
        jobs += [(event, None, payload, (number, plain, payload)) for payload in (hostile[1], {"index": hostile[3]})]
        same = re.sub(r"_\d+$", "", event["api_name"]), *event["inputs"]
        for place, slot in enumerate(slots):
            one = hostile[(number + place) % len(hostile)]
            chosen = [one] if same in known else hostile if slot["type"] in FILES else [hostile[1], hostile[4], one]
            others = [own if part["type"] == slot["type"] == "image" else value
                      for part, value in zip(slots, plain, strict=True)]
            jobs += [(event, slot, payload, (number, [*others[:place], payload, *others[place + 1:]], {}))
                     for payload in chosen]
        known.add(same)
        jobs.append((event, None, "all", (number, [hostile[1]] * len(slots), hostile[1])))
    batches = [jobs[at:at + BATCH] for at in range(0, len(jobs), BATCH)]
    usual: dict[int, set[str]] = {}
    for batch in batches:
        for (event, slot, payload, _), output in zip(
                batch, visitor.all([job[3] for job in batch]), strict=True):
            where = f"{event['api_name']}, {slot and slot['props'].get('label')}, {payload!r:.200}"
            error = output.get("error") if "error" in output else None
            assert str(secret) not in json.dumps(output) or error, where
            if payload is None:
                usual[event["id"]] = pictures(output)
            elif slot is not None and slot["type"] in FILES:
                named = f"{_name(config, event, slot)}: "
                assert error in ("Upload the photo first.", "Upload the photos first.", "Upload the zip first.",
                                 f"{named}Upload the photo first.") or error.removeprefix(named).removeprefix(
                    f"{slot['props'].get('label')}: ").startswith(
                    ("The photo is an address, and none is fetched", "The photo is text: upload it as a file",
                     "The photo is an address: upload it as a file")), (where, output)
                refused += 1
            else:
                assert error is None or "\n" not in error and "Traceback" not in error, (where, error)
                assert pictures(output) <= usual[event["id"]], where
    assert fetched == [] and refused > 8 * len(hostile)
    assert {job[0]["id"] for job in jobs} == {e["id"] for e in config["dependencies"] if e["backend_fn"]}


def _name(config, event, slot) -> str:
    """How a public endpoint calls a slot."""
    return {"First photo": "first", "Second photo": "second"}.get(slot["props"].get("label"), "photo")


def test_an_upload_is_its_senders_only(app_url, app, config):
    """By cookie, as browsers and gradio_client have one from the first page, or by whoever uses it first."""
    number = next(event["id"] for event in config["dependencies"] if event["api_name"] == "identify")
    browser, stranger = Visitor(app_url), Visitor(app_url)
    browser.http.get("/compare"), stranger.http.get("/")
    assert browser.http.cookies[COOKIE] != stranger.http.cookies[COOKIE]
    path = browser.upload()
    assert path in app.upload_file_set  # what Gradio erases by age
    photo = {"path": path, "meta": META}
    assert stranger.call("identify", {"photo": photo})["error"] == "Upload the photo first."
    assert stranger.send("GET", f"file={path}").status_code == 403
    keyless = Visitor(app_url, cookies=False)
    assert keyless.call("identify", {"photo": photo})["error"] == "Upload the photo first."
    assert keyless.send("GET", f"file={path}").status_code == 403
    shown = browser.send("GET", f"file={path}")
    assert shown.status_code == 200 and shown.content == PHOTO.read_bytes()
    assert "private" in shown.headers["cache-control"]
    answer, figure = browser.call("identify", {"photo": photo})["data"]
    assert json.loads(answer)["stage1"][0]["identity"] == "person-002"
    assert browser.send("GET", f"file={figure['path']}").headers["content-type"] == "image/png"

    path = keyless.upload()
    data = [{"path": path, "meta": META}, *_defaults(config, "identify")[1:]]
    assert browser.all([(number, data)])[0]["error"] == "Upload the photo first."
    assert "data" in keyless.all([(number, data)])[0]
    other = Visitor(app_url, cookies=False)
    assert other.all([(number, data)])[0]["error"] == "Upload the photo first."
    assert "data" in keyless.all([(number, data)])[0]


def test_equal_photos_of_two_visitors_are_two_files(app_url):
    one, other = Visitor(app_url), Visitor(app_url)
    paths = [one.upload(), other.upload()]
    assert len(set(paths)) == 2 and len({Path(path).parents[1] for path in paths}) == 2
    assert other.send("GET", f"file={paths[0]}").status_code == 403


def test_pages_start_from_photos_that_everybody_may_use(visitor, config):
    links = [event for event in config["dependencies"] if event["api_name"].startswith("open_link")][:2]
    for event, name in zip(links, ("identify", "compare"), strict=True):
        shown = visitor.all([(event["id"], [])])[0]["data"]
        photos = [part for part in shown if isinstance(part, dict) and "path" in part]
        values = dict(zip(("photo",) if name == "identify" else ("first", "second"), photos, strict=True))
        assert visitor.send("GET", f"file={photos[0]['path']}").status_code == 200
        assert "data" in visitor.call(name, values)


def test_a_photo_may_come_as_bytes(visitor):
    address = f"data:image/jpeg;base64,{base64.b64encode(PHOTO.read_bytes()).decode()}"
    assert "person-002" in visitor.call("identify", {"photo": {"url": address}})["data"][0]
    for bad in ("data:image/png;base64,????", "data:text/html,<b>", f"data:,{PHOTO}"):
        assert "pload the photo" in visitor.call("identify", {"photo": {"url": bad}})["error"]


@pytest.mark.parametrize(("photo", "words"), [
    ("https://example.com/face.jpg", "is an address, and none is fetched here"),
    ({"path": "https://example.com/face.jpg", "url": "https://example.com/face.jpg", "meta": META}, "is an address"),
    (base64.b64encode(PHOTO.read_bytes()).decode(), "is text in base64: upload it as a file"),
    ("photo.jpg", "is text: upload it as a file")])
def test_what_is_no_photo_is_told_what_it_is(photo, words):
    """As curl, gradio_client (an object with a path) and people who pass on base64 send it."""
    sent = _clean(photo, lambda path: None, addresses=True)
    assert isinstance(photo, str) or "address" not in _clean(photo, lambda path: None)
    with pytest.raises(BadPhoto, match=words):
        answer = Engine(Settings()).allowed(read(photo_field("photo"), sent))
        load_photo(answer)


@pytest.mark.parametrize("value", [-1, 0, None])
def test_how_many_matches_are_told_is_at_least_one(engine, value):
    top = next(one for one in IdentifyHandlers(engine).parameters if one.word == "top")
    with pytest.raises(BadSetting, match=r"^top (must be|is missing: give) a whole number, at least 1 and at most"):
        read(top, value)


def test_a_zip_is_its_senders_too(app_url, config):
    """What it holds is no zip, which only who opens it can tell."""
    number = next(event["id"] for event in config["dependencies"] if event["api_name"] == "add")
    one, other = Visitor(app_url), Visitor(app_url)
    one.http.get("/galleries"), other.http.get("/galleries")
    data = ["Team", {"path": one.upload("team.zip", b"letter"), "meta": META}]
    assert one.all([(number, data)])[0]["error"].startswith("The file is not a zip")
    assert other.all([(number, data)])[0]["error"] == "Upload the zip first."


def test_files_outside_are_never_served(visitor, secret, hostile):
    link = uploads().folder / "link.png"
    paths = [secret, PHOTO, link, "/etc/hostname", "/dev/zero", f"{uploads().folder}/../..{secret}",
             os.path.relpath(secret), f"file://{secret}", "http://example.com/a.png", "https://example.com/a.png",
             uploads().folder, "", "x" * 5000, "demo/ui/gate.py", f"{uploads().folder}%2f..%2f..%2fetc%2fhostname",
             "%00"]
    for path in paths:
        for way in ("file=", "file/", "proxy="):
            answer = visitor.send("GET", f"{way}{path}")
            assert answer.status_code in (403, 404) and len(answer.content) < 500, (way, path)


def test_what_the_pages_do_not_need_of_gradio_is_shut(visitor, app_url):
    for method, path in (("GET", f"deep_link?session_hash={visitor.session}"), ("POST", "component_server"),
                         ("POST", "process_recording"), ("GET", "custom_component/1/client/component/index.js"),
                         ("POST", "stream/1"), ("GET", "vibe-code"), ("GET", "run-history/buckets"), ("GET", "token")):
        answer = visitor.send(method, path)
        assert answer.status_code == 404 and sentence(answer.json()["detail"]), path
    assert httpx.get(f"{app_url}monitoring").status_code in (403, 404)


def test_private_events_answer_pages_only(visitor, config):
    """By their number, with a session, as the page calls them; never by name."""
    for event in config["dependencies"]:
        if event["api_visibility"] == "public" or not event["backend_fn"]:
            continue
        for path in (f"call/{event['api_name']}", f"call/v2/{event['api_name']}", f"run/{event['api_name']}",
                     f"api/{event['api_name']}"):
            body = {} if "v2" in path else {"data": [], "session_hash": visitor.session}
            assert visitor.send("POST", path, json=body).status_code == 404, path
        for path in ("run/predict", "api/predict", "queue/join"):
            assert visitor.send("POST", path, json={"data": [], "fn_index": event["id"]}).status_code == 404, path


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{", b"\xff\xfe", b'{"data": "text"}', b'{"data": [], "fn_index": "1"}',
    b'{"data": [], "fn_index": 9999}', b'{"data": [], "fn_index": true}', b'{"data": [], "session_hash": 7}',
    b'{"data": ' + b"[" * 100_000 + b"}",
    b'{"data": ' + b"[" * 200 + b"]" * 200 + b', "fn_index": 6, "session_hash": "x"}'], ids=range(11))
def test_calls_that_cannot_be_read_are_told_so(visitor, body):
    for path in ("queue/join", "call/identify", "run/predict"):
        answer = visitor.send("POST", path, content=body)
        assert 400 <= answer.status_code < 500 and sentence(answer.json()["detail"]), (path, answer.text)


def test_a_call_has_a_limit(visitor):
    answer = visitor.send("POST", "call/identify", content=b" " * 40_000_000)
    assert answer.status_code == 413 and "upload photos as files" in answer.json()["detail"]


def test_odd_uploads_are_refused_and_leave_nothing(visitor):
    def lying():
        return {file for file in uploads().folder.rglob("*") if file.is_file()}

    before = lying()
    assert visitor.send("POST", "upload", content=b"photo").status_code == 400
    assert visitor.send("POST", "upload", data={"files": "text"}, files={"x": b""}).status_code == 400
    assert visitor.send("POST", "upload", files={"other": ("a.jpg", PHOTO.read_bytes())}).json() == []
    assert lying() == before
    name = Path(visitor.upload("../../../\udcff/a b.jpg".encode("utf-8", "replace").decode())).name
    assert "/" not in name and name.endswith(".jpg")


def _defaults(config, name: str) -> list:
    parts = {part["id"]: part["props"].get("value") for part in config["components"]}
    return [parts[slot] for event in config["dependencies"] if event["api_name"] == name for slot in event["inputs"]]


#: Of no parameter's kind, or out of its range.
WRONG = (None, [], {"a": 1}, math.nan, math.inf, -math.inf, 10**4000, -1, 0.5, True, "3", "\ud800", "\0", "../..",
         "x" * 100_000)


@pytest.mark.parametrize("name", ["identify", "compare"])
def test_wrong_parameters_are_told_by_name(app_url, config, visitor, name):
    """Over HTTP, each of them in turn; the photos are right."""
    info = httpx.get(f"{app_url}gradio_api/info").json()["named_endpoints"][f"/{name}"]["parameters"]
    photo = {"path": visitor.upload(), "meta": META}
    names, defaults = [one["parameter_name"] for one in info], _defaults(config, name)
    right = [photo if part["component"] == "Image" else value for part, value in zip(info, defaults, strict=True)]
    number = next(event["id"] for event in config["dependencies"] if event["api_name"] == name)
    tried, calls = [], []
    for place, parameter in enumerate(names):
        wrong = [value for value in WRONG if not _right(info[place], value)]
        for value in wrong:
            tried.append((parameter, value))
            calls.append((number, [*right[:place], value, *right[place + 1:]]))
    outputs = [output for at in range(0, len(calls), BATCH) for output in visitor.all(calls[at:at + BATCH])]
    for (parameter, value), output in zip(tried, outputs, strict=True):
        text = output.get("error")
        where = parameter, repr(value)[:60], output
        assert text and sentence(text) and parameter in text.lower().split(" must")[0], where
    for place, parameter in enumerate(names):  # too few values: the first that is missing
        if parameter != "alpha":  # which may be missing
            assert parameter in visitor.call(name, right[:place])["error"]
    huge = json.dumps({"data": [*right[:-1], 0]})[:-3] + "9" * 6000 + "]}"
    event = visitor.send("POST", f"call/{name}", content=huge).json()["event_id"]
    assert f"{names[-1]} must be" in visitor.send("GET", f"call/{name}/{event}").text


def _right(info: dict, value) -> bool:
    """Whether a value of WRONG is one that this parameter takes."""
    kind = info["type"].get("type")
    if info["parameter_name"] in ("alpha", "share"):
        return value == 0.5 or (value is None and info["parameter_name"] == "alpha")  # the method's own
    return kind == "boolean" and isinstance(value, bool)


def test_unknown_and_missing_names_are_told(visitor):
    assert "'colour'" in visitor.call("identify", {"colour": 1})["error"]
    assert visitor.call("identify", {})["error"] == "A photo is needed."
    photo = {"path": visitor.upload(), "meta": META}
    assert visitor.call("compare", {"first": photo})["error"] == "Two photos are needed: second is missing."
    assert visitor.call("compare", {"first": photo, "second": {"path": "/etc/passwd"}})["error"] == \
        "second: Upload the photo first."


def test_half_characters_reach_no_event(visitor, config, parts):
    """They cannot be sent back, so an event that repeats them would never be answered."""
    calls = [(event["id"], ["\ud800\udc00\ud800"] * len(event["inputs"]), {"name": "\udfff", "row": "\udfff"})
             for event in config["dependencies"] if event["backend_fn"]]
    for at in range(0, len(calls), BATCH):
        visitor.all(calls[at:at + BATCH])


def field(word: str, kind: type, **limits) -> Field:
    return Field(word, kind, None, word, word, **limits)


def takes(one: Field, value) -> bool:
    try:
        read(one, value)
    except BadSetting:
        return False
    return True


def test_a_parameter_reads_its_kind():
    whole, number = field("k", int, low=5, high=300), field("alpha", float, low=0, high=1)
    assert read(whole, 5) == 5 and read(whole, 300.0) == 300 and isinstance(read(whole, 7.0), int)
    assert read(number, 0) == 0 and read(number, 0.25) == 0.25
    assert read(field("top", int, low=1), LARGEST) == LARGEST and not takes(field("top", int, low=1), LARGEST + 1)
    for value, words in ((4, "from 5 to 300; got 4"), (5.5, "whole number"), ("7", "got '7'"), (True, "got true"),
                         (None, "k is missing: give a whole number from 5 to 300"), (math.nan, "got nan"),
                         ([5], "got a list"), (10**400, "…")):
        with pytest.raises(BadSetting, match=re.escape(words)):
            read(whole, value)
    for value in (-0.01, 1.01, math.nan, math.inf, "0.5", False, 10**400):
        assert not takes(number, value)
    names = ["b", "a"]
    word = field("gallery", str, known=lambda: {name: name for name in names})
    assert read(word, "a") == "a" and expected(word) == "one of b, a"
    names.append("new")
    assert takes(word, "new") and not takes(word, ["a"]) and not takes(word, "\ud800")
    assert read_all([whole, word], [9, "b"]) == {"k": 9, "gallery": "b"}
    with pytest.raises(BadSetting, match="^aligned must be true or false; got 1.$"):
        read(field("aligned", bool), 1)
    with pytest.raises(BadPhoto, match="^second: Upload the photo first.$"):
        read(photo_field("second"), {"path": str(PHOTO)})
    assert read(field("limit", float, optional=True), None) is None


@pytest.fixture
def own(tmp_path):
    """Uploads of their own, with one file that a visitor sent, and one outside."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "outside.jpg").write_bytes(PHOTO.read_bytes())
    kept = Uploads(tmp_path / "cache")
    sent = kept.room() / "hash" / "photo.jpg"
    sent.parent.mkdir()
    sent.write_bytes(PHOTO.read_bytes())
    return kept, sent, tmp_path / "outside.jpg"


def test_uploads_know_whose_a_file_is(own):
    kept, sent, outside = own
    assert kept.usable(str(sent), "a", claims=True) is None and not kept.readable(str(sent), "a")
    kept.keep([sent], "a")
    assert kept.usable(str(sent), "a") == str(sent) == kept.known(str(sent)) and kept.readable(str(sent), "a")
    assert kept.usable(str(sent), "b", claims=True) is None and not kept.readable(str(sent), "b")
    assert not kept.readable(str(sent), None)
    kept.keep([sent], "a", unclaimed=True)
    assert kept.usable(str(sent), "b") is None
    assert kept.usable(str(sent), "b", claims=True) and kept.usable(str(sent), "a") and kept.readable(str(sent), "b")
    assert kept.usable(str(sent), "c", claims=True) is None
    kept.offer(sent)  # what a visitor sent is not offered to others
    assert kept.usable(str(sent), "c", claims=True) is None
    for path in (str(outside), "/dev/zero", str(sent.parent), "", None, 7, "\0", "x" * 5000, f"{sent}/../../a.jpg"):
        assert kept.usable(path, "a", claims=True) is None and not kept.readable(path, "a")


def test_uploads_follow_links_before_they_judge(own):
    kept, sent, outside = own
    kept.keep([sent], "cookie a")
    sent.unlink()
    sent.symlink_to(outside)
    assert kept.usable(str(sent), "cookie a") is None and not kept.readable(str(sent), "cookie a")
    sent.unlink()
    sent.symlink_to(sent)
    assert kept.usable(str(sent), "cookie a") is None
    sent.unlink()
    os.mkfifo(sent)
    assert kept.usable(str(sent), "cookie a") is None


def test_erased_uploads_are_forgotten(own):
    kept, sent, _ = own
    kept.keep([sent], "cookie a")
    sent.unlink()
    kept.room()
    sent.parent.mkdir(parents=True)
    sent.write_bytes(b"another file of that name")
    assert kept.usable(str(sent), "cookie a") is None


def test_the_folder_of_uploads_is_this_users_and_processs_alone():
    assert uploads().folder.stat().st_mode & 0o077 == 0 and uploads() is uploads()


def test_launch_options_keep_the_gate_shut():
    options = launch_options(Settings())
    assert options["num_workers"] == 0 and options["show_error"] is False and "allowed_paths" not in options
    assert [one.cls.__name__ for one in options["app_kwargs"]["middleware"]] == ["Watch", "Door", "Gate", "Heads"]


@pytest.mark.parametrize("https", [False, True])
def test_the_key_is_for_this_site_and_no_script(app_url, https):
    header = httpx.get(app_url, headers={"x-forwarded-proto": "https"} if https else {}).headers["set-cookie"]
    assert "HttpOnly" in header and "Max-Age" not in header and ("Secure; Partitioned" in header) == https
    assert "set-cookie" not in httpx.get(app_url, cookies={COOKIE: "x" * 32}).headers
    assert "set-cookie" not in httpx.get(f"{app_url}study").headers
