"""A progress bar for commands that take a while and are no crawls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Shows a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("Opening the store and the search server", total=None)
        doing_now = ""

        def progress(doing: str, done: int, total: int) -> None:
            nonlocal doing_now
            if doing != doing_now:
                bar.reset(task, description=doing)
                doing_now = doing
            bar.update(task, completed=done, total=total)

        yield progress
