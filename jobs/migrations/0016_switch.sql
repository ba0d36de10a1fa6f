-- The switch of a transaction that is to be prepared for two-phase commit has one name in every schema: the escape keeps it from being
-- placed. In another schema than that of its name it was called after the schema: that goes on working.
create or replace function pgsolo.ring() returns trigger language plpgsql as $$
begin
    if coalesce(pg_catalog.current_setting(E'pgsolo\x2ering', true), '') operator(pg_catalog.<>) 'off'
        and coalesce(pg_catalog.current_setting('pgsolo.ring', true), '') operator(pg_catalog.<>) 'off'
    then
        perform pg_catalog.pg_notify('pgsolo.event', '');
    end if;
    return null;
end
$$;

create or replace function pgsolo.ring_for_retry(changed bigint) returns void language plpgsql as $$
begin
    if changed operator(pg_catalog.>) 0
        and coalesce(pg_catalog.current_setting(E'pgsolo\x2ering', true), '') operator(pg_catalog.<>) 'off'
        and coalesce(pg_catalog.current_setting('pgsolo.ring', true), '') operator(pg_catalog.<>) 'off'
    then
        perform pg_catalog.pg_notify('pgsolo.event', 'retry');
    end if;
end
$$;

create or replace function pgsolo.tell_cron() returns void language plpgsql as $$
begin
    if coalesce(pg_catalog.current_setting(E'pgsolo\x2ering', true), '') operator(pg_catalog.<>) 'off'
        and coalesce(pg_catalog.current_setting('pgsolo.ring', true), '') operator(pg_catalog.<>) 'off'
    then
        perform pg_catalog.pg_notify('pgsolo.cron', '');
    end if;
end
$$;
