"""One request and its answer, between an application and a connection that takes notes."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from api.server.answer_head import HeadBeginnings
from api.server.exchange import MOST_HELD, Exchange
from api.server.transport import AnswerTransport

ETAG = (b"etag", b'"a"')


class Recording(asyncio.Transport):
    """Takes notes of what is sent, of its end, and of when reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Exchanging:
    """An exchange, and what its connection saw of it."""

    def __init__(self, *, method: str = "GET", version: str = "1.1", keep_alive: bool = True, waits: bool = False):
        self.connection = Recording()
        self.transport = AnswerTransport(self.connection, lambda: False)
        self.completed = 0
        self.scope = {"type": "http", "method": method}
        self.exchange = Exchange(
            self.transport,
            HeadBeginnings(ServerState()),
            self._complete,
            is_head=method == "HEAD",
            is_old=version == "1.0",
            keep_alive=keep_alive,
            expects_continue=waits,
        )

    def _complete(self) -> None:
        self.completed += 1

    def start(self, app: Any) -> asyncio.Task[None]:
        return asyncio.create_task(self.exchange.run(app, self.scope, set()))

    async def sent(self) -> bytes:
        """All of it, at the end of the turn of the event loop."""
        await asyncio.sleep(0)
        return b"".join(self.connection.sent)


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def body(piece: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": more}


async def exchanged(*messages: Message, **how: Any) -> tuple[bytes, Exchanging]:
    its = Exchanging(**how)
    for message in messages:
        await its.exchange.send(message)
    return await its.sent(), its


async def answered(status: int, content: bytes, *headers: tuple[bytes, bytes], **how: Any) -> tuple[bytes, Exchanging]:
    its = Exchanging(**how)
    await its.exchange.answer(status, headers, content)
    return b"".join(its.connection.sent), its


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (200, b"{}", (ETAG,)),
        (200, b"", ()),
        (304, b"", (ETAG,)),
        (204, b"", ()),
        (400, b"no", ((b"connection", b"close"),)),
    ],
)
async def test_a_whole_answer_is_one_piece_and_the_same_as_in_two_messages(
    method: str, keep_alive: bool, status: int, content: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    how: dict[str, Any] = {"method": method, "keep_alive": keep_alive}
    length = () if status in (204, 304) else ((b"content-length", b"%d" % len(content)),)
    in_two, two = await exchanged(start(status, *headers, *length), body(content), **how)
    whole, one = await answered(status, content, *headers, **how)
    assert sorted(whole.split(b"\r\n")) == sorted(in_two.split(b"\r\n"))
    assert whole.endswith(b"\r\n\r\n" + (content if method == "GET" else b""))
    assert len(one.connection.sent) == 1
    for its in (one, two):
        assert (its.completed, its.exchange.complete) == (1, True)
        assert its.connection.closed == (not keep_alive or (b"connection", b"close") in headers)
        assert (b"connection: close\r\n" in whole) == its.connection.closed


async def test_an_answer_of_unknown_length_is_chunked_and_to_an_old_client_it_ends_with_the_connection() -> None:
    messages = [start(), body(b"one", more=True), body(b"", more=True), body(b"fourteen bytes", more=True), body(b"")]
    sent, its = await exchanged(*messages)
    assert sent == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\ne\r\nfourteen bytes\r\n0\r\n\r\n"
    )
    assert not its.connection.closed
    sent, its = await exchanged(*messages, version="1.0", keep_alive=False)
    assert sent == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonefourteen bytes"
    assert its.connection.closed


@pytest.mark.parametrize("pieces", [[body(b"abcd")], [body(b"ab")], [body(b"ab", more=True), body(b"cd")], [body(b"")]])
async def test_a_body_of_another_length_than_announced_is_never_finished(pieces: list[Message]) -> None:
    # Given an application that announces three bytes and sends more or fewer
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"Content-Length", b"3")))
        for piece in pieces:
            await send(piece)

    its = Exchanging()
    # when it does, then it gets an error, and the client sees the connection end too early.
    with pytest.raises(RuntimeError, match="not as long as announced"):
        await its.start(app)
    assert (its.completed, its.connection.closed) == (0, True)
    assert len((await its.sent()).partition(b"\r\n\r\n")[2]) < 3


