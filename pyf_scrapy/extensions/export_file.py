"""The file of `-o` and `-O`: when it cannot be written the crawl ends, with one line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from scrapy import Spider
from scrapy.extensions.feedexport import FileFeedStorage

from pyf_scrapy.exceptions import ExportError
from pyf_scrapy.pipelines import spider_of


class ExportFileStorage(FileFeedStorage):
    """Scrapy's storage for files. There each item would be a traceback and the crawl a success: but what this
    run passes on, no later one does again."""

    def open(self, spider: Spider) -> IO[bytes]:
        crawl = spider_of(spider.crawler)

        def failed(error: OSError) -> None:
            crawl.end(ExportError(f"{self.path} cannot be written: {error.strerror}"), reason="export_failed")

        path = Path(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cast(IO[bytes], _Watched(path, self.write_mode, failed))
        except OSError as error:
            failed(error)
            return io.BytesIO()


class _Watched(io.FileIO):
    """A file without a buffer: an error comes when it happens. It is told, not raised."""

    def __init__(self, path: Path, mode: str, failed: Callable[[OSError], None]) -> None:
        super().__init__(path, mode)
        self._failed = failed

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failed(error)
        return len(data)
