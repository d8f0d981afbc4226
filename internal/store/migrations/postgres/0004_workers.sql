-- The processes that build, and when each was last heard of. A worker whose row
-- is gone has lost its jobs to the others.
CREATE TABLE worker (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    node    TEXT COLLATE "C" NOT NULL, -- the data folder that its instances lie in
    host    TEXT COLLATE "C" NOT NULL, -- for people
    started BIGINT NOT NULL,
    seen    BIGINT NOT NULL -- by the database's clock
);

ALTER TABLE instance ADD COLUMN node TEXT COLLATE "C" NOT NULL DEFAULT '';
