"""What the HTTP face is told by the settings: the names that it answers to, and whose tokens it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr

from server.resource_server import ResourceServer, resource_server_of
from server.settings import Settings
from server.traffic import Traffic, traffic_of

_HERE = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Front:
    """`names` are the Host and Origin headers that are answered, so that no page in a browser gets here under
    another name. `tokens` is None where only keys and passes are taken.
    """

    names: TransportSecuritySettings
    tokens: ResourceServer | None = None
    traffic: Traffic = field(default_factory=Traffic)
    metrics_token: SecretStr | None = None


def front_of(settings: Settings, url: str) -> Front:
    """The front by the settings, for a server that listens at `url`. `BadInput` where they contradict."""
    base = settings.public_url or url
    tokens = resource_server_of(settings, base)
    return Front(_names(base), tokens, traffic_of(settings), settings.metrics_token)


def _names(base: str) -> TransportSecuritySettings:
    hosts = [f"{host}:*" for host in _HERE]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    public = urlsplit(base)
    name = f"[{public.hostname}]" if ":" in (public.hostname or "") else str(public.hostname)
    if name not in _HERE:
        # A browser and most clients leave out the port that belongs to the scheme.
        hosts += [name, f"{name}:{public.port or (443 if public.scheme == 'https' else 80)}"]
        origins.append(f"{public.scheme}://{public.netloc}")
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )


def on_this_machine() -> Front:
    """The front of a server that only this machine reaches, for keys and passes alone."""
    return Front(_names("http://127.0.0.1"))
