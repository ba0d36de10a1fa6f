-- A loop that forced runs had the leader start as many programs as it pleased. What stands in cron_run already counts, as far as this
-- transaction sees it; the leader counts too. Runs that wait for their turn had no bound either. Otherwise it is as before.
create or replace function pgsolo.trigger_job(of_job text, force boolean default false)
returns timestamptz language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    at timestamptz := clock_timestamp();
    of_this bigint;
    of_all bigint;
begin
    perform pgsolo.check_job(of_job);
    if force is null then
        raise exception 'force is null: want true or false' using errcode = 'null_value_not_allowed';
    end if;
    select count(*) filter (where r.job = of_job and (r.forced or not force)), count(*) filter (where r.forced) into of_this, of_all
        from pgsolo.cron_run r where r.outcome in ('queued', 'running', 'retrying') and r.cause = 'manual';
    if force and (of_this >= 10 or of_all >= 100) then
        raise exception 'cron job %: % forced runs of it and % of all jobs wait or run', of_job, of_this, of_all
            using errcode = 'configuration_limit_exceeded', hint = 'There may be 10 and 100: wait until some have ended.';
    elsif of_this >= 1000 then
        raise exception 'cron job %: % manual runs of it wait or run', of_job, of_this
            using errcode = 'configuration_limit_exceeded', hint = 'There may be 1000: wait until some have ended.';
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
