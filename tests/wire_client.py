#!/usr/bin/env python3
"""wire_client.py SOCKET - a client written from common/wire.h alone: adds an
event to a running server, finds it and removes it again. Exit code 0 or 1."""
import socket
from struct import error as StructError, pack, unpack
import sys


def call(stream, op, body=b""):
    """One request; its reply's status and body."""
    message = pack("<BBHQ", 1, op, 0, 42) + body
    stream.write(pack("<I", len(message)) + message)
    stream.flush()
    reply = stream.read(*unpack("<I", stream.read(4)))
    version, of, status, flags, tag, _rev = unpack("<4BQQ", reply[:20])
    check("reply's head", (version, of, flags, tag), (1, op, 0, 42))
    return status, reply[20:]


def check(what, got, wanted):
    if got != wanted:
        raise ValueError(f"{what}: got {got!r}, wanted {wanted!r}")


def main(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(path)
    server = sock.makefile("rwb")
    start, end, title = 253402200000, 253402203600, "시험 lesson".encode()

    check("ping", call(server, 1), (0, b""))
    status, body = call(server, 3, pack("<Qqq", 0, start, end) + title)
    check("add", (status, len(body)), (0, 12))
    number, rev = unpack("<IQ", body)
    event = pack("<IQqqB", number, rev, start, end, len(title)) + title
    check("get", call(server, 4, pack("<I", number)), (0, event))
    page = pack("<qqqII", start, end, start, number - 1, 1)
    check("list", call(server, 7, page), (0, pack("<I", 1) + event))
    remove = pack("<QIQ", 0, number, rev)
    check("remove", call(server, 6, remove)[0], 0)
    check("second remove", call(server, 6, remove)[0], 6)  # not found
    return f"event {number} added, got, listed and removed"


try:
    print("wire client:", main(sys.argv[1]))
except (IndexError, OSError, ValueError, StructError) as error:
    sys.exit(f"wire client: {error}")
