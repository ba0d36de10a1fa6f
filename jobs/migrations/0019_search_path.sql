-- What names mean is decided here, whatever the search_path of a session is: somebody else may offer a function or an operator of the
-- same name in the schema public, with arguments that fit better, and it would run as the role that uses pgsolo. is_new and
-- known_topics stay without one: they qualify what they name, and would cost each event more with one.

alter function pgsolo.arm(text, boolean, bigint) set search_path = pg_catalog, pg_temp;
alter function pgsolo.check_filter(integer, boolean) set search_path = pg_catalog, pg_temp;
alter function pgsolo.check_job(text) set search_path = pg_catalog, pg_temp;
alter function pgsolo.refuse_topic() set search_path = pg_catalog, pg_temp;
alter function pgsolo.ring() set search_path = pg_catalog, pg_temp;
alter function pgsolo.ring_for_retry(bigint) set search_path = pg_catalog, pg_temp;
alter function pgsolo.tell_cron() set search_path = pg_catalog, pg_temp;

-- A reader's own function sees no row that the view leaves out: without the barrier the server may call it first.
create or replace view pgsolo.handler with (security_barrier) as
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

create or replace view pgsolo.dead_letter with (security_barrier) as
    select handler, event_id, topic, key, payload, headers, created_at, attempt as attempts, error, failed_at
    from pgsolo.delivery where state = 'dead';

create or replace view pgsolo.job with (security_barrier) as
    select j.job, j."group", j.schedule, j.forgotten_at is null as configured, j.enabled, j.paused_at,
        t.scheduled_at as last_run_at, t.outcome as last_outcome, s.finished_at as last_success_at, coalesce(o.running, 0) as running,
        coalesce(o.waiting, 0) as waiting
    from pgsolo.cron_job j
        left join lateral (
            select r.scheduled_at, r.outcome from pgsolo.cron_run r where r.job = j.job order by r.scheduled_at desc limit 1
        ) t on true
        left join lateral (
            select r.finished_at from pgsolo.cron_run r where r.job = j.job and r.outcome = 'ok' order by r.scheduled_at desc limit 1
        ) s on true
        left join lateral (
            select count(*) filter (where r.outcome = 'running') as running, count(*) filter (where r.outcome <> 'running') as waiting
            from pgsolo.cron_run r where r.job = j.job and r.outcome in ('queued', 'running', 'retrying')
        ) o on true;

-- nextval(text) may have been bound to somebody else's function, for good, when the log was made. Migrate makes it anew where that
-- is so again.
alter table pgsolo.event alter column id set default case when pg_current_xact_id() is not null then nextval('pgsolo.event_id_seq'::regclass) end;
