"""Every setting, read through config.env. dev, test and prod only override."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import environ

from config import embedded
from config.env import data_dir, env_bool, env_int, env_list, env_secret, env_str
from config.settings.watch import *  # noqa: F403
from config.settings.work import *  # noqa: F403

BASE_DIR = Path(__file__).resolve().parents[2]
LLMLAB_DATA_DIR = data_dir(BASE_DIR / "var")
LLMLAB_VERSION = re.findall(r"^## (\S+)", (BASE_DIR / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
LLMLAB_BASE_URL = env_str(
    "LLMLAB_BASE_URL", f"http://localhost:{os.environ.get('PORT') or 8000}"
).rstrip("/")

SECRET_KEY = env_secret("LLMLAB_SECRET_KEY", "insecure-until-configured-" + "x" * 32)
# Wraps each organisation's data key; first key encrypts, all decrypt (rotation).
LLMLAB_ENCRYPTION_KEYS = [
    key.strip() for key in env_secret("LLMLAB_ENCRYPTION_KEYS", "").split(",") if key.strip()
]
DEBUG = False
ALLOWED_HOSTS = env_list("LLMLAB_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("LLMLAB_TRUSTED_ORIGINS", LLMLAB_BASE_URL)

# daphne itself is not an app here: it would install Twisted's reactor in every process (config.server runs it).
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "django_celery_beat",
    "core",
    "accounts",
    "projects",
    "costs",
    "traces",
    "gateway",
    "alerts",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.PageGZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.PersonalFormatsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.middleware.LoginRedirectMiddleware",
    "core.middleware.RangeFormMiddleware",
    "core.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "projects.context_processors.shell",
            ],
            "builtins": [
                "core.templatetags.ui",
                "core.templatetags.format",
                "core.templatetags.charts",
            ],
        },
    }
]

# --- PostgreSQL: the only memory that matters. Embedded unless DATABASE_URL says otherwise (config.embedded).
DATABASE_URL = env_secret("DATABASE_URL", "") or embedded.database_url(LLMLAB_DATA_DIR)
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
LLMLAB_STATEMENT_TIMEOUT_MS = env_int("LLMLAB_STATEMENT_TIMEOUT_MS", 15_000, minimum=100)
DATABASES["default"] |= {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 0}
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "options": (
            f"-c statement_timeout={LLMLAB_STATEMENT_TIMEOUT_MS} -c lock_timeout=8000"
            " -c idle_in_transaction_session_timeout=30000"
        ),
        "connect_timeout": 3,
        "application_name": "llmlab",
    }
)
# Only web processes pool (LLMLAB_DB_POOL=1, set by the launcher): a pool does not survive fork.
if env_bool("LLMLAB_DB_POOL", False):
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 2,
        "max_size": env_int("LLMLAB_DB_POOL_SIZE", 14, minimum=2),
        "timeout": 3,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: broker, cache, channel layer. May be flushed at any moment.
REDIS_URL = env_secret("REDIS_URL", "") or embedded.redis_url(LLMLAB_DATA_DIR)
CACHES = {
    "default": {
        "BACKEND": "core.cache.FallbackCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "capacity": 5000},
    }
}

# --- Celery: the broker is a doorbell, the work list is core.outbox (reliability-cases §4.1).
CELERY_BROKER_URL = REDIS_URL

# --- Accounts: allauth by e-mail.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = env_str("LLMLAB_EMAIL_VERIFICATION", "optional")
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ALLAUTH_TRUSTED_PROXY_COUNT = env_int("LLMLAB_TRUSTED_PROXIES", 0)
LLMLAB_OPEN_SIGNUP = env_bool("LLMLAB_OPEN_SIGNUP", True)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"

# --- E-mail: printed to the console of the web process until a server is named.
EMAIL_BACKEND = env_str(
    "LLMLAB_EMAIL_BACKEND",
    "django.core.mail.backends.smtp.EmailBackend"
    if "LLMLAB_EMAIL_HOST" in os.environ
    else "django.core.mail.backends.console.EmailBackend",
)
EMAIL_HOST = env_str("LLMLAB_EMAIL_HOST", "localhost")
EMAIL_PORT = env_int("LLMLAB_EMAIL_PORT", 25)
EMAIL_HOST_USER = env_str("LLMLAB_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env_secret("LLMLAB_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env_bool("LLMLAB_EMAIL_TLS", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_str("LLMLAB_EMAIL_FROM", "LLMLab <llmlab@localhost>")

# --- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "projects.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.auth.DenyByDefault"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    # `format` is a word of our own questions.
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.errors.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "NUM_PROXIES": env_int("LLMLAB_TRUSTED_PROXIES", 0),
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LLMLab API",
    "DESCRIPTION": "Every dollar, every call, every step of your LLM features.",
    "VERSION": LLMLAB_VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "traces.openapi.add_doors",
    ],
    # Several fields are called "status" or "kind"; these names keep the OpenAPI document stable.
    "ENUM_NAME_OVERRIDES": {
        "ProjectStatusEnum": "projects.models.Project.Status",
        "SpanStatusEnum": "traces.models.SpanStatus",
        "SpanKindEnum": "traces.models.SpanKind",
        "ErrorStatusEnum": "traces.models.ErrorStatus",
        "PriceRuleKindEnum": "costs.models.prices.RuleKind",
        "ScoreTypeEnum": "traces.models.ScoreType",
        "CostExportKindEnum": "costs.exporting.serializers.KINDS",
        "CostExportFormatEnum": "costs.exporting.serializers.FORMAT_NAMES",
        "BudgetStateEnum": "costs.budgets.serializers.STATES",
        "SeriesKindEnum": "costs.models.forecasts.SeriesKind",
        "JobStateEnum": "core.models.Job.State",
        "AlertChannelKindEnum": "alerts.models.ChannelKind",
        "AlertChannelStateEnum": "alerts.channel_pages.serializers.STATES",
        "AlertDeliveryStateEnum": "alerts.models.DeliveryState",
        "AlertKindEnum": "alerts.models.AlertKind",
        "AlertRuleStateEnum": "alerts.rules.serializers.RULE_STATES",
        "AlertEventStateEnum": "alerts.models.EventState",
        "AlertSeverityEnum": "alerts.models.Severity",
        "BudgetScopeEnum": "costs.models.BudgetScope",
        "GatewayPriorityEnum": "gateway.structs.PRIORITIES",
        "LimitScopeEnum": "gateway.models.LimitScope",
        "LimitMetricEnum": "gateway.models.LimitMetric",
        "LimitWindowEnum": "gateway.models.LimitWindow",
        "WasteKindEnum": "traces.models.waste.WasteKind",
        "ProviderSyncKindEnum": "costs.models.billing.ProviderSync.Kind",
        "ReportFrequencyEnum": "costs.models.reports.ReportSchedule.Frequency",
        "ExportFrequencyEnum": "costs.models.exports.ExportSchedule.Frequency",
        "ProviderSyncStateEnum": "costs.models.billing.ProviderSync.State",
    },
}

# --- Ingestion bounds (reliability-cases §2.1, F13)
LLMLAB_INGEST_MAX_BODY = env_int("LLMLAB_INGEST_MAX_BODY", 8 * 1024 * 1024, minimum=1024)
LLMLAB_INGEST_MAX_DECOMPRESSED = env_int(
    "LLMLAB_INGEST_MAX_DECOMPRESSED", 32 * 1024 * 1024, minimum=1024
)
LLMLAB_INGEST_MAX_SPANS = env_int("LLMLAB_INGEST_MAX_SPANS", 5000, minimum=1)
LLMLAB_INGEST_RATE_PER_MINUTE = env_int("LLMLAB_INGEST_RATE_PER_MINUTE", 60_000, minimum=1)
# Calls to models: images and documents travel in them.
LLMLAB_GATEWAY_MAX_BODY = env_int("LLMLAB_GATEWAY_MAX_BODY", 32 * 1024 * 1024, minimum=1024)
# Files for providers: kept on disk on their way.
LLMLAB_GATEWAY_MAX_FILE = env_int("LLMLAB_GATEWAY_MAX_FILE", 512 * 1024 * 1024, minimum=1024)
# Meaning search: any OpenAI-compatible endpoint; without one the offline lexical default.
LLMLAB_EMBEDDINGS_BASE_URL = env_str("LLMLAB_EMBEDDINGS_BASE_URL", "")
LLMLAB_EMBEDDINGS_API_KEY = env_secret("LLMLAB_EMBEDDINGS_API_KEY", "")
LLMLAB_EMBEDDINGS_MODEL = env_str("LLMLAB_EMBEDDINGS_MODEL", "text-embedding-3-small")
LLMLAB_EMBEDDINGS_DIMENSIONS = env_int("LLMLAB_EMBEDDINGS_DIMENSIONS", 0, maximum=4000)
LLMLAB_RETENTION_DAYS = env_int("LLMLAB_RETENTION_DAYS", 400, minimum=1)
LLMLAB_ANOMALY_LEAST_USD = Decimal(env_int("LLMLAB_ANOMALY_LEAST_USD", 1))
# What each process may remember of the cost explorer's columns.
LLMLAB_EXPLORER_MEMORY_MB = env_int("LLMLAB_EXPLORER_MEMORY_MB", 128, minimum=1)
# The gateway's engine (gateway.engine): calls under way in one worker, and how long it finishes them when it stops.
LLMLAB_GATEWAY_CALLS = env_int("LLMLAB_GATEWAY_CALLS", 1_000, minimum=1, maximum=20_000)
LLMLAB_GATEWAY_DRAIN_SECONDS = env_int("LLMLAB_GATEWAY_DRAIN_SECONDS", 20, maximum=600)
# Private addresses that may be called on somebody's word (core.outbound): host, host:port, address, CIDR.
LLMLAB_OUTBOUND_ALLOW = env_list("LLMLAB_OUTBOUND_ALLOW")
# Where the demo's simulated providers are; set by `make run`.
LLMLAB_DEMO_SIMULATOR = env_str("SIMULATOR_URL", "")

# --- Static files, security headers
STATIC_URL = "/static/"
STATIC_ROOT: Path | None = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Exports go to var/storage, or to any S3-compatible bucket (django-storages).
LLMLAB_S3_BUCKET = env_str("LLMLAB_S3_BUCKET", "")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(LLMLAB_DATA_DIR / "storage")},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if LLMLAB_S3_BUCKET:
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": LLMLAB_S3_BUCKET,
            "location": env_str("LLMLAB_S3_PREFIX", "llmlab"),
            "endpoint_url": env_str("LLMLAB_S3_ENDPOINT_URL", "") or None,
            "region_name": env_str("LLMLAB_S3_REGION", "") or None,
            # Empty: boto3's own chain (instance role, AWS_* variables).
            "access_key": env_secret("LLMLAB_S3_ACCESS_KEY", "") or None,
            "secret_key": env_secret("LLMLAB_S3_SECRET_KEY", "") or None,
            "default_acl": None,
            "querystring_auth": True,
            "file_overwrite": False,
        },
    }
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "media-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
        "manifest-src": ["'self'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_SAMESITE = "Lax"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# /metrics: a bearer token, or without one only direct connections from this machine.
LLMLAB_METRICS_TOKEN = env_secret("LLMLAB_METRICS_TOKEN", "")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "core.logging.RedactingFormatter",
            "fmt": "{asctime} {levelname} {name} {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_str("LLMLAB_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "health_check": {"level": "CRITICAL"},  # /readyz says it to whoever asks
        "httpx2": {"level": "WARNING"},
    },
}
