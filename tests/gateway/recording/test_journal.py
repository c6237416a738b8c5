"""The journal: what survives its owner, what is read of a torn one, and when its files go."""

import os
from pathlib import Path

from gateway.recording.journal import Journal, Place, Remains, remains
from gateway.recording.lost import lost
from gateway.structs import Finished
from tests.gateway.recording import calls


def kill(journal: Journal) -> None:
    """What the kernel does when the owner dies: its files are closed, and stay as they are."""
    journal.abandon()


def left(directory: Path) -> tuple[list[Finished], list[str]]:
    """Ends and unended beginnings of all dead owners."""
    ends: list[Finished] = []
    begun: list[str] = []
    for found in remains(directory):
        begun += [call.id for call, _ in found.unended()]
        ends += [one for path in found.segments for one in found.ended(path)]
    return ends, begun


def test_what_began_and_ended_survives_its_owner(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    done, open_ = calls.call(), calls.call()
    journal.begin(done)
    journal.begin(open_)
    end = calls.finished(of=done)
    journal.finish(end)
    assert left(tmp_path) == ([], [])  # its owner lives
    kill(journal)
    assert left(tmp_path) == ([end], [open_.id])


def test_a_torn_last_record_is_ignored(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    ends = [calls.finished() for _ in range(3)]
    for end in ends:
        journal.finish(end)
    kill(journal)
    [path] = tmp_path.glob("*.0*")
    whole = path.read_bytes()
    for cut in (1, 7, 300):
        path.write_bytes(whole[:-cut])
        assert left(tmp_path)[0] == ends[:2]
    path.write_bytes(whole[:-20] + bytes(20))
    assert left(tmp_path)[0] == ends[:2]


def test_nothing_that_was_said_is_readable_on_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.finish(calls.finished())
    [path] = tmp_path.glob("*.0*")
    assert b"hello" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    journal.close()


def test_files_go_when_all_in_them_is_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1000)
    long = calls.call()
    journal.begin(long)
    places = [journal.finish(calls.finished()) for _ in range(4)]
    assert len({place.segment for place in places}) > 1
    journal.committed(place.segment for place in places)
    # The first file holds a call under way; what came after it stays, so that no beginning outlives its end.
    assert len(list(tmp_path.glob("*.0*"))) == len({place.segment for place in places})
    place = journal.finish(calls.finished(of=long))
    journal.committed([place.segment])
    assert journal.size == 0
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_was_not_made_after_all_is_not_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one, other = calls.call(), calls.call()
    journal.begin(one)
    journal.begin(other)
    journal.drop(one.id)
    kill(journal)
    assert left(tmp_path) == ([], [other.id])


def test_ends_are_read_again_from_a_place_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=3000)
    ends = [calls.finished() for _ in range(10)]
    first = [journal.finish(end) for end in ends][4]
    found: list[Finished] = []
    place: Place = first
    while place < journal.end:
        part, place = journal.read(place, most=2, most_bytes=10_000)
        assert 1 <= len(part) <= 2
        found += [end for end, _ in part]
    assert found == ends[4:]
    kill(journal)


def test_a_full_disk_leaves_the_rest_readable(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    before, after = calls.finished(), calls.finished()
    journal.finish(before)
    segment = journal._segments[-1]
    real = segment.fd
    segment.fd = os.open("/dev/full", os.O_WRONLY)
    try:
        journal.finish(calls.finished())
    except OSError:
        pass
    else:
        raise AssertionError("the disk was full")
    os.close(segment.fd)
    segment.fd = real
    journal.finish(after)
    kill(journal)
    assert left(tmp_path)[0] == [before, after]


def test_two_cannot_replay_one_owner_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.finish(calls.finished())
    kill(journal)
    first: list[Remains] = []
    for found in remains(tmp_path):
        first.append(found)
        assert list(remains(tmp_path)) == []
    assert len(first) == 1


def test_a_lost_call_counts_with_the_most_it_could_have_used() -> None:
    one = calls.call(max_output_tokens=800)
    found = lost(one, at=one.accepted_at + 3)
    assert (found.state, found.status, found.error) == ("lost", 503, "worker_died")
    assert found.usage is not None
    assert found.usage.is_estimated
    assert found.usage.output_tokens == 800
    assert found.usage.input_tokens is not None
    assert 5 <= found.usage.input_tokens <= 12


def test_a_lost_call_lasted_until_its_owners_last_sign_of_life(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one = calls.call(ago_s=100)
    journal.begin(one)
    for path in tmp_path.iterdir():
        os.utime(path, (one.accepted_at + 1, one.accepted_at + 1))
    journal.show_life()
    kill(journal)
    [found] = remains(tmp_path)
    [(call, at)] = found.unended()
    assert 99 < lost(call, at=at).ended_at - one.accepted_at < 110
