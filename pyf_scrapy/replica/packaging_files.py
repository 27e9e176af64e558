"""The files of a repository that say which package is built from it."""

from __future__ import annotations

from pyf_scrapy.replica.dice import Dice


def pyproject(name: str) -> str:
    """A `pyproject.toml` with the metadata of PEP 621."""
    return (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        f'[project]\nname = "{name}"\ndynamic = ["version"]\nrequires-python = ">=3.9"\n\n'
        '[tool.pytest.ini_options]\naddopts = "-q"\n'
    )


def workspace() -> str:
    """The `pyproject.toml` at the root of a repository of several packages: it names none."""
    return '[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[tool.ruff]\nline-length = 100\n'


def packaging_files(dice: Dice, name: str) -> dict[str, str]:
    """The files at the root, in the ways people write them, all of them naming the package."""
    draw = dice.fraction()
    if draw < 0.6:
        return {"pyproject.toml": pyproject(name), "README.md": f"# {name}\n"}
    if draw < 0.7:
        text = f'[tool.poetry]\nname = "{name}"\n\n[tool.poetry.dependencies]\npython = "^3.9"\n'
        return {"pyproject.toml": text}
    # A pyproject.toml that only tells how to build stands beside most of the older files.
    files = {}
    if dice.chance(0.5):
        files["pyproject.toml"] = '[build-system]\nrequires = ["setuptools>=61", "wheel"]\n'
    if draw < 0.8:
        files["setup.cfg"] = f"[metadata]\nname = {name}\nversion = 1.0\n\n[options]\npackages = find:\n"
        files["setup.py"] = "from setuptools import setup\n\nsetup()\n"
        return files
    files["setup.py"] = "from setuptools import find_packages, setup\n\n" + dice.pick(
        (
            f'setup(\n    name="{name}",\n    version="1.0",\n    packages=find_packages(),\n)\n',
            f"version = '1.0'\n\nsetup(name='{name}',\n      version=version,\n      packages=['src'])\n",
            f'NAME = "{name}"\n\nsetup(name=NAME, version="1.0", packages=find_packages("src"))\n',
        )
    )
    return files
