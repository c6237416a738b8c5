"""Behind TLS: secrets must come from the environment, cookies are host-only and secure."""

from config.env import env_int, env_secret

from .base import *  # noqa: F403

SECRET_KEY = env_secret("LLMLAB_SECRET_KEY")
LLMLAB_ENCRYPTION_KEYS = [
    key.strip() for key in env_secret("LLMLAB_ENCRYPTION_KEYS").split(",") if key.strip()
]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env_int("LLMLAB_TRUSTED_PROXIES", 0) else None
)
SECURE_HSTS_SECONDS = env_int("LLMLAB_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
STORAGES["staticfiles"] = {"BACKEND": "core.staticfiles.ManifestStorage"}
