"""What went wrong, what ran, what happened, and how much there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update

from pyf_scrapy.profiles import Profile
from pyf_scrapy.store.database import chunks
from pyf_scrapy.store.part import NAMES
from pyf_scrapy.store.records import Event, Failure, FailureRow, Run, Status
from pyf_scrapy.store.tables import events, failures, indexed, packages, projects, releases, runs
from pyf_scrapy.store.worklist import Waiting

_FIRST_DELAY = 300  # seconds until a failed package is due again; doubled each time
_LONGEST_DELAY = 86_400
_LONGEST_REASON = 500  # characters

#: Runs of each spider that are kept (a week of one each minute); the others go at each hundredth run or so.
RUNS_KEPT = 10_000
_TIDIED_EVERY = 100

#: Events that are looked at for news.
EVENTS_READ = 200_000

_FAILURES = select(failures).where(failures.c.normalized_name.in_(NAMES))


class Journal(Waiting):
    """The methods of `Store` about failures, runs, events and counts."""

    def record_failures(self, failed: Sequence[Failure]) -> None:
        """Count failures of packages by stage; the first time is kept, the next try moves further away."""
        with self._database.write() as connection:
            known: dict[tuple[str, str], FailureRow] = {}
            for names in chunks(failure.normalized_name for failure in failed):
                for row in connection.execute(_FAILURES, {"names": names}):
                    known[row.normalized_name, row.stage] = FailureRow(*row)
            rows: dict[tuple[str, str], FailureRow] = {}
            for failure in failed:
                key = failure.normalized_name, failure.stage
                rows[key] = _counted(failure, rows.get(key) or known.get(key))
            if rows:
                connection.execute(self._database.upsert(failures), [asdict(row) for row in rows.values()])

    def clear_failures(self, names: Iterable[str], stage: str | None = None) -> None:
        """Forget the failures of packages, of all stages or of one. Writes only when there are any."""
        for some in chunks(names):
            with self._database.read() as connection:
                rows = connection.execute(_FAILURES, {"names": some}).all()
            failed = {row.normalized_name for row in rows if stage in (None, row.stage)}
            if failed:
                statement = delete(failures).where(failures.c.normalized_name.in_(failed))
                if stage is not None:
                    statement = statement.where(failures.c.stage == stage)
                with self._database.write() as connection:
                    connection.execute(statement)

    def failures(self, limit: int | None = None) -> list[FailureRow]:
        """Failures that were not cleared, the last ones first."""
        order = failures.c.last_at.desc(), failures.c.normalized_name, failures.c.stage
        with self._database.read() as connection:
            rows = connection.execute(select(failures).order_by(*order).limit(limit)).all()
        return [FailureRow(*row) for row in rows]

    def retry_failures(self, names: Iterable[str] | None, at: int) -> int:
        """Make the failures of packages, None = all, due at `at`; returns how many."""
        change = update(failures).values(next_try=at)
        with self._database.write() as connection:
            if names is None:
                return connection.execute(change).rowcount
            some = (change.where(failures.c.normalized_name.in_(chunk)) for chunk in chunks(set(names)))
            return sum(connection.execute(statement).rowcount for statement in some)

    def start_run(self, spider: str, arguments: Mapping[str, Any], at: int) -> int:
        """Note that a spider starts; returns the number of the run. Of each spider RUNS_KEPT runs stay."""
        row = {"spider": spider, "arguments": dict(arguments), "started_at": at}
        with self._database.write() as connection:
            number: int = connection.execute(insert(runs).returning(runs.c.id), row).scalar_one()
            if number % _TIDIED_EVERY == 0:
                age = func.row_number().over(partition_by=runs.c.spider, order_by=runs.c.id.desc())
                ages = select(runs.c.id, age.label("age")).subquery()
                old = select(ages.c.id).where(ages.c.age > RUNS_KEPT)
                connection.execute(delete(runs).where(runs.c.id.in_(old)))
        return number

    def finish_run(self, run: int, reason: str, exit_code: int, stats: Mapping[str, Any], at: int) -> None:
        """Note how a run ended, also of one that has lost its lock. `stats` must be JSON."""
        values = {"reason": reason, "exit_code": exit_code, "stats": dict(stats), "finished_at": at}
        with self._database.write(guarded=False) as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(**values))

    def runs(self, limit: int | None = None, *, spider: str | None = None) -> list[Run]:
        """Runs, the last one first; of all spiders, or of one."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if spider is not None:
            query = query.where(runs.c.spider == spider)
        with self._database.read() as connection:
            return [Run(*row) for row in connection.execute(query)]

    def run(self, number: int) -> Run | None:
        """The run of a number, None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == number)).first()
        return None if row is None else Run(*row)

    def events(self, since: int = 0, limit: int | None = None) -> list[Event]:
        """Events with a sequence number above `since`, oldest first."""
        query = select(events).where(events.c.seq > since).order_by(events.c.seq).limit(limit)
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query)]

    def recent_events(self, collection: str, kind: str, limit: int) -> list[Event]:
        """The last events of a kind of the packages that a collection has, the last one first.

        Of a store with very many events only the newest `EVENTS_READ` are looked at.
        """
        oldest = select(func.coalesce(func.max(events.c.seq), 0) - EVENTS_READ).scalar_subquery()
        query = (
            select(events)
            .join(indexed, indexed.c.normalized_name == events.c.normalized_name)
            .where(indexed.c.collection == collection, events.c.kind == kind, events.c.seq > oldest)
            .order_by(events.c.seq.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query)]

    def created_after(self, seq: int) -> list[tuple[int, str, int]]:
        """Which packages were created, in the order in which they were: the event's sequence number, which
        follows `seq`, the normalized name, and the time (epoch seconds).

        Of a store with very many events only the newest `EVENTS_READ` are looked at.
        """
        oldest = select(func.coalesce(func.max(events.c.seq), 0) - EVENTS_READ).scalar_subquery()
        query = (
            select(events.c.seq, events.c.normalized_name, events.c.at)
            .where(events.c.kind == "created", events.c.seq > seq, events.c.seq > oldest)
            .order_by(events.c.seq)
        )
        with self._database.read() as connection:
            return [(number, name, at) for number, name, at in connection.execute(query)]

    def last_event(self) -> int:
        """The sequence number of the last event, 0 when nothing has happened yet."""
        with self._database.read() as connection:
            number: int = connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()
        return number

    def status(self, collection: str | None = None, profile: Profile | None = None) -> Status:
        """Counts. With a profile `members` and `dirty` are its own; without one, a package that was never
        sent to the collection is not known to belong there and does not count as dirty."""
        with self._database.read() as connection:

            def count(query: Any) -> int:
                return connection.execute(query).scalar_one() or 0

            of_collection = indexed.c.collection == collection
            stale = indexed.c.indexed_revision.is_distinct_from(projects.c.revision)
            joined = indexed.join(projects, projects.c.normalized_name == indexed.c.normalized_name)
            counts = Status(
                projects=count(select(func.count()).select_from(projects)),
                with_serial=count(select(func.count()).select_from(projects).where(projects.c.serial > 0)),
                members=count(select(func.count()).select_from(packages)),
                indexed=count(select(func.count()).select_from(indexed).where(of_collection)),
                dirty=count(select(func.count()).select_from(joined).where(and_(of_collection, stale))),
                failures=count(select(func.count()).select_from(failures)),
                partial_releases=count(
                    select(func.count()).select_from(releases).where(releases.c.metadata.is_(None))
                ),
                max_serial=count(select(func.max(projects.c.serial))),
            )
        if profile is not None:
            counts = counts._replace(members=sum(1 for _ in self.members(profile)))
            if collection is not None:
                counts = counts._replace(dirty=sum(1 for _ in self.dirty(collection, profile)))
        return counts


def _counted(failure: Failure, known: FailureRow | None) -> FailureRow:
    count = known.count + 1 if known else 1
    return FailureRow(
        normalized_name=failure.normalized_name,
        stage=failure.stage,
        reason=" ".join(failure.reason.split())[:_LONGEST_REASON],
        count=count,
        first_at=known.first_at if known else failure.at,
        last_at=failure.at,
        next_try=failure.at + min(_FIRST_DELAY * 2 ** min(count - 1, 20), _LONGEST_DELAY),
    )
