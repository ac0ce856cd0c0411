#!/bin/sh
# A shell service that tells how it fares with systemd-notify, which returns only when it was heard (BARRIER=1). The test
# moves it by files: `go`, `hang`.
set -e
systemd-notify --status='warming up'
while [ ! -e go ]; do sleep 0.02; done
systemd-notify --ready --status=serving
while :; do
    systemd-notify WATCHDOG=1
    echo ping >>pings
    sleep 0.1
    if [ -e hang ]; then
        rm hang
        sleep 600
    fi
done
