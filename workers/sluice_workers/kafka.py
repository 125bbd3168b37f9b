"""Clients of the broker, made one way everywhere."""

import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from sluice_api.errors import ConfigurationError
from sluice_api.spec import Compression
from sluice_workers.settings import KafkaConnection

MAX_MESSAGE_BYTES: Final = 1 << 20
"""What one message may have before compression; brokers take one MiB unless told otherwise."""
MAX_VALUE_BYTES: Final = MAX_MESSAGE_BYTES - (16 << 10)
"""What is left of it for the value: key, headers and the batch around them take the rest."""
BATCH_BYTES: Final = 256 << 10
"""How much a partition's batch collects before compression: it compresses better than 16 KiB."""
LINGER_MS: Final = 20
"""How long a message waits for others: alone it costs many times the CPU, and compresses badly."""
TRANSACTION_TIMEOUT_MS: Final = 30_000
"""After which the broker ends what a killed process left open: until then readers wait."""
REBALANCE_TIMEOUT_MS: Final = 60_000
"""How long a member may drain; by default it would be the session timeout, and eviction."""


def client_options(connection: KafkaConnection) -> dict[str, Any]:
    """Options that every aiokafka client takes. Raises ``ConfigurationError``."""
    options: dict[str, Any] = {
        "bootstrap_servers": connection.bootstrap_servers,
        "security_protocol": connection.security_protocol,
    }
    if connection.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(connection)
    if connection.security_protocol.startswith("SASL"):
        options |= _sasl(connection)
    return options


def producer(
    connection: KafkaConnection, compression: Compression, batch_bytes: int = BATCH_BYTES
) -> AIOKafkaProducer:
    """An idempotent producer, not yet started; keys go where the Java client sends them.

    A message that is longer than ``batch_bytes`` is a batch of its own. To be called inside the
    event loop that uses it.
    """
    return AIOKafkaProducer(
        **client_options(connection),
        enable_idempotence=True,
        compression_type=None if compression is Compression.NONE else compression.value,
        max_batch_size=batch_bytes,
        max_request_size=MAX_MESSAGE_BYTES,
        linger_ms=LINGER_MS,
    )


def transactional(
    connection: KafkaConnection, compression: Compression, transactional_id: str
) -> AIOKafkaProducer:
    """A producer of transactions, not yet started; its start fences any other of the same id."""
    return AIOKafkaProducer(
        **client_options(connection),
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        compression_type=None if compression is Compression.NONE else compression.value,
        max_request_size=MAX_MESSAGE_BYTES,
    )


def consumer(
    connection: KafkaConnection,
    *,
    group: str,
    session_timeout_ms: int,
    heartbeat_interval_ms: int,
    max_partition_fetch_bytes: int,
    fetch_max_wait_ms: int = 250,
) -> AIOKafkaConsumer:
    """A member of a group, not yet started nor subscribed; offsets are committed by hand only.

    An offset that the broker does not have raises instead of being reset. One consumer a process:
    the sticky assignor keeps what it remembers on its class.
    To be called inside the event loop that uses it.
    """
    return AIOKafkaConsumer(
        **client_options(connection),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        partition_assignment_strategy=(StickyPartitionAssignor,),
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=heartbeat_interval_ms,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_partition_fetch_bytes=max_partition_fetch_bytes,
        fetch_max_wait_ms=fetch_max_wait_ms,
        # What was written in a transaction that was aborted was never said.
        isolation_level="read_committed",
    )


@asynccontextmanager
async def reader(
    connection: KafkaConnection,
    topic: str,
    partitions: Iterable[int],
    *,
    isolation: Literal["read_committed", "read_uncommitted"],
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that belongs to no group, for reading what a topic holds; all of it is paused.

    It is assigned once for all: a client that is stopped soon after another assignment hangs.
    """
    found = AIOKafkaConsumer(
        **client_options(connection),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
    )
    try:
        await found.start()
        places = [TopicPartition(topic, number) for number in partitions]
        found.assign(places)
        found.pause(*places)
        yield found
    finally:
        await found.stop()


def _ssl_context(connection: KafkaConnection) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=connection.ca_certificate)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"kafka: ca.crt must be PEM text of certificates, found what OpenSSL refuses: {error}"
        ) from error


def _sasl(connection: KafkaConnection) -> dict[str, Any]:
    given = {
        "saslMechanism": connection.sasl_mechanism,
        "username": connection.username,
        "password": connection.password,
    }
    missing = [key for key, value in given.items() if not value]
    if missing:
        raise ConfigurationError(
            f"kafka: {connection.security_protocol} needs {', '.join(missing)} in the Secret"
        )
    return {
        "sasl_mechanism": connection.sasl_mechanism,
        "sasl_plain_username": connection.username,
        "sasl_plain_password": connection.password,
    }
