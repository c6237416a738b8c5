"""Teams like the demo's would have: by the channel a question came from, and a shared pool for scheduled work."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from accounts.models import User
from costs.allocation.services import TeamDraft, add_rule, save_team
from costs.models import RuleField, SplitMethod, Team

_TEAMS = (("Web", "4100", ("web",)), ("Mail & app", "4200", ("mail", "app")))


def furnish_teams(*, organization_id: UUID, owner: User, now: dt.datetime) -> None:
    """Two teams by tags and a pool with fixed shares; nothing when the organisation has teams."""
    if Team.objects.filter(organization_id=organization_id).exists():
        return
    made = []
    for name, centre, tags in _TEAMS:
        team = save_team(
            organization_id=organization_id, draft=TeamDraft(name, centre), actor=owner, now=now
        )
        made.append(team)
        for tag in tags:
            add_rule(
                organization_id=organization_id,
                team_id=team.pk,
                field=RuleField.TAG,
                value=tag,
                actor=owner,
                now=now,
            )
    shares = {str(made[0].pk): Decimal(60), str(made[1].pk): Decimal(40)}
    pool = save_team(
        organization_id=organization_id,
        draft=TeamDraft("Back office", "9000", True, SplitMethod.FIXED, shares),
        actor=owner,
        now=now,
    )
    add_rule(
        organization_id=organization_id,
        team_id=pool.pk,
        field=RuleField.TAG,
        value="scheduled",
        actor=owner,
        now=now,
    )
