#!/bin/sh
# Stands in the place of Python: takes a request and does what the test says.
read -r request
eval "$TIMELAB_FAKE_DRIVER"
