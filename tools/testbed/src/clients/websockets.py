# WebSocket sessions: sys.argv is the URL, how many, and for wss the file of the authority that is
# believed. Each sends messages of all sizes and wants them back. Lines on standard input: "opened"
# is answered by how many there are, "messages" by how many came back, "close" by JSON.
import asyncio, json, random, ssl, sys
import websockets

SIZES = [0, 1, 125, 126, 65535, 65536, 200_000]
told = {"messages": 0, "failed": [], "servers": {}}


async def session(socket, number, stop):
    numbers = random.Random(number)
    try:
        while not stop.is_set():
            size = numbers.choice(SIZES)
            message = numbers.randbytes(size) if numbers.random() < 0.5 else "x" * size
            await socket.send(message)
            if await asyncio.wait_for(socket.recv(), 20) != message:
                raise ValueError("another message came back")
            await asyncio.wait_for(await socket.ping(), 20)
            told["messages"] += 1
            await asyncio.sleep(0.05)
        await socket.close()
        if socket.close_code != 1000:
            raise ValueError(f"closed with {socket.close_code}")
    except Exception as error:
        told["failed"].append(f"session {number}: {error!r}")


async def main(url, count, *authority):
    stop, running = asyncio.Event(), []
    how = {"ssl": ssl.create_default_context(cafile=authority[0])} if authority else {}
    for number in range(count):
        socket = await websockets.connect(url, ping_interval=None, max_size=None, **how)
        name = await socket.recv()
        told["servers"][name] = told["servers"].get(name, 0) + 1
        running.append(asyncio.create_task(session(socket, number, stop)))
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().strip():
        if line == "opened":
            print(count)
            continue
        if line == "messages":
            print(told["messages"])
            continue
        stop.set()
        await asyncio.gather(*running)
        print(json.dumps(told))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
