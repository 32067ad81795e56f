"""Photos by address: from allowed hosts on the public internet, within bounds, and from nowhere else."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import QUERIES

from demo.cli import main
from demo.errors import BadPhoto
from demo.faces import Limits, PhotoAt, address, load_photo
from demo.settings import Settings, settings

PHOTO = QUERIES / "person-002" / "04.jpg"
HOSTS = ("photos.example.org", "more.example.org")


class Server(BaseHTTPRequestHandler):
    """What the hosts answer, by path."""

    asked: list[str] = []

    def do_GET(self):
        self.asked.append(f"{self.headers['Host']}{self.path}")
        moved = {"/moved": "https://more.example.org/face.jpg?a=1", "/out": "https://elsewhere.example.org/face.jpg",
                 "/plain": "http://photos.example.org/face.jpg", "/round": "/round",
                 "/odd": "https://[::1"}.get(self.path)
        if moved:
            self.send_response(302)
            self.send_header("Location", moved)
            self.end_headers()
        elif self.path.startswith("/face.jpg"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PHOTO.read_bytes())
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(64):
                self.wfile.write(bytes(1 << 16))
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def hosts(monkeypatch):
    """The allowed hosts, as a server of this machine, without the certificates that they would have."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.handle_error = lambda *_: None  # a caller that hangs up is what is tried here
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(address, "_PORT", server.server_port)
    monkeypatch.setattr(address, "_public", lambda host: "127.0.0.1")
    monkeypatch.setattr(address, "_secured", lambda line, host: line)
    Server.asked.clear()
    yield HOSTS
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["face.jpg", "face.jpg?name=José 1", "moved"])
def test_a_photo_on_an_allowed_host_is_the_photo(hosts, path):
    found = load_photo(PhotoAt(f"https://photos.example.org/{path}", hosts))
    assert (found == load_photo(PHOTO)).all() and Server.asked[-1].startswith(("photos.ex", "more.ex"))


@pytest.mark.parametrize(("where", "words"), [
    ("http://photos.example.org/face.jpg", "by https from photos.example.org, more.example.org only"),
    ("https://elsewhere.example.org/face.jpg", "only"), ("https://photos.example.org:8443/face.jpg", "only"),
    ("https://me:secret@photos.example.org/face.jpg", "only"), ("https://photos.example.org:x/", "only"),
    ("https://photos.example.org.evil.org/", "only"), ("https://[::1", "only"), ("https:///face.jpg", "only"),
    ("https://photos.example.org/out", "only"), ("https://photos.example.org/odd", "only"),
    ("https://photos.example.org/plain", "only"),
    ("https://photos.example.org/round", "without end"), ("https://photos.example.org/none.jpg", "answered 404"),
    ("https://photos.example.org/endless", "over the limit of 1 MB"),
    ("https://photos.example.org/slow", "answers too slowly")])
def test_anything_else_is_refused_in_a_sentence(hosts, where, words, monkeypatch):
    monkeypatch.setattr(address, "PATIENCE", 0.4)
    begin = time.perf_counter()
    with pytest.raises(BadPhoto, match=words):
        load_photo(PhotoAt(where, hosts), Limits(megabytes=1))
    assert time.perf_counter() - begin < 5
    assert not any(one.startswith("elsewhere") for one in Server.asked)


@pytest.mark.parametrize("place", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "::1", "fd00::1",
                                   "::ffff:10.0.0.1", "224.0.0.1", "0.0.0.0", "100.64.0.1", "fe80::1%eth0"])
def test_a_host_on_a_private_network_is_not_asked(monkeypatch, place):
    """One such place is enough, whatever stands beside it."""
    monkeypatch.setattr(address.socket, "getaddrinfo", lambda *_, **__: [
        (0, 0, 0, "", (one, 443)) for one in ("93.184.215.14", place)])
    monkeypatch.setattr(address.socket, "create_connection", lambda *_, **__: pytest.fail("it was asked"))
    with pytest.raises(BadPhoto, match="is not on the public internet"):
        PhotoAt("https://photos.example.org/face.jpg", HOSTS).read(10)


def test_nothing_is_fetched_unless_hosts_are_named(monkeypatch, capsys):
    monkeypatch.setattr(address.socket, "create_connection", lambda *_, **__: pytest.fail("it was asked"))
    settings.cache_clear()
    assert Settings().photo_hosts == ()
    assert Settings.from_environment({"DEMO_PHOTO_HOSTS": "Photos.example.org, b.org,"}).photo_hosts == (
        "photos.example.org", "b.org")
    assert main(["identify", "https://photos.example.org/face.jpg", "--backbone", "dlib", "--stage2", "none"]) == 2
    assert "DEMO_PHOTO_HOSTS names no host" in capsys.readouterr().err


def test_the_command_line_asks_about_an_address(hosts, monkeypatch, capsys):
    monkeypatch.setenv("DEMO_PHOTO_HOSTS", ",".join(hosts))
    settings.cache_clear()
    there = "https://photos.example.org/face.jpg"
    asked = ["--backbone", "dlib", "--stage2", "none", "--top", "1"]
    assert main(["identify", there, "https://photos.example.org/none.jpg", *asked]) == 0
    said = capsys.readouterr().out
    settings.cache_clear()
    assert f"{there}: Nearest by cosine distance: person-002" in said and "answered 404" in said
