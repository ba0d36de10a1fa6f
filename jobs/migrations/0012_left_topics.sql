-- What a handler has taken out of the log of a topic that it has left (retries, dated events, those that wait for their turn, dead
-- letters) waits until it is back there. The queries of this version name the topic, by indexes that have it. The version before works
-- off all that has the handler's name, as ever. What it reads by date goes on by delivery_due, and by key by delivery_topic_key, which
-- has the rows of a key together, too.
create index delivery_topic_due on pgsolo.delivery (handler, topic, next_at) where state in ('scheduled', 'retry');
create index delivery_topic_key on pgsolo.delivery (handler, key, topic, event_id);
create index delivery_topic_waiting on pgsolo.delivery (handler, topic, key) where state = 'waiting';

-- Without figures the version before, whose indexes go, may be told to sort. Nobody may read the table once they have gone.
analyze pgsolo.delivery;
drop index pgsolo.delivery_key, pgsolo.delivery_waiting;

-- forget_position deletes the position of a handler in a topic that it has left, with its retries and dead letters of that topic: if it
-- comes back there, it is new there. The lock has a claim that leaves or takes the topic come before or after.
create or replace function pgsolo.forget_position(of_handler text, of_topic text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c         record;
    found_any boolean;
begin
    select "group", topic, configured into c from pgsolo.cursor where handler = of_handler for update;
    if c.topic = of_topic and c.configured and pgsolo.is_declared('handler', c."group", of_handler) then
        perform pgsolo.refuse_declared('handler', of_handler, c."group");
    end if;
    delete from pgsolo.cursor_topic where handler = of_handler and topic = of_topic;
    found_any := found;
    if c.topic <> of_topic then
        delete from pgsolo.delivery where handler = of_handler and topic = of_topic;
        found_any := found_any or found;
    end if;
    if not found_any then
        raise exception 'handler % has left no topic %', coalesce(quote_literal(of_handler), 'null'),
            coalesce(quote_literal(of_topic), 'null') using errcode = 'undefined_object';
    end if;
end
$$;

-- forget_election forgets every handler, topic and job of an election that is led no more, and the positions in topics that its handlers
-- left before another election got them. Its row in pgsolo.leader stays.
create or replace function pgsolo.forget_election(election text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    of_group alias for election;
    name     text;
    found_any boolean := false;
begin
    perform from pgsolo.jobs_group g where g."group" = of_group for update; -- a leader that enters waits, and declares anew
    found_any := found;
    if pgsolo.may_be_led(of_group) then
        raise exception 'election "%" has a leader', of_group using errcode = 'object_in_use',
            hint = 'Stop its replicas first.' || pgsolo.hint_before(of_group);
    end if;
    for name in select handler from pgsolo.cursor c where c."group" = of_group order by handler loop
        perform pgsolo.forget_handler(name);
        found_any := true;
    end loop;
    -- The lock has a claim that takes such a topic come before or after.
    perform from pgsolo.cursor c where exists (select from pgsolo.cursor_topic k where k.handler = c.handler and k."group" = of_group)
        order by handler for update;
    delete from pgsolo.delivery d using pgsolo.cursor_topic k join pgsolo.cursor c on c.handler = k.handler and c.topic <> k.topic
        where k."group" = of_group and d.handler = k.handler and d.topic = k.topic;
    delete from pgsolo.cursor_topic k where k."group" = of_group;
    for name in select job from pgsolo.cron_job j where j."group" = of_group order by job loop
        perform pgsolo.forget_job(name);
        found_any := true;
    end loop;
    lock table pgsolo.doorbell in share row exclusive mode; -- before the topics, as a leader does that makes its own known
    lock table pgsolo.topic in share row exclusive mode;
    delete from pgsolo.topic t where t."group" = of_group;
    if found then
        found_any := true;
        perform pgsolo.refresh_topics();
    end if;
    delete from pgsolo.undeclared u where u."group" = of_group;
    delete from pgsolo.configuration c where c."group" = of_group;
    perform pgsolo.disarm(of_group);
    if not found_any then
        raise exception 'there is no election %', coalesce(quote_literal(of_group), 'null') using errcode = 'undefined_object';
    end if;
end
$$;

-- scheduled, waiting and retrying are those of the handler's topic. left_behind are those of topics that it has left; of dead letters
-- all count.
create or replace view pgsolo.handler as
    select c.handler, c."group", c.topic, c.configured and c.seen_at > now() - interval '7 days' and u.since is null as configured,
        c.term, c.seen_at,
        (select greatest(0, (select case when s.is_called then s.last_value else 0 end from pgsolo.event_id_seq s)
                - coalesce(sum(upper(r) - lower(r)), 0))::bigint from unnest(c.done) r) as unfinished,
        d.scheduled, d.waiting, d.retrying, d.dead, u.since as undeclared_since, d.left_behind
    from pgsolo.cursor c
        left join pgsolo.undeclared u on u.kind = 'handler' and u."group" = c."group" and u.name = c.handler
        cross join lateral (
            select count(*) filter (where d.state = 'scheduled' and d.topic = c.topic) as scheduled,
                count(*) filter (where d.state = 'waiting' and d.topic = c.topic) as waiting,
                count(*) filter (where d.state = 'retry' and d.topic = c.topic) as retrying,
                count(*) filter (where d.state = 'dead') as dead,
                count(*) filter (where d.state <> 'dead' and d.topic <> c.topic) as left_behind
            from pgsolo.delivery d where d.handler = c.handler
        ) d;

-- What no leader declares and is held back for it all the same, with the rows of the log and their bytes, and with the verb that lets
-- it go. position is that of a handler in a topic that it has left. A topic that a leader of another group declares is held back for
-- that one. Of an election that nobody has led for an hour everything counts. Of each name at most 100,000 rows of the log are read:
-- or_more says that there are others, which may be held back, too. deliveries are those of a position, likewise.
create or replace view pgsolo.held_back with (security_barrier) as
    select kind, "group", name, topic, min(since) as since, sum(rows)::bigint as rows, sum(bytes)::bigint as bytes,
        case kind when 'position' then format('select pgsolo.forget_position(%L, %L)', name, topic)
            else format('select pgsolo.forget_%s(%L)', kind, name) end as remedy,
        bool_or(or_more) as or_more, sum(deliveries)::bigint as deliveries
    from (
    with seen as (
        select "group", max(seen_at) as seen_at from (
            select "group", seen_at from pgsolo.jobs_group
            union all
            select "group", seen_at from pgsolo.cursor
            union all
            select "group", armed_at from pgsolo.doorbell) s
        group by "group"
    ), abandoned as materialized (
        select "group", seen_at from seen where seen_at < now() - interval '1 hour' and not pgsolo.may_be_led("group")
    ), unfinished as (
        select 'handler' as kind, c."group", c.handler as name, u.since, c.topic, c.done
        from pgsolo.cursor c join pgsolo.undeclared u on u.kind = 'handler' and u."group" = c."group" and u.name = c.handler
        where c.configured and not u.retired
        union all
        select 'position', k."group", k.handler, k.left_at, k.topic, k.done
        from pgsolo.cursor_topic k join pgsolo.cursor c on c.handler = k.handler and c.topic <> k.topic
        where not k.retired
        union all
        select 'election', c."group", c."group", g.seen_at, c.topic, c.done
        from pgsolo.cursor c join abandoned g on g."group" = c."group"
        where c.configured
            and not exists (select from pgsolo.undeclared u
                where u.kind = 'handler' and u."group" = c."group" and u.name = c.handler)
    )
    select f.kind, f."group", f.name, f.topic, f.since, held.rows, held.bytes, held.or_more, coalesce(waiting.n, 0) as deliveries
    from unfinished f cross join lateral (
        select count(*) filter (where e.is_held) as rows, coalesce(sum(e.bytes) filter (where e.is_held), 0)::bigint as bytes,
            count(*) = 100000 as or_more
        from (
            select e.topic = f.topic and not f.done @> e.id as is_held, 100 + coalesce(pg_column_size(e.key), 0)
                + pg_column_size(e.headers) + pg_column_size(e.payload) as bytes
            from pgsolo.event e where e.id >= lower('{[1,)}'::int8multirange - f.done) order by e.id limit 100000
        ) e
    ) held left join lateral (
        select count(*) as n from (
            select from pgsolo.delivery d where d.handler = f.name and d.topic = f.topic limit 100000
        ) d
    ) waiting on f.kind = 'position'
    union all
    select u.kind, u."group", u.name, case when u.kind = 'topic' then u.name end, u.since, 0, 0, false, 0
    from pgsolo.undeclared u where u.kind in ('topic', 'job') and not u.retired
        and not exists (select from pgsolo.topic t where u.kind = 'topic' and t.topic = u.name and t."group" <> u."group"
            and pgsolo.is_declared('topic', t."group", t.topic))
    union all
    select 'election', t."group", t."group", t.topic, g.seen_at, 0, 0, false, 0
    from pgsolo.topic t join abandoned g on g."group" = t."group"
    ) held
    group by kind, "group", name, topic;
