-- When the latest pause of a job has ended. Its jitter starts a tick later than the schedule says: one that is to start after the pause
-- still comes, under the leader that goes on and under a new one alike. last_at, which leaders of the version before read alone, says
-- the same of the time of the schedule.
alter table pgsolo.cron_job add column resumed_at timestamptz;

-- resume_job ends a pause. Ticks that came due during it are not made up for.
create or replace function pgsolo.resume_job(of_job text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    at timestamptz := date_trunc('second', clock_timestamp());
begin
    perform pgsolo.check_job(of_job);
    update pgsolo.cron_job set paused_at = null, last_at = greatest(last_at, at), resumed_at = at
        where job = of_job and paused_at is not null;
    perform pgsolo.tell_cron();
end
$$;
