"""Protocols, the lean ranking against ``Identifier.rank``, the feature cache, and both readings of the metrics."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import BUNDLED, QUERIES, ROOT

import demo.methods.emd
from demo.backbones import Features
from demo.cli import main
from demo.errors import BadSetting, NoFace
from demo.evaluation import (
    FeatureStore,
    QueryPhoto,
    Ranker,
    best_possible,
    curve_store,
    evaluate,
    journal,
    leave_one_out,
    query_set,
    score_query,
    store,
)
from demo.evaluation.ablations import ABLATIONS, Bench
from demo.evaluation.curve_store import CurveStore
from demo.evaluation.datasets import drawn_pairs, photos_of
from demo.evaluation.per_query import COLUMNS, write_per_query
from demo.evaluation.ranking import Measured
from demo.evaluation.verification import stack, verify_pairs
from demo.gallery import Gallery, Photo, open_or_build
from demo.identify import Identifier
from demo.methods import Matching
from demo.query import Clock, Preparation
from demo.settings import Settings


def dlib_settings(folder) -> Settings:
    return Settings(cache=folder / "cache", device="cpu", backbone="dlib")


#: As published.
EMD = Matching(method="emd")


@pytest.fixture(scope="module")
def small(backbone, tmp_path_factory):
    """Three people with 3, 2 and 2 photos, one with a copy of a photo, and one with a single photo."""
    folder = tmp_path_factory.mktemp("small")
    for name, photos in (("a", "person-001/01 person-001/02 person-001/03"), ("b", "person-002/01 person-002/02"),
                         ("c", "person-003/01 person-003/02"), ("d", "person-004/01")):
        (folder / name).mkdir()
        for number, photo in enumerate(photos.split()):
            shutil.copy(BUNDLED / f"{photo}.jpg", folder / name / f"{number}.jpg")
    shutil.copy(folder / "c" / "0.jpg", folder / "c" / "copy.jpg")
    return Identifier(backbone, Gallery.build(folder, backbone, tmp_path_factory.mktemp("index")))


def stored(gallery, row) -> Features:
    """Features of a gallery photo on every grid, as a query has them."""
    others = {grid: gallery.features([row], grid).patches for grid in gallery.manifest.grids[1:]}
    return replace(gallery.features([row]), maps=others)


class GalleryFeatures(FeatureStore):
    """Takes queries' features from the gallery itself, so that no photo is read."""

    def __init__(self, identifier):
        super().__init__(None, identifier.backbone)
        self.rows = {identifier.gallery.photo_file(row): row for row in range(len(identifier.gallery))}
        self.gallery = identifier.gallery

    def features(self, file, preparation, clock=None, gallery=None) -> Features:
        return stored(self.gallery, self.rows[file])


def test_the_lean_ranking_is_the_identifiers(identifier):
    gallery, ranker = identifier.gallery, Ranker(identifier)
    settings = [EMD.having(k=20), EMD.having(k=40, alpha=0.3), EMD.having(weighting="uniform", grid=(4, 4), k=10),
                Matching(method="h2l", k=15), EMD.having(solver="authors", k=12),
                EMD.having(solver="authors", k=25), EMD.having(adaptive=True, share=0.7, k=20)]
    rows = (0, 100, 287)
    photos = [QueryPhoto("", gallery.photo_file(row), gallery.entries[row].identity, (row, 5)) for row in rows]
    features = [stored(gallery, row) for row in rows]
    heads = ranker.heads(torch.cat([one.embedding for one in features]), photos, ranker.depth(photos[0], settings))
    for photo, own, head in zip(photos, features, heads, strict=True):
        measured = Measured(head)
        assert ranker.missing(measured, photo, settings)
        ranker.complete(measured, own, photo, settings, Clock(gallery.device))
        assert not ranker.missing(measured, photo, settings)
        for matching in settings:
            found = identifier.rank(SimpleNamespace(features=own), matching, exclude=photo.exclude)
            for setting, ranking in ((None, found.stage1), (matching, found.stage2)):
                assert ranker.places(measured, photo, setting).tolist() == [
                    rank for rank, match in enumerate(ranking) if match.identity == photo.identity]


