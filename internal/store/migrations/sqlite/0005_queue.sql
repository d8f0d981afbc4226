-- The images that are to be built: those that wait for a place, and those that
-- have one. Each has its row until it ends.
CREATE TABLE queued_image (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they came
    image_arn TEXT    NOT NULL UNIQUE,
    account   TEXT    NOT NULL,
    state     INTEGER NOT NULL, -- 0: waits, 1: has a place, 2: waits for a person's answer, 3: no worker can build it
    needs     TEXT    NOT NULL, -- what its build takes, separated by spaces; '': not known
    job       INTEGER NOT NULL, -- of the job queue, 0: none yet
    since     INTEGER NOT NULL
) STRICT;
CREATE INDEX queued_image_account ON queued_image (state, account, id);

-- Which account got a place when: the one that waited longest goes first.
CREATE TABLE queue_turn (
    account TEXT    NOT NULL PRIMARY KEY,
    turn    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_turn_turn ON queue_turn (turn);

ALTER TABLE worker ADD COLUMN builds INTEGER NOT NULL DEFAULT 0; -- how many images it works on at once
ALTER TABLE worker ADD COLUMN about BLOB NOT NULL DEFAULT x''; -- what it can do, JSON
