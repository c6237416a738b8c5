"""Celery: how work is taken, repeated and cut short, and what runs by the clock. Part of base."""

CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # LOGGING below holds in workers, too: it redacts
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 270
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000
CELERY_WORKER_ETA_TASK_LIMIT = 1000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "queue_order_strategy": "priority",
}
CELERY_VISIBILITY_TIMEOUT = 600
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_TASK_DEFAULT_QUEUE = "analysis"
CELERY_TASK_ROUTES = {"core.tasks.*": {"queue": "ingest"}}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SYNC_EVERY = 1  # last runs reach the database at once, so that `doctor` sees beat live
CELERY_BEAT_SCHEDULE = {
    "sweep-outbox": {
        "task": "core.tasks.sweep_outbox",
        "schedule": 10.0,
        "options": {"expires": 10},  # workers that were away need not catch up on missed rounds
    },
    "sweep-deliveries": {
        "task": "alerts.tasks.sweep_deliveries",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "sync-bills": {
        "task": "costs.tasks.sync_bills",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "replay-journals": {
        "task": "gateway.tasks.replay_journals",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "make-partitions": {"task": "core.tasks.make_partitions", "schedule": 3600.0},
    "apply-retention": {"task": "traces.tasks.apply_retention", "schedule": 3600.0},
    "refresh-forecasts": {
        "task": "costs.tasks.refresh_forecasts",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "refresh-reconciliations": {
        "task": "costs.tasks.refresh_reconciliations",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "run-export-schedules": {
        "task": "costs.tasks.run_export_schedules",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "send-reports": {
        "task": "costs.tasks.send_reports",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "retire-gateway-keys": {
        "task": "gateway.tasks.retire_keys",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "expire-answers": {
        "task": "gateway.tasks.expire_answers",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "expire-exports": {"task": "projects.tasks.expire_exports", "schedule": 3600.0},
    "compact-tallies": {"task": "traces.tasks.compact_tallies", "schedule": 3600.0},
    "forget-langfuse-items": {
        "task": "traces.tasks.forget_langfuse_items",
        "schedule": 3600.0,
    },
    "keep-facts": {
        "task": "costs.tasks.keep_facts",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "scan-waste": {
        "task": "traces.tasks.scan_waste",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "compute-statements": {
        "task": "costs.tasks.compute_statements",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "watch-platform": {
        "task": "alerts.tasks.watch_platform",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "send-digests": {
        "task": "alerts.tasks.send_digests",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "evaluate-alerts": {
        "task": "alerts.tasks.evaluate",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "keep-alert-time": {
        "task": "alerts.tasks.keep_time",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "sweep-jobs": {
        "task": "gateway.tasks.sweep_jobs",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "tell-of-jobs": {
        "task": "gateway.tasks.tell_of_jobs",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "watch-batches": {
        "task": "gateway.tasks.watch_batches",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "sweep-reservations": {
        "task": "gateway.tasks.sweep_reservations",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "keep-circuit-openings": {
        "task": "gateway.tasks.keep_openings",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "forget-call-sums": {
        "task": "gateway.tasks.forget_sums",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "forget-counters": {
        "task": "gateway.tasks.forget_counters",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "sweep-search": {
        "task": "traces.tasks.sweep_search",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
}
