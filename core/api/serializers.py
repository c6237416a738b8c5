"""The base of every serializer that reads a body: what it does not know is an error, not silently
dropped.
"""

from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses unknown fields by name, so that a misspelt field never passes as done."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(str(name)[:80] for name in set(data) - set(self.fields))
            if unknown:
                allowed = ", ".join(n for n, f in self.fields.items() if not f.read_only)
                raise serializers.ValidationError(
                    {name: [f"This field is unknown; known are {allowed}."] for name in unknown}
                )
        return super().to_internal_value(data)
