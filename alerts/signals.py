"""News of incidents."""

from django.dispatch import Signal

# Sent on commit when incidents of an organisation began, changed or ended: organization_id (UUID | None, for the
# installation's own), event_ids (list[UUID]), now. Receivers only nudge.
events_changed = Signal()
