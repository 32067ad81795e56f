"""What pyproject.toml cannot say: two folders beside the package that become part of it when it is installed."""

from setuptools import find_packages, setup

#: Package of data alone → its folder. ``demo.places.bundled`` finds them in either place.
DATA = {"demo.assets": "assets", "demo.galleries": "galleries"}

setup(
    packages=[*find_packages(include=["demo", "demo.*"]), *DATA],
    package_dir=DATA,
    package_data={"demo": ["py.typed"], **dict.fromkeys(DATA, ["**/*", "**/.index/*/*"])},  # * passes over .index
    exclude_package_data={"demo.assets": ["screenshot.png"]},
)
