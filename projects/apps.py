"""Registers what the projects domain runs in the background."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import jobs, outbox
        from projects import purge
        from projects.exports import job as exports

        outbox.handler(purge.TOPIC)(purge.handle_purge)
        purge.register(
            "exports",
            count=exports.count_project_exports,
            delete_batch=exports.delete_project_exports,
        )
        jobs.register(exports.KIND, exports.run_step, ended=exports.clean_up)
