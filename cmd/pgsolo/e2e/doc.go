// Package e2e tests the program from outside: processes of it, which run, lead, are killed, frozen and told to stop
// against a real PostgreSQL. The processes are the test binary itself, which TestMain makes behave as the program.
package e2e
