"""How payloads are packed: what was written in any form stays readable, and nothing else is taken for one."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces import packing


@given(st.binary(max_size=3000))
def test_what_is_packed_comes_back(plain: bytes) -> None:
    assert packing.unpack(packing.pack(plain)) == plain


def test_forms_written_before_stay_readable() -> None:
    plain = b"said " * 100
    assert packing.unpack(b"z" + zlib.compress(plain, 1)) == plain
    assert packing.unpack(b"r" + plain) == plain


def test_the_dictionary_never_changes() -> None:
    """Stored payloads need these very bytes; a better dictionary gets another name and form byte."""
    stored = bytes.fromhex(
        "6428b52ffd20a83d010098616e737765726564206f6e636167656e742c200600b8d504a042d759003fdfd4cb066c6b7312"
    )
    assert len(packing._DICTIONARY) == 6468
    assert zlib.crc32(packing._DICTIONARY.as_bytes()) == 1266658770
    assert packing.unpack(stored) == b"answered once by the agent, answered once by the model, " * 3


@pytest.mark.parametrize("data", [b"", b"x", b"d", b"dnonsense", b"z123"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(packing.UnpackError):
        packing.unpack(data)


def test_small_payloads_profit_from_the_dictionary() -> None:
    plain = b"\x81\xaaattributes\x82\xb5gen_ai.operation.name\xacexecute_tool\xb0gen_ai.tool.name\xa4find"
    assert len(packing.pack(plain)) <= len(zlib.compress(plain)) * 0.65
