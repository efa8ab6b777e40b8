# A WebSocket server: sys.argv is its name and the port. It tells its name and repeats messages.
import asyncio, sys
import websockets


async def serve(socket):
    await socket.send(sys.argv[1])
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(serve, "0.0.0.0", int(sys.argv[2]), max_size=None):
        await asyncio.Future()


asyncio.run(main())
