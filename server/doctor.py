"""Looking over an installation: what is right, what is not, and how to mend it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio

from context_store.errors import StoreError
from context_store.opening import open_knowledge
from context_store.tokens import ESTIMATE, tokenizer_counter
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.tables import log
from policies.cedar import PolicySet
from policies.gate_state import read_gate
from policies.invariants import INVARIANTS
from policies.people import is_single_handed
from server.data_folder import DataFolder
from server.errors import Unavailable, failure_of
from server.open_ledger import open_ledger
from server.ownership import FolderOwned, own
from server.personal_keys import personal_key
from server.resource_server import resource_server_of
from server.retrieval import channels_of
from server.serving import certified
from server.settings import Settings
from server.taking_files import SINGLE_HANDED
from tool_scopes.catalogue_files import load_catalogue
from tool_scopes.secrets_file import read_secrets
from tool_scopes.workflow_files import load_workflows


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and when it is wrong, a sentence that says how to mend
    it.
    """

    name: str
    right: bool
    found: str


def examine(folder: DataFolder, settings: Settings) -> list[Finding]:
    """Everything that can be looked at without changing anything. Nothing in it raises."""
    try:
        with own(folder):
            return list(_findings(folder, settings, owned_by=None))
    except FolderOwned as owned:
        return list(_findings(folder, settings, owned_by=owned))


def _findings(folder: DataFolder, settings: Settings, *, owned_by: FolderOwned | None) -> Iterator[Finding]:
    yield _look("folder", lambda: _folder(folder))
    yield Finding("owner", True, "nobody; commands open it themselves" if owned_by is None else str(owned_by))
    yield _look("server keys", lambda: _ring(folder))
    yield _look("ledger", lambda: _ledger(folder, settings))
    yield _look("library", lambda: "in use by the owner" if owned_by else _library(folder, settings))
    yield _look("secrets", lambda: f"{len(read_secrets(folder.secrets_file))} named")
    yield _look("policies", lambda: _policies(folder, settings))
    yield _look("second admin", lambda: _second_admin(folder, settings))
    yield _look("catalogue", lambda: _catalogue(folder))
    yield _look("workflows", lambda: _workflows(folder))
    yield _look("address", lambda: _address(settings))
    if settings.oauth_issuer is not None or settings.oauth_keys is not None:
        yield _look("issuer", lambda: _issuer(settings))
    yield from _channels(settings)
    yield _look("tokens", lambda: f"counted by {_counter(settings)}")
    yield _look("your key", lambda: f"{personal_key(folder, settings).person}'s")


def _look(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what was looked for
        return Finding(name, False, failure_of(error).sentence)


def _folder(folder: DataFolder) -> str:
    mode = stat.S_IMODE(folder.root.stat().st_mode)
    if mode & 0o077:
        raise Unavailable(f"{folder.root} can be reached by other accounts; run `chmod 700 {folder.root}`.")
    return f"{folder.root} ({folder.id})"


def _ring(folder: DataFolder) -> str:
    KeyRing.load(folder.keys_dir)
    return f"one ring in {folder.keys_dir}"


def _ledger(folder: DataFolder, settings: Settings) -> str:
    # Opening verifies the newest signed head; `audit verify` proves the rest.
    with open_ledger(folder, KeyRing.load(folder.keys_dir), settings.ledger_url) as ledger:
        head, last = ledger.head(), _last_entry(ledger)
        if head is None or head.size != last:
            raise Unavailable(
                f"The log has {last} entries and no head that covers them; run `bailiwick audit verify`."
            )
        return f"{last} entries under a signed head"


def _last_entry(ledger: Ledger) -> int:
    newest = log.select().with_only_columns(log.c.seq).order_by(log.c.seq.desc()).limit(1)
    row = ledger.read(lambda reading: reading.one(newest))
    return 0 if row is None else int(row.seq)


def _library(folder: DataFolder, settings: Settings) -> str:
    ring = KeyRing.load(folder.keys_dir)
    with (
        open_ledger(folder, ring, settings.ledger_url) as ledger,
        open_knowledge(folder.knowledge_path, ledger),
    ):
        return f"opens ({folder.knowledge_path.name})"


def _policies(folder: DataFolder, settings: Settings) -> str:
    found = PolicySet.load(folder.policy_dir)
    with open_ledger(folder, KeyRing.load(folder.keys_dir), settings.ledger_url) as ledger:
        in_force = ledger.read(read_gate).policy
    if in_force not in ("", found.digest):
        raise Unavailable(
            f"The policies in {folder.policy_dir} are not those in force; run `bailiwick policy load`, or "
            "put the files back as they were."
        )
    return f"{len(found.ids)} policies, {len(INVARIANTS)} invariants kept"


def _second_admin(folder: DataFolder, settings: Settings) -> str:
    with open_ledger(folder, KeyRing.load(folder.keys_dir), settings.ledger_url) as ledger:
        alone = ledger.read(is_single_handed)
    return SINGLE_HANDED if alone else "there is one; lowering the gate takes two"


def _address(settings: Settings) -> str:
    secured = certified(settings) is not None
    here = settings.host in ("127.0.0.1", "localhost", "::1")
    if not here and not secured and not (settings.public_url or "").startswith("https:"):
        raise Unavailable(
            f"{settings.host} is reached from other machines in the clear, and keys travel with each "
            "request: set tls_certificate and tls_key, or put a proxy with TLS in front and set public_url."
        )
    if not here and settings.public_url is None:
        raise Unavailable(
            f"Clients of other machines would be refused for the name that they ask for {settings.host} by; "
            "set public_url to it."
        )
    known = settings.public_url or f"{settings.host}, port {settings.port}"
    return f"{known}{', with TLS' if secured else ''}"


def _issuer(settings: Settings) -> str:
    tokens = resource_server_of(settings, settings.public_url or "")
    assert tokens is not None, "one of the two settings is there"
    count = anyio.run(tokens.keys.count)
    if not count:
        raise Unavailable(
            f"{settings.oauth_keys} holds no key for {settings.oauth_algorithms}; mend oauth_keys or "
            "oauth_algorithms."
        )
    return f"{settings.oauth_issuer} has {count} keys"


def _channels(settings: Settings) -> Iterator[Finding]:
    try:
        channels = channels_of(settings)
    except StoreError as error:
        yield Finding("semantic search", False, str(error))
        return
    for channel in channels:
        used = "used" if channel.used else "not used"
        yield Finding(f"{channel.name} search", True, f"{used}: {channel.reason}")


def _counter(settings: Settings) -> str:
    return ESTIMATE.name if settings.tokenizer is None else tokenizer_counter(settings.tokenizer).name


def _catalogue(folder: DataFolder) -> str:
    catalogue = load_catalogue(folder.catalogue_dir)
    return f"{len(catalogue.upstreams)} upstreams, {len(catalogue.offered_effects())} tools offered"


def _workflows(folder: DataFolder) -> str:
    catalogue = load_catalogue(folder.catalogue_dir)
    return f"{len(load_workflows(folder.workflows_dir, catalogue))} workflows"
