"""aioquic as a peer: a server or a client of files that are asked for by length, over `hq-interop`.

What was seen is printed, one line a connection: `seen version=1 resumed=0 early=0 phase=0 paths=1 datagrams=0`.
"""

import argparse
import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import CipherSuite, Epoch

VERSIONS = {"1": 0x00000001, "2": 0x6B3343CF, "reserved": 0x1A2A3A4A}
PERIOD = bytes(range(251))


def content(length):
    """What a file of this length holds."""
    return (PERIOD * (length // len(PERIOD) + 1))[:length]


def configuration(options, is_client):
    """The configuration that the options describe."""
    versions = [VERSIONS[name] for name in options.versions.split(",")]
    made = QuicConfiguration(alpn_protocols=["hq-interop"], is_client=is_client, supported_versions=versions)
    made.max_datagram_frame_size = 65535 if options.datagrams else None
    if options.cipher:
        made.cipher_suites = [CipherSuite[options.cipher]]
    return made


class Peer(QuicConnectionProtocol):
    """One connection, and what was seen of it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.files = {}
        self.resumed = self.early = self.datagrams = self.paths = 0
        self.addresses = set()
        self.changed = asyncio.Event()

    def datagram_received(self, data, addr):
        self.addresses.add(addr)
        super().datagram_received(data, addr)

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            self.resumed, self.early = int(event.session_resumed), int(event.early_data_accepted)
        elif isinstance(event, events.DatagramFrameReceived):
            self.datagrams += 1
            self.on_datagram(event.data)
        elif isinstance(event, events.StreamDataReceived):
            self.on_data(event)
        elif isinstance(event, events.ConnectionTerminated):
            self.tell()
        self.changed.set()
        self.changed.clear()

    def tell(self):
        """Prints what was seen."""
        quic = self._quic
        version = {number: name for name, number in VERSIONS.items()}.get(quic._version, "other")
        phase = quic._cryptos[Epoch.ONE_RTT].key_phase
        print(
            f"seen version={version} resumed={self.resumed} early={self.early} phase={phase}"
            f" paths={len(self.addresses)} datagrams={self.datagrams}",
            flush=True,
        )

    def on_datagram(self, data):
        """A server says back what it is told; a client counts."""

    def on_data(self, event):
        """Something came on a stream."""
        raise NotImplementedError


class Server(Peer):
    """Serves files."""

    def on_datagram(self, data):
        self._quic.send_datagram_frame(data)

    def on_data(self, event):
        line = self.files.get(event.stream_id, b"")
        if line is None:
            return
        line += event.data
        self.files[event.stream_id] = line
        if b"\n" in line:
            self.files[event.stream_id] = None
            length = int(line.split(b"\n")[0].strip().removeprefix(b"GET /"))
            self._quic.send_stream_data(event.stream_id, content(length), end_stream=True)


class Client(Peer):
    """Fetches files."""

    def fetch(self, length):
        """Asks for a file."""
        stream = self._quic.get_next_available_stream_id()
        self.files[stream] = (length, bytearray(), False)
        self._quic.send_stream_data(stream, b"GET /%d\r\n" % length, end_stream=True)

    def on_data(self, event):
        length, got, _ = self.files[event.stream_id]
        got += event.data
        self.files[event.stream_id] = (length, got, event.end_stream)
        if event.end_stream and got != content(length):
            sys.exit(f"the file of {length} bytes is wrong: {len(got)} bytes came")

    @property
    def received(self):
        """Bytes of files that have come."""
        return sum(len(got) for _, got, _ in self.files.values())

    @property
    def is_done(self):
        """Whether every file is there."""
        return all(ended for _, _, ended in self.files.values())

    async def until(self, condition):
        """Waits until something is so."""
        while not condition():
            await self.changed.wait()


async def run_server(options):
    """Serves until the standard input ends."""
    made = configuration(options, is_client=False)
    made.load_cert_chain(options.certs + "/cert.pem", options.certs + "/priv.key")
    tickets = {}
    server = await serve(
        options.host,
        0,
        configuration=made,
        create_protocol=Server,
        retry=options.retry,
        session_ticket_fetcher=lambda label: tickets.pop(label, None),
        session_ticket_handler=lambda ticket: tickets.__setitem__(ticket.ticket, ticket),
    )
    print("listening", server._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def one_connection(options, lengths, tickets, wait):
    """One connection that fetches files of these lengths."""
    loop = asyncio.get_running_loop()
    made = configuration(options, is_client=True)
    made.server_name = "localhost"
    made.load_verify_locations(options.certs + "/ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    if options.original:
        made.original_version = VERSIONS[options.original]
    if tickets:
        made.session_ticket = tickets[-1]
    quic = QuicConnection(configuration=made, session_ticket_handler=tickets.append)
    # aioquic compares addresses as the system gives them, and those of IPv6 have four parts.
    is_ipv6 = ":" in options.host
    to = (options.host, options.port, 0, 0) if is_ipv6 else (options.host, options.port)
    local = ("::1" if is_ipv6 else "127.0.0.1", 0)
    transport, client = await loop.create_datagram_endpoint(lambda: Client(quic), local_addr=local)
    if wait:
        client.connect(to)
        await client.wait_connected()
    else:
        client.connect(to, transmit=False)
    for length in lengths:
        client.fetch(length)
    for number in range(options.datagrams):
        quic.send_datagram_frame(b"datagram %d" % number)
    client.transmit()
    half = sum(lengths) // 2
    if options.key_update:
        await client.until(lambda: client.received >= half)
        client.request_key_update()
    if options.rebind or options.migrate:
        await client.until(lambda: client.received >= half)
        if options.migrate:
            client.change_connection_id()
        # Another socket for the same connection: its datagrams come from another address or port from now on.
        former = transport
        other = (options.elsewhere or local[0], 0)
        transport, _ = await loop.create_datagram_endpoint(lambda: client, local_addr=other)
        former.close()
        client.transmit()
    await client.until(lambda: client.is_done and client.datagrams >= options.datagrams)
    if options.again and not tickets:
        await client.until(lambda: bool(tickets))
    client.close()
    await client.wait_closed()
    transport.close()


async def run_client(options):
    """Fetches the files, the last of them in a resumed connection if there is to be one."""
    lengths = [int(length) for length in options.lengths.split(",")]
    tickets = []
    await one_connection(options, lengths, tickets, wait=True)
    if options.again:
        await one_connection(options, lengths, tickets, wait=options.again == "resume")


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="client: where the server is")
    parser.add_argument("--certs", required=True, help="folder of cert.pem, priv.key and ca.pem")
    parser.add_argument("--versions", default="1", help="in the order of preference, such as 2,1")
    parser.add_argument("--original", help="client: the version to begin with")
    parser.add_argument("--cipher", help="the only cipher suite")
    parser.add_argument("--retry", action="store_true", help="server: asks for a proof of the address")
    parser.add_argument("--datagrams", type=int, default=0, help="how many datagrams to send and to await")
    parser.add_argument("--lengths", default="1000", help="client: lengths of files")
    parser.add_argument("--key-update", action="store_true", help="client: updates keys in the middle")
    parser.add_argument("--rebind", action="store_true", help="client: changes its port in the middle")
    parser.add_argument("--elsewhere", help="client: to another address with it")
    parser.add_argument("--migrate", action="store_true", help="client: the same, with another connection ID")
    parser.add_argument("--again", choices=["resume", "early"], help="client: connects a second time")
    options = parser.parse_args()
    asyncio.run(run_server(options) if options.role == "server" else run_client(options))


if __name__ == "__main__":
    main()
