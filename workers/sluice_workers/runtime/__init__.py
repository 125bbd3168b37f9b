"""How a worker's processes run: supervised children, their state, health, metrics and exit."""

from sluice_workers.runtime.context import ProcessContext
from sluice_workers.runtime.supervisor import supervise
from sluice_workers.runtime.termination import explained_exit

__all__ = ["ProcessContext", "explained_exit", "supervise"]
