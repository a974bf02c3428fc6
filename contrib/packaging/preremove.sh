#!/bin/sh
# Before the files of the package go. dpkg says "remove", rpm says how many versions of
# the package stay; an upgrade leaves the service to postinstall.sh.
set -e

case "$1" in
remove | 0)
	if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now popfetch.service
	fi
	;;
esac
