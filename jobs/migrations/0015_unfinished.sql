-- unfinished is how many events of the handler's topic are in the log that it is not done with. Ids that were rolled back, that a crash
-- of the server has skipped, or that are another topic's, do not count. They do where there are more than 100,000 such events, or as many
-- gaps in what is done: then it is the number of ids. A cursor without a topic was last claimed by an older version: each event counts.
create or replace view pgsolo.handler as
    select c.handler, c."group", c.topic, c.configured and c.seen_at > now() - interval '7 days' and u.since is null as configured,
        c.term, c.seen_at,
        case when e.n <= 100000 then e.n else
            (select greatest(0, (select case when s.is_called then s.last_value else 0 end from pgsolo.event_id_seq s)
                - coalesce(sum(upper(r) - lower(r)), 0))::bigint from unnest(c.done) r) end as unfinished,
        d.scheduled, d.waiting, d.retrying, d.dead, u.since as undeclared_since, d.left_behind
    from pgsolo.cursor c
        left join pgsolo.undeclared u on u.kind = 'handler' and u."group" = c."group" and u.name = c.handler
        cross join lateral (
            select case when g.n <= 100000 then (
                select count(*) from (
                    select from unnest('{[1,)}'::int8multirange - c.done) r cross join lateral (
                        select from pgsolo.event e
                        where e.id >= lower(r) and e.id < coalesce(upper(r), 9223372036854775807) and c.topic in (e.topic, '')
                        limit 100001
                    ) e
                    limit 100001
                ) unfinished
            ) else 100001 end as n
            from (select count(*) as n from unnest(c.done)) g
        ) e
        cross join lateral (
            select count(*) filter (where d.state = 'scheduled' and d.topic = c.topic) as scheduled,
                count(*) filter (where d.state = 'waiting' and d.topic = c.topic) as waiting,
                count(*) filter (where d.state = 'retry' and d.topic = c.topic) as retrying,
                count(*) filter (where d.state = 'dead') as dead,
                count(*) filter (where d.state <> 'dead' and d.topic <> c.topic) as left_behind
            from pgsolo.delivery d where d.handler = c.handler
        ) d;
