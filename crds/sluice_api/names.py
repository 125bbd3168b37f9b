"""Names that follow from a job's name: topics, consumer groups, Redis keys, labels."""

from dataclasses import dataclass
from typing import Final

GROUP: Final = "sluice.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "IngestionJob"
PLURAL: Final = "ingestionjobs"
FIELD_MANAGER: Final = "sluice"
FINALIZER: Final = "sluice.dev/cleanup"
JOB_LABEL: Final = "sluice.dev/job"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
DATABASE_SCHEMA: Final = "sluice"
MAX_JOB_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class JobName:
    """A job's namespace and name, and the names derived from them."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def topic(self, suffix: str) -> str:
        """The job's topic for ``items``, ``records`` or ``dead``."""
        return f"{self.namespace}.{self.name}.{suffix}"

    def group(self, verb: str) -> str:
        """The job's consumer group for ``fetch``, ``write`` or ``archive``."""
        return f"sluice.{self.namespace}.{self.name}.{verb}"

    def transactional_id(self, verb: str) -> str:
        """The id under which one process of the job at a time writes transactions."""
        return f"sluice.{self.namespace}.{self.name}.{verb}"

    def redis_key(self, suffix: str) -> str:
        """A Redis key of the job; the hash tag keeps all of a job's keys in one slot."""
        return f"sluice:{{{self.namespace}/{self.name}}}:{suffix}"

    def resource(self, component: str) -> str:
        """The name of the job's Kubernetes object for a component, such as ``fetcher``."""
        return f"{self.name}-{component}"
