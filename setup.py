"""What pyproject.toml cannot say: two folders beside the package that become part of it when it is installed."""

import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

#: Package of data alone → its folder. ``demo.places.bundled`` finds them in either place.
DATA = {"demo.assets": "assets", "demo.galleries": "galleries"}


class Afresh(build_py):
    """Without what an earlier ``pip install .`` of the same copy left in ``build/``: modules that are gone would be
    installed again."""

    def run(self):
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(
    cmdclass={"build_py": Afresh},
    packages=[*find_packages(include=["demo", "demo.*"]), *DATA],
    package_dir=DATA,
    package_data={"demo": ["py.typed"], "demo.matching": ["*.cu"],
                  **dict.fromkeys(DATA, ["**/*", "**/.index/*/*", "**/.index/*/*/*"])},  # * passes over .index
    exclude_package_data={"demo.assets": ["screenshot.png"]},
)
