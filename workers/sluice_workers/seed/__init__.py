"""The seed: a list of items, written to the items topic."""
