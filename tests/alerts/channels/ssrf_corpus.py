"""Addresses that somebody could give a channel so that LLMLab calls its own inside: at least 200 of them.

`PORT` stands for the canary's port in the test, so that a connection that slips through is seen.
"""

from ipaddress import IPv4Address

PORT = "{port}"
# This machine, clouds' metadata, containers, private networks, shared address space, what routes nowhere.
TARGETS = (
    "127.0.0.1", "127.0.0.53", "169.254.169.254", "169.254.170.2", "10.0.0.5", "172.17.0.1", "192.168.1.1",
    "100.100.100.200", "168.63.129.16", "0.0.0.0",  # noqa: S104
)  # fmt: skip


def spellings(text: str) -> list[str]:
    """One IPv4 address as resolvers, browsers and IPv6 know it."""
    number = int(IPv4Address(text))
    a, b, c, d = IPv4Address(text).packed
    high, low = number >> 16, number & 0xFFFF
    return [
        text, f"{text}.", str(number), hex(number), f"{a}.{b}.{low}", f"{a}.{number & 0xFFFFFF}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0{number:o}", f"0x{a:X}.{b}.0{c:o}.{d}",
        f"[::ffff:{text}]", f"[::ffff:{high:x}:{low:x}]", f"[0:0:0:0:0:ffff:{high:x}:{low:x}]",
        f"[::{text}]", f"[64:ff9b::{high:x}:{low:x}]", f"[64:ff9b:1::{high:x}:{low:x}]", f"[2002:{high:x}:{low:x}::1]",
        f"[::ffff:0:{high:x}:{low:x}]", f"[2606:4700::5efe:{high:x}:{low:x}]", f"[2001:0:{high:x}:{low:x}::1]",
    ]  # fmt: skip


LITERALS = [
    *(f"https://{host}:{PORT}/hook" for target in TARGETS for host in spellings(target)),
    *(
        f"https://{host}:{PORT}/hook"
        for host in (
            "[::1]", "[::]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::1%25lo]", "[fe80::1]", "[fe80::1%25eth0]",
            "[fd00:ec2::254]", "[fd20:ce::254]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]",
            "[100::1]", "[5f00::1]", "[2001:20::1]", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
            "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "100.64.0.1", "10.255.255.255",
            "172.31.255.254", "１２７.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "%31%32%37.0.0.1", "127.000.000.001",
        )
    ),
]  # fmt: skip
# A name → what it leads to.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "LOCALHOST": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "anything.localhost": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["192.168.65.2"],
    "postgres": ["172.18.0.2"],
    "redis.default.svc.cluster.local": ["10.96.0.9"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "localtest.me": ["127.0.0.1"],
    "spoofed.burpcollaborator.example": ["127.0.0.1"],
    "two.example": ["8.8.8.8", "127.0.0.1"],
    "two6.example": ["2606:4700::1111", "::1"],
    "mapped.example": ["::ffff:10.0.0.7"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "sixtofour.example": ["2002:7f00:1::1"],
    "zero.example": ["0.0.0.0"],  # noqa: S104
    "linklocal.example": ["fe80::1"],
    "xn--n3h.example": ["10.1.1.1"],
    "nobody.internal": [],
    "printer.local": [],
    "intranet": [],
}
# Never a web address to call, whatever stands behind it.
SHAPES = [
    "http://127.0.0.1:{port}/", "http://8.8.8.8/", "http://example.com/", "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "dict://127.0.0.1:{port}/", "ldap://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "jar:https://127.0.0.1!/",
    "data:text/plain,x",
    "javascript:alert(1)", "ws://127.0.0.1:{port}/", "tftp://127.0.0.1:{port}/", "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "https:127.0.0.1:{port}/", "https:/127.0.0.1:{port}/", "https://", "https:///127.0.0.1:{port}/", "",
    "https://user@127.0.0.1:{port}/", "https://user:secret@127.0.0.1:{port}/", "https://user:secret@8.8.8.8/",
    "https://8.8.8.8@127.0.0.1:{port}/", "https://8.8.8.8:443@127.0.0.1:{port}/", "https://127.0.0.1:{port}@8.8.8.8/",
    "https://8.8.8.8\\@127.0.0.1:{port}/", "https://127.0.0.1:{port}\\@8.8.8.8/", "https://8.8.8.8%40127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@8.8.8.8/", "https://127.0.0.1:{port}?@8.8.8.8/", "https://127.0.0.1:{port}/\r\nHost: x",
    "https://127.0.0.1:{port}\t/", "https://127.0.0.1 :{port}/", "https://127.0.0.1\x00.example.com/",
    "https://[::1", "https://::1:{port}/", "https://[127.0.0.1]:{port}/", "https://127.0.0.1:99999/", "https://127.0.0.1:-1/",
    "https://127.0.0.1:{port}x/", "https://exa mple.com/", "https://" + "a" * 3_000 + ".example/",
    "HTTPS://127.0.0.1:{port}/", "https://LocalHost:{port}/", "https://8.8.8.8:22/", "https://8.8.8.8:25/",
    "https://8.8.8.8:6379/", "https://8.8.8.8:5432/", "https://8.8.8.8:9200/", "https://8.8.8.8:11211/", "https://8.8.8.8:80/",
    "http://8.8.8.8:443/", "https://0:{port}/", "https://127.1:{port}/", "https://[::ffff:7f00:1]:{port}/", "https://0x0:{port}/",
]  # fmt: skip
# Where a receiver that may be called points to.
REDIRECTS = [
    f"{scheme}://{host}/latest/meta-data/"
    for scheme in ("http", "https")
    for host in (
        "127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "169.254.169.254", "2130706433:{port}",
        "0x7f000001:{port}",
        "10.0.0.5", "192.168.1.1", "metadata.google.internal", "[::ffff:127.0.0.1]:{port}",
    )
]  # fmt: skip
REDIRECTS += ["//127.0.0.1:{port}/", "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x"]
STATUSES = (301, 302, 303, 307, 308)
