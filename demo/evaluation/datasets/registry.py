"""The data sets of the papers: where to get them, how they must lie, and how their photos and pairs are read.

A further data set is one entry here, with a layout of ``layouts`` and, for verification, a reader of ``pairs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from demo.errors import BadSetting
from demo.evaluation.datasets import layouts
from demo.evaluation.datasets import pairs as readers
from demo.gallery import Photo

Photos = Callable[[Path], list[Photo]]


@dataclass(frozen=True)
class Dataset:
    """A data set or a protocol of one.

    name: the word used everywhere. source, layout, licence: the recipe, a sentence each. photos: folder → the photos
    with identities. read_pairs: reader of its pair list. queries: folder → the protocol's queries, where they are
    others than the photos. pairs: where the pair list lies in the folder, first found. expected: what is counted → the
    number that the release is known to have.
    """

    name: str
    title: str
    source: str
    layout: str
    licence: str
    photos: Photos = field(repr=False)
    read_pairs: readers.Reader = field(repr=False)
    queries: Photos | None = field(default=None, repr=False)
    pairs: tuple[str, ...] = ()
    expected: Mapping[str, int] = field(default_factory=dict)

    def pair_list(self, root: Path) -> Path | None:
        """Where the pair list lies in a folder, or None."""
        return next((root / place for place in self.pairs if (root / place).exists()), None)


_LFW = ("lfw", "lfw-deepfunneled", "lfw_funneled")
_WHDENG = "non-commercial research"
_ROWS = (
    Dataset("folders", "Any folder per person", "Your own photos.",
            "PERSON/any-name.jpg; suffixes jpg, png, webp, bmp, tif, gif.", "yours", layouts.folder_per_person,
            read_pairs=readers.three_column_pairs),
    Dataset("list", "Any list of photos", "Your own, or the lists of the DeepFace-EMD repository.",
            "A text file of lines relative/path.jpg,label without a header; paths start where the list lies.", "yours",
            layouts.listed_photos, read_pairs=readers.three_column_pairs),
    Dataset("lfw", "Labeled Faces in the Wild",
            "lfw.tgz, pairs.txt, pairsDevTrain.txt and pairsDevTest.txt from vis-www.cs.umass.edu/lfw, or by "
            "scikit-learn's fetch_lfw_pairs, which downloads the same files.",
            "lfw/Some_Name/Some_Name_0001.jpg (or lfw_funneled, lfw-deepfunneled, or the people in the folder itself), "
            "pairs.txt beside it.", "research only",
            partial(layouts.folder_per_person, places=_LFW), read_pairs=readers.lfw_pairs,
            pairs=("pairs.txt", "pairsDevTest.txt", "pairsDevTrain.txt"),
            expected={"photos": 13_233, "people": 5_749, "people with two or more": 1_680, "pairs": 6_000}),
    Dataset("lfw-1680", "LFW, people with two photos or more", "As lfw.",
            "As lfw; only the people of whom there are two photos or more, as in DeepFace-EMD's list lfw_128x128_1680.",
            "research only", partial(layouts.people_with_several, places=_LFW), read_pairs=readers.lfw_pairs,
            pairs=("pairs.txt",), expected={"photos": 9_164, "people": 1_680}),
    Dataset("calfw", "Cross-Age LFW", "calfw.zip from whdeng.cn/CALFW; the list of September 2018 is the valid one.",
            "images&landmarks/images&landmarks/images/Some_Name_0001.jpg (or 'aligned images/'), pairs_CALFW.txt in "
            "the folder itself.",
            _WHDENG, partial(layouts.named_photos, places=("images&landmarks/images&landmarks/images",
                                                           "images&landmarks/images", "images", "aligned images")),
            read_pairs=readers.two_line_pairs, pairs=("pairs_CALFW.txt",),
            expected={"photos": 12_174, "pairs": 6_000}),
    Dataset("cplfw", "Cross-Pose LFW", "cplfw.zip from whdeng.cn/CPLFW.",
            "images/Some_Name_1.jpg (or 'aligned images/'), pairs_CPLFW.txt beside.", _WHDENG,
            partial(layouts.named_photos, places=("images", "aligned images")),
            read_pairs=readers.two_line_pairs, pairs=("pairs_CPLFW.txt",),
            expected={"photos": 11_652, "pairs": 6_000}),
    Dataset("mlfw", "Masked LFW", "MLFW.zip from whdeng.cn/mlfw.",
            "origin/Some_Name_0001_0000.jpg (or aligned/), pairs.txt beside: 'first second 1' a line.", _WHDENG,
            partial(layouts.named_photos, places=("origin", "aligned")),
            read_pairs=readers.three_column_pairs, pairs=("pairs.txt",), expected={"photos": 12_000, "pairs": 6_000}),
    Dataset("talfw", "Transferable adversarial LFW", "TALFW.zip from whdeng.cn/TALFW; queries against lfw.",
            "Names as in LFW, in one folder per person or all in one; it brings no pairs: give LFW's.", _WHDENG,
            partial(layouts.named_photos, places=("TALFW", *_LFW)), read_pairs=readers.lfw_pairs, pairs=("pairs.txt",),
            expected={"photos": 4_069}),
    Dataset("agedb", "AgeDB", "By application to ibug.doc.ic.ac.uk/resources/agedb.",
            "AgeDB/0_MariaCallas_35_f.jpg (or 03_Protocol_Images/), 04_FINAL_protocol_30_years.mat beside.",
            "non-commercial research, on signature",
            partial(layouts.agedb_photos, places=("AgeDB", "03_Protocol_Images")), read_pairs=readers.agedb_pairs,
            pairs=("04_FINAL_protocol_30_years.mat",), expected={"photos": 16_488, "people": 568, "pairs": 6_000}),
    Dataset("cfp-fp", "CFP, profile against frontal", "cfp-dataset.zip from cfpw.io.",
            "Data/Images/001/frontal/01.jpg and profile/01.jpg; Protocol/Pair_list_F.txt, Pair_list_P.txt and "
            "Protocol/Split/FP/01/same.txt and diff.txt beside.", "research only",
            partial(layouts.cfp_photos, view="frontal"), queries=partial(layouts.cfp_photos, view="profile"),
            read_pairs=readers.cfp_pairs, pairs=("Protocol/Split/FP",),
            expected={"photos": 5_000, "people": 500, "queries": 2_000, "pairs": 7_000}),
    Dataset("cfp-ff", "CFP, frontal against frontal", "cfp-dataset.zip from cfpw.io.",
            "As cfp-fp, with Protocol/Split/FF/01/same.txt and diff.txt.", "research only",
            partial(layouts.cfp_photos, view="frontal"), read_pairs=readers.cfp_pairs, pairs=("Protocol/Split/FF",),
            expected={"photos": 5_000, "people": 500, "pairs": 7_000}),
)
DATASETS = {dataset.name: dataset for dataset in _ROWS}


def dataset(name: str) -> Dataset:
    """A data set by name; BadSetting for an unknown one."""
    if name not in DATASETS:
        raise BadSetting(f"Unknown data set {name!r}: choose from {', '.join(DATASETS)}.")
    return DATASETS[name]


def photos_of(path: str | Path, name: str | None = None, root: Path | None = None) -> tuple[Path, list[Photo]]:
    """(folder that the paths start from, photos) of a data set in ``path``.

    name: how it lies (default: a file is a list, a folder has one sub-folder per person). root: where the paths of a
    list file start, if not beside it. BadGallery where the photos do not lie like that.
    """
    path = Path(path)
    chosen = dataset(name or ("list" if path.is_file() else "folders"))
    if chosen.name == "list":
        base = Path(root) if root else path.parent
        return base, layouts.listed_photos(path, base)
    return path, chosen.photos(path)


def pairs_of(path: str | Path, name: str | None = None, file: Path | None = None,
             root: Path | None = None) -> list[readers.Pair]:
    """The official pairs of a data set in ``path``. file: the list, if not where the release has it.

    BadSetting where there is no list, or it does not fit the photos.
    """
    path = Path(path)
    chosen = dataset(name or ("list" if path.is_file() else "folders"))
    found = file or chosen.pair_list(path)
    if found is None:
        usual = f", usually {chosen.pairs[0]}" if chosen.pairs else ""
        raise BadSetting(f"No pair list was found in {path}: give one with --pairs{usual}, or draw pairs with --draw.")
    photos = photos_of(path, chosen.name, root)[1] + (chosen.queries(path) if chosen.queries else [])
    return chosen.read_pairs(photos, Path(found))
