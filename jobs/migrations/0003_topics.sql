-- What the producers see of the log: topics, pgsolo.emit, delayed and deduplicated events, and a doorbell that costs them next to
-- nothing.

-- An event with deliver_at is handed to no handler before that instant.
alter table pgsolo.event add column deliver_at timestamptz check (isfinite(deliver_at));

-- A key goes into an index once its event fails. Not valid: rows that are there already stay.
alter table pgsolo.event add constraint event_key_length check (octet_length(key) <= 1000) not valid;

-- Rows leave the log in the order in which they came, as many as come; the space is used again only after a vacuum.
alter table pgsolo.event
    set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table pgsolo.cursor set (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The doorbell is read by each insert, without a function call and without a snapshot: the value of a sequence is the same for
-- everybody at once. 2: some group's leader sleeps and wants to be rung; 1: none does. pgsolo.arm keeps it in line with the table.
create sequence pgsolo.doorbell_armed minvalue 1;
select setval('pgsolo.doorbell_armed', case when exists (select from pgsolo.doorbell where armed) then 2 else 1 end);

-- Whoever may insert events need not be granted this as well: it tells nothing but whether a leader sleeps.
grant select on sequence pgsolo.doorbell_armed to public;

drop trigger ring on pgsolo.event;

create or replace function pgsolo.ring() returns trigger language plpgsql as $$
begin
    if coalesce(pg_catalog.current_setting('pgsolo.ring', true), '') operator(pg_catalog.<>) 'off' then
        perform pg_catalog.pg_notify('pgsolo.event', '');
    end if;
    return null;
end
$$;

create trigger ring after insert on pgsolo.event for each statement
    when (pg_catalog.pg_sequence_last_value('pgsolo.doorbell_armed'::regclass) > 1) execute function pgsolo.ring();

-- arm tells the producers whether a group's leader wants to be rung, and returns false where a newer leader has done so. One at a
-- time, so that the sequence says what the table says. The row of a group that is no more would keep producers ringing for ever:
-- whoever disarms clears one that nobody has renewed for ten minutes.
create function pgsolo.arm(of_group text, arm boolean, of_term bigint) returns boolean language plpgsql as $$
declare
    fenced boolean;
begin
    lock table pgsolo.doorbell in share row exclusive mode;
    insert into pgsolo.doorbell as d ("group", armed, term) values (of_group, arm, of_term)
        on conflict ("group") do update set armed = excluded.armed, armed_at = now(), term = excluded.term
        where d.term <= excluded.term;
    fenced := not found;
    if not arm then
        update pgsolo.doorbell set armed = false
            where "group" <> of_group and armed and armed_at < now() - interval '10 minutes';
    end if;
    perform setval('pgsolo.doorbell_armed', case when exists (select from pgsolo.doorbell where armed) then 2 else 1 end);
    return not fenced;
end
$$;

-- The topics that each group's configuration names; '*' stands for any.
create table pgsolo.topic (
    "group" text not null,
    topic   text not null check (topic <> ''),
    primary key ("group", topic)
);

-- The same as a constant: the condition of a trigger costs an insert next to nothing, a look at the table would cost a tenth of it.
-- Null: every topic is accepted. pgsolo.know replaces it.
create function pgsolo.known_topics() returns text[] language plpgsql immutable parallel safe as $$ begin return null; end $$;

-- The condition below calls it as whoever inserts, also where the defaults grant nothing to everybody.
grant execute on function pgsolo.known_topics() to public;

create function pgsolo.refuse_topic() returns trigger language plpgsql as $$
begin
    raise exception 'event log: topic "%" is not known', new.topic
        using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, column = 'topic',
            constraint = 'event_topic_known', -- by which a program tells this refusal from others
            detail = 'The known topics are ' || array_to_string(pgsolo.known_topics(), ', ') || '.',
            hint = 'Correct the name, or add the topic to the configuration of pgsolo and start it.';
end
$$;

create trigger refuse_topic after insert on pgsolo.event for each row
    when (new.topic <> all (pgsolo.known_topics())) execute function pgsolo.refuse_topic();

-- know replaces the topics of a group; null stands for any. It returns true where that changed which topics are accepted: all that
-- some group names, and any while no group names one. Security definer, since only the owner may replace a function.
create function pgsolo.know(of_group text, topics text[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    known text[];
begin
    lock table pgsolo.topic in share row exclusive mode;
    delete from pgsolo.topic t where t."group" = of_group and t.topic <> all (coalesce(topics, '{*}'));
    insert into pgsolo.topic ("group", topic) select of_group, unnest(coalesce(topics, '{*}')) on conflict do nothing;
    select array_agg(distinct t.topic order by t.topic) into known from pgsolo.topic t;
    if '*' = any (known) then
        known := null;
    end if;
    if known is not distinct from pgsolo.known_topics() then
        return false;
    end if;
    execute format('create or replace function pgsolo.known_topics() returns text[] language plpgsql immutable parallel safe as %L',
        format('begin return %L::pg_catalog.text[]; end', known));
    return true;
end
$$;

-- The keys of events that must not come twice, until expires_at.
create table pgsolo.dedup (
    topic      text not null,
    dedup_key  text not null check (octet_length(dedup_key) <= 1000),
    expires_at timestamptz not null,
    primary key (topic, dedup_key)
);

create index dedup_expires on pgsolo.dedup (expires_at);

-- emit appends one event and returns its id, or null where one of that topic with the same dedup_key was emitted before and the
-- dedup_window given then has not passed. It waits for the end of another transaction that emits the same key; under REPEATABLE
-- READ and SERIALIZABLE it may then fail to serialize. Whoever may execute it needs no other privilege but usage of the schema.
create function pgsolo.emit(topic text, payload jsonb default 'null', key text default null, headers jsonb default '{}',
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

revoke execute on function pgsolo.emit from public;
revoke execute on function pgsolo.arm from public;
revoke execute on function pgsolo.know from public;
