#!/bin/sh
cd "$(dirname "$0")" && if [ $# -gt 0 ]; then exec soloist restart "$@"; else soloist down && exec soloist up -d; fi