def places(identifier, row, settings, exclude=(), measured=None) -> dict:
    """Setting → where the photos of a gallery photo's person stand. measured: what is known of it already."""
    ranker, gallery = Ranker(identifier), identifier.gallery
    photo = QueryPhoto("", gallery.photo_file(row), gallery.entries[row].identity, exclude)
    features = stored(gallery, row)
    (head,) = ranker.heads(features.embedding, [photo], ranker.depth(photo, settings))
    measured = measured or Measured(head)
    measured.head = head
    ranker.complete(measured, features, photo, settings, Clock(gallery.device))
    return {setting: ranker.places(measured, photo, setting).tolist() for setting in (None, *settings)}


def test_re_ranking_everybody_goes_in_parts(identifier, monkeypatch):
    monkeypatch.setattr("demo.evaluation.ranking.CHUNK", 50)
    matching = EMD.having(alpha=1.0, k=288, weighting="uniform", grid=(4, 4))
    found = identifier.rank(SimpleNamespace(features=stored(identifier.gallery, 7)), matching)
    assert places(identifier, 7, [matching])[matching] == [
        rank for rank, match in enumerate(found.stage2) if match.identity == identifier.gallery.entries[7].identity]


def naive_scores(gallery, reading):
    """Leave-one-out by the published code's lines, in plain numpy: a similarity matrix with the diagonal at -100."""
    labels = np.array([entry.identity for entry in gallery.entries])
    embeddings = gallery.embeddings.numpy().astype(float)
    similarity = embeddings @ embeddings.T
    content = np.array([entry.sha256 for entry in gallery.entries])
    hidden = np.eye(len(labels), dtype=bool) if reading == "paper" else content[:, None] == content
    scores = []
    for row in range(len(labels)):
        relevant = int((labels == labels[row]).sum()) - (0 if reading == "paper" else int(hidden[row].sum()))
        if (labels == labels[row]).sum() < 2 or relevant < 1:
            continue
        order = np.argsort(-np.where(hidden[row], -100, similarity[row]), kind="stable")
        right = labels[order][:relevant] == labels[row]
        right &= ~hidden[row][order][:relevant]
        precision = np.cumsum(right) / np.arange(1, relevant + 1)
        scores.append((right[0], right.mean(), (precision * right).mean()))
    return 100 * np.mean(scores, axis=0)


@pytest.mark.parametrize("reading", ["corrected", "paper"])
def test_both_readings_of_leave_one_out(small, reading):
    found = evaluate(small, leave_one_out(small.gallery, reading), [Matching(method="none")], reading=reading,
                     store=GalleryFeatures(small))
    expected = naive_scores(small.gallery, reading)
    assert (found.stage1.p_at_1, found.stage1.rp, found.stage1.map_at_r) == pytest.approx(tuple(expected))
    assert found.stage1.queries == 8 and found.reading == reading  # d has one photo only
    if reading == "paper":
        assert found.stage1.rp < 100  # out of reach: the query itself counts
    else:
        assert found.left_out == 10  # c/0 and c/copy also leave out each other


def test_source_photos_are_left_out_by_name_and_by_content(small, tmp_path):
    copy = tmp_path / "renamed.jpg"
    copy.write_bytes((small.gallery.manifest.photos / "b" / "1.jpg").read_bytes())
    altered = tmp_path / "0.png"
    altered.write_bytes(b"a mask was drawn on a/0.jpg")
    photos = [Photo("masked/a/0.png", "a", altered), Photo("renamed.jpg", "b", copy),
              Photo("profile/b/9.png", "b", altered), Photo("c/side/0.png", "c", altered)]
    rows = {entry.path: row for row, entry in enumerate(small.gallery.entries)}
    queries = query_set(photos, small.gallery)
    assert [query.exclude for query in queries] == [(rows["a/0.jpg"],), (rows["b/1.jpg"],), (), ()]
    assert all(query.exclude == () for query in query_set(photos, small.gallery, exclude_source=False))


