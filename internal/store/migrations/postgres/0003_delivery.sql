-- Messages on their way to a receiver, in the order in which they were sent.
CREATE TABLE delivery (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never used again: it is the order
    target   TEXT COLLATE "C" NOT NULL, -- the receiver
    lane     TEXT COLLATE "C" NOT NULL, -- those of a lane go one after the other; '': whenever they can
    dead     BIGINT NOT NULL, -- 1: given up
    attempts BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    error    TEXT COLLATE "C" NOT NULL, -- of the last attempt
    body     BYTEA NOT NULL
);
CREATE INDEX delivery_due ON delivery (target, dead, due, id);
CREATE INDEX delivery_lane ON delivery (target, lane, dead, id);
