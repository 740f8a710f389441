"""TLS to PostgreSQL: where the driver finds the certificates of the machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infrastructure.postgres.session import Session, connect

SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


def certificate(folder: Path) -> Path:
    """A certificate for localhost, signed with its own key, and the key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "localhost.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


@asynccontextmanager
async def tls_before(url: str, certificate: Path) -> AsyncIterator[str]:
    """The URL of the same database behind TLS, which the embedded PostgreSQL does not speak itself."""
    given = conninfo_to_dict(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        try:
            assert await reader.readexactly(8) == SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
            to, behind = await asyncio.open_unix_connection(f"{given['host']}/.s.PGSQL.{given['port']}")
            await asyncio.gather(pass_on(reader, behind), pass_on(to, writer))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield make_conninfo(url, host="localhost", hostaddr="127.0.0.1", port=port, gssencmode="disable")
        await asyncio.gather(*served)


async def test_the_certificates_of_the_machine_are_those_of_ssl_cert_file(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate(tmp_path)
    session = Session(application="test_tls")
    async with tls_before(database_url, trusted) as url:
        verified = make_conninfo(url, sslmode="verify-full", sslrootcert="system")
        # Given a driver whose own OpenSSL knows no certificates, it refuses a server that the machine trusts,
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            await connect(verified, session)
        # and with the file that docs/connections.md names, and that the image sets, it connects.
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        async with await connect(verified, session) as connection:
            assert connection.pgconn.ssl_in_use
