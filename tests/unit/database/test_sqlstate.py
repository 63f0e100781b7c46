"""The table SQLSTATE → error class against everything that psycopg knows."""

import psycopg
import pytest
from psycopg import errors as pg

from cluster import errors
from cluster.database.sqlstate import PERMANENT, TRANSIENT, ConnectionRefused, error_class, translate

KNOWN = {
    error.sqlstate: error
    for error in vars(pg).values()
    if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
}

RUN_AGAIN = {
    "08000",
    "08001",
    "08003",
    "08004",
    "08006",
    "08007",
    "25006",
    "40001",
    "40P01",
    "53300",
    "55P03",
    "57P01",
    "57P02",
    "57P03",
}
"""Written out by hand: a psycopg that grows a code in a transient class has to be looked at by a person."""


def test_psycopg_has_the_codes_that_this_test_is_about():
    assert len(KNOWN) > 200
    assert set(KNOWN) >= RUN_AGAIN


@pytest.mark.parametrize("sqlstate", sorted(KNOWN))
def test_every_code_is_mapped_and_only_the_listed_ones_are_run_again(sqlstate):
    kind = error_class(sqlstate)
    assert issubclass(kind, errors.Transient if sqlstate in RUN_AGAIN else errors.Permanent)
    assert type(translate(KNOWN[sqlstate]("what happened"))) is kind


def test_table_entries_are_real_codes_or_classes():
    classes = {code[:2] for code in KNOWN}
    own = {"OC001", "OC002", "OC003", "OC004"}
    for code in (TRANSIENT.keys() | PERMANENT.keys()) - own:
        assert code in KNOWN or code in classes


def test_every_leaf_is_transient_or_permanent():
    def leaves(kind):
        below = kind.__subclasses__()
        return {leaf for child in below for leaf in leaves(child)} if below else {kind}

    for leaf in leaves(errors.ClusterError):
        assert issubclass(leaf, errors.Transient) != issubclass(leaf, errors.Permanent), leaf
        assert leaf.__name__ in errors.__doc__


@pytest.mark.parametrize("error", [psycopg.OperationalError("server closed the connection"), pg.ConnectionTimeout()])
def test_a_connection_error_without_sqlstate_is_transient(error):
    assert isinstance(translate(error), errors.DatabaseUnavailable)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("28P01", errors.AccessRefused),
        ("28000", errors.AccessRefused),
        ("3D000", errors.AccessRefused),
        ("42501", errors.AccessRefused),
        ("55000", errors.AccessRefused),
        ("53300", errors.DatabaseUnavailable),
        ("57P03", errors.DatabaseUnavailable),
    ],
)
def test_a_refused_connection_is_told_by_its_code(sqlstate, kind):
    message = "connection failed: connection to server failed: FATAL:  in some language"
    meaning = translate(ConnectionRefused(message, sqlstate))
    assert type(meaning) is kind
    assert sqlstate in str(meaning)


def test_misuse_of_the_library_is_permanent():
    assert isinstance(translate(psycopg.ProgrammingError("no such placeholder")), errors.DatabaseRefused)


def test_messages_hold_no_row_values():
    # DETAIL and further lines can name patients.
    meaning = translate(pg.UniqueViolation("duplicate key\nDETAIL:  Key (value)=(DOE^JOHN) already exists."))
    assert "DOE" not in str(meaning)
    assert "23505" in str(meaning)