async def test_an_announced_body_may_come_in_pieces() -> None:
    sent, its = await exchanged(start(200, (b"Content-Length", b"3")), body(b"a", more=True), body(b"bc"))
    assert sent.endswith(b"content-length: 3\r\n\r\nabc")
    assert its.exchange.complete


async def test_nothing_is_sent_twice_or_out_of_turn() -> None:
    for messages in ([body(b"")], [start(), start()], [start(), body(b""), body(b"")], [start(), body(b""), start()]):
        with pytest.raises(RuntimeError):
            await exchanged(*messages)
    for first in ([start()], [start(), body(b"")]):
        _, its = await exchanged(*first)
        with pytest.raises(RuntimeError, match="a second answer"):
            await its.exchange.answer(200, (), b"")


async def test_an_application_that_ends_without_an_answer_is_an_internal_error() -> None:
    async def silent(*_: Any) -> None: ...

    its = Exchanging()
    await its.start(silent)
    assert (await its.sent()).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert its.connection.closed


async def test_a_cancelled_answer_ends_with_the_connection() -> None:
    async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await asyncio.Event().wait()

    its = Exchanging()
    task = its.start(hanging)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert its.connection.closed
    assert b"0\r\n\r\n" not in await its.sent()


async def test_a_client_that_hung_up_is_sent_nothing() -> None:
    its = Exchanging()
    its.exchange.disconnect()
    await its.exchange.send(start())
    await its.exchange.answer(200, (), b"{}")
    assert await its.sent() == b""
    assert await its.exchange.receive() == {"type": "http.disconnect"}


@pytest.mark.parametrize("whole", [True, False])
async def test_an_answer_waits_for_a_client_that_does_not_take_the_last_ones(whole: bool) -> None:
    its = Exchanging()
    its.transport.fill()
    answering = asyncio.create_task(
        its.exchange.answer(200, (), b"{}") if whole else its.exchange.send(start())  # type: ignore[arg-type]  # two kinds of coroutines
    )
    assert await its.sent() == b""
    its.transport.empty()
    await answering
    assert (await its.sent()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_that_waits_is_told_to_go_on_once_and_only_if_its_body_is_wanted() -> None:
    on = b"HTTP/1.1 100 Continue\r\n\r\n"
    its = Exchanging(method="PATCH", waits=True)
    its.exchange.end_body()
    await its.exchange.receive()
    assert await its.sent() == on
    await its.exchange.answer(200, (), b"{}")
    await its.exchange.receive()
    assert (await its.sent()).count(on) == 1
    # When the head alone is answered, the client isn't told to send a body.
    its = Exchanging(method="PATCH", waits=True)
    await its.exchange.answer(401, (), b"{}")
    await its.exchange.receive()
    assert on not in await its.sent()


async def test_a_body_is_received_in_order_and_read_no_further_ahead_than_it_is_taken() -> None:
    its = Exchanging(method="PATCH")
    exchange, pieces = its.exchange, [b"%06d" % number for number in range(30_000)]
    received, ended = b"", False

    async def take() -> None:
        nonlocal received, ended
        while not ended:
            message = await exchange.receive()
            received, ended = received + message["body"], not message["more_body"]

    held = b""
    for piece in pieces[:20_000]:
        if its.connection.paused:
            break
        exchange.take_body(piece)
        held += piece
    assert MOST_HELD < len(held) < MOST_HELD + 100
    taking = asyncio.create_task(take())
    await asyncio.sleep(0)
    assert received == held
    assert not its.connection.paused
    for number, piece in enumerate(pieces[len(held) // 6 :]):
        exchange.take_body(piece)
        if number % 100 == 0:
            await asyncio.sleep(0)
    exchange.end_body()
    await taking
    assert received == b"".join(pieces)


async def test_the_end_of_the_connection_and_of_the_answer_are_received_by_a_reader_that_waits() -> None:
    async def gone(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    for ending in ("disconnect", "answer"):
        its = Exchanging()
        its.exchange.end_body()
        waiting = [asyncio.create_task(gone(its.exchange.receive)) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        await (its.exchange.answer(200, (), b"{}") if ending == "answer" else asyncio.sleep(0))
        if ending == "disconnect":
            its.exchange.disconnect()
        async with asyncio.timeout(1):
            await asyncio.gather(*waiting)
