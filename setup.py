"""Builds the egg that scrapyd runs (`scrapyd-deploy`). Nothing else needs it: a checkout runs as it is."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

from pyf_scrapy import __version__


class BuildWithProfiles(build_py):
    """Puts profiles.yaml, which stands beside scrapy.cfg, into the package, where an egg is searched."""

    def run(self) -> None:
        super().run()
        self.copy_file("profiles.yaml", f"{self.build_lib}/pyf_scrapy/profiles.yaml", preserve_mode=False)


setup(
    name="pyf_scrapy",
    version=__version__,
    packages=find_packages(include=["pyf_scrapy", "pyf_scrapy.*"]),
    entry_points={"scrapy": ["settings = pyf_scrapy.settings"]},
    cmdclass={"build_py": BuildWithProfiles},
    zip_safe=True,
)
