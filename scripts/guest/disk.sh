#!/usr/bin/env bash
# Makes an empty disk for a guest, of which nothing is stored but what is written: disk.sh IMAGE.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
mke2fs -q -t ext4 -O ^has_journal "$1" 1G
