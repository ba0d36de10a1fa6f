// Package jobstest is what the tests of jobs share beyond pgtest: sessions, transactions and roles, a LISTEN session,
// and events. Only tests import it.
package jobstest
