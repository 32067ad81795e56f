"""The command line that gives the same answer. No gradio here."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace

from demo.fields import Field, fields_of, flags
from demo.identify import Identification
from demo.methods import Matching
from demo.query import Preparation
from demo.verify import Verification


def reproduce(found: Identification, gallery: str, photo: str = "PHOTO") -> str:
    """Of an identification. gallery, photo: what the command calls them."""
    words = ["identify", photo, "--gallery", gallery, "--backbone", found.provenance["backbone"]]
    preparation = found.query.preparation
    return _command([*words, *_matched(found), *_prepared(preparation, fields_of(Preparation))])


def compare_command(found: Verification, gallery: str) -> str:
    """Of a comparison."""
    first, second = found.first.preparation, found.second.preparation
    own = [one for one in fields_of(Preparation) if one.each]
    shared = [one for one in fields_of(Preparation) if not one.each]
    words = ["compare", "FIRST", "SECOND", "--gallery", gallery, "--backbone", found.provenance["backbone"]]
    return _command([*words, *_prepared(first, own), *_prepared(second, own, "-second"),
                     *_prepared(first if first.alteration else second, shared)])


def _command(words: list[str]) -> str:
    return shlex.join(["python", "-m", "demo", *words])


def _matched(found: Identification) -> list[str]:
    """How faces were matched: all that played a part, and of what the papers do not have only what was chosen."""
    matching = found.matching
    method, *further = fields_of(Matching)
    words = flags(matching, [method], every=True)
    if not matching.reranks:
        return words
    matching = replace(matching, grid=getattr(found.evidence, "grid", None))
    for holder, fields in ((matching, further), (matching.of(), matching.used())):
        for one in fields:
            words += [] if one.into else flags(holder, [one], every=not one.extra)
    return words


def _prepared(preparation: Preparation, fields: Iterable[Field], suffix: str = "") -> list[str]:
    """What happened to a photo: what differs from the default, and everything about an alteration."""
    words = []
    for one in fields:
        if not one.of or getattr(preparation, one.of) is not None:
            words += flags(preparation, [one], suffix=suffix, every=bool(one.of))
    return words
