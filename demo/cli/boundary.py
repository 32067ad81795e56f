"""Where a program ends: whatever goes wrong is one sentence on standard error, and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from demo.cli.options import Refused
from demo.errors import DemoError


class Ended(SystemExit):
    """The program ends with a status, and everything is said."""

    code: int


@contextmanager
def ending(name: str) -> Iterator[None]:
    """Run the block as what goes by ``name``; Ended where it cannot go on: 2 for input that cannot be used."""
    try:
        yield
    except (DemoError, Refused) as error:
        print(f"{name}: {error}", file=sys.stderr)
        status = 2
    except (MemoryError, RecursionError):
        print(f"{name}: the input is too large, or nested too deeply, for this machine.", file=sys.stderr)
        status = 2
    except BrokenPipeError:  # whoever read the answer, "head" for instance, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is written at the exit either
        status = 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"{name}: {place}{error.strerror or error}.", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        status = 130
    else:
        return
    raise Ended(status)
