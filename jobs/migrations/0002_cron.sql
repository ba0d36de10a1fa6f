-- One row per cron job. last_at is the latest tick that was started or recorded as skipped, and before the first one, the time at
-- which the schedule was first seen: ticks are missed only after it. schedule is the one that last_at belongs to: after a change
-- nothing is made up for. term is that of the leader that may write the row.
create table pgsolo.cron_job (
    job      text primary key,
    schedule text not null,
    last_at  timestamptz not null,
    term     bigint not null default 0
);

-- One row per tick, inserted before the start: the key allows each tick one start, over any number of failovers.
create table pgsolo.cron_run (
    job          text not null,
    scheduled_at timestamptz not null,
    term         bigint not null,
    attempt      integer not null default 1,
    started_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz,
    outcome      text not null default 'running' check (outcome in ('running', 'ok', 'failed', 'skipped', 'interrupted')),
    error        text,
    primary key (job, scheduled_at)
);

create index cron_run_running on pgsolo.cron_run (job) where outcome = 'running';
