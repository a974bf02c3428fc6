#!/bin/sh
# After the files of the package are gone. "dpkg --purge" also removes the record of what
# was delivered, and never mail: a directory that holds anything else stays.
set -e

if [ "$1" = purge ]; then
	for state in "$DPKG_ROOT/var/lib/private/popfetch" "$DPKG_ROOT/var/lib/popfetch"; do
		if [ -d "$state" ] && ! [ -L "$state" ]; then
			rm -f "$state"/state.db "$state"/state.db.*
			rmdir --ignore-fail-on-non-empty "$state"
		fi
	done
	# systemd makes this link to the directory of a dynamic user.
	if [ -L "$state" ] && ! [ -e "$state" ]; then
		rm -f "$state"
	fi
fi
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
