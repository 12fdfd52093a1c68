#!/bin/sh
# Debian's qsub takes a script from a file only; real ones read their input too.
script=$(mktemp)
cat >"$script"
/usr/bin/qsub "$@" "$script"
code=$?
rm -f "$script"
exit $code
