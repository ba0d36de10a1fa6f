-- One row per election. The lock is the advisory lock (oid of this table, lock_id): both halves are given out by PostgreSQL, so
-- that two elections, in two schemas even, never share one, and pg_locks shows classid::regclass as this table.
create table pgsolo.leader (
    election  text primary key,
    lock_id   integer not null generated always as identity unique,
    timeline  integer not null default 0, -- of the write-ahead log: a promoted replica may issue a term again
    term      bigint not null default 0,
    holder    text,                       -- who leads, or led last
    address   text,                       -- where other replicas reach it
    since     timestamptz,
    clean     boolean not null default true, -- false from the start of a term until its leader has resigned
    step_down bigint                      -- the term whose leader has been asked to hand over
);

-- The history of an election. A term that has not ended is that of the present leader, or of one that is gone and has no
-- successor yet.
create table pgsolo.leader_term (
    election text not null references pgsolo.leader on delete cascade,
    timeline integer not null,
    term     bigint not null,
    holder   text not null,
    address  text not null,
    since    timestamptz not null,
    until    timestamptz, -- the leader's own word, or else when its successor noticed
    ended    text check (ended in ('resigned', 'stepped down', 'session lost', 'lease expired', 'fenced')),
    primary key (election, timeline, term)
);

create view pgsolo.leadership as
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

-- Waits in the lock's queue for at most wait_ms. The subtransaction that the exception clause makes keeps the time-out out of
-- the server's log, and takes no transaction id.
create function pgsolo.campaign(class_id integer, lock_id integer, wait_ms integer) returns boolean language plpgsql as $$
begin
    perform pg_catalog.set_config('lock_timeout', wait_ms::text, true);
    perform pg_catalog.pg_advisory_lock(class_id, lock_id);
    return true;
exception when lock_not_available then
    return false;
end
$$;

-- Asks the leader to hand over to another replica. It returns the term that is to end, or null where there is no such election.
-- A role needs no right but to execute it; to begin with only the owner may.
create function pgsolo.step_down(election text) returns bigint language sql security definer as $$
    update pgsolo.leader l set step_down = l.term where l.election operator(pg_catalog.=) step_down.election returning l.term;
$$;

revoke execute on function pgsolo.step_down from public;
