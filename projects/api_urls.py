"""`/api/v1/projects…`"""

from core.api.routes import endpoint
from projects import api, export_api, job_api, schema  # noqa: F401  (schema registers the key scheme with OpenAPI)

app_name = "projects_api"
urlpatterns = [
    *endpoint("projects", api.ProjectListView, "project_list"),
    *endpoint("projects/<str:project>", api.ProjectDetailView, "project_detail"),
    *endpoint("projects/<str:project>/keys", api.ApiKeyListView, "api_key_list"),
    *endpoint("projects/<str:project>/keys/<uuid:key>", api.ApiKeyDetailView, "api_key_detail"),
    *endpoint(
        "projects/<str:project>/keys/<uuid:key>/rotation",
        api.ApiKeyRotationView,
        "api_key_rotation",
    ),
    *endpoint("projects/<str:project>/exports", export_api.ExportListView, "export_list"),
    *endpoint(
        "projects/<str:project>/exports/<uuid:job>/file", export_api.ExportFileView, "export_file"
    ),
    *endpoint("projects/<str:project>/jobs", job_api.JobListView, "job_list"),
    *endpoint("projects/<str:project>/jobs/<uuid:job>", job_api.JobDetailView, "job_detail"),
    *endpoint(
        "projects/<str:project>/jobs/<uuid:job>/cancellation",
        job_api.JobCancellationView,
        "job_cancellation",
    ),
]
