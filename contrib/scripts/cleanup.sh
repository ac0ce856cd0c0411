#!/bin/sh
cd "$(dirname "$0")" && exec soloist cleanup "$@"
