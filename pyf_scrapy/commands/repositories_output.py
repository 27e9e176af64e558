"""What `scrapy status --repositories` prints: tables for people, or Markdown to paste into an issue."""

from __future__ import annotations

from collections.abc import Iterator

from pyf_scrapy.commands.output import clean, print_summary, print_table, print_text
from pyf_scrapy.dates import minute
from pyf_scrapy.status import RepositoryProblem, RepositoryReport

# Within backticks of a cell Markdown leaves all alone but these; a "\" would undo the one before "|".
_CODE = str.maketrans({"`": "'", "|": "%7C", "\\": "%5C"})


def print_repositories(report: RepositoryReport, crawl: str) -> None:
    """`crawl` is the command that asks about the repositories."""
    if not report.checked:
        print_text(f"Never asked: {crawl}")
        return
    print_summary(dict(_facts(report)))
    for title, problems in report.by_reason():
        print_text()
        print_table(
            ("package", "repository", "claims"),
            ((problem.name, problem.repo_identifier, "\n".join(_claims(problem))) for problem in problems),
            title=f"{title}: {len(problems):,}",
        )
    if report.checked < report.packages:
        print_text()
        print_text(f"The others are looked at by: {crawl}")


def print_markdown(report: RepositoryReport, crawl: str) -> None:
    """The same; what strangers wrote stands in backticks, so that it neither is markup nor calls anybody."""
    print_text("# Packages without a usable repository")
    print_text()
    if not report.checked:
        print_text(f"Never asked: {_code(crawl)}")
        return
    for name, value in _facts(report):
        print_text(f"- {name}: {value}")
    for title, problems in report.by_reason():
        sentence, _, reason = title.rpartition(" (")
        print_text()
        print_text(f"## {sentence} ({_code(reason.rstrip(')'))}): {len(problems):,}")
        print_text()
        print_text("| package | repository | claims |")
        print_text("| --- | --- | --- |")
        for problem in problems:
            repository = _code(problem.repo_identifier) if problem.repo_identifier else ""
            claims = "<br>".join(map(_code, _claims(problem)))
            print_text(f"| {_code(problem.name)} | {repository} | {claims} |")


def _facts(report: RepositoryReport) -> Iterator[tuple[str, str]]:
    yield "collections", ", ".join(report.collections)
    yield "packages", f"{report.packages:,}, {report.packages - report.checked:,} not looked at yet"
    proven = ", ".join(f"{count:,} {proof}" for proof, count in report.proofs.items())
    waiting = f"; {report.waiting:,} not asked about yet" if report.waiting else ""
    yield "with a repository", f"{sum(report.proofs.values()):,}: {proven}{waiting}"
    oldest = f", oldest facts {minute(report.oldest)} UTC" if report.oldest else ""
    yield "repositories", f"{report.repositories:,}, {report.renamed:,} of them renamed{oldest}"
    yield "without a usable one", f"{report.count:,}"


def _claims(problem: RepositoryProblem) -> Iterator[str]:
    for label, address in problem.urls.items():
        yield f"{label.removeprefix('project_urls.')}: {address}"


def _code(text: str) -> str:
    return f"`{clean(text).translate(_CODE)}`"
