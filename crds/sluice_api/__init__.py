"""The IngestionJob API: typed models of spec and status, names derived from a job, and the CRD."""

__version__ = "0.1.0"
