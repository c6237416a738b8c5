"""People, organisations, who may do what, and the audit trail."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from core.base_models import TimestampedModel, UUIDModel


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(UUIDModel, AbstractBaseUser, PermissionsMixin):
    """A person. Logs in by e-mail; what they may do comes from Membership."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True)
    # How pages write times and figures (core.person_formats); no zone: the browser's.
    time_zone = models.CharField(max_length=64, blank=True)
    number_style = models.CharField(max_length=12, default="1,234.56")
    has_shortcuts = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_unique")]

    def __str__(self) -> str:
        return self.email

    @property
    def display_name(self) -> str:
        return self.name or self.email.split("@")[0]

    @property
    def initials(self) -> str:
        parts = self.display_name.replace(".", " ").replace("_", " ").split()
        return "".join(part[0] for part in parts[:2]).upper() or "?"


class Organization(UUIDModel, TimestampedModel):
    """A tenant. `data_key` is its encryption key, wrapped by the operator's master key
    (core.crypto).
    """

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80, unique=True)
    is_demo = models.BooleanField(default=False)
    # Whether members may make public links to single traces; switching it off closes the ones there are.
    allows_sharing = models.BooleanField(default=True)
    data_key = models.BinaryField(editable=False)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """Ordered: each may do everything the ones below it may."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"


ROLE_RANK = {Role.VIEWER: 1, Role.MEMBER: 2, Role.ADMIN: 3, Role.OWNER: 4}


class Membership(UUIDModel, TimestampedModel):
    """What a person may do in an organisation."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user"], name="accounts_membership_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"

    def allows(self, role: Role) -> bool:
        """Whether this membership may do what `role` may do."""
        return ROLE_RANK[Role(self.role)] >= ROLE_RANK[role]


class Invitation(UUIDModel, TimestampedModel):
    """An offer of membership to one e-mail address; the token is stored only as its SHA-256."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="accounts_invite_recent")
        ]

    def __str__(self) -> str:
        return f"{self.email} {self.role}"


class AuditEvent(UUIDModel):
    """Who did what to what. Written by `accounts.services.record_audit_event`; never changed."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="audit_events"
    )
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=80)
    target = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="accounts_audit_recent")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
