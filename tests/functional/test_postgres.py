"""The server that other tests stand on: each gets a database of its own, also after a restart."""

import pytest


def test_databases_are_apart_and_outlast_the_server(postgres_server):
    psycopg = pytest.importorskip("psycopg")
    one, other = postgres_server.new_database(), postgres_server.new_database()
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES ('kept')")
    with psycopg.connect(other) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT text FROM notes")
    postgres_server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(one, connect_timeout=5)
    postgres_server.start()
    with psycopg.connect(one) as connection:
        assert connection.execute("SELECT text FROM notes").fetchone() == ("kept",)
