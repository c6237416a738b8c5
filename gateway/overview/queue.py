"""What waits at this moment, and who takes it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from redis.exceptions import RedisError

from core.heartbeats import redis_client
from gateway.models import GatewaySettings
from gateway.queues.line import SILENT_S, Depth, Load, depths_of, loads_of
from gateway.structs import ProjectRules
from projects.models import Project

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Queue:
    """`depths` None: Redis does not answer. `limit`: calls of the project that may wait."""

    depths: dict[str, Depth] | None
    workers: Sequence[Load]
    limit: int

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in (self.depths or {}).values())

    @property
    def oldest_s(self) -> float:
        return max((one.oldest_s for one in (self.depths or {}).values()), default=0.0)

    @property
    def room(self) -> int:
        """Calls that all workers together may have under way."""
        return sum(one.most for one in self.workers)


def queue_of(project: Project) -> Queue:
    """One query, and two questions to Redis."""
    rules = GatewaySettings.objects.filter(project=project).values_list("rules", flat=True).first()
    limit = msgspec.convert(rules or {}, ProjectRules).queue_limit
    try:
        with redis_client() as client:
            alive = [one for one in loads_of(client) if one.silent_s < SILENT_S]
            return Queue(depths_of(client, project.pk.hex), alive, limit)
    except RedisError:
        logger.warning("gateway.overview.no_line")
        return Queue(None, [], limit)
