"""table.py RUNS.jsonl: what `scripts/bench` measured, as a table of ratios and one table for each mode.

A figure is the median of its rounds, in brackets the least and the greatest. Ratios are of medians of one run: on a
machine that others use, only they mean something.
"""

import json
import statistics
import sys

OURS = "mailward"


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines if line.strip()]
    for run in runs:
        if "error" in run:
            print(f"{run['label']} {run['mode']}: {run['error']}", file=sys.stderr)
    runs = [run for run in runs if "error" not in run]
    summary(runs)
    for title, chosen, columns in MODES:
        rows = [run for run in runs if chosen(run)]
        if rows:
            table(title, rows, columns)


# Own work and memory: the first --server-pid is the peer itself; nginx has a second one, which answers its questions.


def own_ms(run):
    return run["cpu"]["by_root_ms"][str(run["server_pids"][0])]


def per_login(run):
    return own_ms(run) / run["ok"] if run["ok"] else None


def per_gib(run):
    return own_ms(run) / 1e3 / (run["bytes"] / 2**30) if run["bytes"] else None


def kib_per_session(run):
    return run["steps"][-1]["pss_bytes_per_session"] / 1024


def noop_us(run):
    return 1e3 * run["noop"]["p50_ms"]


def proofs_found(run):
    """Of the logins, how many found their proof in memory."""
    if not run.get("proofs") or not run["proofs"][0]:
        return None
    hits, misses = (after - before for before, after in zip(*run["proofs"]))
    return 100 * hits / (hits + misses) if hits + misses else None


def is_login(protocol, resume):
    return lambda run: (
        run["mode"] == "logins"
        and run["protocol"] == protocol
        and run["resume"] == resume
        and not run["label"].endswith("-cold")
    )


def is_mode(mode):
    return lambda run: run["mode"] == mode


def is_cold(run):
    return run["mode"] == "logins" and run["label"].endswith("-cold")


LOGIN_COLUMNS = [
    ("CPU-ms/login", per_login),
    ("logins/s", lambda run: run["per_s"]),
    ("failed", lambda run: run["failed"]),
    ("p50 ms", lambda run: run["login"] and run["login"]["p50_ms"]),
    ("p99 ms", lambda run: run["login"] and run["login"]["p99_ms"]),
    ("resumed %", lambda run: 100 * run["resumed"] / run["ok"] if run["ok"] else None),
    ("proofs in memory %", proofs_found),
    ("machine busy %", lambda run: run["cpu"]["system_busy_pct"]),
]

MODES = [
    ("IMAP logins, full handshake", is_login("imap", False), LOGIN_COLUMNS),
    ("IMAP logins, resumption offered", is_login("imap", True), LOGIN_COLUMNS),
    ("IMAP logins, each proof by argon2", is_cold, LOGIN_COLUMNS),
    ("POP3 logins", is_login("pop3", False), LOGIN_COLUMNS),
    ("SMTP logins", is_login("smtp", False), LOGIN_COLUMNS),
    (
        "A message of 64 MiB fetched, again and again, on four connections",
        is_mode("throughput"),
        [("CPU-s/GiB", per_gib), ("MiB/s", lambda run: run["mib_per_s"])],
    ),
    (
        "NOOP round trip",
        is_mode("latency"),
        [
            ("p50 µs", noop_us),
            ("p99 µs", lambda run: 1e3 * run["noop"]["p99_ms"]),
            ("CPU µs", lambda run: 1e3 * own_ms(run) / run["noop"]["n"]),
        ],
    ),
    (
        "Idle sessions",
        is_mode("idle"),
        [
            ("KiB PSS/session", kib_per_session),
            ("sessions", lambda run: run["steps"][-1]["alive_after_hold"]),
            ("MiB PSS before", lambda run: run["before"]["pss_kib"] / 1024),
            ("CPU ms/s while idle", lambda run: run["steps"][-1]["idle_cpu_ms_per_s"]),
        ],
    ),
    (
        "A flood of wrong passwords beside one good client",
        is_mode("badlogins"),
        [
            ("good ones in %", lambda run: 100 * run["good"]["ok"] / run["good"]["attempts"]),
            ("good p50 ms", lambda run: run["good"]["login"]["p50_ms"]),
            ("good p99 ms", lambda run: run["good"]["login"]["p99_ms"]),
            ("CPU-ms/attempt", lambda run: own_ms(run) / (run["bad"]["sent"] + run["good"]["attempts"])),
        ],
    ),
    (
        "Pages of the portal, one load after the other on one connection (at most 10 ms at the median)",
        is_mode("pages"),
        [
            ("p50 ms", lambda run: run["p50_ms"]),
            ("p95 ms", lambda run: run["p95_ms"]),
            ("KiB", lambda run: run["bytes"] / 1024),
        ],
    ),
]


def median(runs, figure):
    found = [value for value in (figure(run) for run in runs) if value is not None]
    return statistics.median(found) if found else None


def summary(runs):
    """What was promised, as ratios to the peer that the promise names."""
    plain = median([run for run in runs if is_mode("latency")(run) and run["label"] == "upstream"], noop_us)
    wanted = [
        ("CPU per login, full handshake", is_login("imap", False), per_login, "nginx", 0.6, 0.4),
        ("CPU per login, resumed", is_login("imap", True), per_login, "nginx", 0.6, 0.35),
        ("PSS per idle session", is_mode("idle"), kib_per_session, "haproxy", 1, 6 / 18),
        ("CPU per GiB fetched", is_mode("throughput"), per_gib, "haproxy", 1, 0.75),
        (
            "NOOP round trip added",
            is_mode("latency"),
            lambda run: noop_us(run) - plain if plain else None,
            "nginx",
            1,
            14 / 18,
        ),
        ("login among 1,000,000 accounts", is_login("imap", False), per_login, "1,000 accounts", 1.3, 1.05),
    ]
    rows = []
    for name, chosen, figure, peer, most, aim in wanted:
        of = lambda label: median([r for r in runs if chosen(r) and r["label"] == label], figure)
        ours, theirs = (of("million"), of(OURS)) if peer == "1,000 accounts" else (of(OURS), of(peer))
        if ours is None or theirs is None:
            continue
        ratio = f"{ours / theirs:.2f}" if theirs else "–"
        rows.append(f"| {name} | {show(ours)} | {peer} {show(theirs)} | {ratio} | {most:.2g} | {aim:.2g} |")
    if rows:
        print("| | Mailward | beside | ratio | at most | aim |\n|---|---|---|---|---|---|", *rows, "", sep="\n")


def table(title, runs, columns):
    labels = list(dict.fromkeys(run["label"] for run in runs))
    print(f"### {title}\n\n| | runs | {' | '.join(name for name, _ in columns)} |")
    print("|---" * (len(columns) + 2) + "|")
    for label in labels:
        of = [run for run in runs if run["label"] == label]
        cells = []
        for _, figure in columns:
            found = [value for value in (figure(run) for run in of) if value is not None]
            if not found:
                cells.append("–")
                continue
            cell = show(statistics.median(found))
            if min(found) != max(found):
                cell += f" ({show(min(found))}..{show(max(found))})"
            cells.append(cell)
        print(f"| {label} | {len(of)} | {' | '.join(cells)} |")
    print()


def show(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


main()
