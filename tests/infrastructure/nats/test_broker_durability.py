"""The question to a broker's monitoring page."""

from infrastructure.nats.broker_durability import Durability, durability


async def test_the_monitoring_page_is_asked_under_a_name_of_our_own(key_server) -> None:
    key_server.status, key_server.body = 200, b'{"jetstream": {"config": {"sync_always": true}}}'
    address = key_server.url.partition("/.well-known")[0]
    assert await durability(address) == Durability(address, always=True)
    assert key_server.agents == ["notification-preferences"]
