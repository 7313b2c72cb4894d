#!/bin/sh
# Makes sure that there are Chromium and its driver, for the tests of the HTML pages: those that are there, or Debian's.
set -eu

have() {
    command -v "${CHROMIUM:-chromium}" >/dev/null 2>&1 && command -v "${CHROMEDRIVER:-chromedriver}" >/dev/null 2>&1
}

have && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        as_root="missing"
    fi
fi

# Ubuntu's package of this name only points to a snap, which reads no temporary folder of ours.
if [ "$as_root" != missing ] && command -v apt-get >/dev/null 2>&1 && grep -q '^ID=debian' /etc/os-release; then
    echo "Installing Chromium and its driver with apt-get ..."
    log=$(mktemp)
    if { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends chromium chromium-driver; } >"$log" 2>&1 && have; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log" >&2
fi

cat >&2 <<'MESSAGE'
The tests of the HTML pages need Chromium and its driver, of one version, and they could not be installed here
without your help. Nothing else needs them. Install both, and run the same command again:
    Debian           sudo apt-get install chromium chromium-driver
    Fedora, RHEL     sudo dnf install chromium chromedriver
    macOS            brew install --cask chromium chromedriver
or set CHROMIUM and CHROMEDRIVER to the programs that are there.
MESSAGE
exit 1
