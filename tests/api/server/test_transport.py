"""What the kernel is given of an answer's parts, and when."""

import asyncio

import pytest

from api.server.transport import DROPPED_EACH, AnswerTransport


class Recording(asyncio.Transport):
    """Takes notes of what is sent, and of its end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes | None] = []
        self.protocol: asyncio.BaseProtocol = Told()
        self.reading = True

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append(None)

    def is_closing(self) -> bool:
        return None in self.sent

    def write_eof(self) -> None:
        self.sent.append(b"<end>")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.is_closing()
        self.reading = True


class Told(asyncio.Protocol):
    """Whom the connection belongs to."""

    lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


@pytest.fixture
def transport() -> Recording:
    return Recording()


def answering(transport: asyncio.Transport, *, more: bool = False) -> AnswerTransport:
    return AnswerTransport(transport, lambda: more)


async def a_turn() -> None:
    """Everybody else's, on the event loop."""
    await asyncio.sleep(0)


async def test_head_and_body_are_one(transport) -> None:
    together = answering(transport)
    together.write(b"head")
    together.write(b"body")
    assert transport.sent == [b"headbody"]
    await a_turn()
    assert transport.sent == [b"headbody"]


async def test_a_body_without_bytes_sends_the_head(transport) -> None:
    together = answering(transport)
    together.write(b"head")
    together.write(b"")
    assert transport.sent == [b"head"]


async def test_a_head_that_nothing_follows_is_sent_at_the_end_of_the_turn(transport) -> None:
    together = answering(transport)
    together.write(b"head")
    assert transport.sent == []
    await a_turn()
    assert transport.sent == [b"head"]


async def test_everything_is_sent_once_and_in_order_with_no_more_than_one_piece_held_back(transport) -> None:
    together = answering(transport)
    pieces = [b"%d;" % number for number in range(101)]
    for number, piece in enumerate(pieces):
        together.write(piece)
        sent = b"".join(transport.sent)
        assert sent in (b"".join(pieces[: number + 1]), b"".join(pieces[:number]))
        if number % 7 == 0:
            await a_turn()
    await a_turn()
    assert b"".join(transport.sent) == b"".join(pieces)


async def test_what_is_held_back_is_sent_before_the_end(transport) -> None:
    together = answering(transport)
    together.write(b"head")
    together.close()
    assert transport.sent == [b"head", None]


async def test_a_connection_that_was_dropped_is_sent_nothing(transport) -> None:
    together = answering(transport)
    together.write(b"head")
    transport.close()
    await a_turn()
    assert transport.sent == [None]


async def test_where_more_is_to_come_only_our_side_ends_until_there_was_time_to_read(transport, monkeypatch) -> None:
    monkeypatch.setattr("api.server.transport.LINGER", 0.01)
    together = answering(transport, more=True)
    together.write(b"answer")
    together.close()
    assert together.is_closing()
    assert transport.sent == [b"answer", b"<end>"]
    await asyncio.sleep(0.02)
    assert transport.sent == [b"answer", b"<end>", None]


async def test_a_server_that_stops_waits_for_nobody_who_has_his_answer(transport) -> None:
    together = answering(transport, more=True)
    together.close()
    together.close()
    assert transport.sent == [b"<end>", None]


async def test_the_protocol_is_told_of_the_end_of_its_connection(transport) -> None:
    owner = transport.protocol
    answering(transport, more=True).close()
    transport.protocol.data_received(b"more of the body")
    assert not owner.lost
    transport.protocol.connection_lost(None)
    assert owner.lost


async def test_bytes_that_are_dropped_are_read_a_piece_at_a_time(transport) -> None:
    answering(transport, more=True).close()
    assert transport.reading
    transport.protocol.data_received(b"more of the body")
    assert not transport.reading
    await asyncio.sleep(2 * DROPPED_EACH)
    assert transport.reading
    transport.protocol.data_received(b"and more")
    transport.close()
    await asyncio.sleep(2 * DROPPED_EACH)
    assert not transport.reading, "a connection that is closing can't be read from"


def test_all_else_is_the_transport_s_own(transport) -> None:
    async def asked() -> object:
        return answering(transport).get_extra_info("peername", "nobody")

    assert asyncio.run(asked()) == "nobody"
