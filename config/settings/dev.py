"""`make run` on one machine: plain HTTP, keys kept under the data directory."""

import os

from config.embedded import local_secrets
from config.env import env_secret

from .base import *  # noqa: F403
from .base import CELERY_BEAT_SCHEDULE, LLMLAB_DATA_DIR, LLMLAB_ENCRYPTION_KEYS

_secret_key, _encryption_key = local_secrets(LLMLAB_DATA_DIR)
SECRET_KEY = env_secret("LLMLAB_SECRET_KEY", "") or _secret_key
LLMLAB_ENCRYPTION_KEYS = LLMLAB_ENCRYPTION_KEYS or [_encryption_key]
# Straight from the source directories, nothing to collect.
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
# Without a mail server, mails are files beside the data: `make run` prints where.
if not {"LLMLAB_EMAIL_BACKEND", "LLMLAB_EMAIL_HOST"} & set(os.environ):
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = LLMLAB_DATA_DIR / "mails"
# The demo's calls go on, and so does its bill.
CELERY_BEAT_SCHEDULE = {
    **CELERY_BEAT_SCHEDULE,
    "bill-demo": {
        "task": "costs.tasks.bill_demo",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
}
