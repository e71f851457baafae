"""Takes one file over a socket, hashes it, writes it and syncs it: no server could do with less.

`python -m benchmarks.server.receiver <target> <bytes>` prints its port first. It answers with the
hex MD5 digest of what came, once that is on the disk.
"""

import hashlib
import os
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

_PIECE = 1 << 20
_AHEAD = 4  # pieces that may wait for the hash


def main(target: Path, size: int) -> None:
    """Take one file, and end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        link, _ = listener.accept()
    with link:
        link.sendall(receive(link, target, size).encode())


def receive(link: socket.socket, target: Path, size: int) -> str:
    """Write so many bytes while another thread hashes them; return the hex MD5 digest."""
    hasher = hashlib.md5(usedforsecurity=False)
    free: SimpleQueue[memoryview] = SimpleQueue()
    full: SimpleQueue[memoryview | None] = SimpleQueue()
    for _ in range(_AHEAD):
        free.put(memoryview(bytearray(_PIECE)))

    def digest() -> None:
        while (piece := full.get()) is not None:
            hasher.update(piece)
            free.put(piece)

    hashing = threading.Thread(target=digest, daemon=True)
    hashing.start()
    with target.open("wb", buffering=0) as file:
        while size:
            piece = free.get()[:size]
            count = link.recv_into(piece, 0, socket.MSG_WAITALL)
            if count < len(piece):
                raise EOFError("the sender hung up")
            full.put(piece)
            file.write(piece)
            size -= count
        full.put(None)
        hashing.join()
        os.fsync(file.fileno())
    return hasher.hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
