"""How much to ask for by one request to a service that gives up on too much at once: pure, no clock."""

from __future__ import annotations


class BatchSize:
    """At most `most`, half of it after a failure, twice as many when some in a row went well.

    A failure right after growing tells where the service's limit is: it takes twice as many good answers
    before more is tried again. So a storm that is over costs a few small requests, and a limit that stays
    costs few failures.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = most
        self._good = 0
        self._needed = 1  # good answers before growing
        self._grown = False  # and nothing was answered since

    def worked(self) -> None:
        """All that was asked for was answered."""
        self._grown = False
        self._good += 1
        if self.now < self.most and self._good >= self._needed:
            self.now = min(self.most, self.now * 2)
            self._good, self._grown = 0, True

    def failed(self, count: int) -> None:
        """A request for `count`, which may be fewer than `now`, was not answered, or not on all."""
        if self._grown:
            self._needed = min(self._needed * 2, 64)
        self._good, self._grown = 0, False
        self.now = max(1, min(self.now, count) // 2)
