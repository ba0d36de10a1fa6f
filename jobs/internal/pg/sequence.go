package pg

// SelectSequence returns what is wrong with the sequence of the event log, and the remedy, or an empty text. A reader
// knows by the order in which ids are given out that nothing can come any more under a lower one: a session that has
// ids in advance breaks that.
const SelectSequence = `select coalesce((
		select pg_catalog.format('sequence %s has cache %s and increment %s%s, with which events would be overlooked: '
			'alter sequence %1$s cache 1 increment 1 no cycle, and then end the sessions that have used it',
			'pgsolo.event_id_seq', seqcache, seqincrement, case when seqcycle then ' and cycles' else '' end)
		from pg_sequence
		where seqrelid = 'pgsolo.event_id_seq'::regclass and (seqcache <> 1 or seqincrement < 1 or seqcycle)
	), '')`
