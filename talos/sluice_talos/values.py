"""The values of ``platform.yaml``, each refused with what was found and what would be right."""

import re
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import AfterValidator

from sluice_api.duration import Duration
from sluice_talos.endpoint import endpoint_url

TALOS: Final = "1.13"
"""The minor version that the patches are written for and tested with."""
_BROADCAST: Final = "255.255.255.255"
_LONGEST: Final = 7 * 86400.0
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        raise ValueError(f"must be an IP address such as 10.0.0.11, found {text!r}") from None
    if found.is_unspecified or found.is_multicast or text == _BROADCAST or "%" in text:
        raise ValueError(f"must be the address of one machine on any network, found {text!r}")
    return str(getattr(found, "ipv4_mapped", None) or found)


def _endpoint(text: str) -> str:
    endpoint_url(text)
    return text


def _link(text: str) -> str:
    if not re.fullmatch(r"[^\s/:]{1,15}", text):
        raise ValueError(f"must be the name of a network interface such as eth0, found {text!r}")
    return text


def _image(text: str) -> str:
    if not re.fullmatch(
        r"[a-z0-9][a-z0-9._/-]*(:[0-9]+/\S+)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", text
    ):
        raise ValueError(
            "must be an image's reference such as registry.example.com/sluice-operator:1,"
            f" found {text!r}"
        )
    return text


def _registry(text: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]+)?", text):
        raise ValueError(f"must be the host of a registry such as docker.io, found {text!r}")
    return text


def _mirrors(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise ValueError("must name a mirror, such as [https://mirror.example.com], found none")
    return urls


def _server(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]+|/dev/ptp[0-9]+", text):
        raise ValueError(f"must be a host or an address such as ntp.example.com, found {text!r}")
    return text


def _some_time(duration: Duration) -> Duration:
    if not 0 < duration.seconds <= _LONGEST:
        raise ValueError(f"must be more than nothing and at most 7d, found {str(duration)!r}")
    return duration


def _whole_seconds(duration: Duration) -> Duration:
    if duration.seconds < 1:
        raise ValueError(f"must be at least 1s, found {str(duration)!r}")
    return _some_time(duration)


def _label(text: str) -> str:
    if len(text) > 63 or not _LABEL.fullmatch(text):  # noqa: PLR2004
        raise ValueError(
            f"must be at most 63 lower case letters, digits and hyphens, found {text!r}"
        )
    return text


def _talos_version(text: str) -> str:
    if not re.fullmatch(rf"v{re.escape(TALOS)}\.[0-9]+", text):
        raise ValueError(f"must be a version v{TALOS}.…, such as v{TALOS}.9, found {text!r}")
    return text


def _kubernetes_version(text: str) -> str:
    if not re.fullmatch(r"v1\.3[1-6]\.[0-9]+", text):
        raise ValueError(f"must be a version from v1.31.0 to v1.36.…, found {text!r}")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError(f"must be a URL such as https://mirror.example.com, found {text!r}")
    return text


Address = Annotated[str, AfterValidator(_address)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Image = Annotated[str, AfterValidator(_image)]
KubernetesVersion = Annotated[str, AfterValidator(_kubernetes_version)]
Label = Annotated[str, AfterValidator(_label)]
Link = Annotated[str, AfterValidator(_link)]
Registry = Annotated[str, AfterValidator(_registry)]
Server = Annotated[str, AfterValidator(_server)]
TalosVersion = Annotated[str, AfterValidator(_talos_version)]
Url = Annotated[str, AfterValidator(_url)]
Mirrors = Annotated[tuple[Url, ...], AfterValidator(_mirrors)]
Bound = Annotated[Duration, AfterValidator(_whole_seconds)]
"""How long something may last."""
Pause = Annotated[Duration, AfterValidator(_some_time)]
"""How long to rest between two looks."""
