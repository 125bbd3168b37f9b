"""The operator's settings: from variables, or from Secrets that are read again."""

from pathlib import Path

import pytest

from sluice_api.errors import ConfigurationError
from sluice_operator.settings import read

BASE = {"SLUICE_WORKER_IMAGE": "image"}
GIVEN = {"SLUICE_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "SLUICE_REDIS_URL": "redis://redis"}


def mount(folder: Path, servers: str = "kafka:9092", url: str = "redis://redis") -> dict[str, str]:
    for name, content in (("kafka/bootstrapServers", servers), ("redis/url", url)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{content}\n")
    return {**BASE, "SLUICE_CONNECTIONS": str(folder)}


def test_variables_give_the_connections() -> None:
    found = read({**BASE, **GIVEN, "SLUICE_KAFKA_PASSWORD": "pass"}).connections()
    assert (found.kafka.bootstrap_servers, found.kafka.password) == ("kafka:9092", "pass")
    assert found.redis_url == "redis://redis"


def test_mounted_secrets_are_read_each_time(tmp_path: Path) -> None:
    settings = read(mount(tmp_path))
    assert settings.connections().kafka.bootstrap_servers == "kafka:9092"
    mount(tmp_path, "other:9092", "rediss://other")
    assert settings.connections().kafka.bootstrap_servers == "other:9092"
    assert settings.connections().redis_url == "rediss://other"


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SLUICE_WORKER_IMAGE.*kafka.bootstrapServers"):
        read({})
    with pytest.raises(ConfigurationError, match="leave out SLUICE_REDIS_URL"):
        read({**mount(tmp_path), "SLUICE_REDIS_URL": "redis://redis"})
    with pytest.raises(ConfigurationError, match="redis/url: cannot be read"):
        read({**BASE, "SLUICE_CONNECTIONS": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigurationError, match="SLUICE_REDIS_URL: String should match") as error:
        read(mount(tmp_path, url="http://user:hidden@redis"))
    assert "hidden" not in str(error.value)
