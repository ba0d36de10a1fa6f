-- What each handler does with the log: cursors that tell who reads them, deliveries that wait for a date or for their turn, and
-- dead letters that can be shown, replayed and discarded.

-- configured: the latest leader of the group has this handler. seen_at: when it last said so. A cursor that is not configured, or
-- was not seen for a week, holds back no row of the log.
alter table pgsolo.cursor
    add column "group"    text not null default 'main',
    add column topic      text not null default '',
    add column configured boolean not null default true,
    add column seen_at    timestamptz not null default now();

-- scheduled: not to be attempted before next_at, never attempted yet. waiting: an earlier event of its key has to be done first.
alter table pgsolo.delivery
    drop constraint delivery_state_check,
    add constraint delivery_state_check check (state in ('scheduled', 'waiting', 'retry', 'dead'));

drop index pgsolo.delivery_due;
create index delivery_due on pgsolo.delivery (handler, next_at) where state in ('scheduled', 'retry');
create index delivery_key on pgsolo.delivery (handler, key, event_id);
create index delivery_waiting on pgsolo.delivery (handler, key) where state = 'waiting';
create index delivery_dead on pgsolo.delivery (handler, event_id) where state = 'dead';

-- One row per handler. unfinished counts ids that it is not done with, those of other topics and of transactions that still run
-- included. The sequence is read as a table, so that whoever may read the view needs no privilege on it.
create view pgsolo.handler as
    select c.handler, c."group", c.topic, c.configured and c.seen_at > now() - interval '7 days' as configured, c.term, c.seen_at,
        (select greatest(0, (select case when s.is_called then s.last_value else 0 end from pgsolo.event_id_seq s)
                - coalesce(sum(upper(r) - lower(r)), 0))::bigint from unnest(c.done) r) as unfinished,
        d.scheduled, d.waiting, d.retrying, d.dead
    from pgsolo.cursor c cross join lateral (
        select count(*) filter (where d.state = 'scheduled') as scheduled, count(*) filter (where d.state = 'waiting') as waiting,
            count(*) filter (where d.state = 'retry') as retrying, count(*) filter (where d.state = 'dead') as dead
        from pgsolo.delivery d where d.handler = c.handler
    ) d;

create view pgsolo.dead_letter as
    select handler, event_id, topic, key, payload, headers, created_at, attempt as attempts, error, failed_at
    from pgsolo.delivery where state = 'dead';

-- replay gives dead letters all their attempts again, at once, and returns how many they are: those that all the given conditions
-- select. To leave out every condition is refused unless everything is true, so that no forgotten argument means all of them.
create function pgsolo.replay(of_handler text default null, of_event bigint default null, failed_before timestamptz default null,
    error_like text default null, everything boolean default false)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    due      timestamptz := clock_timestamp(); -- the same for all, so that their ids say which is first
    replayed bigint;
begin
    perform pgsolo.check_filter(num_nonnulls(of_handler, of_event, failed_before, error_like), everything);
    update pgsolo.delivery d set state = 'retry', attempt = 0, next_at = due
        where d.state = 'dead' and (of_handler is null or d.handler = of_handler) and (of_event is null or d.event_id = of_event)
            and (failed_before is null or d.failed_at < failed_before) and (error_like is null or d.error like error_like);
    get diagnostics replayed = row_count;
    perform pgsolo.ring_for_retry(replayed);
    return replayed;
end
$$;

-- discard deletes dead letters, selected as for replay, and returns how many they were.
create function pgsolo.discard(of_handler text default null, of_event bigint default null, failed_before timestamptz default null,
    error_like text default null, everything boolean default false)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    discarded bigint;
begin
    perform pgsolo.check_filter(num_nonnulls(of_handler, of_event, failed_before, error_like), everything);
    delete from pgsolo.delivery d
        where d.state = 'dead' and (of_handler is null or d.handler = of_handler) and (of_event is null or d.event_id = of_event)
            and (failed_before is null or d.failed_at < failed_before) and (error_like is null or d.error like error_like);
    get diagnostics discarded = row_count;
    perform pgsolo.ring_for_retry(discarded);
    return discarded;
end
$$;

create function pgsolo.check_filter(conditions integer, everything boolean) returns void language plpgsql as $$
begin
    if (conditions > 0) = coalesce(everything, false) then
        raise exception 'dead letters: want conditions, or everything => true, and not both'
            using errcode = 'invalid_parameter_value';
    end if;
end
$$;

-- The leader looks at the deliveries at once. Silent where the trigger on the log would be: in a transaction to be prepared.
create function pgsolo.ring_for_retry(changed bigint) returns void language plpgsql as $$
begin
    if changed > 0 and coalesce(current_setting('pgsolo.ring', true), '') <> 'off' then
        perform pg_notify('pgsolo.event', 'retry');
    end if;
end
$$;

revoke execute on function pgsolo.replay from public;
revoke execute on function pgsolo.discard from public;
revoke execute on function pgsolo.check_filter from public;
revoke execute on function pgsolo.ring_for_retry from public;
