"""Data sets in small copies of their official layouts, with files named as in the releases."""

import json
from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from demo.cli import main
from demo.errors import BadGallery, BadSetting
from demo.evaluation.datasets import DATASETS, check_dataset, drawn_pairs, pairs_of, photos_of


def place(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return root


def people(photos):
    return {photo.path: photo.identity for photo in photos}


def facts(pairs):
    return [(pair.first.file.stem, pair.second.file.stem, pair.same, pair.fold) for pair in pairs]


@pytest.fixture
def lfw(tmp_path):
    return place(tmp_path, *(f"lfw/{name}/{name}_{number:04d}.jpg" for name in ("Ann_Lee", "Bo_Ek", "Cy_Oh", "Di_Um")
                             for number in (1, 2)), "lfw/Ann_Lee/Ann_Lee_0012.jpg")


def test_lfw_folds(lfw):
    (lfw / "pairs.txt").write_text("2\t1\nAnn_Lee\t1\t12\nAnn_Lee\t2\tBo_Ek\t1\nCy_Oh\t1\t2\nCy_Oh\t1\tDi_Um\t2\n")
    base, photos = photos_of(lfw, "lfw")
    assert base == lfw and len(photos) == 9 and people(photos)["lfw/Bo_Ek/Bo_Ek_0002.jpg"] == "Bo_Ek"
    assert facts(pairs_of(lfw, "lfw")) == [
        ("Ann_Lee_0001", "Ann_Lee_0012", True, 0), ("Ann_Lee_0002", "Bo_Ek_0001", False, 0),
        ("Cy_Oh_0001", "Cy_Oh_0002", True, 1), ("Cy_Oh_0001", "Di_Um_0002", False, 1)]


def test_lfw_view_1_has_no_folds(lfw):
    (lfw / "dev.txt").write_text("1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Ek\t2\n")
    assert facts(pairs_of(lfw, "lfw", lfw / "dev.txt")) == [
        ("Ann_Lee_0001", "Ann_Lee_0002", True, None), ("Ann_Lee_0001", "Bo_Ek_0002", False, None)]


@pytest.mark.parametrize(("text", "words"), [
    ("Ann_Lee 1 2\n", "does not begin"), ("1\nAnn_Lee 1\n", "has a line"), ("1\nAnn_Lee 1 9\n", "Ann_Lee_0009"),
    ("1\nAnn_Lee one two\n", "has a line"), ("", "is empty")])
def test_bad_pair_lists_are_told(lfw, text, words):
    (lfw / "bad.txt").write_text(text)
    with pytest.raises(BadSetting, match=words):
        pairs_of(lfw, "lfw", lfw / "bad.txt")


def test_calfw_gives_folds_of_own_pairs_only(tmp_path):
    place(tmp_path, *(f"aligned images/{name}_{number:04d}.jpg" for name in ("A_B", "C_D") for number in (1, 2)))
    (tmp_path / "pairs_CALFW.txt").write_text("A_B_0001.jpg 1\nA_B_0002.jpg 1\nC_D_0001.jpg 7\nC_D_0002.jpg 7\n"
                                              "A_B_0001.jpg 0\nC_D_0001.jpg 0\nA_B_0002.jpg 0\nC_D_0002.jpg 0\n")
    assert facts(pairs_of(tmp_path, "calfw")) == [
        ("A_B_0001", "A_B_0002", True, 0), ("C_D_0001", "C_D_0002", True, 6),
        ("A_B_0001", "C_D_0001", False, 0), ("A_B_0002", "C_D_0002", False, 5)]


def test_cplfw_with_its_misspelt_names(tmp_path):
    place(tmp_path, "images/A_B_1.jpg", "images/A_B_2.jpg", "images/Leni_Bjorklund-2.jpg", "images/C_3jpg.jpg",
          "images/M_M_3.jip.jpg")
    (tmp_path / "pairs_CPLFW.txt").write_text("A_B_1.jpg 1\nA_B_2.jpg 1\nA_B_1.jpg 0\nM_M_3.jip.jpg 0\n")
    assert set(people(photos_of(tmp_path, "cplfw")[1]).values()) == {"A_B", "Leni_Bjorklund", "C", "M_M"}
    assert [pair[2:] for pair in facts(pairs_of(tmp_path, "cplfw"))] == [(True, 0), (False, 0)]
    (tmp_path / "pairs_CPLFW.txt").write_text("A_B_1.jpg 1\nA_B_2.jpg 0\n")
    with pytest.raises(BadSetting, match="has a line"):
        pairs_of(tmp_path, "cplfw")


def test_mlfw_masks_have_a_second_number(tmp_path):
    place(tmp_path, "origin/A_B_0001_0000.jpg", "origin/A_B_0002_0001.jpg", "origin/C_0001_0000.jpg", "aligned/x_1.jpg")
    (tmp_path / "pairs.txt").write_text("A_B_0001_0000.jpg\tA_B_0002_0001.jpg\t1\n"
                                        "A_B_0001_0000.jpg\tC_0001_0000.jpg\t0\n")
    assert Counter(people(photos_of(tmp_path, "mlfw")[1]).values()) == {"A_B": 2, "C": 1}
    assert [pair.same for pair in pairs_of(tmp_path, "mlfw")] == [True, False]


@pytest.mark.parametrize("names", [("Ann_Lee/Ann_Lee_0001.jpg",), ("TALFW/Ann_Lee_0001.jpg",)])
def test_talfw_in_folders_or_flat(tmp_path, names):
    assert set(people(photos_of(place(tmp_path, *names), "talfw")[1]).values()) == {"Ann_Lee"}


def test_agedb_photos_and_protocol(tmp_path):
    place(tmp_path, "AgeDB/0_MariaCallas_35_f.jpg", "AgeDB/10_GlennClose_62_f.jpg", "AgeDB/1_MariaCallas_40_f.jpg")
    assert people(photos_of(tmp_path, "agedb")[1]) == {
        "AgeDB/0_MariaCallas_35_f.jpg": "MariaCallas", "AgeDB/10_GlennClose_62_f.jpg": "GlennClose",
        "AgeDB/1_MariaCallas_40_f.jpg": "MariaCallas"}
    named = np.dtype([("name", object), ("age", object)])
    cell = np.empty((2, 2), object)
    for row, column, name in ((0, 0, "0_MariaCallas_35_f"), (1, 0, "1_MariaCallas_40_f"),
                              (0, 1, "0_MariaCallas_35_f"), (1, 1, "10_GlennClose_62_f")):
        cell[row, column] = np.array([[(name, 35)]], named)
    splits = np.empty((1, 1), object)
    splits[0, 0] = np.array([[(cell, np.array([[1, -1]]))]], np.dtype([("pairs", object), ("labels", object)]))
    savemat(tmp_path / "04_FINAL_protocol_30_years.mat", {"splits": splits})
    assert facts(pairs_of(tmp_path, "agedb")) == [
        ("0_MariaCallas_35_f", "1_MariaCallas_40_f", True, 0), ("0_MariaCallas_35_f", "10_GlennClose_62_f", False, 0)]
    (tmp_path / "04_FINAL_protocol_30_years.mat").write_text("no matrix")
    with pytest.raises(BadSetting, match="not AgeDB's protocol"):
        pairs_of(tmp_path, "agedb")


def test_cfp_views_and_splits(tmp_path):
    place(tmp_path, *(f"Data/Images/{who}/{view}/0{number}.jpg" for who in ("001", "002")
                      for view in ("frontal", "profile") for number in (1, 2)))
    protocol = tmp_path / "Protocol"
    for letter, view in (("F", "frontal"), ("P", "profile")):
        lines = [f"{2 * (int(who) - 1) + number} ../Data/Images/{who}/{view}/0{number}.jpg"
                 for who in ("001", "002") for number in (1, 2)]
        place(tmp_path, f"Protocol/Pair_list_{letter}.txt").joinpath(f"Protocol/Pair_list_{letter}.txt").write_text(
            "\n".join(lines))
    for kind in ("FP", "FF"):
        for fold in ("01", "02"):
            place(protocol, f"Split/{kind}/{fold}/same.txt", f"Split/{kind}/{fold}/diff.txt")
            (protocol / f"Split/{kind}/{fold}/same.txt").write_text("1,2\n")
            (protocol / f"Split/{kind}/{fold}/diff.txt").write_text("1,4\n")
    gallery, queries = photos_of(tmp_path, "cfp-fp")[1], DATASETS["cfp-fp"].queries(tmp_path)
    assert {photo.path.split("/")[3] for photo in gallery} == {"frontal"} and len(queries) == 4
    first, second = pairs_of(tmp_path, "cfp-fp")[2:]
    assert first.first.path.endswith("001/frontal/01.jpg") and first.second.path.endswith("001/profile/02.jpg")
    assert (first.same, first.fold, second.same, second.fold) == (True, 1, False, 1)
    assert pairs_of(tmp_path, "cfp-ff")[1].second.path.endswith("002/frontal/02.jpg")
    assert check_dataset(tmp_path, "cfp-fp").counts == {"photos": 4, "people": 2, "people with two or more": 2,
                                                        "queries": 4, "pairs": 4}


def test_list_files(tmp_path):
    place(tmp_path, "data/A/1.jpg")
    (tmp_path / "list.txt").write_text("A/1.jpg,0\nB, the second/2.jpg,1\n")
    base, photos = photos_of(tmp_path / "list.txt", root=tmp_path / "data")
    assert base == tmp_path / "data" and people(photos) == {"A/1.jpg": "0", "B, the second/2.jpg": "1"}
    found = check_dataset(tmp_path / "list.txt", "list", tmp_path / "data")
    assert found.problems == ("Missing photos: B, the second/2.jpg.",)
    (tmp_path / "list.txt").write_text("A/1.jpg\n")
    with pytest.raises(BadGallery, match="Line 1 of list.txt"):
        photos_of(tmp_path / "list.txt")


def test_the_check_names_what_is_missing(lfw, capsys):
    assert main(["evaluate", "datasets", "lfw", "--check", str(lfw), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"photos": 9, "people": 4, "people with two or more": 4}
    assert "13224 photos are missing." in found["problems"]
    assert any(problem.startswith("No pair list was found") for problem in found["problems"])
    assert check_dataset(lfw / "lfw", "folders").problems == ()
    assert check_dataset(lfw / "nowhere", "mlfw").problems[0].endswith("is not a folder.")


def test_every_data_set_has_a_recipe(capsys):
    assert main(["evaluate", "datasets"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}: " in out for name in DATASETS) and "13,233 photos" in out
    assert main(["evaluate", "datasets", "--check", "."]) == 2


def test_drawn_pairs_keep_people_apart(lfw):
    photos = photos_of(lfw, "lfw")[1]
    pairs = drawn_pairs(photos, 4, seed=1)
    assert facts(pairs) == facts(drawn_pairs(photos, 4, seed=1)) != facts(drawn_pairs(photos, 4, seed=2))
    folds: dict[int, set] = {}
    for pair in pairs:
        assert pair.same == (pair.first.identity == pair.second.identity)
        folds.setdefault(pair.fold, set()).update({pair.first.identity, pair.second.identity})
    assert len(folds) == 2 and not folds[0] & folds[1]
    own = [pair for pair in pairs if pair.same]
    assert len({pair.first.identity for pair in own}) == 4  # everybody once before anybody twice
    assert len({frozenset((pair.first.path, pair.second.path)) for pair in pairs}) == len(pairs)
    with pytest.raises(BadSetting, match="two people"):
        drawn_pairs([photo for photo in photos if photo.identity == "Ann_Lee"], 4)
