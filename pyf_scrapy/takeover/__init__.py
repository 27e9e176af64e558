"""What an index of pyf.aggregator knows, taken over: names of packages, figures of GitHub and downloads."""

from pyf_scrapy.takeover.takeover import Report, take_over

__all__ = ["Report", "take_over"]
