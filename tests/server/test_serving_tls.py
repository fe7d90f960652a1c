"""TLS by files: clients come by TLS alone, operations and stdio by loopback; and what a hangup does."""

from __future__ import annotations

import datetime
import signal
import ssl
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server.office import Office, say
from tests.server.test_cli_serve import serve, tools_over_stdio


def certificate(place: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    sealed = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    (place / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (place / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    )
    return place / "cert.pem", place / "key.pem"


async def test_clients_come_by_tls_and_people_and_stdio_by_loopback(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.bring_the_desk()
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("BAILIWICK_TLS_CERTIFICATE", str(cert))
    monkeypatch.setenv("BAILIWICK_TLS_KEY", str(key))
    with serve("--host", "localhost", "--port", "0") as (url, process):
        assert url.startswith("https://localhost:"), process.communicate(timeout=60)
        trust = ssl.create_default_context(cafile=str(cert))
        async with httpx2.AsyncClient(verify=trust, trust_env=False) as http:
            assert (await http.post(url, json={})).status_code == 401
            assert (await http.get(url.replace("/mcp", "/readyz"))).json()["status"] == "ready"
            with pytest.raises(httpx2.HTTPError):
                await http.get(url.replace("https", "http"))
        assert office.say("agent", "list").code == 0
        assert "use_tool" in await tools_over_stdio(office, "auto")
        process.send_signal(signal.SIGTERM)
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "Traceback" not in complained


def test_files_that_are_no_certificate_are_one_sentence(office: Office, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    told = office.folder.settings_file
    told.write_text(f'tls_certificate = "{cert}"\n')
    assert "belong together" in say("serve", "--port", "0").err
    told.write_text(f'tls_certificate = "{cert}"\ntls_key = "{key}.not"\n')
    said = say("serve", "--port", "0")
    assert (said.code, "cannot be used" in said.err) == (2, True)
    certificate(tmp_path, b"secret")
    told.write_text(f'tls_certificate = "{cert}"\ntls_key = "{key}"\n')
    said = say("serve", "--port", "0")
    assert (said.code, "without a passphrase" in said.err) == (2, True)


def test_a_hangup_takes_workflows_anew_and_json_lines_say_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.bring_the_desk()
    monkeypatch.setenv("BAILIWICK_LOG_FORMAT", "json")
    with serve("--port", "0") as (_, process):
        path = office.folder.workflows_dir / "refund.yaml"
        (path.parent / "later.yaml").write_text(
            path.read_text().replace("workflow: refund", "workflow: later")
        )
        assert "later" not in office.say("workflow", "list").out
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        while "loaded anew" not in process.stderr.readline():
            pass
        assert "later" in office.say("workflow", "list").out
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["BAILIWICK_OAUTH_ISSUER", "BAILIWICK_OAUTH_KEYS"])
def test_half_an_issuer_is_refused(office: Office, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://issuer.example/")
    said = say("serve", "--port", "0")
    assert (said.code, "belong together" in said.err) == (2, True)
    monkeypatch.setenv(name, "http://issuer.example/")
    assert "must be an https:// URL" in say("serve", "--port", "0").err
