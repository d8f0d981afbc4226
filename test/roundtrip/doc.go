// Package roundtrip holds the tests that let AWS's own Python client (botocore)
// and the AWS CLI speak to internal/wire with the generated shapes, in both
// directions, with random values and with values at the edge of every
// constraint. The services behind it only echo.
//
// They need a Python with botocore: its path is
// in GOLDSMITH_PYTHON, else .venv/bin/python is tried; without one they skip.
package roundtrip
