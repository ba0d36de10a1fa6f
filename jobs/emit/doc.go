// Package emit is for producers: it appends events to the event log, as part of the caller's own transaction. Producers
// in other languages call the SQL function pgsolo.emit, or insert into pgsolo.event, to the same effect.
//
// # What a role needs
//
//   - For both calls, usage of the schema.
//   - For Emit, to execute the function pgsolo.emit, which runs with the rights of its owner.
//   - For EmitAll, to insert into pgsolo.event and to use the sequence pgsolo.event_id_seq.
//
// # What it guarantees
//
//   - An event is in the log exactly if the transaction commits. There is nothing to send afterwards.
//   - Once one group's configuration names its topics, an event of a topic that no group names is refused.
//   - Of the events of one topic and DedupKey, one is in the log within each window, whichever sessions emit them.
//   - No leader need run while an event is emitted: the next one finds it.
//
// # What it does not guarantee
//
//   - Ids in the order of commits: an id is given out when the event is emitted.
//   - Ids without gaps: a rollback and a refused event leave one.
//   - That a handler sees the event only once: see package eventlog.
package emit
