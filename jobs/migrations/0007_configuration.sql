-- Whose configuration counts. The leader of a group (an election) declares handlers, topics, retentions and jobs. What one leader
-- lacks is marked, and retired only when the group has been led for longer than a grace without it: a deploy may have an older
-- configuration lead for a moment. The version before goes on: its statements and functions keep their names and arguments, and
-- triggers do for it what it does not know of.

-- One row per group. The leader's process holds the advisory lock (oid of this table, id) in shared mode: pg_locks tells every role
-- whether a leader of the group lives. led counts the microseconds for which the group was led while something was marked.
create table pgsolo.jobs_group (
    "group"      text primary key,
    id           integer not null generated always as identity unique,
    term         bigint not null default 0,
    led          bigint not null default 0,
    forget_after bigint not null default 86400000000, -- microseconds: the grace of the latest leader
    seen_at      timestamptz not null default now(),  -- when a leader last said that it is there
    left_term    bigint                               -- the term whose leader has stopped as planned
);

-- simple: a claim of this version that changes neither the topic nor the group, for which keep_position has nothing to do: to call a
-- function for the first time costs a session more than the claim itself. null: any other claim, and those of the version before.
alter table pgsolo.cursor add column simple boolean;

-- The marks. kind is handler, topic or job. led is that of the group when the first leader lacked the name. retired: the grace is
-- over, and the name holds nothing back any more.
create table pgsolo.undeclared (
    kind    text not null check (kind in ('handler', 'topic', 'job')),
    "group" text not null,
    name    text not null,
    since   timestamptz not null default clock_timestamp(),
    led     bigint not null,
    retired boolean not null default false,
    primary key (kind, "group", name)
);

-- The positions of handlers in topics that they have left. While a row is not retired, it holds back the log as a cursor does. noted is
-- what the cursor had beside done about the log that it belongs to.
create table pgsolo.cursor_topic (
    handler  text not null,
    topic    text not null,
    "group"  text not null,
    done     int8multirange not null,
    noted    jsonb not null default '{}',
    left_at  timestamptz not null default clock_timestamp(),
    left_led bigint not null,
    retired  boolean not null default false,
    primary key (handler, topic)
);

-- The configurations that leaders have declared within the grace, one row for each that differs. body has what a successor compares,
-- and the retention of each topic in microseconds, 0 for ever.
create table pgsolo.configuration (
    "group"        text not null,
    engine         text not null check (engine in ('eventlog', 'cron')),
    fingerprint    text not null,
    body           jsonb not null,
    term           bigint not null, -- of the latest leader that declared it
    declared_at    timestamptz not null default clock_timestamp(),
    undeclared_at  timestamptz,
    undeclared_led bigint,
    primary key ("group", engine, fingerprint)
);

-- Groups that only leaders of the version before have led, some of which nobody leads any more.
insert into pgsolo.jobs_group ("group", seen_at)
    select "group", coalesce(max(seen_at), now()) from (
        select "group", seen_at from pgsolo.cursor
        union all
        select "group", armed_at from pgsolo.doorbell
        union all
        select "group", null from pgsolo.topic
        union all
        select "group", null from pgsolo.cron_job) seen
    group by "group";

-- What no leader had when this was applied, holds nothing back, nor does a cursor that none had seen for a week, as before: whoever
-- claims it has it again. A job that went within the last day may come back.
update pgsolo.cursor set configured = false where configured and seen_at < now() - interval '7 days';
insert into pgsolo.undeclared (kind, "group", name, since, led, retired)
    select 'handler', "group", handler, seen_at, 0, true from pgsolo.cursor where not configured;
insert into pgsolo.undeclared (kind, "group", name, since, led, retired)
    select 'job', "group", job, forgotten_at, 0, forgotten_at < now() - interval '1 day'
    from pgsolo.cron_job where forgotten_at is not null;

-- left_topics are the positions of handlers in topics that they have left and may come back to. A function, so that a role which
-- trims the log sees just these.
create function pgsolo.left_topics() returns table (handler text, topic text, done int8multirange)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select k.handler, k.topic, k.done from pgsolo.cursor_topic k join pgsolo.cursor c on c.handler = k.handler
    where not k.retired and c.topic <> k.topic
