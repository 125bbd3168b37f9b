"""The operator: reconciles IngestionJobs."""
