"""Blobs in messages: found in every shape, shown by their bytes only, served sealed; whole payloads as text."""

import base64
import datetime as dt

import pytest
from django.test import Client

from accounts.models import Membership, Role
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.conversation import messages_of
from traces.media import Media, decoded, extract, sniffed
from traces.models import Span
from traces.viewer import Viewer, member_viewer
from traces.views.contents import show_media, show_payload

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 40
WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 40
PDF = b"%PDF-1.7\n" + b"x" * 40
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" + b" " * 20
HTML = b"<!doctype html><script>alert(1)</script>" + b" " * 20
URL = "/projects/shop/traces/t1/steps/call/"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SHAPES = {
    "openai chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(PNG)}"}},
    "openai responses": {"type": "input_image", "image_url": f"data:image/png;base64,{b64(PNG)}"},
    "openai file": {"type": "file", "file": {"filename": "a.png", "file_data": f"data:image/png;base64,{b64(PNG)}"}},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}},
    "gemini": {"inlineData": {"mimeType": "image/png", "data": b64(PNG)}},
    "gemini python": {"inline_data": {"mime_type": "image/png", "data": b64(PNG)}},
    "otel blob": {"type": "blob", "mime_type": "image/png", "modality": "image", "content": b64(PNG)},
    "openinference": {"type": "image", "uri": f"data:image/png;base64,{b64(PNG)}"},
    "vercel": {"type": "image", "image": b64(PNG), "mediaType": "image/png"},
    "mcp": {"type": "image", "data": b64(PNG), "mimeType": "image/png"},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_picture_of_every_dialect_becomes_one_numbered_part(shape):
    value, found = extract([{"role": "user", "content": ["look", SHAPES[shape]]}])
    (message,) = messages_of(value, "user")
    (media,) = message.parts[1].media
    assert (message.parts[1].kind, media.index, media.type, media.shown) == (
        "media", 0, "image/png", "image",
    )  # fmt: skip
    assert media.size == len(PNG)
    assert decoded(found[0]) == PNG


def test_sound_pdf_and_results_with_pictures_are_found_in_order():
    value, found = extract(
        [
            {"role": "user", "content": [
                {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "done"}, SHAPES["anthropic"],
            ]}]},
        ]
    )  # fmt: skip
    first, second = messages_of(value, "user")
    assert [part.media[0].shown for part in first.parts] == ["audio", "file"]
    (result,) = second.parts
    assert (result.kind, result.text, result.media[0].index) == ("result", "done", 2)
    assert [sniffed(decoded(one)) for one in found] == ["audio/wav", "application/pdf", "image/png"]


def test_remote_address_is_a_link_and_a_script_address_is_not():
    value, found = extract([{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}])
    assert (value[0].shown, value[0].url, found) == ("link", "https://x.example/a.png", [])
    for bad in ("javascript:alert(1)", "file:///etc/passwd", "//x.example/a.png"):
        value, _ = extract([{"type": "image_url", "image_url": {"url": bad}}])
        assert not isinstance(value[0], Media)


@pytest.mark.parametrize("data", [SVG, HTML])
@pytest.mark.parametrize("stated", ["image/svg+xml", "text/html", "image/png", "audio/wav"])
def test_markup_is_a_file_whatever_it_calls_itself(data, stated):
    value, _ = extract({"type": "blob", "mime_type": stated, "content": b64(data)})
    assert (value.shown, value.type) == ("file", "application/octet-stream")


