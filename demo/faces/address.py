"""Photos at addresses: fetched from hosts that are allowed, over HTTPS, from public places, within bounds."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from demo.errors import BadPhoto

#: Seconds for a whole answer, and redirects that are followed.
PATIENCE, REDIRECTS = 10.0, 3
_PORT = 443
_MAY_STAND = "/?:@!$&'()*+,;=%~"
_MOVED = frozenset({301, 302, 303, 307, 308})


def is_address(text: object) -> bool:
    """Whether a text is an address rather than a path."""
    return isinstance(text, str) and text.lstrip()[:8].lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class PhotoAt:
    """A photo at an address, as a file that ``load_photo`` reads. hosts: from which it may come, by their whole names;
    none by default."""

    address: str
    hosts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What sentences call it."""
        return self.address.partition("?")[0].rsplit("/", 1)[-1][:80] or "The photo"

    def read(self, most: int) -> bytes:
        """Its first bytes, so many at most. BadPhoto where it must not, or cannot, be fetched."""
        address, found = self.address.strip(), ""
        for _ in range(REDIRECTS + 1):
            parts = self._allowed(address, found)
            found = _asked(parts, most)
            if isinstance(found, bytes):
                return found
            address = parts.geturl()
        raise BadPhoto("The photo's address leads from one to the next without end: save the photo first.")

    def _allowed(self, address: str, there: str) -> SplitResult:
        """An address, or where it leads, in its parts; where it may be asked."""
        if not self.hosts:
            raise BadPhoto("The photo is an address, and none is fetched here (DEMO_PHOTO_HOSTS names no host): save "
                           "the photo and send the file.")
        with suppress(ValueError):  # no address at all, or no number as port
            parts = urlsplit(urljoin(address, there))
            if (parts.scheme == "https" and parts.port in (None, 443) and parts.username is None
                    and (parts.hostname or "") in self.hosts):
                return parts
        raise BadPhoto(f"Photos are fetched by https from {', '.join(self.hosts)} only: save the photo and send the "
                       "file.")


def _asked(parts: SplitResult, most: int) -> bytes | str:
    """What an address answers: the photo, or where it is instead."""
    host = parts.hostname or ""
    late = threading.Event()
    try:
        with closing(_connected(host)) as line:
            timer = threading.Timer(PATIENCE, _end, (line, late))
            timer.start()
            try:
                asking = http.client.HTTPConnection(host)
                asking.sock = line
                target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _MAY_STAND)
                asking.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
                answer = asking.getresponse()
                if answer.status in _MOVED and (there := answer.getheader("Location")):
                    return there
                if answer.status != 200:
                    raise BadPhoto(f"{host} answered {answer.status} in place of a photo: check the address.")
                data = answer.read(most)
            finally:
                timer.cancel()
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, BadPhoto):
            raise
        reason = "answers too slowly" if late.is_set() or isinstance(error, TimeoutError) else "cannot be reached"
        raise BadPhoto(f"{host} {reason}: save the photo and send the file.") from None
    if late.is_set():
        raise BadPhoto(f"{host} answers too slowly: save the photo and send the file.")
    return data


def _end(line: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _connected(host: str) -> socket.socket:
    """A safe line to a host, at the place that was looked at: a name that points elsewhere a moment later does not lead
    there."""
    return _secured(socket.create_connection((_public(host), _PORT), timeout=PATIENCE), host)


def _secured(line: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(line, server_hostname=host)


def _public(host: str) -> str:
    """Where a host is, in numbers. BadPhoto where any of its places is not on the public internet."""
    places = [str(place[4][0]) for place in socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)]
    for place in places:
        number = ipaddress.ip_address(place.split("%")[0])
        number = getattr(number, "ipv4_mapped", None) or getattr(number, "sixtofour", None) or number
        if not number.is_global or number.is_multicast:
            raise BadPhoto(f"{host} is not on the public internet: save the photo and send the file.")
    return places[0]
