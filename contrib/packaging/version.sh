#!/bin/sh
# Prints the version of a package: that of a tag (v1.2.3, or v1.2.3-4-gHASH behind it);
# otherwise one with the time of the commit that counts as older than every tag.
#
# usage: version.sh VERSION SECONDS
case "$1" in
v[0-9]*.*) echo "$1" | sed 's/^v//; s/-/+/; s/-/./g' ;;
*) echo "0~$(date -u -d "@$2" +%Y%m%d%H%M%S).$1" | tr - . ;;
esac
