-- Whoever may emit could keep others from emitting with a dedup key for as long as there are dates. Keys that were held for longer are
-- held as long as one that is emitted now. emit is otherwise as before.
create or replace function pgsolo.emit(topic text, payload jsonb default 'null', key text default null, headers jsonb default '{}',
    deliver_at timestamptz default null, dedup_key text default null, dedup_window interval default '1 day')
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    new_id bigint;
begin
    if dedup_key is not null then
        if dedup_window is null or dedup_window < interval '0' then
            raise exception 'event log: dedup_window is %', coalesce(dedup_window::text, 'null')
                using errcode = 'invalid_parameter_value', hint = 'Leave it out for one day.';
        end if;
        if dedup_window > interval '30 days' then
            raise exception 'event log: dedup_window is %, more than 30 days', dedup_window
                using errcode = 'invalid_parameter_value', hint = 'For longer, have a table of your own with a unique key.';
        end if;
        insert into pgsolo.dedup as d (topic, dedup_key, expires_at)
            values (emit.topic, emit.dedup_key, clock_timestamp() + emit.dedup_window)
            on conflict on constraint dedup_pkey do update set expires_at = excluded.expires_at
            where d.expires_at <= clock_timestamp();
        if not found then
            return null;
        end if;
    end if;
    insert into pgsolo.event as e (topic, payload, key, headers, deliver_at)
        values (emit.topic, coalesce(emit.payload, 'null'), emit.key, coalesce(emit.headers, '{}'), emit.deliver_at)
        returning e.id into new_id;
    return new_id;
end
$$;

update pgsolo.dedup set expires_at = clock_timestamp() + interval '30 days' where expires_at > clock_timestamp() + interval '30 days';

-- The topic is part of keys of tables, and no part of what max_payload measures. Not valid: rows that are there already stay.
alter table pgsolo.event add constraint event_topic_length check (octet_length(topic) <= 1000) not valid;
