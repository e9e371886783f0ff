"""Settings of the proxy: read once, then passed.

Every field can be set by an environment variable: ``VISAVIS_`` and its name in capitals; fields of a group are
joined with two underscores (``VISAVIS_FETCH__MAX_REDIRECTS``). Lists have commas between their values
(``VISAVIS_S3__BUCKETS=pictures,portraits``) or are JSON. A name that begins like a setting and is none is refused.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from visavis_client.address import TritonAddress
from visavis_proxy.contracts.aliyun.settings import AliyunSettings
from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.contracts.facepp.settings import FacePpSettings
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings
from visavis_proxy.setting_lists import Names, Networks
from visavis_proxy.setting_names import PREFIX, unknown_names

LogFormat = Literal["plain", "json"]


class SettingsInvalid(Exception):
    """A setting cannot work here; the text is one sentence for the operator, without secrets."""


class FetchSettings(BaseModel):
    """Pictures from elsewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_timeout_s: float = Field(2.0, gt=0)
    #: Name look-up, connection, redirects and body together; inside the contracts' ten seconds.
    total_timeout_s: float = Field(6.0, gt=0)
    max_redirects: int = Field(3, ge=0)
    #: Inside networks that may be fetched from although their addresses are private.
    allowed_networks: Networks = ()
    #: Further networks never to fetch from, such as a NAT64 prefix of one's own; these win over the allowed.
    refused_networks: Networks = ()
    #: At most so many fetches at once in one worker.
    max_concurrent: int = Field(64, ge=1)


class S3Settings(BaseModel):
    """``s3://bucket/key`` pictures; off unless a bucket is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Every caller can read every key of these.
    buckets: Names = ()
    #: Another service that speaks S3; None: AWS's own, of the region.
    endpoint_url: str | None = None
    region: str | None = None


class StateSettings(BaseModel):
    """Where face tokens, nonces, rates and daily counts live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: ``sqlite:///absolute/path`` or ``redis://host:port/0`` (``rediss``: with TLS; ``unix:///socket``); None:
    #: SQLite in the data directory.
    url: SecretStr | None = None
    #: Encrypts templates at rest: urlsafe base64 of 32 bytes; several, separated by commas, while one is being
    #: replaced (the first encrypts). None: made at the first start, mode 0600, in the data directory; a Redis on
    #: another machine is shared, and needs one that is set.
    encryption_key: SecretStr | None = None
    #: How long a face token lives: 72 hours.
    face_token_ttl_s: float = Field(72 * 3600.0, gt=0)


class Settings(BaseSettings):
    """Everything the proxy can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    #: The service's own address; what is safe by default depends on whether it is a loopback one.
    host: str = "127.0.0.1"
    port: int = 8080
    #: Triton's address: of gRPC, ``host:port``, or of HTTP, ``http://host:port``, which costs a worker half as much.
    triton: str = "127.0.0.1:8001"
    #: Holds models.json (which models are loaded) and operating_points.json (their thresholds).
    model_repository: Path = Path("model_repository")
    credentials: Path | None = None
    data_dir: Path | None = None
    #: Of all that is logged beside the requests, which are lines of JSON in any case.
    log_format: LogFormat = "plain"
    #: How long a connection may be idle, whole seconds; longer than any load balancer in front keeps it, or that one
    #: sends a request into a connection that is just being closed.
    keep_alive_s: int = Field(75, ge=1)
    #: Who may say by ``X-Forwarded-Proto`` and ``X-Forwarded-For`` how, and from where, a request came to them:
    #: terminators in front of the service, by the addresses from which they reach it. Of others both are ignored.
    trusted_proxies: Networks = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    #: For so long after SIGTERM the service says that it is not ready and still answers, so that load balancers turn
    #: away from it before it refuses connections.
    drain_s: float = Field(0, ge=0)
    #: Longest that one picture may take in the engine.
    engine_timeout_s: float = Field(8.0, gt=0)
    #: Pictures of one worker on their way through the engine at once, two of them in a comparison; while there are so
    #: many, a request is answered with the contract's busy words before it is read. ``visavis serve`` sets it by the
    #: machine's cores and its card; this is for four cores, or one beside a card.
    max_in_flight: int = Field(32, ge=1)
    #: Bytes of request bodies and of pictures from elsewhere that one worker holds at once; a request that does not
    #: fit is answered the same way.
    max_body_bytes_held: int = Field(256 * 2**20, ge=1)
    #: A request's body must arrive within this time, however large.
    body_timeout_s: float = Field(30.0, gt=0)

    fetch: FetchSettings = FetchSettings()
    s3: S3Settings = S3Settings()
    state: StateSettings = StateSettings()
    facepp: FacePpSettings = FacePpSettings()
    aliyun: AliyunSettings = AliyunSettings()
    jdcloud: JdCloudSettings = JdCloudSettings()
    aws: AwsSettings = AwsSettings()

    @field_validator("triton")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        TritonAddress.parse(value)
        return value

    @property
    def data_directory(self) -> Path:
        """Where the service keeps what it makes: ``data_dir``, or the user's usual place; it may not exist yet."""
        return self.data_dir or user_data_path("visavis", appauthor=False)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in {"127.0.0.1", "::1", "localhost"}


def read_settings() -> Settings:
    """The settings of the environment.

    Raises:
        SettingsInvalid: they are not as documented; the text names each variable and shows no secret.
    """
    strangers = unknown_names(Settings, os.environ)
    if strangers:
        raise SettingsInvalid("; ".join(strangers))
    try:
        return Settings()
    except ValidationError as error:
        # Not the whole text: pydantic repeats the input, secrets included.
        faults = (
            f"{PREFIX}{'__'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise SettingsInvalid("; ".join(faults)) from None
    except SettingsError as error:
        raise SettingsInvalid(f"{error}: a group is written as JSON, its fields better one by one") from None
