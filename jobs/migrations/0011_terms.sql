-- highest_term is the highest term that stands in the schema: with a lower one a leader is fenced off by rows that earlier leaders have
-- written. What is fenced with a term counts, and of the history of cron jobs the rows that are open, and the latest of each job: an
-- older one has no higher term. A function, since no role that leads need be granted all of these tables.
create function pgsolo.highest_term() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select greatest(0,
        (select max(term) from pgsolo.cursor), (select max(term) from pgsolo.doorbell),
        (select max(term) from pgsolo.jobs_group), (select max(term) from pgsolo.configuration),
        (select max(term) from pgsolo.handler_term),
        (select max(term) from pgsolo.cron_leader), (select max(term) from pgsolo.cron_job),
        (select max(term) from pgsolo.cron_run where outcome in ('queued', 'running', 'retrying')),
        (select max(r.term) from pgsolo.cron_job j cross join lateral (
            select term from pgsolo.cron_run where job = j.job order by scheduled_at desc limit 10) r))
$$;

grant execute on function pgsolo.highest_term to public; -- it tells nothing else
