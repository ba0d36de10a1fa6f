package cursor

// Identities are those of the log, from its latest epoch on.
type Identities struct {
	names []string
	from  []int64 // the first one's events have ids above the first one, and so on
}

// selectIdentities returns the columns of Identities.
const selectIdentities = `select array_agg(l.identity order by l.epoch desc),
		array_agg(l.keys_from order by l.epoch desc)
	from pgsolo.log l`

// Of is the identity of the log that the event was emitted to.
func (i Identities) Of(event int64) string {
	for n, from := range i.from {
		if event > from {
			return i.names[n]
		}
	}
	return ""
}

// nameDeliveries keeps what the keys of events of earlier epochs than the latest have: after $2, the cursor's, or after
// that of the position in a topic that the handler has left.
const nameDeliveries = `with of as (
		select d.event_id, coalesce((select (k.noted ->> 'epoch')::bigint
			from pgsolo.cursor c join pgsolo.cursor_topic k on k.handler = c.handler and k.topic = d.topic
			where c.handler = $1 and c.topic <> d.topic), $2) as epoch
		from pgsolo.delivery d where d.handler = $1 and d.origin is null and d.event_id > 0
	)
	update pgsolo.delivery d
	set origin = concat_ws('/', nullif((select l.identity from pgsolo.log l
		where l.epoch <= of.epoch and l.keys_from < d.event_id order by l.epoch desc limit 1), ''), d.event_id)
	from of
	where d.handler = $1 and d.event_id = of.event_id and d.event_id > greatest(0, (
		select min(l.keys_from) from pgsolo.log l
		where l.epoch > of.epoch and l.identity <> (select o.identity from pgsolo.log o where o.epoch = of.epoch)))`
