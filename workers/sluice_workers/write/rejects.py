"""Records that cannot be stored: into the dead topic first, then into the failed set."""

from collections.abc import Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_workers import wire
from sluice_workers.settings import Topic
from sluice_workers.write.batch import Rejected


class Rejects:
    """Gives records up, so that their offsets may pass."""

    def __init__(
        self, producer: AIOKafkaProducer, redis: Redis, topic: Topic, job: JobName
    ) -> None:
        self._producer = producer
        self._redis = redis
        self._topic = topic
        self._key = job.redis_key("failed")

    async def give_up(self, rejected: Sequence[Rejected]) -> None:
        """Return when the broker and Redis have them all. Raises ``DependencyError``."""
        if not rejected:
            return
        try:
            for each in rejected:
                await self._producer.send_and_wait(
                    self._topic.name,
                    key=each.key.encode(),
                    value=_dead(each).model_dump_json(by_alias=True).encode(),
                    headers=[
                        (wire.ITEM, each.item.encode()),
                        (wire.GENERATION, str(self._topic.generation).encode()),
                    ],
                )
        except KafkaError as error:
            raise DependencyError("BrokerUnreachable", f"the dead topic: {error}") from error
        try:
            await self._redis.sadd(self._key, *{each.key for each in rejected})
        except (RedisError, OSError) as error:
            raise DependencyError("RedisUnreachable", f"the failed set: {error}") from error


def _dead(rejected: Rejected) -> wire.DeadItem:
    return wire.DeadItem(
        key=rejected.key,
        item=rejected.item,
        reason=wire.FailureReason.INVALID_RECORD,
        message=rejected.message,
        failed_at=datetime.now(UTC),
        value=rejected.value,
    )
