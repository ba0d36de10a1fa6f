-- What a leader has in memory at once is bounded by what an event may take: payload, headers and key. A topic may raise it: a leader
-- declares max_payloads, the bytes for each topic that has a limit of its own ("*": any), and as of retentions the largest one counts
-- that was declared within the grace. An older configuration that leads for a moment refuses nothing.
create function pgsolo.max_payload(of_topic text) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select greatest(16777216, max(case when m.value ~ '^[0-9]{1,12}$' then m.value::bigint end))
    from pgsolo.configuration c cross join lateral jsonb_each_text(
        case jsonb_typeof(c.body -> 'max_payloads') when 'object' then c.body -> 'max_payloads' end) m
    where c.engine = 'eventlog' and m.key in (of_topic, '*')
$$;

grant execute on function pgsolo.max_payload to public;

create function pgsolo.refuse_payload() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    size bigint := pg_column_size(new.payload #> '{}') + pg_column_size(new.headers #> '{}') + coalesce(octet_length(new.key), 0);
    most bigint := pgsolo.max_payload(new.topic);
begin
    if size > most then
        raise exception 'event log: an event of topic "%" takes % bytes, more than its max_payload, %', new.topic, size, most
            using errcode = 'program_limit_exceeded', constraint = 'event_max_payload',
                hint = 'Emit where the data is, or raise max_payload of the topic in the configuration.';
    end if;
    return null;
end
$$;

revoke execute on function pgsolo.refuse_payload from public;

-- The trigger comes after the row, so that COPY goes on to insert many at once, and its condition costs no function of pgsolo's. It sees
-- the values as the statement gives them, which are those that producers send; what comes compressed from another table it measures so.
-- Rows that are there stay.
create trigger refuse_payload after insert on pgsolo.event for each row
    when (pg_catalog.pg_column_size(new.payload) operator(pg_catalog.+) pg_catalog.pg_column_size(new.headers)
        operator(pg_catalog.>) 16777216)
    execute function pgsolo.refuse_payload();

-- printed is a value as text, or {marker: reason} where it takes more than most bytes, or more than twice that once it is printed: jsonb
-- keeps a number of 131,072 digits in 16 bytes, and one with 16,383 zeros after the point, too. Without a marker null stands for it.
--
-- What the server needs to find that out is bounded as well. What is smaller than 16 kB is printed in some 130 MB at most. Of what is
-- larger, the digits of its numbers are counted before, by powers of ten: where there are numbers above 1e40, which jsonpath finds in half
-- of the time that it takes to print the value; and from 128 kB on in any case, since the zeros after a point change no comparison.
create function pgsolo.printed(value jsonb, most bigint, marker text) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
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
    if size >= 131072 or size >= 16384 and plain @@ 'lax $.**{last} > 1e40 || $.**{last} < -1e40' then
        select coalesce(sum(case when scale(n::numeric) > 40 then scale(n::numeric) else 0 end
                + ('[0:5]={0,310,1000,10000,50000,131072}'::bigint[])
                    [width_bucket(abs(n::numeric), '{1e40,1e310,1e1000,1e10000,1e50000}'::numeric[])]), 0)
            into digits from jsonb_path_query(plain, 'strict $.**{last} ? (@ <= 9e131071)') n;
    end if;
    if digits <= 67108864 + 2 * most then
        as_text := plain;
        if octet_length(as_text) <= 2 * most then
            return as_text;
        end if;
        digits := octet_length(as_text);
    end if;
    reason := format('it takes %s bytes, and some %s if it is printed, more than twice max_payload of its topic, %s', size, digits, most);
    return case when marker <> '' then jsonb_build_object(marker, reason) end;
end
$$;

grant execute on function pgsolo.printed to public;
