"""pytest: plain static storage, mails in memory, no pool, throw-away services."""

import os

from config.embedded import testing

os.environ.setdefault("LLMLAB_SECRET_KEY", "test-only-" + "k" * 50)
os.environ.setdefault("LLMLAB_ENCRYPTION_KEYS", "dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTEyMzQ=")
testing.reserve()

from .base import *  # noqa: E402, F403

EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
ACCOUNT_RATE_LIMITS = False
# Straight from the source directories, nothing to collect.
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
# With the size a style sheet had at the start, the browser would wait for bytes an edit has taken away.
WHITENOISE_AUTOREFRESH = True
