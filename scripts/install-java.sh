#!/bin/sh
# Makes sure that there is a Java that Spark supports: the one that is there, or OpenJDK 17 by the package manager.
set -eu

java=java
[ -n "${JAVA_HOME:-}" ] && java="$JAVA_HOME/bin/java"
if command -v "$java" >/dev/null 2>&1; then
    version=$("$java" -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
    [ "${version:-0}" -ge 17 ] && exit 0
    echo "Java ${version:-of unknown version} is there; Spark needs 17 or later." >&2
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
    echo "Installing OpenJDK 17 with apt-get ..."
    log=$(mktemp)
    if { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends openjdk-17-jre-headless; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log" >&2
elif [ "$as_root" != missing ] && command -v dnf >/dev/null 2>&1; then
    echo "Installing OpenJDK 17 with dnf ..."
    $as_root dnf install -y -q java-17-openjdk-headless && exit 0
elif command -v brew >/dev/null 2>&1; then
    echo "Installing OpenJDK 17 with brew ..."
    brew install -q openjdk@17 && {
        echo "Now set JAVA_HOME=$(brew --prefix openjdk@17) and run the same command again." >&2
        exit 1
    }
fi

cat >&2 <<'MESSAGE'
Spark needs Java 17 or 21, and it could not be installed here without your help. Install it, and run the same
command again:
    Debian, Ubuntu   sudo apt-get install openjdk-17-jre-headless
    Fedora, RHEL     sudo dnf install java-17-openjdk-headless
    macOS            brew install openjdk@17
or set JAVA_HOME to a Java that is there.
MESSAGE
exit 1
