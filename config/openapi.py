"""The OpenAPI document, as JSON and YAML. It is the same for everybody and takes seconds to write: once per process."""

from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

_RENDERERS = {"json": OpenApiJsonRenderer, "yaml": OpenApiYamlRenderer}


@login_not_required
@require_safe
def document(request: HttpRequest, form: str) -> HttpResponse:
    """`/api/v1/openapi.<form>`, for tools and for the reader at `/api/docs/`."""
    return HttpResponse(
        _written(form),
        content_type=_RENDERERS[form].media_type,
        headers={"Content-Disposition": f'inline; filename="LLMLab API.{form}"'},
    )


@cache
def _written(form: str) -> str | bytes:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return _RENDERERS[form]().render(schema, renderer_context={})
