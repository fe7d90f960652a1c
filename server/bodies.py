"""Reading a request's body before anybody else does, and telling it again."""

from __future__ import annotations

from starlette.types import Message, Receive


async def read_body(receive: Receive, max_body: int) -> tuple[bytes, Receive]:
    """The body, as far as it is of interest, and a `receive` that tells all of it again.

    `max_body` is in bytes; what is longer is read no further, to be refused for its length.
    """
    messages: list[Message] = []
    body = bytearray()
    more = True
    while more and len(body) <= max_body:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    told = iter(messages)

    async def again() -> Message:
        message = next(told, None)
        return await receive() if message is None else message

    return bytes(body), again
