"""Who keeps the newest head of a folder's log: its own mark, and a witness elsewhere if one is named.

The mark is told every second and costs no call anything. It catches the most frequent accident, an older
ledger put in the place of a newer one, and no adversary: whoever writes to the folder can change it too.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from ledger.errors import LedgerDamaged, LedgerUnavailable
from ledger.heads import HeadError
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from ledger.witness import read_witness_key
from ledger.witness_file import FileWitness, read_kept
from ledger.witness_http import HttpWitness
from ledger.witnessing import CLOCK_TOLERANCE_MS, Witnessing, WitnessPlace
from server.data_folder import DataFolder
from server.errors import BadInput
from server.settings import Settings


@contextmanager
def witnessed(
    folder: DataFolder, settings: Settings, ring: KeyRing, ledger: Ledger
) -> Generator[Witnessing | None]:
    """Refuse a log that is behind its mark, its witness or its own clock; then keep both told of new heads.

    Gives the witness that writes depend on. Raises `LedgerDamaged` or `LedgerUnavailable`, with what to do.
    """
    _refuse_empty(folder, ledger)
    _refuse_clock_behind(ledger)
    with ExitStack() as opened:
        mark = FileWitness(folder.newest_head_file, lambda: ring.public_keys("head"))
        place = WitnessPlace(f"this folder's own mark ({folder.newest_head_file.name})", mark)
        opened.enter_context(closing(Witnessing(ledger, place, sync=False)))
        named = witness_place(folder, settings, ring)
        if named is None:
            yield None
        else:
            watching = Witnessing(ledger, named, sync=settings.witness_mode == "sync")
            yield opened.enter_context(closing(watching))


def witness_place(folder: DataFolder, settings: Settings, ring: KeyRing) -> WitnessPlace | None:
    """The witness that the settings name; `BadInput` when it cannot be one."""
    named = settings.witness
    if named is None:
        return None
    if is_url(named):
        if settings.witness_key is None:
            raise BadInput(
                "The setting witness names a URL, so witness_key must hold the key of who answers there; "
                "`bailiwick witness init` prints it."
            )
        try:
            key = read_witness_key(settings.witness_key)
        except (HeadError, ValueError) as error:
            raise BadInput(f"The setting witness_key cannot be used: {error}") from None
        return WitnessPlace(f"the witness {key.name}", HttpWitness(named), key)
    path = Path(named).expanduser().absolute()
    if path.resolve().is_relative_to(folder.root.resolve()):
        raise BadInput(
            f"The witness {path} lies in the data folder and would be rolled back with it; name another "
            "place in the setting witness."
        )
    if not path.parent.is_dir():
        raise BadInput(
            f"There is no folder {path.parent} for the witness; make it, on another disk or a share."
        )
    return WitnessPlace(f"the witness {path}", FileWitness(path, lambda: ring.public_keys("head")))


def is_url(text: str) -> bool:
    """Whether a witness is named by URL, and not by the path of a file."""
    return "://" in text


def _refuse_empty(folder: DataFolder, ledger: Ledger) -> None:
    kept = read_kept(folder.newest_head_file) if ledger.head() is None else None
    if kept is not None:
        raise LedgerDamaged(
            f"The ledger is empty, but {folder.newest_head_file.name} saw {kept.size} entries: its database "
            "was taken away. Bring it back; SECURITY.md says what to do if it is lost for good."
        )


def _refuse_clock_behind(ledger: Ledger) -> None:
    def behind_ms(tx: Transaction) -> int:
        return tx.clock_behind_ms

    late = ledger.transact_now(behind_ms)
    if late > CLOCK_TOLERANCE_MS:
        raise LedgerUnavailable(
            f"The clock is {late // 1000} seconds behind the last signed head of the log; set it right, or "
            "wait until it has caught up, and start again."
        )
