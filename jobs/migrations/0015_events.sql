-- unfinished is how many events of the handler's topic are in the log that it is not done with. Ids that were rolled back, that a crash
-- of the server has skipped, or that are another topic's, do not count. They do where there are more than 100,000 such events, or as many
-- gaps in what is done: then it is the number of ids. A cursor without a topic was last claimed by an older version: each event counts.
create or replace view pgsolo.handler as
    select c.handler, c."group", c.topic, c.configured and c.seen_at > now() - interval '7 days' and u.since is null as configured,
        c.term, c.seen_at,
        case when e.n <= 100000 then e.n else
            (select greatest(0, (select case when s.is_called then s.last_value else 0 end from pgsolo.event_id_seq s)
                - coalesce(sum(upper(r) - lower(r)), 0))::bigint from unnest(c.done) r) end as unfinished,
        d.scheduled, d.waiting, d.retrying, d.dead, u.since as undeclared_since, d.left_behind
    from pgsolo.cursor c
        left join pgsolo.undeclared u on u.kind = 'handler' and u."group" = c."group" and u.name = c.handler
        cross join lateral (
            select case when g.n <= 100000 then (
                select count(*) from (
                    select from unnest('{[1,)}'::int8multirange - c.done) r cross join lateral (
                        select from pgsolo.event e
                        where e.id >= lower(r) and e.id < coalesce(upper(r), 9223372036854775807) and c.topic in (e.topic, '')
                        limit 100001
                    ) e
                    limit 100001
                ) unfinished
            ) else 100001 end as n
            from (select count(*) as n from unnest(c.done)) g
        ) e
        cross join lateral (
            select count(*) filter (where d.state = 'scheduled' and d.topic = c.topic) as scheduled,
                count(*) filter (where d.state = 'waiting' and d.topic = c.topic) as waiting,
                count(*) filter (where d.state = 'retry' and d.topic = c.topic) as retrying,
                count(*) filter (where d.state = 'dead') as dead,
                count(*) filter (where d.state <> 'dead' and d.topic <> c.topic) as left_behind
            from pgsolo.delivery d where d.handler = c.handler
        ) d;

-- printed says so where the server refuses to look at a value, or to print it: of one that is nested in 12,000 levels jsonpath runs out of
-- stack, which takes more of that than to print it. Whoever reads deliveries would read none of them otherwise.
create or replace function pgsolo.printed(value jsonb, most bigint, marker text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    plain   jsonb := value #> '{}'; -- not compressed
    size    bigint := pg_column_size(plain);
    digits  bigint := 0;
    as_text text;
    reason  text := format('it takes %s bytes, more than max_payload of its topic, %s', size, most);
begin
    if size > most then
        return case when marker <> '' then jsonb_build_object(marker, reason) end;
    end if;
    if size < 16384 then
        as_text := plain;
    else
        begin
            if size >= 131072 or plain @@ 'lax $.**{last} > 1e40 || $.**{last} < -1e40' then
                select coalesce(sum(case when scale(n::numeric) > 40 then scale(n::numeric) else 0 end
                        + ('[0:5]={0,310,1000,10000,50000,131072}'::bigint[])
                            [width_bucket(abs(n::numeric), '{1e40,1e310,1e1000,1e10000,1e50000}'::numeric[])]), 0)
                    into digits from jsonb_path_query(plain, 'strict $.**{last} ? (@ <= 9e131071)') n;
            end if;
            if digits <= 67108864 + 2 * most then
                as_text := plain;
            end if;
        exception when program_limit_exceeded or statement_too_complex then
            return case when marker <> '' then
                jsonb_build_object(marker, format('it takes %s bytes, and the server refuses to print it: %s', size, sqlerrm)) end;
        end;
    end if;
    if octet_length(as_text) <= 2 * most then
        return as_text;
    end if;
    reason := format('it takes %s bytes, and some %s if it is printed, more than twice max_payload of its topic, %s', size,
        coalesce(octet_length(as_text), digits), most);
    return case when marker <> '' then jsonb_build_object(marker, reason) end;
end
$$;
