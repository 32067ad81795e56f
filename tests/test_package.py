"""The package as a program meets it."""

import subprocess
import sys

import pytest

import demo


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