$$;

-- declared_events is what leaders have declared of the event log within the grace, for the same reason.
create function pgsolo.declared_events() returns table ("group" text, body jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c."group", c.body from pgsolo.configuration c where c.engine = 'eventlog'
$$;

-- is_led says whether a leader of the group lives, as far as its lock tells.
create function pgsolo.is_led(of_group text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from pgsolo.jobs_group g
        join pg_locks k on k.locktype = 'advisory' and k.classid = 'pgsolo.jobs_group'::regclass and k.objid::bigint = g.id
            and k.objsubid = 2 and k.granted and k.database = (select oid from pg_database where datname = current_database())
        where g."group" = of_group)
$$;

-- claimed_term is the highest term with which a leader of the group has claimed anything. One of the version before enters nowhere.
create function pgsolo.claimed_term(of_group text) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(greatest((select max(c.term) from pgsolo.cursor c where c."group" = of_group and c.topic <> ''),
        (select l.term from pgsolo.cron_leader l where l."group" = of_group),
        (select d.term from pgsolo.doorbell d where d."group" = of_group)), 0)
$$;

-- may_be_led says the same also of a leader that has not entered, if there was a sign of it lately. One of the version before has no
-- lock; it dates its cursors each hour, and makes a row in the history for each tick.
create function pgsolo.may_be_led(of_group text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select pgsolo.is_led(of_group) or not exists (select from pgsolo.jobs_group g
            where g."group" = of_group and g.term >= pgsolo.claimed_term(of_group))
        and (exists (select from pgsolo.jobs_group g where g."group" = of_group and g.seen_at > now() - interval '2 hours')
            or exists (select from pgsolo.doorbell d where d."group" = of_group and d.armed_at > now() - interval '2 hours')
            or exists (select from pgsolo.cursor c
                where c."group" = of_group and c.topic <> '' and c.seen_at > now() - interval '2 hours')
            or exists (select from pgsolo.cron_leader l join pgsolo.cron_job j on j."group" = l."group" cross join lateral (
                    select r.term, r.scheduled_at from pgsolo.cron_run r
                    where r.job = j.job order by r.scheduled_at desc limit 10) r
                where l."group" = of_group and r.term = l.term and r.scheduled_at > now() - interval '1 day'))
$$;

-- group_led is what led says, 0 for a group that no leader of this version has led.
create function pgsolo.group_led(of_group text) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce((select led from pgsolo.jobs_group where "group" = of_group), 0)
$$;

-- has_left says whether the latest leader of the group has stopped as planned.
create function pgsolo.has_left(of_group text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce((select left_term = term from pgsolo.jobs_group where "group" = of_group), false)
$$;

-- is_declared says whether a leader of the group that lives, or may live, has the name.
create function pgsolo.is_declared(of_kind text, of_group text, of_name text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select pgsolo.may_be_led(of_group) and not exists (select from pgsolo.undeclared u
        where u.kind = of_kind and u."group" = of_group and u.name = of_name)
$$;

-- is_retired says whether the grace of a job is over; null: that of the group's latest leader.
create function pgsolo.is_retired(of_kind text, of_group text, of_name text, forget_after bigint default null) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from pgsolo.undeclared u left join pgsolo.jobs_group g on g."group" = u."group"
        where u.kind = of_kind and u."group" = of_group and u.name = of_name and (u.retired
            or coalesce(g.led, 0) - u.led >= coalesce(is_retired.forget_after, g.forget_after, 86400000000)))
$$;

-- noted is what a cursor says of when done was written, and in which log; a leader of the version before notes nothing, and then it is
-- known only when the cursor was claimed or seen.
create function pgsolo.noted(c jsonb) returns jsonb
language sql immutable security definer set search_path = pg_catalog, pg_temp as $$
    select case when not c ? 'epoch' then '{}' else jsonb_build_object('epoch', c -> 'epoch',
        'noted_at', case when c -> 'noted_by' = c -> 'term' then c -> 'noted_at' else c -> 'seen_at' end,
        'noted_xid', case when c -> 'noted_by' = c -> 'term' then c -> 'noted_xid' else 'null' end) end
$$;

-- Each claim inserts: this sees it, unless it is a simple one, before the conflict with the row that is there decides, and what it
-- makes of new.done is what a handler with another topic begins with. Progress updates the row, and never comes here. The lock lets a write of progress that is
-- under way end first. A claim that is refused after this leaves a copy of the position, which the next one that leaves the topic
-- replaces.
create function pgsolo.keep_position() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c    pgsolo.cursor;
    kept pgsolo.cursor_topic;
begin
    select * into c from pgsolo.cursor where handler = new.handler for no key update;
    if not found or c."group" = new."group" and c.term > new.term then
        return new;
    end if;
    if c.topic <> '' and new.topic <> '' and c.topic <> new.topic then
        insert into pgsolo.cursor_topic as k (handler, topic, "group", done, noted, left_led)
            values (new.handler, c.topic, c."group", c.done, pgsolo.noted(to_jsonb(c)), pgsolo.group_led(c."group"))
            on conflict (handler, topic) do update set "group" = excluded."group", done = excluded.done, noted = excluded.noted,
                left_at = excluded.left_at, left_led = excluded.left_led, retired = false;
        select * into kept from pgsolo.cursor_topic where handler = new.handler and topic = new.topic;
        if found then
            new := jsonb_populate_record(new, kept.noted);
            new.done := kept.done;
        end if;
    end if;
    delete from pgsolo.undeclared where kind = 'handler' and "group" = new."group" and name = new.handler;
    return new;
end
$$;

create trigger keep_position before insert on pgsolo.cursor for each row when (new.simple is null)
    execute function pgsolo.keep_position();

-- The version before takes a cursor out of its configuration at once. It is marked instead. For each statement, not for each row:
-- neither progress nor a claim of this version names the column, and they pay nothing.
create function pgsolo.mark_cursors() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from pgsolo.cursor c where not c.configured and not exists (select from pgsolo.undeclared u
        where u.kind = 'handler' and u."group" = c."group" and u.name = c.handler)) then
        with back as (
            update pgsolo.cursor c set configured = true
            where not c.configured and not exists (select from pgsolo.undeclared u
                where u.kind = 'handler' and u."group" = c."group" and u.name = c.handler)
            returning c."group", c.handler
        )
        insert into pgsolo.undeclared (kind, "group", name, led)
            select 'handler', b."group", b.handler, pgsolo.group_led(b."group") from back b on conflict do nothing;
    end if;
    return null;
end
$$;

create trigger mark_cursors after update of configured on pgsolo.cursor for each statement
    when (pg_catalog.pg_trigger_depth() = 0) execute function pgsolo.mark_cursors();

-- A job is forgotten at once, for the version before counts on it. The mark says since how much of its group's time.
create function pgsolo.mark_job() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if new.forgotten_at is null then
        delete from pgsolo.undeclared where kind = 'job' and name = new.job and "group" in (old."group", new."group");
    else
        insert into pgsolo.undeclared (kind, "group", name, led)
            values ('job', new."group", new.job, pgsolo.group_led(new."group")) on conflict do nothing;
    end if;
    return null;
end
$$;

create trigger mark_job after update of forgotten_at on pgsolo.cron_job for each row
    when (old.forgotten_at is distinct from new.forgotten_at or old."group" <> new."group") execute function pgsolo.mark_job();

-- refresh_topics puts in force what pgsolo.topic says, and returns whether that is a change. Its caller has locked that table.
create function pgsolo.refresh_topics() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    known text[];
begin
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

-- know makes the topics of a group known; null stands for any. The others of the group are accepted until the grace is over. It
-- returns true where that changed which topics are accepted.
create or replace function pgsolo.know(of_group text, topics text[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    declared text[] := coalesce(topics, '{*}');
begin
    lock table pgsolo.topic in share row exclusive mode;
    insert into pgsolo.topic ("group", topic) select of_group, unnest(declared) on conflict do nothing;
    delete from pgsolo.undeclared u where u.kind = 'topic' and u."group" = of_group and u.name = any (declared);
    insert into pgsolo.undeclared (kind, "group", name, led)
        select 'topic', of_group, t.topic, pgsolo.group_led(of_group) from pgsolo.topic t
        where t."group" = of_group and t.topic <> all (declared) on conflict do nothing;
    perform pgsolo.retire_topics(of_group);
    return pgsolo.refresh_topics();
end
$$;

-- retire_topics removes those of the group whose grace is over, and says whether there were any. Its caller has locked pgsolo.topic.
create function pgsolo.retire_topics(of_group text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    with gone as (
        delete from pgsolo.undeclared u
        where u.kind = 'topic' and u."group" = of_group and pgsolo.is_retired('topic', u."group", u.name)
        returning u.name
    )
    delete from pgsolo.topic t using gone g where t."group" = of_group and t.topic = g.name;
    return found;
end
$$;

-- enter makes of_term the one that may declare for the group, and returns false where a newer leader has done so.
create function pgsolo.enter(of_group text, of_term bigint, forget_after bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into pgsolo.jobs_group as g ("group", term, forget_after) values (of_group, of_term, enter.forget_after)
        on conflict ("group") do update set term = excluded.term, forget_after = excluded.forget_after, seen_at = now(),
            left_term = null
        where g.term <= excluded.term;
    return found;
end
$$;

-- attend enters, and holds the group's lock from then on until the session ends. It returns false where a newer leader has entered, and
-- null where another session has the lock for itself alone, which none of pgsolo's does.
create function pgsolo.attend(of_group text, of_term bigint, forget_after bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    class bigint := 'pgsolo.jobs_group'::regclass::oid;
    key   integer;
begin
    if not pgsolo.enter(of_group, of_term, attend.forget_after) then
        return false;
    end if;
    select id into key from pgsolo.jobs_group g where g."group" = of_group;
    if class > 2147483647 then
        class := class - 4294967296; -- the same 32 bits: an oid has no sign, the lock's key has one
    end if;
    return nullif(pg_try_advisory_lock_shared(class::integer, key), false);
end
$$;

-- declare_configuration writes down what the group's leader has, marks what it lacks, and retires what is over. A configuration that was
-- declared within the grace is known by its fingerprint: of_body may be null then; where it is not known, that is all that is said, and
-- nothing is declared. It returns the configuration that the leader before has declared if that is another one; no row where a newer
-- leader has entered. A successor that claims meanwhile may have a cursor and want its mark: then the server ends one of the two
-- transactions, which is tried again. Declarations of one group come one after the other: enter locks its row.
create function pgsolo.declare_configuration(of_group text, of_term bigint, forget_after bigint, of_engine text,
    of_fingerprint text, of_body jsonb, out known boolean, out previous jsonb) returns setof record
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    led    bigint;
    latest text;
begin
    if not pgsolo.enter(of_group, of_term, declare_configuration.forget_after) then
        return;
    end if;
    led := pgsolo.group_led(of_group);
    select c.fingerprint into latest from pgsolo.configuration c where c."group" = of_group and c.engine = of_engine
        order by c.undeclared_at is null desc, c.declared_at desc limit 1;
    update pgsolo.configuration c
        set term = of_term, declared_at = clock_timestamp(), undeclared_at = null, undeclared_led = null
        where c."group" = of_group and c.engine = of_engine and c.fingerprint = of_fingerprint;
    known := found or of_body is not null;
    if not known then
        return next;
        return;
    end if;
    if not found then
        insert into pgsolo.configuration ("group", engine, fingerprint, body, term)
            values (of_group, of_engine, of_fingerprint, of_body, of_term);
    end if;
    if latest <> of_fingerprint then
        select c.body into previous from pgsolo.configuration c
            where c."group" = of_group and c.engine = of_engine and c.fingerprint = latest;
    end if;
    update pgsolo.configuration c set undeclared_at = clock_timestamp(), undeclared_led = led
        where c."group" = of_group and c.engine = of_engine and c.fingerprint <> of_fingerprint and c.undeclared_at is null;
    if of_engine = 'eventlog' then
        select c.body into of_body from pgsolo.configuration c
            where c."group" = of_group and c.engine = of_engine and c.fingerprint = of_fingerprint;
        delete from pgsolo.undeclared u
            where u.kind = 'handler' and u."group" = of_group and jsonb_exists(of_body -> 'handlers', u.name);
        update pgsolo.cursor c set configured = true
            where c."group" = of_group and not c.configured and jsonb_exists(of_body -> 'handlers', c.handler);
        insert into pgsolo.undeclared (kind, "group", name, led)
            select 'handler', of_group, c.handler, led from pgsolo.cursor c
            where c."group" = of_group and c.topic <> '' and c.configured and not jsonb_exists(of_body -> 'handlers', c.handler)
            on conflict do nothing;
    end if;
    perform pgsolo.retire(of_group);
    return next;
end
$$;

-- retire ends the grace of what the group's leaders have lacked for long enough.
create function pgsolo.retire(of_group text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    over bigint; -- what was marked up to here
begin
    select g.led - g.forget_after into over from pgsolo.jobs_group g where g."group" = of_group;
    update pgsolo.cursor c set configured = false from pgsolo.undeclared u
        where c."group" = of_group and c.configured and u.kind = 'handler' and u."group" = of_group and u.name = c.handler
            and u.led <= over;
    update pgsolo.undeclared u set retired = true
        where u."group" = of_group and u.kind in ('handler', 'job') and not u.retired and u.led <= over;
    delete from pgsolo.undeclared u
        where u."group" = of_group and u.kind = 'handler'
            and not exists (select from pgsolo.cursor c where c.handler = u.name and c."group" = of_group);
    update pgsolo.cursor_topic k set retired = true where k."group" = of_group and not k.retired and k.left_led <= over;
    delete from pgsolo.configuration c where c."group" = of_group and c.undeclared_led <= over;
    if exists (select from pgsolo.undeclared u where u.kind = 'topic' and u."group" = of_group and u.led <= over) then
        lock table pgsolo.topic in share row exclusive mode;
        if pgsolo.retire_topics(of_group) then
            perform pgsolo.refresh_topics();
        end if;
    end if;
end
$$;

-- count_led adds to the time for which the group was led, if something waits for it, and notes now and then that it is led. A leader
-- beside which a newer one has claimed, be it of the version before, counts no more: that one may have the names.
create function pgsolo.count_led(of_group text, of_term bigint, microseconds bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from pgsolo.undeclared u where u."group" = of_group and not u.retired)
        or exists (select from pgsolo.configuration c where c."group" = of_group and c.undeclared_at is not null)
        or exists (select from pgsolo.cursor_topic k where k."group" = of_group and not k.retired) then
        update pgsolo.jobs_group g set led = g.led + greatest(microseconds, 0), seen_at = now()
            where g."group" = of_group and g.term = of_term and pgsolo.claimed_term(of_group) <= of_term;
        if found then
            perform pgsolo.retire(of_group);
        end if;
    else
        update pgsolo.jobs_group g set seen_at = now()
            where g."group" = of_group and g.term = of_term and g.seen_at < now() - interval '10 minutes';
    end if;
end
$$;

-- leave says that the leader of the term has stopped as planned: what it had may go to another group at once.
create function pgsolo.leave(of_group text, of_term bigint) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update pgsolo.jobs_group set left_term = of_term where "group" = of_group and term = of_term
$$;

-- The verbs. Each is refused while a leader that lives declares the name, or one of the version before may live.

-- hint_before says for how long.
create function pgsolo.hint_before(of_group text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select case when pgsolo.is_led(of_group) then ''
        else ' One of the version before counts for two hours after it was seen, and for a day after a tick of its cron jobs.' end
$$;

create function pgsolo.refuse_declared(what text, of_name text, of_group text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '% "%" is declared by the leader of election "%"', what, of_name, of_group using errcode = 'object_in_use',
        hint = 'Take it out of the configuration and start that first, or stop the replicas of that election.'
            || pgsolo.hint_before(of_group);
end
$$;

-- forget_rows deletes what tables that later migrations make have of a name.
create function pgsolo.forget_rows(tables text[], named text, of_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made text;
begin
    foreach made in array tables loop
        if to_regclass('pgsolo.' || made) is not null then
            execute format('delete from pgsolo.%I where %I = $1', made, named) using of_name;
        end if;
    end loop;
end
$$;

-- forget_handler deletes the position of a handler, its retries and its dead letters: if it comes back, it is new.
create function pgsolo.forget_handler(of_handler text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c record;
begin
    select "group", configured into c from pgsolo.cursor where handler = of_handler for update;
    if not found then
        raise exception 'there is no handler %', coalesce(quote_literal(of_handler), 'null') using errcode = 'undefined_object';
    end if;
    if c.configured and pgsolo.is_declared('handler', c."group", of_handler) then
        perform pgsolo.refuse_declared('handler', of_handler, c."group");
    end if;
    delete from pgsolo.cursor where handler = of_handler;
    delete from pgsolo.cursor_topic where handler = of_handler;
    delete from pgsolo.delivery where handler = of_handler;
    delete from pgsolo.undeclared where kind = 'handler' and name = of_handler;
    perform pgsolo.forget_rows('{handler_term,handler_cut_off}', 'handler', of_handler);
end
$$;

-- forget_position deletes the position of a handler in a topic that it has left: if it comes back there, it is new there. The lock has
-- a claim that leaves or takes the topic come before or after.
create function pgsolo.forget_position(of_handler text, of_topic text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c record;
begin
    select "group", topic, configured into c from pgsolo.cursor where handler = of_handler for update;
    if c.topic = of_topic and c.configured and pgsolo.is_declared('handler', c."group", of_handler) then
        perform pgsolo.refuse_declared('handler', of_handler, c."group");
    end if;
    delete from pgsolo.cursor_topic where handler = of_handler and topic = of_topic;
    if not found then
        raise exception 'handler % has left no topic %', coalesce(quote_literal(of_handler), 'null'),
            coalesce(quote_literal(of_topic), 'null') using errcode = 'undefined_object';
    end if;
end
$$;

-- rename_handler gives a handler's position, its retries and its dead letters to a handler of another name, which must be new.
create function pgsolo.rename_handler(of_handler text, new_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    c record;
begin
    select "group", configured into c from pgsolo.cursor where handler = of_handler for update;
    if not found then
        raise exception 'there is no handler %', coalesce(quote_literal(of_handler), 'null') using errcode = 'undefined_object';
    end if;
    if new_name is null or new_name = '' then
        raise exception 'the new name is empty' using errcode = 'invalid_parameter_value';
    end if;
    if c.configured and pgsolo.is_declared('handler', c."group", of_handler) then
        perform pgsolo.refuse_declared('handler', of_handler, c."group");
    end if;
    if exists (select from pgsolo.cursor where handler = new_name) then
        raise exception 'there is a handler "%" already', new_name using errcode = 'duplicate_object',
            hint = 'If its position is not needed, call pgsolo.forget_handler first.';
    end if;
    update pgsolo.cursor set handler = new_name where handler = of_handler;
    update pgsolo.cursor_topic set handler = new_name where handler = of_handler;
    update pgsolo.delivery set handler = new_name where handler = of_handler;
    delete from pgsolo.undeclared where kind = 'handler' and name = new_name;
    update pgsolo.undeclared set name = new_name where kind = 'handler' and name = of_handler;
    perform pgsolo.forget_rows('{handler_term,handler_cut_off}', 'handler', of_handler);
end
$$;

-- forget_topic has events of the topic refused, unless a leader declares it. Those that are in the log stay.
create function pgsolo.forget_topic(of_topic text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    declared text;
begin
    lock table pgsolo.topic in share row exclusive mode;
    if not exists (select from pgsolo.topic t where t.topic = of_topic) then
        raise exception 'there is no topic %', coalesce(quote_literal(of_topic), 'null') using errcode = 'undefined_object';
    end if;
    select t."group" into declared from pgsolo.topic t
        where t.topic = of_topic and pgsolo.is_declared('topic', t."group", of_topic) limit 1;
    if found then
        perform pgsolo.refuse_declared('topic', of_topic, declared);
    end if;
    delete from pgsolo.topic t where t.topic = of_topic;
    delete from pgsolo.undeclared u where u.kind = 'topic' and u.name = of_topic;
    perform pgsolo.refresh_topics();
end
$$;

-- forget_job deletes what is known of a job, and its history.
create function pgsolo.forget_job(of_job text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    j record;
begin
    select "group", forgotten_at into j from pgsolo.cron_job where job = of_job for update;
    if not found then
        raise exception 'there is no cron job %', coalesce(quote_literal(of_job), 'null') using errcode = 'undefined_object';
    end if;
    if j.forgotten_at is null and pgsolo.is_declared('job', j."group", of_job) then
        perform pgsolo.refuse_declared('job', of_job, j."group");
    end if;
    delete from pgsolo.cron_job where job = of_job;
    delete from pgsolo.cron_run where job = of_job;
    delete from pgsolo.undeclared where kind = 'job' and name = of_job;
    perform pgsolo.forget_rows('{cron_position}', 'job', of_job);
end
$$;

-- forget_election forgets every handler, topic and job of an election that is led no more. Its row in pgsolo.leader stays.
create function pgsolo.forget_election(election text) returns void
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
    delete from pgsolo.cursor_topic k where k."group" = of_group;
    perform pgsolo.disarm(of_group);
    if not found_any then
        raise exception 'there is no election %', coalesce(quote_literal(of_group), 'null') using errcode = 'undefined_object';
    end if;
end
$$;

-- disarm has producers ring no more for a group.
create function pgsolo.disarm(of_group text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    lock table pgsolo.doorbell in share row exclusive mode;
    update pgsolo.doorbell d set armed = false where d."group" = of_group;
    perform setval('pgsolo.doorbell_armed', case when exists (select from pgsolo.doorbell where armed) then 2 else 1 end);
end
$$;

-- What no leader declares and is held back for it all the same, with the rows of the log and their bytes, and with the verb that lets
-- it go. position is that of a handler in a topic that it has left. A topic that a leader of another group declares is held back for
-- that one. Of an election that nobody has led for an hour everything counts.
create view pgsolo.held_back with (security_barrier) as
    select kind, "group", name, topic, min(since) as since, sum(rows)::bigint as rows, sum(bytes)::bigint as bytes,
        case kind when 'position' then format('select pgsolo.forget_position(%L, %L)', name, topic)
            else format('select pgsolo.forget_%s(%L)', kind, name) end as remedy
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
    select kind, "group", name, topic, since, rows, bytes
    from unfinished f cross join lateral (
        select count(*) as rows, coalesce(sum(100 + coalesce(pg_column_size(e.key), 0) + pg_column_size(e.headers)
            + pg_column_size(e.payload)), 0)::bigint as bytes
        from pgsolo.event e
        where e.topic = f.topic and e.id >= lower('{[1,)}'::int8multirange - f.done) and not f.done @> e.id
    ) held
    union all
    select u.kind, u."group", u.name, case when u.kind = 'topic' then u.name end, u.since, 0, 0
    from pgsolo.undeclared u where u.kind in ('topic', 'job') and not u.retired
        and not exists (select from pgsolo.topic t where u.kind = 'topic' and t.topic = u.name and t."group" <> u."group"
            and pgsolo.is_declared('topic', t."group", t.topic))
    union all
    select 'election', t."group", t."group", t.topic, g.seen_at, 0, 0
    from pgsolo.topic t join abandoned g on g."group" = t."group"
    ) held
    group by kind, "group", name, topic;

-- configured: the group's latest leader has this handler.
create or replace view pgsolo.handler as
    select c.handler, c."group", c.topic, c.configured and c.seen_at > now() - interval '7 days' and u.since is null as configured,
        c.term, c.seen_at,
        (select greatest(0, (select case when s.is_called then s.last_value else 0 end from pgsolo.event_id_seq s)
                - coalesce(sum(upper(r) - lower(r)), 0))::bigint from unnest(c.done) r) as unfinished,
        d.scheduled, d.waiting, d.retrying, d.dead, u.since as undeclared_since
    from pgsolo.cursor c
        left join pgsolo.undeclared u on u.kind = 'handler' and u."group" = c."group" and u.name = c.handler
        cross join lateral (
            select count(*) filter (where d.state = 'scheduled') as scheduled, count(*) filter (where d.state = 'waiting') as waiting,
                count(*) filter (where d.state = 'retry') as retrying, count(*) filter (where d.state = 'dead') as dead
            from pgsolo.delivery d where d.handler = c.handler
        ) d;

-- cursor_owner says whose a handler's cursor is: the group, whether its leaders still declare the handler, whether one of them lives, and
-- whether the latest one has stopped as planned.
create function pgsolo.cursor_owner(of_handler text, out owner text, out term bigint, out topic text, out declared boolean, out lives boolean,
    out left_as_planned boolean) returns setof record
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c."group", c.term, c.topic, c.configured and not exists (select from pgsolo.undeclared u
            where u.kind = 'handler' and u."group" = c."group" and u.name = c.handler),
        pgsolo.is_led(c."group"), pgsolo.has_left(c."group")
    from pgsolo.cursor c where c.handler = of_handler
$$;

-- Where the defaults grant nothing to everybody: these tell whose a name is, whether that group is led, and whether it has the name.
grant execute on function pgsolo.is_led, pgsolo.may_be_led, pgsolo.has_left, pgsolo.is_declared, pgsolo.is_retired,
    pgsolo.cursor_owner to public;

-- Whoever may call a trigger function may hang it on a table of its own, and have it write what its rows say.
revoke execute on function pgsolo.keep_position from public;
revoke execute on function pgsolo.mark_cursors from public;
revoke execute on function pgsolo.mark_job from public;
revoke execute on function pgsolo.left_topics from public;
revoke execute on function pgsolo.declared_events from public;
revoke execute on function pgsolo.group_led from public;
revoke execute on function pgsolo.claimed_term from public;
revoke execute on function pgsolo.hint_before from public;
revoke execute on function pgsolo.noted from public;
revoke execute on function pgsolo.refresh_topics from public;
revoke execute on function pgsolo.retire_topics from public;
revoke execute on function pgsolo.enter from public;
revoke execute on function pgsolo.attend from public;
revoke execute on function pgsolo.declare_configuration from public;
revoke execute on function pgsolo.retire from public;
revoke execute on function pgsolo.count_led from public;
revoke execute on function pgsolo.leave from public;
revoke execute on function pgsolo.refuse_declared from public;
revoke execute on function pgsolo.forget_rows from public;
revoke execute on function pgsolo.forget_handler from public;
revoke execute on function pgsolo.rename_handler from public;
revoke execute on function pgsolo.forget_position from public;
revoke execute on function pgsolo.forget_topic from public;
revoke execute on function pgsolo.forget_job from public;
revoke execute on function pgsolo.forget_election from public;
revoke execute on function pgsolo.disarm from public;

-- A role that leads has been granted the cursors or the cron jobs: it gets what a leader of this version needs beside them.
do $$
declare
    grantee text;
begin
    for grantee in
        select distinct case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_class c cross join lateral aclexplode(c.relacl) a
        where c.oid in ('pgsolo.cursor'::regclass, 'pgsolo.cron_job'::regclass) and a.privilege_type = 'UPDATE'
            and a.grantee <> c.relowner
    loop
        execute format('grant select on pgsolo.jobs_group, pgsolo.undeclared, pgsolo.cursor_topic, pgsolo.configuration, pgsolo.held_back to %s',
            grantee);
        execute format('grant execute on function pgsolo.attend, pgsolo.declare_configuration, pgsolo.count_led, pgsolo.leave,
            pgsolo.left_topics, pgsolo.declared_events to %s', grantee);
    end loop;
end
$$;
