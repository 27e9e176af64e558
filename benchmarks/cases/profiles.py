"""One crawl for ten profiles against one for one: a project is fetched once, whoever wants it."""

from __future__ import annotations

from benchmarks.case import Case, Claim, Rounds, asked, discard
from benchmarks.figures import Figures, medians, require
from benchmarks.processes import serving
from benchmarks.world import WorldOptions

ONE, TEN = "one profile", "ten profiles"
ONE_ALL, TEN_ALL = "one profile, all releases", "ten profiles, all releases"

FAMILIES = {
    "plone": "plone",
    "django": "django",
    "flask": "flask",
    "fastapi": "fastapi",
    "pyramid": "pyramid",
    "wagtail": "wagtail",
    "djangocms": "django-cms",
    "pytest": "pytest",
    "sphinx": "sphinx",
    "jupyter": "jupyter",
}
"""The replica's families by the key of their profile."""


class Profiles(Case):
    """A first crawl of which 2 % match one of ten profiles. With all releases those of more packages are
    fetched; that is what was asked for, and counted apart."""

    name = "profiles"
    title = "Ten profiles against one, 0.2 % of the projects each"
    contenders = (ONE, TEN, ONE_ALL, TEN_ALL)
    shown = ("documents", "requests", "indexed", "cpu_s", "wall_s", "peak_mb")
    documents = 5_000

    def setup(self) -> None:
        members = dict.fromkeys(FAMILIES, max(1, self.size // 500))
        self.server = self.stack.enter_context(serving(WorldOptions(self.size, members)))

    def run(self, contender: str) -> Figures:
        self.server.control("reset")
        keys = list(FAMILIES.values()) if contender in (TEN, TEN_ALL) else ["plone"]
        releases = [] if contender in (ONE_ALL, TEN_ALL) else ["-a", "releases=latest"]
        place = self.bench.place(self.server)
        ended = place.crawl("pypi", "-a", f"profile={','.join(keys)}", *releases)
        answered = self.server.control("statistics")
        require("projects asked for", answered.get("project", 0), self.size)
        with place.store() as store:
            require("projects in the store", sum(1 for _ in store.iter_serials()), self.size)
            require("failures", len(store.failures()), 0)
        indexed = [self.bench.indexed(key) for key in keys]
        require("profiles with documents", sum(count > 0 for count in indexed), len(keys))
        discard(place.folder)
        return {**ended.figures(self.size), "requests": asked(answered), "indexed": sum(indexed)}

    def claims(self, rounds: Rounds) -> list[Claim]:
        found = {contender: medians(figures) for contender, figures in rounds.items()}

        def times(figure: str, of: str, to: str) -> float:
            return found[of][figure] / found[to][figure]

        return [
            Claim("ten : one, requests", times("requests", TEN, ONE), 1.05, at_most=True),
            Claim("ten : one, CPU seconds", times("cpu_s", TEN, ONE)),
            Claim("ten : one, requests with all releases", times("requests", TEN_ALL, ONE_ALL)),
            Claim("ten : one, CPU seconds with all releases", times("cpu_s", TEN_ALL, ONE_ALL)),
        ]
