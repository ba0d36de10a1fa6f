-- What a reader adds to a query of its own is called with rows that the view shows, and no others.
create or replace view pgsolo.leadership with (security_barrier) as
select election, term, timeline, holder, nullif(address, '') as address, since, until,
    coalesce(until, clock_timestamp()) - since as lasted,
    case ended
        when 'resigned'      then 'resigned: a planned stop'
        when 'stepped down'  then 'stepped down: it was asked to'
        when 'session lost'  then 'session lost: its process or its connection ended'
        when 'lease expired' then 'lease expired: it had been silent for the whole lease'
        when 'fenced'        then 'fenced: its successor ended the sessions that it left'
        else 'has not ended, as far as is known'
    end as ended
from pgsolo.leader_term
order by election, timeline desc, term desc;

-- What it names is qualified; so no search_path is missing, and whoever looks for functions without one finds campaign alone, which
-- sets lock_timeout for the transaction.
alter function pgsolo.step_down(text) set search_path = pg_catalog, pg_temp;
