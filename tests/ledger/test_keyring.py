"""The server's keys: who can read them, and that nothing shows them."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.keyring import KeyRing, KeyRingError


def test_a_ring_is_readable_by_its_owner_only_and_loads_again(tmp_path: Path) -> None:
    made = KeyRing.create(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys/ring.json").stat().st_mode & 0o777 == 0o600
    assert [item.name for item in (tmp_path / "keys").iterdir()] == ["ring.json"]
    loaded = KeyRing.load(tmp_path / "keys")
    assert loaded.public_keys("head") == made.public_keys("head")
    assert loaded.secret("approval-token") == made.secret("approval-token")
    assert len(made.secret("approval-token")) == 32


def test_each_purpose_has_its_own_key(keys: KeyRing) -> None:
    assert keys.public_keys("head").keys().isdisjoint(keys.public_keys("export"))
    signed = keys.sign("head", b"data")
    Ed25519PublicKey.from_public_bytes(keys.public_keys("head")[signed.kid]).verify(signed.signature, b"data")


def test_the_newest_key_signs_and_older_ones_stay_known(tmp_path: Path) -> None:
    old, new = KeyRing.create(tmp_path / "old"), KeyRing.create(tmp_path / "new")
    path = tmp_path / "old/ring.json"
    ring, other = json.loads(path.read_text()), json.loads((tmp_path / "new/ring.json").read_text())
    ring["keys"] += [key for key in other["keys"] if key["purpose"] == "head"]
    path.write_text(json.dumps(ring))
    both = KeyRing.load(tmp_path / "old")
    assert both.sign("head", b"data") == new.sign("head", b"data")
    assert both.public_keys("head") == old.public_keys("head") | new.public_keys("head")


def test_a_second_ring_never_replaces_the_first(tmp_path: Path, keys: KeyRing) -> None:
    with pytest.raises(KeyRingError, match="already exists"):
        KeyRing.create(tmp_path / "keys")
    assert KeyRing.load(tmp_path / "keys").public_keys("head") == keys.public_keys("head")


@pytest.mark.parametrize(
    ("name", "mode"), [("ring.json", 0o640), ("ring.json", 0o604), (".", 0o750), (".", 0o701)]
)
def test_a_ring_that_others_can_reach_is_refused(tmp_path: Path, keys: KeyRing, name: str, mode: int) -> None:
    (tmp_path / "keys" / name).chmod(mode)
    with pytest.raises(KeyRingError, match="run `chmod"):
        KeyRing.load(tmp_path / "keys")


def test_a_ring_is_not_made_where_others_can_reach_it(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(KeyRingError, match="run `chmod 700"):
        KeyRing.create(tmp_path / "open")
    assert not list((tmp_path / "open").iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"v":2,"keys":[]}',
        '{"v":1,"keys":[]}',
        '{"v":1,"keys":[{"purpose":"head","private":"?"}]}',
        '{"v":1,"keys":[{"purpose":"head","private":"c2hvcnQ="}]}',
        '{"v":1,"keys":7}',
        '{"v":1,"keys":["head"]}',
    ],
)
def test_a_file_that_is_no_ring_is_refused_without_quoting_it(
    tmp_path: Path, keys: KeyRing, content: str
) -> None:
    (tmp_path / "keys/ring.json").write_text(content)
    with pytest.raises(KeyRingError, match="not a key ring") as caught:
        KeyRing.load(tmp_path / "keys")
    assert caught.value.__cause__ is None


def test_an_absent_ring_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="No such file"):
        KeyRing.load(tmp_path)
    with pytest.raises(KeyRingError, match="No such file"):
        KeyRing.load(tmp_path / "nowhere")


def test_a_link_to_a_ring_is_not_followed(tmp_path: Path, keys: KeyRing) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "other/ring.json").symlink_to(tmp_path / "keys/ring.json")
    with pytest.raises(KeyRingError, match="could not be read"):
        KeyRing.load(tmp_path / "other")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyRingError, match="could not be written"):
        KeyRing.create(tmp_path / "file" / "keys")


def test_printing_a_ring_shows_no_key(tmp_path: Path, keys: KeyRing) -> None:
    private = [key["private"] for key in json.loads((tmp_path / "keys/ring.json").read_text())["keys"]]
    shown = f"{keys!r} {keys!s} {vars(keys)!r}".replace(keys.secret("approval-token").hex(), "")
    assert repr(keys) == f"KeyRing({str(tmp_path / 'keys')!r})"
    assert all(secret not in shown for secret in private)
