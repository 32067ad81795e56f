"""What caches name as the makers of what they hold: versions of rooms, raised by hand when their outputs change.

A hash of source files would measure everything again for a docstring, and miss a file that nobody listed.
"""

from __future__ import annotations

from demo import attack, backbones, faces, methods, query

#: Of the protocols, metrics and intervals here. Raise it when the same rankings give other numbers. What one section of
#: the report measures has a version of its own (``report.sections``).
VERSION = 1


def features_versions(*, attacked: bool = True) -> dict[str, int]:
    """Room → version, of those between a photo and its features. attacked: whether an attack may be among them."""
    rooms = {"faces": faces.VERSION, "query": query.VERSION, "backbones": backbones.VERSION}
    return rooms | ({"attack": attack.VERSION} if attacked else {})


def scores_versions() -> dict[str, int]:
    """Room → version, of those between a photo and a score."""
    return {**features_versions(), "methods": methods.VERSION, "evaluation": VERSION}
