#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The browser tests drive the system's Chromium or Chrome. Install one where that needs no question, else say how in one
# line. Never fails: without a browser the tests report that they did not run, and with CI=true they fail.
set -u

has_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] # macOS keeps it outside of PATH
}

has_browser && exit 0

manager=
for candidate in apt-get dnf pacman brew; do
    command -v "$candidate" >/dev/null 2>&1 && manager=$candidate && break
done
case $manager in
    apt-get) install="apt-get install -y --no-install-recommends chromium" ;;
    dnf) install="dnf install -y chromium" ;;
    pacman) install="pacman -S --noconfirm chromium" ;;
    brew) install="brew install --cask google-chrome" ;;
    *) install="" ;;
esac

# brew refuses to run as root, and needs nobody's leave; the others need root
as_root=
[ "$manager" = brew ] || [ "$(id -u)" = 0 ] || as_root=sudo
may_install=false
if [ -n "$manager" ]; then
    [ -z "$as_root" ] && may_install=true
    [ -n "$as_root" ] && sudo -n true 2>/dev/null && may_install=true
fi

if $may_install; then
    echo "Installing Chromium for the browser tests, once: $install"
    log=$(mktemp)
    {
        if [ "$manager" = apt-get ]; then
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get update
            $as_root env DEBIAN_FRONTEND=noninteractive $install
        else
            $as_root $install
        fi
    } >"$log" 2>&1 </dev/null || tail -n 5 "$log" >&2
    rm -f "$log"
    hash -r
    has_browser && exit 0
fi

cure="install Chromium or Chrome so that it is on PATH"
[ -z "$install" ] || cure="${as_root:+$as_root }$install"
echo "No Chromium or Chrome on PATH: the browser tests do not run. To run them: $cure" >&2
