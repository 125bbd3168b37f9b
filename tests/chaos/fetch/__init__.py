"""The target fetch: pods of fetchers, what they ask, and what must hold."""
