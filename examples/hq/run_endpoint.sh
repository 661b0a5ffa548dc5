#!/bin/bash
# Begins an endpoint in the runner's network; its environment says the rest.
set -e
/setup.sh # routes through the simulated network
if [ "$ROLE" = client ]; then
    /wait-for-it.sh sim:57832 -s -t 30
fi
exec hq
