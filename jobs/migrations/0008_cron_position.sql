-- What is decided on of each cron job, whatever becomes of its rows in the history: ticks up to decided_to are. No function for
-- operators has a lock on it. Leaders of the version before do not write it: the later one of this and of the history counts.
create table pgsolo.cron_position (
    job        text primary key,
    decided_to timestamptz not null
);

-- The latest decisions, which the leader folds into cron_position every few seconds. The transaction that makes the rows of ticks
-- adds one row here for all of them, since many jobs may have a tick at once.
create table pgsolo.cron_decision (
    "group" text not null,
    jobs    text[] not null,
    ats     timestamptz[] not null -- of jobs, one for each
);
alter table pgsolo.cron_decision replica identity full; -- a publication for all tables lets no rows be deleted without

-- What a clock has written that was far ahead is left to the history.
insert into pgsolo.cron_position (job, decided_to)
    select j.job, greatest(j.last_at, (
        select max(r.scheduled_at) from pgsolo.cron_run r
        where r.job = j.job and r.cause <> 'manual' and r.scheduled_at <= now() + interval '10 minutes'))
    from pgsolo.cron_job j;

-- Roles that may use the jobs go on without another grant.
do $$
declare
    granted record;
begin
    for granted in
        select a.grantee, a.privilege_type
        from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'pgsolo.cron_job'::regclass and a.grantee <> c.relowner
            and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    loop
        execute pg_catalog.format('grant %s on pgsolo.cron_position, pgsolo.cron_decision to %s', granted.privilege_type,
            case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
        if granted.privilege_type = 'UPDATE' then -- a leader deletes what it has folded
            execute pg_catalog.format('grant delete on pgsolo.cron_decision to %s',
                case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
        end if;
    end loop;
end
$$;
