"""Families of invented packages: which classifiers they carry and how they are named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """The packages of one framework.

    `versions` are the last parts of real trove classifiers, oldest first. `patterns` are display names
    with `{}` for the invented word; `share` is the family's part of all projects by default.
    """

    key: str
    name: str
    versions: tuple[str, ...]
    patterns: tuple[str, ...]
    share: float
    kinds: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def classifier(self) -> str:
        """The classifier above all others of the family."""
        return f"Framework :: {self.name}"


def _versions(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FAMILIES = {
    family.key: family
    for family in (
        Family(
            "plone",
            "Plone",
            _versions("3.2 3.3 4.0 4.1 4.2 4.3 5.0 5.1 5.2 6.0 6.1 6.2"),
            ("collective.{}", "collective.{}", "plone.app.{}", "plonetheme.{}", "Products.{}", "plone.{}"),
            0.02,
            kinds=("Addon", "Addon", "Theme", "Core", "Distribution"),
            requires=("Products.CMFPlone", "plone.api", "setuptools", "z3c.jbot"),
        ),
        Family(
            "django",
            "Django",
            _versions("1.8 1.11 2.0 2.1 2.2 3.0 3.1 3.2 4.0 4.1 4.2 5.0 5.1 5.2 6.0"),
            ("django-{}", "django-{}", "django_{}", "dj-{}", "Django-{}"),
            0.024,
            requires=("Django>=4.2", "asgiref", "sqlparse"),
        ),
        Family(
            "flask",
            "Flask",
            (),
            ("flask-{}", "Flask-{}", "flask_{}"),
            0.012,
            requires=("Flask", "Werkzeug>=2.0"),
        ),
        Family("fastapi", "FastAPI", (), ("fastapi-{}",), 0.004, requires=("fastapi", "pydantic>=2")),
        Family("pyramid", "Pyramid", (), ("pyramid_{}",), 0.003, requires=("pyramid",)),
        Family(
            "wagtail", "Wagtail", _versions("2 3 4 5 6 7"), ("wagtail-{}",), 0.004, requires=("wagtail>=5.2",)
        ),
        Family(
            "djangocms",
            "Django CMS",
            _versions("3.7 3.8 3.9 3.10 3.11 4.0 4.1 5.0"),
            ("djangocms-{}",),
            0.003,
            requires=("django-cms>=3.7",),
        ),
        Family("pytest", "Pytest", (), ("pytest-{}",), 0.004, requires=("pytest>=7",)),
        Family("sphinx", "Sphinx", (), ("sphinx-{}", "sphinxcontrib-{}"), 0.003, requires=("Sphinx>=5",)),
        Family("jupyter", "Jupyter", (), ("jupyter-{}", "jupyter_{}"), 0.003, requires=("jupyter-server",)),
        Family("scrapy", "Scrapy", (), ("scrapy-{}",), 0.002, requires=("Scrapy>=2.6",)),
    )
}
"""In this order families lie side by side, so neighbours share the packages that belong to two."""
