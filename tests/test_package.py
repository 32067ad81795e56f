"""The package as a program meets it."""

import importlib
import inspect
import subprocess
import sys

import pytest

import demo
from demo.query import asked


def test_the_names_at_the_root_are_there():
    for name in demo.__all__:
        assert getattr(demo, name) is not None and name in dir(demo)
    assert demo.compare.__name__ == "verify"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        demo.nothing  # noqa: B018


def test_rooms_are_reached_from_the_root():
    code = ("import sys, demo; assert 'demo.figures' not in sys.modules and 'figures' in dir(demo); "
            "print(demo.explain.explain.__name__, demo.figures.pair_of.__name__, demo.places.ASSETS.is_dir())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["explain", "pair_of", "True"]


def test_importing_the_root_loads_no_network():
    code = "import sys, demo; print('torch' in sys.modules, demo.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", demo.__version__]


#: What other programs rely on: function → its parameters by name, in order. More may follow with defaults.
CONTRACTS = {
    "demo.faces:load_photo": "source", "demo.faces:detect_faces": "photo", "demo.faces:align": "photo face template",
    "demo.faces:occlude": "photo face kind style seed", "demo.backbones:available": "",
    "demo.backbones:load_backbone": "name weights device", "demo.backbones:Backbone.extract": "self crops",
    "demo.matching:patch_weights": "query candidates method", "demo.matching:transport": "cost u v solver",
    "demo.matching:emd": "query candidates method solver grid", "demo.crossimage:load_h2l": "weights device",
    "demo.crossimage:CrossImageModel.compare": "self crops_a crops_b", "demo.gallery:Gallery.build": "folder backbone",
    "demo.gallery:Gallery.open": "path", "demo.gallery:Gallery.search": "self embedding k",
    "demo.identify:Identifier": "backbone gallery", "demo.identify:Identifier.identify": "self photo stage2",
}


@pytest.mark.parametrize("place", CONTRACTS)
def test_what_programs_rely_on_keeps_its_names(place):
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    parameters = list(inspect.signature(found).parameters)
    expected = CONTRACTS[place].split()
    assert [one for one in parameters if one in expected] == expected
    assert parameters[:1] == expected[:1] or not expected


def test_settings_of_an_identification_go_by_their_published_names():
    preparation, matching = asked(stage2="h2l", weighting="sc", alpha=0.5, k=7, grid=(4, 4), occlusion="mask", seed=2)
    assert (preparation.alteration, preparation.seed, matching.method, matching.k) == ("mask", 2, "h2l", 7)
