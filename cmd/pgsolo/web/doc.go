// Package web is what a replica serves over HTTP: health for an orchestrator, status for people and programs, metrics.
//
//	/livez      200 while the loops of the elections are alive; no database is asked: its outage restarts nothing
//	/readyz     200 for leader and standby, if the database answered within a lease and a poll; schema was checked
//	/leader     200 for the leader, else 503
//	/standby    200 for a standby, else 503
//	/v1/status  the same and more as JSON
//	/metrics    for Prometheus
//
// Whoever reaches the port may ask: nothing here changes anything, and no answer has a secret or an event's data. Hosts
// keeps out what was led here under another name, as by a page in a browser. No request has a body, a header has 16 kB
// at most, a request and its answer have ten seconds each, and connections have a bound.
//
// What a replica says of itself is as old as its last ping or poll. A replica that has just lost the leadership without
// noticing says for up to 0.6 of the lease that it leads.
package web
