"""`scrapy export`: what is known, or what is indexed, as JSON lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_json_line, print_text
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.lookup import existing_collection
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replication.files import write_whole
from pyf_scrapy.replication.source import Source
from pyf_scrapy.search.collections import iter_documents
from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store
from pyf_scrapy.store import Store


class Command(PyfCommand):
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "[-p PROFILE | -c COLLECTION | --whole] [--documents] [-o FILE] [--json]"

    def short_desc(self) -> str:
        return "Write what is known of packages, or their documents, as JSON lines"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--whole", action="store_true", help="all projects that were ever looked at")
        parser.add_argument(
            "--documents",
            action="store_true",
            help="the documents of the search server, one for each release",
        )
        parser.add_argument(
            "-o",
            dest="file",
            metavar="FILE",
            help="the file to write, gzip where it ends in .gz; it is replaced when all is written (stdout)",
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        named = opts.package_profile is not None or opts.collection is not None
        if opts.whole and (opts.documents or named):
            raise UsageProblem("--whole is about all facts: give it without -p, -c and --documents")
        if opts.json and opts.file is None:
            raise UsageProblem("--json says what was written to a file: give -o FILE")
        collection = None if opts.whole else self.selected_collection(opts)
        if opts.documents and collection is not None:
            return self._write(opts, self._documents(collection))
        if not has_store(self.project_settings):
            raise UsageProblem(f"there is no store in {self.project_settings['PYF_DATA_DIR']} yet")
        with open_store(self.project_settings, of_any_pypi=True) as store:
            profiles = None if collection is None else [_made(store, collection)]
            return self._write(opts, Source(store, profiles).facts())

    def _documents(self, collection: str) -> Iterator[bytes]:
        with existing_collection(self.project_settings, collection, self.profiles().values()) as client:
            for document in iter_documents(client, collection):
                yield msgspec.json.encode(document, order="sorted") + b"\n"

    def _write(self, opts: argparse.Namespace, lines: Iterable[bytes]) -> int:
        if opts.file is None:
            for line in lines:
                print_json_line(line)
            return ExitCode.OK
        count = write_whole(Path(opts.file), lines)
        if opts.json:
            print_json({"file": opts.file, "lines": count})
        else:
            print_text(f"{count:,} lines written to {opts.file}")
        return ExitCode.OK


def _made(store: Store, collection: str) -> Profile:
    """What fills the collection. Raises UsageProblem when nothing does."""
    row = store.collection(collection)
    if row is None:
        others = ", ".join(known.collection for known in store.collections()) or "none"
        raise UsageProblem(f"nothing was crawled for {collection!r}; the store knows {others}")
    return Profile.from_definition(row.definition)
