#!/bin/sh
# Makes sure that there is a PostgreSQL server for the tests: the one that is there, or the package manager's. Its
# programs are enough: the tests start a server of their own, in a folder of their own.
set -eu

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
if PATH="${programs:+$programs:}$PATH" command -v initdb >/dev/null 2>&1; then
    exit 0
fi
if server=$(command -v pg_ctl) && [ -x "$(dirname "$(readlink -f "$server")")/initdb" ]; then
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        as_root="missing"
    fi
fi

if [ "$as_root" != missing ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing PostgreSQL with apt-get ..."
    log=$(mktemp)
    if { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends postgresql; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log" >&2
elif [ "$as_root" != missing ] && command -v dnf >/dev/null 2>&1; then
    echo "Installing PostgreSQL with dnf ..."
    $as_root dnf install -y -q postgresql-server && exit 0
elif command -v brew >/dev/null 2>&1; then
    echo "Installing PostgreSQL with brew ..."
    brew install -q postgresql && exit 0
fi

cat >&2 <<'MESSAGE'
The tests of the ledger need the programs of a PostgreSQL server (initdb, pg_ctl), and they could not be installed
here without your help. Install them, and run the same command again:
    Debian, Ubuntu   sudo apt-get install postgresql
    Fedora, RHEL     sudo dnf install postgresql-server
    macOS            brew install postgresql
No server has to run: the tests start one of their own.
MESSAGE
exit 1
