"""Builds the egg that scrapyd runs (`scrapyd-deploy`). Nothing else needs it: a checkout runs as it is."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

from pyf_scrapy import __version__
from pyf_scrapy.exceptions import ProfileError
from pyf_scrapy.profiles_file import parse_profiles, read_limited

PROFILES = "profiles.yaml"


class BuildWithProfiles(build_py):
    """Puts profiles.yaml, which stands beside scrapy.cfg, into the package, where an egg is searched."""

    def run(self) -> None:
        try:
            parse_profiles(read_limited(Path(PROFILES)), PROFILES)
        except ProfileError as error:  # here, and not in each job of the egg
            raise SystemExit(f"error: {error}") from None
        super().run()
        self.copy_file(PROFILES, f"{self.build_lib}/pyf_scrapy/{PROFILES}", preserve_mode=False)


setup(
    name="pyf_scrapy",
    version=__version__,
    packages=find_packages(include=["pyf_scrapy", "pyf_scrapy.*"]),
    entry_points={"scrapy": ["settings = pyf_scrapy.settings"]},
    package_data={"pyf_scrapy.web": ["templates/*", "static/*"]},
    cmdclass={"build_py": BuildWithProfiles},
    zip_safe=True,
)
