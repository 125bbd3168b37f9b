"""The fetcher: items in, HTTP, records out."""
