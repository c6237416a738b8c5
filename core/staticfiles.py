"""Static files with their content in the name, compressed once."""

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage

# Ours; everything else in static/ comes with a package and is served as it came.
OWN = ("css/", "js/", "img/")


class ManifestStorage(CompressedManifestStaticFilesStorage):
    """Also rewrites the relative imports of our JavaScript modules, but nobody else's files.

    A package's minified script may contain words that look like an import, or name a source map it did not ship.
    """

    support_js_module_import_aggregation = True
    manifest_strict = True

    def url_converter(
        self, name: str, hashed_files: Any, template: str | None = None, *args: Any
    ) -> Any:
        """Leave the references inside third-party files alone."""
        if not name.startswith(OWN):
            return lambda match: match.group(0)
        return super().url_converter(name, hashed_files, template, *args)
