-- Whose configuration counts. The version before goes on: its statements and functions keep their names and arguments, and triggers
-- do for it what it does not know of.

-- The positions of handlers in topics that they have left.
create table pgsolo.cursor_topic (
    handler  text not null,
    topic    text not null,
    "group"  text not null,
    done     int8multirange not null,
    left_at  timestamptz not null default clock_timestamp(),
    primary key (handler, topic)
);

-- Each claim inserts: this sees it before the conflict with the row that is there decides, and what it makes of new.done is what a
-- handler with another topic begins with. Progress updates the row, and never comes here. The lock lets a write of progress that is
-- under way end first. A claim that is refused after this leaves a copy of the position, which the next one that leaves the topic
-- replaces.
create function pgsolo.keep_position() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c    record;
    kept int8multirange;
begin
    select "group", topic, done, term into c from pgsolo.cursor where handler = new.handler for no key update;
    if not found or c."group" = new."group" and c.term > new.term then
        return new;
    end if;
    if c.topic <> '' and new.topic <> '' and c.topic <> new.topic then
        insert into pgsolo.cursor_topic as k (handler, topic, "group", done)
            values (new.handler, c.topic, c."group", c.done)
            on conflict (handler, topic) do update set "group" = excluded."group", done = excluded.done,
                left_at = excluded.left_at;
        select done into kept from pgsolo.cursor_topic where handler = new.handler and topic = new.topic;
        new.done := coalesce(kept, new.done);
    end if;
    return new;
end
$$;

create trigger keep_position before insert on pgsolo.cursor for each row execute function pgsolo.keep_position();
