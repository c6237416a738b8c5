"""`/sdks/<file>`: the SDKs to install. Public, as the source is: pip, npm and curl have no session."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from projects import sdk_downloads

NOT_BUILT = "The JavaScript SDK is not built here. Run `make sdk-build` where LLMLab runs; it needs Node 18 and npm.\n"


@require_safe
def sdk_file(request: HttpRequest, name: str) -> HttpResponse:
    """One package. Asked again it is 304: in a working copy the bytes may change under one version."""
    found = sdk_downloads.download(name)
    if found is None and name == sdk_downloads.file_names()["javascript"]:
        return HttpResponse(NOT_BUILT, status=404, content_type="text/plain; charset=utf-8")
    if found is None:
        raise Http404(f"There is no SDK {name}.")
    if request.headers.get("If-None-Match") == found.etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(found.content, content_type=found.content_type)
        response["Content-Disposition"] = f'attachment; filename="{found.name}"'
    response["ETag"] = found.etag
    response["Cache-Control"] = "public, no-cache"
    return response
