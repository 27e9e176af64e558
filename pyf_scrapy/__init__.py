"""A search index of the Python packages of a framework ecosystem, kept by a Scrapy project."""

__version__ = "0.1.0"
