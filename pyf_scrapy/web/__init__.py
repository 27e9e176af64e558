"""One web application that reads the index: pages, JSON API, Simple API, feeds, a copy."""
