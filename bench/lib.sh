# What the measuring scripts share: where things are, which port is whose, and processes that are ended by their pid.
#
# Source this file. `$run` is the folder that holds everything the daemons write; `$mailload`, `$mailward` and `$seed`
# are the programs that `scripts/bench` built.
#
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by who sources this
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=${MAILWARD_BENCH_RUN:?is set by scripts/bench}
programs=${MAILWARD_BENCH_PROGRAMS:?is set by scripts/bench}
# shellcheck disable=SC2034
mailload=$programs/mailload mailward=$programs/mailward seed=$programs/examples/seed
# shellcheck disable=SC2034
users=1000 big_users=16 big_mib=64 password=testpass
mkdir -p "$run/log"
# Daemons inherit it: two descriptors a session, thousands of sessions.
ulimit -Sn "$(ulimit -Hn)"

# port PEER PROTOCOL: below the range from which the kernel takes ports for connections.
port() {
    local base=${MAILWARD_BENCH_PORTS:-29000}
    case $1 in
    upstream) ;;
    direct) base=$((base + 10)) ;;
    nginx) base=$((base + 20)) ;;
    dovecot-proxy) base=$((base + 30)) ;;
    haproxy) base=$((base + 40)) ;;
    mailward) base=$((base + 50)) ;;
    million) base=$((base + 60)) ;;
    pages) base=$((base + 70)) ;;
    *) echo "no ports for '$1'" >&2 && return 1 ;;
    esac
    case $2 in
    imap) echo "$base" ;;
    pop3) echo $((base + 1)) ;;
    smtp) echo $((base + 2)) ;;
    auth) echo $((base + 3)) ;;
    portal) echo $((base + 4)) ;;
    relay) echo $((base + 5)) ;;
    metrics) echo $((base + 6)) ;;
    *) echo "no port for '$2'" >&2 && return 1 ;;
    esac
}

# The moment at which a process began, which tells it from a later one with the same number.
begun() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

record() { # NAME PID
    echo "$2 $(begun "$2")" >"$run/$1.pid"
}

pid() { # NAME
    cut -d ' ' -f 1 "$run/$1.pid"
}

# Whether the process that was recorded still runs.
alive() { # NAME
    local id since
    read -r id since 2>/dev/null <"$run/$1.pid" || return 1
    [[ -n $since && $(begun "$id") == "$since" ]]
}

# pid and beginning of every descendant.
descendants() { # PID
    local child children=()
    mapfile -t children < <(cat "/proc/$1"/task/*/children 2>/dev/null | tr ' ' '\n' | sed '/^$/d')
    for child in "${children[@]}"; do
        echo "$child $(begun "$child")"
        descendants "$child"
    done
}

# Ends what was recorded under these names, and what it started; nothing else.
stop() { # NAME…
    local name id left child since
    for name in "$@"; do
        if alive "$name"; then
            id=$(pid "$name")
            left=$(descendants "$id")
            kill -TERM "$id" 2>/dev/null || true
            for _ in $(seq 150); do
                alive "$name" || break
                sleep 0.1
            done
            ! alive "$name" || kill -KILL "$id" 2>/dev/null || true
            while read -r child since; do
                [[ -z $child || $(begun "$child") != "$since" ]] || kill -TERM "$child" 2>/dev/null || true
            done <<<"$left"
        fi
        rm -f "$run/$name.pid"
    done
}

wait_port() { # PORT…
    local port
    for port in "$@"; do
        for _ in $(seq 150); do
            ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue 2
            sleep 0.1
        done
        echo "port $port does not answer" >&2
        return 1
    done
}

certificate() {
    [[ ! -s $run/cert.pem ]] || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=mail.example.test -addext 'subjectAltName=DNS:mail.example.test,IP:127.0.0.1' \
        -keyout "$run/key.pem" -out "$run/cert.pem" 2>/dev/null
    cat "$run/cert.pem" "$run/key.pem" >"$run/both.pem"
    chmod 644 "$run"/*.pem
}
