"""An HTTP API to ingest from: one city of a public data set per request, with faults at will."""
