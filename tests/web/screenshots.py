"""The pictures in README: `python -m tests.web.screenshots ADDRESS`, of a site with invented packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.web.test_browser import OPTIONS, PHONE, PROGRAM

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESK = {"width": 1200, "height": 760}


def take(address: str, folder: Path) -> None:
    """Search, the package with the second most stars, the same in dark, the search on a phone, the state."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(OPTIONS))
        page = browser.new_page()
        page.goto(f"{address}/p/plone/?sort=stars")
        package = str(page.locator("a.open").nth(1).get_attribute("href"))
        shots: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("search", "/p/plone/?sort=stars", {}),
            ("package", package, {"viewport": {"width": 1200, "height": 1100}}),
            ("package-dark", package, {"color_scheme": "dark"}),
            ("phone", "/p/plone/?sort=stars", {"viewport": PHONE}),
            ("state", "/status", {}),
        )
        for name, path, options in shots:
            page = browser.new_page(**({"viewport": DESK} | options))
            page.goto(f"{address}{path}")
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1].rstrip("/"), FOLDER)
