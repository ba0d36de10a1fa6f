-- Cron jobs of one leader are written together: its term stands in one row, which each of its transactions locks, so that it comes
-- before or after a newer leader's claim, and after one writes nothing.
create table pgsolo.cron_leader (
    "group" text primary key,
    term    bigint not null
);

-- last_at: ticks are missed only after it. It is the time at which the job, its present schedule, or the job's being enabled or
-- resumed was first seen. The latest tick is in cron_run. schedule is the normal form of what the configuration says. forgotten_at:
-- when a leader of the group was the first not to have this job; null: the latest one has it. pruned_to: the latest tick whose row
-- has left the history. term stays for leaders of the version before.
alter table pgsolo.cron_job
    add column "group"      text not null default 'main',
    add column enabled      boolean not null default true,
    add column paused_at    timestamptz,
    add column forgotten_at timestamptz,
    add column pruned_to    timestamptz;

create index cron_job_paused on pgsolo.cron_job (job) where paused_at is not null;
create index cron_job_forgotten on pgsolo.cron_job (job) where forgotten_at is not null;

-- One row per tick and manual run. attempt, term, holder and the times are those of the latest attempt. A row is open while its
-- outcome is one of the first three:
--   queued       waits for its turn, or for the leader to see that somebody triggered it
--   running      was begun; if no leader of this term is left, it was cut off
--   retrying     an attempt failed or was cut off, and the next one is due at next_at
--   ok, failed, interrupted, replaced
--   skipped      was not started because of another run, or waited too long for its turn; error says why
--   missed       was found too late to be started; of several, the latest
alter table pgsolo.cron_run
    alter column started_at drop not null,
    drop constraint cron_run_outcome_check,
    add constraint cron_run_outcome_check check (outcome in
        ('queued', 'running', 'retrying', 'ok', 'failed', 'interrupted', 'replaced', 'skipped', 'missed')),
    add column cause       text not null default 'schedule' check (cause in ('schedule', 'catch_up', 'manual')),
    add column forced      boolean not null default false,
    add column holder      text not null default '',
    add column next_at     timestamptz,
    add column exit_code   integer,
    add column http_status integer,
    add column output      text;

drop index pgsolo.cron_run_running;
create index cron_run_open on pgsolo.cron_run (job, scheduled_at) where outcome in ('queued', 'running', 'retrying');
create index cron_run_triggered on pgsolo.cron_run (job, scheduled_at) where outcome = 'queued' and cause = 'manual';

-- One row per job. "group" is its election. last_run_at and last_outcome are of the latest row of cron_run, which may be one that waits
-- or was not started.
create view pgsolo.job as
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

-- pause_job keeps a job from starting by itself until it is resumed. What runs, goes on. A second call changes nothing.
create function pgsolo.pause_job(of_job text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pgsolo.check_job(of_job);
    update pgsolo.cron_job set paused_at = clock_timestamp() where job = of_job and paused_at is null;
    perform pgsolo.tell_cron();
end
$$;

-- resume_job ends a pause. Ticks that came due during it are not made up for.
create function pgsolo.resume_job(of_job text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pgsolo.check_job(of_job);
    update pgsolo.cron_job set paused_at = null, last_at = greatest(last_at, date_trunc('second', clock_timestamp()))
        where job = of_job and paused_at is not null;
    perform pgsolo.tell_cron();
end
$$;

-- trigger_job has a job run now, beside its schedule, also while it is paused or not enabled. It returns the scheduled_at of the run.
-- If the job has a run already, its overlap policy holds, unless force is true.
create function pgsolo.trigger_job(of_job text, force boolean default false)
returns timestamptz language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    at timestamptz := clock_timestamp();
begin
    perform pgsolo.check_job(of_job);
    if force is null then
        raise exception 'force is null: want true or false' using errcode = 'null_value_not_allowed';
    end if;
    loop
        if at <> date_trunc('second', at) then -- which are for the ticks of schedules
            insert into pgsolo.cron_run (job, scheduled_at, term, attempt, started_at, outcome, cause, forced)
                values (of_job, at, 0, 0, null, 'queued', 'manual', force)
                on conflict (job, scheduled_at) do nothing;
            exit when found;
        end if;
        at := at + interval '1 microsecond';
    end loop;
    perform pgsolo.tell_cron();
    return at;
end
$$;

create function pgsolo.check_job(of_job text) returns void language plpgsql as $$
begin
    if not exists (select from pgsolo.cron_job where job = of_job and forgotten_at is null) then
        raise exception 'there is no cron job %', coalesce(quote_literal(of_job), 'null') using errcode = 'undefined_object',
            hint = coalesce('Cron jobs: ' || (select string_agg(job, ', ' order by job)
                from (select job from pgsolo.cron_job where forgotten_at is null order by job limit 20) known) || '.',
                'No leader has made one known yet.');
    end if;
end
$$;

-- Silent where the trigger on the event log would be: in a transaction to be prepared. The leader looks by itself, too.
create function pgsolo.tell_cron() returns void language plpgsql as $$
begin
    if coalesce(current_setting('pgsolo.ring', true), '') <> 'off' then
        perform pg_notify('pgsolo.cron', '');
    end if;
end
$$;

revoke execute on function pgsolo.pause_job from public;
revoke execute on function pgsolo.resume_job from public;
revoke execute on function pgsolo.trigger_job from public;
revoke execute on function pgsolo.check_job from public;
revoke execute on function pgsolo.tell_cron from public;
