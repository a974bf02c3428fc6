#!/bin/sh
# After the files of the package are there: its user, and a running service begins anew.
# The service starts only when somebody enables it, for it needs a configuration.
set -e

if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers ${DPKG_ROOT:+--root="$DPKG_ROOT"} popfetch.conf
fi
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart popfetch.service
fi
