"""KEDA's question, asked of a real database."""

import psycopg
import pytest

from tests.acceptance.chart.rendering import find, scenario


@pytest.fixture
def question():
    [scaled] = find(scenario("04-imports-with-keda"), "ScaledObject")
    return scaled["spec"]["triggers"][0]["metadata"]["query"]


def test_counts_what_waits_and_what_is_worked_on(database_uri, question):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        assert connection.execute(question).fetchone() == (0,)
        connection.execute(
            "WITH job AS (INSERT INTO cluster.import_jobs (job_id, paths)"
            " VALUES (gen_random_uuid(), '[]') RETURNING job_id)"
            " INSERT INTO cluster.import_chunks (job_id, chunk, files, file_count, sent_at, done_at)"
            " SELECT job_id, chunk, '[]', 0, sent_at::timestamptz, done_at::timestamptz FROM job,"
            " (VALUES (1, NULL, NULL), (2, 'now', NULL), (3, 'now', NULL), (4, 'now', 'now'))"
            " AS chunks (chunk, sent_at, done_at)"
        )
        assert connection.execute(question).fetchone() == (3,)
        # A job is one more; an import that somebody has paused needs nobody.
        connection.execute(
            "INSERT INTO cluster.jobs (job_id, type, state, priority, task, content)"
            " SELECT gen_random_uuid(), 'Archive', state, 0, '{}', '{}'"
            " FROM unnest(ARRAY['Pending', 'Running', 'Success']) AS state"
        )
        assert connection.execute(question).fetchone() == (5,)
        connection.execute("UPDATE cluster.import_jobs SET paused_at = now()")
        assert connection.execute(question).fetchone() == (2,)
