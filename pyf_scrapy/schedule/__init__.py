"""The periodic work: what is due when, and its runs as processes or as jobs of scrapyd."""
