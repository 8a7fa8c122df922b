"""fill.py DATABASE ACCOUNTS APP-PASSWORDS: adds that many rows which nobody logs in with.

They look like the first account's: the same proof and seal, other names, numbers and labels. Their MACs are wrong, so
none of them opens anything; what they cost is their place in the tables and indexes.
"""

import random
import sqlite3
import sys
import time

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def main():
    path, accounts, app_passwords = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    began = time.monotonic()
    database = sqlite3.connect(path, isolation_level=None)
    # Nothing is lost with this file: it is made anew. All of it fits in memory until it is whole.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -3000000")
    chance = random.Random(20261127)
    fill_accounts(database, chance, accounts)
    fill_app_passwords(database, chance, app_passwords)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA optimize")
    for table in ("accounts", "factors", "app_passwords"):
        (count,) = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        print(f"{count} {table}")
    print(f"filled in {time.monotonic() - began:.0f} s")


def fill_accounts(database, chance, number):
    (known,) = database.execute("SELECT COUNT(*) FROM accounts").fetchone()
    columns = names(database, "accounts")
    model = dict(zip(columns, database.execute("SELECT * FROM accounts LIMIT 1").fetchone()))
    factor_columns = names(database, "factors")
    factor = dict(zip(factor_columns, database.execute("SELECT * FROM factors LIMIT 1").fetchone()))
    identities = [identity(chance, index) for index in range(number)]
    database.execute("BEGIN")
    rows = (
        tuple({**model, "id": account, "address": f"user{known + index}@example.test"}[c] for c in columns)
        for index, account in enumerate(identities)
    )
    database.executemany(insert("accounts", columns), rows)
    rows = (
        tuple({**factor, "id": identity(chance, index), "account": account}[c] for c in factor_columns)
        for index, account in enumerate(identities)
    )
    database.executemany(insert("factors", factor_columns), rows)
    database.execute("COMMIT")


def fill_app_passwords(database, chance, number):
    columns = names(database, "app_passwords")
    model = dict(zip(columns, database.execute("SELECT * FROM app_passwords LIMIT 1").fetchone()))
    accounts = [row[0] for row in database.execute("SELECT id FROM accounts ORDER BY id")]
    taken, left = 0, number
    database.execute("BEGIN")
    while left:
        # One more for each account, until there are enough.
        some = accounts[:left]
        rows = []
        for account in some:
            number_of = taken * 7 + chance.randrange(7)
            label = ALPHABET[number_of % 32] + "".join(chance.choice(ALPHABET) for _ in range(3))
            changed = {**model, "id": identity(chance, number - left + len(rows)), "account": account, "label": label}
            rows.append(tuple(changed[c] for c in columns))
        database.executemany(insert("app_passwords", columns, "OR IGNORE "), rows)
        left -= len(some)
        taken += 1
    database.execute("COMMIT")
    # Changes of the rows were noted for gates that run; none does.
    database.execute("DELETE FROM changes")


def identity(chance, index):
    """A UUID of version 7: most of a site's rows were made long ago, one after the other."""
    moment = 1_700_000_000_000 + 20_000 * index
    return moment.to_bytes(6, "big") + bytes([0x70 | chance.randrange(16)]) + chance.randbytes(1) + bytes(
        [0x80 | chance.randrange(64)]
    ) + chance.randbytes(7)


def names(database, table):
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def insert(table, columns, conflict=""):
    marks = ", ".join("?" for _ in columns)
    return f"INSERT {conflict}INTO {table} ({', '.join(columns)}) VALUES ({marks})"


main()
