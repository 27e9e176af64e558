"""Everything that can go wrong by name. `PyfError` is the root.

`exit_code` is what a command returns when the error ends it: 1 a source or service failed, 2 bad input,
75 already running (EX_TEMPFAIL of sysexits.h).
"""

from __future__ import annotations


class PyfError(Exception):
    """Base class of the project's errors; its text is one line meant for a person."""

    exit_code = 1


class UsageProblem(PyfError):  # noqa: N818  (reads better than UsageProblemError; Scrapy owns UsageError)
    """Raised before any request when an argument, a setting or a file of the user is wrong."""

    exit_code = 2


class ProfileError(UsageProblem):
    """Raised by `profiles` when profiles.yaml cannot be used or a profile is unknown."""


class AlreadyRunningError(PyfError):
    """Raised by `session` when the same spider already runs on the same store."""

    exit_code = 75


class RequestProblem(UsageProblem):
    """Raised where a request from outside is wrong: its text is shown to whoever asked, so it holds nothing
    of the machine, of settings or of other visitors."""


class NotFoundError(RequestProblem):
    """Raised by `web` when there is nothing of the name in a URL."""


class LimitError(PyfError):
    """Raised by `web` when more is asked for than is allowed; `retry_after` is in seconds."""

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ParseError(PyfError):
    """Raised by `parsers` when an answer of a service cannot be understood.

    `what` names the kind of document ("project JSON"), `reason` what is wrong with it; a stranger's words in
    it are kept printable.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in reason)

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


class FetchError(PyfError):
    """Raised by spiders when an answer is no use for a package.

    `transport` is true when nothing was learnt about the package (no connection, 5xx): many of them in a
    row mean that PyPI is down.
    """

    def __init__(self, reason: str, *, transport: bool = False) -> None:
        super().__init__(reason)
        self.transport = transport


class DamagedError(FetchError):
    """Raised by spiders when an answer came whole and cannot be unpacked: the next one may be well."""


class NoProjectError(FetchError):
    """Raised by spiders when PyPI has no project of this name, and that settles it."""


class AuthenticationError(FetchError):
    """Raised by spiders when a service does not accept the key that it was given."""


class BudgetError(FetchError):
    """Raised by spiders when a service allows no more requests for longer than a run should wait."""


class SourceError(FetchError):
    """Raised by spiders when a service as a whole is no use: down, refusing, or not what it should be."""


class StaleError(FetchError):
    """Raised by spiders when all that PyPI's caches have of a package is older than promised."""


class StoreError(PyfError):
    """Raised by `store` when the database cannot be opened or belongs to something else."""


class OtherStoreError(StoreError, UsageProblem):
    """Raised by `store` when the database has the facts of another PYPI_URL."""

    exit_code = UsageProblem.exit_code


class QueueError(PyfError):
    """Raised by `queue` when Redis cannot be reached or does not do what it is told."""


class ExportError(PyfError):
    """Raised by `extensions` when the file that a crawl writes its packages to cannot be written."""


class RenderError(PyfError):
    """Raised by `metadata.renderer` when a README could not be rendered within its bounds."""


class SearchError(PyfError):
    """Raised by `search` when Typesense cannot be reached, refuses the key or answers nonsense."""


class DocumentError(SearchError):
    """Raised by `search` when one document that Typesense has cannot be read."""


class RecreateError(PyfError):
    """Raised by `rebuild` when a collection that was made anew must not take the place of the live one."""


class ReplicaError(PyfError):
    """Raised by `replica` when its options or its fault plan are wrong."""

    exit_code = 2


class ReplicationError(PyfError):
    """Raised by `replication` when what is copied cannot be read, or is not what it should be."""


class SourceReplacedError(ReplicationError):
    """Raised by `replication` when a copy's source is another store than the one that was copied, was set
    back to an older state, or means something else by the profiles: only a copy made anew equals it."""