def test_a_query_whose_only_photo_is_its_source_is_skipped(small):
    row = next(row for row, entry in enumerate(small.gallery.entries) if entry.identity == "d")
    photo = QueryPhoto("d/0.jpg", small.gallery.photo_file(row), "d", (row,))
    found = evaluate(small, [photo, replace(photo, identity="nobody", exclude=())], [EMD],
                     store=GalleryFeatures(small))
    assert found.skipped == (("d/0.jpg", "No other photo of d is in the gallery."),
                             ("d/0.jpg", "No photo of nobody is in the gallery."))
    assert found.stage1.queries == 0
    with pytest.raises(BadSetting, match="metrics"):
        evaluate(small, [photo], [EMD], reading="hopeful")


@pytest.mark.parametrize(("correct", "relevant", "k", "expected"), [
    ([0, 0, 1, 0, 1], 2, 3, (1, 1 / 2, 1 / 2)),
    ([0, 0, 1, 0, 1], 2, 5, (1, 1, 1)),
    ([0, 0, 1, 0, 1], 3, 2, (0, 1 / 3, 1 / 9)),     # nothing among the first two; rank 3 stays
    ([0, 1, 1], 2, 1, (0, 1 / 2, 1 / 4)),
])
def test_best_possible(correct, relevant, k, expected):
    assert best_possible([bool(hit) for hit in correct], relevant, k) == pytest.approx(expected)


def test_no_re_ranking_beats_the_best_possible():
    generator = np.random.default_rng(0)
    for _ in range(100):
        correct, k = generator.random(30) < 0.2, int(generator.integers(1, 30))
        relevant = max(1, int(correct.sum()))
        shuffled = np.concatenate([generator.permutation(correct[:k]), correct[k:]])
        best = best_possible(correct, relevant, k)
        assert all(a >= b - 1e-12 for a, b in zip(best, score_query(shuffled, relevant), strict=True))


