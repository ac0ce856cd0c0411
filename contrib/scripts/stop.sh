#!/bin/sh
cd "$(dirname "$0")" && if [ $# -gt 0 ]; then exec soloist stop "$@"; else exec soloist down; fi
