-- The processes that build, and when each was last heard of. A worker whose row
-- is gone has lost its jobs to the others.
CREATE TABLE worker (
    id      TEXT    NOT NULL PRIMARY KEY,
    node    TEXT    NOT NULL, -- the data folder that its instances lie in
    host    TEXT    NOT NULL, -- for people
    started INTEGER NOT NULL,
    seen    INTEGER NOT NULL  -- by the database's clock
) STRICT, WITHOUT ROWID;

ALTER TABLE instance ADD COLUMN node TEXT NOT NULL DEFAULT '';
