"""A copy of a store by its lines: what they are, reading them from a store, and writing them to another."""
