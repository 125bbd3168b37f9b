"""An HTTP API as YAML describes it: requests out of items, records out of answers."""
