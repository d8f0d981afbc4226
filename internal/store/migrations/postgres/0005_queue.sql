-- The images that are to be built: those that wait for a place, and those that
-- have one. Each has its row until it ends.
CREATE TABLE queued_image (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order in which they came
    image_arn TEXT COLLATE "C" NOT NULL UNIQUE,
    account   TEXT COLLATE "C" NOT NULL,
    state     BIGINT NOT NULL, -- 0: waits, 1: has a place, 2: waits for a person's answer, 3: no worker can build it
    needs     TEXT COLLATE "C" NOT NULL, -- what its build takes, separated by spaces; '': not known
    job       BIGINT NOT NULL, -- of the job queue, 0: none yet
    since     BIGINT NOT NULL
);
CREATE INDEX queued_image_account ON queued_image (state, account, id);

-- Which account got a place when: the one that waited longest goes first.
CREATE TABLE queue_turn (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    turn    BIGINT NOT NULL
);
CREATE INDEX queue_turn_turn ON queue_turn (turn);

ALTER TABLE worker ADD COLUMN builds BIGINT NOT NULL DEFAULT 0; -- how many images it works on at once
ALTER TABLE worker ADD COLUMN about BYTEA NOT NULL DEFAULT ''; -- what it can do, JSON
