"""What goes on at PyPI by itself: random events, each possible when it is drawn, most of them releases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta

from packaging.version import Version

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.events import Event, Kind
from pyf_scrapy.replica.frameworks import FAMILIES
from pyf_scrapy.replica.histories import order_key
from pyf_scrapy.replica.invention import coin
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.replica.words import FIRST, PEOPLE, SECOND

_WEIGHTS = {
    "release": 48,
    "create": 8,
    "recreate": 4,
    "reclassify": 9,
    "yank": 7,
    "unyank": 4,
    "delete-release": 5,
    "delete-project": 4,
    "archive": 3,
    "unarchive": 2,
    "quarantine": 4,
    "unquarantine": 3,
    "owners": 1,
    "organization": 1,
    "advisory": 1,
}
"""How often each is drawn; a kind that is not possible is drawn again."""

KINDS = tuple(_WEIGHTS)
"""What may be drawn; `recreate` is the event `create` for a name that was deleted."""

_PATTERNS = ("{}-{}", "{}.{}", "{}_{}", "{}--{}")
_TRIES = 60


def busy(replica: Replica, dice: Dice, classifier: str | None = None, kinds: Collection[str] = ()) -> Event:
    """The next event; the same dice and history give the same one.

    `classifier`: packages go in and out of it and half of the events concern packages that claim it or some
    framework. `kinds`: only these of KINDS. Raises ReplicaError when none of them is possible.
    """
    wanted = {kind: weight for kind, weight in _WEIGHTS.items() if not kinds or kind in kinds}
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ReplicaError(f"busy: unknown kind {unknown[0]!r}; known: {', '.join(KINDS)}")
    for _ in range(_TRIES):
        kind = dice.pick([kind for kind, weight in wanted.items() for _ in range(weight)])
        event = _MAKERS[kind](_Scene(replica, dice, classifier))
        if event is not None:
            return event
    raise ReplicaError(f"busy: nothing of {', '.join(wanted)} is possible")


async def publish(replica: Replica, per_minute: float, clock: Callable[[], datetime]) -> None:
    """Lets random events happen for ever, `per_minute` of them, at the times that `clock` tells."""
    dice = Dice(replica.options.seed, "publish")
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += 60 / per_minute
        await asyncio.sleep(max(0.0, due - loop.time()))
        # Each event moves the clock on by a second, too much where many happen in one.
        replica.now = max(replica.now - timedelta(seconds=1), clock())
        replica.happen([busy(replica, dice)])


class _Scene:
    """Where an event is drawn."""

    def __init__(self, replica: Replica, dice: Dice, classifier: str | None) -> None:
        self.replica = replica
        self.dice = dice
        self.classifier = classifier or dice.pick(tuple(FAMILIES.values())).classifier

    def subject(self, wanted: Callable[[Project], bool] = lambda project: True) -> Project | None:
        """Some project outside quarantine that is as wanted, None when a few draws found none."""
        touched = self.replica.touched()
        for _ in range(12):
            number = int(self.dice.fraction() * 2**32)
            draw = self.dice.fraction()
            if touched and draw < 0.3:
                name = touched[number % len(touched)]
            elif draw < 0.65:
                name = self.replica.some_claimant(number)
            else:
                name = self.replica.some_name(number)
            project = self.replica.project(name)
            if project and not project.quarantined and wanted(project):
                return project
        return None

    def touched(self) -> Iterator[tuple[str, Project | None]]:
        """Names that something happened to, with their project."""
        for name in self.replica.touched():
            yield name, self.replica.project(name)

    def claimed(self) -> tuple[str, ...]:
        """Classifiers of a new project: every other claims the classifier."""
        return (self.classifier,) if self.dice.chance(0.5) else ("Topic :: Utilities",)


def _release(scene: _Scene) -> Event | None:
    project = scene.subject()
    if project is None:
        return None
    return Event("release", project.name, _next_version(scene.dice, project))


def _create(scene: _Scene) -> Event | None:
    dice = scene.dice
    word = dice.pick(FIRST) + dice.pick(SECOND)
    name = dice.pick(_PATTERNS).format(dice.pick((word, word.title())), coin(dice.between(0, 2**24)))
    if scene.replica.revision(name) or scene.replica.project(name):
        return None
    version = None if dice.chance(0.1) else dice.pick(("0.1", "1.0a1", "0.0.1", "1.0"))
    return Event("create", name, version, scene.claimed())


def _recreate(scene: _Scene) -> Event | None:
    gone = [name for name, project in scene.touched() if project is None]
    return Event("create", scene.dice.pick(gone), "0.1", scene.claimed()) if gone else None


def _reclassify(scene: _Scene) -> Event | None:
    project = scene.subject()
    if project is None:
        return None
    others = tuple(
        text for text in project.classifiers if not f"{text} :: ".startswith(f"{scene.classifier} :: ")
    )
    classifiers = others if project.claims(scene.classifier) else (*others, scene.classifier)
    return Event("reclassify", project.name, _next_version(scene.dice, project, final=True), classifiers)


def _of_release(kind: Kind) -> Callable[[_Scene], Event | None]:
    def make(scene: _Scene) -> Event | None:
        project = scene.subject(lambda project: bool(_fit(kind, project)))
        if project is None:
            return None
        version = scene.dice.pick(_fit(kind, project))
        reason = scene.dice.pick((None, "", "Broken metadata")) if kind == "yank" else None
        return Event(kind, project.name, version, reason=reason)

    return make


def _fit(kind: str, project: Project) -> list[str]:
    """The releases that may be yanked, unyanked or deleted."""
    return [
        release.version
        for release in project.releases
        if kind == "delete-release" or release.yanked is (kind == "unyank")
    ]


def _of_status(kind: Kind, status: str) -> Callable[[_Scene], Event | None]:
    def make(scene: _Scene) -> Event | None:
        if status == "active":
            project = scene.subject(lambda project: project.status == status)
            return Event(kind, project.name) if project else None
        found = [name for name, project in scene.touched() if project and project.status == status]
        return Event(kind, scene.dice.pick(found)) if found else None

    return make


def _delete_project(scene: _Scene) -> Event | None:
    project = scene.subject()
    return Event("delete-project", project.name) if project else None


def _owners(scene: _Scene) -> Event | None:
    project = scene.subject()
    owners = tuple(name.lower() for name in scene.dice.some(PEOPLE, scene.dice.between(1, 3)))
    return Event("owners", project.name, owners=owners) if project else None


def _organization(scene: _Scene) -> Event | None:
    project = scene.subject()
    name = scene.dice.pick((None, f"{scene.dice.pick(FIRST)}-guild"))
    return Event("organization", project.name, organization=name) if project else None


def _advisory(scene: _Scene) -> Event | None:
    project = scene.subject(lambda project: bool(project.releases))
    return Event("advisory", project.name) if project else None


def _next_version(dice: Dice, project: Project, *, final: bool = False) -> str:
    """A version that is not there yet in any spelling; mostly above all others, `final`: surely."""
    known = [
        key for release in project.releases if isinstance(key := order_key(release.version).version, Version)
    ]
    if not known:
        return "1.0"
    newest = max(known)
    if not final and dice.chance(0.1):
        newest = dice.pick(known)
    major, minor, micro = newest.major, newest.minor, newest.micro
    numbers = (f"{major}.{minor}.{micro + 1}", f"{major}.{minor + 1}.0", f"{major + 1}.0.0")
    suffix = "" if final or dice.chance(0.8) else dice.pick(("a1", "rc1", ".dev1"))
    version = f"{newest.epoch}!{dice.pick(numbers)}{suffix}" if newest.epoch else dice.pick(numbers) + suffix
    return _next_version(dice, project, final=True) if Version(version) in known else version


_MAKERS: dict[str, Callable[[_Scene], Event | None]] = {
    "release": _release,
    "create": _create,
    "recreate": _recreate,
    "reclassify": _reclassify,
    "yank": _of_release("yank"),
    "unyank": _of_release("unyank"),
    "delete-release": _of_release("delete-release"),
    "delete-project": _delete_project,
    "archive": _of_status("archive", "active"),
    "unarchive": _of_status("unarchive", "archived"),
    "quarantine": _of_status("quarantine", "active"),
    "unquarantine": _of_status("unquarantine", "quarantined"),
    "owners": _owners,
    "organization": _organization,
    "advisory": _advisory,
}
