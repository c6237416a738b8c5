"""The same good body in every packing: well done, badly done, and not understood."""

import gzip
import zlib
from datetime import datetime
from functools import cache

from tests.traces.corpus.case import JSON, PROTOBUF, Case, iso, raw_json
from tests.traces.corpus.otlp_protobuf import good, request


@cache
def bomb(megabytes: int) -> bytes:
    """Zeros, packed about a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = b"".join(packer.compress(bytes(1_000_000)) for _ in range(megabytes))
    return out + packer.flush()


def _deflate(body: bytes, window_bits: int) -> bytes:
    packer = zlib.compressobj(wbits=window_bits)
    return packer.compress(body) + packer.flush()


def cases(now: datetime) -> list[Case]:
    found = []
    trace = {"trace_id": "packed", "steps": [{"id": "s1", "type": "llm", "started_at": iso(now)}]}
    cost = {"id": "packed", "occurred_at": iso(now), "cost_usd": "0.1"}
    bodies = (
        ("otlp", PROTOBUF, request(good(now)), 200, 1),
        ("traces", JSON, raw_json({"traces": [trace]}), 207, 2),
        ("costs", JSON, raw_json({"costs": [cost]}), 207, 1),
    )
    for door, content_type, body, status, stored in bodies:
        packed = gzip.compress(body)
        wrong_crc = packed[:-8] + bytes(4) + packed[-4:]
        wrong_size = packed[:-4] + b"\x01\x00\x00\x00"
        huge_size = packed[:-4] + b"\xff\xff\xff\x7f"
        variants: list[tuple[str, str, bytes, int]] = [
            ("identity", "identity", body, status),
            ("gzip", "gzip", packed, status),
            ("x-gzip", "x-gzip", packed, status),
            ("gzip-upper-case", " GZIP ", packed, status),
            ("two-members", "gzip", gzip.compress(body[:9]) + gzip.compress(body[9:]), status),
            ("zlib", "deflate", zlib.compress(body), status),
            ("raw-deflate", "deflate", _deflate(body, -15), status),
            ("truncated-gzip", "gzip", packed[:-9], 400),
            ("gzip-without-trailer", "gzip", packed[:-8], 400),
            ("gzip-header-only", "gzip", packed[:10], 400),
            ("gzip-empty", "gzip", b"", 400),
            ("gzip-trailing-garbage", "gzip", packed + b"garbage", 400),
            ("gzip-wrong-crc", "gzip", wrong_crc, 400),
            ("gzip-wrong-size", "gzip", wrong_size, 400),
            ("gzip-lying-size", "gzip", huge_size, 400),
            ("not-gzip", "gzip", body, 400),
            ("truncated-zlib", "deflate", zlib.compress(body)[:-5], 400),
            ("zlib-trailing-garbage", "deflate", zlib.compress(body) + b"x", 400),
            ("not-deflate", "deflate", b"\xff" * 40, 400),
            ("br", "br", body, 415),
            ("zstd", "zstd", body, 415),
            ("gzip-twice", "gzip, gzip", gzip.compress(packed), 415),
            ("unknown", "snappy", body, 415),
            ("nul-in-name", "gzip\x00", body, 415),
            ("bomb-64mb", "gzip", bomb(64), 413),
            ("bomb-64mb-hidden-size", "gzip", bomb(64) + gzip.compress(b"x"), 413),
        ]
        for name, encoding, sent, expected in variants:
            is_good = expected == status
            found.append(
                Case(
                    name=f"encoding/{door}/{name}",
                    door=door,  # type: ignore[arg-type]
                    body=sent,
                    content_type=content_type,
                    encoding=encoding,
                    statuses=(expected,),
                    stored=stored if is_good else None,
                    rejected=0 if is_good else None,
                )
            )
        types = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
        ]
        for content_type_sent in types:
            found.append(
                Case(
                    name=f"content-type/{door}/{content_type_sent.split(';')[0] or 'none'}",
                    door=door,  # type: ignore[arg-type]
                    body=body,
                    content_type=content_type_sent,
                    statuses=(415,),
                    is_http_only=True,
                )
            )
    return found
