"""A POS made of bytes: records each request exactly as it came, then does on the socket whatever a test says."""

import contextlib
import re
import socket
import ssl
import threading
from collections import deque

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reply(data):
    return lambda conn, server: conn.sendall(data)


class RawServer:
    """`behave(conn, server)` runs once per request; `plan(...)` queues other behaviours for the next ones.

    With `read=False` the request is not read first.
    """

    def __init__(self, behave=reply(OK), *, tls=None, read=True, host="127.0.0.1"):
        self.requests = deque()
        self.arrived = threading.Semaphore(0)
        self.release = threading.Event()
        self.connections = 0
        self._behave = behave
        self._planned = deque()
        self._read = read
        self._tls = tls
        self._open = set()
        self._threads = []
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def plan(self, *behaviours):
        self._planned.extend(behaviours)

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self):
        self.release.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for conn in list(self._open):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(conn,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, conn):
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None:
                conn = self._tls.wrap_socket(conn, server_side=True)
            self._open.add(conn)
            if self._read:
                self.requests.append(read_request(conn))
            self.arrived.release()
            (self._planned.popleft() if self._planned else self._behave)(conn, self)
        self._open.discard(conn)
        conn.close()


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(conn)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length:
        while len(body) < int(length.group(1)):
            body += receive(conn)
    elif re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        while not body.endswith(b"0\r\n\r\n"):
            body += receive(conn)
    return Request(head, body)


def receive(conn):
    data = conn.recv(65536)
    if not data:
        raise ValueError("the client went away")
    return data


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


def server_tls(cert_pem_path, key_pem_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_pem_path, key_pem_path)
    return context
