-- What tells the leader's configuration from another one, and the term that it was written with: the version before begins terms
-- without it.
alter table pgsolo.leader add column fingerprint text, add column fingerprint_term bigint;
