"""Whether store, search index, book-keeping and PyPI say the same, looked at and never changed."""
