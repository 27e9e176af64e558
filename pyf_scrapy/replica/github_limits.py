"""GitHub's primary and secondary limits: docs.github.com, rate limits for the REST and the GraphQL API."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.limits import Budget, Clock, Watch
from pyf_scrapy.replica.service_options import ServiceOptions

ANONYMOUS = "anonymous"
JSON = "application/json; charset=utf-8"
DOCS = "https://docs.github.com"

_HOUR, _MINUTE = 3600.0, 60.0


class GitHubLimits:
    """The budgets of all clients; a client is a token, or everybody without one."""

    def __init__(self, options: ServiceOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._hours: dict[tuple[str, str], Budget] = {}
        self._minutes: dict[tuple[str, str], Budget] = {}
        self._struck: dict[str, float] = {}
        """Until when a client is under the secondary limit, which REST and GraphQL share."""
        self._strikes = options.secondary

    def refusal(self, resource: str, client: str, watch: Watch) -> Answer | None:
        """The limiting answer; None: the request is allowed. `resource`: `core` or `graphql`."""
        now = self._clock.now()
        minute = self._minute(resource, client)
        minute.roll(now)
        if now >= self._struck.get(client, 0.0):
            if self._strikes:
                self._strikes -= 1
                self._struck[client] = now + self._options.retry_after
            elif not minute.remaining:
                self._struck[client] = minute.ends
        if now < self._struck.get(client, 0.0):
            watch.told(client, self._struck[client])
            return self._secondary(resource, client)
        minute.used += 1
        hour = self.hour(resource, client)
        hour.roll(now)
        if hour.remaining:
            return None
        watch.told(client, hour.ends)
        return self._primary(resource, client)

    def spend(self, resource: str, client: str, points: int, watch: Watch) -> None:
        """Takes what an answer costs."""
        self.hour(resource, client).used += points
        watch.points += points

    def hour(self, resource: str, client: str) -> Budget:
        """The primary budget; `roll` it before use."""
        if resource == "graphql":
            limit = self._options.github_graphql_limit
        elif client == ANONYMOUS:
            limit = self._options.github_anonymous_limit
        else:
            limit = self._options.github_rest_limit
        return self._hours.setdefault((resource, client), Budget(limit, _HOUR))

    def state(self, resource: str, client: str) -> dict[str, int]:
        """The budget in the words of `GET /rate_limit`, which begins no window."""
        budget, now = self.hour(resource, client), self._clock.now()
        over = now >= budget.ends
        used = 0 if over else min(budget.used, budget.limit)
        return {
            "limit": budget.limit,
            "used": used,
            "remaining": budget.limit - used,
            "reset": self._clock.epoch(now + _HOUR if over else budget.ends),
        }

    def headers(self, resource: str, client: str) -> dict[str, str]:
        """What GitHub adds to each answer."""
        state = self.state(resource, client)
        return {
            **{f"x-ratelimit-{name}": str(value) for name, value in state.items()},
            "x-ratelimit-resource": resource,
        }

    def _minute(self, resource: str, client: str) -> Budget:
        options = self._options
        limit = options.github_graphql_minute if resource == "graphql" else options.github_rest_minute
        return self._minutes.setdefault((resource, client), Budget(limit, _MINUTE))

    def _primary(self, resource: str, client: str) -> Answer:
        if resource == "graphql" and self._options.graphql_limit_status == 200:
            error = {
                "type": "RATE_LIMIT",
                "code": "graphql_rate_limit",
                "message": f"API rate limit already exceeded for user ID {len(client)}.",
            }
            return self._answer(200, {"errors": [error]}, resource, client)
        status = self._options.graphql_limit_status if resource == "graphql" else self._options.limit_status
        who = "127.0.0.1" if client == ANONYMOUS else f"user ID {len(client)}"
        document = {
            "message": f"API rate limit exceeded for {who}.",
            "documentation_url": f"{DOCS}/rest/using-the-rest-api/rate-limits-for-the-rest-api",
        }
        return self._answer(status, document, resource, client)

    def _secondary(self, resource: str, client: str) -> Answer:
        document = {
            "message": "You have exceeded a secondary rate limit. Please wait before you try again.",
            "documentation_url": f"{DOCS}/rest/using-the-rest-api/rate-limits-for-the-rest-api",
        }
        answer = self._answer(self._options.secondary_status, document, resource, client)
        seconds = math.ceil(self._clock.wait(self._struck[client]))
        if self._options.retry_after_form == "none":
            return answer
        value = str(seconds)
        if self._options.retry_after_form == "date":
            # A date has no fractions of a second: one more, so that it is not too early.
            value = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds + 1), usegmt=True)
        return Answer(answer.body, JSON, answer.status, headers={**answer.headers, "Retry-After": value})

    def _answer(self, status: int, document: Any, resource: str, client: str) -> Answer:
        return Answer(json.dumps(document).encode(), JSON, status, headers=self.headers(resource, client))