def test_features_are_kept_and_an_evaluation_goes_on(small, tmp_path, monkeypatch):
    """Stopped after two queries, the second run prepares only the rest; what comes back is what went in, in half
    precision."""
    queries, prepared = [replace(query, row=None) for query in leave_one_out(small.gallery)[:4]], []
    prepare = store.prepare_query

    def counted(file, *rest):
        prepared.append(file)
        if len(prepared) == 3:
            raise KeyboardInterrupt
        return prepare(file, *rest)

    monkeypatch.setattr(store, "prepare_query", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(small, queries, [EMD.having(k=5)], store=FeatureStore(tmp_path, small.backbone))
    found = evaluate(small, queries, [EMD.having(k=5)], store=FeatureStore(tmp_path, small.backbone))
    assert len(prepared) == 5 and found.cached == 2
    monkeypatch.setattr(store, "prepare_query", prepare)
    kept = FeatureStore(tmp_path, small.backbone)
    again, fresh = (one.features(queries[0].file, Preparation()) for one in (kept, FeatureStore(None, small.backbone)))
    assert kept.hits == 1 and again.grid == fresh.grid and again.maps.keys() == fresh.maps.keys()
    assert (again.patches == fresh.patches.half()).all() and again.patches.dtype == torch.float32
    assert (again.landmarks == fresh.landmarks).all()
    kept.features(queries[0].file, Preparation(seed=9))  # nothing is drawn: the same features
    assert kept.hits == 2
    monkeypatch.setattr("demo.attack.VERSION", 99)
    kept.features(queries[0].file, Preparation())
    assert kept.hits == 3  # nothing is attacked
    monkeypatch.setattr("demo.faces.VERSION", 99)
    kept.features(queries[0].file, Preparation())
    assert kept.hits == 3  # aligned by another version: not used


def test_a_photo_without_a_face_is_remembered(small, tmp_path, monkeypatch):
    calls = []

    def fails(*rest):
        calls.append(rest)
        raise NoFace("There is no face.")

    monkeypatch.setattr(store, "prepare_query", fails)
    photo = QueryPhoto("a/0.jpg", small.gallery.photo_file(0), "a", (0,))
    for _ in range(2):
        found = evaluate(small, [photo], [EMD], store=FeatureStore(tmp_path, small.backbone))
        assert found.skipped == (("a/0.jpg", "There is no face."),)
    assert len(calls) == 1


def test_every_query_is_written_with_its_ranks(small, tmp_path):
    """The ranks are those of ``Identifier.rank``, and the means of the columns those of the table."""
    settings = [EMD.having(k=3), Matching(method="h2l", k=3)]
    queries = leave_one_out(small.gallery)
    nobody = replace(queries[0], identity="nobody", path="=nobody/1.jpg, or so", exclude=(), number=None)
    found = evaluate(small, [*queries, nobody], settings, Preparation(seed=5), store=GalleryFeatures(small))
    write_per_query(found.records, tmp_path / "queries.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["queries.csv"]
    with open(tmp_path / "queries.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    *used, last = rows
    assert (last["query"], last["seed"], last["ranking"], last["P@1"]) == (nobody.path, str(5 + len(queries)), "", "")
    assert last["skipped"] == "No photo of nobody is in the gallery."
    by_ranking = defaultdict(list)
    for row in used:
        by_ranking[row["ranking"]].append(row)
    scores = {"Stage 1": found.stage1, "Stage 2, apc, finest, k 3": found.stage2[settings[0]],
              "Stage 2, h2l, k 3": found.stage2[settings[1]]}
    assert by_ranking.keys() == scores.keys()
    for name, expected in scores.items():
        own = by_ranking[name]
        assert [row["query"] for row in own] == [query.path for query in queries]
        assert [int(row["seed"]) for row in own] == list(range(5, 5 + len(queries)))
        for column, mean in expected.as_json().items():
            assert np.mean([float(row[column]) for row in own]) == pytest.approx(mean, abs=1e-5)
        for number, query in enumerate(queries):
            features = stored(small.gallery, number)
            matching = Matching(method="none") if name == "Stage 1" else settings["h2l" in name]
            ranking = small.rank(SimpleNamespace(features=features), matching, exclude=query.exclude).ranking
            first = next(rank for rank, match in enumerate(ranking, 1) if match.identity == query.identity)
            assert int(own[number]["first_right"]) == first
    with pytest.raises(BadSetting, match=r"queries.csv cannot be written"):
        write_per_query(found.records, tmp_path / "nowhere" / "queries.csv")


def test_settings_of_one_method_share_its_distances(small, monkeypatch):
    """Alpha and k do not change them; the published solver's depend on how many are measured together."""
    asked, grounds, measures, ground = [], [], Identifier.measures, demo.methods.emd.ground_distance

    def counted(self, features, rows, matching, clock):
        under = measures(self, features, rows, matching, clock)

        def each(setting):
            asked.append((setting.method, len(rows)))
            return under(setting)

        return each

    monkeypatch.setattr(Identifier, "measures", counted)
    monkeypatch.setattr("demo.methods.emd.ground_distance", lambda *parts: grounds.append(1) or ground(*parts))
    settings = [EMD.having(k=2), EMD.having(k=4, alpha=0.2), EMD.having(k=3).having(adaptive=True, alpha=0.1),
                EMD.having(k=2).having(solver="authors"), EMD.having(k=3).having(solver="authors"),
                EMD.having(k=2).having(weighting="uniform"), Matching(method="h2l", k=4), Matching(method="h2l", k=2)]
    monkeypatch.setattr(Identifier, "alpha", lambda self, matching, features: 0.5)
    measured = SimpleNamespace(head=None, distances={}, alphas={}, ms={})
    places(small, 0, settings, (0,), measured)
    assert sorted(asked) == [("emd", 2), ("emd", 3), ("emd", 5), ("emd", 5), ("h2l", 5)]
    assert len(grounds) == 3  # both weightings of the whole share it
    asked.clear()
    more = [replace(settings[0], k=6), replace(settings[0], alpha=0.1, k=3)]
    places(small, 0, more, (0,), measured)
    assert asked == [("emd", 2)]  # further candidates alone; another alpha costs nothing


@pytest.mark.parametrize("file", [store.FILE, journal.FILE, curve_store.FILE])
@pytest.mark.parametrize("make", [
    lambda file: file.write_bytes(b"no database" * 100), os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero"),
    lambda file: sqlite3.connect(file).executescript("CREATE TABLE features (a); CREATE TABLE measured (a)"),
    lambda file: os.mkfifo(f"{file}-wal"),
])
def test_a_damaged_cache_is_told(small, tmp_path, file, make):
    make(tmp_path / file)
    with pytest.raises(BadSetting, match="delete it"):
        CurveStore(tmp_path) if file == curve_store.FILE else FeatureStore(tmp_path, small.backbone)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\xff" * 8, None, 7, "text"])
def test_a_damaged_line_of_a_cache_is_told(small, tmp_path, data):
    photo = QUERIES / "person-001" / "04.jpg"
    kept, curves = FeatureStore(tmp_path, small.backbone), CurveStore(tmp_path)
    kept.features(photo, Preparation())
    curves.write({"a": np.arange(3)}, "photo")
    kept.journal._base.execute("INSERT INTO measured VALUES ('query', 'head', '', 0.0, ?)", (data,))
    for base, table in ((kept._base, "features"), (curves._base, "measured")):
        with base:
            base.execute(f"UPDATE {table} SET data = ?", (data,))
    for read in (lambda: kept.features(photo, Preparation()), lambda: curves.read("photo"),
                 lambda: kept.journal.read("query")):
        with pytest.raises(BadSetting, match="is damaged: delete it"):
            read()


def test_what_was_measured_is_not_measured_again(small, tmp_path, monkeypatch):
    """Nor for another alpha, a smaller k, or the other count of the right photos."""
    settings = [EMD.having(k=5), EMD.having(k=5).having(weighting="uniform")]
    first = evaluate(small, leave_one_out(small.gallery), settings, store=FeatureStore(tmp_path, small.backbone))
    assert first.cached <= 1  # a photo that there is twice
    monkeypatch.setattr(Identifier, "measures", None)
    again = evaluate(small, leave_one_out(small.gallery), [EMD.having(k=3), *settings],
                     store=FeatureStore(tmp_path, small.backbone))
    assert again.cached == 8 and again.stage2[settings[1]] == first.stage2[settings[1]]
    assert again.stage2_ms[settings[0]] == first.stage2_ms[settings[0]] > 0
    paper = evaluate(small, leave_one_out(small.gallery, "paper"), settings, reading="paper",
                     store=FeatureStore(tmp_path, small.backbone))
    assert paper.stage1.rp < first.stage1.rp
    monkeypatch.setattr("demo.methods.VERSION", 99)
    with pytest.raises(TypeError):  # measured by another version: not used
        evaluate(small, leave_one_out(small.gallery), settings, store=FeatureStore(tmp_path, small.backbone))


@pytest.mark.slow
def test_several_threads_find_what_one_finds(identifier):
    queries = leave_one_out(identifier.gallery)[:40]
    settings = [EMD.having(k=20), EMD.having(k=20).having(weighting="uniform", grid=(4, 4)), Matching(method="none")]
    one, two = (evaluate(identifier, queries, settings, jobs=jobs) for jobs in (1, 2))
    assert one.records == two.records and (one.jobs, two.jobs) == (1, 2)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_finds_the_same(tmp_path, capsys, monkeypatch):
    """Killed while it measures, as by kill -9; what the next run finds is what an undisturbed one finds."""
    words = ["evaluate", "--queries", str(QUERIES), "--occlude", "sunglasses", "--limit", "16", "--device", "cpu"]
    environment = {**os.environ, "DEMO_CACHE": str(tmp_path / "killed"), "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, "-m", "demo", *words], env=environment, cwd=ROOT,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def heads() -> int:
        try:
            with closing(sqlite3.connect(f"file:{tmp_path / 'killed' / journal.FILE}?mode=ro", uri=True)) as base:
                return base.execute("SELECT count(*) FROM measured WHERE kind = 'head'").fetchone()[0]
        except sqlite3.Error:
            return 0

    while heads() < 4 and run.poll() is None:
        time.sleep(0.05)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    found = []
    for folder in ("killed", "whole"):
        for module in ("demo.cli.arguments", "demo.cli.data"):
            monkeypatch.setattr(f"{module}.settings", lambda folder=folder: Settings(cache=tmp_path / folder))
        table = tmp_path / f"{folder}.csv"
        assert main([*words, "--per-query", str(table), "--json"]) == 0
        found.append((json.loads(capsys.readouterr().out)["cached"], table.read_text(encoding="utf-8")))
    assert 4 <= found[0][0] < 16 and found[1][0] == 0
    assert found[0][1] == found[1][1]


def test_photos_that_another_index_has_are_not_computed_again(people, backbone, tmp_path, monkeypatch):
    index = Gallery.build(people, backbone, tmp_path / "index")
    monkeypatch.setattr("demo.gallery.compute.load_photo", None)
    (tmp_path / "part").mkdir()
    shutil.copytree(people / "person-002", tmp_path / "part" / "person-002")
    part = open_or_build(tmp_path / "part", backbone, tmp_path / "cache", known=tmp_path / "index")
    assert len(part) == 2 and (part.features([1]).patches == index.features([3]).patches).all()


@pytest.mark.parametrize("name", ["weighting", "alpha", "k", "one-stage", "solver", "bound", "time", "backbone"])
def test_ablations_make_tables(small, name):
    bench = Bench(lambda backbone: small, lambda one: leave_one_out(one.gallery)[:3], GalleryFeatures, "dlib",
                  matching=EMD.having(k=4))
    table = ABLATIONS[name].run(bench)
    assert {"P@1", "RP", "MAP@R"} <= set(table.columns) and len(table.rows) >= 2
    assert len(table.as_markdown().splitlines()) == len(table.rows) + 4
    assert json.loads(json.dumps(table.as_json()))["rows"][0][table.columns[0]] == table.rows[0][0]
    if name == "alpha":  # nothing of the patches: Stage 1's order
        assert table.rows[1][1:4] == table.rows[0][1:4]
        assert [row[4] for row in table.rows[:2]] == ["-", "+0.00 (+0.00 to +0.00)"]


def test_verification_of_drawn_pairs(backbone, small):
    pairs = drawn_pairs(photos_of(small.gallery.manifest.photos)[1], 5, seed=0)
    found = verify_pairs(pairs, backbone, (Preparation(), Preparation()), store=GalleryFeatures(small))
    assert [method.method for method in found.methods] == ["cosine", "emd", "h2l", "h2", "h1"]
    assert found.skipped == ()
    assert (found.genuine, found.strangers, found.folds) == (5, 5, 2)
    cosine, emd = found.methods[:2]
    gallery = small.gallery
    rows = {gallery.photo_file(row): row for row in range(len(gallery))}
    expected = [1 - float(gallery.embeddings[rows[pair.first.file]] @ gallery.embeddings[rows[pair.second.file]])
                for pair in pairs]
    assert cosine.distances == pytest.approx(np.array(expected), abs=1e-5)
    assert emd.alpha == 0.7 and cosine.alpha is None and found.as_json()["methods"][1]["auc"] == 100 * emd.roc.auc
    assert "| EMD, α = 0.7 |" in found.as_table()


def test_stacked_features_are_the_single_ones(identifier):
    parts = [identifier.gallery.features([row]) for row in (3, 8)]
    both, expected = stack(parts), identifier.gallery.features([3, 8])
    assert (both.patches == expected.patches).all() and (both.landmarks == expected.landmarks).all()


def test_evaluate_from_list_files(capsys, tmp_path, monkeypatch):
    """Identification from lists with number labels; source photos left out, and found again when asked for."""
    for module in ("demo.cli.arguments", "demo.cli.data"):
        monkeypatch.setattr(f"{module}.settings", lambda: dlib_settings(tmp_path))
    gallery, queries = tmp_path / "gallery.txt", tmp_path / "queries.txt"
    gallery.write_text("".join(f"person-00{who}/0{photo}.jpg,{who}\n" for who in (1, 2) for photo in (1, 2)))
    queries.write_text("person-001/01.jpg,1\n")
    asked = ["evaluate", "--gallery", gallery, "--queries", queries, "--base", BUNDLED, "--stage2", "none", "--json"]
    answers = []
    for more in ([], ["--metrics", "paper"], ["--metrics", "paper", "--exclude-source-photo"]):
        assert main([*map(str, asked), *more]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert [answer["left_out"] for answer in answers] == [1, 0, 1]
    assert [answer["stage1"]["P@1"] for answer in answers] == [100, 100, 100] and answers[0]["gallery"] == 4
    assert answers[1]["stage1"]["RP"] == 100


def test_evaluate_takes_several_weightings(capsys, people, tmp_path, monkeypatch):
    for module in ("demo.cli.arguments", "demo.cli.data"):
        monkeypatch.setattr(f"{module}.settings", lambda: dlib_settings(tmp_path))
    common = ["evaluate", "--gallery", str(people), "--stage2", "emd"]

    def rows(*more) -> list[str]:
        assert main([*common, *map(str, more)]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line.split("|")[1].strip() for line in lines if line.startswith("| Stage 2")]

    file = tmp_path / "queries.csv"
    assert rows("--weighting", "uniform", "apc", "--weighting", "sc", "--per-query", file) == [
        "Stage 2, uniform, 8x8", "Stage 2, apc, 8x8", "Stage 2, sc, 8x8"]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1 + 8 * 4
    assert rows("--weighting", "apc", "cc", "--grid", "4x4", "8x8") == [
        "Stage 2, apc, 4x4", "Stage 2, apc, 8x8", "Stage 2, cc, 8x8"]
    assert rows("--stage2", "h2l", "--weighting", "all", "--grid", "all") == ["Stage 2, h2l"]
    assert rows("--alpha", "0", "0.7", "--k", "2", "--k", "100", "--grid", "8x8") == [
        "Stage 2, apc, 8x8, α 0, k 2", "Stage 2, apc, 8x8, α 0", "Stage 2, apc, 8x8, α 0.7, k 2",
        "Stage 2, apc, 8x8, α 0.7"]
    assert rows("--stage2", "none", "--weighting", "all") == []
    for wrong, said in ((["--weighting", "apc", "cc", "--grid", "4x4"], "128"), (["--grid", "3x3"], "3x3"),
                        (["--per-query", str(tmp_path / "no" / "q.csv")], "cannot be written"),
                        (["--weighting", "guess"], "choose from apc"), (["--k", "all"], "cannot be")):
        assert main([*common, *wrong]) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]


def test_verify_and_ablation_commands(capsys, people, tmp_path, monkeypatch):
    for module in ("demo.cli.arguments", "demo.cli.data", "demo.cli.evaluate.ablation"):
        monkeypatch.setattr(f"{module}.settings", lambda: dlib_settings(tmp_path))
    assert main(["evaluate", "verify", "--root", str(people), "--draw", "4", "--json"]) == 0
    assert {one["method"] for one in json.loads(capsys.readouterr().out)["methods"]} == {
        "cosine", "emd", "h2l", "h2", "h1"}
    assert main(["evaluate", "verify", "--root", str(people)]) == 2
    assert "No pair list was found" in capsys.readouterr().err
    assert main(["evaluate", "ablation", "bound", "--gallery", str(people)]) == 0
    assert "| best possible at k = 50 | 100.00 (100.00 to 100.00) |" in capsys.readouterr().out
    assert main(["evaluate", "ablation", "methods", "--gallery", str(people), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["model"] for row in rows] == ["C", "H1", "H2", "H2L", "D"]
    assert all(row["P@1"] == 100 and row["verification accuracy"] >= 50 for row in rows)
    ours = str(ROOT / "assets" / "h2l-dlib.safetensors")
    assert main(["evaluate", "ablation", "sizes", "--gallery", str(people), "--models", ours]) == 0
    assert "| h2l-dlib.safetensors | 1 | 4 | 256 | 100.00 (100.00 to 100.00) |" in capsys.readouterr().out
    assert main(["evaluate", "ablation", "sizes", "--gallery", str(people)]) == 2
    assert "--models" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "--gallery", str(people), "verify"])
    assert "options follow the action: write --gallery after verify" in capsys.readouterr().err


def test_no_bundled_query_passes_for_a_source_photo(bundled):
    assert all(query.exclude == () for query in query_set(photos_of(QUERIES)[1], bundled))