def test_ordinary_words_are_no_blobs():
    plain = {
        "content": "data: 5 rows", "file": {"name": "x", "path": "/a"}, "image": {"size": 3},
        "source": {"type": "text", "media_type": "text/plain", "data": "just words here"},
        "args": {"url": "https://x.example", "file": {"url": "https://x.example/y"}},
    }  # fmt: skip
    assert extract(plain) == (plain, [])
    deep: object = "data:image/png;base64," + b64(PNG)
    for _ in range(500):
        deep = [deep]
    extract(deep)


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def reader(project: Project, client: Client) -> Client:
    member: Membership = MembershipFactory(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


@pytest.fixture
def call(project: Project) -> Span:
    span = SpanFactory(
        trace=TraceFactory(project=project, trace_id="t1"), span_id="call", name="look"
    )
    payload_for(
        span,
        input=[{"role": "user", "content": [
            SHAPES["openai chat"],
            {"type": "blob", "mime_type": "image/png", "content": b64(SVG)},
            {"type": "blob", "mime_type": "text/html", "content": b64(HTML)},
            {"type": "image_url", "image_url": {"url": "https://x.example/track.png"}},
        ]}],
        output={"type": "blob", "mime_type": "application/pdf", "content": b64(PDF)},
    )  # fmt: skip
    return span


def test_picture_is_served_sealed_with_the_type_of_its_bytes(reader, call):
    answer = reader.get(f"{URL}media/0/")
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, PNG, "image/png")
    assert answer["Content-Disposition"] == 'inline; filename="call-0.png"'
    assert (
        answer["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(("number", "kind"), [(1, "octet-stream"), (2, "octet-stream"), (3, "pdf")])
def test_everything_else_is_a_download(reader, call, number, kind):
    answer = reader.get(f"{URL}media/{number}/")
    assert answer["Content-Type"].endswith(kind)
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]


def test_page_shows_the_picture_from_here_and_never_loads_the_link(reader, call):
    text = reader.get("/projects/shop/traces/t1/?step=call").content.decode()
    assert f'<img src="{URL}media/0/"' in text
    assert 'src="https://x.example' not in text
    assert 'href="https://x.example/track.png"' in text
    assert "onload" not in text
    assert "<script>alert" not in text
    assert b64(PNG) not in text
    raw = reader.get(f"{URL}?tab=raw", headers={"HX-Request": "true"}).content.decode()
    assert "[image/png, 48 bytes]" in raw


@pytest.mark.parametrize(
    "path", ["media/4/", "media/99/", "payload/?side=tools", "payload/?side=x"]
)
def test_blobs_and_sides_that_are_not_there_are_refused(reader, call, path):
    assert reader.get(f"{URL}{path}").status_code in (400, 404)


def test_five_megabytes_are_cut_on_the_page_and_streamed_whole(reader, project):
    span = SpanFactory(trace=TraceFactory(project=project, trace_id="t1"), span_id="call")
    words = "<b>line</b> " * 420_000 + "THE END"
    payload_for(span, input=words, output=[{"role": "assistant", "content": "x" * 40_000}])
    text = reader.get("/projects/shop/traces/t1/?step=call").content.decode()
    assert "THE END" not in text
    assert "Load full (4.8 MB) as text" in text
    assert len(text) < 400_000
    answer = reader.get(f"{URL}payload/?side=input")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert b"".join(answer.streaming_content).decode() == words
    assert "sandbox" in answer["Content-Security-Policy"]
    file = reader.get(f"{URL}payload/?side=output&download=1")
    assert file["Content-Disposition"] == 'attachment; filename="call-output.json"'
    assert b"x" * 40_000 in b"".join(file.streaming_content)


@pytest.mark.parametrize("path", ["media/0/", "payload/?side=input"])
def test_other_organisations_and_strangers_are_denied(client, call, path):
    assert client.get(f"{URL}{path}").status_code == 302
    client.force_login(MembershipFactory().user)
    assert client.get(f"{URL}{path}").status_code == 404
    client.force_login(UserFactory())
    assert client.get(f"{URL}{path}").status_code == 404


def test_viewer_without_payloads_gets_neither_blob_nor_text(project, call, rf):
    from core.errors import NotFoundError

    blind = Viewer(
        project, "t1", can_edit=False, sees_payloads=False, base_url="/share/x/", is_public=True
    )
    request = rf.get("/", {"side": "input"})
    for ask in (
        lambda: show_payload(request, blind, "call"),
        lambda: show_media(request, blind, "call", 0),
    ):
        with pytest.raises(NotFoundError):
            ask()
    project.role, project.ref = Role.VIEWER, "shop"
    assert show_media(request, member_viewer(project, "t1"), "call", 0).status_code == 200


def test_states_say_why_nothing_is_there(reader, project):
    span = SpanFactory(trace=TraceFactory(project=project, trace_id="t1"), span_id="call")
    page = "/projects/shop/traces/t1/?step=call"
    assert "Nothing was sent" in reader.get(page).content.decode()
    Project.objects.update(content_capture="off")
    assert "Content capture is off" in reader.get(page).content.decode()
    Project.objects.update(content_capture="encrypted", payload_retention_days=1)
    old = span.started_at - dt.timedelta(days=2)
    other = TraceFactory(project=project, trace_id="t2", started_at=old)
    SpanFactory(trace=other, span_id="call")
    text = reader.get("/projects/shop/traces/t2/?step=call").content.decode()
    assert "What was said has expired" in text
    assert "for 1 day;" in text
