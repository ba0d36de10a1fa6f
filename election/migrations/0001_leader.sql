-- One row per election. The lock is the advisory lock (oid of this table, lock_id): both halves are given out by PostgreSQL, so
-- that two elections, in two schemas even, never share one, and pg_locks shows classid::regclass as this table.
create table pgsolo.leader (
    election text primary key,
    lock_id  integer not null generated always as identity unique,
    timeline integer not null default 0, -- of the write-ahead log: a promoted replica may issue a term again
    term     bigint not null default 0,
    holder   text,                       -- who leads, or led last
    address  text,                       -- where other replicas reach it
    since    timestamptz,
    clean    boolean not null default true -- false from the start of a term until its leader has resigned
);

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
