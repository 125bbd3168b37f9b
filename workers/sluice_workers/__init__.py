"""What runs in a job's pods: the seed, the fetcher and the writer."""
