"""The writer: records in, batches, one Postgres transaction each."""
