"""Pages, panels and forms of the trace list. Two names after `traces/` leave every trace id its own page; `compare/`
alone does not, so its view hands a trace of that name on."""

from django.urls import URLPattern, path

from traces.views import bulk, compare, export, list_panels, listing, peek, saved


def list_urls(base: str) -> list[URLPattern]:
    """Everything under `base`, the list's own path."""
    panels = f"{base}panels/"
    return [
        path(base, listing.trace_list, name="trace_list"),
        path(f"{base}compare/", compare.trace_compare, name="trace_compare"),
        path(f"{panels}facets/", list_panels.facets_panel, name="facets_panel"),
        path(f"{panels}facet/", list_panels.facet_panel, name="facet_panel"),
        path(f"{panels}volume/", list_panels.volume_panel, name="volume_panel"),
        path(f"{panels}total/", list_panels.total_panel, name="total_panel"),
        path(f"{panels}new/", list_panels.new_panel, name="new_panel"),
        path(f"{panels}tail/", list_panels.tail_panel, name="tail_panel"),
        path(f"{panels}suggestions/", list_panels.suggestions_panel, name="suggestions_panel"),
        path(f"{panels}peek/<str:trace_id>/", peek.peek_panel, name="peek_panel"),
        path(f"{panels}traces.csv", export.trace_csv, name="trace_csv"),
        path(f"{panels}bulk/", bulk.bulk_change, name="bulk_change"),
        path(f"{panels}bulk/undo/", bulk.bulk_undo, name="bulk_undo"),
        path(f"{panels}columns/", saved.columns_change, name="columns_change"),
        path(f"{panels}views/", saved.view_create, name="view_create"),
        path(f"{panels}views/restoration/", saved.view_restore, name="view_restore"),
        path(f"{panels}views/<uuid:view_id>/", saved.view_change, name="view_change"),
        path(f"{panels}views/<uuid:view_id>/deletion/", saved.view_delete, name="view_delete"),
    ]
