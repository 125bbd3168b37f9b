"""The archive's bucket: whole objects, and errors in words."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import S3Store

from sluice_api.archive import S3
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers.settings import read_secret

if TYPE_CHECKING:
    from obstore import PutMode, PutResult
    from obstore.store import ClientConfig, S3Config

T = TypeVar("T")

CONNECT: Final = timedelta(seconds=3)
TIMEOUT: Final = timedelta(seconds=30)
"""How long one request may take: an object of the largest size at 17 Mbit/s."""
FOLDER: Final = "archive"
"""Where the pod finds the Secret, below the folder of its configuration."""
_SAID: Final = re.compile(r"<Code>([^<]*)</Code>(?:.*?<Message>([^<]*)</Message>)?", re.DOTALL)
_TOOK: Final = re.compile(r" in [0-9.]+(ns|µs|ms|s)\b")
_STATUS: Final = re.compile(r"status code: (\d+)")
_REFUSED: Final = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "XAdminUserNotFound",
}
_ERRORS: Final = (BaseError, OSError, NotImplementedError)


class Store:
    """A bucket below its prefix. Every method raises ``DependencyError``.

    The mounted Secret is read at the first call, and again after its keys were refused. Raises
    ``ConfigurationError`` when it has not what it must have.
    """

    def __init__(self, where: S3, folder: Path) -> None:
        self._where = where
        self._folder = folder
        self._client: S3Store | None = None

    async def create(self, name: str, content: bytes) -> bool:
        """Put an object unless there is one of that name; return whether it was put."""
        mode: PutMode = "create" if self._where.conditional_writes else "overwrite"
        try:
            await self._put(name, content, mode)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    async def replace(self, name: str, content: bytes, e_tag: str | None) -> str | None:
        """Put an object over the one with that tag, or where none was; return its new tag.

        Raises ``PreconditionError`` or ``AlreadyExistsError`` when another was put meanwhile.
        """
        mode: PutMode = {"e_tag": e_tag} if e_tag else "create"
        found = await self._put(name, content, mode if self._where.conditional_writes else None)
        return found["e_tag"]

    async def read(self, name: str) -> tuple[bytes, str | None] | None:
        """Return an object and its tag, or None."""

        async def get(client: S3Store) -> tuple[bytes, str | None]:
            found = await obstore.get_async(client, name)
            return bytes(await found.bytes_async()), found.meta["e_tag"]

        try:
            return await self._call(get)
        except _NoObjectError:
            return None

    async def names(self, prefix: str) -> list[str]:
        """Return the names of the objects below a prefix, in their order."""

        async def collect(client: S3Store) -> list[str]:
            return [each["path"] async for chunk in obstore.list(client, prefix) for each in chunk]

        return sorted(await self._call(collect))

    async def folders(self, prefix: str) -> list[str]:
        """Return the prefixes one level below a prefix."""

        async def collect(client: S3Store) -> list[str]:
            found = await obstore.list_with_delimiter_async(client, prefix)
            return list(found["common_prefixes"])

        return sorted(await self._call(collect))

    async def _put(self, name: str, content: bytes, mode: "PutMode | None") -> "PutResult":
        async def put(client: S3Store) -> "PutResult":
            return await obstore.put_async(client, name, content, mode=mode, use_multipart=False)

        return await self._call(put)

    async def _call(self, call: Callable[[S3Store], Awaitable[T]]) -> T:
        if self._client is None:
            self._client = _client(self._where, read_secret(self._folder / FOLDER))
        try:
            return await call(self._client)
        except (AlreadyExistsError, PreconditionError):
            raise
        except _ERRORS as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        text = str(error)
        said, status = _SAID.search(text), _STATUS.search(text)
        code, message = (said[1], said[2] or "") if said else ("", "")
        number, server = (int(status[1]) if status else 0), self._where.endpoint or "Amazon S3"
        if code == "NoSuchKey" or (isinstance(error, FileNotFoundError) and not code):
            return _NoObjectError("NoObject", f"{server}: no such object")
        if code == "NoSuchBucket":
            return DependencyError(
                "BucketNotFound",
                f"the archive's bucket {self._where.bucket} does not exist at {server}: create it,"
                " or correct s3.bucket",
            )
        if number in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or code in _REFUSED:
            self._client = None
            return DependencyError(
                "ArchiveForbidden",
                f"the archive's server {server} refuses the keys of Secret"
                f" {self._where.secret_ref.name}: {code}: {message}",
            )
        if number == HTTPStatus.NOT_IMPLEMENTED or isinstance(
            error, NotImplementedError | NotSupportedError
        ):
            return DependencyError(
                "ArchiveNotSupported",
                f"the archive's server {server} does not know what is asked of it: {code}"
                f" {message}: set s3.conditionalWrites to false",
            )
        return DependencyError(
            "ArchiveUnreachable",
            f"the archive's server {server} does not answer: {code or _words(text)} {message}",
        )


class _NoObjectError(DependencyError):
    """There is no object of that name."""


def _client(where: S3, secret: dict[str, str]) -> S3Store:
    missing = [key for key in ("accessKeyId", "secretAccessKey") if not secret.get(key)]
    if missing:
        raise ConfigurationError(
            f"Secret {where.secret_ref.name}: {' and '.join(missing)} must be given, found"
            f" {', '.join(secret) or 'nothing'}"
        )
    config: S3Config = {
        "access_key_id": secret["accessKeyId"],
        "secret_access_key": secret["secretAccessKey"],
        "region": where.region,
        "virtual_hosted_style_request": not where.path_style,
    }
    if where.endpoint is not None:
        config["endpoint"] = where.endpoint
    if token := secret.get("sessionToken"):
        config["session_token"] = token
    options: ClientConfig = {"allow_http": True, "connect_timeout": CONNECT, "timeout": TIMEOUT}
    if authorities := secret.get("ca.crt"):
        options["root_certificate"] = authorities
    try:
        return S3Store(
            where.bucket,
            prefix=where.prefix or None,
            config=config,
            client_options=options,
            retry_config={"max_retries": 0, "retry_timeout": TIMEOUT},
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            f"the archive's client cannot be made: {_words(str(error))}: check s3.endpoint, and"
            f" ca.crt of Secret {where.secret_ref.name}"
        ) from error


def _words(text: str) -> str:
    """What an error says, without times that change with each: conditions would, too."""
    said = " ".join(text.partition("Debug source")[0].split())
    return _TOOK.sub("", said)[:300]
