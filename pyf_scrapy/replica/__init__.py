"""A local PyPI with invented packages, and the services around it, for demo, tests and benchmarks."""

from pyf_scrapy.replica.busy import busy
from pyf_scrapy.replica.cdn import CdnOptions
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.replica.server import serve
from pyf_scrapy.replica.service_options import ServiceOptions

__all__ = [
    "CdnOptions",
    "Dice",
    "Handle",
    "Options",
    "Replica",
    "ServiceOptions",
    "busy",
    "running_replica",
    "serve",
]
