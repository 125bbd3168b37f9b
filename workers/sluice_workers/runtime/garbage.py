"""How often the garbage collector looks."""

import gc
from typing import Final

AFTER: Final = 20_000
"""Objects that are made and not freed before the collector looks at them."""


def collect_seldom(after: int = AFTER) -> None:
    """Let the collector pass over what there is, and look at the rest after so many new objects.

    A worker holds tens of thousands of items for a while: by default the collector would go through
    them hundreds of times a second to find nothing.
    """
    gc.freeze()
    gc.set_threshold(after, 20, 20)
    gc.enable()
