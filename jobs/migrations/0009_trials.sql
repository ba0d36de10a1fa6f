-- What the latest leader of each group has begun with, for each of its handlers, so that its successor sees whether it ended without a
-- word, and whether anything has moved since. A leader writes it once when it begins and once when it ends, and more only while events
-- are tried one by one: see package eventlog, 'An event that ends its leader'. Of a handler that is held back a leader has a row, too.
create table pgsolo.handler_term (
    handler     text not null,
    "group"     text not null,
    term        bigint not null,
    server      text not null,                  -- which start of the server it was
    began_at    timestamptz not null,
    ended       boolean not null default false, -- its process was alive when it had to stop
    lasted      interval,                       -- the term before, with what followed it
    cut         integer not null default 0,     -- leaders that ended without a word, and that are not judged yet
    cut_term    bigint,                         -- the term before
    head        bigint not null,                -- the lowest id that was not done when that was judged
    stuck       integer not null default 0,     -- leaders in a row that ended without a word while nothing moved
    stuck_since timestamptz not null,
    alone       bigint,                         -- the event that is tried alone
    primary key (handler, "group")
);

-- How many leaders have ended without a word while an event was tried alone, of whatever group.
create table pgsolo.handler_cut_off (
    handler  text not null,
    event_id bigint not null,
    ends     integer not null,
    beside   integer not null default 0, -- of those, the ones in which a cron job was under way, too
    primary key (handler, event_id)
);

-- was_in_job says whether a cron job of the group was under way when the leader of a term ended. The next one may have begun to go on
-- with it. What is open counts, and the latest of each job, so that a long history costs nothing. A function, since a role that runs
-- handlers need not be granted the jobs.
create function pgsolo.was_in_job(of_group text, ended_term bigint, next_term bigint) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from pgsolo.cron_job j cross join lateral (
            (select term, outcome, attempt from pgsolo.cron_run
                where job = j.job and outcome in ('queued', 'running', 'retrying'))
            union all
            (select term, outcome, attempt from pgsolo.cron_run where job = j.job order by scheduled_at desc limit 10)) r
        where j."group" = of_group and (r.term = ended_term and r.outcome in ('running', 'interrupted', 'retrying')
            or r.term = next_term and r.attempt > 1))
$$;

grant execute on function pgsolo.was_in_job to public; -- it tells nothing else

-- Roles that may run handlers go on without another grant.
do $$
declare
    granted record;
begin
    for granted in
        select a.grantee, a.privilege_type
        from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'pgsolo.delivery'::regclass and a.grantee <> c.relowner
            and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    loop
        execute pg_catalog.format('grant %s on pgsolo.handler_term, pgsolo.handler_cut_off to %s', granted.privilege_type,
            case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
    end loop;
end
$$;
