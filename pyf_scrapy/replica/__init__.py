"""A local PyPI with invented packages, for demo, tests and benchmarks."""

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.replica.server import serve

__all__ = ["Handle", "Options", "Replica", "running_replica", "serve"]
