"""Which packages are asked about again although their serial did not move (rule R7)."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

#: Seconds within which each package is to be verified again when a share of them is asked for.
PERIOD = 24 * 60 * 60


def due(
    verified: Mapping[str, int | None],
    share: float = 1.0,
    *,
    now: int | None = None,
    postponed: Container[str] = (),
) -> list[str]:
    """The packages that are due: those verified longest ago, never verified ones first.

    `verified` is name -> when it was verified last (epoch seconds); `share` is between 0 and 1, the part of
    them that one run takes: 1/24 for a run each hour. Packages that come in push others back, so with `now`
    those come too that would otherwise be older than `PERIOD` at the end of the next run. `postponed` failed
    a while ago and have to wait: they must not take the places of others for ever.
    """
    names = [name for name in verified if name not in postponed]
    names.sort(key=lambda name: (verified[name] is not None, verified[name] or 0, name))
    count = math.ceil(len(names) * share)
    if now is None:
        return names[:count]
    # Small shares can afford to come one run early; a half that did would be the whole.
    early = share if share <= 1 / 12 else 0
    latest = now - PERIOD * (1 - share - early)
    late = [name for name in names[count:] if (at := verified[name]) is not None and at < latest]
    return names[:count] + late
