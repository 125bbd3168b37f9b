"""The archive: raw records into S3 as compressed JSON lines, and back into a records topic."""
