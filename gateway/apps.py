"""Registers what the gateway keeps, and what it does when others act."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from core import partitions
        from gateway import purge as rows
        from gateway.cache import emptying
        from gateway.connections import demo, secrets, used
        from gateway.quotas import demo as quota_demo
        from gateway.recording import forgetting
        from gateway.requests import erasing, jobs, webhooks
        from gateway.routing import demo as routing_demo
        from projects import purge, resealing
        from traces import retention
        from traces.ingest import far_twins
        from traces.signals import demo_seeded, user_erased

        partitions.register("gateway_llmrequest", "accepted_at")
        retention.register("gateway_llmrequest", "accepted_at")
        far_twins.register(used.has_connections)
        user_erased.connect(forgetting.forget_user, dispatch_uid="gateway.forget")
        purge.register("gateway", count=rows.count, delete_batch=rows.delete_batch)
        resealing.register(secrets.seal_again)
        resealing.register(jobs.seal_again)
        resealing.register(webhooks.seal_again)
        resealing.register(emptying.forget_sealed)
        user_erased.connect(erasing.forget_user, dispatch_uid="gateway.jobs.forget")
        user_erased.connect(emptying.forget_user, dispatch_uid="gateway.cache.forget")
        demo_seeded.connect(demo.follow, dispatch_uid="gateway.demo")
        # After the connections: receivers are called in the order they were connected.
        demo_seeded.connect(routing_demo.follow, dispatch_uid="gateway.routing.demo")
        demo_seeded.connect(quota_demo.follow, dispatch_uid="gateway.quotas.demo")
