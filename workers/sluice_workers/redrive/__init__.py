"""The redrive: given-up items, put back into the items topic once."""
