"""Clients that load a server of texts, on plain sockets: many streams at once, idle connections, clients that leave."""
import asyncio
import json
import random
import socket
import statistics
import struct
import time

LONGEST = 300  # seconds that any part may take


def request_of(body, extra=""):
    content = json.dumps(body).encode()
    return (f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n{extra}\r\n").encode() + content


async def read_stream(port, body):
    """When its tokens came, and how many there were by the server's own count."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_of(body, "Connection: close\r\n"))
    times, count, rest = [], None, b""
    while chunk := await reader.read(1 << 16):
        now = time.perf_counter()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if b'"finish_reason":null' in line:
                times.append(now)
            elif b'"usage":{' in line:
                count = json.loads(line.removeprefix(b"data: "))["usage"]["completion_tokens"]
            elif line.startswith(b"HTTP/1.1") and b" 200 " not in line:
                raise RuntimeError(line.decode())
    writer.close()
    if count is None:
        raise RuntimeError("a stream ended early: " + rest.decode(errors="replace")[:500])
    return times, count


async def read_streams(port, bodies):
    start = time.perf_counter()
    streams = await asyncio.wait_for(asyncio.gather(*(read_stream(port, body) for body in bodies)), LONGEST)
    seconds = time.perf_counter() - start
    gaps = sorted(later - earlier for times, _ in streams for earlier, later in zip(times, times[1:]))
    return {"tokens_per_second": sum(count for _, count in streams) / seconds,
            "first_token_p50": statistics.median(times[0] - start for times, _ in streams),
            "gap_p50": gaps[len(gaps) // 2], "gap_p99": gaps[len(gaps) * 99 // 100]}


def streams(port, count, prompt, tokens, vocab, seed, **options):
    """`count` prompts of random tokens at once, each written on by so many tokens."""
    dice = random.Random(seed)
    body = {"max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
    body |= options
    bodies = [body | {"prompt": [dice.randrange(vocab // 2, vocab) for _ in range(prompt)]} for _ in range(count)]
    return asyncio.run(read_streams(port, bodies))


def idle_connections(port, count):
    """Connections that have had an answer and are kept."""
    clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
    for client in clients:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for client in clients:
        if not client.recv(4096).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("a connection got no answer")
    return clients


async def leave_at_random(port, dice, whole):
    """Four kinds: half a request, a whole one without reading, a part of the answer, the same with a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    kind = dice.randrange(4)
    writer.write(whole[:dice.randrange(len(whole))] if kind == 0 else whole)
    await writer.drain()
    if kind >= 2:
        await reader.read(dice.randrange(1, 4000))
    if kind == 3:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def aborts_together(port, count, together, seed, body):
    dice = random.Random(seed)
    whole = request_of(body)
    left = iter(range(count))

    async def one_after_the_other():
        for _ in left:
            try:
                await leave_at_random(port, dice, whole)
            except ConnectionError:
                pass  # an answer that came to who has left

    await asyncio.wait_for(asyncio.gather(*(one_after_the_other() for _ in range(together))), LONGEST)


def aborts(port, count, seed, body, together=32):
    """So many requests, whose clients leave at random moments."""
    asyncio.run(aborts_together(port, count, together, seed, body))
