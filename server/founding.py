"""Founding an installation: a data folder, its ledger, and the first admin with their key.

The one act that no signature asks for: before it there is nobody who could sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.canonical import JsonObject
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.keyring import KeyRing
from ledger.transaction import Transaction
from policies.cedar import PolicySet
from policies.enrolling import enrol_root
from policies.key_files import write_key_file
from policies.principals import Person, require_id
from policies.server_keys import EXPORT, ServerKey, sign_server_key, vouch
from policies.signing import b64url, new_personal_key
from policies.taking import take_policies
from server.data_folder import DataFolder, creating_folder, open_folder
from server.open_ledger import open_ledger
from server.personal_keys import key_path


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made: the folder, where the first admin's private key lies, and its public half: the root of
    trust.
    """

    folder: DataFolder
    person: Person
    key_file: Path
    kid: str
    public_key: str


def found(
    root: Path, person: Person, *, key_file: Path | None = None, ledger_url: str | None = None
) -> Founded:
    """Make a data folder with `person` as its first admin. All of it or nothing.

    `key_file` is where the private key goes, else among the person's own configuration; it never lies in
    the folder.
    """
    require_id(person.id, "a person")
    require_id(person.tenant, "a tenant")
    key = new_personal_key(person.id)
    written: Path | None = None
    try:
        with creating_folder(root) as draft:
            policies = PolicySet.load(draft.policy_dir)
            ring = KeyRing.load(draft.keys_dir)
            with open_ledger(draft, ring, ledger_url) as ledger:

                def enrol(tx: Transaction) -> None:
                    body: JsonObject = {"id": draft.id, "origin": draft.origin}
                    tx.append(Entry("folder.created", WHOLE_FOLDER, body))
                    enrol_root(tx, person, key)
                    take_policies(tx, policies, lowers=(), by=person.id)
                    for public_key in ring.public_keys(EXPORT).values():
                        own = ServerKey(draft.origin, EXPORT, b64url(public_key))
                        vouch(tx, sign_server_key(key, own), by=person.id)

                ledger.transact_now(enrol)
            place = key_path(draft.id, person.id) if key_file is None else key_file.expanduser().absolute()
            write_key_file(place, key, data_folder=root)
            written = place
    except BaseException:
        if written is not None:
            written.unlink(missing_ok=True)
        raise
    return Founded(open_folder(root), person, place, key.kid, key.public_key)
