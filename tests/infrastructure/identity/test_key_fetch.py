"""One fetch of the key set: what is an outage, what is too much, and where it may lead."""

import pytest
from structlog.testing import capture_logs

from infrastructure.identity.key_fetch import LARGEST_SET
from infrastructure.identity.key_set import RemoteKeySet


async def test_an_unreachable_port_is_an_outage_and_is_logged(key_server, clock):
    keys = RemoteKeySet(key_server.url, clock=clock)
    key_server.close()
    with capture_logs() as logs:
        await keys.start()
    assert [(line["event"], line["error"]) for line in logs] == [("keys_unreachable", "URLError")]
    await keys.close()


async def test_a_set_that_is_too_large_is_a_failed_fetch_however_good(key_server, clock, jwk, rsa_keys):
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    key_server.body = key_server.body.ljust(LARGEST_SET + 1)
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    assert not keys.ready()
    key_server.body = key_server.body[:-1]
    clock.advance(30)
    await keys.refresh_if_due()
    assert keys.ready()
    await keys.close()


async def test_a_redirect_on_the_same_host_is_followed(key_server, clock, jwk, rsa_keys):
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    key_server.location = key_server.url + "?moved"
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    assert keys.ready()
    assert key_server.requests == 2
    await keys.close()


@pytest.mark.parametrize("host", ["http://localhost:{port}/", "http://127.0.0.1:1/", "ftp://127.0.0.1:{port}/"])
async def test_a_redirect_to_another_host_is_not_followed(host, key_server, clock):
    key_server.location = host.format(port=key_server.port)
    keys = RemoteKeySet(key_server.url, clock=clock)
    with capture_logs() as logs:
        await keys.start()
    assert "another host" in logs[0]["detail"]
    assert key_server.requests == 1
    await keys.close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:,{}", "https://", "clerk.example.com", ""])
def test_only_http_addresses_are_asked(url):
    with pytest.raises(ValueError, match=r"^The address of the key set is not an HTTP or HTTPS address\.$"):
        RemoteKeySet(url)
