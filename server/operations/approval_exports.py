"""An approval as a proof that leaves the house, and secrets that leave the world."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from ledger.canonical import JsonObject
from ledger.entries import StoredEntry, decode
from ledger.lookup import raw_entry_at
from ledger.transaction import Reading, Transaction
from policies.approvals import ApprovalRequest
from policies.exported import export_approval
from policies.judging import gather_facts, verdicts_on
from policies.people import all_names_of, keys_of_people
from policies.principals import Person
from policies.redemption import quorum_met
from policies.server_keys import EXPORT, ServerKey, Voucher, vouch, voucher_seq
from policies.signing import b64url
from policies.trust import chain_of, lineage_of
from server.errors import BadInput, RuleRefused
from server.operations.approvals import OneApproval
from server.operations.judges import request_of
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from tool_scopes.sealing import erase, sealed_in

_STORY: Final = (
    "approval.requested",
    "approval.judged",
    "approval.revoked",
    "execution.begun",
    "execution.settled",
)


class VouchForKey(Arguments):
    """A key of the server as an admin signed for it."""

    public_key: str = Field(max_length=64)
    signed_by: str = Field(max_length=64)
    signature: str = Field(max_length=128)


def _export(desk: OperationDesk, person: Person, given: OneApproval) -> JsonObject:
    def look(reading: Reading) -> tuple[ApprovalRequest, set[int]]:
        request = request_of(reading, person, given.request)
        if request.execution is None and not quorum_met(gather_facts(reading, request, request.call)):
            raise RuleRefused(
                f"Request {request.id} is {request.state} and its signatures make no approval: nothing "
                "is there to export."
            )
        voucher = voucher_seq(reading, _newest_key(desk)[0])
        if voucher is None:
            raise RuleRefused(
                "No admin has signed for the server's newest export key yet; one does with "
                "`bailiwick key vouch`."
            )
        return request, _proofs(reading, request, voucher)

    request, numbers = desk.ledger.read(look)
    numbers |= {
        entry.seq for entry in desk.ledger.entries(run=request.run, kinds=_STORY) if _about(request, entry)
    }
    numbers |= _of_judges(desk, request)
    raws = desk.ledger.read(lambda reading: [raw_entry_at(reading, seq) for seq in sorted(numbers)])
    text = export_approval(
        request.id,
        request.call,
        [raw for raw in raws if raw is not None],
        origin=desk.folder.origin,
        now_ms=desk.now_ms(),
        kid=_newest_key(desk)[0],
        sign=lambda message: desk.ring.sign("export", message),
    )
    return {"request": request.id, "approval": text}


def _newest_key(desk: OperationDesk) -> tuple[str, bytes]:
    return list(desk.ring.public_keys("export").items())[-1]


def _proofs(reading: Reading, request: ApprovalRequest, voucher: int) -> set[int]:
    """The entries that prove the keys behind an approval, and who is the same human as whom."""
    kids = [cast.signed.kid for cast in verdicts_on(reading, request)]
    sides = all_names_of(reading, request.principal) | all_names_of(reading, request.owner)
    people = sides | {cast.signed.verdict.reviewer for cast in verdicts_on(reading, request)}
    kids += keys_of_people(reading, people)
    entry = raw_entry_at(reading, voucher)
    assert entry is not None, "a voucher's row names its entry"
    kids.append(_signer_of(entry))
    return {voucher} | {seq for kid in kids for seq in chain_of(reading, kid)}


def _signer_of(raw: bytes) -> str:
    return str(decode(raw).body["signed_by"])


def _about(request: ApprovalRequest, entry: StoredEntry) -> bool:
    if entry.kind == "execution.settled":
        return request.execution is not None and entry.body.get("execution") == request.execution
    return entry.body.get("request") == request.id


def _of_judges(desk: OperationDesk, request: ApprovalRequest) -> set[int]:
    """What was ever given to the people who judged, and taken from them, with who vouched for it: their
    standing may have changed after the approval was spent.
    """
    judged = desk.ledger.read(
        lambda reading: {cast.signed.verdict.reviewer for cast in verdicts_on(reading, request)}
    )
    numbers: set[int] = set()
    for entry in desk.ledger.entries(kinds=("person.enrolled", "person.revoked")):
        if entry.body.get("person") in judged:
            numbers.add(entry.seq)
            numbers |= set(desk.ledger.read(lambda reading, seq=entry.seq: lineage_of(reading, seq)))
    return numbers


def _server_key(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    kid, public_key = _newest_key(desk)
    return {"origin": desk.folder.origin, "purpose": EXPORT, "kid": kid, "public_key": b64url(public_key)}


def _vouch(desk: OperationDesk, admin: Person, given: VouchForKey) -> JsonObject:
    kid, public_key = _newest_key(desk)
    if given.public_key != b64url(public_key):
        raise BadInput("This is not the server's newest export key; run the command again.")
    key = ServerKey(desk.folder.origin, EXPORT, given.public_key)
    voucher = Voucher(key, given.signed_by, given.signature)
    desk.ledger.transact_now(lambda tx: vouch(tx, voucher, by=admin.id))
    return {"kid": kid}


def _erase(desk: OperationDesk, admin: Person, given: OneApproval) -> JsonObject:
    def work(tx: Transaction) -> int:
        request = request_of(tx, admin, given.request)
        secret = request.summary.get("secrets")
        names = frozenset(str(name) for name in secret) if isinstance(secret, list) else frozenset[str]()
        found = sealed_in(request.call.arguments, names)
        if not found:
            raise BadInput(f"Request {request.id} holds no sealed argument; there is nothing to erase.")
        return erase(tx, found, tenant=request.tenant, run=request.run, request=request.id, by=admin.id)

    return {"request": given.request, "erased": desk.ledger.transact_now(work)}


OPERATIONS = (
    Operation("approval.export", OneApproval, "person", _export),
    Operation("approval.erase", OneApproval, "admin", _erase),
    Operation("key.server", NoArguments, "admin", _server_key, logged=False),
    Operation("key.vouch", VouchForKey, "admin", _vouch),
)
