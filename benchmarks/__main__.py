"""`python -m benchmarks [CASE ...]`: runs cases and writes what they came to."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.case import Bench, Case
from benchmarks.cases.importing import Importing
from benchmarks.cases.increment import Increment, Memory
from benchmarks.cases.members import Members
from benchmarks.cases.pages import Pages
from benchmarks.cases.politeness import Ceiling, SlowServer
from benchmarks.cases.profiles import Profiles
from benchmarks.cases.refresh import Refresh
from benchmarks.cases.search import Search
from benchmarks.cases.sweep import OnePercent, Sweep
from benchmarks.cases.workers import Workers
from benchmarks.figures import BenchmarkError
from benchmarks.report import RESULTS, sentence, write
from benchmarks.running import run_case

CASES: tuple[type[Case], ...] = (
    *(Sweep, OnePercent, Members, Increment, Profiles, Refresh, Importing, Memory, Workers),
    *(Ceiling, SlowServer, Search, Pages),
)


def main() -> int:
    """Runs what the command line names, or all; 1 when a case failed or something did not hold."""
    kinds = {kind.name: kind for kind in CASES}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures; see benchmarks/results."
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(kinds)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each contender (default: 5)")
    parser.add_argument("--documents", type=int, help="another size than the case's own")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if unknown := set(given.cases) - kinds.keys():
        parser.error(f"unknown case {', '.join(sorted(unknown))}; known: {', '.join(kinds)}")
    for option, value in (("--rounds", given.rounds), ("--documents", given.documents)):
        if value is not None and value < 1:
            parser.error(f"{option} {value}: use 1 or more")
    # Ended by its exit, so that the servers of a case end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    missed = False
    with (
        tempfile.TemporaryDirectory(prefix="pyf-bench-") as folder,
        Bench(Path(folder), rounds=given.rounds, documents=given.documents) as bench,
    ):
        for name in given.cases or kinds:
            try:
                result = run_case(kinds[name], bench, lambda line: print(line, flush=True))
            except BenchmarkError as error:
                print(f"{name}: {error}", file=sys.stderr)
                missed = True
                continue
            write(given.results, [result], list(kinds))
            for claim in result.claims:
                print(f"{name}: {sentence(claim)}")
                missed |= not claim.holds
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
