"""Files to an S3-compatible bucket that somebody named: guarded addresses, bounded waits, small memory.

django-storages writes them; its connections go to checked addresses only (core.outbound), whatever the name resolves to
between check and use, and never through proxies of the environment.
"""

import socket
import time
from typing import IO, Any, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import connection as database
from storages.backends.s3 import S3Storage
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from core import outbound
from core.errors import DomainError
from costs.exporting.delivery import DestinationError
from costs.exporting.sealing import open_secret
from costs.models import ExportDestination

CHUNK = 8 * 1024 * 1024
CONNECT_SECONDS, READ_SECONDS = 5, 30
AWAKE_SECONDS = 2.0
MAX_WORDS = 300


class _Checked:
    """A connection to an address that was checked a moment ago."""

    host: str
    port: int
    timeout: Any

    def _new_conn(self) -> socket.socket:
        failed: OSError | None = None
        for address in outbound.addresses_of(self.host, self.port):
            try:
                return socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError as error:
                failed = error
        raise NewConnectionError(cast(HTTPConnection, self), f"{failed}")


class _Http(_Checked, AWSHTTPConnection):
    pass


class _Https(_Checked, AWSHTTPSConnection):
    pass


class _HttpPool(AWSHTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Https


def storage_of(destination: ExportDestination) -> S3Storage:
    """The bucket as a Django storage. Raises AddressRefusedError for an endpoint this server does not call."""
    endpoint = destination.endpoint_url or None
    if endpoint:
        outbound.check_url(endpoint)
    storage = S3Storage(
        bucket_name=destination.bucket,
        location=destination.prefix,
        endpoint_url=endpoint,
        region_name=destination.region or None,
        access_key=destination.access_key_id,
        secret_key=open_secret(destination),
        default_acl=None,
        file_overwrite=True,
        client_config=Config(
            # Own servers are reached by their name, not by the bucket's.
            s3={"addressing_style": "path" if endpoint else "auto"},
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"max_attempts": 2, "mode": "standard"},
            proxies={},
        ),
        # One part at a time: ten threads would hold ten of them.
        transfer_config=TransferConfig(
            use_threads=False, multipart_threshold=CHUNK, multipart_chunksize=CHUNK
        ),
    )
    session = storage.connection.meta.client._endpoint.http_session
    session._manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return storage


class _Awake(File):
    """A file whose reading keeps the step's transaction awake: PostgreSQL ends sessions that idle in one."""

    _last = 0.0

    def read(self, *arguments: Any) -> Any:
        if time.monotonic() - self._last > AWAKE_SECONDS:
            self._last = time.monotonic()
            with database.cursor() as cursor:
                cursor.execute("SELECT 1")
        return cast(IO[bytes], self.file).read(*arguments)


def send(destination: ExportDestination, name: str, target: str) -> None:
    """Copy a stored file to `target` in the bucket, replacing what is there. Raises DestinationError."""
    try:
        storage = storage_of(destination)
        with default_storage.open(name) as stored:
            storage.save(target, _Awake(stored.file))
    except (BotoCoreError, Boto3Error, ClientError, OSError, DomainError) as error:
        raise failed(destination, error) from None


def probe(destination: ExportDestination) -> None:
    """Write and delete a small object. Raises DestinationError with what the storage said."""
    try:
        storage = storage_of(destination)
        name = storage.save(
            f"llmlab-probe-{destination.pk}.txt", ContentFile(b"LLMLab was here.\n")
        )
        storage.delete(name)
    except (BotoCoreError, Boto3Error, ClientError, OSError, DomainError) as error:
        raise failed(destination, error) from None


def failed(destination: ExportDestination, error: Exception) -> DestinationError:
    """The failure in words: what the storage answered, never a secret."""
    cause = _cause(error)
    if isinstance(cause, DomainError):
        words = cause.detail
    elif isinstance(cause, ClientError):
        said = cause.response.get("Error", {})
        words = f"The storage refused: {said.get('Code', '')} {said.get('Message', '')}".strip()
    elif isinstance(cause, HTTPClientError | NoConnectionError | OSError):
        place = destination.endpoint_url or "Amazon S3"
        words = f"{place} is not reachable ({type(cause).__name__})."
    else:
        words = f"{type(cause).__name__}: {cause}"
    return DestinationError(f"{destination.name}: {words[:MAX_WORDS]}")


def _cause(error: BaseException) -> BaseException:
    """The refusal or answer at the bottom of the libraries' wrappings."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, DomainError | ClientError):
            return at
        at = getattr(at, "kwargs", {}).get("error") or at.__cause__ or at.__context__
    return error
