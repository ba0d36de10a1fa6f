# The commands of this repository. Go is all that most of them need.

.PHONY: test test-versions ci

test:
	go test ./...

# On each version of PostgreSQL that pgsolo supports; downloads those by npm.
test-versions:
	.ci/test-version 14 15 16 17 18

# Everything that has to hold before a change lands. Takes half an hour, and installs what it needs.
ci:
	.ci/run
