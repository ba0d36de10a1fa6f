-- The event log: append-only. An id is given out only after its transaction has its number (the case below keeps that
-- order), so that whoever sees an id knows that every transaction which could hold a lower one has a number already. The
-- reader's rule for late commits rests on that: do not insert ids of your own, and leave the sequence's cache at 1.
create sequence pgsolo.event_id_seq as bigint cache 1;

create table pgsolo.event (
    id         bigint primary key default case when pg_current_xact_id() is not null then nextval('pgsolo.event_id_seq') end,
    topic      text not null check (topic <> ''),
    key        text,
    payload    jsonb not null default 'null',
    headers    jsonb not null default '{}' check (jsonb_typeof(headers) = 'object'),
    created_at timestamptz not null default now() check (isfinite(created_at))
);

alter sequence pgsolo.event_id_seq owned by pgsolo.event.id;

-- One row per handler. done holds exactly the ids that need no more work; term is that of the leader that may write it.
create table pgsolo.cursor (
    handler text primary key,
    done    int8multirange not null default '{}',
    term    bigint not null default 0
);

-- Only events that failed: waiting for a retry, or dead. The event is copied, so that the log may let go of it.
create table pgsolo.delivery (
    handler    text not null,
    event_id   bigint not null,
    topic      text not null,
    key        text,
    payload    jsonb not null,
    headers    jsonb not null,
    created_at timestamptz not null,
    attempt    integer not null,          -- attempts made so far
    state      text not null check (state in ('retry', 'dead')),
    next_at    timestamptz,               -- when the next attempt is due; null once dead
    error      text not null,             -- of the latest attempt
    failed_at  timestamptz not null default now(),
    primary key (handler, event_id)
);

create index delivery_due on pgsolo.delivery (handler, next_at) where state = 'retry';

-- The doorbell: a row for each group of handlers, that is for each election, tells producers whether its leader sleeps and wants
-- to be rung. A producer that finds all of them awake sends no NOTIFY, which would make its commit wait for an instance-wide
-- lock. armed_at tells the row of a group that is no more.
create table pgsolo.doorbell (
    "group"  text primary key,
    armed    boolean not null,
    armed_at timestamptz not null default now(),
    term     bigint not null -- of the leader that may write it
);

-- A transaction that is to be prepared for two-phase commit must not ring: set pgsolo.ring = off in it. The leader finds its
-- events with the next poll.
create function pgsolo.ring() returns trigger language plpgsql security definer as $$
begin
    if coalesce(pg_catalog.current_setting('pgsolo.ring', true), '') <> 'off'
        and exists (select from pgsolo.doorbell where armed) then
        perform pg_catalog.pg_notify('pgsolo.event', '');
    end if;
    return null;
end
$$;

create trigger ring after insert on pgsolo.event for each statement execute function pgsolo.ring();
