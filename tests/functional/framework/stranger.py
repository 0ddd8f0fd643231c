"""Somebody who knows BitWrk's protocol from its description alone: nothing of ours is imported.

A stranger has a key, bids, and can be the buyer or the seller of one piece of work, which travels
straight from one to the other over HTTP (the linear transfer).
"""

import base64
import gzip
import hashlib
import http.client
import json
import random
import re
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import coincurve
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def base58check(payload: bytes) -> str:
    data = payload + double_sha256(payload)[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def message_digest(text: str, quirk: bool) -> bytes:
    data = text.encode()
    size = len(data)
    if size < 253:
        prefix = bytes([size])
    else:
        prefix = bytes([0xFD, size & 0xFF, (size >> 1 if quirk else size >> 8) & 0xFF])
    return double_sha256(b"\x18Bitcoin Signed Message:\n" + prefix + data)


def escaped(value: str) -> str:
    return quote_plus(value.replace(" ", ""), safe="")


def ofb(data: bytes, key: bytes) -> bytes:
    zeros = bytes(-(-len(data) // 16) * 16)
    stream = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor().update(zeros)
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


class Refused(Exception):
    """The market's answer is an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stranger:
    """A participant of a market at `url`."""

    def __init__(self, url: str, agent: str = "BitWrkGoClient/0.7.0", quirk: bool = True) -> None:
        self.host = urlsplit(url).netloc
        self.agent = agent
        self.quirk = quirk
        self.key = coincurve.PrivateKey()
        public = self.key.public_key.format(compressed=True)
        hashed = hashlib.new("ripemd160", hashlib.sha256(public).digest()).digest()
        self.address = base58check(b"\0" + hashed)

    # -- HTTP -----------------------------------------------------------------------------

    def call(
        self, method: str, path: str, body: Any = None, accept: str | None = "application/json",
        headers: dict[str, str] | None = None, host: str = "",
    ) -> Answer:  # fmt: skip
        fields = {"User-Agent": self.agent, **(headers or {})}
        if accept is not None:
            fields["Accept"] = accept
        if isinstance(body, dict | list):
            body = urlencode(body)
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(host or self.host, timeout=60)
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Any:
        answer = self.call("GET", path, headers=headers)
        if answer.status != 200:
            raise Refused(answer.status, answer.body.decode())
        return answer.json

    def post(self, path: str, form: Any, expected: tuple[int, ...] = (302, 303)) -> Answer:
        answer = self.call("POST", path, form)
        if answer.status not in expected:
            raise Refused(answer.status, answer.body.decode())
        return answer

    # -- signing --------------------------------------------------------------------------

    def sign(self, text: str) -> str:
        signature = self.key.sign_recoverable(message_digest(text, self.quirk), hasher=None)
        return base64.b64encode(bytes([31 + signature[64]]) + signature[:64]).decode()

    def nonce(self) -> str:
        answer = self.call("GET", "/nonce", accept=None)
        assert re.fullmatch(r"[0-9a-f]{32}", answer.body.decode())
        return answer.body.decode()

    # -- bids and messages ----------------------------------------------------------------

    def bid_form(self, kind: str, article: str, price: str, **more: str) -> dict[str, str]:
        form = {
            "article": article, "type": kind, "price": price,
            "address": self.address, "nonce": self.nonce(), **more,
        }  # fmt: skip
        text = "&".join(f"{name}={escaped(value)}" for name, value in form.items())
        return {**form, "signature": self.sign(text)}

    def bid(self, kind: str, article: str, price: str) -> str:
        answer = self.post("/bid", self.bid_form(kind, article, price), (303,))
        key = str(answer.headers["X-Bid-Key"])
        assert answer.headers["Location"] == f"/bid/{key}"
        return key

    def message_form(self, trade: str, **arguments: str) -> dict[str, str]:
        pairs = sorted({**arguments, "txid": trade}.items())
        text = "&".join(f"{name}={escaped(value)}" if value else name for name, value in pairs)
        return {
            **arguments, "txid": trade, "signature": self.sign(text), "address": self.address
        }  # fmt: skip

    def say(self, trade: str, **arguments: str) -> None:
        self.post(f"/tx/{trade}", self.message_form(trade, **arguments), (303,))

    def poll(self, path: str, until: Callable[[Any], bool], seconds: float = 60) -> Any:
        """Ask with If-None-Match, as the original does, until the answer pleases."""
        deadline, tag = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            answer = self.call("GET", path, headers={"If-None-Match": tag} if tag else None)
            if answer.status == 200:
                tag = answer.headers["ETag"]
                assert answer.headers["X-ETag"] == tag
                if until(answer.json):
                    return answer.json
            else:
                assert answer.status == 304, (answer.status, answer.body)
            time.sleep(0.02)
        raise AssertionError(f"{path} did not become what was waited for")

    def trade_of(self, bid: str) -> str:
        found = self.poll(f"/bid/{bid}", lambda bid: bid["State"] == 2)
        return str(found["Transaction"])

    # -- one piece of work ----------------------------------------------------------------

    def sell(self, article: str, price: str, worker: Callable[[bytes], bytes]) -> "Sale":
        """Offer one piece of work; `worker` does it."""
        return Sale(self, self.bid("SELL", article, price), worker)

    def buy(self, article: str, price: str, work: bytes) -> bytes:
        """Buy one piece of work; the result."""
        trade = self.trade_of(self.bid("BUY", article, price))
        return self.fetch(trade, work)

    def fetch(self, trade: str, work: bytes) -> bytes:
        """Send the work to the seller of a trade at once, and get its result."""
        secret = secrets.token_bytes(32)
        url = self.promise(trade, work, secret)
        parts = {"work": work, "buyersecret": secret.hex().encode()}
        return self.pay(trade, url, self.send(url, parts))

    def fetch_in_chunks(self, trade: str, work: bytes) -> tuple[bytes, int]:
        """Send what the seller lacks of the work; the result, and how many bytes that were."""
        secret = secrets.token_bytes(32)
        url = self.promise(trade, work, secret)
        told = self.call("OPTIONS", urlsplit(url).path, host=urlsplit(url).netloc).json
        assert told == {"Adler32Chunking": True, "GZIPCompression": True, "SyncInfo": True}
        cut = chunks(work)
        perm = list(range(256))
        random.Random(1).shuffle(perm)
        info = {
            "Chunks": [{"Key": hashlib.sha256(c).hexdigest(), "Size": len(c)} for c in cut],
            "Perm": perm,
        }
        parts = {
            "syncinfojson": json.dumps(info).encode(), "buyersecret": secret.hex().encode()
        }  # fmt: skip
        bits = self.send(url, parts, packed=True)
        order = shuffle(len(cut), perm)
        assert len(bits) == -(-len(order) // 8)
        wanted = [
            cut[place]
            for slot, place in enumerate(order)
            if bits[slot // 8] >> 7 - slot % 8 & 1 and place is not None
        ]
        data = b"".join(varint(len(chunk)) + chunk for chunk in wanted)
        encrypted = self.send(url, {"chunkdata": data}, packed=True)
        return self.pay(trade, url, encrypted), len(data)

    def promise(self, trade: str, work: bytes, secret: bytes) -> str:
        """Name the work, and wait for the seller's address."""
        work_hash = hashlib.sha256(work).digest()
        self.say(
            trade,
            workhash=work_hash.hex(),
            worksecrethash=hashlib.sha256(work_hash + secret).hexdigest(),
        )
        told = self.poll(f"/tx/{trade}", lambda t: t["Phase"] == "TRANSMITTING")
        return str(told["WorkerURL"])

    def send(self, url: str, parts: dict[str, bytes], packed: bool = False) -> bytes:
        """Post a multipart form, as the original does: without its length."""
        boundary = secrets.token_hex(16)
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
            f"{'; filename=' + name if name != 'buyersecret' else ''}\r\n\r\n".encode()
            + data
            + b"\r\n"
            for name, data in parts.items()
        )
        body += f"--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if packed:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        pieces = iter([body[:1000], body[1000:]])
        where = urlsplit(url)
        answer = self.call("POST", where.path, pieces, headers=headers, host=where.netloc)
        assert answer.status == 200, answer.body
        return answer.body

    def pay(self, trade: str, url: str, encrypted: bytes) -> bytes:
        """Sign for the encrypted result, and open it."""
        digest = hashlib.sha256(encrypted).hexdigest()
        receipt = {"encresulthash": digest, "encresulthashsig": self.sign(digest)}
        where = urlsplit(url)
        answer = self.call("POST", where.path, receipt, host=where.netloc)
        assert answer.status == 200, answer.body
        told = self.poll(f"/tx/{trade}", lambda t: t["ResultDecryptionKey"] is not None)
        assert told["EncryptedResultReceipt"]["Hash"] == digest
        result = ofb(encrypted, bytes.fromhex(told["ResultDecryptionKey"]))
        self.say(trade, acceptresult="on")
        return result


def chunks(work: bytes) -> list[bytes]:
    """Cut by an Adler-32 over 48 bytes that begins anew with each chunk."""
    found, start, window = [], 0, bytearray()
    a, b = 1, 0
    for place, byte in enumerate(work):
        window.append(byte)
        gone = window.pop(0) if len(window) > 48 else None
        if gone is None:
            a = (a + byte) % 65521
            b = (b + a) % 65521
        else:
            a = (a + byte - gone) % 65521
            b = (b + a - 48 * gone - 1) % 65521
        size = place - start + 1
        if (size > 128 and (b << 16 | a) % 8191 == 4159) or size > 131_072:
            found.append(work[start:place])
            start, window, a, b = place, bytearray([byte]), (1 + byte) % 65521, (1 + byte) % 65521
    return [*found, work[start:]]


def varint(value: int) -> bytes:
    """A positive number as Go's PutVarint writes it."""
    value, data = value * 2, bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def shuffle(count: int, perm: list[int]) -> list[int | None]:
    """The order in which chunks are sent; None for an empty slot."""
    buffer: list[int | None] = [None] * len(perm)
    order, cycle = [], 0
    for item in [*range(count), *[None] * (len(perm) - 1)]:
        buffer[perm[cycle]] = item
        order.append(buffer[cycle])
        buffer[cycle] = None
        cycle = (cycle + 1) % len(perm)
    return order


class Sale(threading.Thread):
    """The seller's side of one sale, from the match of its bid to the receipt."""

    def __init__(self, seller: Stranger, bid: str, worker: Callable[[bytes], bytes]) -> None:
        super().__init__(daemon=True)
        self.seller = seller
        self.bid = bid
        self.worker = worker
        self.key = secrets.token_bytes(32)
        self.trade = ""
        self.errors: list[Exception] = []
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.start()

    def run(self) -> None:
        """Wait for a buyer, then serve two requests: the work and the receipt."""
        try:
            self.trade = self.seller.trade_of(self.bid)
            path = secrets.token_hex(4)
            url = f"http://127.0.0.1:{self._server.server_port}/{path}"
            self.seller.say(self.trade, workerurl=url)
            self._server.timeout = 30
            for _ in range(2):
                self._server.handle_request()
        except (OSError, AssertionError, LookupError, Refused) as error:
            self.errors.append(error)
        finally:
            self._server.server_close()

    def finish(self) -> None:
        """Wait for its end, and see that it went well."""
        self.join(60)
        assert not self.is_alive()
        assert not self.errors, self.errors

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sale = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.read_body()
                kind = self.headers["Content-Type"]
                if kind.startswith("multipart/"):
                    answer = sale.do_work(body, kind.partition("boundary=")[2])
                else:
                    answer = sale.show_receipt(dict(parse_qsl(body.decode())))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def read_body(self) -> bytes:
                """The body, by its length or in chunks (RFC 9112)."""
                if self.headers["Transfer-Encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"]))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def log_message(self, *_arguments: Any) -> None:
                pass

        return Handler

    def do_work(self, body: bytes, boundary: str) -> bytes:
        parts = {}
        for part in body.split(f"--{boundary}".encode())[1:-1]:
            head, _, data = part.partition(b"\r\n\r\n")
            parts[re.search(rb'name="?([a-z]+)', head)[1].decode()] = data[:-2]
        self.seller.say(self.trade, buyersecret=parts["buyersecret"].decode())
        return ofb(self.worker(parts["work"]), self.key)

    def show_receipt(self, form: dict[str, str]) -> bytes:
        self.seller.say(self.trade, **form, encresultkey=self.key.hex())
        return b""
