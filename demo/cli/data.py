"""Arguments that say which photos are measured, and what they stand for; of ``evaluate`` and ``weights card``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from demo.backbones import Backbone
from demo.cli.arguments import add_source, identifier_of, matching_of, positive
from demo.cli.options import ALL, add_fields
from demo.errors import BadSetting
from demo.evaluation import READINGS, FeatureStore, QueryPhoto, leave_one_out, query_set, spread
from demo.evaluation.datasets import DATASETS, dataset, photos_of
from demo.fields import fields_of
from demo.gallery import list_photos
from demo.identify import Identifier
from demo.methods import METHODS, Matching
from demo.settings import settings


def add_data(parser: argparse.ArgumentParser) -> None:
    """--gallery, --queries and how either lies, the backbone, and how the scores are counted."""
    add_source(parser)
    parser.add_argument("--dataset", choices=DATASETS, metavar="NAME",
                        help="how --gallery lies, a name of 'evaluate datasets' (default: a file is a list of "
                             "path,label lines, a folder has one sub-folder per person)")
    parser.add_argument("--queries", type=Path, metavar="Q",
                        help="folder or list of query photos (default: those of the data set's protocol, else leave "
                             "one out)")
    parser.add_argument("--query-dataset", choices=DATASETS, metavar="NAME", help="how --queries lies")
    parser.add_argument("--base", type=Path, metavar="FOLDER",
                        help="where the paths of list files start (default: beside the list)")
    parser.add_argument("--index", type=Path, metavar="DIR",
                        help="an index that has some of the photos already, so that they are not computed again")
    add_jobs(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="at most N queries, evenly spread (default: all); "
                        "each is altered as it is among all")
    parser.add_argument("--metrics", choices=READINGS, default="corrected",
                        help="; ".join(f"{word}: {text}" for word, text in READINGS.items()).replace("%", "%%")
                             + " (default corrected)")
    parser.add_argument("--exclude-source-photo", action=argparse.BooleanOptionalAction, default=None,
                        help="leave out the gallery photo that a query of --queries was made from (default: yes, but "
                             "not with --metrics paper; leave-one-out always does)")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """--jobs."""
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N",
                        help=f"queries that are measured at a time (default: one a core, {os.cpu_count() or 1})")


def add_folders(parser) -> None:
    """The gallery, and a plain folder of queries."""
    add_source(parser)
    parser.add_argument("--queries", type=Path, metavar="Q", help="folder of query photos (default: leave one out)")


def add_source_photo(parser) -> None:
    """--exclude-source-photo, of actions that leave the photo out unless they are told otherwise."""
    parser.add_argument("--exclude-source-photo", action=argparse.BooleanOptionalAction, default=True,
                        help="leave out the gallery photo that a query of --queries was made from: one of the same "
                             "content or name (default: yes)")


def folder_queries(parsed, identifier: Identifier, *, exclude_source: bool = True) -> list[QueryPhoto]:
    """The queries that ``add_folders`` asks for. exclude_source: as ``query_set`` has it."""
    if parsed.queries:
        return query_set(list_photos(parsed.queries), identifier.gallery, exclude_source=exclude_source)
    return leave_one_out(identifier.gallery)


def measured_identifier(parsed) -> Identifier:
    """The backbone, the gallery of --gallery and --dataset, indexed if need be, and the model of --stage2-weights."""
    chosen, photos = argparse.Namespace(**vars(parsed)), None
    if parsed.dataset or parsed.gallery.is_file():
        chosen.gallery, photos = photos_of(parsed.gallery, parsed.dataset, parsed.base)
    return identifier_of(chosen, parsed.stage2_weights, photos, parsed.index)


def queries_of(parsed, identifier: Identifier) -> Sequence[QueryPhoto]:
    """The queries of --queries and --query-dataset, of the data set's protocol, or every photo of the gallery."""
    gallery, chosen = identifier.gallery, dataset(parsed.dataset or "folders")
    if parsed.queries:
        photos = photos_of(parsed.queries, parsed.query_dataset, parsed.base)[1]
    elif chosen.queries:
        photos = chosen.queries(parsed.gallery)
    else:
        return spread(leave_one_out(gallery, parsed.metrics), parsed.limit)
    left_out = parsed.metrics == "corrected" if parsed.exclude_source_photo is None else parsed.exclude_source_photo
    return spread(query_set(photos, gallery, exclude_source=left_out), parsed.limit)


def store_of(measured: Identifier | Backbone) -> FeatureStore:
    """Where features are kept."""
    backbone = measured.backbone if isinstance(measured, Identifier) else measured
    return FeatureStore(settings().cache, backbone, settings().limits)


def query_progress(items: Sequence):
    """A bar on standard error."""
    return tqdm(items, desc="Queries", unit="query", file=sys.stderr)


def settings_of(parsed, identifier: Identifier) -> list[Matching]:
    """Every setting that was asked for: each combination of the values of what an evaluation may vary, but for those
    that the method does not take. BadSetting where nothing is left, or for a value that is in no combination."""
    varied = [one for options in (Matching, *(method.Options for method in METHODS.values()))
              for one in fields_of(options) if one.several]
    base = matching_of(argparse.Namespace(**vars(parsed) | {one.word: None for one in varied}),
                       [one.name for one in varied if getattr(parsed, one.word, None)])
    if not base.reranks:
        return [base]
    method, grids = identifier.method(base.method), identifier.backbone.info.grids
    wanted, asked = [replace(base, grid=grids[0])], set()
    for one in varied:
        on_grid = one.name == "grid"
        if one in base.used() or (one in fields_of(Matching) and (method.uses_grid or not on_grid)):
            every, given = list(grids if on_grid else one.choices or ()), getattr(parsed, one.word) or []
            asked |= {(one.key, value) for value in given if value != ALL}
            values = every if ALL in given else dict.fromkeys(given or [grids[0] if on_grid else one.default])
            wanted = [matching.having(**{one.name: value}) for matching in wanted for value in values]
    reasons = {matching: method.unfit(matching.of(), matching.grid) for matching in wanted}
    found = [matching for matching, reason in reasons.items() if reason is None]
    taken = {pair for matching in found for pair in matching.values().items()}
    for matching, reason in reasons.items():
        if reason is not None and (not found or (asked - taken) & set(matching.values().items())):
            raise BadSetting(reason)
    return found


def add_options(parser, options: type, *names: str) -> None:
    """Flags of some options of a dataclass alone."""
    add_fields(parser, [one for one in fields_of(options) if one.name in names])
