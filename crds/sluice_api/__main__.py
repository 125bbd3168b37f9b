"""``python -m sluice_api`` prints the CustomResourceDefinition as YAML."""

import sys

import yaml

from sluice_api.crd import definition

HEADER = "# Generated from crds/sluice_api by `make generate`. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes every value in full: anchors would be hard to read."""

    def ignore_aliases(self, _data: object) -> bool:
        """Tell the dumper to repeat what it meets twice."""
        return True


def render() -> str:
    """The text of ``crds/ingestionjob.yaml``."""
    return HEADER + yaml.dump(definition(), Dumper=_Dumper, sort_keys=False, width=100)


if __name__ == "__main__":
    sys.stdout.write(render())
