"""Benchmarks: the crawl against a baseline in the style of the system it replaces, and against a raw client.

`python -m benchmarks [CASE ...]`; each case runs its contenders in turn, several rounds; medians count.
"""
