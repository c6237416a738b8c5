import pytest
from django.db import connection

SERVER = "SELECT current_setting('server_version_num')::int / 10000"
EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"


@pytest.mark.django_db
def test_database_is_postgresql_18_with_pgvector():
    with connection.cursor() as cursor:
        cursor.execute(SERVER)
        assert cursor.fetchone() == (18,)
        cursor.execute(EXTENSION)
        assert cursor.fetchone() == ("0.8.5",)
