"""How two faces are compared: the method, what it takes, and what re-ranking needs. The photo's part is
``demo.query.Preparation``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from demo import fields
from demo.backbones import Grid, grid_name, parse_grid
from demo.fields import Field, fields_of, option
from demo.methods.base import NoOptions
from demo.methods.registry import DEFAULT, METHODS, NONE, RERANKING


def _options() -> tuple:
    return tuple(method.Options() for method in METHODS.values() if method.Options is not NoOptions)


@dataclass(frozen=True)
class Matching:
    """Settings of the ranking; the defaults are the papers'. ``check`` raises BadSetting.

    method: which one re-ranks, a word of RERANKING or NONE. alpha: share of its distance in Eq. 5.1; None = the
    method's own. k: how many candidates it re-orders. grid: patches as (rows, cols), None = the backbone's first.
    options: of each method that takes any, one instance of its ``Options``, in the order of METHODS.
    """

    method: str = option(
        DEFAULT.word, word="stage2", key="stage2", title="Re-ranking", help="Which method re-orders the first k.",
        choices=lambda: {**{word: one.title for word, one in RERANKING.items()}, NONE: "Stage 1 only"})
    alpha: float | None = option(
        None, kind=float, title="α",
        help="Share of the Stage 2 distance in Eq. 5.1; 0 keeps Stage 1, the paper uses 0.7.",
        unset="the method's own", low=0, high=1,
        step=0.05, several=True)
    k: int = option(100, title="k, candidates to re-rank", help="How many candidates are re-ranked.", low=1, step=5,
                   several=True)
    grid: Grid | None = option(
        None, kind=tuple, title="Patch grid", help="Patches, ROWSxCOLS.", unset="the backbone's finest",
        parse=parse_grid, show=grid_name,
        several=True)
    options: tuple = field(default_factory=_options)

    @property
    def reranks(self) -> bool:
        """Whether there is a Stage 2."""
        return self.method != NONE

    def of(self, word: str | None = None) -> Any:
        """The options of a method (default: the one that re-ranks), None where it takes none."""
        wanted = METHODS[word or self.method].Options if (word or self.method) in METHODS else NoOptions
        return next((one for one in self.options if type(one) is wanted), None)

    def having(self, **changes) -> Matching:
        """A copy with some settings changed, the methods' own among them, each by its name or key. BadSetting for a
        name that nobody knows."""
        taken = {spec.name for one in self.options for spec in fields_of(type(one))}
        options = tuple(fields.changed(one, {spec.name: changes[spec.name] for spec in fields_of(type(one))
                                             if spec.name in changes}) for one in self.options)
        return replace(fields.changed(self, {name: value for name, value in changes.items() if name not in taken}),
                       options=options)

    def check(self) -> None:
        """Raise BadSetting, in one sentence, for the first setting that is out of range or unknown."""
        fields.check(self)
        for one in self.options:
            fields.check(one)
            getattr(one, "check_together", lambda: None)()

    def values(self) -> dict[str, Any]:
        """Every setting by its key, those of all methods among them."""
        return {one.key: getattr(holder, one.name) for holder in (self, *self.options)
                for one in fields_of(type(holder))}

    def used(self, word: str | None = None) -> tuple[Field, ...]:
        """The options that play a part with a method (default: the one that re-ranks): its own."""
        own = self.of(word)
        return () if own is None else fields_of(type(own))


def method_fields() -> Mapping[str, tuple[Field, ...]]:
    """Method → the options that it takes, of those that take any."""
    return {word: found for word, method in METHODS.items() if (found := fields_of(method.Options))}
