"""What can go wrong with the local cluster."""


class ClusterError(Exception):
    """The cluster cannot go on; the message says why and what to do next."""
