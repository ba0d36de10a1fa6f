-- The latest write of progress that made or changed rows in delivery: the consumer in a leader's process that made it, and its number
-- among those of that consumer. So a write that is repeated, since its answer was lost, is told from a new one, and what an operator has
-- done in between stays. Leaders of the version before leave both as they are, which costs nothing: a number counts for its writer alone.
alter table pgsolo.cursor
    add column writer  bigint not null default 0,
    add column written bigint not null default 0;
