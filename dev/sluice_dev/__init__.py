"""The local cluster: a real Kubernetes on one bare machine, from the package registries alone."""
